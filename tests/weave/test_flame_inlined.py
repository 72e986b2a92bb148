"""Flame graphs with frames for what was put in place of calls: every instruction in its frame."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.weave.interpreter import Interpreter
from tests.weave.sources import compiled
from whamm_cm.analysis.dwarf import SourceLines
from whamm_cm.cli.main import main
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule

LEVELS = ("-O0", "-O1", "-O2", "-Os")


def folded(capsys: pytest.CaptureFixture[str], monitor: str, *words: str) -> Counter[str]:
    assert main(["trace", "-q", "-m", monitor, "-f", "folded", *words]) in (0, 1)
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    return Counter({stack: int(n) for stack, _, n in (line.rpartition(" ") for line in lines)})


@pytest.mark.parametrize("level", LEVELS)
def test_each_instruction_counts_in_the_frame_it_is_of(
    tmp_path: Path, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against an interpreter, and another reading of the DWARF; each function has one caller."""
    app = compiled(tmp_path, "count.c", level)
    module = CoreModule(app.read_bytes())
    lines = SourceLines.of(module)
    assert lines is not None
    interpreter = Interpreter(app.read_bytes())
    interpreter.run("run")
    wanted = Counter[str]()
    for index in range(len(module.bodies)):
        info = FunctionInfo(module, index)
        stack = info.name if info.name == "run" else f"run;{info.name}"
        for opidx, (pos, _, _) in enumerate(info.steps):
            inside = [call.name for call in reversed(lines.inlined(pos))] if opidx else []
            wanted[";".join([stack, *inside])] += interpreter.noted.executed[info.fid, opidx]
    assert folded(capsys, "flame-inlined", "--invoke", "run()", str(app)) == +wanted
    assert any(stack.endswith(";half") for stack in +wanted)


def test_without_debug_information_it_is_flame(capsys: pytest.CaptureFixture[str]) -> None:
    app = str(path_of("command"))
    assert folded(capsys, "flame-inlined", app) == folded(capsys, "flame", app)


def test_its_instructions_are_those_of_flame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = str(compiled(tmp_path, "count.c", "-O2"))
    words = ("--invoke", "run()", app)
    inlined, whole = folded(capsys, "flame-inlined", *words), folded(capsys, "flame", *words)
    joined = Counter[str]()
    for stack, count in inlined.items():
        joined[";".join(f for f in stack.split(";") if f not in ("half", "twice"))] += count
    assert joined == whole
