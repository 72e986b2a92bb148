"""`policy lint`, `explain` and `test`, the names of policies, and what pre-commit runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.gate.making import component
from whamm_cm.cli.hook import arguments
from whamm_cm.cli.main import main
from whamm_cm.gate.policy_read import PROFILES

TCP, POLL, LABEL = "wasi:sockets/tcp@0.2.3", "wasi:io/poll@0.2.3", "wasi:logging/logging"
APP = component({TCP: ("bind", "listen"), POLL: ("poll",), LABEL: ("log",)}, calls="bind poll")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.wasm").write_bytes(APP)


def policy(text: str, name: str = "p.yaml") -> None:
    Path(name).write_text(f"version: 1\n{text}\n")


def lint(*arguments: str) -> tuple[int, list[str]]:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["policy", "lint", *arguments])
    return code, out.getvalue().splitlines()


DEAD = [
    ("imports: {allow: ['wasi:io/*', 'wasi:io/poll']}", '"wasi:io/poll" in imports.allow is'),
    ("imports: {allow: ['wasi:io/poll', 'wasi:io/*@0.2|0.3', 'wasi:io/poll@0.2.3']}", "is covered"),
    ("imports: {allow: ['wasi:io/poll', 'wasi:io/poll']}", "is covered by"),
    ("imports: {allow: ['wasi:io/poll#poll', 'wasi:io/poll#{poll,ready}']}", "is covered by"),
    ("imports: {allow: ['wasi:io/poll@=0.2.3', 'wasi:io/poll@0.2']}", "is covered by"),
    ("imports: {allow: ['wasi:*'], deny: ['wasi:sockets/*', 'wasi:sockets/tcp']}", "is covered"),
    ("imports: {allow: ['wasi:sockets/tcp'], deny: ['%net']}", "which is denied"),
    ("imports: {allow: ['wasi:io/*'], warn: ['wasi:io/*']}", "which is warned about anyway"),
    ("imports: {allow: ['wasi:io/*'], deny: ['wasi:http/*']}", "the default is deny"),
    ("imports: {allow: ['wasi:io/*@0.2'], deny: ['wasi:io/*@0.3']}", "the default is deny"),
    ("imports: {allow: ['wasi:io/*#a'], deny: ['wasi:io/*#b']}", "the default is deny"),
    ("imports: {allow: ['wasi:cli/stdot']}", 'did you mean "wasi:cli/stdout"?'),
    ("exports: {require: ['wasi:cli/run'], forbid: ['wasi:cli/*']}", "which is forbidden"),
    ("waivers: [{rule: WCM020, reason: x, expires: 2026-01-01}]", "expired on 2026-01-01"),
]  # fmt: skip
ALIVE = [
    "imports: {allow: ['wasi:io/*', 'wasi:cli/*']}",
    "imports: {allow: ['wasi:io/poll@0.2.3', 'wasi:io/poll@0.3']}",
    "imports: {allow: ['wasi:io/poll@=0.2.3', 'wasi:io/poll@=0.2.4']}",
    "imports: {allow: ['wasi:io/poll@0.2.5', 'wasi:io/poll@=0.2.3']}",
    "imports: {allow: ['wasi:io/poll#poll', 'wasi:io/poll#ready']}",
    "imports: {allow: ['wasi:*'], deny: ['wasi:sockets/*']}",
    "imports: {allow: ['wasi:sockets/*'], deny: ['wasi:sockets/tcp']}",
    "imports: {default: allow, deny: ['wasi:sockets/*', 'acme:x/y']}",
    "imports: {allow: ['wasi:io/*'], deny: ['*#poll']}",
    "waivers: [{rule: WCM020, reason: x, expires: 2027-01-01}]",
]


@pytest.mark.parametrize(("text", "sentence"), DEAD)
def test_lines_that_do_nothing(text: str, sentence: str) -> None:
    policy(text)
    code, lines = lint("p.yaml", "--today", "2026-11-30")
    assert code == 1 and any(sentence in line for line in lines), lines
    assert all(line.startswith("p.yaml:2:") for line in lines)


@pytest.mark.parametrize("text", ALIVE)
def test_lines_that_do_something(text: str) -> None:
    policy(text)
    assert lint("p.yaml", "--today", "2026-11-30") == (0, [])


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_have_no_dead_lines(name: str) -> None:
    assert lint(name) == (0, [])


def test_lines_that_match_no_component() -> None:
    policy("imports: {default: allow, warn: ['wasi:io/*', 'wasi:nn/*'], deny: ['%dns', '*#bind']}\n"
           "exports: {require: ['#run', 'wasi:cli/run'], forbid: ['wasi:http/*']}")  # fmt: skip
    code, lines = lint("p.yaml", "app.wasm")
    unmatched = [line.partition("unmatched: ")[2] for line in lines]
    assert code == 1 and unmatched == [
        '"wasi:nn/*" matches no import of 1 component',
        '"%dns" matches no import of 1 component',
        '"wasi:cli/run" matches no export of 1 component',
        '"wasi:http/*" matches no export of 1 component',
    ]


def test_directories_are_read_as_the_gate_reads_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Also what cannot be read: it is an error, until it is named as left out."""
    policy("imports: {default: allow, deny: ['%dns']}")
    Path("d/vendor").mkdir(parents=True)
    Path("d/.HIDDEN.WASM").write_bytes(Path("app.wasm").read_bytes())
    Path("d/vendor/broken.wasm").write_bytes(b"no component")
    assert main(["policy", "lint", "p.yaml", "d"]) == 3
    capsys.readouterr()
    assert main(["policy", "lint", "p.yaml", "d", "--skip", "vendor"]) == 1
    out, err = capsys.readouterr()
    assert '"%dns" matches no import of 1 component' in out
    assert "d/vendor/broken.wasm: left out (--skip)" in err
    assert main(["policy", "lint", "p.yaml", "d", "--skip", "*"]) == 3


