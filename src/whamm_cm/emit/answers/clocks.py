"""Clocks that stand still, or move by a step when they are read, and by what was waited for.

All clocks of a provider show one time.  A wait is the host's: only when the host's own clock says
that it is over does our time come to where the wait was to end, if it is not there yet.
"""

from __future__ import annotations

from typing import Final

from whamm_cm.abi.flatten import flatten
from whamm_cm.abi.layout import layouts
from whamm_cm.emit.answers.code import Code, Local, put
from whamm_cm.emit.answers.model import BEGIN, Time, Wait
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import ValType

_NS: Final = 1_000_000_000
#: Waits that are kept: (the host's time, 0 for none; our time) each.  Later ones replace the
#: earliest begun.
_WAITS: Final = 64
_WAIT: Final = 16
_FOREVER: Final = (1 << 64) - 1


class Clocks:
    """Emits the functions about one time; ``step``: nanoseconds of each reading."""

    def __init__(self, code: Code, step: int) -> None:
        self.code, self.step = code, step
        self._time = -1
        self._table = -1
        self._slot = self._open = -1
        self._passed: Func | None = None

    @property
    def time(self) -> int:
        """The global with the time since the start."""
        if self._time < 0:
            self._time = self.code.module.global_("i64", 0)
            self._slot = self.code.module.global_("i32", 0)
            self._open = self.code.module.global_("i32", 0)
        return self._time

    def read(self, f: Func, result: ValType, reply: Time) -> None:
        now, time = f.local("i64"), self.time
        self._catch_up(f)
        f.global_get(time)
        f.tee(now)
        f.i64(self.step)
        put(f, "i64.add")
        f.global_set(time)
        f.get(now)
        f.i64(reply.start)
        put(f, "i64.add")
        if flatten(result) == ("i64",):
            return
        f.set(now)
        at = self.code.image.alloc(8, layouts().info(result).size)
        put(f, at)
        f.get(now)
        f.i64(_NS)
        put(f, "i64.div_u", ("i64.store", 0), at)
        f.get(now)
        f.i64(_NS)
        put(f, "i64.rem_u", "i32.wrap_i64", ("i32.store", 8), at)

    def _catch_up(self, f: Func) -> None:
        """Come to the end of waits that are over, if any were begun; ``_begin`` fills it in."""
        if self._passed is None:
            self._passed = self.code.module.func()
        f.call(self._passed.index)

    def wait(self, f: Func, reply: Wait) -> None:
        """Wait for as long as it is from our time to the argument, and remember when."""
        how_long, host = Local(f.local("i64")), Local(f.local("i64"))
        f.get(0)
        f.set(how_long)
        if reply.until:
            self._length(f, how_long)
        f.call(self.code.hosts[reply.now])
        f.set(host)
        self._begin(f, reply, how_long, host)
        if reply.until:
            _sum(f, host, how_long)
        else:
            f.get(0)
        f.call(self.code.hosts[reply.host])

    def _length(self, f: Func, how_long: int) -> None:
        """From our time to the instant in the local, 0 where that has passed."""
        now = f.local("i64")
        f.global_get(self.time)
        f.i64(BEGIN)
        put(f, "i64.add")
        f.set(now)
        f.i64(0)
        f.get(how_long)
        f.get(now)
        put(f, "i64.sub")
        f.get(how_long)
        f.get(now)
        put(f, "i64.lt_u", "select")
        f.set(how_long)

    def _begin(self, f: Func, reply: Wait, how_long: int, host: int) -> None:
        """Keep a wait."""
        self._write_passed(reply.now)
        slot = Local(f.local("i32"))
        f.global_get(self._slot)
        f.tee(slot)
        put(f, 1, "i32.add", _WAITS - 1, "i32.and")
        f.global_set(self._slot)
        put(f, slot, _WAIT, "i32.mul", self._table, "i32.add")
        f.tee(slot)
        _sum(f, host, how_long)
        put(f, ("i64.store", 0), slot)
        ours = f.local("i64")
        f.global_get(self.time)
        f.set(ours)
        _sum(f, ours, how_long)
        put(f, ("i64.store", 8), 1)
        f.global_set(self._open)

    def _write_passed(self, now: str) -> None:
        """The body of what every reading begins with: nothing where nobody waits."""
        if self._table >= 0:
            return
        self._table = self.code.image.alloc(8, _WAITS * _WAIT)
        if self._passed is None:
            self._passed = self.code.module.func()
        f = self._passed
        host, at, left = f.local("i64"), Local(f.local("i32")), Local(f.local("i32"))
        f.global_get(self._open)
        put(f, "i32.eqz")
        with f.if_():
            put(f, "return")
        f.call(self.code.hosts[now])
        f.set(host)
        put(f, 0)
        f.global_set(self._open)
        put(f, self._table)
        f.set(at)
        put(f, _WAITS)
        f.set(left)
        with f.loop() as again:
            put(f, at, ("i64.load", 0), "i64.eqz")
            with f.if_():
                f.else_()
                self._one(f, at, host)
            put(f, at, _WAIT, "i32.add")
            f.set(at)
            put(f, left, 1, "i32.sub")
            f.tee(left)
            f.br_if(again)

    def _one(self, f: Func, at: Local, host: int) -> None:
        """A wait that is over ends, another keeps the table open."""
        put(f, at, ("i64.load", 0))
        f.get(host)
        put(f, "i64.gt_u")
        with f.if_():
            put(f, 1)
            f.global_set(self._open)
            f.else_()
            put(f, at)
            f.i64(0)
            put(f, ("i64.store", 0), at, ("i64.load", 8))
            f.global_get(self.time)
            put(f, at, ("i64.load", 8))
            f.global_get(self.time)
            put(f, "i64.gt_u", "select")
            f.global_set(self.time)


def _sum(f: Func, a: int, b: int) -> None:
    """Leave the sum of two locals, at most the largest there is."""
    f.i64(_FOREVER)
    for local in (a, b):
        f.get(local)
    put(f, "i64.add")
    for local in (a, b):
        f.get(local)
    put(f, "i64.add")
    f.get(a)
    put(f, "i64.lt_u", "select")
