"""Component-level types, extern names and extern types (Binary.md, "Type Definitions")."""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.binary.coretypes import core_type, outer_scope
from whamm_cm.binary.reader import MAX_DEPTH, Reader, Scope
from whamm_cm.ir import nodes as n
from whamm_cm.ir.items import Item, Sort

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
_ATTRIBUTES = {0x00: "implements", 0x01: "versionsuffix", 0x02: "external-id"}


def core_sort(r: Reader) -> Sort:
    at, code = r.pos, r.u8("core sort")
    if code not in _CORE_SORTS:
        raise r.error(f"unknown core sort 0x{code:02x}", at)
    return _CORE_SORTS[code]


def sort(r: Reader) -> Sort:
    at, code = r.pos, r.u8("sort")
    if code == 0x00:
        return core_sort(r)
    if code not in _SORTS:
        raise r.error(f"unknown sort 0x{code:02x}", at)
    return _SORTS[code]


def flag(r: Reader, what: str) -> bool:
    at, value = r.pos, r.u8(what)
    if value > 1:
        raise r.error(f"{what} must be 0 or 1, not 0x{value:02x}", at)
    return value == 1


def extern_name(r: Reader) -> n.ExternName:
    at, form = r.pos, r.u8("name attributes")
    if form > 2:
        raise r.error(f"unknown name attributes 0x{form:02x}", at)
    name = r.name("extern name")
    attributes = []
    if form == 2:
        for _ in range(r.count("name attributes")):
            at, code = r.pos, r.u8("name attribute")
            if code not in _ATTRIBUTES:
                raise r.error(f"unknown name attribute 0x{code:02x}", at)
            attributes.append((_ATTRIBUTES[code], r.name("attribute")))
    return n.ExternName(name, tuple(attributes))


def val_type(r: Reader, scope: Scope) -> n.ValRef:
    at, value = r.pos, r.s33()
    if value >= 0:
        item = r.lookup(scope, Sort.TYPE, value, at)
        r.note(scope, item, at, signed=True)
        return item
    name = PRIMITIVES.get(value & 0x7F) if value >= -64 else None
    if name is None:
        raise r.error(f"unknown value type 0x{value & 0x7F:02x}", at)
    return name


def _optional(r: Reader, scope: Scope) -> n.ValRef | None:
    return val_type(r, scope) if flag(r, "optional type") else None


def result_list(r: Reader, scope: Scope) -> n.ValRef | None:
    at, code = r.pos, r.u8("result list")
    if code == 0x00:
        return val_type(r, scope)
    if code == 0x01 and r.u8("result list") == 0x00:
        return None
    raise r.error("unknown result list", at)


def extern_type(r: Reader, scope: Scope) -> n.ExternType:
    at, code = r.pos, r.u8("extern type")
    if code == 0x00:
        if r.u8("core sort") != 0x11:
            raise r.error("only core modules can be imported or exported", at)
        return n.ExternType("core module", r.ref(scope, Sort.CORE_TYPE))
    if code == 0x02:
        if r.u8("value bound") == 0x00:
            return n.ExternType("value", r.ref(scope, Sort.VALUE))
        return n.ExternType("value", None, val_type(r, scope))
    if code == 0x03:
        at, bound = r.pos, r.u8("type bound")
        if bound > 1:
            raise r.error(f"unknown type bound 0x{bound:02x}", at)
        return n.ExternType("type", r.ref(scope, Sort.TYPE) if bound == 0 else None)
    kind = {0x01: "func", 0x04: "component", 0x05: "instance"}.get(code)
    if kind is None:
        raise r.error(f"unknown extern type 0x{code:02x}", at)
    return n.ExternType(kind, r.ref(scope, Sort.TYPE))


def _label(r: Reader) -> str:
    return r.name("label")


def _fields(r: Reader, scope: Scope) -> tuple[tuple[str, n.ValRef], ...]:
    return tuple((_label(r), val_type(r, scope)) for _ in range(r.count("fields")))


def _case(r: Reader, scope: Scope) -> tuple[str, n.ValRef | None]:
    case = _label(r), _optional(r, scope)
    at = r.pos
    if r.u8("end of case") != 0x00:
        raise r.error("a variant case must end in 0x00", at)
    return case


def _labels(r: Reader) -> tuple[str, ...]:
    return tuple(_label(r) for _ in range(r.count("labels")))


