"""Where each component gets ``emit``, clocks and libraries: imports of the root, or extra imports
further in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.types import KIND_SORTS
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import Sampling
from whamm_cm.errors import WeaveError
from whamm_cm.weave import sampling
from whamm_cm.weave.instance_types import STRING, U64, InstanceTypeEditor
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.libs.model import Library
from whamm_cm.weave.outlet import Block, Supply
from whamm_cm.wit.names import InterfaceName

SINK_INTERFACE = "whamm:cm/sink"
CLOCK = "wasi:clocks/monotonic-clock"
#: Of ``Plan.own_clocks``: ``now`` and ``wall``, in nanoseconds as scripts want them.
OWN_CLOCK, OWN_WALL = "whamm:cm/clock", "whamm:cm/wall-clock"
#: ``emit`` of a sink component takes ``list<tuple<u64, u64, u64, u64>>`` (see ``outlet.Block``).
CHUNK: tuple[n.ValRef, ...] = ("u64",) * 4


def wasi_version(component: Component, *preferred: str) -> str:
    """The 0.2 version this component speaks, looked up in the imports of ``preferred`` packages
    first; 0.2.0 when it imports nothing of WASI 0.2."""
    found: dict[str, str] = {}
    for definition in component.definitions:
        if isinstance(definition.node, n.Import):
            name = InterfaceName.try_parse(definition.node.name.name)
            version = name.version or "" if name is not None and name.namespace == "wasi" else ""
            if name is not None and is_release(version):
                found.setdefault(name.package, version)
    for package in (*preferred, *found):
        if package in found:
            return found[package]
    return "0.2.0"


def is_release(version: str) -> bool:
    """Whether ``version`` is a release of WASI 0.2; its candidates had other interfaces."""
    return version.startswith("0.2.") and "-" not in version


def find_import(
    component: Component, path: str, wanted: Callable[[str], bool] = is_release
) -> Definition | None:
    """The first instance import of interface ``path`` (no version) at a version that is wanted."""
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, n.Import) and node.type.kind == "instance":
            base, _, version = node.name.name.partition("@")
            if base == path and wanted(version):
                return definition
    return None


def instance_type(component: Component, definition: Definition) -> n.InstanceTypeDef | None:
    """The instance type an import of ``component`` is given, if it is defined right there."""
    node = definition.node
    assert isinstance(node, n.Import)
    if node.type.item is None or not component.defines(node.type.item):
        return None
    type_ = component.definition_of(node.type.item).node
    return type_ if isinstance(type_, n.InstanceTypeDef) else None


def version_of(definition: Definition | None) -> str:
    """The version in an import's name, "" if there is none."""
    if definition is None:
        return ""
    return _name(definition).partition("@")[2]


def type_source(
    component: Component, definition: Definition | None, name: str, path: str
) -> Definition | None:
    """The import of interface ``path`` whose type ``name`` the type of an import speaks of.

    Raises WeaveError if that type ``name`` comes of elsewhere or is a resource of the import's own.
    """
    type_ = None if definition is None else instance_type(component, definition)
    if definition is None or type_ is None:
        return None
    own = False
    for decl in type_.decls:
        node = decl.node
        if isinstance(node, n.AliasOuter):
            source, of = _imported_type(component, node.item)
            if source is not None and of == name:
                return _of_interface(definition, source, name, path)
        elif isinstance(node, n.ExportDecl) and node.name.name == name:
            own = node.type.kind == "type" and node.type.item is None
    return _of_interface(definition, None, name, path) if own else None


def _of_interface(user: Definition, source: Definition | None, name: str, path: str) -> Definition:
    if source is None or _name(source).partition("@")[0] != path:
        raise WeaveError(
            f"the {name} of the import {_name(user)} is not that of {path}, which the sink needs;"
            " use --sink host"
        )
    return source


def _name(definition: Definition) -> str:
    assert isinstance(definition.node, n.Import)
    return definition.node.name.name


def _used(type_: n.InstanceTypeDef | None, name: str) -> Item | None:
    """The outer type that an instance type's export ``name`` is, None if it is one of its own."""
    makers = {} if type_ is None else {i: d.node for d in type_.decls for i in d.items}
    named = (node for node in makers.values() if isinstance(node, n.ExportDecl))
    node: object = next((node for node in named if node.name.name == name), None)
    while isinstance(node, n.ExportDecl) and node.type.item is not None:
        node = makers.get(node.type.item)
    return node.item if isinstance(node, n.AliasOuter) else None


