"""From an offset in a woven component or module back to the original."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import field, replace

from whamm_cm.agent.layout import load_wasm
from whamm_cm.analysis.program import given_names
from whamm_cm.component.encode import pieces
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.moved import Moved
from whamm_cm.weave import agents

_OWN = {
    "relay.wasm": "whamm-cm sink",
    "sink-logging.wasm": "whamm-cm sink",
    "sink-stderr.wasm": "whamm-cm sink",
    "sink-logging-sampled.wasm": "whamm-cm sink",
    "sink-stderr-sampled.wasm": "whamm-cm sink",
    "sink-otel.wasm": "whamm-cm sink",
}
_PROBE = "whamm-cm probe"


@dataclass(frozen=True, slots=True)
class Place:
    """A core module and an offset: in the original component, or, for a module that the weave
    added (``own``), in the woven one.  ``core`` is the original's module; ``within`` it the
    instruction lies there in the function ``fid``."""

    module: str
    offset: int
    own: bool
    core: CoreModule | None = field(default=None, compare=False)
    within: int = field(default=0, compare=False)
    fid: int | None = field(default=None, compare=False)

    @property
    def function(self) -> str:
        """The function's name in the original, for people; empty where it has none."""
        if self.core is None or self.fid is None:
            return ""
        try:
            return demangle(self.core.names.functions.get(self.fid, ""))
        except DecodeError:
            return ""  # a broken name section only costs the name


@dataclass(frozen=True, slots=True)
class Places:
    """The core modules of a woven component with their offsets in it, in order."""

    starts: tuple[int, ...]
    definitions: tuple[Definition, ...]
    names: tuple[str, ...]
    moved: Mapping[bytes, Moved] = field(default_factory=dict)

    @classmethod
    def of(cls, woven: Component, moved: Mapping[bytes, Moved] | None = None) -> Places:
        """``moved``: of core modules that the weave changed, by their bytes."""
        found: dict[int, tuple[Definition, str]] = {}
        for component in walk(woven):
            given = given_names(component)
            for definition in component.definitions:
                if isinstance(definition.node, CoreModule):
                    name = given.get(definition.item, "")
                    found[id(definition.node.data)] = definition, name
        at, rows = 0, []
        for piece in pieces(woven):
            if id(piece) in found:
                rows.append((at, *found[id(piece)]))
            at += len(piece)
        starts, definitions, names = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(starts, definitions, names, moved or {})

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
        within = offset - start
        if definition.group is not None:
            name = self.names[row] or module.path
            fid = _fid(module, within)
            return Place(name, module.offset + within, False, module, within, fid)
        moved = self.moved.get(bytes(module.data))
        place = None if moved is None else in_moved(moved, module, within)
        if place is None:
            return Place(_own_name(module), offset, True)
        return replace(place, module=self.names[row] or place.module)


def in_moved(moved: Moved, woven: CoreModule, within: int) -> Place | None:
    """Where the original has what is at offset ``within`` of a module that was changed; None for
    functions of ours."""
    index = _body(woven, within)
    origin = None if index is None else moved.origin(woven, index, within)
    if origin is None:
        return None
    original = moved.original
    fid = _fid(original, origin)
    name = moved.place or original.names.module or original.path
    return Place(name, original.offset + origin, False, original, origin, fid)


def _body(module: CoreModule, within: int) -> int | None:
    """The defined function whose body has that offset."""
    row = bisect_right(module.bodies, within, key=lambda body: body.start) - 1
    return row if row >= 0 and within < module.bodies[row].end else None


def _fid(module: CoreModule, within: int) -> int | None:
    try:
        index = _body(module, within)
        return None if index is None else index + len(module.imported("func"))
    except DecodeError:
        return None


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
