"""Who talks to whom in a log: components, interfaces and peers as a graph, traffic on its edges.

Interfaces are nodes, too, so that between two nodes there is one edge at most: a component leads to
the interfaces that it calls, and an interface to the component that implements it.  An interface
that a component inside implements is another node than the host's, and than that of any other
component: a chain of middleware is a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.render.layout import Box, Point, layered
from whamm_cm.render.safe import printable
from whamm_cm.render.svg import num, text_width
from whamm_cm.render.words import brief_bytes, brief_ns, counted
from whamm_cm.trace.calls import Outcome, Site
from whamm_cm.trace.flows import flows
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.session import Call, Session

if TYPE_CHECKING:
    from whamm_cm.render.structure import Structure

Kind: TypeAlias = Literal["caller", "component", "interface", "host", "peer"]
#: A root without a name.
ROOT = "component"
#: Of one kind so many are told apart; the rest are one.
MAX_NODES = 40
#: What nobody in the log has implemented stands between components and peers.
_HOST_LAYER, _PEER_LAYER = 1, 2
#: Boxes: the size of their names, which are cut when longer, and how high and wide they are.
NAME_SIZE, CAPTION_SIZE, _MAX_NAME, _MIN_WIDTH = 12, 10.5, 250, 80
#: Core modules that a component shows, and how much room each needs.
_MAX_MODULES, MODULE_HEIGHT = 4, 15.0
#: The height of a port, and how far it stands out of its component.
_PORT, _OUT = 36.0, 12.0
HEIGHTS: Mapping[Kind, float] = {
    "caller": 40.0, "component": 52.0, "interface": 40.0, "host": 40.0, "peer": 40.0,
}  # fmt: skip


@dataclass(slots=True)
class Traffic:
    """``timed`` of the calls have a time from call to result, all of which are ``total_ns``;
    ``open`` have not returned.  ``sent`` and ``received`` are bytes, of peers."""

    calls: int = 0
    errors: int = 0
    open: int = 0
    timed: int = 0
    total_ns: int = 0
    sent: int = 0
    received: int = 0

    def add(self, call: Call) -> None:
        self.calls += 1
        self.errors += call.failed
        self.open += call.outcome is not Outcome.RETURNED
        if call.dur_ns is not None:
            self.timed += 1
            self.total_ns += call.dur_ns

    def add_exchange(self, exchange: Exchange) -> None:
        self.calls += 1
        self.errors += exchange.failed
        self.sent += exchange.sent
        self.received += exchange.received
        if exchange.dur_ns is not None:
            self.timed += 1
            self.total_ns += exchange.dur_ns

    def merge(self, other: Traffic) -> None:
        for name in ("calls", "errors", "open", "timed", "total_ns", "sent", "received"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True, eq=False)
class Node:
    """``kind``: ``caller`` is who calls from outside, ``host`` an interface that nobody inside
    implements.  ``version`` is of interfaces, ``instances`` and ``self_ns`` (time that it ran
    itself) of components, so are ``modules``, names and bytes.  ``count``: how many it stands
    for."""

    kind: Kind
    name: str
    version: str = ""
    instances: set[tuple[str, int]] = field(default_factory=set)
    self_ns: int = 0
    modules: tuple[tuple[str, int], ...] = ()
    count: int = 1


@dataclass(slots=True, eq=False)
class Edge:
    """``functions`` are those that are known, called or not."""

    start: Node
    end: Node
    traffic: Traffic = field(default_factory=Traffic)
    functions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Graph:
    """``peers``: of each exchange of the session its edge, None for one of no known call.
    ``roles``: for each site, and whether its call is the other side of one that its caller has
    recorded, the edges that the call goes over."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    roles: dict[tuple[Site, bool], tuple[Edge, ...]] = field(default_factory=dict)
    peers: list[Edge | None] = field(default_factory=list)


#: What makes a node, and what makes an edge.
_Key: TypeAlias = tuple[str, ...]


