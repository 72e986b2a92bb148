"""A component held to a policy: what its host gives is asked for through probes that judge."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

from whamm_cm._version import __version__
from whamm_cm.abi.owned import owned
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.reach.elaborate import elaborate
from whamm_cm.analysis.site import Site
from whamm_cm.analysis.sites import find_sites
from whamm_cm.analysis.stamp import stamp_of
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import Piece
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.front.answering import Prepared, prepared
from whamm_cm.front.scripts import script_plan
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import Woven, is_module, sink_for, woven
from whamm_cm.gate.baseline import Baseline
from whamm_cm.gate.context import Decision
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.guard import Function, Guard, Mode
from whamm_cm.gate.guard_budgets import add_budget
from whamm_cm.gate.guard_claim import body_of, facts_text, section
from whamm_cm.gate.guard_environment import add_environment
from whamm_cm.gate.guard_network import add_network
from whamm_cm.gate.guard_storage import add_storage
from whamm_cm.gate.guard_trust import sealed
from whamm_cm.gate.marks import stamp
from whamm_cm.gate.model import Subject
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.subject import analyse
from whamm_cm.weave.apart import listed_apart
from whamm_cm.weave.plan import SinkName

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What stands in a rule for itself alone.
_PLAIN = re.compile(r"[A-Za-z0-9:/@.#+_-]+")

_Key: TypeAlias = "tuple[str, str | None, str]"


@dataclass(frozen=True, slots=True)
class Guarded:
    """``woven``: the component with its guard; ``guard``: what holds it; ``clean``: whether the
    original had nothing woven in."""

    woven: Woven
    guard: Guard
    policy: Policy
    clean: bool

    @property
    def pieces(self) -> list[Piece]:
        """The bytes of the component, with the section that says what it is held to."""
        return self.signed(None)

    def signed(self, key: Ed25519PrivateKey | None) -> list[Piece]:
        """The same, signed where there is a key."""
        facts = facts_text(self._facts())
        whole = [*self.woven.inner.pieces]
        pair = None if key is None else sealed(key, body_of(b"".join(whole)), facts)
        return [*whole, section(facts, pair)]

    def _facts(self) -> Mapping[str, object]:
        permissions = self.policy.permissions
        about = {
            "imports": self.policy.imports is not None,
            "budgets": bool(self.policy.budgets),
            "network": permissions.network is not None,
            "storage": permissions.storage is not None,
            "environment": permissions.environment is not None,
            "virtual": bool(self.guard.answered),
            "clean": self.clean,
        }
        return {
            "version": __version__,
            "mode": self.guard.mode,
            "policy": [
                {"file": os.path.basename(file), "sha256": sha} for file, sha in self.policy.sources
            ],
            "script": hashlib.sha256(self.guard.text.encode()).hexdigest(),
            "holds": [part for part, holds in about.items() if holds],
        }


def guarded(
    data: bytes, name: str, policy: Policy, mode: Mode, sink: SinkName = "stderr"
) -> Guarded:
    """``data`` with a guard woven in, which holds it to ``policy``.

    Raises DecodeError for what is no component, WeaveError for one that cannot be held to it, or
    where there is nothing to hold.
    """
    _check_component(data, name)
    inside = _prepared(data, name, policy, mode)
    guard = _guard(inside, name, policy, mode)
    if guard.empty and not guard.answered:
        raise WeaveError(
            f"{name} calls nothing that the policy denies or answers; there is nothing to enforce"
        )
    settings = Settings(scripts=[("guard", guard.text)], sink=sink, lines="json")
    settings = Settings(sink="none") if guard.empty else settings
    plan = settings.plan(sink_for(settings, inside.data), script_plan(settings))
    plan = replace(plan, origin=hashlib.sha256(data).hexdigest())
    made = woven(inside.data, plan, name)
    added = made.report
    gaps = [f"{title}: {why}" for title, why in added.skipped]
    gaps += [f"{rule}: {why}" for rule, why, _ in added.unmatched]
    gaps += [f"{rule}: {why}" for _, rule, why in added.idle]
    if gaps:
        raise WeaveError(f"{name} cannot be guarded: {gaps[0]}")
    return Guarded(made, guard, policy, stamp(decode(data, name)) is None)


def guard_of(data: bytes, name: str, policy: Policy, mode: Mode) -> Guard:
    """The script that holds ``data`` to ``policy``.

    Raises DecodeError for what is no component, WeaveError for one that cannot be held to it.
    """
    _check_component(data, name)
    return _guard(_prepared(data, name, policy, mode), name, policy, mode)


def _prepared(data: bytes, name: str, policy: Policy, mode: Mode) -> Prepared:
    """Where names of directories decide, they come to where the program cannot write."""
    inside = prepared(data, name, policy, mode)
    if policy.permissions.storage is None:
        return inside
    try:
        apart = listed_apart(inside.root)
    except WeaveError as error:
        raise WeaveError(f"{name} cannot be guarded: {error}") from error
    return inside if apart is None else inside.changed(apart, name)


def _check_component(data: bytes, name: str) -> None:
    if is_module(data):
        raise WeaveError(f"{name} is a core module; enforce holds components to a policy")


def _guard(inside: Prepared, name: str, policy: Policy, mode: Mode) -> Guard:
    _refuse_parts(policy)
    subject = analyse(inside.data, name).subject
    _refuse_strangers(subject, name)
    judged = _decisions(subject, policy)
    guard = Guard(mode, answered=[*inside.answered])
    root = inside.main
    if stamp_of(inside.root) is not None:
        raise WeaveError(f"{name} has already been instrumented by whamm-cm; guard the original")
    _refuse_start(inside.root, name)
    sites = find_sites(Program.of(inside.root))
    called = dict(_functions(sites))
    for function in called:
        found = _of(judged, function, name) if judged is not None else []
        denied = next((one for one in found if one.verdict == "deny"), None)
        if denied is not None:
            guard.deny(function, _why(policy, denied))
    if policy.permissions.network is not None:
        add_network(guard, policy.permissions.network, called)
        _refuse_passing(called, inside.root, name)
    if policy.permissions.storage is not None:
        add_storage(guard, policy.permissions.storage, called)
    if policy.permissions.environment is not None:
        add_environment(guard, policy.permissions.environment, called)
    if policy.budgets:
        _refuse_reentry(sites, root, name)
        _add_budgets(guard, policy, called, root, name)
    for function in guard.functions:
        _check(function, called[function], name)
    return guard


def _refuse_start(root: Component, name: str) -> None:
    """A component calls a function as it starts without lowering it, so that no probe sees it."""
    for component in walk(root):
        if any(isinstance(one.node, n.Start) for one in component.definitions):
            raise WeaveError(
                f"{name} cannot be guarded: {component.path or 'the component'} has a function that"
                " is called as it starts, which no probe sees"
            )


def _refuse_reentry(sites: Sequence[Site], root: Component, name: str) -> None:
    """Each call of what the root lifts begins a budget anew: nobody inside may make one."""
    lifted = {site.definition.item for site in sites if site.component is root}
    for site in sites:
        if site.component is not root and not lifted.isdisjoint(site.standing.lifts):
            raise WeaveError(
                f"{name} cannot be guarded: {site.title}: a component inside calls a function of"
                " the one around it, which would begin a budget anew"
            )


def _add_budgets(
    guard: Guard,
    policy: Policy,
    called: Mapping[Function, Sequence[Site]],
    root: Component,
    name: str,
) -> None:
    """One number for all functions that a budget is about, as the gate counts."""
    for number, budget in enumerate(policy.budgets):
        found = [one for one in called if any(budget.line.denies(*key) for key in one.names)]
        inside = next((s for one in found for s in called[one] if s.component is not root), None)
        if inside is not None:
            raise WeaveError(
                f"{name} cannot be guarded: {inside.title}: a component inside calls it, and the"
                " calls of its own exports would begin a budget anew"
            )
        if found:
            add_budget(guard, number, budget, found)


def _refuse_passing(called: Mapping[Function, Sequence[Site]], root: Component, name: str) -> None:
    """A request is known where it was made: each instance of a component inside has a script's
    variables for itself."""
    makers = ("outgoing-request.", "request.", "handle", "send")
    interfaces = ("wasi:http/types", "wasi:http/outgoing-handler", "wasi:http/client")
    places = {
        site.component: site.place
        for function, sites in called.items()
        if function.names[0][0] in interfaces and function.names[0][2].startswith(makers)
        for site in sites
    }
    made = [one.component for one in elaborate(root, cores=False).places]
    if len(places) > 1 or any(made.count(one) > 1 for one in places):
        inside = ", ".join(sorted(place or "the component itself" for place in places.values()))
        raise WeaveError(
            f"{name} cannot be guarded: requests are made and sent in several components or"
            f" instances of one, {inside}"
        )


def _refuse_parts(policy: Policy) -> None:
    """What a policy says that no guard holds is refused, never left out in silence."""
    for budget in policy.budgets:
        if budget.p99_ms is not None:
            raise UsageError(f"{budget.location}: enforce does not hold p99_ms, which is measured")


def _refuse_strangers(subject: Subject, name: str) -> None:
    """What is not in the file cannot be guarded: it would be given functions as they are."""
    if subject.fault:
        raise WeaveError(f"{name} cannot be guarded: {subject.fault}")
    if subject.guard is not None and subject.guard.count:
        raise WeaveError(f"{name} is held to a policy already; guard the original")
    for row in subject.imports:
        if row.kind in ("component", "module") or row.hands:
            raise WeaveError(
                f"{name} cannot be guarded: it imports code, {row.item}, which would call the host"
                " past the guard; compose it first"
            )


def _decisions(subject: Subject, policy: Policy) -> dict[_Key, list[Decision]] | None:
    """What the policy says of each function, by every name it has; None where it says nothing."""
    if policy.imports is None:
        return None
    found: dict[_Key, list[Decision]] = {}
    engine = Engine(replace(policy, judge="declared"), date.today(), Baseline())
    context = engine.context("", "", subject=subject)
    for row, decisions in context.decisions:
        for one in decisions:
            if one.function is None:
                continue
            func = one.function.name
            keys = [
                (row.interface, row.version, func),
                (row.interface or row.name, row.version, func),
            ]
            keys += [(interface, version, func) for interface, version in row.readings]
            for key in dict.fromkeys([*keys, (row.name, None, func)]):
                found.setdefault(key, []).append(one)
    return found


def _of(judged: Mapping[_Key, list[Decision]], function: Function, name: str) -> list[Decision]:
    found = [one for key in function.names for one in judged.get(key, ())]
    if not found:
        raise WeaveError(
            f"{name} cannot be guarded: what it calls as {function.title} is of its host or of its"
            " own, as the instance has it"
        )
    return found


def _functions(sites: Iterable[Site]) -> Iterator[tuple[Function, list[Site]]]:
    """What the component calls of its host; a resource that is dropped is no call to deny."""
    groups: dict[_Key, list[Site]] = {}
    for site in sites:
        if site.edge == "import" and site.kind == "lower":
            for group in site.standing.roots:
                shown = group[0]
                groups.setdefault((shown.interface, shown.version, shown.func), []).append(site)
    for first, found in groups.items():
        names: dict[_Key, None] = {first: None}
        for site in found:
            for group in site.standing.roots:
                if first == tuple(group[0]):
                    names |= {(one.interface, one.version, one.func): None for one in group}
        one, realloc = found[0], all(site.realloc for site in found)
        drops = all(map(_drops, found))
        yield Function(tuple(names), one.params, one.result, realloc, drops), found


def _drops(site: Site) -> bool:
    """Whether all that is given away with a call can be dropped."""
    given = owned(t for _, t in site.params)
    return given is not None and len(given) == len(site.owned)


def _check(function: Function, sites: Iterable[Site], name: str) -> None:
    if not _PLAIN.fullmatch(function.title):
        raise WeaveError(f"{name} cannot be guarded: no rule means the name {function.title!r}")
    for site in sites:
        if site.reason:
            raise WeaveError(f"{name} cannot be guarded: {site.title}: {site.reason}")
        if len(site.standing.roots) > 1:
            raise WeaveError(
                f"{name} cannot be guarded: {site.title} stands for several functions of the host,"
                f" and {function.title} is denied"
            )


def _why(policy: Policy, decision: Decision) -> str:
    line = decision.line
    at = line.location if line is not None else policy.imports.location if policy.imports else None
    place = f"{os.path.basename(at.file)}:{at.line}" if at is not None else "policy"
    return place if line is None else f"{place}: {line.text}"
