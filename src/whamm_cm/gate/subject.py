"""Bytes → :class:`Subject`: everything the rules need to know, without the IR."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.analysis.alone import as_component
from whamm_cm.analysis.reach.analysis import Reachability, reach
from whamm_cm.analysis.reach.model import Provider
from whamm_cm.analysis.reach.witness import described
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.gate import model
from whamm_cm.gate.capabilities import ComponentUse, ImportUse, Observed, capabilities
from whamm_cm.gate.guard_claim import claim_of
from whamm_cm.gate.marks import marks, stamp
from whamm_cm.gate.model import ExportRow, FunctionRow, ImportRow, NestedRow, Subject
from whamm_cm.gate.readings import Readings, readings
from whamm_cm.trace.calls import Site
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.producers import read_producers
from whamm_cm.wit.model import (
    ComponentItem,
    Entity,
    Extern,
    FuncItem,
    InstanceItem,
    ModuleItem,
    TypeItem,
    full_name,
    functions,
    interface_id,
    split_version,
)
from whamm_cm.wit.resolve import ResolvedComponent, resolve
from whamm_cm.wit.types import Resource

_PRODUCERS = "producers"


@dataclass(frozen=True, slots=True)
class Analysis:
    """``strangers``: calls in the logs that are no import of the component."""

    subject: Subject
    strangers: tuple[Site, ...] = ()


def analyse(data: bytes, what: str, observed: Observed | None = None) -> Analysis:
    """A core module is judged as the component around it.  ``what`` names the input in errors.
    Raises DecodeError for what is no sound component; where only core code cannot be followed,
    everything counts as reachable."""
    alone = data[:8] == MODULE_PREAMBLE
    root = decode(as_component(data, what), what)
    resolved = resolve(root)
    fault = ""
    strangers: tuple[Site, ...] = ()
    nested: tuple[NestedRow, ...] = ()
    ways: dict[str, tuple[tuple[str, str], ...]] = {}
    try:
        reached = reach(root, resolved, alone=alone)
        known = capabilities(reached, observed)
    except DecodeError as error:
        fault = str(error)
        imports = tuple(_unknown(extern) for extern in resolved.world.imports)
        nested = tuple(
            NestedRow(one.component.path, one.name, 1, tuple(map(_unknown, one.world.imports)))
            for one in resolved.components[1:]
        )
    else:
        strangers = known.strangers
        imports = _imports(known.root, resolved.components[0])
        ways = _ways(reached)
        nested = tuple(
            _nested(use, one)
            for use, one in zip(known.components[1:], resolved.components[1:], strict=True)
            if use.imports
        )
    subject = Subject(
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        modules=sum(1 for _ in _modules(root)),
        producers=tuple(dict.fromkeys(_producers(root))),
        stamp=stamp(root),
        marks=tuple(marks(root)),
        imports=imports,
        exports=tuple(_export(extern) for extern in resolved.world.exports),
        nested=nested,
        fault=fault,
        alone=alone,
        ways=ways,
        guard=None if alone else claim_of(data, root),
    )
    return Analysis(subject, strangers)


def _ways(reached: Reachability) -> dict[str, tuple[tuple[str, str], ...]]:
    """As of :class:`Subject`, as far as :data:`_STEPS` go."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    steps = 0
    for one, item in reached.root.items():
        interface, version = one.interface or one.name, one.version
        whole = interface + (f"@{version}" if version else "")
        name = one.name if one.kind == "func" else f"{whole}#{item.label}"
        if item.kind != "func" or name in found:
            continue
        way = reached.why(reached.root, item)
        if way is not None:
            steps += len(way)
            found[name] = _shortened(tuple((step.kind, described(step)) for step in way))
        if steps > _STEPS:
            break
    return found


