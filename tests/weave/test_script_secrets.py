"""What scripts see of secrets: stars, as many as there are bytes, whatever they do with them."""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import wat2wasm

from whamm_cm import Run, load

SECRET = "S3cretValue-äö"
STARS = "*" * len(SECRET.encode())
GUEST = """
(component
  (import "wasi:cli/environment@0.2.0" (instance $env
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $libc (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (memory.copy (local.get $at) (local.get 0) (local.get 1))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $env "get-environment") string-encoding=%s
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m (import "e" "get" (func $get (param i32)))
    (func (export "run") (result i32) (call $get (i32.const 16)) (i32.const 0)))
  (core instance $i (instantiate $m (with "e" (instance (export "get" (func $get))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $r (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $r)))
"""
SCRIPT = """
report var last: str; report var seen: map<str, u32>; report var pairs: map<(u32, str), u32>;
report var size: u32; report var same: bool;
fn keep(text: str) { last = text; seen[text]++; }
wasi:cli/environment#get-environment:after {
    print("{} is {}", result[0].0, result[0].1);
    keep(result[0].1);
    pairs[(1, result[0].1)]++;
    size = result[0].1.len();
    same = result[0].1.starts_with("S3");
}
"""


def traced(script: str, encoding: str = "utf8", **wishes: Any) -> Run:
    app = load(bytes(wat2wasm(GUEST % encoding)))
    return app.trace(scripts=script, env={"TOKEN": SECRET}, **wishes)


def values(run: Run) -> dict[str, Any]:
    return {cell.row.var: cell.value for cell in run.reports}


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
@pytest.mark.parametrize("trace", [None, "%env"])
def test_a_secret_is_stars_to_a_script(
    encoding: str, multi_memory: bool, trace: str | None
) -> None:
    run = traced(SCRIPT, encoding, multi_memory=multi_memory, trace=trace)
    assert SECRET not in repr(run.records) and "S3cret" not in repr(run.records)
    (line,) = [record["text"] for record in run.records if record["phase"] == "print"]
    assert line == f"TOKEN is {STARS}"
    found = values(run)
    assert (found["last"], found["size"], found["same"]) == (STARS, len(STARS), False)
    assert list(found["seen"]) == [[STARS, 1]] and list(found["pairs"]) == [[[1, STARS], 1]]


def test_on_request_it_is_not() -> None:
    run = traced(SCRIPT, show_secrets=True)
    assert values(run)["last"] == SECRET and values(run)["same"] is True


def test_what_is_no_secret_place_is_seen() -> None:
    rule = "wasi:cli/environment#get-environment:after"
    run = traced(f"report var name: str; {rule} {{ name = result[0].0; }}")
    assert values(run)["name"] == "TOKEN"


ASYNC = """
(component
  (core module $libc (memory (export "memory") 1) (data (i32.const 64) "TopSecretText"))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return (result string) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "return" (func $return (param i32 i32)))
    (func (export "get") (result i32)
      (call $return (i32.const 64) (i32.const 13)) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
  (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func $get async (result string) (canon lift (core func $m "get") async
    (callback (core func $m "callback")) (memory (core memory $libc "memory"))))
  (instance $store (export "get" (func $get)))
  (export "%s" (instance $store)))
"""


@pytest.mark.parametrize(
    ("interface", "hidden"), [("wasi:config/store@0.2.0", True), ("my:own/store@0.2.0", False)]
)
def test_what_an_async_export_returns_is_a_secret_at_its_task_return(
    interface: str, hidden: bool
) -> None:
    script = f"report var last: str; wit:export:{interface}#get:after {{ last = result; }}"
    app = load(bytes(wat2wasm(ASYNC % interface)))
    run = app.trace(scripts=script, trace="*", invoke=f"{interface}#get()")
    assert run.result == '"TopSecretText"'
    assert values(run)["last"] == ("*" * 13 if hidden else "TopSecretText")
    assert ("TopSecretText" in repr(run.records)) is not hidden
    (returned,) = [call.result for call in run.calls if call.site.func == "get"]
    assert returned == ({"~redacted": 13} if hidden else "TopSecretText")
