"""A component judged by a policy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from whamm_cm._version import __version__
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, unreadable
from whamm_cm.files import write
from whamm_cm.gate.baseline import MAX_BYTES, Baseline, read_baseline
from whamm_cm.gate.engine import Engine, names
from whamm_cm.gate.guard_trust import trusted
from whamm_cm.gate.model import Finding, Report, Seal, Severity
from whamm_cm.gate.outputs.registry import renderer
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.policy_read import read_policy
from whamm_cm.gate.rules import PARAMETERS

if TYPE_CHECKING:
    from whamm_cm.front.run import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """``report`` is what ``whamm-cm gate -f json`` is made of."""

    report: Report

    @property
    def passed(self) -> bool:
        return not self.report.failed

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Worst first; also those that are waived or known, which do not fail (``counts``)."""
        return tuple(self.report.all())

    def text(self, format: str) -> str:
        """In one of the formats of ``whamm-cm gate -f``.  Raises UsageError for any other."""
        return renderer(format)(self.report)

    def to(self, format: str, path: str | os.PathLike[str]) -> None:
        """Write :meth:`text` to a file, whole or not at all.  Raises UsageError."""
        write(os.fspath(path), (self.text(format).encode(),))


def judge(
    data: bytes,
    called: str,
    policy: str | os.PathLike[str] | Policy | None,
    observed: Run | None,
    baseline: str | os.PathLike[str] | None,
    fail_on: Severity | None,
    today: date | None,
    trust: Iterable[str | os.PathLike[str]] = (),
) -> Verdict:
    """As :meth:`whamm_cm.front.app.Component.gate` says."""
    from whamm_cm.gate.evidence import gather
    from whamm_cm.gate.subject import analyse  # slow to import, and not for policies alone

    rules = policy if isinstance(policy, Policy) else policy_of(policy)
    keys = tuple(trusted(os.fspath(one)) for one in trust)
    engine = Engine(rules, today or date.today(), baseline_of(baseline), keys)
    evidence = None
    if observed is not None:
        evidence = gather(observed.records, rules.budgets, observed.vouched)
    found = analyse(data, called, evidence.observed if evidence else None)
    (name,) = names([called])
    context = engine.context(
        called, name, subject=found.subject, strangers=found.strangers, evidence=evidence
    )
    judged = engine.judge(context)
    seal = Seal(sources=rules.sources)
    report = Report(
        __version__, rules.file, fail_on, (judged,), engine.closing(), (), seal, engine.today
    )
    return Verdict(report)


def policy_of(path: str | os.PathLike[str] | None) -> Policy:
    """Of a file or a profile; without either the rules have their defaults.  Raises UsageError."""
    return Policy() if path is None else read_policy(os.fspath(path), PARAMETERS)


def baseline_of(given: str | os.PathLike[str] | None) -> Baseline:
    """Of a file; nothing is known without one.  Raises UsageError."""
    if given is None:
        return Baseline()
    path = os.fspath(given)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(str(unreadable(path, error))) from None
    return read_baseline(data, path)
