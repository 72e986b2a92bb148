"""Originals this wasmtime lacks something for: woven for the hosts that do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from whamm_cm.cli.main import main
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode

_MODULE = """
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f")))"""
LACKING = {
    "error-context": f"(component {_MODULE} (type error-context))",
    "fixed-length lists": f'(component {_MODULE} (type $l (list u8 4)) (export "l" (type $l)))',
    "component imports": f'(component (import "c" (component)) {_MODULE})',
    "component exports": f'(component {_MODULE} (component $c) (export "c" (component $c)))',
    "nested namespaces": f'(component (import "a:b:c:d/e" (instance)) {_MODULE})',
    "nested packages": f'(component (component (import "a:b/c/d@1.0.0" (func))) {_MODULE})',
    "nested dependencies": f"""(component {_MODULE}
      (component (import "unlocked-dep=<a:b:c/d@*>" (func))))""",
    "the second slot of a context": f"(component {_MODULE} (core func (canon context.get i32 1)))",
}
_SINKS = ("stderr", "logging", "host", "none")


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "app.wasm"
    path.write_bytes(wat2wasm(text))
    return str(path)


@pytest.mark.parametrize("sink", _SINKS)
@pytest.mark.parametrize("text", LACKING.values(), ids=LACKING.keys())
def test_it_is_woven_and_said(
    text: str, sink: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, out = _file(tmp_path, text), tmp_path / "out.wasm"
    traced = "*,%async"
    words = ("instrument", "--sink", sink, "--trace", traced, "--json", "-o", str(out), app)
    assert main(words) == 0
    said = capsys.readouterr()
    assert "not validated here" in said.err
    facts = json.loads(said.out)
    assert (facts["sites"], facts["validated"]) == (1 + text.count("canon context"), False)
    assert check(decode(out.read_bytes())) == []


def test_what_can_be_validated_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, out = _file(tmp_path, f"(component {_MODULE})"), tmp_path / "out.wasm"
    assert main(("instrument", "--trace", "*", "--json", "-o", str(out), app)) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["validated"] is True
    assert "validated" not in said.err


def test_an_invalid_original_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _MODULE.replace("result u32", "result u64")
    app, out = _file(tmp_path, f"(component {text})"), tmp_path / "out.wasm"
    assert main(("instrument", "--trace", "*", "-o", str(out), app)) == 3
    assert "app.wasm is not valid on this wasmtime" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["a:b", "a:b:c", "a:b/", "a:b:c/d/", "locked-dep=<a:b/c/>"])
def test_a_name_that_is_none_is_no_lack(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = wat2wasm(f'(component (import "{"n" * len(name)}" (instance)) {_MODULE})')
    app = tmp_path / "app.wasm"
    app.write_bytes(bytes(plain).replace(b"n" * len(name), name.encode(), 1))
    assert main(("instrument", "--trace", "*", "-o", str(tmp_path / "out.wasm"), str(app))) == 3
    assert "app.wasm is not valid" in capsys.readouterr().err


def test_any_command_can_run_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app = _file(tmp_path, LACKING["error-context"])
    host = "import sys; data = open(sys.argv[1], 'rb').read(); print(b'whamm-cm' in data)"
    assert main(("trace", "--", sys.executable, "-c", host, app)) == 0
    said = capfd.readouterr()
    assert said.out == "True\n"
    assert "not validated here" in said.err


def test_the_embedded_engine_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = _file(tmp_path, LACKING["error-context"])
    assert main(("trace", "--invoke", "f()", app)) == 2
    assert "the embedded engine refuses the component" in capsys.readouterr().err


def test_a_core_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exceptions of the older kind, which nothing here can switch on."""
    text = '(module (func (export "f") try nop catch_all nop end) (memory (export "memory") 1))'
    app, out = _file(tmp_path, text), tmp_path / "out.wasm"
    script = "report var n: i32; wasm:func:entry { n++; }"
    assert main(("instrument", "-e", script, "-o", str(out), app)) == 0
    assert "not validated here" in capsys.readouterr().err
