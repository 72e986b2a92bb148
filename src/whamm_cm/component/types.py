"""Component-level types, extern names and extern types (Binary.md, "Type Definitions")."""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.component import nodes as n
from whamm_cm.component.core_types import core_type, outer_scope
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.reader import MAX_DEPTH, Reader, Scope
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.types import type_index

PRIMITIVES = {
    0x7F: "bool", 0x7E: "s8", 0x7D: "u8", 0x7C: "s16", 0x7B: "u16", 0x7A: "s32", 0x79: "u32",
    0x78: "s64", 0x77: "u64", 0x76: "f32", 0x75: "f64", 0x74: "char", 0x73: "string",
    0x64: "error-context",
}  # fmt: skip
_SORTS = {
    0x01: Sort.FUNC, 0x02: Sort.VALUE, 0x03: Sort.TYPE, 0x04: Sort.COMPONENT, 0x05: Sort.INSTANCE,
}  # fmt: skip
_CORE_SORTS = {
    0x00: Sort.CORE_FUNC, 0x01: Sort.CORE_TABLE, 0x02: Sort.CORE_MEMORY, 0x03: Sort.CORE_GLOBAL,
    0x04: Sort.CORE_TAG, 0x10: Sort.CORE_TYPE, 0x11: Sort.CORE_MODULE, 0x12: Sort.CORE_INSTANCE,
}  # fmt: skip
KIND_SORTS = {
    "core module": Sort.CORE_MODULE, "func": Sort.FUNC, "value": Sort.VALUE, "type": Sort.TYPE,
    "component": Sort.COMPONENT, "instance": Sort.INSTANCE,
}  # fmt: skip
#: ``outeraliassort`` of Explainer.md.
_OUTER_SORTS = frozenset((Sort.CORE_MODULE, Sort.CORE_TYPE, Sort.TYPE, Sort.COMPONENT))
_ATTRIBUTES = {0x00: "implements", 0x01: "versionsuffix", 0x02: "external-id"}


def core_sort(r: Cursor) -> Sort:
    at, code = r.pos, r.u8("a core sort")
    if code not in _CORE_SORTS:
        raise r.error(f"unknown core sort 0x{code:02x}", at)
    return _CORE_SORTS[code]


def sort(r: Cursor) -> Sort:
    at, code = r.pos, r.u8("a sort")
    if code == 0x00:
        return core_sort(r)
    if code not in _SORTS:
        raise r.error(f"unknown sort 0x{code:02x}", at)
    return _SORTS[code]


def extern_name(r: Reader) -> n.ExternName:
    """Read ``nameattributes``."""
    at, form = r.pos, r.u8("name attributes")
    if form > 2:
        raise r.error(f"unknown name attributes 0x{form:02x}", at)
    name = r.name("extern name")
    return n.ExternName(name, r.vector("attribute", _attribute) if form == 2 else ())


def _attribute(r: Reader) -> tuple[str, str]:
    at, code = r.pos, r.u8("a name attribute")
    if code not in _ATTRIBUTES:
        raise r.error(f"unknown name attribute 0x{code:02x}", at)
    return _ATTRIBUTES[code], r.name(_ATTRIBUTES[code])


def val_type(r: Reader, scope: Scope) -> n.ValRef:
    byte = r.peek("a value type")
    if byte & 0xC0 == 0x40:  # a negative number of one byte
        if byte not in PRIMITIVES:
            raise r.error(f"unknown value type 0x{byte:02x}")
        r.pos += 1
        return PRIMITIVES[byte]
    at = r.pos
    index = type_index(r, True)
    item = r.lookup(scope, Sort.TYPE, index, at)
    r.note(scope, item, at, signed=True)
    return item


def _optional(r: Reader, scope: Scope) -> n.ValRef | None:
    return val_type(r, scope) if r.flag("the mark of an optional type") else None


def result_list(r: Reader, scope: Scope) -> n.ValRef | None:
    at, code = r.pos, r.u8("a result list")
    if code == 0x00:
        return val_type(r, scope)
    if code == 0x01 and r.u8("a result list") == 0x00:
        return None
    raise r.error("unknown result list", at)


def extern_type(r: Reader, scope: Scope) -> n.ExternType:
    at, code = r.pos, r.u8("an extern type")
    if code == 0x00:
        if r.u8("a core sort") != 0x11:
            raise r.error("only core modules can be imported or exported", at)
        return n.ExternType("core module", r.ref(scope, Sort.CORE_TYPE))
    if code == 0x02:
        return _value_bound(r, scope)
    if code == 0x03:
        return n.ExternType("type", None if r.flag("a type bound") else r.ref(scope, Sort.TYPE))
    kind = {0x01: "func", 0x04: "component", 0x05: "instance"}.get(code)
    if kind is None:
        raise r.error(f"unknown extern type 0x{code:02x}", at)
    return n.ExternType(kind, r.ref(scope, Sort.TYPE))


def _value_bound(r: Reader, scope: Scope) -> n.ExternType:
    # Toolchains write a bare value type, which is one for sure unless it is type index 0 or 1.
    if r.peek("a value bound") > 1 or r.as_toolchains_do() or r.flag("a value bound"):
        return n.ExternType("value", None, val_type(r, scope))
    return n.ExternType("value", r.ref(scope, Sort.VALUE))


def _label(r: Reader) -> str:
    return r.name("label")


def _fields(r: Reader, scope: Scope, what: str) -> tuple[tuple[str, n.ValRef], ...]:
    return r.vector(what, lambda inner: (_label(inner), val_type(inner, scope)))


