"""Record, review, enforce: a suggested policy passes, and without any one of its lines it fails.

A component made of two, a component in Python that only an HTTP server could call, and in
``tests/cli/test_gate.py`` a command in C.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from tests.gate.making import TODAY
from whamm_cm.cli.main import main
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import Evidence, gather
from whamm_cm.gate.model import Finding, Subject
from whamm_cm.gate.policy_read import parse_policy
from whamm_cm.gate.rules import PARAMETERS
from whamm_cm.gate.subject import analyse
from whamm_cm.gate.suggest import suggest
from whamm_cm.trace.reader import open_log

#: A command made of two components: one asks the host for chance, the other for the time.
COMPOSED = """(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "now" (func (result u64))) (export "resolution" (func (result u64)))))
  (component $dice
    (import "wasi:random/random@0.2.0" (instance $random
      (export "get-random-u64" (func (result u64)))))
    (core func $next (canon lower (func $random "get-random-u64")))
    (core module $m (import "" "next" (func $next (result i64)))
      (func (export "roll") (result i64) (call $next)))
    (core instance $i (instantiate $m (with "" (instance (export "next" (func $next))))))
    (func $roll (result u64) (canon lift (core func $i "roll")))
    (instance $dice (export "roll" (func $roll)))
    (export "game:dice/dice@1.0.0" (instance $dice)))
  (component $game
    (import "game:dice/dice@1.0.0" (instance $dice (export "roll" (func (result u64)))))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (export "now" (func (result u64))) (export "resolution" (func (result u64)))))
    (core func $roll (canon lower (func $dice "roll")))
    (core func $now (canon lower (func $clock "now")))
    (core func $resolution (canon lower (func $clock "resolution")))
    (core module $m
      (import "" "roll" (func $roll (result i64)))
      (import "" "now" (func $now (result i64)))
      (import "" "resolution" (func $resolution (result i64)))
      (func (export "unused") (result i64) (call $resolution))
      (func (export "run") (result i32) (drop (call $roll)) (drop (call $now)) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "roll" (func $roll)) (export "now" (func $now))
      (export "resolution" (func $resolution))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run)))
  (instance $d (instantiate $dice (with "wasi:random/random@0.2.0" (instance $random))))
  (instance $g (instantiate $game
    (with "game:dice/dice@1.0.0" (instance $d "game:dice/dice@1.0.0"))
    (with "wasi:clocks/monotonic-clock@0.2.0" (instance $clock))))
  (export "wasi:cli/run@0.2.0" (instance $g "wasi:cli/run@0.2.0")))"""


def errors(subject: Subject, evidence: Evidence | None, lines: list[str]) -> list[Finding]:
    engine = Engine(parse_policy("\n".join(lines).encode(), "p.yaml", PARAMETERS), TODAY)
    report = engine.judge(engine.context("app", "app", subject=subject, evidence=evidence))
    return [one for one in report.findings if one.severity == "error"]


def entries(lines: list[str]) -> list[int]:
    """The lines that permit something; what is required of exports permits nothing."""
    start = lines.index("exports:") if "exports:" in lines else len(lines)
    end = lines.index("permissions:") if "permissions:" in lines else len(lines)
    found = [n for n, line in enumerate(lines) if line.lstrip().startswith("- ")]
    return [n for n in found if not start < n < end]


def section(lines: list[str], number: int) -> int:
    """Where a finding points at when line ``number`` is missing, counted from 1."""
    wanted = "  default:" if '- "' in lines[number] else "    allow:"
    return next(n for n in range(number, -1, -1) if lines[n].startswith(wanted)) + 1


def every_line_counts(subject: Subject, evidence: Evidence | None) -> int:
    lines = suggest(subject, evidence).splitlines()
    assert errors(subject, evidence, lines) == []
    for number in entries(lines):
        found = errors(subject, evidence, lines[:number] + lines[number + 1 :])
        assert found, lines[number]
        for one in found:
            assert one.location is not None
            assert one.location.line == section(lines, number), (lines[number], one)
            if '- "' in lines[number]:
                assert one.item.partition("@")[0] in lines[number]
    return len(entries(lines))


def every_function_counts(subject: Subject, evidence: Evidence | None) -> int:
    """The same for each function of a line: the finding points at the line without it."""
    lines = suggest(subject, evidence).splitlines()
    tried = 0
    for number, line in enumerate(lines):
        group = re.search(r"#\{(.*)\}", line)
        for name in group[1].split(",") if group else ():
            left = [other for other in group[1].split(",") if other != name]  # type: ignore[index]
            cut = line.replace(group[0], "#{" + ",".join(left) + "}")  # type: ignore[index]
            (found,) = errors(subject, evidence, [*lines[:number], cut, *lines[number + 1 :]])
            assert found.rule == "WCM014" and found.item.endswith(f"#{name}")
            assert found.location is not None and found.location.line == number + 1
            tried += 1
    return tried


def test_a_component_made_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("game.wasm").write_bytes(wasmtime.wat2wasm(COMPOSED))
    assert main(["trace", "-o", "run.jsonl", "game.wasm"]) == 0
    with open_log(Path("run.jsonl")) as records:
        evidence = gather(records)
    subject = analyse(Path("game.wasm").read_bytes(), "game", evidence.observed).subject
    seen = {
        f"{row.interface}#{f.name}": (f.reachable, f.observed) for row, f in subject.functions()
    }
    assert seen == {
        "wasi:random/random#get-random-u64": (True, 1),
        "wasi:clocks/monotonic-clock#now": (True, 1),
        "wasi:clocks/monotonic-clock#resolution": (False, 0),
    }
    assert every_line_counts(subject, evidence) == 2


def test_a_command_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.wasm").write_bytes(build("command"))
    Path("data").mkdir()
    options = ["--dir", "data::/data", "--env", "LEVEL=1"]
    assert main(["trace", *options, "-o", "run.jsonl", "app.wasm"]) == 0
    with open_log(Path("run.jsonl")) as records:
        evidence = gather(records)
    subject = analyse(Path("app.wasm").read_bytes(), "app", evidence.observed).subject
    assert every_line_counts(subject, evidence) > 10
    assert every_function_counts(subject, evidence) > 10


@pytest.mark.slow
def test_a_handler_in_python() -> None:
    """Nothing here can call it, so that the policy is made of what it can reach."""
    pytest.importorskip("componentize_py")
    subject = analyse(build("py_http"), "py_http").subject
    assert every_line_counts(subject, None) == len({row.item for row, _ in subject.functions()})
    assert every_function_counts(subject, None) > 50


def test_each_waiver_ends_on_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("game.wasm").write_bytes(wasmtime.wat2wasm(COMPOSED))
    Path("p.yaml").write_text("""version: 1
