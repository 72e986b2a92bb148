"""Graphs laid out in layers from left to right: places for boxes, and ways for edges between them.

The way of Sugiyama: edges that close a circle are turned round, every node gets a layer right of
all that lead to it, edges over several layers get a bend in each, layers are ordered so that few
edges cross, and moved up and down towards their neighbours.  Equal graphs get equal places.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from whamm_cm.dataclass import dataclass

#: Between layers, and between what is above each other in one.
GAP_X, GAP_Y, _BEND_GAP = 72.0, 14.0, 8.0
#: How often layers are ordered and moved; with more spots than this a quarter of it.
_SWEEPS, _MANY = 12, 1500

Point: TypeAlias = tuple[float, float]
#: A node by its index, or (negative) a bend.
_Spot: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Box:
    """What is to be placed.  ``last``: it stands right of all boxes for which that is less."""

    width: float
    height: float
    last: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """``corners``: the upper left corner of each box.  ``ways``: of each edge the points that it
    goes through, from the side of its first box to that of its second; ``back``: it goes from right
    to left."""

    width: float
    height: float
    corners: tuple[Point, ...]
    ways: tuple[tuple[Point, ...], ...]
    back: tuple[bool, ...]


@dataclass(slots=True)
class _Work:
    """``left`` and ``right``: neighbours in the layers on either side, each with how much lower
    than its middle that one's would be for the edge to be level; ``chains``: of each edge the spots
    it leads over, from left to right."""

    layers: list[list[_Spot]] = field(default_factory=list)
    left: dict[_Spot, list[tuple[_Spot, float]]] = field(default_factory=dict)
    right: dict[_Spot, list[tuple[_Spot, float]]] = field(default_factory=dict)
    chains: list[list[_Spot]] = field(default_factory=list)


def layered(
    boxes: Sequence[Box], edges: Sequence[tuple[int, int]], lower: Sequence[float] = ()
) -> Layout:
    """A place for each of ``boxes``; ``edges`` are pairs of their indices, none from a box to
    itself, and ``lower`` how far below the middle of its second box each ends (default: 0)."""
    lower = lower or [0.0] * len(edges)
    turned = _circles(len(boxes), edges)
    forward = [(b, a) if back else (a, b) for (a, b), back in zip(edges, turned, strict=True)]
    layers = _layers(boxes, forward)
    for index, (start, end) in enumerate(forward):
        if layers[start] > layers[end]:  # from one that is last
            forward[index], turned[index] = (end, start), not turned[index]
    work = _chained(layers, forward, turned, lower)
    _order(work)
    middles = _middles(work, boxes)
    return _placed(boxes, work, middles, turned, lower)


def _circles(count: int, edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each edge whether it closes a circle, when nodes are visited in order."""
    out: list[list[int]] = [[] for _ in range(count)]
    for index, (start, _) in enumerate(edges):
        out[start].append(index)
    into = [0] * count
    for _, end in edges:
        into[end] += 1
    turned = [False] * len(edges)
    state = [0] * count
    for root in sorted(range(count), key=lambda node: (into[node] > 0, node)):
        if state[root]:
            continue
        state[root] = 1
        path = [(root, iter(out[root]))]
        while path:
            node, rest = path[-1]
            index = next(rest, -1)
            if index < 0:
                state[node] = 2
                path.pop()
                continue
            target = edges[index][1]
            if state[target] == 1:
                turned[index] = True
            elif not state[target]:
                state[target] = 1
                path.append((target, iter(out[target])))
    return turned


