"""A suggested policy fits what it was made from, and every line of it is needed."""

from __future__ import annotations

import pytest

from tests.gate.making import TODAY, call, component, judge, record, said
from tests.gate.test_values import lookup, opened, request, v4
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.policy_read import parse_policy
from whamm_cm.gate.rules import PARAMETERS
from whamm_cm.gate.subject import analyse
from whamm_cm.gate.suggest import suggest

IMPORTS = {
    "wasi:io/poll@0.2.3": ("poll", "other"),
    "wasi:sockets/tcp@0.2.3": ("start-connect",),
    "wasi:logging/logging": ("log",),
    "wasi:unused/unused@1.0.0": ("f",),
}
DATA = component(IMPORTS, calls="poll other start-connect log")


def answered(*records: dict) -> tuple[dict, ...]:
    """Calls of which none returned here come back well."""
    back = {one["func"] for one in records if one["phase"] == "return"}
    found: list[dict] = []
    for one in records:
        found.append(one)
        if one["func"] not in back:
            found.append({**one, "phase": "return", "result": {"ok": None}})
    return tuple(found)


RECORDS = answered(
    record("wasi:io/poll#poll", version="0.2.3"),
    *request("api.example"),
    *lookup("db.example", 9, 9, 9, 9),
    record("wasi:sockets/tcp#start-connect", version="0.2.3", args=v4(9, 9, 9, 9, port=5432)),
    *call(1, "wasi:filesystem/preopens#get-directories", [[3, "/data"]]),
    *opened("a", "read"),
    *opened("b", "write"),
    *call(90, "wasi:cli/environment#get-environment", [["A", "x"], ["B: #", "y"]]),
)
OFF = "rules: {WCM022: off, WCM020: off, WCM016: off}\n"


def suggestion(app: bool, logs: bool) -> str:
    evidence = gather(RECORDS) if logs else None
    subject = analyse(DATA, "app", evidence.observed if evidence else None).subject if app else None
    return suggest(subject, evidence)


def verdict(text: str, records: tuple[dict, ...] | None) -> list[tuple[str, str, str]]:
    """(rule, item, the text of the line it points at)"""
    policy = parse_policy((text + OFF).encode(), "p.yaml", PARAMETERS)
    engine = Engine(policy, TODAY)
    evidence = None if records is None else gather(records)
    found = analyse(DATA, "app", evidence.observed if evidence else None)
    context = engine.context("app", "app", subject=found.subject, evidence=evidence)
    lines = text.splitlines()
    return [
        (one.rule, one.item, lines[one.location.line - 1].strip() if one.location else "")
        for one in engine.judge(context).findings
    ]


@pytest.mark.parametrize(("app", "logs"), [(True, True), (True, False), (False, True)])
def test_it_fits(app: bool, logs: bool) -> None:
    assert verdict(suggestion(app, logs), RECORDS if logs else None) == []


def lines() -> list[int]:
    """Of the suggestion from both: entries of lists that are one line each."""
    text = suggestion(True, True).splitlines()
    return [number for number, line in enumerate(text) if line.lstrip().startswith("- ")]


@pytest.mark.parametrize("number", lines())
def test_no_line_can_be_left_out(number: int) -> None:
    text = suggestion(True, True).splitlines()
    gone = text.pop(number)
    if "exports:" in text[number - 2]:
        return  # requires less, which is no denial
    found = verdict("".join(f"{line}\n" for line in text), RECORDS)
    assert found, gone
    want = "default: deny" if "wasi:" in gone else "allow:"
    assert {place for _, _, place in found} == {want}, (gone, found)


def test_what_was_not_seen_is_said() -> None:
    text = suggestion(True, True)
    assert '"wasi:io/poll@^0.2#{other,poll}"  # other not observed\n' in text
    assert '"wasi:logging/logging#log"  # none of it was observed\n' in text
    assert "unused" not in text
    assert '- { host: "db.example", ports: [5432] }\n' in text
    assert '- { uri: "fs:///data/b", access: ["write"] }\n' in text
    assert '- { key: "B: #" }\n' in text


def test_a_component_alone_needs_no_permissions_it_was_not_seen_to_use() -> None:
    assert "permissions" not in suggestion(True, False)
    assert said(judge(DATA, suggestion(True, False).removeprefix("version: 1\n") + OFF)) == []
