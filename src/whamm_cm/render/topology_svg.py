"""Who talks to whom, as a picture: from left to right callers, components, interfaces, peers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from whamm_cm.render import svg
from whamm_cm.render.layout import Point
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.topology import (
    CAPTION_SIZE,
    HEIGHTS,
    MODULE_HEIGHT,
    NAME_SIZE,
    Edge,
    Node,
    Place,
    Placed,
    arrow_path,
    figures,
    graph,
    module_rows,
    placed,
    way_path,
)
from whamm_cm.render.words import counted
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

_MARGIN, _TOP, _LEAST_WIDTH = 16.0, 40.0, 420.0
#: An edge is between so thick.
_THIN, _THICK = 1.2, 7.0
_WHAT = {
    "caller": "callers from outside",
    "component": "component",
    "interface": "interface of a component",
    "host": "interface of the host",
    "peer": "peer",
}


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    # Only what has a component at hand pays for looking into it.
    from whamm_cm.render.structure import structure_of

    session = Session.build(records)
    found = placed(graph(session, structure_of(options.app)), session.timed)
    width = max(found.width + 2 * _MARGIN, _LEAST_WIDTH)
    height = found.height + _TOP + _MARGIN
    kinds = [node.kind for node in found.graph.nodes]
    calls = counted(len(session.calls), "call")
    name = f"Topology of {calls}"
    faces = kinds.count("interface") + kinds.count("host")
    about = ", ".join(
        counted(count, noun)
        for count, noun in (
            (kinds.count("component"), "component"),
            (faces, "interface"),
            (kinds.count("peer"), "peer"),
        )
        if count
    )
    parts = [svg.text(_MARGIN, 20, f"{name}: {about or 'nothing'}", class_="ink sans bold")]
    note = session.losses.sentence(remedy=False)
    if note:
        parts.append(svg.text(_MARGIN, 34, note, fits=width - 2 * _MARGIN, class_="dim sans"))
    inner = "\n".join(_drawn(found, session.timed))
    parts.append(
        svg.tag("g", {"transform": f"translate({svg.num(_MARGIN)} {svg.num(_TOP)})"}, inner)
    )
    yield from svg.picture(width, height, name, about, parts)


def _drawn(found: Placed, timed: bool) -> Iterator[str]:
    """Edges below, boxes above."""
    most = max((edge.traffic.calls for edge in found.graph.edges), default=1)
    for edge, way, back in zip(found.graph.edges, found.ways, found.back, strict=True):
        if way:
            yield from _edge(edge, way, back, most, timed)
    rows = [*zip(found.graph.nodes, found.places, found.captions, strict=True)]
    for ports in (False, True):
        for number, (node, place, caption) in enumerate(rows, 1):
            if (place.owner is not None) == ports:
                yield _node(number, node, place, caption)


def _edge(edge: Edge, way: Sequence[Point], back: bool, most: int, timed: bool) -> Iterator[str]:
    traffic = edge.traffic
    width = thickness(traffic.calls, most)
    said = f"{edge.start.name} → {edge.end.name}\n{figures(traffic, timed)}"
    kind = "badline" if traffic.errors else "line"
    dash = "3 4" if not traffic.calls else None
    drawn = {"d": way_path(way), "class_": kind, "stroke_width": width, "stroke_dasharray": dash}
    yield svg.tag("path", {**drawn, "stroke_opacity": 0.7}, svg.title(said))
    head = {"d": arrow_path(way, back), "class_": "bad" if traffic.errors else "arrow"}
    yield svg.tag("path", head)


def thickness(calls: int, most: int) -> float:
    """By the logarithm: edges with one call are still seen beside those with millions."""
    if calls <= 0 or most <= 1:
        return _THIN
    return _THIN + (_THICK - _THIN) * math.log(calls) / math.log(most)


def _node(number: int, node: Node, place: Place, caption: str) -> str:
    high = HEIGHTS[node.kind] if place.owner is None else place.height
    round_ = {"component": 6, "peer": 2}.get(node.kind, high / 2)
    name = f"{node.name}@{node.version}" if node.version else node.name
    title = svg.title(f"{_WHAT[node.kind]}: {name}\n{caption}")
    own = node.kind in ("caller", "component")
    shape = {"rx": round_, "class_": "box" if own else svg.class_of(node.name)}
    middle, base, room = place.x + place.width / 2, place.y + high / 2, place.width - 16
    rows = [
        (base - 2, node.name, "ink bold" if own else "ink", NAME_SIZE),
        (base + 12, caption, "ink", CAPTION_SIZE),
    ]
    below = place.y + high + 2
    for at, row in enumerate(module_rows(node)):
        rows.append((below + at * MODULE_HEIGHT, row, "dim", CAPTION_SIZE))
    texts = [
        svg.text(
            middle, at, content, room, class_=kind, font_size=size,
            text_anchor="middle", pointer_events="none",
        )
        for at, content, kind, size in rows
    ]  # fmt: skip
    drawn = svg.rect(place.x, place.y, place.width, place.height, title, **shape)
    return svg.tag("g", {"id": f"node-{number}"}, drawn, *texts)
