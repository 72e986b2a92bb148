"""Last words of core modules without probes: what is buffered leaves before ``unreachable``.

A panic, an ``abort`` and an assertion all end in that instruction, which costs nothing until then.
The module gets one import, a table of the agent's that the first probe module of the component puts
its flush function into; no definition is added to it (pooling hosts count those).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field, replace

from whamm_cm.analysis.guests import Guest, find_guests
from whamm_cm.analysis.program import Program
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm import snippets
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.agents import TABLE
from whamm_cm.weave.fuse import find_shim
from whamm_cm.weave.plan import Added

#: The module name of the import.
IMPORT = "whamm-cm:last"


@dataclass(slots=True)
class LastWords:
    """The modules that were changed, by their definitions, and their instances."""

    modules: dict[Definition, bytes] = field(default_factory=dict)
    instances: set[Definition] = field(default_factory=set)
    #: The module name of the import, which an earlier weave may have taken.
    name: str = IMPORT
    #: Where in the table: behind the functions of any shim that the agent may be one with.
    slot: int = 0

    @classmethod
    def find(
        cls,
        program: Program,
        components: Collection[Component],
        woven: Collection[Definition],
        added: Added,
    ) -> LastWords:
        """Of modules instantiated in ``components`` only, but not those ``woven``."""
        guests = list(find_guests(program))
        taken = {each.module for guest in guests for each in guest.module.imports}
        names = (IMPORT, *(f"{IMPORT}{number}" for number in range(2, len(taken) + 3)))
        found = cls(
            name=next(name for name in names if name not in taken),
            slot=max(
                (_shims(program, c) for c in walk(program.root) if c in components), default=0
            ),
        )
        for guest in guests:
            homes = {component for component, _ in guest.instances}
            if guest.reason or not homes or not homes <= set(components):
                continue
            if guest.definition not in woven:
                found._take(guest, added)
        return found

    def _take(self, guest: Guest, added: Added) -> None:
        module = guest.module
        edit = ModuleEdit(module)
        table = edit.import_table(self.name, TABLE, b"\x70\0" + unsigned(self.slot + 1))
        plain = edit.type_index((), ())
        f = Func(0, 0, ())
        f.i32(self.slot)
        f.table_get(table)
        f.ref_is_null()
        with f.if_():
            f.op("return")
        f.i32(self.slot)
        f.call_indirect(plain, table)
        edit.last_words = snippets.call(edit.add_func(plain, f.encode()))
        try:
            wasm = edit.encode()
        except DecodeError:
            return  # what we cannot read is left as it is
        if not edit.endings:
            return
        self.modules[guest.definition] = wasm
        self.instances |= {instantiation for _, instantiation in guest.instances}
        added.dropped += [(guest.place, name) for name in edit.dropped]

    def edited(self, definition: Definition) -> Definition:
        """A core module as it is after the weave."""
        wasm, node = self.modules.get(definition), definition.node
        if wasm is None or not isinstance(node, CoreModule):
            return definition
        return replace(definition, node=CoreModule(wasm, path=node.path), group=None)

    def instantiated(self, definition: Definition, agent: Item) -> Definition:
        """A changed module's ``core instantiate`` with the agent."""
        node = definition.node
        assert isinstance(node, n.CoreInstantiate)
        again = build.core_instantiate(node.module, (*node.args, (self.name, agent)))
        return replace(definition, tokens=again.tokens, group=None)


def _shims(program: Program, component: Component) -> int:
    """How many functions the table of that component's shim has."""
    shim = find_shim(program.root, component)
    return 0 if shim is None else shim.size
