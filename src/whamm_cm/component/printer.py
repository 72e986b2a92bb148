"""A component as readable text, one line a definition: for tests and ``whamm-cm inspect --ir``.

A line says which items a definition adds and what it says: ``func $func3 = canon lift …``.  Items
have the names of the ``component-name`` section where it gives one that is short and unique in
its sort, else a name made of sort and number (``$core-func12``).  What is nested is indented.

Nodes say what was decoded, so what a weave substituted shows only after encoding and decoding
again.  An item that nothing around it defines is printed as ``$?func``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, TypeAlias

from whamm_cm.component import nodes as n
from whamm_cm.component.canons import BY_OP
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType

#: Longer names are not used: printed at every use, they would make the text quadratic.
MAX_NAME = 100
#: Bytes of a value definition that are shown.
MAX_DATA = 32

_WORD = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@^_`|~]+")
_LABEL = re.compile(r"[0-9A-Za-z-]+")
_SECTIONS = (
    "custom", "core module", "core instance", "core type", "component", "instance", "alias",
    "type", "canon", "start", "import", "export", "value",
)  # fmt: skip


def print_component(component: Component) -> Iterator[str]:
    """The lines of ``component`` and all that is in it, without line ends.

    Time and length are linear in the component (times its nesting, for the indentation).
    """
    names = _Names()
    yield f"component{_about(component)}"
    stack = [iter(names.enter(component) or ())]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        yield "  " * len(stack) + _line(names, entry)
        inner = names.enter(entry.node)
        if inner is not None:
            stack.append(iter(inner))


def quote(text: str) -> str:
    """``text`` in double quotes, with what a terminal should not get as ``\\u{…}``."""
    if not text.isprintable() or '"' in text or "\\" in text:
        text = "".join(map(_escaped, text))
    return f'"{text}"'


def _escaped(ch: str) -> str:
    if ch in '"\\':
        return "\\" + ch
    return ch if ch.isprintable() else f"\\u{{{ord(ch):x}}}"


_AnyNode: TypeAlias = n.Node | Component | CoreModule


@dataclass(frozen=True, slots=True)
class _Entry:
    """A definition or declaration; ``section`` is the former's."""

    node: _AnyNode
    items: tuple[Item, ...]
    section: int = 0


@dataclass(slots=True)
class _Names:
    """What items are called.  Scopes are entered from the outside in, before they are printed."""

    known: dict[Item, str] = field(default_factory=dict)

    def enter(self, node: _AnyNode) -> list[_Entry] | None:
        """Name the items of the scope ``node`` opens; its entries, None if it opens none."""
        given: Mapping[Item, str] = {}
        if isinstance(node, Component):
            entries = [_Entry(d.node, d.items, d.section) for d in node.definitions]
            given = _given_names(node.definitions)
        elif isinstance(node, n.ComponentTypeDef | n.InstanceTypeDef | n.CoreModuleTypeDef):
            entries = [_Entry(d.node, d.items) for d in node.decls]
        else:
            return None
        counts = [0] * len(Sort)
        for entry in entries:
            for item in entry.items:
                made = f"${item.sort.label.replace(' ', '-')}{counts[item.sort]}"
                self.known[item] = given.get(item, made)
                counts[item.sort] += 1
        return entries

    def __call__(self, item: Item | None) -> str:
        if item is None:
            return "none"
        return self.known.get(item) or f"$?{item.sort.label.replace(' ', '-')}"

    def val(self, ref: n.ValRef | None) -> str:
        """A value type: a primitive's name or its item's; ``_`` for none."""
        if ref is None:
            return "_"
        return ref if isinstance(ref, str) else self(ref)

    def vals(self, refs: Iterable[n.ValRef | None]) -> str:
        return ", ".join(map(self.val, refs))

    def fields(self, pairs: Iterable[tuple[str, n.ValRef | None]]) -> str:
        return ", ".join(
            _label(label) if ref is None else f"{_label(label)}: {self.val(ref)}"
            for label, ref in pairs
        )

    def args(self, pairs: Iterable[tuple[str, Item]]) -> str:
        """What is handed over by name, with the sort that the name space does not tell."""
        return ", ".join(f"{quote(name)} = {it.sort.label} {self(it)}" for name, it in pairs)


def _given_names(definitions: Iterable[Definition]) -> dict[Item, str]:
    names: dict[Item, str] = {}
    taken: set[tuple[Sort, str]] = set()
    for definition in definitions:
        if isinstance(definition.node, n.NameSection):
            for sort, _, item, name in definition.node.rows:
                if 0 < len(name) <= MAX_NAME and (sort, name) not in taken:
                    taken.add((sort, name))
                    names[item] = f"${_symbol(sort, name)}"
    return names


