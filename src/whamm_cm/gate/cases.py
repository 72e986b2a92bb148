"""``policy test``: a table of components and the verdicts a policy should give them.

    version: 1
    policy: policy.yaml                # for cases that name none
    cases:
      - component: shop.wasm
        trace-log: [run.jsonl]         # optional
        expect: fail                   # or pass
        findings: [WCM010, "WCM060 api.example.com"]   # optional: exactly the ones that count

Paths are beside the table.  Components are read as given; nothing is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from whamm_cm.gate.model import ComponentReport, Finding, Location, Severity, fails
from whamm_cm.gate.yamldoc import Node, load

_FAIL_ON = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Case:
    """``findings`` None: any.  Each is a rule, or a rule and an item."""

    name: str
    location: Location
    component: str
    policy: str
    logs: tuple[str, ...]
    expect: str
    findings: tuple[str, ...] | None
    fail_on: Severity


def read_cases(data: bytes, file: str) -> tuple[Case, ...]:
    """Raises UsageError with file, line and column."""
    top = load(data, file)
    entries = top.mapping("a test of policies", ("version", "policy", "cases"))
    if "cases" not in entries:
        raise top.fail('"cases" is missing')
    if "version" in entries and entries["version"].value != 1:
        raise entries["version"].fail("version must be 1")
    folder = Path(file).parent
    default = entries["policy"].string("policy") if "policy" in entries else ""
    cases = entries["cases"].items("cases")
    if not cases:
        raise entries["cases"].fail("there are no cases")
    return tuple(_case(node, folder, default) for node in cases)


def _case(node: Node, folder: Path, default: str) -> Case:
    known = ("name", "component", "policy", "trace-log", "expect", "findings", "fail-on")
    entries = node.mapping("a case", known)
    for key in ("component", "expect"):
        if key not in entries:
            raise node.fail(f'a case needs "{key}"')
    policy = entries["policy"].string("policy") if "policy" in entries else default
    if not policy:
        raise node.fail('a case needs "policy", or the file one for all')
    component = entries["component"].string("component")
    logs = entries["trace-log"].items("trace-log") if "trace-log" in entries else []
    findings = None
    if "findings" in entries:
        findings = tuple(one.string("a finding") for one in entries["findings"].items("findings"))
    fail_on: Severity = "error"
    if "fail-on" in entries:
        word = entries["fail-on"].choice("fail-on", _FAIL_ON)
        fail_on = "note" if word == "note" else "warning" if word == "warning" else "error"
    beside = policy if not policy.endswith((".yaml", ".yml", ".json")) else str(folder / policy)
    return Case(
        entries["name"].string("name") if "name" in entries else component,
        node.location,
        str(folder / component),
        beside,
        tuple(str(folder / one.string("trace-log")) for one in logs),
        entries["expect"].choice("expect", ("pass", "fail")),
        findings,
        fail_on,
    )


def faults(case: Case, report: ComponentReport, closing: tuple[Finding, ...]) -> list[str]:
    """What is not as the case expects; empty when all is well."""
    everything = (*report.findings, *closing)
    counting = [one for one in everything if fails(one, case.fail_on)]
    verdict = "fail" if counting else "pass"
    found = []
    if verdict != case.expect:
        said = "; ".join(f"{one.rule} {one.item}" for one in counting[:3])
        found.append(f"expected {case.expect}, got {verdict}" + (f" ({said})" if said else ""))
    if case.findings is None:
        return found
    for wanted in case.findings:
        if not any(_is(wanted, one) for one in counting):
            found.append(f"expected {wanted}, which is not among the findings")
    for one in counting:
        if not any(_is(wanted, one) for wanted in case.findings):
            found.append(f"did not expect {one.rule} {one.item}: {one.message}")
    return found


def _is(wanted: str, found: Finding) -> bool:
    rule, _, item = wanted.partition(" ")
    return rule == found.rule and (not item or item == found.item)
