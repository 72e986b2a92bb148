"""The commands gate, policy and diff as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gate.making import component
from whamm_cm.cli.main import main

POLL = "wasi:io/poll@0.2.3"
POLICY = f'version: 1\nimports:\n  allow: ["{POLL}"]\n'
TCP = {POLL: ("poll",), "wasi:sockets/tcp@0.2.3": ("bind",)}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("good.wasm").write_bytes(component({POLL: ("poll",)}))
    Path("bad.wasm").write_bytes(component(TCP))
    Path("p.yaml").write_text(POLICY)
    Path("not.wasm").write_text("text")
    record = {"v": 1, "phase": "call", "instance": 1, "call": 1, "edge": "import",
              "interface": "wasi:io/poll", "version": "0.2.3", "func": "poll"}  # fmt: skip
    Path("run.jsonl").write_text(json.dumps(record) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("good.wasm --policy p.yaml", 0),
        ("bad.wasm --policy p.yaml", 1),
        ("bad.wasm --policy p.yaml --fail-on never", 0),
        ("bad.wasm", 0),
        ("bad.wasm --policy wasmcloud-2.7", 0),
        ("good.wasm not.wasm --policy p.yaml", 3),
        ("good.wasm nosuch.wasm", 3),
        ("good.wasm bad.wasm -j 2 --policy p.yaml", 1),
        ("good.wasm --trace-log run.jsonl", 0),
        ("good.wasm --policy nosuch.yaml", 2),
        ("good.wasm --policy not.wasm", 2),
        ("good.wasm -f serif", 2),
        ("good.wasm -f json -f sarif", 2),
        ("good.wasm -f json=", 2),
        ("good.wasm -f json=nowhere/x", 2),
        ("good.wasm -j -1", 2),
        ("good.wasm --today soon", 2),
        ("good.wasm --baseline p.yaml", 2),
        ("good.wasm --baseline nosuch", 2),
        ("good.wasm bad.wasm --trace-log run.jsonl", 2),
        ("good.wasm --trace-log nosuch", 3),
        ("good.wasm --trace-log p.yaml", 3),
    ],
)
def test_exit_codes(arguments: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", *arguments.split()]) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if code >= 2:
        assert len([line for line in said.splitlines() if line.startswith("whamm-cm: ")]) == 1


def test_findings_reach_the_log_whatever_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    formats = ["-f", "sarif=out.sarif", "-f", "junit=out.xml", "-f", "json"]
    assert main(["gate", "bad.wasm", "--policy", "p.yaml", *formats]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert "WCM010 import-denied  wasi:sockets/tcp@0.2.3  p.yaml:2:1" in err
    assert json.loads(Path("out.sarif").read_text())["version"] == "2.1.0"
    assert Path("out.xml").read_text().startswith("<?xml")


def test_several_jobs_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for name in "cdefg":
        Path(f"{name}.wasm").write_bytes(component(TCP, calls=name))
    Path("not.wasm").unlink()
    assert main(["gate", ".", "--policy", "p.yaml", "--no-cache"]) == 1
    one = capsys.readouterr().out
    assert main(["gate", ".", "--policy", "p.yaml", "-j", "2"]) == 1
    assert main(["gate", ".", "--policy", "p.yaml", "-j", "0"]) == 1
    assert capsys.readouterr().out == one * 2
    assert list(Path(".cache").rglob("*.json"))


def test_json_lines_are_one_per_component(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "good.wasm", "bad.wasm", "-f", "jsonl", "-q"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["type"] for row in rows] == ["component", "component", "report"]


def test_a_baseline_forgives_what_was_there(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["bad.wasm", "--policy", "p.yaml"]
    assert main(["gate", *options, "--write-baseline", "b.json"]) == 1
    assert main(["gate", *options, "--baseline", "b.json"]) == 0
    assert "1 in the baseline. PASS" in capsys.readouterr().out


def test_the_step_summary_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    main(["gate", "good.wasm"])
    main(["gate", "bad.wasm", "--policy", "p.yaml", "-f", "github"])
    text = Path("summary.md").read_text()
    assert text.count(" whamm-cm gate: ") == 2 and "WCM010" in text


def test_a_suggestion_passes(capsys: pytest.CaptureFixture[str]) -> None:
    for inputs in (["bad.wasm"], ["run.jsonl"], ["bad.wasm", "run.jsonl"]):
        assert main(["policy", "suggest", *inputs, "-o", "s.yaml"]) == 0
        logs = ["--trace-log", "run.jsonl"] if "run.jsonl" in inputs else []
        assert main(["gate", "bad.wasm", "--policy", "s.yaml", *logs]) == 0, inputs
    assert main(["policy", "suggest", "good.wasm", "bad.wasm"]) == 2
    assert main(["policy", "suggest", "nosuch"]) == 3


def test_a_real_command_passes_what_its_trace_suggests_and_no_less(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sample = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    Path("app.wasm").write_bytes(sample.read_bytes())
    Path("data").mkdir()
    traced = ["trace", "--dir", "data::/data", "--env", "LEVEL=1", "-o", "app.jsonl", "app.wasm"]
    assert main(traced) == 0
    assert main(["policy", "suggest", "app.wasm", "app.jsonl", "-o", "s.yaml"]) == 0
    text = Path("s.yaml").read_text().splitlines()
    gate = ["gate", "app.wasm", "--policy", "cut.yaml", "--trace-log", "app.jsonl"]
    Path("cut.yaml").write_text("\n".join(text))
    assert main(gate) == 0
    for number, line in enumerate(text):
        if "- " not in line or "require" in text[number - 1]:
            continue
        Path("cut.yaml").write_text("\n".join(text[:number] + text[number + 1 :]))
        capsys.readouterr()
        assert main(gate) == 1, line
        place = "  default: deny" if "wasi:" in line else "    allow:"
        (at,) = {one.split(":")[1] for one in capsys.readouterr().out.split() if "cut.yaml:" in one}
        assert text[int(at) - 1] == place, line


def test_rules_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("WCM010", "wcm010", "import-denied"):
        assert main(["policy", "explain", word]) == 0
        assert capsys.readouterr().out.startswith("WCM010 import-denied (error)\n")
    assert main(["policy", "explain", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert main(["policy", "explain", "--list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(listed)
    assert main(["policy", "explain", "import-deny"]) == 2
    assert 'did you mean "import-denied"?' in capsys.readouterr().err
    assert main(["policy", "explain"]) == 2


CASES = """\
version: 1
policy: p.yaml
cases:
  - {component: good.wasm, expect: pass, findings: []}
  - {component: bad.wasm, expect: fail, findings: ["WCM010 wasi:sockets/tcp@0.2.3"]}
  - {name: logs, component: good.wasm, trace-log: [run.jsonl], policy: wasi-0.2, expect: pass}
