"""From an offset in a woven component back to the original: core modules are copied whole."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from whamm_cm.agent.layout import load_wasm
from whamm_cm.binary.encode import pieces
from whamm_cm.errors import DecodeError
from whamm_cm.ir.component import Component, Definition, walk
from whamm_cm.ir.core import CoreModule
from whamm_cm.weave import agents
from whamm_cm.weave.program import given_names

_OWN = {
    "relay.wasm": "whamm-cm sink",
    "sink-logging.wasm": "whamm-cm sink",
    "sink-stderr.wasm": "whamm-cm sink",
}
_PROBE = "whamm-cm probe"


@dataclass(frozen=True, slots=True)
class Place:
    """A core module and an offset: in the original component, or, for a module that the weave
    added (``own``), in the woven one."""

    module: str
    offset: int
    own: bool


@dataclass(frozen=True, slots=True)
class Places:
    """The core modules of a woven component with their offsets in it, in order."""

    starts: tuple[int, ...]
    definitions: tuple[Definition, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, woven: Component) -> Places:
        found: dict[int, tuple[Definition, str]] = {}
        for component in walk(woven):
            given = given_names(component)
            for definition in component.definitions:
                if isinstance(definition.node, CoreModule):
                    name = "" if definition.group is None else given.get(definition.item, "")
                    found[id(definition.node.data)] = definition, name
        at, rows = 0, []
        for piece in pieces(woven):
            if id(piece) in found:
                rows.append((at, *found[id(piece)]))
            at += len(piece)
        starts, definitions, names = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(starts, definitions, names)

    def find(self, offset: int, function: int | None = None) -> Place | None:
        """The module whose code is at ``offset`` of the woven component.

        An engine counts the offsets of code it made itself (adapters between components) from the
        start of that code.  ``function``, the index of the function it names, tells it apart.
        """
        row = bisect_right(self.starts, offset) - 1
        if row < 0:
            return None
        definition, start = self.definitions[row], self.starts[row]
        module = definition.node
        assert isinstance(module, CoreModule)
        if not _holds(module, offset - start, function):
            return None
        if definition.group is None:
            return Place(_own_name(module), offset, True)
        return Place(self.names[row] or module.path, module.offset + offset - start, False)


def _holds(module: CoreModule, offset: int, function: int | None) -> bool:
    if offset >= len(module.data):
        return False
    if function is None:
        return True
    try:
        index = function - len(module.imported("func"))
        bodies = module.bodies
    except DecodeError:
        return False  # the engine has read this module, so the code is not of this one
    return 0 <= index < len(bodies) and bodies[index].start <= offset < bodies[index].end


def _own_name(module: CoreModule) -> str:
    if agents.is_agent(module):
        return "whamm-cm agent"
    return next((name for file, name in _OWN.items() if load_wasm(file) == module.data), _PROBE)