def _shortened(way: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Its ends, where nobody would read all of it."""
    if len(way) <= 2 * _END:
        return way
    return (*way[:_END], ("", f"… {len(way) - 2 * _END:,} more steps …"), *way[-_END:])


#: A component can have as many functions, and ways as long, as it likes; nobody looks at so many.
_STEPS = 50_000
_END = 20


def _nested(use: ComponentUse, one: ResolvedComponent) -> NestedRow:
    found = use.found
    return NestedRow(found.path, found.name, found.instances, _imports(use, one))


def _imports(use: ComponentUse, one: ResolvedComponent) -> tuple[ImportRow, ...]:
    pairs = zip(use.imports, one.world.imports, strict=True)
    return tuple(_import(row, extern) for row, extern in pairs)


def _import(use: ImportUse, extern: Extern) -> ImportRow:
    found = use.found
    rows = tuple(
        FunctionRow(
            one.item.label,
            one.item.raw,
            one.item.reachable,
            one.observed,
            tuple(_provider(provider) for provider in one.item.providers),
        )
        for one in use.items
        if one.item.kind == "func"
    )
    return ImportRow(
        found.name,
        found.kind,
        found.interface,
        found.version,
        rows,
        types_only=_types_only(extern),
        form=_readings(extern, found.kind).form,
        **_named(extern, found.kind),
    )


def _named(extern: Extern, kind: str) -> dict[str, Any]:
    found = _readings(extern, kind)
    inside = tuple(handed(extern.entity)) if isinstance(extern.entity, InstanceItem) else ()
    return {"readings": found.all, "odd": found.odd, "hands": inside}


def _readings(extern: Extern, kind: str) -> Readings:
    return readings(extern.name, kind, tuple(dict.fromkeys(_inner(extern.entity))))


def _inner(entity: Entity) -> Iterator[str]:
    """Names in an instance, at any depth, that are no plain names."""
    stack, seen = [entity], set[int]()
    while stack:
        one = stack.pop()
        if isinstance(one, InstanceItem) and id(one) not in seen:
            seen.add(id(one))
            yield from (name for name in one.exports if ":" in name)
            stack += one.exports.values()


def _types_only(extern: Extern) -> bool:
    return not any(map(_is_provided, _leaves(extern.entity)))


def _leaves(entity: Entity) -> Iterator[Entity]:
    """What is in an instance, through instances in instances; else the entity itself."""
    stack, seen = [entity], set[int]()
    while stack:
        one = stack.pop()
        if not isinstance(one, InstanceItem):
            yield one
        elif id(one) not in seen:
            seen.add(id(one))
            stack += one.exports.values()


def _is_provided(entity: Entity) -> bool:
    """Whether a host has to have it: all but types, and of those the resources that are new."""
    if not isinstance(entity, TypeItem):
        return True
    return isinstance(entity.type, Resource) and entity.source is None


def handed(entity: Entity) -> Iterator[str]:
    """Names of the components and modules in an instance, through instances in instances."""
    stack: list[tuple[str, Entity]] = [("", entity)]
    seen: set[int] = set()
    while stack:
        path, one = stack.pop()
        if isinstance(one, ComponentItem | ModuleItem):
            yield path
        elif isinstance(one, InstanceItem) and id(one) not in seen:
            seen.add(id(one))
            stack += [(f"{path}/{name}" if path else name, e) for name, e in one.exports.items()]


def _provider(found: Provider) -> model.Provider:
    item = found.path[0] if found.path else ""
    return model.Provider(found.kind, found.component, item)


def _kind(entity: Entity) -> str:
    return type(entity).__name__.removesuffix("Item").lower()


def _names(extern: Extern) -> tuple[str, str | None]:
    if isinstance(extern.entity, InstanceItem):
        return split_version(interface_id(extern.name))
    return "", None


def _unknown(extern: Extern) -> ImportRow:
    """An import of a component whose code could not be followed."""
    interface, version = _names(extern)
    rows = tuple(FunctionRow(f.label, f.name, True) for f in functions(extern.entity))
    kind = _kind(extern.entity)
    return ImportRow(
        full_name(extern.name),
        kind,
        interface,
        version,
        rows,
        types_only=_types_only(extern),
        form=_readings(extern, kind).form,
        **_named(extern, kind),
    )


def _export(extern: Extern) -> ExportRow:
    interface, version = _names(extern)
    name = full_name(extern.name)
    if isinstance(extern.entity, FuncItem):
        return ExportRow(name, "func", "", None, (name,), **_named(extern, "func"))
    labels = tuple(dict.fromkeys(f.label for f in functions(extern.entity)))
    kind = _kind(extern.entity)
    return ExportRow(name, kind, interface, version, labels, **_named(extern, kind))


def _modules(root: Component) -> Iterator[CoreModule]:
    for component in walk(root):
        for definition in component.definitions:
            if isinstance(definition.node, CoreModule):
                yield definition.node


def _producers(root: Component) -> Iterable[tuple[str, str, str]]:
    """Of all parts; a damaged section says nothing."""
    for component in walk(root):
        for definition in component.definitions:
            node = definition.node
            if isinstance(node, n.Custom) and node.name == _PRODUCERS:
                yield from _makers(Cursor(node.data, 0, len(node.data), 0, component.path))
    for module in _modules(root):
        try:
            sections = [s for s in module.custom_sections if s.name == _PRODUCERS]
        except DecodeError:
            continue
        for section in sections:
            cur = Cursor(module.data, section.content, section.end, module.offset, module.path)
            yield from _makers(cur)


def _makers(cur: Cursor) -> list[tuple[str, str, str]]:
    try:
        return [(one.field, one.name, one.version) for one in read_producers(cur)]
    except DecodeError:
        return []