def _symbol(sort: Sort, name: str) -> str:
    """``name`` in quotes unless it is one plain word that does not look like one of ours."""
    made = name.removeprefix(sort.label.replace(" ", "-"))
    if _WORD.fullmatch(name) and not (made != name and made.isdigit()):
        return name
    return quote(name)


def _line(names: _Names, entry: _Entry) -> str:
    text = _PRINTERS[type(entry.node)](names, entry.node)
    if isinstance(entry.node, n.EmptySection):
        return f"{text}: {_SECTIONS[entry.section]}"
    if not entry.items:
        return text
    # All items of one definition are of one sort.
    return f"{entry.items[0].sort.label} {', '.join(map(names, entry.items))} = {text}"


def _about(component: Component) -> str:
    own = next((d.node for d in component.definitions if isinstance(d.node, n.NameSection)), None)
    name = f" {quote(own.component)}" if own is not None and own.component is not None else ""
    return f"{name} {_size(component.size)}"


def _size(size: int) -> str:
    return f"({size} bytes)" if size else "(not in the input)"


def _nested(names: _Names, node: Component) -> str:
    return f"{node.path or 'component'}{_about(node)}"


def _module(names: _Names, node: CoreModule) -> str:
    head = f"{node.path or 'module'} {_size(len(node.data))}"
    try:
        counts = len(node.imports), len(node.exports), len(node.functions)
    except DecodeError as error:
        return f"{head}, unreadable: {quote(str(error))}"
    return "{}: {} imports, {} exports, {} functions".format(head, *counts)


def _extern_name(name: n.ExternName) -> str:
    attributes = "".join(f" {kind}={quote(text)}" for kind, text in name.attributes)
    return quote(name.name) + attributes


def _extern_type(names: _Names, found: n.ExternType) -> str:
    if found.kind in ("type", "value") and found.item is not None:
        return f"{found.kind} (eq {names(found.item)})"
    if found.kind == "type":
        return "type (sub resource)"
    if found.kind == "value":
        return f"value {names.val(found.valtype)}"
    return f"{found.kind} {names(found.item)}"


def _import(names: _Names, node: n.Import) -> str:
    return f"import {_extern_name(node.name)} : {_extern_type(names, node.type)}"


def _export(names: _Names, node: n.Export) -> str:
    ascribed = f" : {_extern_type(names, node.type)}" if node.type else ""
    return f"export {_extern_name(node.name)} {names(node.item)}{ascribed}"


def _export_decl(names: _Names, node: n.ExportDecl) -> str:
    return f"export {_extern_name(node.name)} : {_extern_type(names, node.type)}"


def _inline_exports(names: _Names, node: n.InlineExports) -> str:
    pairs = (f"{_extern_name(name)} = {it.sort.label} {names(it)}" for name, it in node.exports)
    return f"exports {{{', '.join(pairs)}}}"


def _list(names: _Names, node: n.ListDef) -> str:
    length = "" if node.length is None else f", {node.length}"
    return f"list<{names.val(node.element)}{length}>"


def _element(names: _Names, node: n.StreamDef | n.FutureDef) -> str:
    kind = "stream" if isinstance(node, n.StreamDef) else "future"
    return kind if node.element is None else f"{kind}<{names.val(node.element)}>"


def _labels(labels: Iterable[str]) -> str:
    return ", ".join(map(_label, labels))


def _label(text: str) -> str:
    return text if _LABEL.fullmatch(text) else quote(text)


def _func(names: _Names, node: n.FuncDef) -> str:
    result = "" if node.result is None else f" -> {names.val(node.result)}"
    return f"{'async ' if node.is_async else ''}func({names.fields(node.params)}){result}"


def _resource(names: _Names, node: n.ResourceDef) -> str:
    dtor = "" if node.dtor is None else f" dtor={names(node.dtor)}"
    return f"resource rep={node.rep}{dtor}"


def _core_func(node: n.CoreFuncDef | None) -> str:
    if node is None:
        return "(not a function type)"
    return f"func({', '.join(node.params)}) -> ({', '.join(node.results)})"


def _core_types(names: _Names, node: n.CoreTypeDef) -> str:
    group = "; ".join(map(_core_func, node.members))
    return group if len(node.members) == 1 else f"rec {{{group}}}"


def _core_extern(names: _Names, found: n.CoreExtern) -> str:
    text = found.kind if found.item is None else f"{found.kind} {names(found.item)}"
    if found.limits is None:
        return text
    limits = found.limits
    text += f" {limits.min}.." + ("" if limits.max is None else str(limits.max))
    if isinstance(limits, MemoryType) and limits.page_size_log2 != 16:
        text += f" pages of {1 << limits.page_size_log2}"
    return text + " i64" * limits.is64 + " shared" * limits.shared


def _canon(names: _Names, node: n.Canon) -> str:
    parts = ["canon", node.op]
    for kind in BY_OP[node.op].immediates:
        parts += _IMMEDIATES[kind](names, node)
    return " ".join(parts)


