"""WIT text: each case is a component's text and the WIT it is printed as."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.golden import check_golden
from tests.wit.support import resolve_text
from tests.wit.test_resolve import EXPORTS, LINKED, LOWERS, STREAMS
from whamm_cm.wit import types as t
from whamm_cm.wit.printer import func_text, handles_text, type_text, world_text

DATA = Path(__file__).parent / "data"

KINDS = """(component
  (import "types:demo/kinds@1.0.0-rc.1" (instance $i
    (type $color' (enum "red" "green"))           (export "color" (type $color (eq $color')))
    (type $perms' (flags "read" "write"))         (export "perms" (type $perms (eq $perms')))
    (type $shape' (variant (case "none") (case "dot" $color) (case "list" (list u8))))
    (export "shape" (type $shape (eq $shape')))
    (type $record' (record (field "type" string) (field "map" (map string $shape))))
    (export "record" (type $record (eq $record')))
    (type $bytes' (list u8 16))                   (export "bytes" (type $bytes (eq $bytes')))
    (type $id' u64)                               (export "id" (type $id (eq $id')))
    (export "id2" (type $id2 (eq $id)))
    (export "r" (type $r (sub resource)))
    (type $handle' (own $r))                      (export "handle" (type $handle (eq $handle')))
    (export "f" (func async (param "from" $record) (param "perms" $perms)
      (result (result (tuple $bytes $id2) (error (option $handle))))))
    (export "g" (func (param "s" (stream u8)) (param "t" (future)) (param "u" (stream))
      (param "v" (future (result))) (param "w" (list (borrow $r)))
      (result (result (error error-context)))))
    (export "[constructor]r" (func (param "a" char) (result (result (own $r)))))
    (export "[method]r.import" (func async (param "self" (borrow $r)) (result bool)))
    (export "[static]r.use" (func (param "x" f32) (param "y" f64) (result (result s8)))))))"""

PLAIN = """(component
  (import "types:demo/one" (instance $one (export "r" (type (sub resource)))))
  (alias export $one "r" (type $r))
  (import "point" (type $point' (sub resource)))
  (import "log" (func (param "a" (own $r)) (param "b" (borrow $point'))))
  (import "[method]point.x" (func (param "self" (borrow $point')) (result u32)))
  (import "inline" (instance
    (alias outer 1 $r (type $r'))
    (export "s" (type $s (eq $r')))
    (export "f" (func (result (own $s))))))
  (import "[async]old" (func $old))
  (import "c" (component))
  (export "run" (func $old))
  (export "also" (instance $one)))"""

IMPLEMENTS = """(component
  (import "primary" (implements "wasi:keyvalue/store@0.2.0")
    (instance $a (export "get" (func (result string)))))
  (import "secondary" (implements "wasi:keyvalue/store@0.2.0")
    (instance (export "get" (func (result string))) (export "set" (func))))
  (export "wasi:keyvalue/store@0.2.0" (instance $a)))"""

CASES = {
    "empty": "(component)",
    "streams": f"(component {STREAMS})",
    "lowers": LOWERS,
    "exports": EXPORTS,
    "linked": LINKED,
    "kinds": KINDS,
    "plain": PLAIN,
    "implements": IMPLEMENTS,
}


@pytest.mark.parametrize("name", CASES)
def test_world_text(name: str) -> None:
    check_golden(DATA / f"{name}.wit", world_text(resolve_text(CASES[name]).world))


def wasm_tools() -> str:
    found = shutil.which("wasm-tools") or os.path.expanduser("~/.cargo/bin/wasm-tools")
    if not os.access(found, os.X_OK):
        pytest.skip("wasm-tools is not installed")
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_wasm_tools_reads_what_we_print(name: str, tmp_path: Path) -> None:
    """It prints the same text again, but for our comments."""
    text = world_text(resolve_text(CASES[name]).world)
    path = tmp_path / "world.wit"
    path.write_text(text)
    command = [wasm_tools(), "component", "wit", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in text.splitlines() if not line.strip().startswith("//")]
    assert sorted(done.stdout.split()) == sorted("\n".join(lines).split())


def test_short_texts() -> None:
    r = t.Resource("r", "a:b/c")
    inner = t.ResultT(t.TupleT((t.Own(r), t.Borrow(r))), t.Named("e", None, t.EnumT(("x",))))
    assert type_text(inner) == "result<tuple<r, borrow<r>>, e>"
    assert type_text(t.RecordT((("a", t.Prim("u8")),))) == "record"
    func = t.FuncT((("list", t.ListT(inner, 3)),), t.OptionT(t.Prim("u8")), True)
    expected = "async func(%list: list<result<tuple<r, borrow<r>>, e>, 3>) -> option<u8>"
    assert func_text(func) == expected


def test_own_handles_are_spelled_out_for_those_who_ask() -> None:
    file = t.Resource("file")
    func = t.FuncT((("self", t.Own(file)), ("to", t.Borrow(file))), t.ListT(t.Own(file)))
    assert func_text(func) == "func(self: file, to: borrow<file>) -> list<file>"
    assert handles_text(func) == "func(self: own<file>, to: borrow<file>) -> list<own<file>>"
