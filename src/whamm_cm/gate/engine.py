"""Rules over components: findings with their severities, waivers and baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import date, timedelta

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.baseline import Baseline
from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.guard_trust import Trusted, standing
from whamm_cm.gate.model import SEVERITIES, ComponentReport, Finding, Severity, Subject, Waiver
from whamm_cm.gate.patterns import glob, item_matches
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.rules import RULES

#: How long before it expires a waiver is spoken of.
SOON = timedelta(days=14)


@dataclass(slots=True)
class Engine:
    """Judges one component after the other by one policy.

    ``today`` decides which waivers have expired; ``keys``: whose guards are believed.
    """

    policy: Policy
    today: date
    known: Baseline = Baseline()
    keys: tuple[Trusted, ...] = ()
    _used: set[int] = field(default_factory=set)

    def context(self, path: str, name: str, subject: Subject, **facts: object) -> Context:
        """A context with this policy; ``facts`` are further fields of it."""
        numbers = {rule: dict(one.parameters) for rule, one in self.policy.rules.items()}
        guard = standing(subject.guard, self.policy, self.keys)
        return Context(
            path=path, name=name, subject=subject, policy=self.policy, parameters=numbers,
            guard=guard, **facts,  # type: ignore[arg-type]
        )  # fmt: skip

    def judge(self, context: Context) -> ComponentReport:
        found = [
            self._finding(rule, severity, hit, context.name)
            for rule in RULES.values()
            if (severity := self._severity(rule)) is not None
            for hit in rule.check(context)
        ]
        ordered = tuple(sorted(dict.fromkeys(found), key=order))
        image = "" if context.oci is None else str(context.oci.digest)
        guard = context.guard.said if context.guard and context.guard.believed else ""
        return ComponentReport(context.path, context.name, context.subject, ordered, image, guard)

    def closing(self) -> tuple[Finding, ...]:
        """About the waivers themselves, when all components were judged."""
        found = []
        for position, waiver in enumerate(self.policy.waivers):
            item = f"{waiver.rule} {waiver.item}"
            if waiver.expires < self.today:
                owner = f"; ask {waiver.owner}" if waiver.owner else ""
                text = f"expired on {waiver.expires} ({waiver.reason}){owner}"
                found.append(self._about(RULES["WCM090"], waiver, item, text))
            elif position not in self._used:
                text = f"the waiver of {item} matches no finding ({waiver.reason})"
                found.append(self._about(RULES["WCM091"], waiver, item, text))
            elif waiver.expires <= self.today + SOON:
                owner = f"; ask {waiver.owner}" if waiver.owner else ""
                text = f"expires on {waiver.expires} ({waiver.reason}){owner}"
                found.append(self._about(RULES["WCM092"], waiver, item, text))
        return tuple(sorted((one for one in found if one is not None), key=order))

    def _about(self, rule: Rule, waiver: Waiver, item: str, text: str) -> Finding | None:
        severity = self._severity(rule)
        if severity is None:
            return None
        hit = Hit(item, text, waiver.location)
        return self._finding(rule, severity, hit, "")

    def _severity(self, rule: Rule) -> Severity | None:
        setting = self.policy.rules.get(rule.id)
        level = rule.severity if setting is None or setting.level is None else setting.level
        return None if level == "off" else level

    def _finding(self, rule: Rule, severity: Severity, hit: Hit, component: str) -> Finding:
        found = Finding(
            rule.id, rule.name, severity, component, hit.item, hit.message,
            hit.fix or rule.fix, hit.location or self.policy.location, parts=hit.parts,
            allow=hit.allow,
        )  # fmt: skip
        new = self.known.new(found)
        if new:
            text = f"{found.message}; new since the baseline: {', '.join(new)}"
            found = replace(found, message=text)
        return replace(found, waived=self._waiver(found), known=self.known.has(found))

    def _waiver(self, finding: Finding) -> Waiver | None:
        first: Waiver | None = None
        for position, waiver in enumerate(self.policy.waivers):
            if (
                waiver.rule == finding.rule
                and waiver.expires >= self.today
                and item_matches(waiver.item, finding.item)
                and glob(waiver.component).fullmatch(finding.component)
            ):
                self._used.add(position)
                first = first or waiver
        return first


def order(finding: Finding) -> tuple[int, str, str, str]:
    """Worst first, then by rule and item."""
    return SEVERITIES.index(finding.severity), finding.rule, finding.item, finding.message


def names(paths: Iterable[str]) -> list[str]:
    """What fingerprints call each input: the end of its path, as long as it takes to tell it from
    the others."""
    parts = [path.replace("\\", "/").split("/") for path in paths]
    found = [""] * len(parts)
    pending = list(range(len(parts)))
    depth = 0
    while pending:
        depth += 1
        tails: dict[str, list[int]] = {}
        for index in pending:
            tails.setdefault("/".join(parts[index][-depth:]), []).append(index)
        pending = []
        for tail, same in tails.items():
            if len(same) == 1 or all(len(parts[i]) <= depth for i in same):
                for index in same:
                    found[index] = tail
            else:
                pending += same
    return found
