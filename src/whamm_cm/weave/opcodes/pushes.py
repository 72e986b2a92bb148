"""The function of a woven guest that hands over what its globals count.

It puts their values into the state memory of the script unit, which reports them from there.  It
does so through a table of its own, which whoever instantiates the guest fills: so a guest that only
counts needs no import, and nothing in it is renumbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from itertools import groupby

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.env import RUNTIME
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import unsigned

#: Counters per function: engines limit the size of a body, and wasmtime 47 dies of one that reads
#: more than some 65,000 globals.
_CHUNK = 20_000
#: Values that are handed over by one call.
_MANY = 64
_AS_I64 = {
    "i32": b"\xad",  # i64.extend_i32_u
    "i64": b"",
    "f32": b"\xbc\xad",  # i32.reinterpret_f32, i64.extend_i32_u
    "f64": b"\xbd",  # i64.reinterpret_f64
}
_GET, _CALL = b"\x23", b"\x10"


@dataclass(slots=True)
class Pushes:
    """Globals of a guest that hold counters: where each is to be put, and the code that pushes its
    value as an i64, in order of addresses."""

    addresses: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.addresses)

    def add(self, address: int, kind: str, index: int) -> None:
        self.addresses.append(address)
        self.values.append(_GET + unsigned(index) + _AS_I64[kind])

    def write(self, edit: ModuleEdit, name: str, table: int | None = None) -> bool:
        """Add an exported function ``name`` that hands every counter to what is in the first entry
        of the table exported under that name with ``?``; False, and none, without counters.
        ``table``: that one, if it is there already."""
        if not self.addresses:
            return False
        if table is None:
            table = edit.add_table(b"\x70\0\1")
        at = edit.add_global("i32", 0)
        plain = edit.type_index((), ())
        one = _one(edit, table, at)
        many = _many(edit, one)
        entry = Func(0, 0, ())
        for start in range(0, len(self.addresses), _CHUNK):
            f = Func(0, 0, ())
            part = range(start, min(start + _CHUNK, len(self.addresses)))
            for _, run in groupby(part, lambda k: self.addresses[k] - 8 * k):
                self._run(f, list(run), at, one, many)
            entry.call(edit.add_func(plain, f.encode()))
        push = edit.add_func(plain, entry.encode())
        edit.name_func(push, name)
        edit.add_export(name, "func", push)
        edit.add_export(name + "?", "table", table)
        return True

    def _run(self, f: Func, run: Sequence[int], at: int, one: int, many: int) -> None:
        """Counters whose places lie one behind the other."""
        f.i32(self.addresses[run[0]])
        f.global_set(at)
        whole = len(run) - len(run) % _MANY
        for start in range(run[0], run[0] + whole, _MANY):
            f.code += b"".join(self.values[start : start + _MANY])
            f.call(many)
        call = _CALL + unsigned(one)
        f.code += b"".join([self.values[k] + call for k in run[whole:]])


def _one(edit: ModuleEdit, table: int, at: int) -> int:
    """(value) -> (): put it where the global ``at`` says, which goes on to the next place."""
    f = Func(0, 0, ("i64",))
    f.global_get(at)
    f.get(0)
    f.i32(0)
    f.call_indirect(edit.type_index(*RUNTIME["st64"]), table)
    f.global_get(at)
    f.i32(8)
    f.op("i32.add")
    f.global_set(at)
    return edit.add_func(edit.type_index(("i64",), ()), f.encode())


def _many(edit: ModuleEdit, one: int) -> int:
    """The same for many values, the first one first."""
    f = Func(0, 0, ("i64",) * _MANY)
    for local in range(_MANY):
        f.get(local)
        f.call(one)
    return edit.add_func(edit.type_index(("i64",) * _MANY, ()), f.encode())
