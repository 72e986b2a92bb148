"""Baselines go by function: what is new in a known interface is new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gate.making import component, judge, said
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.gate.baseline import OLD_SCHEMA, SCHEMA, Baseline, baseline, read_baseline
from whamm_cm.gate.outputs import json as json_output

FILES = "wasi:filesystem/types@0.2.3"
FEW = component({FILES: ("read", "stat")})
MORE = component({FILES: ("read", "stat", "write")}, calls="read")
DENY = "imports: {deny: ['wasi:filesystem/*']}"
CLOSED = "imports: {allow: []}"


@pytest.mark.parametrize("policy", [DENY, CLOSED, "extends: [wasmtime-cli]\nimports: {allow: []}"])
def test_a_function_that_is_new_is_no_known_one(policy: str) -> None:
    known = read_baseline(baseline(judge(FEW, policy)).encode(), "b")
    assert judge(FEW, policy, known=known).verdict == "pass"
    report = judge(MORE, policy, known=known)
    assert said(report) == [("WCM010", FILES)] and report.verdict == "fail"
    (finding,) = [one for one in report.all() if one.counts]
    assert finding.message.endswith("; new since the baseline: write")
    less = component({FILES: ("stat",)})
    assert judge(less, policy, known=known).verdict == "pass"


def test_a_report_is_a_baseline_by_function_too() -> None:
    known = read_baseline(json_output.render(judge(FEW, DENY)).encode(), "r")
    assert not known.old and judge(MORE, DENY, known=known).verdict == "fail"
    assert judge(FEW, DENY, known=known).verdict == "pass"


def old(policy: str) -> bytes:
    rows = [
        {"fingerprint": one.fingerprint, "rule": one.rule, "component": one.component,
         "item": one.item}
        for one in judge(FEW, policy).all()
    ]  # fmt: skip
    return json.dumps({"schema": OLD_SCHEMA, "findings": rows}).encode()


def test_old_baselines_are_read_and_said_to_be_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = read_baseline(old(DENY), "b")
    assert known.old and judge(MORE, DENY, known=known).verdict == "pass"
    monkeypatch.chdir(tmp_path)
    Path("app.wasm").write_bytes(MORE)
    Path("old.json").write_bytes(old(DENY))
    Path("p.yaml").write_text(f"version: 1\n{DENY}\n")
    gate = ["gate", "app.wasm", "--policy", "p.yaml", "--baseline"]
    assert main([*gate, "old.json", "--write-baseline", "new.json"]) == 0
    assert "old.json is a baseline of an older version" in capsys.readouterr().err
    assert json.loads(Path("new.json").read_text())["schema"] == SCHEMA
    assert main([*gate, "new.json"]) == 0
    assert "older version" not in capsys.readouterr().err


def test_what_is_about_no_function_has_one_fingerprint() -> None:
    report = judge(FEW, "match: {name: other}")
    (finding,) = [one for one in report.all() if one.rule == "WCM003"]
    assert finding.fingerprints == {"": finding.fingerprint}
    assert Baseline(frozenset((finding.fingerprint,))).has(finding)
    assert Baseline().new(finding) == () and not Baseline().has(finding)


def test_rows_name_their_function() -> None:
    rows = json.loads(baseline(judge(FEW, DENY)))["findings"]
    denied = sorted(row["function"] for row in rows if row["rule"] == "WCM010")
    assert denied == ["read", "stat"]
    others = [row for row in rows if row["rule"] == "WCM003"]
    assert all(row["function"] is None for row in others)


def test_what_is_waived_is_not_in_a_baseline() -> None:
    waived = f"{DENY}\nwaivers: [{{rule: WCM010, reason: x, expires: 2027-01-01}}]"
    rows = json.loads(baseline(judge(FEW, waived)))["findings"]
    assert "WCM010" not in {row["rule"] for row in rows}
    assert "WCM010" in {row["rule"] for row in json.loads(baseline(judge(FEW, DENY)))["findings"]}


def test_an_interface_that_is_all_new_lists_none_of_its_functions() -> None:
    known = read_baseline(baseline(judge(component({}), DENY)).encode(), "b")
    (finding,) = [one for one in judge(FEW, DENY, known=known).all() if one.counts]
    assert "new since" not in finding.message
    known = read_baseline(old(DENY), "b")
    (finding,) = [one for one in judge(FEW, DENY, known=known).all() if one.rule == "WCM010"]
    assert "new since" not in finding.message


@pytest.mark.parametrize("row", [3, {}, {"fingerprint": 3}, {"fingerprints": []},
                                 {"fingerprints": ["x"]}, {"fingerprint": "0" * 17}])  # fmt: skip
def test_rows_without_a_fingerprint_are_refused(row: object) -> None:
    data = json.dumps({"schema": SCHEMA, "findings": [{"fingerprint": "0" * 16}, row]}).encode()
    with pytest.raises(UsageError, match="b: finding 1 of the baseline has no fingerprint"):
        read_baseline(data, "b")


def test_a_report_of_an_older_version_is_old_if_any_of_its_rows_is() -> None:
    for rows, is_old in (
        ([{"fingerprints": ["0" * 16]}, {"fingerprint": "1" * 16}], True),
        ([{"fingerprints": ["0" * 16]}], False),
        ([], False),
    ):
        document = {"schema": "whamm-cm/report/v1", "components": [{"findings": rows}]}
        assert read_baseline(json.dumps(document).encode(), "b").old is is_old
