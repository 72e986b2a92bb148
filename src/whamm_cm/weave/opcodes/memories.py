"""The memories that probes in a module reach: its own, the script's and the libraries'."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script.env import STATE
from whamm_cm.emit.script.memories import (
    IMPLICIT,
    LENT,
    MEMORY_ARGS,
    PROGRAM,
    STATE_REF,
    STATE_SIZE,
    LibraryMemory,
    MemoryRef,
    Numbering,
)
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.walk import Node, transform, walk
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.libs.model import Library
from whamm_cm.weave.opcodes.constants import constant_of
from whamm_cm.weave.opcodes.imports import Here, Imports
from whamm_cm.weave.opcodes.match import Left

_COPY, _FILL, _INIT = b"\xfc\x0a", b"\xfc\x0b", b"\xfc\x08"


def numbering(module: CoreModule | None, libraries: Mapping[str, Library]) -> Numbering:
    """The numbers of memories for a script woven into ``module`` (None: not into one module)."""
    theirs = {
        name: LibraryMemory(
            library.memory, CoreModule(library.data).exported_memory(library.memory)
        )
        for name, library in libraries.items()
        if library.memory is not None
    }
    if module is None:
        return Numbering(None, libraries=theirs)
    imported = len(module.imported("memory"))
    count = imported + len(module.memories)
    program = [module.memory_type(index) for index in range(count)]
    own = imported if module.memories else 0
    return Numbering(program, own, theirs, cache(lambda number: active_data(module, number)))


def active_data(module: CoreModule, memory: int) -> tuple[int, int]:
    """Lowest address and length of what active data segments with constant offsets write."""
    found = []
    for segment in module.data_segments:
        if segment.memory == memory and segment.offset is not None:
            start = constant_of(segment.offset)
            if start is not None:
                found.append((start, start + len(segment.payload)))
    if not found:
        return 0, 0
    low = min(start for start, _ in found)
    return low, max(end for _, end in found) - low


def lend_memories(original: CoreModule, guest: CoreModule, unit: bytes) -> CoreModule:
    """``guest``, woven from ``original``, with the exports that the script unit imports."""
    wanted = [i.name for i in CoreModule(unit).imported("memory") if i.module == PROGRAM]
    if not wanted:
        return guest
    edit = ModuleEdit(guest)
    imported = len(original.imported("memory"))
    more = len(guest.imported("memory")) - imported
    for name in wanted:
        number = int(name.removeprefix(LENT))
        edit.add_export(name, "memory", number + (more if number >= imported else 0))
    return CoreModule(edit.encode())


def for_unit(expr: t.Expr, here: Numbering, unit: Numbering) -> t.Expr:
    """``expr``, folded in a module, with memories named as the script unit knows them.

    WeaveError for a memory that the unit does not reach.
    """
    if unit.program is not None:
        return expr

    def change(node: Node) -> Node | None:
        if not isinstance(node, t.Builtin):
            return None
        if node.name in IMPLICIT:
            unit.named(None)
        places = MEMORY_ARGS.get(node.name, ())
        if not places:
            return None
        args = [_named(arg, here, unit) if i in places else transform(arg, change)
                for i, arg in enumerate(node.args)]  # fmt: skip
        return t.Builtin(node.type, node.name, tuple(args), node.span)

    return transform(expr, change)  # type: ignore[no-any-return]


def _named(arg: t.Expr, here: Numbering, unit: Numbering) -> t.Expr:
    ref = here.named(arg)
    if ref.kind == "program":
        unit.own()
    name = "whamm_core" if ref is STATE_REF else ref.name
    return t.Builtin(vt.U32, "memid", (t.Const(vt.STR, name),), arg.span)


# --- in guests -----------------------------------------------------------------------------------


def declare(imports: Imports, left: Left) -> None:
    """Import what the builtins of a body need to reach memories."""
    nodes = (*left.body, *(() if left.predicate is None else (left.predicate,)))
    found = [n for n in walk(*nodes) if isinstance(n, t.Builtin)]
    used = [node for node in found if node.name in MEMORY_ARGS or node.name in IMPLICIT]
    if used:
        for name in ("tmp", "ld8u", "st8"):
            imports.function(imports.unit.runtime(name))
    for node in used:
        for place in MEMORY_ARGS.get(node.name, ()):
            ref = imports.numbering.named(node.args[place])
            if node.name == "mem_size" and ref is STATE_REF:
                imports.function(imports.unit.user(STATE_SIZE))
            if ref.kind == "library" or node.name == "dup_at" and ref is STATE_REF:
                imports.memory(ref)


def guest_of(imports: Imports, ref: MemoryRef, direct: bool = False) -> Guest:
    """How code in the guest reaches a memory; the script's only by functions unless ``direct``."""
    if ref is STATE_REF and not direct:
        return STATE
    if ref is STATE_REF:
        return Guest(imports.memory(ref), False, 16)
    type_, library = imports.numbering.type_of(ref), ref.kind == "library"
    index = imports.memory(ref) if library else imports.edit.final_memory(ref.number)
    return Guest(index, type_.is64, type_.page_size_log2)


