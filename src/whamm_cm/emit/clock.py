"""When a call began and ended, by the clock, and where it need not be asked.

Asking costs more than all else a record does.  Calls that come in quick succession begin at the
time that was read when the one before returned: no later, and sooner by less than ``QUICK_NS`` as
long as it goes on like this.  Their records say so (``COARSE``).  What takes its time in between, a
block that is sent or an export that is called, ends the succession; and so does every sixteenth
call.
"""

from __future__ import annotations

from whamm_cm.agent.layout import LAST_RETURN, QUICK_CALLS, QUICK_NS, STATE, UNREAD, RecordFlag
from whamm_cm.codegen.asm import Func
from whamm_cm.codegen.memory import Agent

#: Where a record's flags begin in its first eight bytes.
_FLAGS = 36


class Clock:
    """The times of one wrapper, in the locals ``began`` and ``ended``.  ``now`` is the function
    that reads the clock; ``quick``: its calls may begin without a reading."""

    def __init__(self, f: Func, agent: Agent, now: int, quick: bool) -> None:
        self._f, self._agent, self._now = f, agent, now
        self.began, self.ended = f.local("i64"), f.local("i64")
        self._unread = f.local("i32") if quick else None

    def begin(self, entered: int | None = None) -> None:
        """Set ``began``; ``entered``: a local with the time, if that is not now."""
        f = self._f
        if self._unread is not None:
            self._read_unless_quick(self._unread)
        elif entered is None:
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
        if self._unread is not None:
            self._returned(self._unread)
        else:
            self._end_succession()

    def add_flag(self) -> None:
        """Add ``COARSE`` to the i64 on the stack, a record's size and word, if it applies."""
        if self._unread is None:
            return
        f = self._f
        f.get(self._unread)
        f.i32(0)
        f.op("i32.ne", "i64.extend_i32_u")
        f.i64(_FLAGS + int(RecordFlag.COARSE).bit_length() - 1)
        f.op("i64.shl", "i64.or")

    def _end_succession(self) -> None:
        """What another call did not see must not be told as its beginning."""
        if self._unread is None:
            self._f.i32(STATE + UNREAD)
            self._f.i32(0)
            self._agent.store(self._f, "i32.store")

    def _read_unless_quick(self, unread: int) -> None:
        """Push the time; ``unread`` becomes 0 where it was read."""
        f = self._f
        self._agent.load_at(f, "i32.load", STATE + UNREAD)
        f.tee(unread)
        with f.if_("i64"):
            self._agent.load_at(f, "i64.load", STATE + LAST_RETURN)
            f.else_()
            f.call(self._now)

    def _returned(self, unread: int) -> None:
        """Note when that was, and how many calls need no reading when they begin: one less than
        before, or all of them after one that was read."""
        f = self._f
        f.i32(STATE + UNREAD)
        f.get(unread)
        f.i32(QUICK_CALLS + 1)
        f.get(unread)
        f.op("select")
        f.i32(1)
        f.op("i32.sub")
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