"""


def test_verdicts_are_tested(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cases.yaml").write_text(CASES)
    assert main(["policy", "test", "cases.yaml"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["ok", "good.wasm"], ["ok", "bad.wasm"], ["ok", "logs"],
    ]  # fmt: skip
    wrong = CASES.replace("expect: pass, f", "expect: fail, f").replace("WCM010 w", "WCM014 w")
    Path("cases.yaml").write_text(wrong)
    assert main(["policy", "test", "cases.yaml"]) == 1
    said = capsys.readouterr().out
    assert "cases.yaml:4:5: expected fail, got pass" in said
    assert "cases.yaml:5:5: expected WCM014 wasi:sockets/tcp@0.2.3" in said
    assert "did not expect WCM010 wasi:sockets/tcp@0.2.3" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1", '"cases" is missing'),
        ("cases: []", "there are no cases"),
        ("cases: [{component: x}]", 'a case needs "expect"'),
        ("cases: [{component: x, expect: pass}]", 'a case needs "policy"'),
        ("cases: [{component: x, expect: yes, policy: p}]", "expect must be one of pass, fail"),
        ("case: []", 'did you mean "cases"?'),
    ],
)
def test_tables_that_are_wrong(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cases.yaml").write_text(text)
    assert main(["policy", "test", "cases.yaml"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("whamm-cm: cases.yaml:1:")


def test_releases_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "good.wasm", "bad.wasm"]) == 0
    assert "+ import-added         wasi:sockets/tcp@0.2.3  (1 function," in capsys.readouterr().out
    assert main(["diff", "good.wasm", "bad.wasm", "--fail-on-new", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["changes"][0]["new"] is True
    assert main(["diff", "bad.wasm", "good.wasm", "--fail-on-new"]) == 0
    assert main(["diff", "good.wasm", "good.wasm"]) == 0
    assert main(["diff", "-", "-"]) == 2 and main(["diff", "good.wasm", "not.wasm"]) == 3
