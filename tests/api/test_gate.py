"""``gate``: the verdict of the command line, as values."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import whamm_cm
from fixtures.build import build
from whamm_cm.cli.main import main
from whamm_cm.gate.outputs.registry import FORMATS

COMMAND = build("command")
POLICY = """\
version: 1
imports:
  default: allow
  deny: ["wasi:sockets/*", "wasi:random/random#get-random-bytes"]
waivers:
  - {rule: WCM010, item: "wasi:sockets/*", reason: "a test", expires: 2027-03-01, owner: me}
"""


@pytest.fixture
def app(tmp_path: Path) -> whamm_cm.Component:
    (tmp_path / "command.wasm").write_bytes(COMMAND)
    found = whamm_cm.load(tmp_path / "command.wasm")
    assert isinstance(found, whamm_cm.Component)
    return found


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def test_a_profile_by_name(app: whamm_cm.Component) -> None:
    verdict = app.gate("wasi-0.2")
    assert verdict.passed and verdict.findings == ()


def test_findings_say_what_and_where(app: whamm_cm.Component, policy: Path) -> None:
    verdict = app.gate(policy, today=date(2027, 1, 1))
    assert not verdict.passed
    open_ = [one for one in verdict.findings if one.waived is None]
    assert [one.item for one in open_] == ["wasi:random/random@0.2.0#get-random-bytes"]
    assert open_[0].severity == "error" and open_[0].location is not None
    assert {one.rule for one in verdict.findings} == {"WCM010", "WCM014"}
    expired = app.gate(policy, today=date(2027, 6, 1))
    assert sum(one.waived is None for one in expired.findings) > len(open_)
    assert app.gate(policy, today=date(2027, 1, 1), fail_on=None).passed


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_what_the_command_line_writes(
    app: whamm_cm.Component, policy: Path, name: str, tmp_path: Path
) -> None:
    verdict = app.gate(policy, today=date(2027, 1, 1))
    verdict.to(name, tmp_path / "api")
    words = ("gate", "-q", app.name, "--policy", str(policy), "--today", "2027-01-01")
    assert main((*words, "--no-cache", "-f", f"{name}={tmp_path / 'cli'}")) == 1
    assert (tmp_path / "api").read_text() == (tmp_path / "cli").read_text()


def test_a_run_says_what_was_used(app: whamm_cm.Component, tmp_path: Path) -> None:
    (tmp_path / "seen.yaml").write_text(
        "version: 1\njudge: observed\nimports: {default: allow, deny: ['wasi:sockets/*']}\n"
    )
    (tmp_path / "used.yaml").write_text(
        "version: 1\njudge: observed\nimports: {default: allow, deny: ['wasi:random/*']}\n"
    )
    run = app.trace()
    assert not app.gate(tmp_path / "seen.yaml").passed
    assert app.gate(tmp_path / "seen.yaml", observed=run).passed
    assert not app.gate(tmp_path / "used.yaml", observed=run).passed


def test_a_baseline_hides_what_was_known(
    app: whamm_cm.Component, policy: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.json"
    app.gate(policy, today=date(2027, 1, 1)).to("json", base)
    again = app.gate(policy, baseline=base, today=date(2027, 1, 1))
    assert again.passed and all(one.known or one.waived for one in again.findings)


def test_what_is_wrong_with_a_policy_is_said(app: whamm_cm.Component, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\nimport: {}\n")
    with pytest.raises(whamm_cm.UsageError, match=r"bad\.yaml:2"):
        app.gate(tmp_path / "bad.yaml")
    with pytest.raises(whamm_cm.UsageError):
        app.gate(tmp_path / "none.yaml")
    with pytest.raises(whamm_cm.UsageError):
        app.gate(baseline=tmp_path / "none.json")


def test_capabilities_with_a_run(app: whamm_cm.Component) -> None:
    rows = {row.interface: row for row in app.capabilities(app.trace()).imports}
    used = {f.name: f.observed for f in rows["wasi:random/random"].functions}
    assert used["get-random-u64"] == 2
    assert not any(f.observed for f in rows["wasi:sockets/tcp"].functions)


def test_the_verdict_is_deterministic(app: whamm_cm.Component, policy: Path) -> None:
    day = date(2027, 1, 1)
    one, two = (app.gate(policy, today=day).text("json") for _ in range(2))
    assert one == two and json.loads(one)
