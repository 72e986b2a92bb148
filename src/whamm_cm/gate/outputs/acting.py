"""What somebody who reads a finding can do: where to look, the way to it, what lets it pass."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.gate.model import ComponentReport, Finding, Report, way_to
from whamm_cm.gate.patterns import item_matches
from whamm_cm.gate.policy_read import parse_policy
from whamm_cm.gate.rules import PARAMETERS, RULES

#: How long a waiver is proposed for.
TERM = timedelta(days=90)

#: Steps of a path: (kind, name).
Way: TypeAlias = tuple[tuple[str, str], ...]

_PROFILE = "profile "


@dataclass(frozen=True, slots=True)
class Help:
    """``quote``: the line of the policy or manifest that decides, "" where there is none.  ``way``:
    a shortest path in the component to ``to``, one of ``ways`` that are about it.  ``allow``: what
    to merge into ``target``, and ``waiver`` an entry that accepts the finding for a while; "" where
    there is no such thing.  ``why``: why the rule matters."""

    quote: str
    to: str
    way: Way
    ways: int
    allow: str
    target: str
    waiver: str
    why: str


class Helper:
    """Help with the findings of ``report``."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._items: dict[tuple[str, str, str], set[str]] = {}
        for each in report.all():
            self._items.setdefault(_kin(each), set()).add(each.item)

    def of(self, one: ComponentReport | None, found: Finding) -> Help:
        """About ``found`` of ``one``, None for what is about the policy itself."""
        subject = None if one is None else one.subject
        to, way = way_to(found, subject)
        ways = 0 if subject is None else sum(name in subject.ways for name in found.functions)
        location = found.location
        rule = RULES.get(found.rule)
        return Help(
            quote="" if location is None else location.text.strip("\ufeff"),
            to=to,
            way=way,
            ways=ways,
            allow=_whole(self._report, found),
            target=_target(self._report, found),
            waiver=_waiver(self._report, found, self._items[_kin(found)]),
            why="" if rule is None else rule.help,
        )


def _kin(found: Finding) -> tuple[str, str, str]:
    """Findings of which one waiver can mean several: of versions and functions of an interface."""
    return found.rule, found.component, re.split("[@#]", found.item)[0].casefold()


def extended(report: Report) -> str:
    """How a policy of one's own begins that goes on from the one that was used: for a profile, and
    where there was none.  "" where there is a file to edit."""
    if report.policy and not report.policy.startswith(_PROFILE):
        return ""
    name = report.policy.removeprefix(_PROFILE)
    return "version: 1\n" + (f"extends: [{name}]\n" if name else "")


def _target(report: Report, found: Finding) -> str:
    """The file to edit; "" for one that is yet to be made."""
    if found.allow.startswith("hostInterfaces"):
        return "" if found.location is None else found.location.file
    return "" if extended(report) else report.policy


def _whole(report: Report, found: Finding) -> str:
    if not found.allow or found.allow.startswith("hostInterfaces"):
        return found.allow
    return extended(report) + found.allow


def _waiver(report: Report, found: Finding, items: set[str]) -> str:
    """It is tried before it is proposed: names come from the component, and may be globs, or
    nothing that a waiver can say, or mean others of ``items``, too.  The reason is left to who
    accepts it: without one, it is refused."""
    day = report.today
    if day is None or found.waived is not None or found.rule not in RULES:
        return ""
    others = items - {found.item}
    for item in dict.fromkeys((found.item, _exactly(found.item))):
        entry = {"rule": found.rule, "item": item}
        if found.component:
            entry["component"] = found.component
        if _works(found, entry, day) and not any(item_matches(item, each) for each in others):
            break
    else:
        return ""
    lines = [f"{key}: {json.dumps(value)}" for key, value in entry.items() if key != "rule"]
    lines += ['reason: ""  # say why', f"expires: {day + TERM}"]
    head = f"waivers:\n  - rule: {found.rule}\n"
    return extended(report) + head + "".join(f"    {line}\n" for line in lines)


def _works(found: Finding, entry: dict[str, str], day: date) -> bool:
    whole = {**entry, "reason": "tried", "expires": day.isoformat()}
    text = json.dumps({"version": 1, "waivers": [whole]})
    try:
        (waiver,) = parse_policy(text.encode(), "proposed", PARAMETERS).waivers
    except UsageError:
        return False
    return item_matches(waiver.item, found.item) and not _wider(entry)


def _exactly(item: str) -> str:
    """A version alone stands for all that a host may link to it."""
    return re.sub(r"@(?=[0-9][^@]*$)", "@=", item)


def _wider(entry: dict[str, str]) -> bool:
    """Whether it would mean more than the finding: names with something of a glob in them."""
    return any(ch in value for value in entry.values() for ch in "*?[{|")
