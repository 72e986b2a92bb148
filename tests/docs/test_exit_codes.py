"""Each exit code that docs/exit-codes.md lists is what some run ends with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from tests.docs.book import ROOT, rows
from whamm_cm.cli.main import main, parser

LISTED = {int(row[0]) for row in rows("exit-codes.md", "code")}

#: code → the arguments of a run that ends with it
RUNS: dict[int, tuple[str, ...]] = {
    0: ("trace", "-e", "trace=none", "command.wasm"),
    1: ("trace", "-e", "trace=none", "command.wasm", "fail"),
    2: ("trace", "--no-such-option", "command.wasm"),
    3: ("inspect", "missing.wasm"),
    126: ("trace", "--", "./data.txt", "command.wasm"),
    127: ("trace", "--", "./no-such-command", "command.wasm"),
    134: ("trace", "--invoke", "unreachable()", "trap.wasm"),
}

#: Those that take more than arguments, by the tests below.
OTHERS = {4, 130, 141}


def test_every_code_has_a_case() -> None:
    assert set(RUNS) | OTHERS == LISTED


def test_the_help_text_names_no_other_codes() -> None:
    epilog = parser().epilog or ""
    numbers = {int(word) for word in epilog.replace(":", " ").split() if word.isdigit()}
    assert numbers and numbers <= LISTED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sample = ROOT / "fixtures" / "c_command" / "command.wasm"
    (tmp_path / "command.wasm").write_bytes(sample.read_bytes())
    (tmp_path / "data.txt").write_text("not a program")
    for name in ("trap", "run_command"):
        text = (ROOT / "fixtures" / "wat" / f"{name}.wat").read_text()
        (tmp_path / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "whamm_cm", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("code", RUNS)
def test_a_run_ends_with_it(code: int, folder: Path) -> None:
    with start(folder, *RUNS[code]) as child:
        _, said = child.communicate(timeout=120)
    assert child.returncode == code, said.decode()
    assert b"Traceback" not in said


def test_4_an_internal_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by a test")

    monkeypatch.setattr("whamm_cm.weave.api.weave", broken)
    output = folder / "out.wasm"
    code = main(["instrument", "--trace", "*", "-o", str(output), str(folder / "command.wasm")])
    assert code == 4
    assert "please report it" in capsys.readouterr().err
    assert not output.exists()


def test_130_ctrl_c(folder: Path) -> None:
    with start(folder, "trace", "--flush", "each", "run_command.wasm", "busy") as child:
        assert child.stderr is not None
        try:
            assert b"export" in child.stderr.readline()  # now it runs, and it would for ever
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130


def test_141_nobody_reads(folder: Path) -> None:
    with start(folder, "inspect", "--json", "command.wasm") as child:
        assert child.stdout is not None
        child.stdout.close()
        child.wait(timeout=60)
    assert child.returncode == 141
