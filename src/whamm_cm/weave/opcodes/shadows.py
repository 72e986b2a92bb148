"""The code of the shadows of tables: functions of the guest that make, read and change them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.entries import Element
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import TableType
from whamm_cm.weave.opcodes.constants import constant_of, function_of, global_of
from whamm_cm.weave.opcodes.imports import Imports

RUNTIME = ("alloc", "free", "ld32", "st32")
UNKNOWN = -1
#: Entries of a table beyond which it has no shadow.
_MOST = 1 << 22


def table_size(table: int) -> bytes:
    return b"\xfc\x10" + unsigned(table)


def clamp(f: Func, kind: str) -> None:
    """An index on the stack as i32; what is too large for that becomes the largest."""
    if kind == "i64":
        index = f.local("i64")
        f.set(index)
        f.get(index)
        f.i64(0xFFFFFFFF)
        f.get(index)
        f.i64(0xFFFFFFFF)
        f.op("i64.lt_u", "select", "i32.wrap_i64")


def items_of(module: CoreModule, segment: Element) -> tuple[int, ...]:
    """The functions of a segment, -1 for what is not known."""
    if segment.functions is not None:
        return segment.functions
    return tuple(function_of(module, expr) for expr in segment.exprs or ())


@dataclass(slots=True)
class Shadow:
    """``base`` and ``size``: globals of the guest; functions are made when first asked for."""

    table: int
    type: TableType
    base: int
    size: int
    functions: dict[str, int] = field(default_factory=dict)

    @property
    def index(self) -> str:
        return "i64" if self.type.is64 else "i32"


@dataclass(slots=True)
class ShadowCode:
    """Functions are made when first asked for, after the last import."""

    imports: Imports
    shadows: dict[int, Shadow] = field(default_factory=dict)
    #: Segments of which it matters whether they are dropped: a global each.
    gone: dict[int, int] = field(default_factory=dict)

    @property
    def module(self) -> CoreModule:
        return self.imports.edit.module

    def dropped(self, segment: int) -> int:
        """The global that says whether a segment is gone; only passive ones last."""
        if segment not in self.gone:
            gone = self.module.elements[segment].mode != "passive"
            self.gone[segment] = self.imports.edit.add_global("i32", int(gone))
        return self.gone[segment]

    def look(self, table: int) -> int:
        """(index) -> the function there, -1 if unknown."""
        shadow = self.shadows[table]

        def write(f: Func) -> None:
            f.call(self._sync_function(shadow))
            f.get(0)
            f.global_get(shadow.size)
            f.op("i32.lt_u")
            with f.if_("i32"):
                self._entry(f, shadow, 0)
                f.call(self._runtime("ld32"))
                f.else_()
                f.i32(UNKNOWN)

        return self._function(shadow, "look", 1, write, ("i32",))

    def _runtime(self, name: str) -> int:
        return self.imports.function(self.imports.unit.runtime(name))

    def _function(
        self,
        shadow: Shadow,
        name: str,
        params: int,
        write: Callable[[Func], None],
        results: tuple[str, ...] = (),
    ) -> int:
        if name not in shadow.functions:
            edit, kinds = self.imports.edit, ("i32",) * params
            f = Func(0, 0, kinds)
            write(f)
            index = edit.add_func(edit.type_index(kinds, results), f.encode())
            edit.name_func(index, f"whamm-cm:table {shadow.table} {name}")
            shadow.functions[name] = index
        return shadow.functions[name]

    def _entry(self, f: Func, shadow: Shadow, index: int) -> None:
        """Push the address of an entry."""
        f.global_get(shadow.base)
        f.get(index)
        f.i32(2)
        f.op("i32.shl", "i32.add")

    def _inside(self, f: Func, size: Callable[[], None], start: int, count: int) -> None:
        """Push whether a range is inside."""
        f.get(count)
        size()
        f.op("i32.le_u")
        f.get(start)
        size()
        f.get(count)
        f.op("i32.sub", "i32.le_u", "i32.and")

    def _sync_function(self, shadow: Shadow) -> int:
        """() -> (): the shadow is there and as large as the table."""

        def write(f: Func) -> None:
            size = f.local("i32")
            f.code += table_size(self.imports.edit.final_table(shadow.table))
            clamp(f, shadow.index)
            f.set(size)
            f.get(size)
            f.global_get(shadow.size)
            f.op("i32.gt_u")
            f.get(size)
            f.i32(_MOST)
            f.op("i32.le_u", "i32.and")
            with f.if_():
                f.get(size)
                f.call(self._larger_function(shadow))

        return self._function(shadow, "sync", 0, write)

    def _larger_function(self, shadow: Shadow) -> int:
        """(size) -> (): make the shadow, or a larger one."""

        def write(f: Func) -> None:
            new, i = f.local("i32"), f.local("i32")
            f.get(0)
            f.i32(2)
            f.op("i32.shl")
            f.call(self._runtime("alloc"))
            f.tee(new)
            f.op("i32.eqz")
            with f.if_():
                f.op("return")
            with _counted(f, i, 0):
                f.get(new)
                f.get(i)
                f.i32(2)
                f.op("i32.shl", "i32.add")
                f.get(i)
                f.global_get(shadow.size)
                f.op("i32.lt_u")
                with f.if_("i32"):
                    self._entry(f, shadow, i)
                    f.call(self._runtime("ld32"))
                    f.else_()
                    self._first_value(f, shadow, i)
                f.call(self._runtime("st32"))
            old = f.local("i32")
            f.global_get(shadow.base)
            f.set(old)
            f.get(new)
            f.global_set(shadow.base)
            f.get(0)
            f.global_set(shadow.size)
            f.get(old)
            with f.if_():
                f.get(old)
                f.call(self._runtime("free"))
                f.else_()
                self._segments(f, shadow)

        return self._function(shadow, "larger", 1, write)

    def _first_value(self, f: Func, shadow: Shadow, index: int) -> None:
        """Push what the table's initialiser puts at an index."""
        module = self.module
        position = shadow.table - len(module.imported("table"))
        init = module.tables[position].init if position >= 0 else None
        fid = UNKNOWN if init is None else function_of(module, init)
        f.i32(fid)
        if fid != UNKNOWN:
            f.i32(UNKNOWN)
            f.get(index)
            f.i32(shadow.type.min)
            f.op("i32.lt_u", "select")

    def _segments(self, f: Func, shadow: Shadow) -> None:
        """Apply the active segments of the table, where their offsets can be told."""
        start, count = f.local("i32"), f.local("i32")
        for segment in self.module.elements:
            if segment.mode != "active" or segment.table != shadow.table:
                continue
            assert segment.offset is not None
            offset, moved = constant_of(segment.offset), global_of(segment.offset)
            items = items_of(self.module, segment)
            if offset is not None and offset < 1 << 32:
                f.i32(offset)
            elif moved is not None:
                f.global_get(self.imports.edit.final_global(moved))
                clamp(f, shadow.index)
            else:
                continue
            f.set(start)
            f.i32(len(items))
            f.set(count)
            self._inside(f, lambda: f.global_get(shadow.size), start, count)
            with f.if_():
                self._load(f, shadow, start, count, self._items(items))

    def _items(self, items: Sequence[int]) -> int:
        """The address of functions as an array."""
        return self.imports.unit.data(struct.pack(f"<{len(items)}i", *items))

    def _load(
        self,
        f: Func,
        shadow: Shadow,
        start: int,
        count: int,
        address: int,
        skip: int | None = None,
    ) -> None:
        """Copy ``count`` functions at ``address`` (behind the first ``skip``) into the shadow."""
        i = f.local("i32")
        with _counted(f, i, count):
            self._entry(f, shadow, start)
            f.get(i)
            f.i32(2)
            f.op("i32.shl", "i32.add")
            f.get(i)
            if skip is not None:
                f.get(skip)
                f.op("i32.add")
            f.i32(2)
            f.op("i32.shl")
            f.i32(address)
            f.op("i32.add")
            f.call(self._runtime("ld32"))
            f.call(self._runtime("st32"))

    def fill_function(self, shadow: Shadow) -> int:
        """(start, count, function) -> (); nothing when that is not inside."""

        def write(f: Func) -> None:
            i = f.local("i32")
            f.call(self._sync_function(shadow))
            self._inside(f, lambda: f.global_get(shadow.size), 0, 1)
            with f.if_(), _counted(f, i, 1):
                self._entry(f, shadow, 0)
                f.get(i)
                f.i32(2)
                f.op("i32.shl", "i32.add")
                f.get(2)
                f.call(self._runtime("st32"))

        return self._function(shadow, "fill", 3, write)

    def grown_function(self, shadow: Shadow) -> int:
        """(old size or -1, function) -> ()"""

        def write(f: Func) -> None:
            f.call(self._sync_function(shadow))
            f.get(0)
            f.global_get(shadow.size)
            f.op("i32.lt_u")
            with f.if_():
                f.get(0)
                f.global_get(shadow.size)
                f.get(0)
                f.op("i32.sub")
                f.get(1)
                f.call(self.fill_function(shadow))

        return self._function(shadow, "grown", 2, write)

    def init_function(self, shadow: Shadow, segment: int) -> int:
        """(start, first item, count) -> ()"""
        items = items_of(self.module, self.module.elements[segment])

        def length(f: Func) -> None:
            f.i32(0)
            f.i32(len(items))
            f.global_get(self.dropped(segment))
            f.op("select")

        def write(f: Func) -> None:
            f.call(self._sync_function(shadow))
            self._inside(f, lambda: f.global_get(shadow.size), 0, 2)
            self._inside(f, lambda: length(f), 1, 2)
            f.op("i32.and")
            with f.if_():
                self._load(f, shadow, 0, 2, self._items(items), 1)

        return self._function(shadow, f"init {segment}", 3, write)

    def copy_function(self, to: Shadow, source: Shadow) -> int:
        """(start, first, count) -> (); ranges may overlap."""

        def write(f: Func) -> None:
            i, k = f.local("i32"), f.local("i32")
            f.call(self._sync_function(to))
            f.call(self._sync_function(source))
            self._inside(f, lambda: f.global_get(to.size), 0, 2)
            self._inside(f, lambda: f.global_get(source.size), 1, 2)
            f.op("i32.and")
            with f.if_(), _counted(f, i, 2):
                # from the end when the target lies behind the source
                f.get(2)
                f.get(i)
                f.op("i32.sub")
                f.i32(1)
                f.op("i32.sub")
                f.get(i)
                f.get(0)
                f.get(1)
                f.op("i32.gt_u", "select")
                f.set(k)
                for shadow, start in ((to, 0), (source, 1)):
                    self._entry(f, shadow, start)
                    f.get(k)
                    f.i32(2)
                    f.op("i32.shl", "i32.add")
                f.call(self._runtime("ld32"))
                f.call(self._runtime("st32"))

        return self._function(to, f"copy {source.table}", 3, write)


class _counted:
    """A loop: local ``i`` from 0 as long as it is less than local ``count``."""

    def __init__(self, f: Func, i: int, count: int) -> None:
        self.f, self.i, self.count = f, i, count

    def __enter__(self) -> None:
        f = self.f
        f.i32(0)
        f.set(self.i)
        self.done, self.again = f.block(), f.loop()
        self.done.__enter__()
        self.again.__enter__()
        f.get(self.i)
        f.get(self.count)
        f.op("i32.ge_u")
        f.br_if(self.done)

    def __exit__(self, *error: object) -> None:
        f = self.f
        f.get(self.i)
        f.i32(1)
        f.op("i32.add")
        f.set(self.i)
        f.br(self.again)
        self.again.__exit__(None, None, None)
        self.done.__exit__(None, None, None)
