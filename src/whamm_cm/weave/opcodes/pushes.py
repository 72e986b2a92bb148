"""The function of a woven guest that reports its counters.

It calls the script unit through a table of its own, which whoever instantiates the guest fills, so
that a guest that only counts needs no import: nothing in it is renumbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from whamm_cm.binary.leb import unsigned
from whamm_cm.codegen.asm import Func
from whamm_cm.weave.modules.edit import ModuleEdit
from whamm_cm.weave.opcodes.unit import Unit

#: Counters per function: engines limit the size of a body, and wasmtime 47 dies of one that reads
#: more than some 65,000 globals.
_CHUNK = 20_000
_REPORT_CELL = ("i32", "i64", "i32", "i32", "i64"), ()
_AS_I64 = {
    "i32": ("i64.extend_i32_u",),
    "i64": (),
    "f32": ("i32.reinterpret_f32", "i64.extend_i32_u"),
    "f64": ("i64.reinterpret_f64",),
}
_GET, _CALL = b"\x23", b"\x10"


@dataclass(slots=True)
class Pushes:
    """Globals of a guest (their indices, encoded) that hold counters, with their numbers in a row,
    by (row, core type, bytes of the value)."""

    groups: dict[tuple[int, str, int], tuple[list[int], list[bytes]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(numbers) for numbers, _ in self.groups.values())

    def add(self, row: int, kind: str, size: int, number: int, index: int) -> None:
        self.extend(row, kind, size, (number,), (unsigned(index),))

    def extend(
        self, row: int, kind: str, size: int, numbers: Sequence[int], indices: Sequence[bytes]
    ) -> None:
        group = self.groups.setdefault((row, kind, size), ([], []))
        group[0].extend(numbers)
        group[1].extend(indices)

    def write(self, edit: ModuleEdit, unit: Unit, name: str, table: int | None = None) -> bool:
        """Add an exported function ``name`` that hands every counter to what is in the first entry
        of the table exported under that name with ``?``; False, and none, without counters.
        ``table``: that one, if it is there already."""
        if not self.groups:
            return False
        if table is None:
            table = edit.add_table(b"\x70\0\1")
        number = edit.add_global("i32", 0)
        plain = edit.type_index((), ())
        entry = Func(0, 0, ())
        for (row, kind, size), (numbers, indices) in self.groups.items():
            least = min(numbers)
            index = unit.last_indices(max(numbers) + 1 - least) - least
            one = _one(edit, table, number, (row, kind, size), index)
            for code in _chunks(numbers, indices, number, one):
                f = Func(0, 0, ())
                f.code += code
                entry.call(edit.add_func(plain, f.encode()))
        push = edit.add_func(plain, entry.encode())
        edit.name_func(push, name)
        edit.add_export(name, "func", push)
        edit.add_export(name + "?", "table", table)
        return True


def _one(edit: ModuleEdit, table: int, number: int, group: tuple[int, str, int], index: int) -> int:
    """(value) -> (): report it under the global ``number``, and go on to the next one."""
    row, kind, size = group
    f = Func(0, 0, (kind,))
    f.i32(row)
    f.global_get(number)
    f.op("i64.extend_i32_u")
    f.global_get(number)
    f.i32(index)
    f.op("i32.add")
    f.i32(size)
    f.get(0)
    f.op(*_AS_I64[kind])
    f.i32(0)
    f.call_indirect(edit.type_index(*_REPORT_CELL), table)
    f.global_get(number)
    f.i32(1)
    f.op("i32.add")
    f.global_set(number)
    return edit.add_func(edit.type_index((kind,), ()), f.encode())


def _chunks(numbers: Sequence[int], indices: Sequence[bytes], number: int, one: int) -> list[bytes]:
    """The code that calls ``one`` for each, some of them at a time."""
    call, found = _CALL + unsigned(one), []
    for start in range(0, len(numbers), _CHUNK):
        part = range(start, min(start + _CHUNK, len(numbers)))
        f = Func(0, 0, ())
        for _, run in groupby(part, lambda at: numbers[at] - at):
            at = list(run)
            f.i32(numbers[at[0]])
            f.global_set(number)
            f.code += _GET + (call + _GET).join([indices[i] for i in at]) + call
        found.append(bytes(f.code))
    return found
