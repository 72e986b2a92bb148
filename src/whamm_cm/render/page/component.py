"""A component for the page: its parts with their sizes, its WIT, and what it may do by which way.

    {"file": what the user calls it, without folders, "size", "sha256", "alone": it is a core
         module, "stamp": {…} or null, "faults": [sentence],
     "parts": [  # components and core modules, each behind the one it is in
        {"kind": component or module, "path", "in": position of the part around it or -1, "name" or
         null, "offset", "size", "sha256", "instances": how often it is instantiated, null: unknown,
         "sections": [[name, bytes, count of entries, custom: bool]], in order of the bytes,
         "producers": [[field, name, version]], "packages": [[name, version, source, kind]],
         "fault": sentence or null,
         "counts": [imports, exports, functions], "inside": packed {…} or absent}],
     "wit": [[position of the part, text]],
     "exports": [{"name", "kind", "interface", "version", "functions": [name]}],
     "frames": [[kind, component, name, via, module path, function or -1]],
     "capabilities": [{"part": position, "imports": [{"name", "kind", "interface", "version",
        "functions": [{"name", "kind": func or drop, "reachable": bool, "providers":
            [[host component outside, path of the component, name]], "why": [positions of frames]
            or absent}]}]}],
     "unreached": why it is not known what can be reached, or null}

The inside of a module, packed because there may be 100,000 functions:

    {"names": [name of each defined function or ""], "sizes": [bytes], "first": index of the first,
     "imports": [[module, name, kind]], "exports": [[name, kind, index]],
     "data": [[mode, bytes]]}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.analysis.alone import as_component
from whamm_cm.analysis.contents import Part, contents
from whamm_cm.analysis.facts import ComponentFacts, ExternFacts, Facts, ModuleFacts, collect
from whamm_cm.analysis.reach.analysis import Reachability, reach
from whamm_cm.analysis.reach.model import ComponentReach, Frame, ImportReach, ItemReach
from whamm_cm.analysis.reach.witness import spelled
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.component.ir import Component, Definition, SectionId, walk
from whamm_cm.component.items import Ref
from whamm_cm.demangle.name import demangle
from whamm_cm.errors import DecodeError
from whamm_cm.kernel import layout
from whamm_cm.render.page.bundle import packed, page
from whamm_cm.render.page.topology import component_topology
from whamm_cm.render.safe import printable
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit.printer import world_text
from whamm_cm.wit.resolve import Resolved, resolve

Json = dict[str, Any]

#: What the sections of a component hold, in words.
_SECTIONS = {
    SectionId.CORE_INSTANCE: "core instances",
    SectionId.CORE_TYPE: "core types",
    SectionId.INSTANCE: "instances",
    SectionId.ALIAS: "aliases",
    SectionId.TYPE: "types",
    SectionId.CANON: "canonical functions",
    SectionId.START: "start",
    SectionId.IMPORT: "imports",
    SectionId.EXPORT: "exports",
    SectionId.VALUE: "values",
}
#: Names longer than this are cut: no picture shows more, and a guest chooses them.
_LONGEST = 2000


def component_page(data: bytes, name: str) -> Iterator[str]:
    """The HTML of a component alone.  Raises as :func:`component_model`, at once."""
    model: Json = {
        "v": 1,
        "kind": "component",
        "title": printable(PurePath(name).name),
        "by": f"whamm-cm {__version__}",
        "component": component_model(data, name),
    }
    topology = component_topology(data, name)
    if topology is not None:
        model["topology"] = topology
    return page(model)


def component_model(data: bytes, name: str) -> Json:
    """``name``: what the user calls the input.  Raises InputError (DecodeError) for what is
    neither a sound component nor a core module."""
    alone = data[:8] == MODULE_PREAMBLE
    whole = as_component(data, name)
    root = decode(whole, name)
    resolved, facts = resolve(root), collect(root)
    unreached = None
    found: Reachability | None = None
    try:
        found = reach(root, resolved, alone=alone)
    except DecodeError as error:
        unreached = str(error)
    parts = _Parts(root, whole, facts, found, alone)
    frames = _Frames()
    capabilities = [] if found is None else list(_capabilities(found, parts, frames))
    return {
        "file": PurePath(name).name,  # a page may be passed on, and folders are nobody's business
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "alone": alone,
        "stamp": facts.root.stamp,
        "faults": list(facts.faults),
        "parts": parts.rows,
        "wit": list(_wit(resolved, parts)),
        "exports": [_export(extern) for extern in facts.exports],
        "frames": frames.rows,
        "capabilities": capabilities,
        "unreached": unreached,
    }


class _Parts:
    """``rows``: one for each part in the order of the input; ``at``: their positions by path."""

    def __init__(
        self, root: Component, whole: bytes, facts: Facts, found: Reachability | None, alone: bool
    ) -> None:
        self.rows: list[Json] = []
        self.at: dict[str, int] = {}
        known = {part.path: part for part in contents(root, whole)}
        components = {one.path: one for one in facts.components}
        modules = {one.path: one for one in facts.modules}
        counts = {} if found is None else {one.path: one.instances for one in found.components}
        for part in _in_order(root):
            path = part.path
            one = known[path]
            if isinstance(part, CoreModule):
                row = _module(part, modules[path])
            elif alone:
                self.at[path] = 0  # the one around the core module is ours
                continue
            else:
                row = _component(part, components[path])
                row["instances"] = counts.get(path)
            around = -1 if alone or one.parent is None else self.at[one.parent]
            self.at[path] = len(self.rows)
            self.rows.append(row | {"in": around} | _identity(one))


def _in_order(root: Component) -> Iterator[Component | CoreModule]:
    """All parts, each behind the one around it, neighbours as in the input."""
    for component in walk(root):
        yield component
        for definition in component.definitions:
            if isinstance(definition.node, CoreModule):
                yield definition.node


def _identity(part: Part) -> Json:
    packages = [
        [one.name, one.version, one.source, one.kind]
        for packages in part.packages
        for one in packages
        if not one.root
    ]
    return {"sha256": part.sha256, "packages": packages}


def _component(component: Component, facts: ComponentFacts) -> Json:
    return {
        "kind": "component",
        "path": component.path,
        "name": _cut(facts.name) if facts.name is not None else None,
        "offset": component.offset,
        "size": component.size,
        "sections": list(_definitions(component)),
        "producers": [[p.field, p.name, p.version] for p in facts.producers],
        "fault": None,
    }


def _definitions(component: Component) -> Iterator[list[object]]:
    """What the definitions of each kind take, and each custom section.  Neither parts inside nor
    the heads of sections are counted."""
    sizes: dict[int, list[int]] = {}
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, n.Custom):
            yield [_cut(node.name), len(node.data), 1, True]
        elif isinstance(node, n.NameSection):
            yield ["component-name", len(node.data), 1, True]
        elif definition.section in _SECTIONS:
            size = sizes.setdefault(definition.section, [0, 0])
            size[0] += _length(definition)
            size[1] += 1
    for section, (size_, count) in sorted(sizes.items()):
        yield [_SECTIONS[section], size_, count, False]


def _length(definition: Definition) -> int:
    return sum(t.width if isinstance(t, Ref) else len(t) for t in definition.tokens)


def _module(module: CoreModule, facts: ModuleFacts) -> Json:
    row: Json = {
        "kind": "module",
        "path": module.path,
        "name": _cut(facts.name) if facts.name is not None else None,
        "offset": facts.offset,
        "size": facts.size,
        "producers": [[p.field, p.name, p.version] for p in facts.producers],
        "sections": [],
        "fault": facts.fault or None,
    }
    if facts.fault:
        return row
    row["counts"] = [facts.imports, facts.exports, facts.functions]
    customs = [section.id == SectionId.CUSTOM for section in module.sections]
    row["sections"] = [
        [_cut(name), size, _entries(module, name, custom), custom]
        for (name, size), custom in zip(facts.sections, customs, strict=True)
    ]
    try:
        row["inside"] = packed(_inside(module))
    except DecodeError as error:
        row["fault"] = str(error)
    return row


def _entries(module: CoreModule, name: str, custom: bool) -> int:
    counts = {"import": module.imports, "export": module.exports}
    if name in ("function", "code"):
        return len(module.functions)
    return 1 if custom else len(counts.get(name, ()))


def _inside(module: CoreModule) -> Json:
    bodies, names = module.bodies, module.names.functions
    first = len(module.imported("func"))
    public = {one.index: one.name for one in module.exports if one.kind == "func"}
    starts, ends = bodies.column(layout.START), bodies.column(layout.END)
    return {
        "first": first,
        "names": [
            _cut(demangle(names.get(index) or public.get(index, "")))
            for index in range(first, first + len(bodies))
        ],
        "sizes": [end - start for start, end in zip(starts, ends, strict=True)],
        "imports": [[_cut(i.module), _cut(i.name), i.kind] for i in module.imports],
        "exports": [[_cut(e.name), e.kind, e.index] for e in module.exports],
        "data": [[d.mode, len(d.payload)] for d in module.data_segments],
    }


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _wit(resolved: Resolved, parts: _Parts) -> Iterator[list[object]]:
    """The world of every component, the root first."""
    for one in resolved.components:
        yield [parts.at[one.component.path], world_text(one.world)]


def _export(extern: ExternFacts) -> Json:
    return {
        "name": extern.name,
        "kind": extern.kind,
        "interface": extern.interface,
        "version": extern.version,
        "functions": [one.name for one in extern.functions if one.declared],
    }


# What can be reached, and how


class _Frames:
    """Every frame once: paths share most of theirs."""

    def __init__(self) -> None:
        self.rows: list[list[object]] = []
        self._at: dict[Frame, int] = {}

    def of(self, path: Iterable[Frame]) -> list[int]:
        return [self._position(frame) for frame in path]

    def _position(self, frame: Frame) -> int:
        found = self._at.get(frame)
        if found is None:
            found = self._at[frame] = len(self.rows)
            index = -1 if frame.index is None else frame.index
            self.rows.append(
                [frame.kind, frame.component, _cut(frame.name), frame.via, frame.module, index]
            )
        return found


def _capabilities(found: Reachability, parts: _Parts, frames: _Frames) -> Iterator[Json]:
    for component in found.components:
        imports = [_import(found, component, one, frames) for one in component.imports]
        yield {"part": parts.at[component.path], "imports": imports}


def _import(
    found: Reachability, component: ComponentReach, one: ImportReach, frames: _Frames
) -> Json:
    return {
        "name": one.name,
        "kind": one.kind,
        "interface": one.interface,
        "version": one.version,
        "functions": [_item(found, component, item, frames) for item in one.items],
    }


def _item(found: Reachability, component: ComponentReach, item: ItemReach, frames: _Frames) -> Json:
    row: Json = {
        "name": item.label,
        "kind": item.kind,
        "reachable": item.reachable,
        "providers": [
            [p.kind, p.component, spelled(p.path) if p.path else ""] for p in item.providers
        ],
    }
    path = found.why(component, item) if item.reachable else None
    return row if path is None else row | {"why": frames.of(path)}
