"""``trace --engine wizard``, with a stand-in for the engine where it has to run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import path_of
from tests.weave import wizard_scripts as scripts
from tests.weave.wizard_oracle import PROGRAMS, assembled
from whamm_cm.cli.main import main

ROOT = Path(__file__).parents[2]
#: As much of the command as we use.
ENGINE = """#!{python}
import sys
sys.path[:0] = {path!r}
from tests.weave.stand_in import Monitor, StandIn
options = [word for word in sys.argv[1:] if word.startswith("--")]
app = next(word for word in sys.argv[1:] if not word.startswith("--"))
(name,) = [word.partition("=")[2] for word in options if word.startswith("--monitors=")]
monitor = Monitor(open(name, "rb").read())
print(*sys.argv[1:])
sys.stderr.buffer.write(StandIn(open(app, "rb").read(), monitor).finish())
sys.exit(7)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wizeng"
    path.write_text(ENGINE.format(python=sys.executable, path=[str(ROOT), *sys.path]))
    path.chmod(0o755)
    monkeypatch.delenv("WIZENG", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "loops.wasm"
    path.write_bytes(assembled(PROGRAMS / "loops.wat"))
    return path


@pytest.mark.usefixtures("engine")
def test_the_report_and_the_status_are_those_of_the_program(
    app: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, _ = scripts.reported(tmp_path, app, "-m", "hotness")
    wizard = ("--engine", "wizard", "--env", "A=b", "--dir", str(tmp_path))
    theirs, status = scripts.reported(tmp_path, app, *wizard, "-m", "hotness")
    assert status == 7
    assert scripts.rows(theirs) == scripts.rows(ours)
    words = capfd.readouterr().out.split()
    assert words[0] == "--ext:wasm-3.0"
    assert {"--mode=dyn", "--env=A=b", f"--dir={tmp_path}"} < set(words)
    assert Path(words[-1]).name == "loops.wasm"


@pytest.mark.usefixtures("engine")
def test_core_modules_of_a_component_that_run_alone_are_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    component = tmp_path / "both.wasm"
    component.write_bytes(wasmtime.wat2wasm("""(component
        (core module $alone (func (export "_start") nop))
        (core module $library (func (export "help"))))"""))  # fmt: skip
    assert main(["trace", "--engine", "wizard", "-m", "icount", str(component)]) == 7
    said = capfd.readouterr().err
    assert "not run: core module library: it exports no function main or _start" in said
    assert "instructions  2" in said


REFUSED = {
    ("--stub-imports", "-m", "icount"): "--stub-imports is for components",
    ("--invoke", "f(1)", "-m", "icount"): "the Wizard engine takes the name of an export",
    ("--inherit-network", "-m", "icount"): "the Wizard engine has no network",
    ("--dir", ".::/x", "-m", "icount"): "the Wizard engine gives a directory its own name",
    ("-e", "trace=%net"): "--engine wizard runs scripts; give one with -s, -e or -m",
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("words", REFUSED)
def test_what_the_engine_has_no_words_for(
    words: tuple[str, ...], app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "--engine", "wizard", *words, str(app)]) == 2
    assert REFUSED[words] in capsys.readouterr().err


def test_a_missing_engine_is_one_sentence_with_its_remedy(
    app: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WIZENG", "/no/such/engine")
    assert main(["trace", "--engine", "wizard", "-m", "icount", str(app)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "WIZENG names /no/such/engine, which is no program: build the Wizard engine" in said


@pytest.mark.usefixtures("engine")
def test_of_a_component_without_any_it_is_said_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--engine", "wizard", "-m", "icount", str(path_of("command"))]) == 2
    said = capsys.readouterr().err
    assert "core module main: it imports wasi:cli/environment@0.2.0 and 14 more" in said


def test_instrument_makes_monitors_of_core_modules_and_scripts(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["instrument", "--engine", "wizard", "-o", str(tmp_path / "out.wasm")]
    assert main([*words, "-m", "icount", str(path_of("command"))]) == 3
    assert "is a component, and the Wizard engine runs core modules" in capsys.readouterr().err
    assert main([*words, "--trace", "*", "-m", "icount", str(app)]) == 2
    assert "no calls to trace or count at its edge" in capsys.readouterr().err
    assert main([*words, "--sink", "host", "-m", "icount", str(app)]) == 2
    assert "--sink host: a monitor of the Wizard engine writes to stderr" in capsys.readouterr().err
