"""The walk over the call graph: breadth first from what runs by itself, to a fixed point.

What may be in a table is found while walking, and it only grows: a function that calls through a
table is remembered as a listener, for what gets into the table later.  The contents of tables are
kept in the cells, so that a second walk starts with all that the first one found; breadth first,
it then finds shortest paths.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

from whamm_cm.analysis.callgraph import IndirectCall, Move, Signature
from whamm_cm.analysis.reach.cores import fill
from whamm_cm.analysis.reach.values import (
    Bag,
    Builtin,
    Cell,
    Code,
    CoreInstance,
    Entrance,
    Entry,
    Func,
    Host,
    ItemKind,
    Lift,
    Node,
    Opaque,
    Outside,
    OwnResource,
    Passed,
    Place,
    Unknown,
    Value,
    source,
)
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError

#: Values in one instance at most: instances of instances can double with every step.
MAX_VALUES = 100_000

#: An import of an instance of a component that is used, by the identity of the instance.
Hit = tuple[int, tuple[str, ...], ItemKind]


@dataclass(frozen=True, slots=True)
class Step:
    """How a node was reached first: from where (None: it runs by itself), and by what."""

    caller: Node | None
    via: str


@dataclass(slots=True, eq=False)
class _Listener:
    caller: Node
    via: str
    slot: int | None
    signature: Signature | None


@dataclass(slots=True)
class Walk:
    """``steps`` has every node that was reached, ``hits`` the imports of instances that are used,
    with the node that uses them."""

    #: (instance's place, path) → where the resource type comes from; see :mod:`analysis`.
    canonical: Callable[[Place, tuple[str, ...]], tuple[str, ...]]
    steps: dict[Node, Step] = field(default_factory=dict)
    hits: dict[Hit, Node] = field(default_factory=dict)
    _queue: deque[Node] = field(default_factory=deque)
    #: By identity of the cell, and there by signature (None: whatever is in it).
    _listeners: dict[int, dict[Signature | None, list[_Listener]]] = field(default_factory=dict)
    #: (cell, signature, slot) that somebody listens to: others need not.
    _heard: set[tuple[int, Signature | None, int | None]] = field(default_factory=set)

    def run(self, entrances: Iterable[Entrance], places: Iterable[Place]) -> None:
        """Raises DecodeError for malformed core modules."""
        for place in places:
            # Linking says where references get from a pool, and does not carry them there.
            for entry in [e for entries in place.pool.entries.values() for e in entries]:
                for cell in place.pool.flows:
                    self._put(cell, Entry(entry.node, entry.signature))
        for entrance in entrances:
            self._reach(entrance, None, entrance.kind)
        visits: dict[type, Callable[[Any], None]] = {
            Entrance: self._entrance,
            Code: self._code,
            Lift: self._lift,
            Builtin: self._builtin,
            Unknown: self._unknown,
        }
        while self._queue:
            node = self._queue.popleft()
            visit = visits.get(type(node))
            if visit is not None:
                visit(node)

    def _reach(self, node: Node, caller: Node | None, via: str) -> None:
        if node not in self.steps:
            self.steps[node] = Step(caller, via)
            self._queue.append(node)

    # Nodes

    def _entrance(self, node: Entrance) -> None:
        for via, target in node.targets:
            self._call(target, node, via)

    def _lift(self, node: Lift) -> None:
        for via, target in node.targets:
            self._reach(target, node, via)

    def _code(self, node: Code) -> None:
        instance = node.instance
        uses = instance.graph.uses(node.index)
        for callee in uses.calls:
            self._reach(instance.function(callee), node, "call")
        for call in uses.indirect:
            self._indirect(node, call)
        for index in uses.call_refs:
            signature = instance.graph.type_signature(index)
            self._listen(instance.place.pool, signature, None, node, "call_ref")
        for function in uses.refs:
            entry = Entry(instance.function(function), instance.graph.signature(function))
            self._put(instance.place.pool, entry)
        for move in uses.moves:
            self._move(node, instance, move)

    def _indirect(self, node: Code, call: IndirectCall) -> None:
        instance = node.instance
        cell = _cell(instance, call.table)
        signature = instance.graph.type_signature(call.type)
        self._listen(cell, signature, call.slot, node, "call_indirect")

    def _builtin(self, node: Builtin) -> None:
        op = node.canon.op
        for via, helper in node.helpers:
            self._reach(helper, node, via)
        if node.spawns is not None:
            self._listen(node.spawns, None, None, node, op)
        if op == "lower":
            self._call(node.callee, node, op)
        elif op in ("resource.drop", "resource.new"):
            # Without a handle from resource.new nobody can drop one, the host included.
            self._drop(node.callee, node)

    def _unknown(self, node: Unknown) -> None:
        for _, value in node.given:
            self._call(value, node, "code from outside")
        for cell in node.cells:
            self._put(cell, Entry(node, None))
            self._listen(cell, None, None, node, "code from outside")
        for cell in node.cells:
            for other in node.cells:
                self._flow(cell, other)

    def _call(self, target: Value | Node, caller: Node, via: str) -> None:
        """``target`` may be called: a core function, or everything in a component-level value."""
        pending: list[Value | Node] = [target]
        count = 0
        while pending:
            value = pending.pop()
            count += 1
            if count > MAX_VALUES:
                raise DecodeError(f"an instance with more than {MAX_VALUES:,} items in it", 0)
            if isinstance(value, Passed):
                value, hops = source(value)
                if isinstance(value, Bag):
                    pending += [Passed(v, h.place, (*h.path, name))
                                for h in hops for name, v in value.exports.items()]  # fmt: skip
                elif isinstance(value, Host | Func | Opaque):
                    self._hit(hops, caller, "func")
            if isinstance(value, Host):
                self._reach(Outside(value.path, "func"), caller, via)
            elif isinstance(value, Func | Opaque):
                self._reach(value.node, caller, via)
            elif isinstance(value, Bag):
                pending += value.exports.values()
            elif isinstance(value, OwnResource):
                self._drop(value, caller)
            elif isinstance(value, Entrance | Code | Lift | Builtin | Unknown | Outside):
                self._reach(value, caller, via)

    def _drop(self, resource: Value, caller: Node) -> None:
        value, hops = source(resource)
        if isinstance(value, Host):
            path = self.canonical(hops[-1].place, value.path) if hops else value.path
            self._hit(hops, caller, "drop")
            self._reach(Outside(path, "drop"), caller, "resource.drop")
        elif isinstance(value, OwnResource):
            self._hit(hops, caller, "drop")
            if value.dtor is not None:
                self._reach(value.dtor, caller, "destructor")
        elif isinstance(value, Opaque):
            self._hit(hops, caller, "drop")
            self._reach(value.node, caller, "destructor")

    def _hit(self, hops: Iterable[Passed], node: Node, kind: ItemKind) -> None:
        for hop in hops:
            path = hop.path if kind == "func" else self.canonical(hop.place, hop.path)
            self.hits.setdefault((id(hop.place), path, kind), node)

    # Tables and references

    def _move(self, node: Code, instance: CoreInstance, move: Move) -> None:
        pool, operands = instance.place.pool, move.operands
        op = move.op.removeprefix("table.").removeprefix("atomic.")
        if move.op == "cont.new":
            self._listen(pool, None, None, node, "cont.new")
        elif move.op in ("array.new_elem", "array.init_elem", "table.init"):
            # (table.init elem table), (array.… type elem)
            is_table = move.op == "table.init"
            cell = _cell(instance, operands[1]) if is_table else pool
            self._init(instance, operands[0 if is_table else 1], cell)
        elif op == "copy":
            self._flow(_cell(instance, operands[1]), _cell(instance, operands[0]))
        else:
            cell = _cell(instance, operands[0])
            if op.startswith(("get", "rmw")):
                self._flow(cell, pool)
            if not op.startswith("get"):
                self._flow(pool, cell)

    def _init(self, instance: CoreInstance, index: int, cell: Cell) -> None:
        segments = instance.graph.segments
        if index >= len(segments):
            raise instance.graph.error(f"there is no element segment {index}")
        target = Cell()
        fill(instance, segments[index], target, None)
        for entries in target.entries.values():
            for entry in entries:
                self._put(cell, entry)
        if segments[index].others:
            self._flow(instance.place.pool, cell)

    def _flow(self, origin: Cell, target: Cell) -> None:
        if target in origin.flows:
            return
        # A cell may flow into itself: what is copied within a table is in any of its slots.
        origin.flows.append(target)
        for entries in list(origin.entries.values()):
            for entry in list(entries):
                self._put(target, Entry(entry.node, entry.signature))

    def _put(self, cell: Cell, entry: Entry) -> None:
        pending = [(cell, entry)]
        while pending:
            into, entry = pending.pop()
            if into.has(entry):
                continue
            into.entries.setdefault(entry.signature, {})[entry] = None
            listeners = self._listeners.get(id(into), {})
            # What is of an unknown type answers to every type.
            keys = list(listeners) if entry.signature is None else [entry.signature, None]
            for key in keys:
                for listener in listeners.get(key, ()):
                    self._answer(listener, entry)
            moved = Entry(entry.node, entry.signature)
            pending += [(further, moved) for further in into.flows]

    def _listen(
        self, cell: Cell, signature: Signature | None, slot: int | None, caller: Node, via: str
    ) -> None:
        """``caller`` may call what is in ``cell``, of one type and in one slot where given."""
        key = (id(cell), signature, slot)
        if key in self._heard or (id(cell), signature, None) in self._heard:
            return
        self._heard.add(key)
        listener = _Listener(caller, via, slot, signature)
        by_signature = self._listeners.setdefault(id(cell), {})
        by_signature.setdefault(signature, []).append(listener)
        keys = list(cell.entries) if signature is None else [signature, None]
        for wanted in keys:
            for entry in list(cell.entries.get(wanted, ())):
                self._answer(listener, entry)

    def _answer(self, listener: _Listener, entry: Entry) -> None:
        if listener.slot is None or entry.slot is None or entry.slot == listener.slot:
            self._reach(entry.node, listener.caller, listener.via)


def _cell(instance: CoreInstance, index: int) -> Cell:
    if index >= len(instance.tables):
        raise instance.graph.error(f"there is no table {index}")
    return instance.tables[index]
