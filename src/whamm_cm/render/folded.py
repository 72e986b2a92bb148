"""Folded stacks for flamegraph.pl, inferno and speedscope: ``a;b;c 123`` a line.

The number is self time in nanoseconds; in a log without times it is calls.  What the task of an
export has waited is a frame of its own.  Where a script has reported a call tree, that is shown,
with its own numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.render.calltree import call_trees
from whamm_cm.render.lanes import WAITING
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.stacks import Stacks
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    weights: dict[str, int] = {}
    for stack, weight in _reported(session) or _traced(session):
        weights[stack] = weights.get(stack, 0) + weight
    for stack in sorted(weights):
        yield f"{stack} {weights[stack]}\n"


def _reported(session: Session) -> list[tuple[str, int]]:
    return [
        (";".join(map(_clean, frames)), weight)
        for tree in call_trees(session)
        for frames, weight in tree.stacks
    ]


def _traced(session: Session) -> Iterator[tuple[str, int]]:
    stacks = Stacks()
    for call, node in zip(session.calls, stacks.of_calls(session), strict=True):
        weight = (call.self_ns or 0) if session.timed else 1
        waited = sum(last - first for first, last in call.waits)
        if not weight and not waited:
            continue
        stack = ";".join(_clean(frame.name) for frame in stacks.frames(node))
        if weight:
            yield stack, weight
        if session.timed and waited > 0:
            yield f"{stack};{WAITING}", waited


def _clean(frame: str) -> str:
    return printable(frame).replace(";", ",")
