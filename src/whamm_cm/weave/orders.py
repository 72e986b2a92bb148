"""What to do at each site: record, count or only flush, and when to send what is buffered.

Records leave the guest when the buffer is a third full and when the outermost export returns; the
rules here add the moments at which waiting longer would lose them or hide them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from whamm_cm.agent.layout import N_COUNTERS, Flush
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site, selected
from whamm_cm.analysis.sites import site_spec
from whamm_cm.component.ir import Component, walk
from whamm_cm.component.items import Item
from whamm_cm.component.nodes import Canon
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import Action, EventProbe, Request, Role
from whamm_cm.emit.paths import has_trace
from whamm_cm.errors import WeaveError
from whamm_cm.weave.ends import are_known, noted
from whamm_cm.weave.plan import Added, Chosen, Plan
from whamm_cm.weave.redact import rule_at, secret_elements
from whamm_cm.weave.sampling import request_of
from whamm_cm.weave.tasks import answering, exports, roles
from whamm_cm.wit.glob import compile_glob
from whamm_cm.wit.preview1 import MODULES

if TYPE_CHECKING:  # the language is slow to import, and most weaves have no script
    from whamm_cm.weave.scripting import Scripting

#: Functions that wait for something outside: a live log shows the call while it waits.
WAITS: tuple[tuple[str, str], ...] = (
    ("wasi:io/poll", "{poll,pollable.block}"),
    ("wasi:io/streams", "input-stream.blocking-*"),
    ("wasi_{snapshot_preview1,unstable}", "{poll_oneoff,fd_read,sock_accept,sock_recv}"),
    ("", "{waitable-set.wait,thread.{suspend,yield}*}"),
)
_WAITS = tuple((compile_glob(i), compile_glob(f)) for i, f in WAITS)


#: Built-ins that wait unless they are async.
_COPIES = ("stream.", "future.", "subtask.cancel")


def waits(site: Site) -> bool:
    node = site.definition.node
    if site.kind == "lower" and site.may_wait and not site.is_async:
        return True
    if isinstance(node, Canon) and node.op.startswith(_COPIES) and _blocks(node):
        return True
    return any(
        i.fullmatch(n.interface) and f.fullmatch(n.func) for n in site.names for i, f in _WAITS
    )


def may_last(site: Site) -> bool:
    """Whether tasks of this export may go on after their answer without the host: it may stop them
    wherever others get to run."""
    return site.kind == "lift" and site.is_async and site.callback is None


def _returns(site: Site) -> bool:
    """Whether a call inside of it is over before the one that it was made from."""
    return site.kind == "lift" and site.edge != "export" and not site.may_wait


def _starts(site: Site) -> bool:
    """Whether a call of it has another task run first."""
    return site.kind == "lower" and site.may_wait


def _blocks(node: Canon) -> bool:
    name = node.op.partition(".")[2]
    return (
        name in ("read", "write")
        and not node.options.is_async
        or (name.startswith("cancel") and not node.flag)
    )


def leaves(site: Site) -> bool:
    """Whether the call never returns: what is buffered has to go before it."""
    return site.kind == "lower" and any(
        n.interface == "wasi:cli/exit" or (n.interface in MODULES and n.func == "proc_exit")
        for n in site.names
    )


def _count_once(sites: Sequence[Site], wanted: dict[Component, dict[Site, bool]]) -> None:
    """A call between two components of ours is counted where it is made: not once more where it
    arrives, if every place that it can come from is counted or traced."""
    callers: dict[Item, list[Site]] = {}
    for site in sites:
        for lift in site.standing.lifts if site.kind == "lower" else ():
            callers.setdefault(lift, []).append(site)
    for site in sites:
        own, item = wanted.get(site.component, {}), site.definition.item
        if site.kind != "lift" or site.edge != "inner" or own.get(site) is not False:
            continue
        known = callers.get(item, ())
        if (
            known
            and not site.standing.escapes
            and all(
                caller in wanted.get(caller.component, {})
                and caller.standing.lifts == (item,)
                and not caller.standing.outside
                for caller in known
            )
        ):
            del own[site]
            if not own:
                del wanted[site.component]


def _crosses(site: Site) -> bool:
    """Whether the call may end in another component of ours."""
    inside = site.edge == "inner" or bool(site.standing.lifts)
    return site.kind == "lower" and inside and not site.reason


@dataclass(slots=True)
class Orders:
    """Turns the sites a plan wants into orders, and numbers those that make records."""

    plan: Plan
    added: Added
    builder: SiteTableBuilder = field(default_factory=SiteTableBuilder)
    scripting: Scripting | None = None
    secret: frozenset[object] = frozenset()
    requests: dict[Site, Request] = field(default_factory=dict)

    def choose(self, program: Program, sites: Sequence[Site]) -> dict[Component, list[Chosen]]:
        """Orders by component, flush-only ones included."""
        wanted = self._wanted(sites)
        self.builder.recorded = self.plan.recorded
        self.secret = secret_elements(sites)
        for key in self.scripting.components if self.scripting is not None else ():
            wanted.setdefault(key, {})
        several = len(wanted) > 1 or self.plan.samples
        relayed = bool(wanted) and several and self._exits_all_push(sites, wanted)
        if self.plan.samples:
            self._sample(sites, wanted)
        exits = {site.component for site in sites if leaves(site)}
        result: dict[Component, list[Chosen]] = {}
        for component in walk(program.root):
            if component in wanted:
                own = [site for site in sites if site.component is component]
                crossings = self._crossings(component, own, len(wanted) > 1, exits)
                result[component] = self._orders(
                    program, own, wanted[component], crossings, relayed
                )
        return result

    def _wanted(self, sites: Sequence[Site]) -> dict[Component, dict[Site, bool]]:
        """By component: the selected sites, and whether each is traced or only counted."""
        wanted: dict[Component, dict[Site, bool]] = {}
        for site in sites:
            trace = selected(self.plan.trace, site)
            if not trace and not selected(self.plan.count, site):
                continue
            if site.reason:
                self.added.skipped.append((site.title, site.reason))
            else:
                wanted.setdefault(site.component, {})[site] = trace
        _count_once(sites, wanted)
        return wanted

    def _exits_all_push(
        self,
        sites: Sequence[Site],
        wanted: dict[Component, dict[Site, bool]],
    ) -> bool:
        """Give every component with an export of the root an agent, so that the return of that
        export sends on what the others have recorded; False where one cannot have an agent."""
        exports = [site for site in sites if site.kind == "lift" and site.edge == "export"]
        if any(site.reason for site in exports):
            return False
        for site in exports:
            wanted.setdefault(site.component, {})
        return bool(exports)

    def _sample(self, sites: Sequence[Site], wanted: Collection[Component]) -> None:
        """Find out which sites have to do with requests."""
        woven = {s.definition.item for s in sites if s.component in wanted and not s.reason}
        found = ((site, request_of(site, woven)) for site in sites)
        self.requests = {site: request for site, request in found if request}
        self.builder.sample = self.plan.sample

    def _crossings(
        self, component: Component, own: Sequence[Site], several: bool, exits: set[Component]
    ) -> tuple[set[Site], bool]:
        """Calls into other components of ours, and whether one of those may end the program.

        Sending before such a call keeps the records of all instances in order, and nothing is lost
        when the callee exits.
        """
        ends = bool(exits - {component})
        inner = {s for s in own if _crosses(s)}
        return (inner if several or ends else set()), ends

    def _orders(
        self,
        program: Program,
        own: Sequence[Site],
        wanted: dict[Site, bool],
        crossings: tuple[set[Site], bool],
        relayed: bool,
    ) -> list[Chosen]:
        base = len(self.builder)
        slots = self._slots(own, wanted)
        probed = {} if self.scripting is None else self.scripting.probes
        self.added.sites += sum(site in wanted or site in probed for site in own)
        inner, ends = crossings
        parts, context = self._parts(own, wanted)
        numbers = exports(own)
        notes = noted(own, wanted)
        known = are_known(own, wanted, notes)
        lasts = any(map(may_last, own))
        orders = []
        for site in own:
            crossing, role = site in inner, parts.get(site, "")
            action: Action = "none"
            number = slot = 0
            probes, later = self._probes(site)
            if wanted.get(site) and role != "return":
                action, number = "record", self.builder.add_site(site_spec(site, known))
            elif site in notes:
                action, number = "note", self.builder.add_site(site_spec(site, known))
            elif site in slots:
                slot = slots[site]
                action, number = "count", base + slot
            elif any(map(has_trace, (*probes, *later))):
                number = self.builder.add_site(site_spec(site))
            waiting = self.plan.live and (waits(site) or (lasts and _starts(site)))
            idle = action == "none" and not (probes or later)
            passed = role or waiting or site.kind == "lift" or leaves(site) or (crossing and ends)
            if idle and (site.reason or not (passed or site in self.requests)):
                continue
            before = self._before(site, waiting, crossing and (ends or action == "record"))
            order = self._order(site, action, number, slot, before, relayed and _returns(site))
            redact = None if self.plan.show_secrets else rule_at(site, own, self.secret)
            ending = tuple(p for p in later if p.mode == "end")
            order = replace(order, probes=probes, later=later, ending=ending, redact=redact)
            export = numbers.get(site, 0) if context else 0
            alt = any(p.mode == "alt" for p in probes)
            answer = answering(program, site, own) if alt else None
            orders.append(replace(order, role=role, context=context, export=export, answer=answer))
        return orders

    def _slots(self, own: Sequence[Site], wanted: dict[Site, bool]) -> dict[Site, int]:
        """The counters of the sites to count, whose rows come in this order."""
        counted = [site for site in own if wanted.get(site) is False]
        if len(counted) > N_COUNTERS:
            raise WeaveError(
                f"{len(counted)} functions to count in one component, at most {N_COUNTERS} fit"
            )
        for site in counted:
            self.builder.add_site(site_spec(site))
        return {site: slot for slot, site in enumerate(counted)}

    def _probes(self, site: Site) -> tuple[tuple[EventProbe, ...], tuple[EventProbe, ...]]:
        """Those that stand at a site, and those for when its calls are over."""
        found = self.scripting
        if found is None:
            return (), ()
        return found.probes.get(site, ()), found.later.get(site, ())

    def _parts(self, own: Sequence[Site], wanted: dict[Site, bool]) -> tuple[dict[Site, Role], str]:
        """What has a part in tasks, where records or probes say something about them."""
        scripting = self.scripting
        asked = scripting is not None and own[0].component in scripting.tasked if own else False
        return roles(own) if asked or any(wanted.values()) else ({}, "")

    def _before(self, site: Site, waiting: bool, passing: bool) -> Flush | None:
        """How to flush right before the call, None not to."""
        if not site.leave:
            return None
        if leaves(site):
            return Flush.PUSH | Flush.REPORT
        if waiting:
            # What scripts count may be a thousand cells, and has a beat of its own.
            counts = Flush.NONE if self.scripting is not None else Flush.REPORT
            return Flush.PUSH | Flush.GOES_ON | counts
        return Flush.NONE if passing else None

    def _order(
        self,
        site: Site,
        action: Action,
        number: int,
        slot: int,
        before: Flush | None,
        relayed: bool,
    ) -> Chosen:
        return Chosen(
            site,
            action,
            number,
            slot,
            flush_before=before,
            flush_outside=site.leave,
            relayed=relayed,
            request=self.requests.get(site, ""),
        )