def _imported_type(component: Component, item: Item) -> tuple[Definition | None, str]:
    """The import that exports a type of ``component``, and as what; types and instances may have
    been passed on under other names."""
    name = ""
    while component.defines(item):
        definition = component.definition_of(item)
        node = definition.node
        if isinstance(node, n.AliasExport) and not name:
            item, name = node.instance, node.name
        elif isinstance(node, n.Export):
            item = node.item
        elif isinstance(node, n.Import) and name:
            passed_on = _used(instance_type(component, definition), name)
            if passed_on is None:
                return definition, name
            item, name = passed_on, ""
        elif isinstance(node, n.Import) and node.type.kind == "type" and node.type.item:
            item = node.type.item
        else:
            break
    return None, name


def interface_import(
    component: Component, definition: Definition | None, name: str, editor: InstanceTypeEditor
) -> Interface:
    """Import ``name`` with the type ``editor`` describes, or reuse ``definition`` for it."""
    if definition is None:
        type_def = editor.to_definition()
        imported = build.import_(name, "instance", type_def.item)
        return Interface(imported.item, None, (type_def, imported))
    if not editor.edited:
        return Interface(definition.item, definition, (definition,))
    node = definition.node
    assert isinstance(node, n.Import) and node.type.item is not None
    extended = editor.to_definition()
    changed = definition.substitute({node.type.item: extended.item})
    if not _handed_on(component, definition.item):
        return Interface(definition.item, definition, (extended, changed))
    whole = replace(changed, items=(Item(Sort.INSTANCE),))
    declared = _as_declared(whole.item, editor.base, definition)
    return Interface(whole.item, definition, (extended, whole, *declared))


def _handed_on(component: Component, instance: Item) -> bool:
    """Whether anything takes the instance whole: an export, say, which would then have what the
    sink needs, too.  wasmtime compiles no exports of imported functions."""
    return any(
        instance in definition.refs()
        for definition in component.definitions
        if not isinstance(definition.node, n.AliasExport)
    )


def _as_declared(
    whole: Item, type_: n.InstanceTypeDef, definition: Definition
) -> tuple[Definition, ...]:
    """What the component itself has declared of the instance ``whole``, as the instance that
    ``definition`` adds."""
    named = [decl.node for decl in type_.decls if isinstance(decl.node, n.ExportDecl)]
    aliases = [
        build.alias_export(whole, node.name.name, KIND_SORTS[node.type.kind]) for node in named
    ]
    exports = [(node.name.name, alias.item) for node, alias in zip(named, aliases, strict=True)]
    return (*aliases, replace(build.inline_exports(exports), items=definition.items))


def editor_for(component: Component, definition: Definition | None) -> InstanceTypeEditor:
    """An editor of the import's instance type; of an empty one when there is no import yet."""
    if definition is None:
        return InstanceTypeEditor()
    type_ = instance_type(component, definition)
    if type_ is None:
        raise WeaveError(
            "the type of an import the sink needs is not defined beside it; use --sink none"
        )
    return InstanceTypeEditor(type_)


def _has_now(version: str) -> bool:
    """``now: func() -> u64`` in all but name since 0.2.0, in 0.3 as well."""
    return is_release(version) or version.startswith("0.3.")


def clock(component: Component) -> tuple[Interface, Item]:
    """The monotonic clock (the component's own, extended by ``now`` if need be, or a new import)
    and its ``now``."""
    definition = find_import(component, CLOCK, _has_now)
    editor = editor_for(component, definition)
    editor.export_func("now", [], U64)
    version = wasi_version(component, "clocks", "cli", "io")
    imported = interface_import(component, definition, f"{CLOCK}@{version}", editor)
    return imported.with_alias("now", Sort.FUNC)


def own_clock(interface: str, label: str) -> tuple[Interface, Item]:
    """Import an interface of our own with ``label: func() -> u64``, and that function."""
    editor = InstanceTypeEditor()
    editor.export_func(label, [], U64)
    type_def = editor.to_definition()
    imported = build.import_(interface, "instance", type_def.item)
    return Interface(imported.item, None, (type_def, imported)).with_alias(label, Sort.FUNC)