def graph(session: Session, known: Structure | None = None) -> Graph:
    """Everything that was called, and everything of a component that is ``known``; nodes in the
    order in which they were met."""
    maker = _Maker(callees(session), {} if known is None else known.owners)
    for index, call in enumerate(session.calls):
        maker.learn(index, call, session.calls)
    if known is not None:
        maker.expect(known)
    for index, call in enumerate(session.calls):
        maker.call(index, call)
    for site, count in session.counts.items():
        for edge in maker.edges_of(site, False):
            edge.traffic.calls += count
    for exchange in session.exchanges:
        if not 0 <= exchange.call < len(session.calls):
            maker.graph.peers.append(None)
            continue
        edge = maker.peer(session.calls[exchange.call].site, exchange.peer)
        maker.graph.peers.append(edge)
        edge.traffic.add_exchange(exchange)
    return _bounded(maker.graph)


def callees(session: Session) -> dict[int, int]:
    """The calls that are the other side of a call that its caller has recorded, with that one."""
    calls, found = session.calls, dict[int, int]()
    for index, call in enumerate(calls):
        caller = None if call.parent is None else calls[call.parent]
        if (
            call.parent is not None
            and caller is not None
            and caller.site.edge == "inner"
            and call.site.enters
            and caller.instance != call.instance
            and caller.site.target == call.site.target
        ):
            found[index] = call.parent
    for start, end in flows(session):
        found.setdefault(end, start)
    return found


class _Maker:
    def __init__(
        self, callers: Mapping[int, int], implemented: Mapping[tuple[str, str], str]
    ) -> None:
        self.graph = Graph()
        self._callers = callers
        self._implemented = implemented
        self._nodes: dict[_Key, Node] = {}
        self._edges: dict[tuple[Node, Node], Edge] = {}
        #: Who implements what a site calls: components, by how often that was seen.
        self._seen: dict[Site, dict[str, int]] = {}
        #: Components that were seen to implement an interface.
        self._owners: dict[str, dict[str, None]] = {}
        #: Sites at which calls were seen that no record of a caller belongs to.
        self._entered: set[int] = set()

    def learn(self, index: int, call: Call, calls: Sequence[Call]) -> None:
        """Which component implements what, before any edge is made."""
        site = call.site
        if index in self._callers:
            caller = calls[self._callers[index]].site
            seen = self._seen.setdefault(caller, {})
            seen[site.component] = seen.get(site.component, 0) + 1
        elif site.edge == "inner" and (call.is_task or not _inside(call, calls)):
            self._entered.add(index)
        else:
            return
        self._owners.setdefault(site.interface, {})[site.component] = None

    def expect(self, known: Structure) -> None:
        """What there may be calls of."""
        for site, callee in known.sites:
            if callee:
                self._owners.setdefault(site.interface, {})[site.component] = None
        for site, callee in known.sites:
            self.edges_of(site, callee)
        for name, modules in known.modules.items():
            node = self._nodes.get(("component", name or ROOT, ""))
            if node is not None:
                node.modules = modules

    def call(self, index: int, call: Call) -> None:
        callee = index in self._callers or index in self._entered
        for edge in self.edges_of(call.site, callee):
            edge.traffic.add(call)
        if call.site.enters and (callee or call.site.edge == "export"):
            node = self._component(call.site.component)
            node.self_ns += call.self_ns or 0
        self._component(call.site.component).instances.add((call.run, call.instance))

    def edges_of(self, site: Site, callee: bool) -> tuple[Edge, ...]:
        found = self.graph.roles.get((site, callee))
        if found is None:
            found = self._called(site) if callee else self._calling(site)
            self.graph.roles[site, callee] = found
            for edge in found:
                edge.functions.add(site.func)
        return found

    def peer(self, site: Site, name: str) -> Edge:
        ends = self.edges_of(site, False)
        start = ends[-1].end if ends else self._component(site.component)
        return self._edge(start, self._node("peer", name))

    def _calling(self, site: Site) -> tuple[Edge, ...]:
        own = self._component(site.component)
        if site.edge == "export":
            face = self._interface(site, site.component, "export")
            caller = self._node("caller", "callers")
            return self._edge(caller, face), self._edge(face, own)
        owner = self._owner(site) if site.edge == "inner" else None
        if owner is None:
            return (self._edge(own, self._interface(site, "", site.edge)),)
        face = self._interface(site, owner, "inner")
        self._edge(face, self._component(owner))
        return (self._edge(own, face),)

    def _called(self, site: Site) -> tuple[Edge, ...]:
        face = self._interface(site, site.component, "inner")
        return (self._edge(face, self._component(site.component)),)

    def _owner(self, site: Site) -> str | None:
        seen = self._seen.get(site)
        if seen:
            return max(seen, key=lambda name: seen[name])
        sure = self._implemented.get((site.component, site.interface))
        if sure is not None:
            return sure
        others = [name for name in self._owners.get(site.interface, ()) if name != site.component]
        return others[0] if len(others) == 1 else None

    def _component(self, name: str) -> Node:
        return self._node("component", name or ROOT)

    def _interface(self, site: Site, owner: str, edge: str) -> Node:
        name = site.interface or ("built-ins" if edge == "builtin" else "functions of the world")
        shown = f"{site.label} <{name}>" if site.label else name
        kind: Kind = "interface" if owner or edge == "export" else "host"
        return self._node(kind, shown, site.version, edge, owner)

    def _node(self, kind: Kind, name: str, version: str = "", *more: str) -> Node:
        key = (kind, name, version, *more)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(kind, name, version)
            self.graph.nodes.append(node)
        return node

    def _edge(self, start: Node, end: Node) -> Edge:
        edge = self._edges.get((start, end))
        if edge is None:
            edge = self._edges[start, end] = Edge(start, end)
            self.graph.edges.append(edge)
        return edge


