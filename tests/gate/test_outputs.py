"""Formats: goldens of one report, and what other programs insist on."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.gate.making import component, inside, judge
from tests.golden import check_golden
from whamm_cm.errors import UsageError
from whamm_cm.gate.model import Finding, Location, Report, Unjudged
from whamm_cm.gate.outputs import github, junit, sarif
from whamm_cm.gate.outputs.registry import FORMATS, renderer

DATA = Path(__file__).parent / "data"

POLICY = """\
extends: [wasmcloud-2.7]
imports:
  allow: ["wasi:io/*", "wasi:sockets/*"]
  warn: [{item: "wasi:io/poll#other", reason: "slow, 100 % of the time"}]
waivers:
  - {rule: WCM020, reason: "a <runtime>", expires: 2027-03-01, owner: sre}
  - {rule: WCM040, reason: old, expires: 2026-01-01}
"""


def report() -> Report:
    data = component(
        {
            "wasi:io/poll@0.2.3": ("poll", "other"),
            "wasi:sockets/tcp@0.2.3": ("bind",),
            "acme:shop/cart@1.0.0": ("buy",),
        },
        calls="poll buy",
    )
    return judge(data, POLICY, today=date(2026, 11, 21))


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"html"}))  # tests/page has that
def test_goldens(name: str) -> None:
    check_golden(DATA / f"report.{name}", renderer(name)(report()))


def test_an_unknown_format_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError, match='unknown format "serif"; did you mean "sarif"?'):
        renderer("serif")


def test_every_format_is_a_file() -> None:
    for name in FORMATS:
        assert callable(importlib.import_module(f"whamm_cm.gate.outputs.{name}").render)


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_components_and_findings(name: str) -> None:
    text = renderer(name)(Report("0.0.0", "", "error", ()))
    # A statement is about a digest; without one there is nothing to state.
    assert text == "" if name == "intoto" else text.endswith("\n")


# SARIF: the parts of the 2.1.0 schema that concern us, closed where the standard is


def closed(properties: dict, *required: str) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
MESSAGE = closed({"text": TEXT}, "text")
LEVEL = {"enum": ["none", "note", "warning", "error"]}
ARTIFACT = closed({"uri": {"type": "string", "pattern": '^[^ \\\\<>"]+$'}}, "uri")
REGION = closed(
    {key: {"type": "integer", "minimum": 1} for key in ("startLine", "startColumn")}, "startLine"
)
LOCATION = closed(
    {
        "physicalLocation": closed(
            {"artifactLocation": ARTIFACT, "region": REGION}, "artifactLocation"
        ),
        "logicalLocations": {
            "type": "array",
            "items": closed({"name": TEXT, "fullyQualifiedName": TEXT}),
        },
    }
)
SARIF = closed(
    {
        "$schema": TEXT,
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": closed(
                {
                    "invocations": {
                        "type": "array",
                        "items": closed(
                            {
                                "executionSuccessful": {"type": "boolean"},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": closed(
                                        {
                                            "level": LEVEL,
                                            "message": MESSAGE,
                                            "locations": {"type": "array", "items": LOCATION},
                                        },
                                        "message",
                                    ),
                                },
                            },
                            "executionSuccessful",
                        ),
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": closed(
                        {
                            "driver": closed(
                                {
                                    "name": TEXT,
                                    "version": TEXT,
                                    "semanticVersion": {
                                        "type": "string",
                                        "pattern": r"^\d+\.\d+\.\d+([-+].+)?$",
                                    },
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": closed(
                                            {
                                                "id": TEXT,
                                                "name": {"type": "string", "pattern": "^[A-Z]"},
                                                "shortDescription": MESSAGE,
                                                "fullDescription": MESSAGE,
                                                "help": MESSAGE,
                                                "defaultConfiguration": closed({"level": LEVEL}),
                                                "properties": {"type": "object"},
                                            },
                                            "id",
                                        ),
                                    },
                                },
                                "name",
                            )
                        },
                        "driver",
                    ),
                    "artifacts": {
                        "type": "array",
                        "items": closed(
                            {
                                "location": ARTIFACT,
                                "length": {"type": "integer"},
                                "hashes": {"type": "object", "additionalProperties": TEXT},
                            }
                        ),
                    },
                    "results": {
                        "type": "array",
                        "items": closed(
                            {
                                "ruleId": TEXT,
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": LEVEL,
                                "message": MESSAGE,
                                "baselineState": {"enum": ["new", "unchanged"]},
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": TEXT,
                                },
                                "locations": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": LOCATION,
                                },
                                "suppressions": {
                                    "type": "array",
                                    "items": closed(
                                        {
                                            "kind": {"enum": ["inSource", "external"]},
                                            "status": {"enum": ["accepted"]},
                                            "justification": TEXT,
                                        },
                                        "kind",
                                    ),
                                },
                            },
                            "message", "ruleId", "level", "locations", "partialFingerprints",
                        ),
                    },
                },
                "tool", "results",
            ),
        },
    },
    "version", "runs",
)  # fmt: skip


def with_a_fault() -> Report:
    return replace(report(), unjudged=(Unjudged("a b/<x>.wasm", "a b/<x>.wasm: no component"),))


def test_sarif_keeps_to_the_standard() -> None:
    for one in (with_a_fault(), report()):
        document = json.loads(sarif.render(one))
        jsonschema.validate(document, SARIF)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    denied = next(one for one in run["results"] if one["ruleId"] == "WCM010")
    place = denied["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "p.yaml"}, "region": {"startLine": 3, "startColumn": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b.wasm", "a%20b.wasm"),
        ("./x/y.wasm", "x/y.wasm"),
        ("dir\\y.wasm", "dir/y.wasm"),
        ("/abs/y.wasm", "file:///abs/y.wasm"),
        ("ü%.wasm", "%C3%BC%25.wasm"),
        ("c:x", "c%3Ax"),
        ("-", "stdin"),
        ("oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
    ],
)
def test_paths_as_uris(path: str, uri: str) -> None:
    assert sarif.uri(path) == uri


# names come from the component, and must not become markup

HOSTILE = "x\r\n::error::%0A,:\x1b[31m</failure>]]>\ud800\x00 | `a` <b> @me"


def hostile(count: int = 1) -> Report:
    findings = tuple(
        Finding("WCM017", "bad-name", "error", HOSTILE, f"{HOSTILE}{n}", HOSTILE, HOSTILE,
                Location("a,b:c%\n.yaml", 1, 2))
        for n in range(count)
    )  # fmt: skip
    return Report("0.0.0", "p", "error", (), findings)


def test_annotations_are_one_line_each_and_escaped() -> None:
    lines = github.render(hostile()).splitlines()
    assert len(lines) == 2
    head, _, message = lines[0].partition("::error ")[2].partition("::")
    assert head == "file=a%2Cb%3Ac%25%0A.yaml,line=1,col=2,title=WCM017 bad-name"
    assert "::error::" in message and "\x1b" not in message


def test_annotations_are_capped() -> None:
    lines = github.render(hostile(25)).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == github.CAP
    assert "15 more of severity error are not annotated" in lines


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_breaks_a_format(name: str) -> None:
    text = renderer(name)(hostile())
    assert "\x1b" not in text and "\x00" not in text
    if name in ("json", "sarif"):
        json.loads(text)
    if name == "jsonl":
        assert [json.loads(line) for line in text.splitlines()]


#: The structure that JUnit's XSD has: element → (attributes it must have, children it may have).
JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}


@pytest.mark.parametrize("which", [report, hostile, with_a_fault])
def test_junit_keeps_to_its_structure(which: object) -> None:
    root = ElementTree.fromstring(junit.render(which()))  # type: ignore[operator]
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
        assert int(suite.attrib["errors"]) == len(suite.findall("testcase/error"))
    for key in ("tests", "failures", "errors"):
        assert int(root.attrib[key]) == sum(int(suite.attrib[key]) for suite in root)
    assert int(root.attrib["failures"]) > 0


@pytest.mark.parametrize("name", FORMATS)
def test_what_could_not_be_judged_is_in_every_format(name: str) -> None:
    fault = Unjudged("lost.wasm", "lost.wasm: there is no such file")
    one = Report("0.0.0", "", None, (), unjudged=(fault,))
    assert one.verdict == "fail"
    text = renderer(name)(one)
    if name == "intoto":  # what has no digest has no statement
        assert text == ""
    elif name == "table":  # which says so on standard error
        assert text == "1 input not judged, 0 errors, 0 warnings, 0 notes. FAIL (--fail-on never)\n"
    else:
        assert "lost.wasm: there is no such file" in re.sub(r"[\\`]", "", text)


def test_the_json_report_has_what_is_inside() -> None:
    row = json.loads(renderer("json")(judge_nested()))["components"][0]
    (inside,) = row["nested"]
    assert (inside["path"], inside["instances"]) == ("component[0]", 1)
    (given,) = inside["imports"]
    assert given["interface"] == "wasi:sockets/tcp" and given["version"] == "0.2.3"
    assert given["functions"] == [{
        "name": "bind", "raw": "bind", "declared": True, "reachable": True, "observed": None,
        "providers": [{"kind": "host", "component": None, "item": "acme:thing/x@1.0.0"}],
    }]  # fmt: skip


def judge_nested() -> Report:
    return judge(inside("acme:thing/x@1.0.0", "wasi:sockets/tcp@0.2.3", "instance"))