def test_explain_says_which_line(capsys: pytest.CaptureFixture[str]) -> None:
    policy(
        "judge: reachable\nimports:\n  default: deny\n  allow:\n"
        "    - {item: 'wasi:io/*', reason: why not}\n"
        "  deny: ['*#bind']\nexports: {require: ['#run']}"
    )
    assert main(["policy", "explain", "app.wasm", "--policy", "p.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"deny    import {TCP}#{{bind}}",
        '        matches "*#bind"  p.yaml:7:10',
        f"none    import {TCP}#{{listen}}",
        "        not judged: not reachable",
        f"allow   import {POLL}",
        '        matches "wasi:io/*" (why not)  p.yaml:6:14',
        f"none    import {LABEL}",
        "        not judged: not reachable",
        "require export run",
        '        matches "#run"  p.yaml:8:21',
    ]
    assert main(["policy", "explain", "app.wasm", "--policy", "p.yaml", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["said"]
    assert [one["verdict"] for one in said] == ["deny", "none", "allow", "none", "require"]
    policy("description: nothing")
    assert main(["policy", "explain", "app.wasm", "--policy", "p.yaml"]) == 0
    assert "the policy says nothing of imports" in capsys.readouterr().out
    policy("imports: {default: deny}")
    assert main(["policy", "explain", "app.wasm", "--policy", "p.yaml"]) == 0
    assert "on no list; that is the default  p.yaml:2:11" in capsys.readouterr().out
    assert main(["policy", "explain", "--list", "--policy", "p.yaml"]) == 2


TABLE = """version: 1
policy: p.yaml
cases:
  - {component: app.wasm, expect: fail, findings: [WCM010]}
  - name: by facts
    facts:
      imports: ["wasi:sockets/tcp@0.2.0#bind", "wasi:sockets/tcp@0.2.0#listen"]
      exports: ["#run"]
    expect: fail
    findings: ["WCM010 wasi:sockets/tcp@0.2.0"]
  - facts: {imports: ["wasi:io/poll@0.2.0"], exports: ["wasi:cli/run@0.2.0#run"], size: 9}
    expect: pass
"""


def test_a_directory_of_tables(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t/sub").mkdir(parents=True)
    Path("t/app.wasm").write_bytes(APP)
    policy("imports: {deny: ['wasi:sockets/*']}", "t/p.yaml")
    Path("t/one.test.yaml").write_text(TABLE)
    assert main(["policy", "test", "t"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok      app.wasm", "ok      by facts", "ok      facts",
    ]  # fmt: skip
    policy("imports: {deny: ['wasi:io/*']}", "t/sub/p.yaml")
    Path("t/sub/two.test.yml").write_text(TABLE.replace("app.wasm", "../app.wasm"))
    assert main(["policy", "test", "t"]) == 1
    assert "2 of the cases failed" in capsys.readouterr().err
    assert main(["policy", "test", "t/sub/two.test.yml"]) == 1
    Path("empty").mkdir()
    assert main(["policy", "test", "empty"]) == 2
    assert "there is no file that ends with .test.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("{expect: pass}", 'a case needs "component" or "facts", and not both'),
        ("{component: a, facts: {}, expect: pass}", "and not both"),
        ("{facts: {}, trace-log: [x], expect: pass}", "logs are of a component"),
        ("{facts: {imports: [run]}, expect: pass}", "is no import or export"),
        ("{facts: {imports: ['#']}, expect: pass}", "is no import or export"),
        ("{facts: {imports: ['wasi:io/poll#']}, expect: pass}", "is no import or export"),
        ("{facts: {import: []}, expect: pass}", 'unknown key "import"; did you mean "imports"?'),
        ("{facts: {}}", 'a case needs "expect"'),
        ("{facts: {}, expect: fail, findings: [WCM999]}", "t.yaml:4:42: 'WCM999' is no rule"),
        ("{facts: {}, expect: pass, policy: strict}", "t.yaml:4:5: there is no profile 'strict'"),
        ("{facts: {}, expect: pass, policy: q.yaml}", "t.yaml:4:5: q.yaml: there is no such file"),
    ],
)
def test_wrong_cases(case: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    policy("description: x")
    Path("t.yaml").write_text(f"version: 1\npolicy: p.yaml\ncases:\n  - {case}\n")
    assert main(["policy", "test", "t.yaml"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.wasm", "bad.wasm"])
def test_a_component_that_cannot_be_read_has_a_place(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy("description: x")
    Path("bad.wasm").write_bytes(b"no component")
    Path("t.yaml").write_text(
        f"version: 1\npolicy: p.yaml\ncases:\n  - {{component: {name}, expect: pass}}\n"
    )
    assert main(["policy", "test", "t.yaml"]) == 3
    assert capsys.readouterr().err.startswith(f"whamm-cm: t.yaml:4:5: {name}")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("explain app.wasm", "app.wasm is no rule; what a policy says of it: give --policy, too"),
        ("explain none.wasm", "none.wasm is no rule; what a policy says of it"),
        ("explain WCM010 --policy p.yaml", "WCM010 is a rule; --policy asks about a component"),
        ("explain wcm010 --policy p.yaml", "wcm010 is a rule; --policy asks about a component"),
        ("explain WCM1", 'unknown rule "WCM1"'),
        ("lint", "the following arguments are required: POLICY (see"),
    ],
)
def test_wrong_questions(given: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    policy("description: x")
    assert main(["policy", *given.split()]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", PROFILES)
def test_no_file_passes_for_a_profile(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_text("version: 1\nimports: {default: deny}\n")
    assert main(["gate", "app.wasm", "--policy", name, "-q"]) in (0, 1)
    assert "WCM010" not in capsys.readouterr().out
    assert main(["gate", "app.wasm", "--policy", f"./{name}", "-q"]) == 1
    assert "WCM010" in capsys.readouterr().out


def test_a_file_needs_a_path_or_a_suffix(capsys: pytest.CaptureFixture[str]) -> None:
    policy("imports: {default: deny}", "strict")
    assert main(["gate", "app.wasm", "--policy", "strict"]) == 2
    err = capsys.readouterr().err
    assert "there is no profile 'strict', but wasi-0.2," in err and "wasmcloud-2.10, wa" in err
    assert "a file needs its path, as in ./strict" in err
    assert main(["gate", "app.wasm", "--policy", "./strict"]) == 1
    for suffix in ("yaml", "yml", "json"):
        Path(f"p.{suffix}").write_text(json.dumps({"version": 1, "imports": {"default": "deny"}}))
        assert main(["gate", "app.wasm", "--policy", f"p.{suffix}"]) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["gate", "--hook", "a.wasm"], ["gate", "--hook", "--", "a.wasm"]),
        (["gate", "--hook", "--policy", "p.yaml", "a.wasm", "--policy=q.wasm", "-j.WASM"],
         ["gate", "--hook", "--policy", "p.yaml", "--", "a.wasm", "--policy=q.wasm", "-j.WASM"]),
        (["gate", "--hook", "--", "a.wasm"], ["gate", "--hook", "--", "a.wasm"]),
        (["gate", "--hook"], ["gate", "--hook", "--"]),
        (["gate", "a.wasm"], ["gate", "a.wasm"]),
        (["trace", "--hook", "a.wasm"], ["trace", "--hook", "a.wasm"]),
    ],
)  # fmt: skip
def test_names_of_committed_files_are_no_options(given: list[str], expected: list[str]) -> None:
    assert arguments(given) == expected


def test_the_hook_of_pre_commit() -> None:
    root = Path(__file__).parents[2]
    (hook,) = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
    command = [sys.executable, "-m", "whamm_cm", *hook["entry"].split()[1:]]
    policy("imports: {deny: ['wasi:sockets/*']}")
    policy("imports: {default: allow}", "loose.yaml")
    Path("--policy=loose.yaml.wasm").write_bytes(APP)
    done = subprocess.run(
        [*command, "--policy", "p.yaml", "app.wasm", "--policy=loose.yaml.wasm"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout.count("WCM010") == 2, done


def test_why_of_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--why", "%net", "app.wasm"]) == 0
    out = capsys.readouterr().out
    assert f"{TCP}#bind: reachable" in out and f"{TCP}#listen: cannot be reached" in out
    assert main(["inspect", "--why", "%nett", "app.wasm"]) == 2
    assert 'did you mean "%net"?' in capsys.readouterr().err


def test_what_all_commands_load() -> None:
    """All are registered before one is chosen, so what one needs is loaded when it runs."""
    text = """import sys, whamm_cm.cli.main as m
try: m.main(['--version'])
finally: print(*sys.modules)"""
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    loaded = {one.split(".")[1] for one in out.stdout.split() if one.startswith("whamm_cm.")}
    assert "cli" in loaded
    assert not loaded & {"trace", "lang", "component", "wasm", "weave", "wit", "analysis", "run"}
