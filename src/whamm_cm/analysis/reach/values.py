"""What items stand for once a component tree is instantiated, and the nodes of the call graph.

Component-level values are :class:`Host`, :class:`Passed`, :class:`Bag`, :class:`Closure`,
:class:`Func`, :class:`OwnResource`, :class:`Opaque`, core modules, and None for what can neither
be called nor dropped.  Everything is compared by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from whamm_cm.analysis.callgraph import CallGraph, Signature
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.module import CoreModule

#: An import's name and the exports to take from there.
Path: TypeAlias = tuple[str, ...]

#: ``drop`` is the drop of the resource type at the path.
ItemKind: TypeAlias = Literal["func", "drop"]


@dataclass(slots=True, eq=False)
class Place:
    """An instance of a component; ``parent`` is the instance its definition stands in."""

    component: Component
    parent: Place | None
    args: Mapping[str, Value] | Opaque | None
    items: dict[Item, Value] = field(default_factory=dict)
    cores: dict[Item, CoreValue] = field(default_factory=dict)
    exports: dict[str, Value] = field(default_factory=dict)
    #: References to functions that are about in the core instances; no other place can see them.
    pool: Cell = field(default_factory=lambda: Cell())


# Component level


@dataclass(frozen=True, slots=True)
class Host:
    """What the import ``path`` of the root is."""

    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """``value`` as the import ``path`` of ``place``."""

    value: Value
    place: Place
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """An instance with known exports."""

    exports: Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A component and the instance it was defined in."""

    component: Component
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Func:
    """A lifted function."""

    node: Lift


@dataclass(frozen=True, slots=True, eq=False)
class OwnResource:
    """A resource type defined in here."""

    place: Place
    item: Item
    dtor: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Something made by code that is not in here; ``node`` stands for all that code."""

    node: Unknown


Value: TypeAlias = "Host | Passed | Bag | Closure | Func | OwnResource | Opaque | CoreModule | None"


def take(value: Value, name: str) -> Value:
    """Export ``name`` of an instance; KeyError when it has none of that name."""
    value, hops = source(value)
    if isinstance(value, Host):
        value = Host((*value.path, name))
    elif isinstance(value, Bag):
        value = value.exports[name]
    elif not isinstance(value, Opaque):
        raise KeyError(name)
    for hop in reversed(hops):
        value = Passed(value, hop.place, (*hop.path, name))
    return value


def source(value: Value) -> tuple[Value, tuple[Passed, ...]]:
    """What was passed on, and the imports it was passed on as, outermost instance last."""
    hops: list[Passed] = []
    while isinstance(value, Passed):
        hops.append(value)
        value = value.value
    return value, tuple(hops)


# Core level


@dataclass(slots=True, eq=False)
class CoreInstance:
    """An instance of a core module: its function imports, and tables by index."""

    place: Place
    graph: CallGraph
    funcs: list[Node] = field(default_factory=list)
    tables: list[Cell] = field(default_factory=list)
    codes: dict[int, Code] = field(default_factory=dict)

    def function(self, index: int) -> Node:
        """The node of a function index."""
        if index < len(self.funcs):
            return self.funcs[index]
        code = self.codes.get(index)
        if code is None:
            code = self.codes[index] = Code(self, index)
        return code


CoreValue: TypeAlias = "CoreInstance | CoreBag | Node | Cell | None"


@dataclass(frozen=True, slots=True, eq=False)
class CoreBag:
    """An inline core instance."""

    exports: Mapping[str, CoreValue]


@dataclass(frozen=True, slots=True)
class Entry:
    """A function that may be in a table.  ``signature`` None: of any type; ``slot`` None: anywhere
    in it."""

    node: Node
    signature: Signature | None
    slot: int | None = None


@dataclass(slots=True, eq=False)
class Cell:
    """A table, or the references that are about: what may be in it.

    ``flows``: cells that everything in here may get into, too.
    """

    entries: dict[Signature | None, dict[Entry, None]] = field(default_factory=dict)
    flows: list[Cell] = field(default_factory=list)

    def has(self, entry: Entry) -> bool:
        return entry in self.entries.get(entry.signature, ())


# Nodes of the graph


@dataclass(slots=True, eq=False)
class Entrance:
    """Where calls start: an export of the root, or ``start`` and ``instantiation`` in a place."""

    kind: Literal["export", "start", "instantiation"]
    place: Place
    path: Path
    targets: list[tuple[str, Value | Node]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Code:
    """A function that a core module defines."""

    instance: CoreInstance
    index: int


@dataclass(slots=True, eq=False)
class Lift:
    """A lifted function: its core function, realloc, callback and post-return."""

    place: Place
    item: Item
    targets: list[tuple[str, Node]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Builtin:
    """Any other canonical definition.  ``callee``: the function of a lower, the resource type of
    ``resource.*``; ``helpers``: core functions it may call; ``spawns``: the table it runs functions
    from."""

    place: Place
    item: Item
    canon: n.Canon
    callee: Value
    helpers: list[tuple[str, Node]] = field(default_factory=list)
    spawns: Cell | None = None


@dataclass(slots=True, eq=False)
class Unknown:
    """Code outside of the component that is linked into it, by an imported module or component.

    It may call everything it was given; ``cells`` are the tables it shares."""

    place: Place
    name: str
    given: list[tuple[str, Value | Node]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outside:
    """An import of the root is used: the end of a path."""

    path: Path
    kind: ItemKind


Node: TypeAlias = "Entrance | Code | Lift | Builtin | Unknown | Outside"

#: For ``isinstance``: what can be called from core code.
CORE_FUNCS = (Code, Builtin, Unknown)