def _inside(call: Call, calls: Sequence[Call]) -> bool:
    """Whether a call between components was made by the instance that has recorded it."""
    if call.waited_later:
        return True
    return call.parent is not None and calls[call.parent].instance == call.instance


def _bounded(whole: Graph) -> Graph:
    """At most :data:`MAX_NODES` of each kind, those with most calls; the rest of a kind are one."""
    weights = dict.fromkeys(whole.nodes, 0)
    for edge in whole.edges:
        weights[edge.start] += edge.traffic.calls
        weights[edge.end] += edge.traffic.calls
    stands: dict[Node, Node] = {}
    for kind in dict.fromkeys(node.kind for node in whole.nodes):
        mine = [node for node in whole.nodes if node.kind == kind]
        stands.update((node, node) for node in mine)
        if len(mine) > MAX_NODES:
            rest = sorted(mine, key=lambda node: -weights[node])[MAX_NODES - 1 :]
            stands.update(dict.fromkeys(rest, _together(rest)))
    edges: dict[tuple[Node, Node], Edge] = {}
    moved: dict[Edge, Edge] = {}
    for edge in whole.edges:
        ends = stands[edge.start], stands[edge.end]
        into = moved[edge] = edges.setdefault(ends, Edge(*ends))
        into.traffic.merge(edge.traffic)
        into.functions |= edge.functions
    peers = [None if edge is None else moved[edge] for edge in whole.peers]
    roles = {key: tuple(moved[edge] for edge in edges) for key, edges in whole.roles.items()}
    nodes = [*dict.fromkeys(stands[node] for node in whole.nodes)]
    return Graph(nodes, [*edges.values()], roles, peers)


def _together(nodes: Sequence[Node]) -> Node:
    names = {
        "component": "components", "interface": "interfaces inside", "host": "interfaces",
        "peer": "peers",
    }  # fmt: skip
    found = Node(nodes[0].kind, f"{len(nodes)} more {names[nodes[0].kind]}", count=len(nodes))
    for node in nodes:
        found.instances |= node.instances
        found.self_ns += node.self_ns
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box is, in CSS pixels; ``owner``: the index of the component that it is a port of."""

    x: float
    y: float
    width: float
    height: float
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A graph with its places, ways and captions (below the names of nodes) in the order of its
    nodes and edges.  The interfaces of a component are ports in its box, and nothing leads from
    there to it: such a way is empty."""

    graph: Graph
    captions: tuple[str, ...]
    places: tuple[Place, ...]
    ways: tuple[tuple[Point, ...], ...]
    back: tuple[bool, ...]
    width: float
    height: float


