"""What lets a woven guest report while it runs: a beat now and then, and last words.

Functions with probes count down at their entry and at each round of their loops; at zero they call
``tick`` of the script unit, which says when the next call is due.  Before every ``unreachable`` of
the module stands a call of ``last``: nothing is lost to a panic, and what never runs costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.events import opcodes_of
from whamm_cm.wasm import snippets as code
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.rewrite import Piece
from whamm_cm.weave.opcodes.inject import FunctionEditor

TICK, LAST = "tick", "last"
#: Entries of the table that binders fill: what reports a cell, and the two functions.
CELL, TICK_SLOT, LAST_SLOT, SLOTS = 0, 1, 2, 3
#: Rounds until an unbound guest asks again.
_UNBOUND = 64
_LOOPS, _ENDS = frozenset(opcodes_of("loop")), frozenset(opcodes_of("unreachable"))
_CALLS = frozenset(
    each for name in ("call", "call_indirect", "call_ref") for each in opcodes_of(name)
)
_SUB, _EQZ = b"\x6b", b"\x45"


class Wanted(Protocol):
    """What is wanted of it."""

    @property
    def beats(self) -> bool: ...
    @property
    def last_words(self) -> bool: ...
    @property
    def each(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Beat:
    """``pulse`` and ``last`` are code that takes and leaves nothing; ``each``: there is a pulse
    before every call, too, which may be the guest's last."""

    pulse: bytes
    last: bytes
    each: bool = False

    @classmethod
    def make(cls, edit: ModuleEdit, unit: str | None, table: int | None, wanted: Wanted) -> Beat:
        """The functions are imported from ``unit``, else they are called through ``table`` once it
        is filled.  What is not wanted is no code."""
        if unit is not None:
            direct = edit.import_func(unit, TICK, (), ("i32",))
            last = edit.import_func(unit, LAST, (), ())
        fuel = edit.add_global("i32", 1)
        plain = edit.type_index((), ())
        f, g = Func(0, 0, ()), Func(0, 0, ())
        if unit is not None:
            f.call(direct)
        else:
            assert table is not None, "there is a way to the unit"
            _unless_bound(f, table, TICK_SLOT, code.i32_const(_UNBOUND) + code.global_set(fuel))
            f.i32(TICK_SLOT)
            f.call_indirect(edit.type_index((), ("i32",)), table)
            _unless_bound(g, table, LAST_SLOT, b"")
            g.i32(LAST_SLOT)
            g.call_indirect(plain, table)
            last = edit.add_func(plain, g.encode())
        f.global_set(fuel)
        tick = edit.add_func(plain, f.encode())
        left = code.global_get(fuel) + code.i32_const(1) + _SUB + code.global_set(fuel)
        pulse = left + code.when(code.global_get(fuel) + _EQZ, code.call(tick))
        return cls(
            pulse if wanted.beats else b"",
            code.call(last) if wanted.last_words else b"",
            wanted.each,
        )

    def into(self, editor: FunctionEditor, replaced: Iterable[int]) -> None:
        """Into a function with probes; those at ``replaced`` stand for the instruction."""
        editor.add(0, "func_entry", self.pulse)
        gone = frozenset(replaced)
        for opidx, (_, opcode, _) in enumerate(editor.info.steps):
            if opcode in _LOOPS:
                editor.add(opidx, "entry", self.pulse)
            elif opcode in _ENDS and opidx not in gone:
                editor.add(opidx, "last", self.last)
            elif self.each and opcode in _CALLS and opidx not in gone:
                editor.add(opidx, "last", self.pulse)

    def last_words(self, editor: FunctionEditor) -> None:
        """Into a function without probes."""
        for opidx, (_, opcode, _) in enumerate(editor.info.steps):
            if opcode in _ENDS:
                editor.add(opidx, "last", self.last)


def _unless_bound(f: Func, table: int, slot: int, instead: bytes) -> None:
    f.i32(slot)
    f.table_get(table)
    f.ref_is_null()
    with f.if_():
        f.code += instead
        f.op("return")


def endings(module: CoreModule, indices: Sequence[int] | None = None) -> dict[int, list[int]]:
    """The positions of ``unreachable`` in each function (of ``indices``) that has some."""
    chosen = range(len(module.bodies)) if indices is None else indices
    found = module.find(_ENDS, chosen).by_span()
    return {chosen[place]: [pos for pos, _, _ in steps] for place, steps in found}


def pieces(module: CoreModule, index: int, added: Iterable[tuple[int, bytes]]) -> list[Piece]:
    """A function's code with more at positions, which come in order."""
    result: list[Piece] = []
    body = module.bodies[index]
    start = body.code
    for pos, text in added:
        if start < pos:
            result.append((start, pos))
        result.append(text)
        start = pos
    result.append((start, body.end))
    return result
