"""Waivers, baseline, severities, fingerprints, names."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tests.gate.making import component, judge, rules, said
from whamm_cm.errors import UsageError
from whamm_cm.gate.baseline import baseline, read_baseline
from whamm_cm.gate.engine import names
from whamm_cm.gate.model import Finding
from whamm_cm.gate.outputs import json as json_output
from whamm_cm.gate.rules import RULES

TCP = "wasi:sockets/tcp@0.2.3"
DATA = component({TCP: ("bind", "listen")})
DENY = "imports: {deny: ['wasi:sockets/*'], default: allow}\n"


def waiver(expires: str = "2027-01-01", rule: str = "WCM010", **more: str) -> str:
    inside = "".join(f", {key}: '{value}'" for key, value in more.items())
    return f"waivers:\n  - {{rule: {rule}, reason: because, expires: {expires}{inside}}}\n"


@pytest.mark.parametrize(
    "more",
    [{}, {"item": "wasi:sockets/*"}, {"item": "wasi:sockets/tcp"}, {"item": f"{TCP}"},
     {"item": "wasi:sockets/tcp@^0.2.0"}, {"component": "app.*"}],
)  # fmt: skip
def test_a_waiver_lets_findings_pass(more: dict[str, str]) -> None:
    report = judge(DATA, DENY + waiver(**more))
    assert (said(report), report.verdict, report.waived) == ([], "pass", 1)
    (finding,) = report.all()
    assert finding.waived is not None and finding.waived.reason == "because"


@pytest.mark.parametrize(
    "more", [{"item": "wasi:filesystem/*"}, {"component": "other.wasm"}, {"rule": "WCM020"}]
)
def test_a_waiver_that_waives_nothing_is_a_warning(more: dict[str, str]) -> None:
    report = judge(DATA, DENY + waiver(**more))
    assert rules(report) == {"WCM010", "WCM091"} and report.verdict == "fail"
    (unused,) = report.findings
    assert unused.severity == "warning" and str(unused.location) == "p.yaml:4:5"


@pytest.mark.parametrize(("day", "expired"), [(20, True), (21, False), (22, False)])
def test_a_waiver_ends_with_its_day(day: int, expired: bool) -> None:
    report = judge(DATA, DENY + waiver(f"2026-11-{day}"), today=date(2026, 11, 21))
    assert rules(report) == ({"WCM010", "WCM090"} if expired else {"WCM092"})


@pytest.mark.parametrize(
    ("expires", "said_"), [("2026-12-05", True), ("2026-12-06", False), ("2026-11-21", True)]
)
def test_a_waiver_about_to_expire_is_spoken_of(expires: str, said_: bool) -> None:
    """14 days before, and without making the gate fail."""
    report = judge(DATA, DENY + waiver(expires, owner="sre"), today=date(2026, 11, 21))
    assert rules(report) == ({"WCM092"} if said_ else set()) and report.verdict == "pass"
    for one in report.findings:
        assert one.severity == "note" and f"expires on {expires} (because); ask sre" in one.message


def test_who_can_renew_a_waiver_that_expired_is_said() -> None:
    for owner, end in (({}, "(because)"), ({"owner": "sre"}, "(because); ask sre")):
        report = judge(DATA, DENY + waiver("2026-01-01", **owner), today=date(2026, 11, 21))
        (one,) = report.findings
        assert one.message == f"expired on 2026-01-01 {end}"


def test_what_is_said_of_waivers_can_be_turned_off() -> None:
    two = waiver(item="a:b/c") + waiver("2026-01-01", item="a:b/d").partition("\n")[2]
    judged = judge(DATA, f"{DENY}{two}", today=date(2026, 11, 21))
    assert {one.rule for one in judged.findings} == {"WCM090", "WCM091"}
    judged = judge(DATA, f"{DENY}{two}rules: {{WCM091: off}}", today=date(2026, 11, 21))
    assert {one.rule for one in judged.findings} == {"WCM090"}


def test_the_first_waiver_that_fits_is_the_one_that_is_shown() -> None:
    first = waiver(owner="first") + waiver(owner="second").partition("\n")[2]
    report = judge(DATA, DENY + first)
    (one,) = [one for one in report.components[0].findings if one.rule == "WCM010"]
    assert one.waived is not None and one.waived.owner == "first"
    assert report.findings == ()  # both are of use


def test_what_no_line_is_about_is_the_policy_as_a_whole() -> None:
    for text, place in ((DENY, "p.yaml:1:1"), ("", "None")):
        report = judge(component({"wasi:brand-new/thing@1.0.0": ("f",)}), text)
        (one,) = [one for one in report.all() if one.rule == "WCM016"]
        assert str(one.location) == place


def test_items_of_waivers_for_functions() -> None:
    allow = "imports: {allow: ['*#bind']}\n"
    item = f"{TCP}#listen"
    assert said(judge(DATA, allow)) == [("WCM014", item)]
    for pattern in (item, "wasi:sockets/*", "wasi:sockets/tcp#listen", "*#{listen,x}"):
        assert said(judge(DATA, allow + waiver(rule="WCM014", item=pattern))) == []
    other = judge(DATA, allow + waiver(rule="WCM014", item="wasi:sockets/tcp#bind"))
    assert rules(other) == {"WCM014", "WCM091"}


def test_what_to_do_is_what_the_rule_says() -> None:
    (one,) = [one for one in judge(DATA, DENY).all() if one.rule == "WCM010"]
    assert one.fix == RULES["WCM010"].fix


def test_severities_can_be_set_and_rules_turned_off() -> None:
    assert judge(DATA, DENY + "rules: {WCM010: note}").verdict == "pass"
    assert said(judge(DATA, DENY + "rules: {WCM010: off}")) == []


def test_only_what_is_new_fails() -> None:
    before = judge(DATA, DENY)
    known = read_baseline(baseline(before).encode(), "b.json")
    again = judge(DATA, DENY, known=known)
    assert (again.verdict, again.known, said(again)) == ("pass", 1, [])
    more = component({TCP: ("bind",), "wasi:sockets/udp@0.2.3": ("send",)})
    assert said(judge(more, DENY, known=known)) == [("WCM010", "wasi:sockets/udp@0.2.3")]
    assert read_baseline(json_output.render(before).encode(), "r.json") == known


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "x"}', '{"schema": "whamm-cm/baseline/v1"}', "[" * 100_000,
     '{"schema": "whamm-cm/baseline/v1", "findings": [{"fingerprint": "x"}]}',
     '{"schema": "whamm-cm/report/v1", "components": [{}]}',
     '{"schema": "whamm-cm/report/v1", "components": [3]}', "\xff",
     '{"schema": "whamm-cm/report/v1", "components": [{"findings": [3]}]}'],
)  # fmt: skip
def test_what_is_no_baseline(text: str) -> None:
    with pytest.raises(UsageError, match=r"^b\.json:"):
        read_baseline(text.encode("latin1"), "b.json")


def test_fingerprints_are_about_rule_component_and_item_only() -> None:
    """Stable: written down here, because code scanning remembers them."""
    one = Finding("WCM010", "import-denied", "error", "app.wasm", TCP, "words")
    other = Finding("WCM010", "renamed", "note", "app.wasm", TCP, "other words")
    assert one.fingerprint == other.fingerprint == "025a5a297f020790"
    assert (
        len({Finding("W", "", "note", *key, "").fingerprint for key in (("a", "bc"), ("ab", "c"))})
        == 2
    )


def test_names_are_as_long_as_it_takes() -> None:
    assert names(["a/x.wasm", "b/x.wasm", "b/y.wasm"]) == ["a/x.wasm", "b/x.wasm", "y.wasm"]
    assert names(["/p/a/x.wasm", "/p/b/x.wasm", "x.wasm"]) == ["a/x.wasm", "b/x.wasm", "x.wasm"]
    assert names(["x.wasm"]) == ["x.wasm"] and names([]) == []
    assert names(["a/b/x", "b/x", "x"]) == ["a/b/x", "b/x", "x"]
    assert names(["a/x", "a/x", "b/x"]) == ["a/x", "a/x", "b/x"]
    assert names(["x", "x"]) == ["x", "x"]


def test_the_report_is_a_documented_document() -> None:
    document = json.loads(json_output.render(judge(DATA, DENY)))
    assert document["schema"] == "whamm-cm/report/v1" and document["verdict"] == "fail"
    (one,) = document["components"]
    assert [row["name"] for row in one["imports"][0]["functions"]] == ["bind", "listen"]
    (finding,) = one["findings"]
    assert finding["location"] == {"file": "p.yaml", "line": 2, "column": 18}
    assert finding["waived"] is None and finding["baseline"] is False
