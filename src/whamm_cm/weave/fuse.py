"""Modules of ours linked with small modules of the component, for hosts that count core instances.

wit-component gives a component a *shim*, a module without imports whose functions go through a
table, and a *fixup*, a module without functions that fills the table once everything is there.  The
agent needs nothing and can be one module with the shim; the probes behind the main module
can be one with the fixup.  So neither costs an instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule, TableType
from whamm_cm.wasm.section_refs import read_import_entries
from whamm_cm.wasm.sections import SectionId
from whamm_cm.weave.agents import WAY, names
from whamm_cm.weave.near import ENV

_PROBE = "whamm-cm:probe"
#: Arguments of probe modules, and what provides their way out where that is one with them.
_OURS = frozenset(("agent", "probe", "script", ENV))
SINK = "whamm-cm:sink"


@dataclass(frozen=True, slots=True)
class Shim:
    """A core module that may be one with the agent, and its only instance."""

    module: Definition
    instance: Definition
    #: The modules that are given its table; None if the table has to stay as it is.
    fixups: Set[Definition] | None = frozenset()

    @property
    def size(self) -> int:
        """How many functions its table has."""
        assert isinstance(self.module.node, CoreModule)
        return self.module.node.tables[0].type.min

    def with_agent(self, agent: bytes) -> bytes:
        assert isinstance(self.module.node, CoreModule)
        shim = Part("shim", self.module.node, keep_exports="all")
        return link([shim, Part("agent", agent, keep_exports="all")])


def find_shim(root: Component, component: Component) -> Shim | None:
    """The first module of ``component`` that can take the agent in."""
    taken = names()
    uses = _uses_of_modules(root)
    for definition in component.definitions:
        node = definition.node
        if not isinstance(node, n.CoreInstantiate) or node.args or uses.get(node.module) != 1:
            continue
        if not component.defines(node.module):
            continue
        module = component.definition_of(node.module)
        if isinstance(module.node, CoreModule) and _is_shim(module.node, taken):
            fixups = _fixups_of(component, module.node, definition)
            if fixups is not None and any(uses.get(each.item) != 1 for each in fixups):
                fixups = None
            return Shim(module, definition, None if fixups is None else {*fixups})
    return None


def _fixups_of(
    component: Component, shim: CoreModule, instance: Definition
) -> list[Definition] | None:
    """The modules that are given the shim's table; None when one of them is no fixup, or the table
    goes where we do not see it.  They say how large it may be, so they have to change with it."""
    table = next(e.name for e in shim.exports if e.kind == "table")
    carriers = {instance.item}
    tables: set[Item] = set()
    found = dict[Definition, None]()
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, n.AliasCoreExport) and node.instance is instance.item:
            if node.name == table:
                tables.add(definition.item)
        elif isinstance(node, n.CoreInlineExports):
            if any(item in tables for _, item in node.exports):
                carriers.add(definition.item)
        elif isinstance(node, n.CoreInstantiate):
            given = {name for name, item in node.args if item in carriers}
            if not given:
                continue
            module = (
                component.definition_of(node.module) if component.defines(node.module) else None
            )
            if module is None or not isinstance(module.node, CoreModule):
                return None
            if _takes_table(module.node, given):
                if not _is_fixup(module.node):
                    return None
                found[module] = None
        elif not tables.isdisjoint(definition.refs()) and not isinstance(node, n.NameSection):
            return None
    return [*found]


def _takes_table(module: CoreModule, given: set[str]) -> bool:
    try:
        return any(i.module in given and i.kind == "table" for i in module.imports)
    except DecodeError:
        return True


def relaxed(definition: Definition) -> Definition:
    """A fixup for a table of any size."""
    assert isinstance(definition.node, CoreModule)
    return replace(definition, node=_renamed(definition.node, {}), group=None)


def _uses_of_modules(root: Component) -> dict[Item, int]:
    """How often each core module is used, names not counted."""
    uses: dict[Item, int] = {}
    for component in walk(root):
        for definition in component.definitions:
            if not isinstance(definition.node, n.NameSection):
                for item in definition.refs():
                    uses[item] = uses.get(item, 0) + 1
    return uses


def _is_shim(module: CoreModule, taken: Iterable[str]) -> bool:
    try:
        exports = {export.name: export.kind for export in module.exports}
        return (
            "table" in exports.values()
            and len(module.tables) == 1
            and exports.keys().isdisjoint(taken)
            and not any(name.startswith(WAY) for name in exports)
            and not module.tables[0].type.is64
            and module.start is None
            and not (module.imports or module.memories or module.globals or module.tags)
            and not (module.elements or module.data_segments)
        )
    except DecodeError:
        return False  # the engine may say what is wrong with it


@dataclass(frozen=True, slots=True)
class Fixup:
    """A core module without functions, about to be instantiated; ``before``: the definitions from
    here up to ``instance``, its arguments among them."""

    module: CoreModule
    instance: Definition
    before: tuple[Definition, ...]

    @property
    def args(self) -> tuple[tuple[str, Item], ...]:
        assert isinstance(self.instance.node, n.CoreInstantiate)
        return self.instance.node.args

    def wanted(self) -> dict[tuple[str, str], Item]:
        """What it is given as an import, by both names."""
        bags = {d.item: d.node for d in self.before if isinstance(d.node, n.CoreInlineExports)}
        return {
            (module, name): item
            for module, instance in self.args
            if instance in bags
            for name, item in bags[instance].exports
        }

    def part(self, wrappers: Mapping[Item, str]) -> Part:
        """What is to be linked with the probe.  ``wrappers``: exports of that by what they wrap."""
        given = {names: wrappers[i] for names, i in self.wanted().items() if i in wrappers}
        return Part("fixup", _renamed(self.module, given), None, "all")


def linked(
    probe: bytes, fixup: Fixup | None, wrappers: Mapping[Item, str], sink: bytes | None
) -> bytes:
    """The ``probe`` as one module with the ``fixup`` and the ``sink``, as far as there are any."""
    parts = [Part("probe", probe, _PROBE, "all")]
    if fixup is not None:
        parts.append(fixup.part(wrappers))
    if sink is not None:
        parts.append(Part("sink", sink, SINK, {"emit": "emit"}))
    return probe if len(parts) == 1 else link(parts)


def fixup_at(component: Component, position: int) -> Fixup | None:
    """The fixup whose arguments are put together from ``position`` on."""
    for behind in range(position, len(component.definitions)):
        definition = component.definitions[behind]
        node = definition.node
        if isinstance(node, n.CoreInstantiate):
            if not component.defines(node.module):
                return None
            module = component.definition_of(node.module).node
            if not isinstance(module, CoreModule) or not _is_fixup(module):
                return None
            if not _OURS.isdisjoint(name for name, _ in node.args):
                return None
            return Fixup(module, definition, component.definitions[position:behind])
        if not isinstance(node, n.CoreInlineExports | n.AliasCoreExport):
            return None
    return None


def _is_fixup(module: CoreModule) -> bool:
    try:
        return module.start is None and not (
            module.functions or module.memories or module.tables or module.globals
            or module.tags or module.exports
        )  # fmt: skip
    except DecodeError:
        return False


def _renamed(module: CoreModule, given: Mapping[tuple[str, str], str]) -> CoreModule:
    """The same with imports of the probe in place of those ``given``, and tables of any size."""
    at = next(i for i, s in enumerate(module.sections) if s.id == SectionId.IMPORT)
    section = module.sections[at]
    cursor = Cursor(module.data, section.start, section.end, module.offset, module.path)
    entries = read_import_entries(cursor)
    payload = unsigned(len(entries))
    for entry, known in zip(entries, module.imports, strict=True):
        wrapper = given.get((known.module, known.name))
        names = entry.names if wrapper is None else name_bytes(_PROBE) + name_bytes(wrapper)
        described = bytes(module.data[entry.start : entry.end])
        type_ = known.type
        if isinstance(type_, TableType) and type_.element == "funcref" and not type_.is64:
            described = b"\1\x70\0" + unsigned(type_.min)
        payload += names + described
    return CoreModule(module.encode({at: payload}))
