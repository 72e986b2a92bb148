"""Ends of streams and futures: which built-ins make and drop them, and whether a log can name them.

An end has the number of a handle, and numbers are used again.  A log says what stands behind one
only where it tells of everything by which ends come into a component and leave it; where anything
of that is not recorded, it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whamm_cm.abi.layout import postorder
from whamm_cm.agent.handles import are_whole
from whamm_cm.analysis.site import Site
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import COPIES, ENDS
from whamm_cm.wit.types import FutureT, StreamT, ValType


def _op(site: Site) -> str:
    node = site.definition.node
    assert isinstance(node, n.Canon)
    return node.op


def noted(own: Sequence[Site], wanted: Mapping[Site, bool]) -> set[Site]:
    """Those of a component's sites that make or drop ends, where copies are recorded and these are
    not: they get a short record."""
    if not any(wanted.get(site) and _op(site) in COPIES for site in own):
        return set()
    return {s for s in own if _op(s) in ENDS and not s.reason and s not in wanted}


def are_known(own: Sequence[Site], wanted: Mapping[Site, bool], notes: set[Site]) -> bool:
    """Whether all is recorded by which ends come into the component and leave it."""
    return all(
        site in notes or (wanted.get(site) and are_whole(_types(site)))
        for site in own
        if _moves(site)
    )


def _moves(site: Site) -> bool:
    """Whether ends may come or leave by it; what a ``task.return`` hands over is recorded as the
    result of its export."""
    if _op(site) in ENDS:
        return True
    return site.kind != "task.return" and any(map(_holds, _types(site)))


def _types(site: Site) -> tuple[ValType, ...]:
    found = [t for _, t in site.params]
    found += [t for t in (site.result, site.elements) if t is not None]
    return tuple(found)


def _holds(root: ValType) -> bool:
    """Whether ends of streams or futures may be in values of a type."""
    seen: set[ValType] = set()
    for node in postorder(root, seen):
        seen.add(node)
        if isinstance(node, StreamT | FutureT):
            return True
    return False