def _options(names: _Names, node: n.Canon) -> list[str]:
    options = node.options
    parts = [f"encoding={options.encoding}"]
    for word in ("memory", "realloc", "post_return", "callback", "core_type"):
        item = getattr(options, word)
        if item is not None:
            parts.append(f"{word.replace('_', '-')}={names(item)}")
    return parts + ["async"] * options.is_async + ["gc"] * options.gc


def _flag(names: _Names, node: n.Canon) -> list[str]:
    """The immediate is ``async`` where an operation is cancelled, ``cancellable`` elsewhere."""
    word = "async" if ".cancel" in node.op else "cancellable"
    return [word] if node.flag else []


#: One row per kind of immediate in ``ir.canons``.
_IMMEDIATES: dict[str, Callable[[_Names, n.Canon], list[str]]] = {
    "func": lambda names, c: [names(c.func)],
    "type": lambda names, c: [f"type={names(c.type)}"],
    "core type": lambda names, c: [f"type={names(c.type)}"],
    "resultlist": lambda names, c: [f"result={names.val(c.result)}"],
    "opts": _options,
    "flag": _flag,
    "shared": lambda names, c: ["shared"] * c.flag,
    "memory": lambda names, c: [f"memory={names(c.memory)}"],
    "table": lambda names, c: [f"table={names(c.table)}"],
    "core valtype": lambda names, c: [c.core_type],
    "slot": lambda names, c: [str(c.slot)],
}


def _value(names: _Names, node: n.ValueDef) -> str:
    more = f"… ({len(node.data)} bytes)" if len(node.data) > MAX_DATA else ""
    return f"{names.val(node.type)} 0x{node.data[:MAX_DATA].hex()}{more}"


def _name_section(names: _Names, node: n.NameSection) -> str:
    return f'custom "component-name" ({len(node.data)} bytes): {len(node.rows)} names'


#: One row per node class; a line without the items it adds.
_PRINTERS: dict[type, Callable[[_Names, Any], str]] = {
    Component: _nested,
    CoreModule: _module,
    n.Import: _import,
    n.Export: _export,
    n.ExportDecl: _export_decl,
    n.CoreInstantiate: lambda names, d: (
        f"instantiate {names(d.module)} with {{{names.args(d.args)}}}"
    ),
    n.CoreInlineExports: lambda names, d: f"exports {{{names.args(d.exports)}}}",
    n.Instantiate: lambda names, d: (
        f"instantiate {names(d.component)} with {{{names.args(d.args)}}}"
    ),
    n.InlineExports: _inline_exports,
    n.AliasExport: lambda names, d: f"alias export {names(d.instance)} {quote(d.name)}",
    n.AliasCoreExport: lambda names, d: f"alias core export {names(d.instance)} {quote(d.name)}",
    n.AliasOuter: lambda names, d: f"alias outer {d.count} {names(d.item)}",
    n.PrimDef: lambda names, d: d.name,
    n.RecordDef: lambda names, d: f"record {{{names.fields(d.fields)}}}",
    n.VariantDef: lambda names, d: f"variant {{{names.fields(d.cases)}}}",
    n.ListDef: _list,
    n.MapDef: lambda names, d: f"map<{names.vals((d.key, d.value))}>",
    n.TupleDef: lambda names, d: f"tuple<{names.vals(d.types)}>",
    n.FlagsDef: lambda names, d: f"flags {{{_labels(d.labels)}}}",
    n.EnumDef: lambda names, d: f"enum {{{_labels(d.labels)}}}",
    n.OptionDef: lambda names, d: f"option<{names.val(d.inner)}>",
    n.ResultDef: lambda names, d: f"result<{names.vals((d.ok, d.err))}>",
    n.OwnDef: lambda names, d: f"own<{names(d.resource)}>",
    n.BorrowDef: lambda names, d: f"borrow<{names(d.resource)}>",
    n.StreamDef: _element,
    n.FutureDef: _element,
    n.FuncDef: _func,
    n.ResourceDef: _resource,
    n.ComponentTypeDef: lambda names, d: "component type",
    n.InstanceTypeDef: lambda names, d: "instance type",
    n.CoreTypeDef: _core_types,
    n.CoreModuleTypeDef: lambda names, d: "module type",
    n.CoreImportDecl: lambda names, d: (
        f"import {quote(d.module)} {quote(d.name)} : {_core_extern(names, d.type)}"
    ),
    n.CoreExportDecl: lambda names, d: f"export {quote(d.name)} : {_core_extern(names, d.type)}",
    n.Canon: _canon,
    n.Start: lambda names, d: f"start {names(d.func)}({', '.join(map(names, d.args))})",
    n.ValueDef: _value,
    n.Custom: lambda names, d: f"custom {quote(d.name)} ({len(d.data)} bytes)",
    n.NameSection: _name_section,
    n.EmptySection: lambda names, d: "empty section",
}
