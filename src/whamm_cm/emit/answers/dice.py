"""Random numbers that are the same in every run: splitmix64, a row for each seed."""

from __future__ import annotations

from typing import Final

from whamm_cm.abi.flatten import flatten
from whamm_cm.abi.layout import layouts
from whamm_cm.emit.answers.code import Code, Local, put
from whamm_cm.emit.answers.model import Dice
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import ValType

_STEP: Final = 0x9E3779B97F4A7C15
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MASK: Final = (1 << 64) - 1
#: More bytes at once fit no memory.
_MOST: Final = 1 << 31


def row(seed: int, count: int) -> list[int]:
    """The first numbers of a seed, as the code below gives them."""
    found, state = [], seed & _MASK
    for _ in range(count):
        state = (state + _STEP) & _MASK
        mixed = state
        for shift, factor in _MIX:
            mixed = ((mixed ^ mixed >> shift) * factor) & _MASK
        found.append(mixed ^ mixed >> 31)
    return found


class Rolls:
    """Emits the functions that take from rows."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._next: dict[int, int] = {}

    def roll(self, f: Func, result: ValType, reply: Dice) -> None:
        """One number, or as many bytes as the parameter says, the lowest of each number first."""
        if flatten(result) == ("i64",):
            f.call(self._number(reply.seed))
            return
        at = self.code.image.alloc(8, layouts().info(result).size)
        start, to, end = (Local(f.local("i32")) for _ in range(3))
        f.get(0)
        f.i64(_MOST)
        put(f, "i64.gt_u")
        with f.if_():
            put(f, "unreachable")
        # Whole numbers are stored, so there is room for one more.
        put(f, 0, 0, 8)
        f.get(0)
        put(f, "i32.wrap_i64", 8, "i32.add")
        f.call(self.code.realloc)
        f.tee(start)
        f.tee(to)
        f.get(0)
        put(f, "i32.wrap_i64", "i32.add")
        f.set(end)
        with f.block() as done, f.loop() as again:
            put(f, to, end, "i32.ge_u")
            f.br_if(done)
            put(f, to)
            f.call(self._number(reply.seed))
            put(f, ("i64.store", 0), to, 8, "i32.add")
            f.set(to)
            f.br(again)
        put(f, at, start, ("i32.store", 0), at)
        f.get(0)
        put(f, "i32.wrap_i64", ("i32.store", 4))
        self.code.forget(f)
        put(f, at)

    def _number(self, seed: int) -> int:
        """() → the next number of that row."""
        if seed not in self._next:
            module = self.code.module
            state = module.global_("i64", seed & _MASK)
            f = module.func((), ("i64",))
            mixed = f.local("i64")
            f.global_get(state)
            f.i64(_STEP)
            put(f, "i64.add")
            f.tee(mixed)
            f.global_set(state)
            for shift, factor in _MIX:
                self._fold(f, mixed, shift)
                f.i64(factor)
                put(f, "i64.mul")
                f.set(mixed)
            self._fold(f, mixed, 31)
            self._next[seed] = f.index
        return self._next[seed]

    @staticmethod
    def _fold(f: Func, local: int, shift: int) -> None:
        f.get(local)
        f.get(local)
        f.i64(shift)
        put(f, "i64.shr_u", "i64.xor")
