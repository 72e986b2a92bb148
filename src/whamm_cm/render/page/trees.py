"""Call trees that scripts have reported, for the page: ``model["trees"]``.

Those of calls the page makes itself, of the calls that its filter chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whamm_cm.render.calltree import CallTree, Frame, call_trees
from whamm_cm.render.frames import walk
from whamm_cm.trace.session import Session

#: Frames of a tree that are shown each for itself: the heaviest.
MOST = 50_000
#: In the place of the others, in what calls them.
OTHERS = "(others)"


def trees_model(session: Session, per_instance: bool = False) -> list[dict[str, Any]]:
    """A column each of what frames have, callers before what they call: ``parent`` (an index, -1:
    nobody), ``frame`` (an index into ``names``), ``own``; ``inlined``: the indices of those that a
    compiler has put in place of a call."""
    found = [tree for tree in call_trees(session, per_instance) if tree.root.total]
    return [_tree(tree, len(found) > 1) for tree in found]


def _tree(tree: CallTree, named: bool) -> dict[str, Any]:
    names: dict[str, int] = {}
    parents, frames, owns, inlined = [], [], [], []
    for at, (parent, name, own, placed) in enumerate(_rows(tree.root)):
        parents.append(parent)
        frames.append(names.setdefault(name, len(names)))
        owns.append(own)
        if placed:
            inlined.append(at)
    return {
        "name": tree.name if named else "",
        "unit": tree.unit,
        "instances": tree.instances,
        "names": list(names),
        "parent": parents,
        "frame": frames,
        "own": owns,
        "inlined": inlined,
    }


def _rows(root: Frame) -> Iterator[tuple[int, str, int, bool]]:
    """(caller, name, own weight, inlined), callers first."""
    least = sorted((frame.total for frame in walk(root)), reverse=True)[:MOST][-1]
    count = 0
    pending = [(-1, frame) for frame in root.callees.values()]
    while pending:
        parent, frame = pending.pop()
        yield parent, frame.name, frame.own, frame.inlined
        at, count = count, count + 1
        shown = [inner for inner in frame.callees.values() if inner.total >= least]
        pending += [(at, inner) for inner in shown]
        rest = frame.total - frame.own - sum(inner.total for inner in shown)
        if rest:
            yield at, OTHERS, rest, False
            count += 1
