"""The page's topology: boxes and ways with their places, and which calls go over which edge.

The page adds up its calls itself, for the filter; what it needs for that is ``sites``, rows of a
site's number, whether the call is the callee's side of one that its caller has recorded, and the
edges that it goes over.
"""

from __future__ import annotations

from typing import Any

from whamm_cm.render.page.run import Sites
from whamm_cm.render.structure import Structure, structure_of
from whamm_cm.render.topology import Edge, Node, Place, Placed, arrow_path, graph, placed, way_path
from whamm_cm.trace.session import Session


def topology_model(
    session: Session, sites: Sites, known: Structure | None
) -> dict[str, Any] | None:
    """``model["topology"]``; None where there is nothing.  ``sites`` have the numbers of all calls
    of the session; coordinates are in CSS pixels, times in nanoseconds."""
    found = placed(graph(session, known), session.timed)
    if not found.graph.nodes:
        return None
    numbers = {edge: number for number, edge in enumerate(found.graph.edges)}
    roles = [
        [sites.numbers[site], int(callee), [numbers[edge] for edge in edges]]
        for (site, callee), edges in found.graph.roles.items()
        if site in sites.numbers
    ]
    return {
        "width": found.width,
        "height": found.height,
        "nodes": _nodes(found),
        "edges": _edges(found),
        "sites": roles,
        "peers": [-1 if edge is None else numbers[edge] for edge in found.graph.peers],
    }


def component_topology(data: bytes, name: str) -> dict[str, Any] | None:
    """Of a component that nothing is known to have called; None of a core module."""
    return topology_model(Session.build([]), Sites(), structure_of((name, data)))


def _nodes(found: Placed) -> list[dict[str, Any]]:
    rows = zip(found.graph.nodes, found.places, found.captions, strict=True)
    return [_node(node) | _place(place) | {"caption": caption} for node, place, caption in rows]


def _place(place: Place) -> dict[str, Any]:
    row: dict[str, Any] = {
        "x": round(place.x, 1),
        "y": round(place.y, 1),
        "w": place.width,
        "h": place.height,
    }
    if place.owner is not None:
        row["of"] = place.owner
    return row


def _node(node: Node) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": node.kind, "name": node.name}
    if node.version:
        row["version"] = node.version
    if node.kind == "component":
        row |= {"instances": len(node.instances), "self": node.self_ns}
    if node.modules:
        row["modules"] = node.modules
    if node.count > 1:
        row["count"] = node.count
    return row


def _edges(found: Placed) -> list[dict[str, Any]]:
    at = {node: number for number, node in enumerate(found.graph.nodes)}
    rows = zip(found.graph.edges, found.ways, found.back, strict=True)
    return [
        {
            "from": at[edge.start],
            "to": at[edge.end],
            "way": way_path(way) if way else "",
            "arrow": arrow_path(way, back) if way else "",
            **_traffic(edge),
        }
        for edge, way, back in rows
    ]


def _traffic(edge: Edge) -> dict[str, Any]:
    traffic = edge.traffic
    return {
        "calls": traffic.calls,
        "errors": traffic.errors,
        "open": traffic.open,
        "time": traffic.total_ns,
        "sent": traffic.sent,
        "received": traffic.received,
        "functions": sorted(edge.functions),
    }
