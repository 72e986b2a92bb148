"""Engines: what is accepted, what a refusal says, and the compiled-code cache."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.run.guests import ROOT, assemble
from whamm_cm.run.engine import validate_component


@pytest.mark.parametrize("name", ["run_command", "run_exports", "run_sink", "run_unknown"])
def test_valid_components(name: str) -> None:
    assert validate_component(assemble(name)) is None


FEATURES = {
    "multi-memory": "(component (core module (memory 1) (memory 1)))",
    "memory64": "(component (core module (memory i64 1)))",
    "threads": "(component (core module (memory 1 1 shared)))",
    "gc": "(component (core module (type (struct (field i32)))))",
    "exceptions": "(component (core module (tag)))",
    "tail call": "(component (core module (func $f return_call $f)))",
    "wide arithmetic": "(component (core module (func (param i64 i64) (result i64 i64)"
    " local.get 0 local.get 1 i64.mul_wide_s)))",
    "page sizes": "(component (core module (memory 1 (pagesize 1))))",
    "map": "(component (type (map string u32)))",
    "async": '(component (import "f" (func async (result (stream u8)))))',
    "labels": '(component (import "a" (implements "b:c/d") (instance)))',
    "threads of the component model": "(component (core func (canon thread.yield)))",
    "stackful": '(component (core module $m (func (export "f")))'
    ' (core instance $i (instantiate $m)) (func async (canon lift (core func $i "f") async)))',
    "built-ins": "(component (core func (canon subtask.cancel async)))",
}


@pytest.mark.parametrize("text", FEATURES.values(), ids=FEATURES.keys())
def test_proposals_are_on(text: str) -> None:
    assert validate_component(bytes(wat2wasm(text))) is None


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"", "not a WebAssembly binary"),
        (b"(component)", "not a WebAssembly binary"),
        (b"\0asm\x0d\0\1\0\x07\x05", "unexpected end"),
        (bytes(wat2wasm("(module)")), "wasm module with a component parser"),
        (bytes(wat2wasm("(component (core module (func (result i32))))")), "type mismatch"),
    ],
    ids=["empty", "text", "cut", "a core module", "ill-typed code"],
)
def test_refusals_are_one_line(wasm: bytes, reason: str) -> None:
    error = validate_component(wasm)
    assert error is not None
    assert reason in error
    assert "\n" not in error


# Runs the same component twice.
TWICE = """
from wasmtime import wat2wasm
from whamm_cm.run.embedded import run_component
body = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 7)))" * 200
funcs = "".join(f"(func (param i32) (result i32) {body} (local.get 0))" for _ in range(20))
wasm = bytes(wat2wasm(f'''(component (core module $m {funcs} (func (export "f")))
  (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))'''))
for _ in range(2):
    assert run_component(wasm, invoke="f").status == 0
"""

Start = Callable[..., subprocess.Popen[bytes]]


def _cached_runs(start: Start, home: Path) -> bytes:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT / "src")}
    child = start(TWICE, env=environment)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err.decode()
    return err


def _usages(home: Path) -> int:
    """How often the engine says that a compiled module was used; it writes that when it likes."""
    texts = [path.read_text() for path in home.rglob("modules/**/*.stats")]
    return sum(int(n) for text in texts for n in re.findall(r"usages = (\d+)", text))


def test_compiled_code_is_cached(python: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    deadline = time.monotonic() + 60
    # The first run compiles and counts as one use; the second finds what it left.
    _cached_runs(python, home)
    while _usages(home) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _usages(home) == 2


def test_without_a_place_for_the_cache_it_runs_all_the_same(python: Start, tmp_path: Path) -> None:
    nowhere = tmp_path / "a-file"
    nowhere.write_text("not a directory")
    assert _cached_runs(python, nowhere) == b""
    assert nowhere.read_text() == "not a directory"


def test_a_broken_cache_configuration_is_no_obstacle(python: Start, tmp_path: Path) -> None:
    config = tmp_path / ".config" / "wasmtime" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("this is no TOML")
    assert _cached_runs(python, tmp_path) == b""
