"""A file that a command reads is never written by it, whatever name or link it goes by."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.weave import guests
from whamm_cm.cli.main import main

LOG = '{"v":1,"seq":0,"instance":1,"call":1,"phase":"call","edge":"import","func":"f"}\n'
POLICY = "version: 1\n"
SCRIPT = "wasm:opcode:call:before { }\n"

#: What to run, with {x} for inputs of that kind and OUT for the output; and which input OUT is.
CASES: list[tuple[str, str]] = [
    ("trace -o OUT {app}", "app"),
    ("trace -c -o OUT -s {script} {app}", "script"),
    ("trace -o OUT -f jsonl -- true {app}", "app"),
    ("instrument --trace * -o OUT {app}", "app"),
    ("instrument -o OUT -s {script} {app}", "script"),
    ("instrument --trace * --lib x={lib} -o OUT {app}", "lib"),
    ("inspect -o OUT {app}", "app"),
    ("inspect --capabilities --trace-log {log} -o OUT {app}", "log"),
    ("info -o OUT {app}", "app"),
    ("view -o OUT {app}", "app"),
    ("report -o OUT {log}", "log"),
    ("report -f jsonl -o OUT --lines {app} {log}", "app"),
    ("diff -o OUT {app} {lib}", "lib"),
    ("diff --html OUT {app} {lib}", "app"),
    ("gate -f json=OUT {app}", "app"),
    ("gate -f table -f sarif=OUT --policy {policy} {app}", "policy"),
    ("gate --write-baseline OUT {app}", "app"),
    ("gate -f json=OUT --trace-log {log} {app}", "log"),
    ("gate -f json=OUT --trace-log app={log} {app}", "log"),
    ("gate -f json=OUT --manifest {policy} {app}", "policy"),
    ("gate --write-baseline OUT --baseline {policy} {app}", "policy"),
    ("gate -f json=OUT .", "app"),
    ("policy suggest -o OUT {log} {app}", "log"),
]


def _plain(path: Path) -> str:
    return path.name


def _absolute(path: Path) -> str:
    return str(path)


def _symbolic(path: Path) -> str:
    (path.parent / "link").symlink_to(path.name)
    return "./link"


def _chain(path: Path) -> str:
    (path.parent / "there").symlink_to(path.parent, target_is_directory=True)
    (path.parent / "link").symlink_to(f"there/{path.name}")
    return "link"


def _hard(path: Path) -> str:
    os.link(path, path.parent / "hard")
    return "hard"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    files = {
        "app": (tmp_path / "app.wasm", guests.TICKER),
        "lib": (tmp_path / "lib.wasm", guests.TICKER),
        "log": (tmp_path / "run.log", LOG.encode()),
        "policy": (tmp_path / "policy.yaml", POLICY.encode()),
        "script": (tmp_path / "calls.mm", SCRIPT.encode()),
    }
    for path, data in files.values():
        path.write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return {name: path for name, (path, _) in files.items()}


@pytest.mark.parametrize("name", [_plain, _absolute, _symbolic, _chain, _hard])
@pytest.mark.parametrize(("command", "kind"), CASES, ids=[command for command, _ in CASES])
def test_refused_before_anything_is_written(
    command: str,
    kind: str,
    name: Callable[[Path], str],
    given: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in given.values()}
    output = name(given[kind])
    names = {each: path.name for each, path in given.items()}
    words = [w.replace("OUT", output).format(**names) for w in command.split(" ")]
    assert main(words) == 2
    assert "name another file to write" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in given.values()} == before
    assert not [path for path in Path().iterdir() if path.name.startswith(".whamm-cm-")]


def test_standard_input_is_an_input(given: dict[str, Path]) -> None:
    app = given["app"]
    before = app.read_bytes()
    for output in ("app.wasm", "/dev/stdin"):
        with app.open("rb") as stdin:
            done = subprocess.run(
                [sys.executable, "-m", "whamm_cm", "inspect", "-o", output, "-"],
                stdin=stdin, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
        assert done.returncode == 2 and "name another file" in done.stderr
        assert app.read_bytes() == before


def test_two_outputs_are_two_files(
    given: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", "-f", "json=x.out", "-f", "sarif=./x.out", "app.wasm"]) == 2
    assert "are one file; name two" in capsys.readouterr().err
    assert not Path("x.out").exists()


def test_other_files_are_written_over(given: dict[str, Path]) -> None:
    Path("out.json").write_text("old", encoding="utf-8")
    assert main(["inspect", "--json", "-o", "out.json", "app.wasm"]) == 0
    assert Path("out.json").read_text(encoding="utf-8").startswith("{")
    assert main(["inspect", "--json", "-o", "/dev/null", "app.wasm"]) == 0
