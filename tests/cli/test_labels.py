"""Imports with a label: both names are shown, the one the host sees and the interface's."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from whamm_cm.cli.main import main

TEXT = """(component
  (type $st (instance (export "get" (func (param "key" u32) (result u32)))))
  (import "primary" (implements "wasi:keyvalue/store@0.2.0-draft") (instance $a (type $st)))
  (import "secondary" (implements "my:own/store") (instance $b (type $st)))
  (import "wasi:keyvalue/store@0.2.0" (instance $c (type $st)))
  (core func $ga (canon lower (func $a "get"))) (core func $gb (canon lower (func $b "get")))
  (core func $gc (canon lower (func $c "get")))
  (core module $m (import "e" "a" (func $a (param i32) (result i32)))
    (import "e" "b" (func $b (param i32) (result i32)))
    (import "e" "c" (func $c (param i32) (result i32)))
    (func (export "go") (drop (call $a (i32.const 1))) (drop (call $b (i32.const 2)))
      (drop (call $c (i32.const 3)))))
  (core instance $i (instantiate $m (with "e" (instance
    (export "a" (func $ga)) (export "b" (func $gb)) (export "c" (func $gc))))))
  (func (export "go") (canon lift (core func $i "go"))))"""


@pytest.mark.parametrize("options", [[], ["-v"], ["--capabilities"]], ids=["tree", "full", "reach"])
def test_both_are_shown(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wat2wasm(TEXT))
    assert main(["inspect", *options, str(app)]) == 0
    shown = capsys.readouterr().out
    assert "primary (implements wasi:keyvalue/store@0.2.0-draft)" in shown
    assert "secondary (implements my:own/store)" in shown
    assert "wasi:keyvalue/store@0.2.0 (implements" not in shown
