"""The function of a woven guest that reports its counters."""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.codegen.asm import Func
from whamm_cm.weave.modules.edit import ModuleEdit
from whamm_cm.weave.opcodes.env import Imports
from whamm_cm.weave.opcodes.rows import Pushed

#: Counters per function: engines limit the size of a body.
_CHUNK = 10_000
_AS_I64 = {
    "i32": ("i64.extend_i32_u",),
    "i64": (),
    "f32": ("i32.reinterpret_f32", "i64.extend_i32_u"),
    "f64": ("i64.reinterpret_f64",),
}


def push_functions(edit: ModuleEdit, imports: Imports, pushed: Sequence[Pushed], name: str) -> bool:
    """Add an exported function ``name`` that hands every counter to the script unit; False, and
    none, where there are no counters."""
    if not pushed:
        return False
    report = imports.function(imports.unit.runtime("report_cell"))
    type_index = edit.type_index((), ())
    chunks = []
    for start in range(0, len(pushed), _CHUNK):
        f = Func(0, 0, ())
        for counter in pushed[start : start + _CHUNK]:
            f.i32(counter.row)
            f.i64(counter.number)
            f.i32(imports.unit.last_index())
            f.i32(counter.size)
            f.global_get(counter.index)
            f.op(*_AS_I64[counter.kind])
            f.call(report)
        chunks.append(edit.add_func(type_index, f.encode()))
    entry = Func(0, 0, ())
    for chunk in chunks:
        entry.call(chunk)
    index = edit.add_func(type_index, entry.encode())
    edit.name_func(index, name)
    edit.add_export(name, "func", index)
    return True