def _case(r: Reader, scope: Scope) -> tuple[str, n.ValRef | None]:
    case = _label(r), _optional(r, scope)
    at = r.pos
    if r.u8("the end of a case") != 0x00:
        raise r.error("a variant case must end in 0x00", at)
    return case


def _func(r: Reader, scope: Scope, is_async: bool) -> n.FuncDef:
    return n.FuncDef(_fields(r, scope, "param"), result_list(r, scope), is_async)


def _resource(r: Reader, scope: Scope) -> n.ResourceDef:
    at, code = r.pos, r.u8("a resource representation")
    if code not in (0x7F, 0x7E):
        raise r.error(f"unknown resource representation 0x{code:02x}", at)
    dtor = r.ref(scope, Sort.CORE_FUNC) if r.flag("the mark of a destructor") else None
    return n.ResourceDef("i32" if code == 0x7F else "i64", dtor)


#: One row per type constructor but the two that open a scope.
_CONSTRUCTORS: dict[int, Callable[[Reader, Scope], n.Node]] = {
    0x72: lambda r, s: n.RecordDef(_fields(r, s, "field")),
    0x71: lambda r, s: n.VariantDef(r.vector("case", lambda r: _case(r, s))),
    0x70: lambda r, s: n.ListDef(val_type(r, s)),
    0x67: lambda r, s: n.ListDef(val_type(r, s), r.u32("a list length")),
    0x6F: lambda r, s: n.TupleDef(r.vector("type", lambda r: val_type(r, s))),
    0x6E: lambda r, s: n.FlagsDef(r.vector("label", _label)),
    0x6D: lambda r, s: n.EnumDef(r.vector("label", _label)),
    0x6B: lambda r, s: n.OptionDef(val_type(r, s)),
    0x6A: lambda r, s: n.ResultDef(_optional(r, s), _optional(r, s)),
    0x69: lambda r, s: n.OwnDef(r.ref(s, Sort.TYPE)),
    0x68: lambda r, s: n.BorrowDef(r.ref(s, Sort.TYPE)),
    0x66: lambda r, s: n.StreamDef(_optional(r, s)),
    0x65: lambda r, s: n.FutureDef(_optional(r, s)),
    0x63: lambda r, s: n.MapDef(val_type(r, s), val_type(r, s)),
    0x40: lambda r, s: _func(r, s, False),
    0x43: lambda r, s: _func(r, s, True),
    0x3F: _resource,
}


def def_type(r: Reader, scope: Scope) -> n.Node:
    """Read a ``deftype``; the caller adds the item."""
    at, code = r.pos, r.u8("a type")
    if code in PRIMITIVES:
        return n.PrimDef(PRIMITIVES[code])
    if code in _CONSTRUCTORS:
        return _CONSTRUCTORS[code](r, scope)
    if code == 0x41:
        return n.ComponentTypeDef(_decls(r, scope, True))
    if code == 0x42:
        return n.InstanceTypeDef(_decls(r, scope, False))
    raise r.error(f"unknown type 0x{code:02x}", at)


def _decls(r: Reader, outer: Scope, imports: bool) -> tuple[n.Decl, ...]:
    scope = Scope(False, outer)
    if scope.depth > MAX_DEPTH:
        raise r.error(f"types are nested deeper than {MAX_DEPTH} levels")

    decls: list[n.Decl] = []
    for index in range(r.count("declarations")):  # no vector(): fewer frames for each level
        start = r.cut()
        try:
            node, items = _decl(r, scope, imports)
        except DecodeError as fault:
            raise r.inside(f"decl[{index}]", fault) from None
        decls.append(n.Decl(node, items, tuple(r.tokens[start : r.cut()])))
    return tuple(decls)


def _decl(r: Reader, scope: Scope, imports: bool) -> tuple[n.Node, tuple[Item, ...]]:
    at, code = r.pos, r.u8("a declaration")
    if code == 0x00:
        return core_type(r, scope)
    if code == 0x01:
        node = def_type(r, scope)
        return node, (scope.new(Sort.TYPE),)
    if code == 0x02:
        return alias(r, scope)
    if code == 0x03 and imports:
        return import_(r, scope)
    if code == 0x04:
        name, type_ = extern_name(r), extern_type(r, scope)
        return n.ExportDecl(name, type_), (scope.new(KIND_SORTS[type_.kind]),)
    raise r.error(f"unknown declaration 0x{code:02x}", at)


def import_(r: Reader, scope: Scope) -> tuple[n.Import, tuple[Item, ...]]:
    """Read an import, definition or declaration, and add its item."""
    name, type_ = extern_name(r), extern_type(r, scope)
    return n.Import(name, type_), (scope.new(KIND_SORTS[type_.kind]),)


def alias(r: Reader, scope: Scope) -> tuple[n.Node, tuple[Item, ...]]:
    """Read an alias, definition or declaration, and add its item."""
    kind = sort(r)
    at, target = r.pos, r.u8("an alias target")
    node: n.Node
    if target == 0x00:
        node = n.AliasExport(r.ref(scope, Sort.INSTANCE), r.name("export name"))
    elif target == 0x01:
        if kind > Sort.CORE_INSTANCE:
            raise r.error(f"a core instance cannot export a {kind.label}", at)
        node = n.AliasCoreExport(r.ref(scope, Sort.CORE_INSTANCE), r.name("export name"))
    elif target == 0x02:
        if kind not in _OUTER_SORTS:
            raise r.error(f"outer aliases of the sort {kind.label} are not allowed", at)
        at, count = r.pos, r.u32("an outer count")
        outer = outer_scope(r, scope, count, at)
        node = n.AliasOuter(count, r.ref(outer, kind))
    else:
        raise r.error(f"unknown alias target 0x{target:02x}", at)
    return node, (scope.new(kind),)