def host_emit() -> tuple[list[Definition], Item]:
    """Import ``whamm:cm/sink`` and take ``emit: func(block: string) -> u32`` out of it."""
    editor = InstanceTypeEditor()
    editor.export_func("emit", [("block", STRING)], b"\x79")
    type_def = editor.to_definition()
    imported = build.import_(SINK_INTERFACE, "instance", type_def.item)
    emit = build.alias_export(imported.item, "emit", Sort.FUNC)
    return [type_def, imported, emit], emit.item


def import_names(component: Component) -> Iterator[str]:
    """The names of the imports of ``component`` itself."""
    for definition in component.definitions:
        if isinstance(definition.node, n.Import):
            yield definition.node.name.name


@dataclass(frozen=True, slots=True)
class Names:
    """What the plain functions threaded into components are called; those of ``libraries`` by
    script name, those of ``sampling`` as its ``Ways`` calls them."""

    emit: str = "whamm-cm-emit"
    now: str = "whamm-cm-now"
    libraries: tuple[tuple[Library, Mapping[str, str]], ...] = ()
    sampling: Mapping[str, str] = field(default_factory=dict)
    wall: str = "whamm-cm-wall"

    @classmethod
    def free(cls, root: Component, libraries: Iterable[Library] = ()) -> Names:
        """Names that no component in the tree imports yet, as those of an earlier weave do."""
        # Names that differ in case only are the same to a host (Explainer.md, "Name Uniqueness").
        taken = {name.lower() for component in walk(root) for name in import_names(component)}
        first, named = cls(), list[tuple[Library, Mapping[str, str]]]()
        for library in libraries:
            names = library.import_names(taken)
            named.append((library, names))
            taken.update(names.values())
        others = {name: _free(f"whamm-cm-{name}", taken) for name in sampling.NAMES}
        ours = (_free(name, taken) for name in (first.emit, first.now, first.wall))
        emit, now, wall = ours
        return cls(emit, now, tuple(named), others, wall)


def _free(name: str, taken: set[str]) -> str:
    """``name``, ``name2``, ``name3`` …: older hosts want a letter behind each hyphen."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}{number}"
    return candidate


def threaded(
    emit: Block | None,
    timed: bool,
    names: Names,
    sampled: Sampling | None = None,
    wall: bool = False,
) -> Supply:
    """The extra imports of a nested component.  ``emit``: what it takes a block as."""
    supply = Supply()
    if emit is not None:
        supply.block = emit
        block: n.ValRef = "string"
        if emit == "chunks":
            chunk = build.tuple_type(CHUNK)
            list_type = build.list_type(chunk.item)
            supply.front += (chunk, list_type)
            block = list_type.item
        func = build.func_type((("block", block),), "u32")
        taken = build.import_(names.emit, "func", func.item)
        supply.front += (func, taken)
        supply.emit = taken.item
    if timed:
        func = build.func_type((), "u64")
        now = build.import_(names.now, "func", func.item)
        supply.front += (func, now)
        supply.now = now.item
    if wall:
        func = build.func_type((), "u64")
        taken = build.import_(names.wall, "func", func.item)
        supply.front += (func, taken)
        supply.wall = taken.item
    if sampled is not None:
        front, supply.sampling = sampling.threaded(sampled, names.sampling)
        supply.front += front
    for library, named in names.libraries:
        definitions, functions = library.imported(named)
        supply.front += definitions
        supply.libraries[library.name] = functions
    return supply


def pass_on(definition: Definition, supply: Supply, names: Names) -> Definition:
    """An ``instantiate`` that also passes the extra imports."""
    node = definition.node
    assert isinstance(node, n.Instantiate)
    args = list(node.args)
    if supply.emit is not None:
        args.append((names.emit, supply.emit))
    if supply.now is not None:
        args.append((names.now, supply.now))
    if supply.wall is not None:
        args.append((names.wall, supply.wall))
    args += supply.sampling.passed(names.sampling)
    for library, named in names.libraries:
        functions = supply.libraries.get(library.name, {})
        args += ((named[key], item) for key, item in functions.items())
    replacement = build.instantiate(node.component, args)
    return Definition(
        definition.section, node, definition.items, replacement.tokens, None, definition.offset
    )