def placed(found: Graph, timed: bool) -> Placed:
    """``timed``: as the session is."""
    texts = captions(found, timed)
    owners = _owners(found)
    sizes = {node: _size(node, text) for node, text in zip(found.nodes, texts, strict=True)}
    first = _laid(found, owners, sizes, {})
    # Once more, with the ports of each component in the order of who leads to them.
    heights: dict[Node, list[float]] = {}
    for edge, way in zip(found.edges, first.ways, strict=True):
        if edge.end in owners and way:
            heights.setdefault(edge.end, []).append(way[0][1])
    order = {node: sum(each) / len(each) for node, each in heights.items()}
    return replace(_laid(found, owners, sizes, order), captions=texts)


def _owners(found: Graph) -> dict[Node, Node]:
    """The component of each interface that has one."""
    ends: dict[Node, set[Node]] = {}
    for edge in found.edges:
        if edge.start.kind == "interface":
            ends.setdefault(edge.start, set()).add(edge.end)
    return {node: each.pop() for node, each in ends.items() if len(each) == 1}


def _laid(
    found: Graph,
    owners: Mapping[Node, Node],
    sizes: Mapping[Node, tuple[float, float]],
    order: Mapping[Node, float],
) -> Placed:
    ports: dict[Node, list[Node]] = {}
    for port in sorted(owners, key=lambda node: order.get(node, 0.0)):
        ports.setdefault(owners[port], []).append(port)
    # The interfaces of a package stand together, where no edge says otherwise.
    outer = {"host": 1, "peer": 2}
    own = [node for node in found.nodes if node not in owners]
    own.sort(key=lambda node: (outer.get(node.kind, 0), node.kind in outer and node.name))
    at = {node: index for index, node in enumerate(own)}
    boxes = [_box(node, sizes, ports.get(node, ())) for node in own]
    lower = {
        port: _port_top(owner, index) + _PORT / 2 - boxes[at[owner]].height / 2
        for owner, each in ports.items()
        for index, port in enumerate(each)
    }
    drawn = [edge for edge in found.edges if edge.start not in owners]
    pairs = [(at[edge.start], at[owners.get(edge.end, edge.end)]) for edge in drawn]
    layout = layered(boxes, pairs, [lower.get(edge.end, 0.0) for edge in drawn])
    index = {node: number for number, node in enumerate(found.nodes)}
    places = {}
    for node, box, (x, y) in zip(own, boxes, layout.corners, strict=True):
        places[node] = Place(x + _OUT, y, box.width, box.height)
        for row, port in enumerate(ports.get(node, ())):
            top = y + _port_top(node, row)
            places[port] = Place(x, top, box.width - 2, _PORT, index[node])
    ways: dict[Edge, tuple[Point, ...]] = {}
    for edge, way, back in zip(drawn, layout.ways, layout.back, strict=True):
        points = [(x + _OUT, y) for x, y in way]
        if edge.end in owners and not back:
            points[-1] = points[-1][0] - _OUT, points[-1][1]
        ways[edge] = tuple(points)
    turned = dict(zip(drawn, layout.back, strict=True))
    return Placed(
        found, (), tuple(places[node] for node in found.nodes),
        tuple(ways.get(edge, ()) for edge in found.edges),
        tuple(turned.get(edge, False) for edge in found.edges),
        layout.width + _OUT, layout.height,
    )  # fmt: skip


def _port_top(owner: Node, row: int) -> float:
    """How far below the top of its component a port begins."""
    return HEIGHTS["component"] + len(module_rows(owner)) * MODULE_HEIGHT + row * (_PORT + 6)


