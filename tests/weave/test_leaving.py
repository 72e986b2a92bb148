"""``exit`` and ``abort``: the program ends there, and nothing of what was said before is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import build
from tests.weave.fake_clock import CLOCK
from whamm_cm.cli.main import main

LOOP = f"""(module {CLOCK}
  (func $step (param i32))
  (func $go (param $n i32)
    (loop $again
      (if (local.get $n) (then
        (call $step (local.get $n))
        (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $again)))))
  (func (export "_start") (call $go (i32.const 10))))"""
PLAIN = """report var n: u32;
wasm:func:entry / fname == "step" / { n++; print("step {}", n); if (n == 3) { LEAVE; } }
wasm:end { print("end"); }"""
COMPONENT = """report var n: u32;
wasi:*#*:before { n++; print("step {}", n); if (n == 3) { LEAVE; } }
wasm:end { print("end"); }"""


def _run(tmp_path: Path, capfd: pytest.CaptureFixture[str], plain: bool, leave: str, *more: str
         ) -> tuple[int, list[str], str]:  # fmt: skip
    """Status, lines of the log, and what was said beside it."""
    data = bytes(wat2wasm(LOOP)) if plain else build("command")
    (tmp_path / "app.wasm").write_bytes(data)
    script = (PLAIN if plain else COMPONENT).replace("LEAVE", leave)
    status = main(("trace", "-e", script, *more, str(tmp_path / "app.wasm")))
    said = capfd.readouterr().err
    known = ("step ", "end", "exit ", "abort: ", "n  ")
    return status, [line for line in said.splitlines() if line.startswith(known)], said


@pytest.mark.parametrize(
    ("plain", "engine"), [(True, "embedded"), (False, "embedded"), (False, "wasmtime")]
)
def test_exit_ends_the_program_with_its_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], plain: bool, engine: str
) -> None:
    status, log, _ = _run(tmp_path, capfd, plain, "exit(7)", "--engine", engine)
    assert status == 7
    assert log == ["step 1", "step 2", "step 3", "end", "exit 7", "n  3"]


@pytest.mark.parametrize("plain", [True, False], ids=["module", "component"])
def test_abort_traps_and_says_that_it_was_the_script(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], plain: bool
) -> None:
    status, log, said = _run(tmp_path, capfd, plain, 'abort("enough of it")')
    assert status == 134
    assert log == ["step 1", "step 2", "step 3", "end", "abort: enough of it", "n  3"]
    assert "whamm-cm: -e 1 aborted the program: enough of it" in said
    assert "trapped" not in said


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("255", 255), ("n + 300", 47)])
def test_the_status_is_a_byte(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, status: int
) -> None:
    assert _run(tmp_path, capfd, True, f"exit({code})")[0] == status


def test_the_end_can_end_the_program(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """``wasm:end`` runs once, whatever calls it."""
    (tmp_path / "app.wasm").write_bytes(build("command"))
    script = 'wasm:end { print("end"); exit(3); } wasi:*#*:before { }'
    log = tmp_path / "log.txt"
    words = ("trace", "-e", script, "-o", str(log), str(tmp_path / "app.wasm"))
    assert main(words) == 3
    assert log.read_text().splitlines() == ["end", "exit 3"]


def test_what_a_script_prints_is_not_taken_for_an_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, log, _ = _run(tmp_path, capfd, True, 'print("exit 9")')
    assert status == 0 and "exit 9" in log


@pytest.mark.parametrize("leave", ["exit(6)", 'abort("six")'])
def test_behind_the_end_of_the_program_no_value_is_wanted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], leave: str
) -> None:
    """As after ``return``: of functions, and of what stands for an instruction."""
    (tmp_path / "app.wasm").write_bytes(bytes(wat2wasm(LOOP)))
    script = f"""fn known(n: i32) -> i32 {{ if (n > 0) {{ return n; }} {leave}; }}
wasm:opcode:i32.sub:alt {{ if (arg1 > 6) {{ return known(arg1) - 1; }} else {{ {leave}; }} }}
wasm:func:entry / fname == "step" / {{ print("step {{}}", param0); }}"""
    status = main(("trace", "-e", script, str(tmp_path / "app.wasm")))
    said = capfd.readouterr().err.splitlines()
    assert status == (6 if leave == "exit(6)" else 134)
    assert [line for line in said if line.startswith("step ")] == [
        f"step {n}" for n in (10, 9, 8, 7, 6)
    ]