def dup_at(env: Here, node: t.Builtin, info: FunctionInfo, opidx: int) -> None:
    """Do what the bulk memory instruction of the site does once more, to another memory; nothing
    when that would be out of bounds."""
    f = env.f
    target = guest_of(env.imports, env.imports.numbering.named(node.args[0]), direct=True)
    to, count, source = (f.local("i64") for _ in range(3))
    assert env.body is not None
    env.body.expr(node.args[1])
    f.op("i64.extend_i32_u")
    f.set(to)
    kinds = info.typing(opidx).operands
    for name, kind, local in (("arg0", kinds[0], count), ("arg1", kinds[1], source)):
        f.get(env.saved[name][0])
        if kind == "i32":
            f.op("i64.extend_i32_u")
        f.set(local)
    _inside(env, to, count, target)
    code, wide = _again(env, info, opidx, target, source, count)
    with f.if_():
        for local, is64 in zip((to, source, count), wide, strict=True):
            f.get(local)
            if not is64:
                f.op("i32.wrap_i64")
        f.code += code


def _again(
    env: Here, info: FunctionInfo, opidx: int, target: Guest, source: int, count: int
) -> tuple[bytes, tuple[bool, bool, bool]]:
    """The instruction for another memory, and which of its operands are i64; on the stack is
    whether it may run."""
    mnemonic, immediates = info.mnemonic(opidx), info.immediates(opidx)
    if mnemonic == "memory.copy":
        other = guest_of(env.imports, MemoryRef("program", _number(immediates[1])))
        _inside(env, source, count, other)
        env.f.op("i32.and")
        code = _COPY + unsigned(target.memory) + unsigned(other.memory)
        return code, (target.is64, other.is64, target.is64 and other.is64)
    if mnemonic == "memory.init":
        segment = _number(immediates[0])
        _inside(env, source, count, len(info.module.data_segments[segment].payload))
        env.f.op("i32.and")
        return _INIT + unsigned(segment) + unsigned(target.memory), (target.is64, False, False)
    if mnemonic == "memory.fill":
        return _FILL + unsigned(target.memory), (target.is64, False, target.is64)
    raise WeaveError(f"dup_at cannot do {mnemonic} once more")


def _number(immediate: object) -> int:
    assert isinstance(immediate, int)
    return immediate


def _inside(env: Here, start: int, count: int, where: Guest | int) -> None:
    """Push whether ``count`` bytes from ``start`` (i64 locals) are in a memory or segment."""
    f = env.f
    size = f.local("i64")
    if isinstance(where, int):
        f.i64(where)
    else:
        where.size(f)
    f.set(size)
    f.get(count)
    f.get(size)
    f.op("i64.le_u")
    f.get(start)
    f.get(size)
    f.get(count)
    f.op("i64.sub", "i64.le_u", "i32.and")
