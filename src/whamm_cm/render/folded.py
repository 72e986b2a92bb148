"""Folded stacks for flamegraph.pl, inferno and speedscope: ``a;b;c 123`` a line.

The number is self time in nanoseconds; in a log without times it is calls.  What the task of an
export has waited is a frame of its own.  Where a script has reported a call tree, that is shown,
with its own numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.render.calltree import trees
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    weights: dict[str, int] = {}
    for tree in trees(Session.build(records)):
        for frames, weight in tree.stacks:
            stack = ";".join(map(_clean, frames))
            weights[stack] = weights.get(stack, 0) + weight
    for stack in sorted(weights):
        yield f"{stack} {weights[stack]}\n"


def _clean(frame: str) -> str:
    return printable(frame).replace(";", ",")