imports: {default: allow, deny: ["wasi:random/*"]}
waivers:
  - {rule: WCM010, item: "wasi:random/*", reason: dice, expires: 2026-12-31, owner: sre}
""")
    gate = ["gate", "game.wasm", "--policy", "p.yaml", "--no-cache", "-f", "json=r.json", "-q"]
    for day, code in (("2026-12-30", 0), ("2026-12-31", 0), ("2027-01-01", 1)):
        assert main([*gate, "--today", day]) == code
        report = json.loads(Path("r.json").read_text())
        (denied,) = report["components"][0]["findings"]
        assert (denied["waived"] is None) == bool(code) and denied["location"]["line"] == 2
        assert [one["rule"] for one in report["findings"]] == ["WCM090" if code else "WCM092"]


def test_the_next_release_can_do_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not only by an import: what was imported and never called is called now."""
    monkeypatch.chdir(tmp_path)
    Path("old.wasm").write_bytes(wasmtime.wat2wasm(COMPOSED))
    more = COMPOSED.replace("(drop (call $now))", "(drop (call $now)) (drop (call $resolution))")
    Path("new.wasm").write_bytes(wasmtime.wat2wasm(more))
    assert main(["diff", "--fail-on-new", "new.wasm", "old.wasm"]) == 0
    capsys.readouterr()
    assert main(["diff", "--fail-on-new", "old.wasm", "new.wasm"]) == 1
    out = capsys.readouterr().out
    assert "wasi:clocks/monotonic-clock@0.2.0#resolution" in out
    assert main(["policy", "suggest", "old.wasm", "-o", "p.yaml"]) == 0
    Path("cases.yaml").write_text("""version: 1
policy: p.yaml
cases:
  - {component: old.wasm, expect: pass, findings: []}
  - component: new.wasm
    expect: fail
    findings: ["WCM014 wasi:clocks/monotonic-clock@0.2.0#resolution"]
""")
    assert main(["policy", "test", "cases.yaml"]) == 0
