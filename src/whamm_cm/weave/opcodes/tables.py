"""Shadows of tables: which function is at which index, as far as the module itself tells.

A shadow is an array of function numbers (those of the original module, -1 for unknown) in the
script's memory, one per table and instance.  It is made when first needed, from the table's
initialiser and the active segments, and grows with the table.  Instructions that change the table
keep it; what others put into a table that is imported or exported is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import TableType
from whamm_cm.wasm.valtypes import heap_of, nullable
from whamm_cm.weave.opcodes.imports import Here
from whamm_cm.weave.opcodes.inject import FunctionEditor
from whamm_cm.weave.opcodes.match import Firing
from whamm_cm.weave.opcodes.points import find_events
from whamm_cm.weave.opcodes.shadows import RUNTIME, UNKNOWN, Shadow, ShadowCode, clamp, table_size

_CHANGES = ("table.set", "table.fill", "table.copy", "table.init", "table.grow", "elem.drop")
#: Builtins and bound variables of events that look into a table.
LOOKS, FUNCREF = "resolve_funcref", "target_funcref"
_AS_NON_NULL = b"\xd4"


def table_of(info: FunctionInfo, opidx: int) -> int:
    """The table of ``call_indirect``, ``table.get`` and their like: the last immediate."""
    index = info.immediates(opidx)[-1]
    assert isinstance(index, int)
    return index


def target_funcref(env: Here, info: FunctionInfo, opidx: int) -> int:
    """The local that holds what the table of the site has at arg0, null beyond its end."""
    f, edit = env.f, env.imports.edit
    type_ = info.module.table_type(table_of(info, opidx))
    found = f.local("funcref")
    f.const("funcref", 0)
    f.set(found)
    if holds_functions(info.module, type_):
        table = edit.final_table(table_of(info, opidx))
        (index,) = env.saved["arg0"]
        f.get(index)
        f.code += table_size(table)
        f.op("i64.lt_u" if type_.is64 else "i32.lt_u")
        with f.if_():
            f.get(index)
            f.table_get(table)
            f.set(found)
    return found


def holds_functions(module: CoreModule, type_: TableType) -> bool:
    heap, _ = heap_of(type_.element) or ("", False)
    if heap.isdigit():
        return module.types[int(heap)].func is not None
    return heap in ("func", "nofunc")


@dataclass(slots=True)
class Shadows(ShadowCode):
    """The shadows of one module.  ``literal``: as whamm keeps them, which knows nothing of what
    ``table.fill`` and ``table.init`` write, nor of what ``table.grow`` does."""

    literal: bool = False
    wanted: dict[int, None] = field(default_factory=dict)
    changes: dict[int, tuple[FunctionInfo, list[int]]] = field(default_factory=dict)

    # --- what there is to do ---

    def declare(self, firing: Firing, info: FunctionInfo) -> None:
        """Note the table that a site looks into, and import what that takes."""
        if LOOKS in firing.left.builtins:
            if not self.wanted:
                for name in RUNTIME:
                    self.imports.function(self.imports.unit.runtime(name))
            self.wanted[table_of(info, firing.point.opidx)] = None

    def find(self) -> Iterable[int]:
        """The functions that change a shadowed table; no more imports from here on."""
        if not self.wanted:
            return ()
        events = [("opcode", name, "before") for name in _CHANGES]
        sites = [
            (info, point.opidx) for info, points in find_events(self.module, events)
            for point in points
        ]  # fmt: skip
        more = not self.literal
        while more:
            more = self._want_sources(sites)
        for table in self.wanted:
            add = self.imports.edit.add_global
            type_ = self.module.table_type(table)
            self.shadows[table] = Shadow(table, type_, add("i32", 0), add("i32", 0))
        for info, opidx in sites:
            if self._concerns(info, opidx):
                self.changes.setdefault(info.index, (info, []))[1].append(opidx)
        return self.changes

    def _want_sources(self, sites: Iterable[tuple[FunctionInfo, int]]) -> bool:
        """Shadow the tables that shadowed ones are copied from, too; whether there were any."""
        found = set()
        for info, opidx in sites:
            if info.mnemonic(opidx) == "table.copy":
                target, source = info.immediates(opidx)
                if target in self.wanted and source not in self.wanted:
                    assert isinstance(source, int)
                    found.add(source)
        self.wanted.update(dict.fromkeys(sorted(found)))
        return bool(found)

    def _concerns(self, info: FunctionInfo, opidx: int) -> bool:
        name, immediates = info.mnemonic(opidx), info.immediates(opidx)
        if name == "elem.drop":
            return not self.literal
        target = immediates[1] if name == "table.init" else immediates[0]
        return target in self.shadows and (name != "table.grow" or not self.literal)

    # --- code at instructions ---

    def keep(self, editor: FunctionEditor) -> None:
        """Put the code that keeps shadows into a function, behind the probes' there."""
        _, sites = self.changes.get(editor.info.index, (editor.info, []))
        for opidx in sites:
            _KEEPERS[editor.info.mnemonic(opidx)](self, editor, opidx)

    def _saved(
        self, editor: FunctionEditor, opidx: int, kinds: Sequence[str], emit: Callable[..., None]
    ) -> None:
        """``emit(f, locals)`` with the operands, of ``kinds`` from the bottom, in locals."""
        f = _Site(editor, opidx)
        held = [f.local(nullable(kind)) for kind in kinds]
        for local in reversed(held):
            f.set(local)
        emit(f, held)
        for local, kind in zip(held, kinds, strict=True):
            f.get(local)
            if nullable(kind) != kind:
                f.code += _AS_NON_NULL
        editor.add(opidx, "before", bytes(f.code))

    def _set(self, editor: FunctionEditor, opidx: int) -> None:
        shadow = self.shadows[_first(editor, opidx)]

        def emit(f: Func, held: Sequence[int]) -> None:
            f.get(held[0])
            clamp(f, shadow.index)
            f.i32(1)
            f.i32(_reference(editor.info, opidx - 1))
            f.call(self.fill_function(shadow))

        self._saved(editor, opidx, (shadow.index, shadow.type.element), emit)

    def _fill(self, editor: FunctionEditor, opidx: int) -> None:
        shadow = self.shadows[_first(editor, opidx)]

        def emit(f: Func, held: Sequence[int]) -> None:
            for local in (held[0], held[2]):
                f.get(local)
                clamp(f, shadow.index)
            f.i32(UNKNOWN if self.literal else _under_number(editor.info, opidx))
            f.call(self.fill_function(shadow))

        self._saved(editor, opidx, (shadow.index, shadow.type.element, shadow.index), emit)

    def _copy(self, editor: FunctionEditor, opidx: int) -> None:
        to, source = editor.info.immediates(opidx)
        assert isinstance(source, int)
        target, other = self.shadows[_first(editor, opidx)], self.shadows.get(source)
        source_kind = "i64" if self.module.table_type(source).is64 else "i32"
        count = "i64" if (target.index, source_kind) == ("i64", "i64") else "i32"

        def emit(f: Func, held: Sequence[int]) -> None:
            f.get(held[0])
            clamp(f, target.index)
            if other is not None:
                f.get(held[1])
                clamp(f, source_kind)
            f.get(held[2])
            clamp(f, count)
            if other is None:
                f.i32(UNKNOWN)
                f.call(self.fill_function(target))
            else:
                f.call(self.copy_function(target, other))

        self._saved(editor, opidx, (target.index, source_kind, count), emit)

    def _init(self, editor: FunctionEditor, opidx: int) -> None:
        segment, table = editor.info.immediates(opidx)
        assert isinstance(segment, int) and isinstance(table, int)
        shadow = self.shadows[table]

        def emit(f: Func, held: Sequence[int]) -> None:
            f.get(held[0])
            clamp(f, shadow.index)
            if not self.literal:
                f.get(held[1])
            f.get(held[2])
            if self.literal:
                f.i32(UNKNOWN)
                f.call(self.fill_function(shadow))
            else:
                f.call(self.init_function(shadow, segment))

        self._saved(editor, opidx, (shadow.index, "i32", "i32"), emit)

    def _grow(self, editor: FunctionEditor, opidx: int) -> None:
        """New entries are unknown by themselves."""
        fid = _under_number(editor.info, opidx)
        if fid == UNKNOWN:
            return
        shadow, f = self.shadows[_first(editor, opidx)], _Site(editor, opidx)
        old = f.local(shadow.index)
        f.tee(old)
        f.get(old)
        clamp(f, shadow.index)
        f.i32(fid)
        f.call(self.grown_function(shadow))
        editor.add(opidx, "after", bytes(f.code))

    def _drop(self, editor: FunctionEditor, opidx: int) -> None:
        f = Func(0, 0, ())
        f.i32(1)
        f.global_set(self.dropped(_first(editor, opidx)))
        editor.add(opidx, "before", bytes(f.code))


