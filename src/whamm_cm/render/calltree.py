"""Call trees that scripts report, such as that of the monitor ``flame``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.render import scripted
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


@dataclass(frozen=True, slots=True)
class CallTree:
    """``stacks``: frames from the outermost on, with their own weight, in order of their nodes.
    ``variable``: the script's and its own name; ``instance``: 0 where several are merged."""

    name: str
    stacks: tuple[tuple[tuple[str, ...], int], ...]
    variable: str
    instance: int


def call_trees(session: Session, per_instance: bool = False) -> list[CallTree]:
    """The trees that a script has reported, mostly none.

    Each instance numbers the nodes for itself, so it is stacks that are merged.
    """
    shapes = [parse_type(SHAPE), parse_type(SEVERAL)]
    cells = [cell for cell in session.parts if parse_type(cell.row.type) in shapes]
    rows = dict.fromkeys(cell.row for cell in cells)
    if per_instance or len(cells) == len(rows):
        return [
            CallTree(
                _name(cell, len(rows) > 1), tuple(_stacks(cell)), _variable(cell), cell.instance
            )
            for cell in cells
        ]
    return [_merged([cell for cell in cells if cell.row == row]) for row in rows]


def _merged(cells: list[Cell]) -> CallTree:
    weights: dict[tuple[str, ...], int] = {}
    for cell in cells:
        for stack, weight in _stacks(cell):
            weights[stack] = weights.get(stack, 0) + weight
    variable = _variable(cells[0])
    return CallTree(f"{variable} {len(cells)} instances", tuple(weights.items()), variable, 0)


def _variable(cell: Cell) -> str:
    return f"{cell.row.script}:{cell.row.var}"


def _name(cell: Cell, several: bool) -> str:
    instance = f"instance {cell.instance}"
    return f"{_variable(cell)} {instance}" if several else instance


def _stacks(cell: Cell) -> Iterator[tuple[tuple[str, ...], int]]:
    nodes: dict[int, tuple[int, tuple[str, ...], int]] = {}
    for number, (caller, name, fid, weight, *several) in scripted.entries(cell.value):
        shown = demangle(shown_text(name)) or f"#{fid}"
        names = _JOINED.split(shown) if any(several) else [shown]
        nodes[int(number)] = int(caller), tuple(names), int(weight)
    for number in sorted(nodes):
        weight = nodes[number][2]
        if weight:
            yield _frames(nodes, number), weight


def _frames(nodes: dict[int, tuple[int, tuple[str, ...], int]], number: int) -> tuple[str, ...]:
    """From the outermost caller on.  A script may have made anything: nobody calls himself."""
    found: dict[int, tuple[str, ...]] = {}
    while number in nodes and number not in found:
        found[number] = nodes[number][1]
        number = nodes[number][0]
    return tuple(frame for name in reversed(found.values()) for frame in name)