def _layers(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each box; those that are last come behind all others."""
    out: dict[int, list[int]] = {}
    waits = [0] * len(boxes)
    for start, end in edges:
        out.setdefault(start, []).append(end)
        waits[end] += 1
    found = [0] * len(boxes)
    ready = [node for node, count in enumerate(waits) if not count]
    for node in ready:
        for target in out.get(node, ()):
            found[target] = max(found[target], found[node] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    for level in sorted({box.last for box in boxes} - {0}):
        before = max((found[n] for n, box in enumerate(boxes) if box.last < level), default=-1)
        for node, box in enumerate(boxes):
            if box.last == level:
                found[node] = before + 1
    return found


def _chained(
    layers: Sequence[int],
    edges: Sequence[tuple[int, int]],
    turned: Sequence[bool],
    lower: Sequence[float],
) -> _Work:
    work = _Work([[] for _ in range(max(layers, default=-1) + 1)])
    for node, layer in enumerate(layers):
        work.layers[layer].append(node)
    bends = 0
    for (start, end), back, low in zip(edges, turned, lower, strict=True):
        chain = [start]
        for layer in range(layers[start] + 1, layers[end]):
            bends -= 1
            work.layers[layer].append(bends)
            chain.append(bends)
        chain.append(end)
        work.chains.append(chain)
        for at, (left, right) in enumerate(zip(chain, chain[1:], strict=False)):
            rise = (low if at == len(chain) - 2 else 0.0) if not back else 0.0 if at else -low
            work.right.setdefault(left, []).append((right, rise))
            work.left.setdefault(right, []).append((left, -rise))
    return work


def _order(work: _Work) -> None:
    """The best of what is found from each start."""
    best: list[list[_Spot]] = []
    least = -1
    for start in (work.layers, _visited(work)):
        work.layers = start
        found, crossings = _swept(work)
        if least < 0 or crossings < least:
            best, least = found, crossings
    work.layers = best


def _visited(work: _Work) -> list[list[_Spot]]:
    """The layers in the order in which edges lead to what is in them, depth first."""
    numbers: dict[_Spot, int] = {}
    waiting = list(reversed(_spots(work)))
    while waiting:
        spot = waiting.pop()
        if spot not in numbers:
            numbers[spot] = len(numbers)
            waiting += [each for each, _ in reversed(work.right.get(spot, ()))]
    return [sorted(layer, key=lambda spot: numbers[spot]) for layer in work.layers]


def _swept(work: _Work) -> tuple[list[list[_Spot]], int]:
    """Each layer by the middle of its neighbours, forth and back: the best of it, and how many
    edges cross there."""
    best, least = [list(layer) for layer in work.layers], _crossings(work)
    for sweep in range(_sweeps(work)):
        if not least:
            break
        forth = sweep % 2 == 0
        count = len(work.layers)
        for at in range(1, count) if forth else range(count - 2, -1, -1):
            fixed = work.layers[at - 1 if forth else at + 1]
            places = {spot: place for place, spot in enumerate(fixed)}
            _sort(work.layers[at], places, work.left if forth else work.right)
        _swap(work)
        crossings = _crossings(work)
        if crossings < least:
            best, least = [list(layer) for layer in work.layers], crossings
    return best, least


def _sort(
    layer: list[_Spot],
    places: Mapping[_Spot, int],
    near: Mapping[_Spot, Sequence[tuple[_Spot, float]]],
) -> None:
    def middle(pair: tuple[int, _Spot]) -> float:
        found = [places[each] for each, _ in near.get(pair[1], ()) if each in places]
        return sum(found) / len(found) if found else float(pair[0])

    layer[:] = [spot for _, spot in sorted(enumerate(layer), key=middle)]


def _swap(work: _Work) -> None:
    """Neighbours in a layer change places where fewer edges cross then."""
    for at, layer in enumerate(work.layers):
        ends: dict[_Spot, list[list[int]]] = {spot: [] for spot in layer}
        for near, beside in ((work.left, at - 1), (work.right, at + 1)):
            fixed = work.layers[beside] if 0 <= beside < len(work.layers) else ()
            places = {spot: place for place, spot in enumerate(fixed)}
            for spot in layer:
                found = [places[each] for each, _ in near.get(spot, ()) if each in places]
                ends[spot].append(sorted(found))
        for first in range(len(layer) - 1):
            one, other = layer[first : first + 2]
            pairs = [*zip(ends[one], ends[other], strict=True)]
            now = sum(_crossed(upper, lower) for upper, lower in pairs)
            if now and now > sum(_crossed(lower, upper) for upper, lower in pairs):
                layer[first], layer[first + 1] = other, one


def _crossed(upper: Sequence[int], lower: Sequence[int]) -> int:
    """How many edges of two spots cross, whose other ends are in order."""
    return sum(bisect_left(lower, end) for end in upper)


def _crossings(work: _Work) -> int:
    """How many pairs of edges between neighbouring layers cross."""
    found = 0
    for left, right in zip(work.layers, work.layers[1:], strict=False):
        places = {spot: place for place, spot in enumerate(right)}
        ends: list[int] = []
        for spot in left:
            ends += sorted(places[each] for each, _ in work.right.get(spot, ()) if each in places)
        found += _inversions(ends, len(right))
    return found


def _inversions(ends: Sequence[int], size: int) -> int:
    tree, found = [0] * (size + 1), 0
    for seen, end in enumerate(ends):
        at, before = end + 1, 0
        while at:
            before, at = before + tree[at], at & (at - 1)
        found += seen - before
        at = end + 1
        while at <= size:
            tree[at], at = tree[at] + 1, at + (at & -at)
    return found


def _middles(work: _Work, boxes: Sequence[Box]) -> dict[_Spot, float]:
    """The height of the middle of each spot."""
    half = {spot: boxes[spot].height / 2 if spot >= 0 else 1.0 for spot in _spots(work)}

    def apart(one: _Spot, other: _Spot) -> float:
        gap = GAP_Y if one >= 0 and other >= 0 else _BEND_GAP
        return half[one] + half[other] + gap

    found: dict[_Spot, float] = {}
    for layer in work.layers:
        at = 0.0
        for before, spot in zip([None, *layer], layer, strict=False):
            at += 0.0 if before is None else apart(before, spot)
            found[spot] = at
        for spot in layer:
            found[spot] -= at / 2
    for sweep in range(_sweeps(work)):
        for layer in work.layers if sweep % 2 == 0 else reversed(work.layers):
            _towards(layer, found, work, apart)
    return found


def _sweeps(work: _Work) -> int:
    return _SWEEPS if len(_spots(work)) <= _MANY else _SWEEPS // 4


def _spots(work: _Work) -> list[_Spot]:
    return [spot for layer in work.layers for spot in layer]


def _towards(
    layer: Sequence[_Spot],
    found: dict[_Spot, float],
    work: _Work,
    apart: Callable[[_Spot, _Spot], float],
) -> None:
    """Moves the spots of a layer to the mean of their neighbours, as far as they have room: of
    those that would overlap, blocks are as near to where all of them want to be as can be."""
    blocks: list[tuple[float, float, float, list[_Spot]]] = []  # sum of wishes, weight, extent
    offset = 0.0
    for before, spot in zip([None, *layer], layer, strict=False):
        offset = 0.0 if before is None else offset + apart(before, spot)
        near = [*work.left.get(spot, ()), *work.right.get(spot, ())]
        wishes = [found[each] + rise for each, rise in near]
        wish = sum(wishes) / len(wishes) if wishes else found[spot]
        weight = 1.0 if spot >= 0 else 2.0
        blocks.append(((wish - offset) * weight, weight, offset, [spot]))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, heavy, _, spots = blocks.pop()
            first = blocks.pop()
            blocks.append((first[0] + total, first[1] + heavy, first[2], [*first[3], *spots]))
    offset, before = 0.0, None
    for total, weight, _, spots in blocks:
        for spot in spots:
            offset = 0.0 if before is None else offset + apart(before, spot)
            found[spot] = total / weight + offset
            before = spot


def _placed(
    boxes: Sequence[Box],
    work: _Work,
    middles: Mapping[_Spot, float],
    turned: Sequence[bool],
    lower: Sequence[float],
) -> Layout:
    tops = [middles[at] - box.height / 2 for at, box in enumerate(boxes)]
    top = min([*tops, *middles.values()], default=0.0)
    lefts: dict[_Spot, float] = {}
    wide: dict[_Spot, float] = {}
    x = 0.0
    for layer in work.layers:
        width = max((boxes[spot].width for spot in layer if spot >= 0), default=0.0)
        for spot in layer:
            own = boxes[spot].width if spot >= 0 else width
            lefts[spot], wide[spot] = x + (width - own) / 2, own
        x += width + GAP_X
    bottoms = [at - top + box.height for at, box in zip(tops, boxes, strict=True)]
    ways = []
    for chain, back, low in zip(work.chains, turned, lower, strict=True):
        way: list[Point] = []
        for at, spot in enumerate(chain):
            y = middles[spot] - top
            if at:
                way.append((lefts[spot], y))
            if at < len(chain) - 1:
                way.append((lefts[spot] + wide[spot], y))
        if back:
            way.reverse()
        way[-1] = way[-1][0], way[-1][1] + low
        ways.append(tuple(way))
    corners = tuple((lefts[at], tops[at] - top) for at in range(len(boxes)))
    height = max([*bottoms, *(y - top for y in middles.values())], default=0.0)
    return Layout(max(x - GAP_X, 0.0), height, corners, tuple(ways), tuple(turned))
