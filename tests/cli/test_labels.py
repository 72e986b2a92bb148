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


#: Each of the two is passed on to a component inside, under the name of the interface.
INSIDE = """(component
  (type $st (instance (export "get" (func (param "key" u32) (result u32)))))
  (import "primary" (implements "wasi:keyvalue/store@0.2.0") (instance $a (type $st)))
  (import "secondary" (implements "wasi:keyvalue/store@0.2.0") (instance $b (type $st)))
  (component $c
    (import "wasi:keyvalue/store@0.2.0" (instance $s
      (export "get" (func (param "key" u32) (result u32)))))
    (core func $g (canon lower (func $s "get")))
    (core module $m (import "e" "g" (func $g (param i32) (result i32)))
      (func (export "go") (drop (call $g (i32.const 1)))))
    (core instance $i (instantiate $m (with "e" (instance (export "g" (func $g))))))
    (func (export "go") (canon lift (core func $i "go"))))
  (instance $x (instantiate $c (with "wasi:keyvalue/store@0.2.0" (instance $b))))
  (func (export "go") (alias export $x "go")))"""


#: The same, where the component inside has a name of its own for it.
RENAMED, DISGUISED = (
    INSIDE.replace(
        'import "wasi:keyvalue/store@0.2.0" (instance $s', f'import "{name}" (instance $s'
    ).replace('with "wasi:keyvalue/store@0.2.0"', f'with "{name}"')
    for name in ("cache", "my:other/thing@1.0.0")
)


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main(arguments)
    both = capsys.readouterr()
    return both.out + both.err


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.wasm"
    path.write_bytes(wat2wasm(TEXT))
    return str(path)


def test_info_names_the_label(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(["info", "wit:import:*#get:before", app], capsys)
    assert "import primary (implements wasi:keyvalue/store@0.2.0-draft)#get" in shown
    assert "import secondary (implements my:own/store)#get" in shown
    assert "import wasi:keyvalue/store@0.2.0#get" in shown


def test_either_name_asks_why(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    by_label = said(["inspect", "--why", "primary#get", app], capsys)
    assert "primary (implements wasi:keyvalue/store@0.2.0-draft)#get: reachable" in by_label
    assert by_label == said(
        ["inspect", "--why", "wasi:keyvalue/store@0.2.0-draft#get", app], capsys
    )


@pytest.mark.parametrize(
    "text",
    [TEXT, INSIDE, RENAMED, DISGUISED],
    ids=["of the root", "passed on", "renamed", "disguised"],
)
@pytest.mark.parametrize("options", [[], ["-c"], ["-f", "chrome"], ["-f", "folded"]])
def test_a_log_tells_labels_apart(
    text: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(wat2wasm(text))
    shown = said(["trace", *options, "--stub-imports", "--invoke", "go()", str(path)], capsys)
    label = "primary" if text is TEXT else "secondary"
    assert f"{label}<wasi:keyvalue/store>#get" in shown


def test_only_the_label_that_was_called_counts_as_observed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = ((text, "secondary") for text in (INSIDE, RENAMED, DISGUISED))
    for text, called in (*inside, (TEXT, "primary")):
        path, log = tmp_path / "app.wasm", tmp_path / "log.jsonl"
        path.write_bytes(wat2wasm(text))
        said(["trace", "-o", str(log), "--stub-imports", "--invoke", "go()", str(path)], capsys)
        shown = said(["inspect", "--capabilities", "--trace-log", str(log), str(path)], capsys)
        rows = {line.split()[3]: line.split()[2] for line in shown.splitlines() if "implem" in line}
        assert rows["primary"] == str(int(called == "primary")), shown
        assert rows["secondary"] == str(int(called == "secondary")), shown


@pytest.mark.parametrize("text", [INSIDE, RENAMED, DISGUISED])
def test_a_component_inside_is_told_which_it_was_given(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(wat2wasm(text))
    rule = "wit:import:*#get:before"
    both = "secondary (implements wasi:keyvalue/store@0.2.0)"
    assert f"import {both}#get in c" in said(["info", rule, str(path)], capsys)
    shown = said(["-v", "inspect", "--capabilities", str(path)], capsys)
    assert "(from the host's secondary (implements wasi:keyvalue/store@0.2.0))" in shown
