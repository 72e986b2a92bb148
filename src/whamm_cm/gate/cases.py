"""``policy test``: tables of components, or of facts, and the verdicts a policy should give them.

    version: 1
    policy: policy.yaml                # for cases that name none
    cases:
      - component: shop.wasm
        trace-log: [run.jsonl]         # optional
        expect: fail                   # or pass
        findings: [WCM010, "WCM060 api.example.com"]   # optional: exactly the ones that count
      - name: no sockets
        facts:                         # instead of a component
          imports: ["wasi:sockets/tcp@0.2.0#tcp-socket.bind", "wasi:io/error@0.2.0"]
          unreachable: ["wasi:io/poll@0.2.0#poll"]     # imported, and not reached
          exports: ["wasi:cli/run@0.2.0#run", "#init"]
          size: 1000
        expect: fail

Paths are beside the table.  Components are read as given; nothing is run.
"""

from __future__ import annotations

from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, cut
from whamm_cm.gate.model import (
    ComponentReport,
    ExportRow,
    Finding,
    FunctionRow,
    ImportRow,
    Location,
    Severity,
    Subject,
    fails,
)
from whamm_cm.gate.rules import RULES
from whamm_cm.gate.yamldoc import Node, load
from whamm_cm.registry.names import SCHEME
from whamm_cm.wit.names import InterfaceName

_FAIL_ON = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Case:
    """``findings`` None: any.  Each is a rule, or a rule and an item.  ``facts``: what to judge
    instead of a ``component``, which is then ""."""

    name: str
    location: Location
    component: str
    facts: Subject | None
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


def tables(folder: Path) -> list[Path]:
    """The tables in a directory: files that end with .test.yaml, .test.yml or .test.json.  Raises
    UsageError where there is none."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith((".test.yaml", ".test.yml", ".test.json")) and path.is_file()
    )
    if not found:
        raise UsageError(f"{folder}: there is no file that ends with .test.yaml in this directory")
    return found


def _case(node: Node, folder: Path, default: str) -> Case:
    known = ("name", "component", "facts", "policy", "trace-log", "expect", "findings", "fail-on")
    entries = node.mapping("a case", known)
    if "expect" not in entries:
        raise node.fail('a case needs "expect"')
    if ("component" in entries) == ("facts" in entries):
        raise node.fail('a case needs "component" or "facts", and not both')
    if "facts" in entries and "trace-log" in entries:
        raise entries["trace-log"].fail("logs are of a component; facts have none")
    policy = entries["policy"].string("policy") if "policy" in entries else default
    if not policy:
        raise node.fail('a case needs "policy", or the file one for all')
    component = entries["component"].string("component") if "component" in entries else ""
    facts = read_facts(entries["facts"]) if "facts" in entries else None
    logs = entries["trace-log"].items("trace-log") if "trace-log" in entries else []
    findings = None
    if "findings" in entries:
        findings = tuple(_finding(one) for one in entries["findings"].items("findings"))
    fail_on: Severity = "error"
    if "fail-on" in entries:
        word = entries["fail-on"].choice("fail-on", _FAIL_ON)
        fail_on = "note" if word == "note" else "warning" if word == "warning" else "error"
    beside = policy if not policy.endswith((".yaml", ".yml", ".json")) else str(folder / policy)
    return Case(
        entries["name"].string("name") if "name" in entries else component or "facts",
        node.location,
        str(folder / component) if component and not component.startswith(SCHEME) else component,
        facts,
        beside,
        tuple(str(folder / one.string("trace-log")) for one in logs),
        entries["expect"].choice("expect", ("pass", "fail")),
        findings,
        fail_on,
    )


def _finding(node: Node) -> str:
    text = node.string("a finding")
    rule = text.partition(" ")[0]
    if rule not in RULES:
        raise node.fail(f"{cut(rule)!r} is no rule; `whamm-cm policy explain --list` has them all")
    return text


def read_facts(node: Node) -> Subject:
    """What would be known of a component that imports and exports these."""
    entries = node.mapping("facts", ("imports", "unreachable", "exports", "size"))
    rows: dict[str, ImportRow] = {}
    for key, reachable in (("imports", True), ("unreachable", False)):
        for one in entries[key].items(key) if key in entries else ():
            item, interface, version, func = _named(one)
            old = rows.get(item)
            made = () if func is None else (FunctionRow(func, func, reachable),)
            kind = "instance" if interface else "func"
            functions = (*(old.functions if old else ()), *made)
            rows[item] = ImportRow(item, kind, interface, version, functions)
    exports: dict[str, ExportRow] = {}
    for one in entries["exports"].items("exports") if "exports" in entries else ():
        item, interface, version, func = _named(one)
        before = exports[item].functions if item in exports else ()
        kind = "instance" if interface else "func"
        names = (*before, *(() if func is None else (func,)))
        exports[item] = ExportRow(item, kind, interface, version, names)
    size = entries["size"].integer("size") if "size" in entries else 0
    return Subject("", size, 0, (), None, tuple(rows.values()), tuple(exports.values()))


def _named(node: Node) -> tuple[str, str, str | None, str | None]:
    """``interface@version#function``, ``interface@version`` or ``#function`` of the world."""
    text = node.string("an item")
    left, sharp, func = text.partition("#")
    name = InterfaceName.try_parse(left) if left else None
    if (left and name is None) or (sharp and not func) or not text.strip("#"):
        raise node.fail(
            f"{cut(text)!r} is no import or export; write wasi:io/poll@0.2.0#poll,"
            " wasi:io/poll@0.2.0, or #run for a function of the world"
        )
    if name is None:
        return func, "", None, func
    return left, name.path, name.version, func or None


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
