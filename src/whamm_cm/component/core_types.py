"""Core types as they stand in a component: recursion groups and module types.

Binary.md, "Type Definitions" (``core:type``); WebAssembly 3.0, "Types".  Types themselves are read
by :mod:`whamm_cm.wasm.types`; here type indices lead to items of a scope.
"""

from __future__ import annotations

from whamm_cm.component.items import Item, Sort
from whamm_cm.component.nodes import (
    AliasOuter,
    CoreExportDecl,
    CoreExtern,
    CoreFuncDef,
    CoreImportDecl,
    CoreModuleTypeDef,
    CoreTypeDef,
    Decl,
    Node,
)
from whamm_cm.component.reader import Reader, Scope
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.types import (
    REC,
    SUB,
    MemoryType,
    TableType,
    TypeDef,
    TypeIndex,
    read_extern_type,
    read_subtype,
    read_val_type,
    type_index,
)

#: Binary.md: a module type begins with the byte of a non-final ``sub``, which therefore is marked.
_MODULE_TYPE, _NOT_A_MODULE_TYPE = SUB, 0x00


def core_type(r: Reader, scope: Scope) -> tuple[Node, tuple[Item, ...]]:
    """Read a ``core:deftype``; new items are added to ``scope``."""
    if r.peek("a core type") == _MODULE_TYPE:
        r.u8()
        node = _module_type(r, scope)
        return node, (scope.new(Sort.CORE_TYPE),)
    return _rec_type(r, scope)


def core_val_type(r: Reader, scope: Scope) -> str:
    """Read a core value type; indices in its text are the input's."""
    return read_val_type(r, _type_index_in(r, scope))


def _type_index_in(r: Reader, scope: Scope) -> TypeIndex:
    def read(_: Cursor, signed: bool) -> int:
        at = r.pos
        index = type_index(r, signed)
        r.note(scope, r.lookup(scope, Sort.CORE_TYPE, index, at), at, signed)
        return index

    return read


def _rec_type(r: Reader, scope: Scope) -> tuple[CoreTypeDef, tuple[Item, ...]]:
    if r.peek("a core type") == _NOT_A_MODULE_TYPE:
        r.u8()
        if r.peek("a core type") != SUB:
            raise r.error("a core type prefixed by 0x00 must be a non-final sub type")
    count = 1
    if r.peek() == REC:
        r.u8()
        count = r.count("types of a recursion group")
    # Members may refer to each other, so their items exist before they are read.
    items = tuple(scope.new(Sort.CORE_TYPE) for _ in range(count))
    index = _type_index_in(r, scope)
    return CoreTypeDef(tuple(_member(read_subtype(r, 0, index)) for _ in range(count))), items


def _member(found: TypeDef) -> CoreFuncDef | None:
    if found.func is None or found.shared:
        return None
    return CoreFuncDef(found.func.params, found.func.results)


def _module_type(r: Reader, outer: Scope) -> CoreModuleTypeDef:
    scope = Scope(False, outer)
    return CoreModuleTypeDef(r.vector("decl", lambda inner: _decl(inner, scope)))


def _decl(r: Reader, scope: Scope) -> Decl:
    at, code = r.pos, r.u8("a module type declaration")
    node: Node
    items: tuple[Item, ...] = ()
    if code == 0x00:
        node = CoreImportDecl(r.name("module name"), r.name("import name"), _extern(r, scope))
    elif code == 0x01:
        # Module types cannot stand here, so that a plain 0x50 is a sub type (wasm-tools writes it).
        node, items = _rec_type(r, scope)
    elif code == 0x02:
        node, items = _outer_alias(r, scope)
    elif code == 0x03:
        node = CoreExportDecl(r.name("export name"), _extern(r, scope))
    else:
        raise r.error(f"unknown module type declaration 0x{code:02x}", at)
    return Decl(node, items)


def _outer_alias(r: Reader, scope: Scope) -> tuple[AliasOuter, tuple[Item, ...]]:
    at = r.pos
    if r.u8("an alias sort") != 0x10 or r.u8("an alias target") != 0x01:
        raise r.error("a module type can only alias outer core types", at)
    at, count = r.pos, r.u32("an outer count")
    target = outer_scope(r, scope, count, at)
    return AliasOuter(count, r.ref(target, Sort.CORE_TYPE)), (scope.new(Sort.CORE_TYPE),)


def outer_scope(r: Reader, scope: Scope, count: int, at: int) -> Scope:
    """The scope ``count`` levels out of ``scope``."""
    target: Scope | None = scope
    for _ in range(min(count, scope.depth)):
        target = target.outer if target else None
    if target is None:
        raise r.error(f"outer alias of {count} levels leaves the component", at)
    return target


def _extern(r: Reader, scope: Scope) -> CoreExtern:
    kind, type_, _ = read_extern_type(r, _type_index_in(r, scope))
    if isinstance(type_, int):
        return CoreExtern(kind, scope.spaces[Sort.CORE_TYPE][type_])
    return CoreExtern(kind, limits=type_ if isinstance(type_, MemoryType | TableType) else None)
