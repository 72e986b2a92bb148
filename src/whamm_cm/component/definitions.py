"""Definitions of a component but types: instances, exports, values, start and canonical ones.

Each reader of :data:`VECTORS` reads one definition (Binary.md) and adds its items to the scope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from whamm_cm.component import nodes as n
from whamm_cm.component.canons import BY_OPCODE
from whamm_cm.component.core_types import core_type, core_val_type
from whamm_cm.component.ir import SectionId
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.reader import Reader, Scope
from whamm_cm.component.types import (
    alias,
    core_sort,
    def_type,
    extern_name,
    extern_type,
    import_,
    result_list,
    sort,
    val_type,
)

Result: TypeAlias = tuple[n.Node, tuple[Item, ...]]
ReadDefinition: TypeAlias = Callable[[Reader, Scope], Result]

_ENCODINGS = {0x00: "utf8", 0x01: "utf16", 0x02: "latin1+utf16"}
#: Field of CanonOptions and sort of the reference by the option's byte.
_REFERENCES = {
    0x03: ("memory", Sort.CORE_MEMORY),
    0x04: ("realloc", Sort.CORE_FUNC),
    0x05: ("post_return", Sort.CORE_FUNC),
    0x07: ("callback", Sort.CORE_FUNC),
    0x08: ("core_type", Sort.CORE_TYPE),
}
_SWITCHES = {0x06: "is_async", 0x09: "gc"}


def _core_instance(r: Reader, scope: Scope) -> Result:
    at, code = r.pos, r.u8("a core instance")
    node: n.Node
    if code == 0x00:
        module = r.ref(scope, Sort.CORE_MODULE)
        node = n.CoreInstantiate(module, r.vector("arg", lambda r: _core_arg(r, scope)))
    elif code == 0x01:
        node = n.CoreInlineExports(
            r.vector("export", lambda r: (r.name("export name"), r.ref(scope, core_sort(r))))
        )
    else:
        raise r.error(f"unknown core instance 0x{code:02x}", at)
    return node, (scope.new(Sort.CORE_INSTANCE),)


def _core_arg(r: Reader, scope: Scope) -> tuple[str, Item]:
    name = r.name("argument name")
    at = r.pos
    if r.u8("the sort of an argument") != 0x12:
        raise r.error("a core instantiation argument must be an instance", at)
    return name, r.ref(scope, Sort.CORE_INSTANCE)


def _instance(r: Reader, scope: Scope) -> Result:
    at, code = r.pos, r.u8("an instance")
    node: n.Node
    if code == 0x00:
        component = r.ref(scope, Sort.COMPONENT)
        node = n.Instantiate(
            component,
            r.vector("arg", lambda r: (r.name("argument name"), r.ref(scope, sort(r)))),
        )
    elif code == 0x01:
        node = n.InlineExports(
            r.vector("export", lambda r: (extern_name(r), r.ref(scope, sort(r))))
        )
    else:
        raise r.error(f"unknown instance 0x{code:02x}", at)
    return node, (scope.new(Sort.INSTANCE),)


def _type(r: Reader, scope: Scope) -> Result:
    node = def_type(r, scope)
    return node, (scope.new(Sort.TYPE),)


def _export(r: Reader, scope: Scope) -> Result:
    name = extern_name(r)
    item = r.ref(scope, sort(r))
    type_ = extern_type(r, scope) if r.flag("the mark of a type ascription") else None
    return n.Export(name, item, type_), (scope.new(item.sort),)


def _value(r: Reader, scope: Scope) -> Result:
    type_ = val_type(r, scope)
    data = r.take(r.u32("the size of a value"), "value")
    return n.ValueDef(type_, data), (scope.new(Sort.VALUE),)


def start(r: Reader, scope: Scope) -> Result:
    func = r.ref(scope, Sort.FUNC)
    args = r.vector("arg", lambda r: r.ref(scope, Sort.VALUE))
    at, results = r.pos, r.u32("the number of results")
    if results > 1:
        raise r.error(f"{results} results announced, a function has at most one", at)
    items = tuple(scope.new(Sort.VALUE) for _ in range(results))
    return n.Start(func, args, results), items


def _options(r: Reader, scope: Scope) -> n.CanonOptions:
    fields: dict[str, Any] = {}
    for name, value in r.vector("option", lambda r: _option(r, scope)):
        fields[name] = value
    return replace(n.CanonOptions(), **fields)


def _option(r: Reader, scope: Scope) -> tuple[str, Item | str | bool]:
    at, code = r.pos, r.u8("a canonical option")
    if code in _ENCODINGS:
        return "encoding", _ENCODINGS[code]
    if code in _REFERENCES:
        field, kind = _REFERENCES[code]
        return field, r.ref(scope, kind)
    if code in _SWITCHES:
        return _SWITCHES[code], True
    raise r.error(f"unknown canonical option 0x{code:02x}", at)


def _canon(r: Reader, scope: Scope) -> Result:
    at, code = r.pos, r.u8("a canonical definition")
    row = BY_OPCODE.get(code)
    if row is None:
        raise r.error(f"unknown canonical built-in 0x{code:02x}", at)
    fields: dict[str, Any] = {}
    for kind in row.immediates:
        if kind == "func":
            fields["func"] = _func(r, scope, row.op)
        elif kind != "shared" or not r.as_toolchains_do():  # they leave it out
            field, read = _IMMEDIATES[kind]
            fields[field] = read(r, scope)
    node = replace(n.Canon(row.op), **fields)
    return node, (scope.new(Sort.FUNC if row.op == "lift" else Sort.CORE_FUNC),)


def _func(r: Reader, scope: Scope, op: str) -> Item:
    at = r.pos
    if r.u8("a sort") != 0x00:
        raise r.error(f"unknown form of canon {op}", at)
    return r.ref(scope, Sort.CORE_FUNC if op == "lift" else Sort.FUNC)


#: Field of Canon and its reader by kind of immediate (``ir.canons``); ``func`` depends on the row.
_IMMEDIATES: dict[str, tuple[str, Callable[[Reader, Scope], object]]] = {
    "type": ("type", lambda r, s: r.ref(s, Sort.TYPE)),
    "opts": ("options", _options),
    "resultlist": ("result", result_list),
    "flag": ("flag", lambda r, s: r.flag("an async or cancellable flag")),
    "shared": ("flag", lambda r, s: r.flag("a shared flag")),
    "memory": ("memory", lambda r, s: r.ref(s, Sort.CORE_MEMORY)),
    "table": ("table", lambda r, s: r.ref(s, Sort.CORE_TABLE)),
    "core type": ("type", lambda r, s: r.ref(s, Sort.CORE_TYPE)),
    "core valtype": ("core_type", core_val_type),
    "slot": ("slot", lambda r, s: r.u32("a context slot")),
}

VECTORS: dict[int, ReadDefinition] = {
    SectionId.CORE_INSTANCE: _core_instance,
    SectionId.CORE_TYPE: core_type,
    SectionId.INSTANCE: _instance,
    SectionId.ALIAS: alias,
    SectionId.TYPE: _type,
    SectionId.CANON: _canon,
    SectionId.IMPORT: import_,
    SectionId.EXPORT: _export,
    SectionId.VALUE: _value,
}
