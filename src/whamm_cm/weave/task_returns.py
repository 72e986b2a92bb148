"""Where ``after`` probes of async exports run: at the ``task.return`` that hands over the result.

A component may have one ``task.return`` for several async exports with equal results.  Then each
of these notes which one it is when it is entered, as does its callback; the probe compares.  That
works where tasks are not entered in the middle of others: with callbacks, not with stackful lifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, fields, replace

from whamm_cm.analysis.site import Site
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import EventProbe
from whamm_cm.lang import tree as t
from whamm_cm.lang.walk import walk
from whamm_cm.wit.types import ValType, strip


@dataclass(slots=True)
class TaskReturns:
    """``entering``: what runs when an async export or its callback is entered, by site."""

    sites: Sequence[Site]
    entering: dict[Site, EventProbe] = field(default_factory=dict)
    current: t.Variable = field(
        default_factory=lambda: t.Variable("current export", t.U32, t.Kind.GLOBAL)
    )

    def moved(self, lift: Site, probe: EventProbe) -> tuple[list[tuple[Site, EventProbe]], str]:
        """The places of an ``after`` probe of ``lift``, an async export; or why there are none."""
        name = _unknown(probe)
        if name:
            return [], f"where an async export returns, {name} is not known"
        places = []
        for site in self.sites:
            if site.kind == "task.return" and may_return(lift, site):
                rivals = [s for s in self.sites if may_return(s, site)]
                if len(rivals) > 1 and any(s.callback is None for s in rivals):
                    return [], "another stackful async export may return at the same task.return"
                places.append((site, probe if len(rivals) == 1 else self._asking(lift, probe)))
                if len(rivals) > 1:
                    self._note(rivals)
        return places, "" if places else "its component has no task.return for it"

    def _note(self, rivals: Iterable[Site]) -> None:
        for site in rivals:
            target = t.Var(t.U32, self.current)
            note = t.Assign(target, t.Const(t.U32, self._number(site)))
            self.entering[site] = EventProbe("before", (note,))

    def _number(self, site: Site) -> int:
        return next(k for k, other in enumerate(self.sites, 1) if other is site)

    def _asking(self, lift: Site, probe: EventProbe) -> EventProbe:
        current = t.Var(t.U32, self.current)
        test: t.Expr = t.Binary(t.BOOL, "==", current, t.Const(t.U32, self._number(lift)))
        if probe.predicate is not None:
            test = t.Binary(t.BOOL, "&&", test, probe.predicate)
        return replace(probe, predicate=test)


def _is_async(site: Site) -> bool:
    return site.kind == "lift" and site.is_async


def may_return(lift: Site, site: Site) -> bool:
    """Whether the tasks of ``lift``, if it is an async export, may return at ``site``."""
    if not _is_async(lift) or lift.component is not site.component:
        return False
    results = () if lift.result is None else (lift.result,)
    return [shape(r) for r in results] == [shape(r) for _, r in site.params]


def shape(value: object) -> object:
    """A type without the names it goes by, to compare."""
    if isinstance(value, tuple):
        return tuple(map(shape, value))
    if isinstance(value, ValType):
        node = strip(value)
        return type(node), *(shape(getattr(node, f.name)) for f in fields(node))
    return value


def _unknown(probe: EventProbe) -> str:
    """A variable the probe uses that belongs to the call, not to its result."""
    nodes = probe.body if probe.predicate is None else (probe.predicate, *probe.body)
    used = (node.name for node in walk(*nodes) if isinstance(node, t.Bound))
    return next((name for name in used if name != "result"), "")
