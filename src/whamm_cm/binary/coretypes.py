"""Core types as they stand in a component: recursion groups and module types.

Binary.md, "Type Definitions" (``core:type``); WebAssembly 3.0, "Types".
"""

from __future__ import annotations

from whamm_cm.binary.reader import Reader, Scope
from whamm_cm.ir.items import Item, Sort
from whamm_cm.ir.nodes import (
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

_NUMERIC = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_ABSTRACT = {
    0x68: "contref", 0x69: "exnref", 0x6A: "arrayref", 0x6B: "structref", 0x6C: "i31ref",
    0x6D: "eqref", 0x6E: "anyref", 0x6F: "externref", 0x70: "funcref", 0x71: "nullref",
    0x72: "nullexternref", 0x73: "nullfuncref", 0x74: "nullexnref", 0x75: "nullcontref",
}  # fmt: skip
_PACKED = {0x78: "i8", 0x77: "i16"}


def core_type(r: Reader, scope: Scope) -> tuple[Node, tuple[Item, ...]]:
    """Read a ``core:deftype``; new items are added to ``scope``."""
    code = r.peek()
    if code == 0x00:
        r.u8()
        if r.peek() != 0x50:
            raise r.error("a core type prefixed by 0x00 must be a non-final sub type")
        return _rec_group(r, scope)
    if code == 0x50:
        r.u8()
        node = _module_type(r, scope)
        return node, (scope.new(Sort.CORE_TYPE),)
    return _rec_group(r, scope)


def _rec_group(r: Reader, scope: Scope) -> tuple[CoreTypeDef, tuple[Item, ...]]:
    count = 1
    if r.peek() == 0x4E:
        r.u8()
        count = r.count("types of a recursion group")
    # Members may refer to each other, so their items exist before they are read.
    items = tuple(scope.new(Sort.CORE_TYPE) for _ in range(count))
    return CoreTypeDef(tuple(_sub_type(r, scope) for _ in range(count))), items


def _sub_type(r: Reader, scope: Scope) -> CoreFuncDef | None:
    if r.peek() in (0x50, 0x4F):
        r.u8()
        for _ in range(r.count("super types")):
            r.ref(scope, Sort.CORE_TYPE)
    shared = r.peek() == 0x65
    if shared:
        r.u8()
    while r.peek() in (0x4C, 0x4D):  # custom descriptors: `describes` and `descriptor` clauses
        r.u8()
        r.ref(scope, Sort.CORE_TYPE)
    at, code = r.pos, r.u8("core type")
    if code == 0x60:
        params = tuple(val_type(r, scope) for _ in range(r.count("parameters")))
        results = tuple(val_type(r, scope) for _ in range(r.count("results")))
        return None if shared else CoreFuncDef(params, results)
    if code == 0x5F:
        for _ in range(r.count("fields")):
            _field(r, scope)
    elif code == 0x5E:
        _field(r, scope)
    elif code == 0x5D:
        _heap_type(r, scope)
    else:
        raise r.error(f"unknown core type 0x{code:02x}", at)
    return None


def _field(r: Reader, scope: Scope) -> None:
    if r.peek() in _PACKED:
        r.u8()
    else:
        val_type(r, scope)
    _flag(r, "mutability")


def _flag(r: Reader, what: str) -> bool:
    at, value = r.pos, r.u8(what)
    if value > 1:
        raise r.error(f"{what} must be 0 or 1, not {value}", at)
    return value == 1


def _heap_type(r: Reader, scope: Scope) -> str:
    while r.peek() in (0x65, 0x62):  # shared, exact
        r.u8()
    at = r.pos
    index = r.s33()
    if index >= 0:
        r.note(scope, r.lookup(scope, Sort.CORE_TYPE, index, at), at, signed=True)
        return "concrete"
    name = _ABSTRACT.get(index & 0x7F)
    if name is None:
        raise r.error(f"unknown heap type 0x{index & 0x7F:02x}", at)
    return name


def val_type(r: Reader, scope: Scope) -> str:
    """Read a core value type; references to concrete types are named ``ref`` only."""
    at, code = r.pos, r.u8("core value type")
    if code in _NUMERIC:
        return _NUMERIC[code]
    if code in (0x63, 0x64):
        return ("ref null " if code == 0x63 else "ref ") + _heap_type(r, scope)
    if code == 0x65:
        return "shared " + _heap_type(r, scope)
    if code in _ABSTRACT:
        return _ABSTRACT[code]
    raise r.error(f"unknown core value type 0x{code:02x}", at)


def _module_type(r: Reader, outer: Scope) -> CoreModuleTypeDef:
    scope = Scope(False, outer)
    decls = []
    for _ in range(r.count("module type declarations")):
        at, code = r.pos, r.u8("module type declaration")
        node: Node
        items: tuple[Item, ...] = ()
        if code == 0x00:
            node = CoreImportDecl(r.name(), r.name(), _extern(r, scope))
        elif code == 0x01:
            if r.peek() == 0x50:
                raise r.error("a module type cannot contain a module type")
            node, items = _rec_group(r, scope)
        elif code == 0x02:
            node, items = _outer_alias(r, scope)
        elif code == 0x03:
            node = CoreExportDecl(r.name(), _extern(r, scope))
        else:
            raise r.error(f"unknown module type declaration 0x{code:02x}", at)
        decls.append(Decl(node, items))
    return CoreModuleTypeDef(tuple(decls))


def _outer_alias(r: Reader, scope: Scope) -> tuple[AliasOuter, tuple[Item, ...]]:
    at = r.pos
    if r.u8("alias sort") != 0x10 or r.u8("alias target") != 0x01:
        raise r.error("a module type can only alias outer core types", at)
    count = r.u32("outer count")
    target = outer_scope(r, scope, count, at)
    return AliasOuter(count, r.ref(target, Sort.CORE_TYPE)), (scope.new(Sort.CORE_TYPE),)


def outer_scope(r: Reader, scope: Scope, count: int, at: int) -> Scope:
    """The scope ``count`` levels out of ``scope``."""
    target: Scope | None = scope
    for _ in range(min(count, target.depth() if target else 0)):
        target = target.outer if target else None
    if target is None:
        raise r.error(f"outer alias of {count} levels leaves the component", at)
    return target


def _limits(r: Reader) -> tuple[int, int | None, bool, bool, int]:
    at, flags = r.pos, r.u8("limits")
    if flags > 0x0F:
        raise r.error(f"unknown limits flags 0x{flags:02x}", at)
    read = r.u64 if flags & 4 else r.u32
    minimum = read("minimum")
    maximum = read("maximum") if flags & 1 else None
    page = r.u32("page size") if flags & 8 else 16
    return minimum, maximum, bool(flags & 4), bool(flags & 2), page


def _extern(r: Reader, scope: Scope) -> CoreExtern:
    at, code = r.pos, r.u8("core extern type")
    if code == 0x00 or code == 0x20:
        return CoreExtern("func", r.ref(scope, Sort.CORE_TYPE))
    if code == 0x01:
        val_type(r, scope)
        return CoreExtern("table", limits=_limits(r))
    if code == 0x02:
        return CoreExtern("memory", limits=_limits(r))
    if code == 0x03:
        val_type(r, scope)
        at = r.pos
        if r.u8("mutability") > 3:
            raise r.error("unknown global mutability", at)
        return CoreExtern("global")
    if code == 0x04:
        if r.u8("tag attribute") != 0:
            raise r.error("a tag's attribute must be 0", at)
        return CoreExtern("tag", r.ref(scope, Sort.CORE_TYPE))
    raise r.error(f"unknown core extern type 0x{code:02x}", at)
