"""A core module that uses no WASI is not given any, unless somebody asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import Engine, Instance, Module, Store, wat2wasm

from whamm_cm.cli.main import main

SCRIPT = "report var n: i32; wasm:opcode:i32.add:before { n++; }"
ADD = """(func (export "add") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1)))"""
PLAIN = {
    "an import of env": '(import "env" "abort" (func (param i32)))',
    "nothing": "",
    "a start function": "(func $s) (start $s)",
    "a memory of 64 bits": "(memory i64 1)",
}
WASI = {
    "preview 1": '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))',
    "what came before": '(import "wasi_unstable" "proc_exit" (func (param i32)))',
}


def woven(tmp_path: Path, first: str, *options: str) -> Module:
    source, out = tmp_path / "in.wasm", tmp_path / "out.wasm"
    source.write_bytes(wat2wasm(f"(module {first} {ADD})"))
    assert main(("instrument", *options, "-e", SCRIPT, "-o", str(out), str(source))) == 0
    return Module(Engine(), out.read_bytes())


def imported(module: Module) -> set[str]:
    return {each.module for each in module.imports}


@pytest.mark.parametrize("first", PLAIN.values(), ids=PLAIN.keys())
def test_it_gets_none(first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = woven(tmp_path, first)
    assert imported(module) <= {"env"}
    assert "memory" not in {each.name for each in module.exports}
    said = capsys.readouterr().err
    assert "in.wasm uses no WASI, so nothing leaves it (--sink none)" in said
    assert said.count("\n") == 2


def test_what_is_reported_can_be_read(tmp_path: Path) -> None:
    woven(tmp_path, "")
    store = Store(Engine())
    instance = Instance(store, Module(store.engine, (tmp_path / "out.wasm").read_bytes()), [])
    exports = instance.exports(store)
    for _ in range(3):
        exports["add"](store, 1, 2)  # type: ignore[operator]
    assert exports["get_n"](store) == 3  # type: ignore[operator]


@pytest.mark.parametrize("first", WASI.values(), ids=WASI.keys())
def test_one_that_uses_wasi_writes_to_stderr(
    first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = woven(tmp_path, f'{first} (memory (export "memory") 1)')
    assert "fd_write" in {each.name for each in module.imports}
    assert "uses no WASI" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sink", "name"), [("stderr", "wasi_snapshot_preview1"), ("host", "whamm:cm/sink")]
)
def test_what_is_asked_for_is_done(
    sink: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(woven(tmp_path, "", "--sink", sink)) == {name}
    assert "uses no WASI" not in capsys.readouterr().err