_KEEPERS: dict[str, Callable[[Shadows, FunctionEditor, int], None]] = {
    "table.set": Shadows._set,
    "table.fill": Shadows._fill,
    "table.copy": Shadows._copy,
    "table.init": Shadows._init,
    "table.grow": Shadows._grow,
    "elem.drop": Shadows._drop,
}


class _Site(Func):
    """Code at an instruction, with locals of the editor."""

    __slots__ = ("editor", "opidx")

    def __init__(self, editor: FunctionEditor, opidx: int) -> None:
        super().__init__(0, 0, ())
        self.editor, self.opidx = editor, opidx

    def local(self, kind: str) -> int:
        return self.editor.local(kind, self.opidx)


def _first(editor: FunctionEditor, opidx: int) -> int:
    index = editor.info.immediates(opidx)[0]
    assert isinstance(index, int)
    return index


def _reference(info: FunctionInfo, opidx: int) -> int:
    """The function that the instruction pushes a reference to, -1 when it does not."""
    if opidx < 0 or info.mnemonic(opidx) != "ref.func":
        return UNKNOWN
    return _index(info, opidx)


def _index(info: FunctionInfo, opidx: int) -> int:
    index = info.immediates(opidx)[0]
    assert isinstance(index, int)
    return index


_PLAIN = ("i32.const", "i64.const", "local.get", "global.get")


def _under_number(info: FunctionInfo, opidx: int) -> int:
    """The function whose reference lies under a number that one instruction has pushed."""
    if opidx < 2 or info.mnemonic(opidx - 1) not in _PLAIN:
        return UNKNOWN
    return _reference(info, opidx - 2)
