"""Last words of core modules without probes: what is buffered leaves before ``unreachable``.

A panic, an ``abort`` and an assertion all end in that instruction, which costs nothing until then.
The module gets one import, a table of the agent's that the first probe module of the component puts
its flush function into; no definition is added to it (pooling hosts count those).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from whamm_cm.binary import build
from whamm_cm.codegen.asm import Func
from whamm_cm.errors import DecodeError
from whamm_cm.ir import nodes as n
from whamm_cm.ir.component import Definition
from whamm_cm.ir.core import CoreModule
from whamm_cm.ir.items import Item
from whamm_cm.weave.agents import TABLE
from whamm_cm.weave.guests import Guest, find_guests
from whamm_cm.weave.modules import snippets
from whamm_cm.weave.modules.edit import ModuleEdit
from whamm_cm.weave.modules.moved import Moved
from whamm_cm.weave.opcodes.beat import endings, pieces
from whamm_cm.weave.plan import Added
from whamm_cm.weave.program import Program

#: The module name of the import.
IMPORT = "whamm-cm:last"
_ONE_FUNCREF = b"\x70\0\1"


@dataclass(slots=True)
class LastWords:
    """The modules that were changed, by identity of their definitions, and their instances."""

    modules: dict[int, bytes] = field(default_factory=dict)
    instances: set[int] = field(default_factory=set)
    moved: dict[bytes, Moved] = field(default_factory=dict)

    @classmethod
    def find(
        cls, program: Program, components: Collection[int], woven: Collection[int], added: Added
    ) -> LastWords:
        """Of modules instantiated in ``components`` (by identity) only, but not those ``woven``."""
        found = cls()
        for guest in find_guests(program):
            homes = {id(component) for component, _ in guest.instances}
            if guest.reason or not homes or not homes <= set(components):
                continue
            if id(guest.definition) not in woven:
                found._take(guest, added)
        return found

    def _take(self, guest: Guest, added: Added) -> None:
        module = guest.module
        try:
            ends = endings(module)
        except DecodeError:
            return  # what we cannot read is left as it is
        if not ends:
            return
        edit = ModuleEdit(module)
        table = edit.import_table(IMPORT, TABLE, _ONE_FUNCREF)
        plain = edit.type_index((), ())
        f = Func(0, 0, ())
        f.i32(0)
        f.table_get(table)
        f.ref_is_null()
        with f.if_():
            f.op("return")
        f.i32(0)
        f.call_indirect(plain, table)
        last = snippets.call(edit.add_func(plain, f.encode()))
        for index, positions in ends.items():
            edit.replace_body(index, pieces(module, index, [(pos, last) for pos in positions]))
        wasm = edit.encode()
        self.modules[id(guest.definition)] = wasm
        self.instances |= {id(instantiation) for _, instantiation in guest.instances}
        self.moved[wasm] = Moved(module, guest.place, edit.replaced)
        added.dropped += [(guest.place, name) for name in edit.dropped]

    def edited(self, definition: Definition) -> Definition:
        """A core module as it is after the weave."""
        wasm, node = self.modules.get(id(definition)), definition.node
        if wasm is None or not isinstance(node, CoreModule):
            return definition
        return replace(definition, node=CoreModule(wasm, path=node.path), group=None)

    def instantiated(self, definition: Definition, agent: Item) -> Definition:
        """A changed module's ``core instantiate`` with the agent."""
        node = definition.node
        assert isinstance(node, n.CoreInstantiate)
        again = build.core_instantiate(node.module, (*node.args, (IMPORT, agent)))
        return replace(definition, tokens=again.tokens, group=None)