def _func(r: Reader, scope: Scope, is_async: bool) -> n.FuncDef:
    return n.FuncDef(_fields(r, scope), result_list(r, scope), is_async)


def _resource(r: Reader, scope: Scope) -> n.ResourceDef:
    at, code = r.pos, r.u8("resource representation")
    if code not in (0x7F, 0x7E):
        raise r.error(f"unknown resource representation 0x{code:02x}", at)
    dtor = r.ref(scope, Sort.CORE_FUNC) if flag(r, "destructor") else None
    return n.ResourceDef("i32" if code == 0x7F else "i64", dtor)


def _vector(r: Reader, scope: Scope) -> tuple[n.ValRef, ...]:
    return tuple(val_type(r, scope) for _ in range(r.count("types")))


#: One row per type constructor but the two that open a scope.
_CONSTRUCTORS: dict[int, Callable[[Reader, Scope], n.Node]] = {
    0x72: lambda r, s: n.RecordDef(_fields(r, s)),
    0x71: lambda r, s: n.VariantDef(tuple(_case(r, s) for _ in range(r.count("cases")))),
    0x70: lambda r, s: n.ListDef(val_type(r, s)),
    0x67: lambda r, s: n.ListDef(val_type(r, s), r.u32("list length")),
    0x6F: lambda r, s: n.TupleDef(_vector(r, s)),
    0x6E: lambda r, s: n.FlagsDef(_labels(r)),
    0x6D: lambda r, s: n.EnumDef(_labels(r)),
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
    at, code = r.pos, r.u8("type")
    if code in PRIMITIVES:
        return n.PrimDef(PRIMITIVES[code])
    if code in _CONSTRUCTORS:
        return _CONSTRUCTORS[code](r, scope)
    if code == 0x41:
        return n.ComponentTypeDef(_decls(r, scope, "component type declarations"))
    if code == 0x42:
        return n.InstanceTypeDef(_decls(r, scope, "instance type declarations"))
    raise r.error(f"unknown type 0x{code:02x}", at)


def _decls(r: Reader, outer: Scope, what: str) -> tuple[n.Decl, ...]:
    scope = Scope(False, outer)
    if scope.depth() > MAX_DEPTH:
        raise r.error(f"types are nested deeper than {MAX_DEPTH} levels")
    imports = what.startswith("component")
    decls = []
    for _ in range(r.count(what)):
        start = r.cut()
        node, items = _decl(r, scope, imports)
        decls.append(n.Decl(node, items, tuple(r.tokens[start : r.cut()])))
    return tuple(decls)


def _decl(r: Reader, scope: Scope, imports: bool) -> tuple[n.Node, tuple[Item, ...]]:
    at, code = r.pos, r.u8("declaration")
    if code == 0x00:
        return core_type(r, scope)
    if code == 0x01:
        node = def_type(r, scope)
        return node, (scope.new(Sort.TYPE),)
    if code == 0x02:
        return alias(r, scope)
    if code == 0x03 and imports:
        name, type_ = extern_name(r), extern_type(r, scope)
        return n.Import(name, type_), (scope.new(KIND_SORTS[type_.kind]),)
    if code == 0x04:
        name, type_ = extern_name(r), extern_type(r, scope)
        return n.ExportDecl(name, type_), (scope.new(KIND_SORTS[type_.kind]),)
    raise r.error(f"unknown declaration 0x{code:02x}", at)


def alias(r: Reader, scope: Scope) -> tuple[n.Node, tuple[Item, ...]]:
    """Read an alias, definition or declaration, and add its item."""
    kind = sort(r)
    at, target = r.pos, r.u8("alias target")
    node: n.Node
    if target == 0x00:
        node = n.AliasExport(r.ref(scope, Sort.INSTANCE), r.name())
    elif target == 0x01:
        if kind > Sort.CORE_TYPE:
            raise r.error(f"a core instance cannot export a {kind.label}", at)
        node = n.AliasCoreExport(r.ref(scope, Sort.CORE_INSTANCE), r.name())
    elif target == 0x02:
        count = r.u32("outer count")
        outer = outer_scope(r, scope, count, at)
        node = n.AliasOuter(count, r.ref(outer, kind))
    else:
        raise r.error(f"unknown alias target 0x{target:02x}", at)
    return node, (scope.new(kind),)
