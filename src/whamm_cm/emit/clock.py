"""When a call began and ended, by the clock, and where it need not be asked.

Asking costs more than all else a record does.  After ``QUICK_CALLS`` calls in quick succession the
next begin at the time that was read when the one before returned: that is no later, and sooner by
less than ``QUICK_NS`` as long as it goes on like this.  Their records say so (``COARSE``).  An
export that is called ends the succession; after a block that was sent, and for one of
``QUICK_READ`` calls, the clock is read.
"""

from __future__ import annotations

from whamm_cm.agent.layout import (
    LAST_RETURN,
    QUICK,
    QUICK_CALLS,
    QUICK_NS,
    QUICK_READ,
    STATE,
    RecordFlag,
)
from whamm_cm.emit.memory import Agent
from whamm_cm.wasm.asm import Func

#: Where a record's flags begin in its first eight bytes.
_FLAGS = 36


class Clock:
    """The times of one wrapper, in the locals ``began`` and ``ended``.  ``now`` is the function
    that reads the clock; ``quick``: its calls may begin without a reading."""

    def __init__(self, f: Func, agent: Agent, now: int, quick: bool) -> None:
        self._f, self._agent, self._now = f, agent, now
        self.began, self.ended = f.local("i64"), f.local("i64")
        self._coarse = f.local("i32") if quick else None

    def begin(self, entered: int | None = None) -> None:
        """Set ``began``; ``entered``: a local with the time, if that is not now."""
        f = self._f
        if self._coarse is not None:
            self._read_unless_quick(self._coarse)
            return
        if entered is None:
            f.call(self._now)
        else:
            f.get(entered)
        f.set(self.began)
        self._end_succession()

    def end(self) -> None:
        """Set ``ended``."""
        f = self._f
        f.call(self._now)
        f.set(self.ended)
        if self._coarse is not None:
            self._returned()
        else:
            self._end_succession()

    def add_flag(self) -> None:
        """Add ``COARSE`` to the i64 on the stack, a record's size and word, if it applies."""
        if self._coarse is None:
            return
        f = self._f
        f.get(self._coarse)
        f.op("i64.extend_i32_u")
        f.i64(_FLAGS + int(RecordFlag.COARSE).bit_length() - 1)
        f.op("i64.shl", "i64.or")

    def _end_succession(self) -> None:
        """What other calls do not see must not be told as their beginning."""
        self._f.i32(STATE + QUICK)
        self._f.i32(0)
        self._agent.store(self._f, "i32.store")

    def _read_unless_quick(self, coarse: int) -> None:
        """Set ``began`` and whether it is that of the return before.  Within a succession one that
        is read counts as a return: what lay before it, such as a block that was sent, is over."""
        f = self._f
        quick = f.local("i32")
        self._agent.load_at(f, "i64.load", STATE + LAST_RETURN)
        f.set(self.began)
        self._agent.load_at(f, "i32.load", STATE + QUICK)
        f.tee(quick)
        f.i32(QUICK_CALLS)
        f.op("i32.ge_u")
        f.get(quick)
        f.i32(QUICK_READ - 1)
        f.op("i32.and")
        f.i32(0)
        f.op("i32.ne", "i32.and")
        f.tee(coarse)
        f.op("i32.eqz")
        with f.if_():
            f.i32(STATE + LAST_RETURN)
            f.call(self._now)
            f.tee(self.ended)
            f.get(self.began)
            f.get(quick)
            f.i32(QUICK_CALLS)
            f.op("i32.ge_u", "select")
            self._agent.store(f, "i64.store")
            f.get(self.ended)
            f.set(self.began)

    def _returned(self) -> None:
        """Note when that was, and whether the succession goes on."""
        f = self._f
        f.i32(STATE + QUICK)
        self._agent.load_at(f, "i32.load", STATE + QUICK)
        f.i32(1)
        f.op("i32.add")
        f.i32(0)
        f.get(self.ended)
        self._agent.load_at(f, "i64.load", STATE + LAST_RETURN)
        f.op("i64.sub")
        f.i64(QUICK_NS)
        f.op("i64.lt_u", "select")
        self._agent.store(f, "i32.store")
        f.i32(STATE + LAST_RETURN)
        f.get(self.ended)
        self._agent.store(f, "i64.store")
