"""What is inside a component: every part by its hash, and the crates that are compiled in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.auditable import SECTION, Package, read_packages
from whamm_cm.wasm.module import CoreModule


@dataclass(frozen=True, slots=True)
class Part:
    """A component or core module; ``parent`` is the path of the component it stands in, None for
    the root.  ``faults``: why packages are not known."""

    path: str
    kind: str
    parent: str | None
    sha256: str
    packages: tuple[tuple[Package, ...], ...] = ()
    faults: tuple[str, ...] = ()


def contents(root: Component, data: bytes) -> tuple[Part, ...]:
    """All components and core modules, the root first; ``data`` is the whole input."""
    parts: list[Part] = []
    parents: dict[str, str] = {}
    for component in walk(root):
        for definition in component.definitions:
            if isinstance(definition.node, Component | CoreModule):
                parents[definition.node.path] = component.path
    for component in walk(root):
        whole = data[component.offset : component.offset + component.size]
        parts.append(_part(component.path, "component", parents, whole, _customs(component)))
        for definition in component.definitions:
            module = definition.node
            if isinstance(module, CoreModule):
                whole = bytes(module.data)
                parts.append(_part(module.path, "module", parents, whole, _sections(module)))
    return tuple(parts)


_Section = tuple[bytes | memoryview, int]


def _customs(component: Component) -> Iterator[_Section]:
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, n.Custom) and node.name == SECTION:
            yield node.data, definition.offset


def _sections(module: CoreModule) -> Iterator[_Section]:
    for section in module.custom_sections:
        if section.name == SECTION:
            yield module.data[section.content : section.end], module.offset + section.content


def _part(
    path: str, kind: str, parents: dict[str, str], whole: bytes, sections: Iterator[_Section]
) -> Part:
    packages: list[tuple[Package, ...]] = []
    faults: list[str] = []
    try:
        for data, offset in sections:
            try:
                packages.append(read_packages(data, offset, path))
            except DecodeError as error:
                faults.append(str(error))
    except DecodeError as error:  # of a module whose sections cannot be told apart
        faults.append(str(error))
    digest = hashlib.sha256(whole).hexdigest()
    return Part(path, kind, parents.get(path), digest, tuple(packages), tuple(faults))
