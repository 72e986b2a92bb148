"""Who called whom, as a tree with weights: of the calls of a log, or as a script has reported it,
such as the monitor ``flame``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.render import scripted
from whamm_cm.render.lanes import WAITING
from whamm_cm.render.stacks import Stacks
from whamm_cm.trace.reports import Cell, shown_text
from whamm_cm.trace.session import Session
from whamm_cm.trace.types import parse_type

#: A variable of this type is a call tree: by the number of a node (from 1) its caller's node (0:
#: none), the name and number of its function, and its own weight.
SHAPE = "map<u32, (u32, str, u32, u64)>"
#: The same with whether the name is several, of functions put in place of calls, joined by ``;``.
SEVERAL = "map<u32, (u32, str, u32, u64, bool)>"
#: In a name as in the source a blank follows: ``[u8; 4]``.
_JOINED = re.compile(r";(?! )")
#: What a frame is known by among those of one caller: its name, and whether a compiler has put it
#: in place of a call.
Key = tuple[str, bool]


@dataclass(slots=True, eq=False)
class Frame:
    """A function by the way it was called.  ``own``: its weight without that of what it called,
    which is in ``total``."""

    name: str
    inlined: bool = False
    own: int = 0
    total: int = 0
    callees: dict[Key, Frame] = field(default_factory=dict)

    def callee(self, key: Key) -> Frame:
        found = self.callees.get(key)
        if found is None:
            found = self.callees[key] = Frame(*key)
        return found


@dataclass(frozen=True, slots=True)
class CallTree:
    """``root`` has no name; what was called first is called by it.  ``unit`` is what the weights
    are: ``ns``, ``calls``, or the name of the variable that a script has counted in.  ``name``
    says whose it is, among several; ``instances``: of how many it is the sum, ``instance``: of
    which, 0 for several.  ``variable``: the script's and its own name, "" for that of calls."""

    name: str
    unit: str
    root: Frame
    instances: int = 1
    instance: int = 0
    variable: str = ""

    @property
    def stacks(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Frames from the outermost on, with the own weight of the last; callers come first."""
        pending: list[tuple[Frame, tuple[str, ...]]] = [(self.root, ())]
        while pending:
            frame, above = pending.pop()
            if frame.own:
                yield above, frame.own
            pending += [(inner, (*above, inner.name)) for inner in reversed(frame.callees.values())]


def trees(session: Session, per_instance: bool = False) -> list[CallTree]:
    """Those that scripts have reported, else that of the calls."""
    return call_trees(session, per_instance) or [traced_tree(session)]


def call_trees(session: Session, per_instance: bool = False) -> list[CallTree]:
    """The trees that a script has reported, mostly none."""
    return reported_trees(filter(is_tree, session.parts), per_instance)


def is_tree(cell: Cell) -> bool:
    return parse_type(cell.row.type) in (parse_type(SHAPE), parse_type(SEVERAL))


def reported_trees(parts: Iterable[Cell], per_instance: bool = False) -> list[CallTree]:
    """The trees in cells of single instances.

    Each instance numbers the nodes for itself, so it is stacks that are merged.
    """
    cells = list(parts)
    rows = dict.fromkeys(cell.row for cell in cells)
    if per_instance or len(cells) == len(rows):
        return [_sum([cell], _name(cell, len(rows) > 1)) for cell in cells]
    return [_merged([cell for cell in cells if cell.row == row]) for row in rows]


def _merged(cells: list[Cell]) -> CallTree:
    return _sum(cells, f"{_variable(cells[0])} {len(cells)} instances")


def _variable(cell: Cell) -> str:
    return f"{cell.row.script}:{cell.row.var}"


def _name(cell: Cell, several: bool) -> str:
    instance = f"instance {cell.instance}"
    return f"{_variable(cell)} {instance}" if several else instance


def _sum(cells: list[Cell], name: str) -> CallTree:
    root = Frame("")
    for cell in cells:
        _add(root, cell)
    first = cells[0]
    only = first.instance if len(cells) == 1 else 0
    return CallTree(name, first.row.var, _summed(root), len(cells), only, _variable(first))


def _add(root: Frame, cell: Cell) -> None:
    nodes: dict[int, tuple[int, tuple[Key, ...], int]] = {}
    for number, (caller, name, fid, weight, *several) in scripted.entries(cell.value):
        shown = demangle(shown_text(name)) or f"#{fid}"
        inlined = any(several)
        names = _JOINED.split(shown) if inlined else [shown]
        nodes[int(number)] = int(caller), tuple((each, inlined) for each in names), int(weight)
    known: dict[int, Frame] = {}
    for number in sorted(nodes):
        frame = _placed(root, number, nodes, known)
        frame.own += nodes[number][2]


def _placed(
    root: Frame,
    number: int,
    nodes: Mapping[int, tuple[int, tuple[Key, ...], int]],
    known: dict[int, Frame],
) -> Frame:
    """Where a node is.  A script may have made anything: nobody calls himself."""
    path: dict[int, None] = {}  # a set in order
    while number in nodes and number not in path and number not in known:
        path[number] = None
        number = nodes[number][0]
    circle = number in path
    frame = root if circle else known.get(number, root)
    for each in reversed(path):
        for key in nodes[each][1]:
            frame = frame.callee(key)
        if not circle:
            known[each] = frame
    return known[number] if not path else frame


def traced_tree(session: Session) -> CallTree:
    """By time, without what was called; in a log without times by calls.  What the task of an
    export has waited is a frame of its own."""
    root, stacks = Frame(""), Stacks()
    nodes = stacks.of_calls(session)
    frames = [root]
    for top, below in zip(stacks.top[1:], stacks.below[1:], strict=True):
        frames.append(frames[below].callee((top.name, False)))
    for call, node in zip(session.calls, nodes, strict=True):
        frames[node].own += (call.self_ns or 0) if session.timed else 1
        waited = sum(last - first for first, last in call.waits)
        if session.timed and waited > 0:
            frames[node].callee((WAITING, False)).own += waited
    return CallTree("", "ns" if session.timed else "calls", _summed(root), len(session.instances))


def _summed(root: Frame) -> Frame:
    """Totals of all frames.  What has none is left out; a stack may be deeper than Python's."""
    order = [root]
    for frame in order:
        order += frame.callees.values()
    for frame in reversed(order):
        frame.total += frame.own + sum(inner.total for inner in frame.callees.values())
        frame.callees = {key: inner for key, inner in frame.callees.items() if inner.total}
    return root
