"""What scripts ask of the world outside: the time, and numbers drawn by chance.

Where a component may not call out (``libs.guard``) a clock reads what it read last.
"""

from __future__ import annotations

from collections.abc import Collection

from whamm_cm.emit.libglue import GUARD, INSIDE
from whamm_cm.wasm.asm import Func, Module

#: Functions of scripts that the monotonic clock is asked for, and the wall clock.
CLOCKED, WALL = frozenset(("now", "rand")), frozenset(("wall",))
#: What the numbers are drawn from where there is no clock, and the steps of SplitMix64.
_SEED = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def build_clocks(asked: Collection[str], source: str, *, now: bool, guard: bool) -> bytes:
    """Exports ``asked`` of :data:`~whamm_cm.emit.script.env.OUTSIDE`, and ``inside``.

    ``now``: ``source`` has the monotonic clock of that name; what ``wall`` asks is there always.
    ``guard``: ``guard.inside`` is set where nothing outside may be called.
    """
    module = Module()
    clock = module.import_func(source, "now", (), ("i64",)) if now else None
    wall = module.import_func(source, "wall", (), ("i64",)) if "wall" in asked else None
    clocked = now or wall is not None
    inside = module.import_global(GUARD, INSIDE, "i32") if guard and clocked else None
    if inside is not None:
        module.export_global(INSIDE, inside)
    read = _clock(module, clock, inside)
    if "now" in asked:
        module.export_func("now", read.index)
    if wall is not None:
        module.export_func("wall", _clock(module, wall, inside).index)
    if "rand" in asked:
        module.export_func("rand", _rand(module, read).index)
    return module.encode()


def _clock(module: Module, clock: int | None, inside: int | None) -> Func:
    last = module.global_("i64", 0)
    f = module.func((), ("i64",))
    if inside is not None:
        f.global_get(inside)
        f.op("i32.eqz")
    else:
        f.i32(int(clock is not None))
    with f.if_():
        if clock is not None:
            f.call(clock)
            f.global_set(last)
    f.global_get(last)
    return f


def _rand(module: Module, clock: Func) -> Func:
    """SplitMix64, of which the upper half is given; it begins where the clock stands."""
    state, begun = module.global_("i64", _signed(_SEED)), module.global_("i32", 0)
    f = module.func((), ("i32",))
    value = f.local("i64")
    f.global_get(begun)
    f.op("i32.eqz")
    with f.if_():
        f.i32(1)
        f.global_set(begun)
        f.call(clock.index)
        f.global_get(state)
        f.op("i64.xor")
        f.global_set(state)
    f.global_get(state)
    f.i64(_signed(_SEED))
    f.op("i64.add")
    f.global_set(state)
    f.global_get(state)
    f.set(value)
    for shift, factor in _MIX:
        f.get(value)
        f.get(value)
        f.i64(shift)
        f.op("i64.shr_u", "i64.xor")
        f.i64(_signed(factor))
        f.op("i64.mul")
        f.set(value)
    f.get(value)
    f.get(value)
    f.i64(31)
    f.op("i64.shr_u", "i64.xor")
    f.i64(32)
    f.op("i64.shr_u", "i32.wrap_i64")
    return f


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
