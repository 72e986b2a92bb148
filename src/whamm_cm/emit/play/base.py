"""The core module that a player stands on: what has to be there before types and functions are.

Imports ``data.memory``.  Exports ``realloc``, which takes free memory behind the data, ``free``, by
which all of that is free again, ``drop``, a destructor, and the ``table`` whose first function that
calls.
"""

from __future__ import annotations

from whamm_cm.emit.play.layout import HEAP
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType


def base() -> bytes:
    module = Module()
    module.import_memory("data", "memory", MemoryType(1))
    table = module.table(1, 1)
    module.export_table("table", table)
    bump = module.global_("i32", 0)
    free = module.func()
    free.i32(0)
    free.memory_op("i32.load", HEAP)
    free.global_set(bump)
    drop = module.func(("i32",))
    drop.get(0)
    drop.i32(0)
    drop.call_indirect(module.type_index(("i32",), ()), table)
    realloc = _write_realloc(module, bump)
    for name, index in (("free", free.index), ("drop", drop.index), ("realloc", realloc)):
        module.export_func(name, index)
    module.start(free.index)
    return module.encode()


def memory_of(size: int) -> MemoryType:
    """One that ``size`` bytes fit into."""
    return MemoryType((size >> 16) + 1)


def _write_realloc(module: Module, bump: int) -> int:
    """(old, old size, alignment, size): what was allocated last grows where it is."""
    f = module.func(("i32",) * 4, ("i32",))
    start, end = f.local("i32"), f.local("i32")
    f.get(0)
    f.set(start)
    f.get(0)
    f.get(1)
    f.op("i32.add")
    f.global_get(bump)
    f.op("i32.ne")
    f.get(1)
    f.op("i32.eqz", "i32.or")
    with f.if_():
        f.global_get(bump)
        f.get(2)
        f.op("i32.add")
        f.i32(1)
        f.op("i32.sub")
        f.i32(0)
        f.get(2)
        f.op("i32.sub", "i32.and")
        f.set(start)
    f.get(start)
    f.get(3)
    f.op("i32.add")
    f.tee(end)
    f.global_set(bump)
    _write_grow(f, end)
    f.get(start)
    f.get(0)
    f.op("i32.ne")
    with f.if_():
        f.get(start)
        f.get(0)
        f.get(1)
        f.get(3)
        f.get(1)
        f.get(3)
        f.op("i32.lt_u", "select")
        f.memory_copy(0, 0)
    f.get(start)
    return f.index


def _write_grow(f: Func, end: int) -> None:
    for_pages = f.local("i32")
    f.get(end)
    f.i32(0xFFFF)
    f.op("i32.add")
    f.i32(16)
    f.op("i32.shr_u")
    f.memory_size(0)
    f.op("i32.sub")
    f.tee(for_pages)
    f.i32(0)
    f.op("i32.gt_s")
    with f.if_():
        f.get(for_pages)
        f.code += b"\x40\0"
        f.i32(0)
        f.op("i32.lt_s")
        with f.if_():
            f.op("unreachable")