def _box(node: Node, sizes: Mapping[Node, tuple[float, float]], ports: Sequence[Node]) -> Box:
    last = {"host": _HOST_LAYER, "peer": _PEER_LAYER}.get(node.kind, 0)
    width, height = sizes[node]
    if ports:
        width = max(width, *(sizes[port][0] for port in ports))
        height = _port_top(node, len(ports)) + 2
    return Box(width, height, last)


def _size(node: Node, caption: str) -> tuple[float, float]:
    name = min(text_width(printable(node.name), NAME_SIZE), _MAX_NAME)
    rows = module_rows(node)
    inside = max((text_width(row, CAPTION_SIZE) for row in rows), default=0)
    width = max(name, text_width(caption, CAPTION_SIZE), min(inside, _MAX_NAME), _MIN_WIDTH)
    return round(width) + 24, HEIGHTS[node.kind] + len(rows) * MODULE_HEIGHT


def module_rows(node: Node) -> tuple[str, ...]:
    """What a component says below its caption of the core modules in it."""
    shown = node.modules[:_MAX_MODULES]
    rows = [f"{printable(name)} {brief_bytes(size) or 0}B" for name, size in shown]
    more = node.modules[_MAX_MODULES:]
    if more:
        rows.append(f"{len(more)} more, {brief_bytes(sum(size for _, size in more))}B")
    return tuple(rows)


def captions(found: Graph, timed: bool) -> tuple[str, ...]:
    """Of each node what goes in, or of callers what goes out, and of components how many; of what
    was not called how many functions it has."""
    into = {node: Traffic() for node in found.nodes}
    functions: dict[Node, set[str]] = {node: set() for node in found.nodes}
    for edge in found.edges:
        for node in (edge.end, edge.start) if edge.start.kind == "caller" else (edge.end,):
            into[node].merge(edge.traffic)
            functions[node] |= edge.functions
    for edge in found.edges:
        if not into[edge.start].calls and edge.start.kind == "interface":
            into[edge.start].merge(edge.traffic)  # only the callee has recorded it
            functions[edge.start] |= edge.functions
    texts = []
    for node in found.nodes:
        if node.kind == "component":
            many = len(node.instances)
            parts = [f"×{many:,}"] if many > 1 else []
            parts += [f"{brief_ns(node.self_ns)} itself"] if timed and node.self_ns else []
            modules = counted(len(node.modules), "module") if node.modules else "component"
            texts.append(" ".join(parts) or modules)
        elif into[node].calls or not functions[node]:
            texts.append(figures(into[node], timed))
        else:
            texts.append(counted(len(functions[node]), "function"))
    return tuple(texts)


def figures(traffic: Traffic, timed: bool) -> str:
    """``12 calls ✗1 4.10ms 20B↓``."""
    parts = [f"{traffic.calls:,} call{'' if traffic.calls == 1 else 's'}"]
    parts += [f"✗{traffic.errors:,}"] if traffic.errors else []
    parts += [f"{traffic.open:,} open"] if traffic.open else []
    parts += [brief_ns(traffic.total_ns)] if timed and traffic.timed else []
    for count, mark in ((traffic.sent, "↑"), (traffic.received, "↓")):
        parts += [f"{brief_bytes(count)}B{mark}"] if count else []
    return " ".join(parts)


def way_path(way: Sequence[Point]) -> str:
    """The ``d`` of a path along a way, which leaves and enters boxes level."""
    parts = [f"M{num(way[0][0])} {num(way[0][1])}"]
    for (x, y), (to_x, to_y) in zip(way, way[1:], strict=False):
        if y == to_y:
            parts.append(f"H{num(to_x)}")
            continue
        bend = (to_x - x) / 2
        middle = f"{num(x + bend)} {num(y)} {num(to_x - bend)} {num(to_y)}"
        parts.append(f"C{middle} {num(to_x)} {num(to_y)}")
    return "".join(parts)


def arrow_path(way: Sequence[Point], back: bool) -> str:
    """The head of an arrow at the end of a way."""
    (x, y), size = way[-1], 7.0 if back else -7.0
    return f"M{num(x)} {num(y)}l{num(size)} -4v8z"
