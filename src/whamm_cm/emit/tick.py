"""What reports while the program runs: ``tick`` and ``last`` of the script unit.

``tick`` () -> i32 is called when a guest or a probe has counted down to zero, and answers how far
to count next: as far as takes between one and ten milliseconds where there is a clock.  Early on,
at the interval, and when the host asks for it (``ASK`` in the agent's state) it sends what the
script has counted; what was printed leaves at each tick.  ``last`` () does all that is done at the
end.
"""

from __future__ import annotations

from whamm_cm.agent.layout import Flush
from whamm_cm.emit.libglue import INSIDE
from whamm_cm.wasm.asm import Func, Module

#: Ticks that report in any case: with a count that doubles each time, they are soon over.
_EARLY = 16
_MOST = 1 << 20
#: Without a clock a report is sent every so many ticks.
_SELDOM = 64
#: Rounds until the next try where nothing may leave.
_LATER = 64
_SHORT_NS, _LONG_NS = 1_000_000, 10_000_000


def build_tick(
    interval_ns: int, unit: str, way: str, *, each: bool, clock: str, guard: str, beat: str = ""
) -> bytes:
    """Imports of ``unit`` progress and report, of ``way`` flush, of ``agent`` asked and said, with
    ``clock`` its ``now``, with ``guard`` its ``inside``: where it is set nothing may leave.
    ``each``: every count is a tick.  ``beat``: what of ``unit`` is told the time at each."""
    module = Module()
    t = _Tick(module, (unit, way), interval_ns, each, clock, guard)
    t.beat = module.import_func(unit, beat, ("i64",)) if beat else None
    module.export_func("tick", t.tick().index)
    module.export_func("last", t.last().index)
    return module.encode()


def no_tick() -> bytes:
    """The same where nothing ever leaves."""
    module = Module()
    f = module.func((), ("i32",))
    f.i32(_MOST)
    module.export_func("tick", f.index)
    module.export_func("last", module.func().index)
    return module.encode()


class _Tick:
    def __init__(
        self,
        module: Module,
        names: tuple[str, str],
        interval_ns: int,
        each: bool,
        clock: str,
        guard: str,
    ) -> None:
        self.module, self.interval, self.each = module, interval_ns, each
        unit, way = names
        self.progress = module.import_func(unit, "progress")
        self.report = module.import_func(unit, "report")
        self.flush = module.import_func(way, "flush", ("i32",))
        self.asked = module.import_func("agent", "asked", (), ("i32",))
        self.said = module.import_func("agent", "said")
        self.now = module.import_func(clock, "now", (), ("i64",)) if clock else None
        self.inside = module.import_global(guard, INSIDE, "i32") if guard else None
        self.beat: int | None = None
        self.fuel = module.global_("i32", 1)
        self.ticks = module.global_("i32", 0)
        self.seen = module.global_("i64", 0)
        self.told = module.global_("i64", 0)

    def _unless_inside(self, f: Func, answer: int | None) -> None:
        if self.inside is None:
            return
        f.global_get(self.inside)
        with f.if_():
            if answer is not None:
                f.i32(answer)
            f.op("return")

    def tick(self) -> Func:
        f = self.module.func((), ("i32",))
        time = f.local("i64")
        self._unless_inside(f, _LATER)
        if self.now is not None:
            f.call(self.now)
            f.set(time)
        self._add(f, self.ticks)
        if self.beat is not None:
            f.get(time)
            f.call(self.beat)
        self._is_due(f, time)
        with f.if_():
            f.call(self.progress)
            if self.now is not None:
                f.get(time)
                f.global_set(self.told)
        f.i32(int(Flush.PUSH if self.each else Flush.PUSH | Flush.GOES_ON))
        f.call(self.flush)
        self._next(f, time)
        f.global_get(self.fuel)
        return f

    def _add(self, f: Func, index: int) -> None:
        f.global_get(index)
        f.i32(1)
        f.op("i32.add")
        f.global_set(index)

    def _is_due(self, f: Func, time: int) -> None:
        if self.each:
            f.i32(1)
            return
        f.global_get(self.ticks)
        f.i32(_EARLY)
        f.op("i32.le_u")
        f.call(self.asked)
        f.op("i32.or")
        if self.now is not None:
            f.get(time)
            f.global_get(self.told)
            f.op("i64.sub")
            f.i64(self.interval)
            f.op("i64.ge_u")
        else:
            f.global_get(self.ticks)
            f.i32(_SELDOM - 1)
            f.op("i32.and", "i32.eqz")
        f.op("i32.or")

    def _next(self, f: Func, time: int) -> None:
        """How far to count: twice as far, but with a clock no further than takes a moment."""
        if self.each:
            return
        if self.now is None:
            self._scale(f, "i32.shl", _MOST, "i32.lt_u")
            return
        f.get(time)
        f.global_get(self.seen)
        f.op("i64.sub")
        f.i64(_SHORT_NS)
        f.op("i64.lt_u")
        f.global_get(self.ticks)
        f.i32(2)
        f.op("i32.le_u", "i32.or")
        with f.if_():
            self._scale(f, "i32.shl", _MOST, "i32.lt_u")
            f.else_()
            f.get(time)
            f.global_get(self.seen)
            f.op("i64.sub")
            f.i64(_LONG_NS)
            f.op("i64.gt_u")
            with f.if_():
                self._scale(f, "i32.shr_u", 1, "i32.gt_u")
        f.get(time)
        f.global_set(self.seen)

    def _scale(self, f: Func, op: str, bound: int, compare: str) -> None:
        f.global_get(self.fuel)
        f.i32(bound)
        f.op(compare)
        with f.if_():
            f.global_get(self.fuel)
            f.i32(1)
            f.op(op)
            f.global_set(self.fuel)

    def last(self) -> Func:
        f = self.module.func()
        self._unless_inside(f, None)
        f.call(self.report)
        f.i32(int(Flush.PUSH))
        f.call(self.flush)
        f.call(self.said)
        return f
