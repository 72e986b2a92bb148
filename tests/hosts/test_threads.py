"""What needs switches of a host: tasks with several threads, and waits in a memory of 64 bits.

A new thread's context is empty (CanonicalABI.md, ``Thread``), and only its index leads to its task.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from tests.hosts.tools import need
from whamm_cm.cli.main import main

_FEATURES = (
    "component-model-async", "component-model-async-stackful", "component-model-threading",
    "component-model-more-async-builtins", "component-model-memory64", "memory64",
)  # fmt: skip
FLAGS = ["run", "-W", ",".join(f"{name}=y" for name in _FEATURES), "--invoke", "run()"]

#: Threads that call, keep something in their context, and return for their task.  {lift} and {wait}
#: say how the first thread waits for them.
THREADS = """(component
  (core module $libc (memory (export "mem") 1) (table (export "table") 4 funcref))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "table" (core table $table))
  (core type $start (func (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0"
    (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core func $new (canon thread.new-indirect $start (core table $table)))
  (core func $index (canon thread.index))
  (core func $go (canon thread.suspend-then-resume))
  (core func $later (canon thread.resume-later))
  (core func $return (canon task.return (result u32)))
  (core module $M
    (import "" "now" (func $now (result i64)))
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "index" (func $index (result i32)))
    (import "" "go" (func $go (param i32) (result i32)))
    (import "" "later" (func $later (param i32)))
    (import "" "return" (func $return (param i32)))
    (import "libc" "table" (table 4 funcref))
    (elem (i32.const 0) $quiet $keeper $returner)
    (global $main (mut i32) (i32.const 0))
    (func $quiet (param i32)
      (if (call $get) (then unreachable))
      (drop (call $now)))
    (func $keeper (param i32)
      (if (call $get) (then unreachable))
      (call $set (local.get 0))
      (drop (call $now))
      (if (i32.ne (call $get) (local.get 0)) (then unreachable)))
    (func $returner (param i32)
      (drop (call $now))
      (call $return (local.get 0)))
    (func $start (param i32)
      (call $later (call $new (local.get 0) (i32.add (local.get 0) (i32.const 5)))))
    (func (export "run") (result i32)
      (call $set (i32.const 77))
      (drop (call $now))
      (call $start (i32.const 0))
      (call $start (i32.const 1))
      (call $start (i32.const 0))
      (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (if (i32.ne (call $get) (i32.const 77)) (then unreachable))
      (drop (call $now))
      (call $start (i32.const 2))
      (i32.const 0))
    (func (export "stackful")
      (drop (call $now))
      (call $start (i32.const 1))
      (call $start (i32.const 2))))
  (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
    (export "now" (func $now)) (export "get" (func $get)) (export "set" (func $set))
    (export "new" (func $new)) (export "index" (func $index)) (export "go" (func $go))
    (export "later" (func $later)) (export "return" (func $return))))))
  (func (export "run") async (result u32) (canon lift (core func $m {lift}))))"""

#: Two tasks of a component whose waits have an address of 64 bits.
WIDE = """(component
  (component $C
    (core func $return (canon task.return))
    (core module $M
      (import "" "return" (func $return))
      (func (export "slow") (param i64) (result i32) (i32.const 1))
      (func (export "callback") (param i32 i32 i32) (result i32) (call $return) (i32.const 0)))
    (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
    (func (export "slow") async (param "n" u64)
      (canon lift (core func $m "slow") async (callback (core func $m "callback")))))
  (component $D
    (import "slow" (func $slow async (param "n" u64)))
    (core module $Memory (memory (export "mem") i64 1))
    (core instance $memory (instantiate $Memory))
    (core func $slow' (canon lower (func $slow) async (memory (core memory $memory "mem"))))
    (core func $new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "mem"))))
    (core func $poll (canon waitable-set.poll (memory (core memory $memory "mem"))))
    (core module $M
      (import "" "slow" (func $slow (param i64) (result i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "wait" (func $wait (param i32 i64) (result i32)))
      (import "" "poll" (func $poll (param i32 i64) (result i32)))
      (func (export "run") (result i32) (local $set i32)
        (local.set $set (call $new))
        (if (call $poll (local.get $set) (i64.const 64)) (then unreachable))
        (call $join (i32.shr_u (call $slow (i64.const 7)) (i32.const 4)) (local.get $set))
        (call $join (i32.shr_u (call $slow (i64.const 8)) (i32.const 4)) (local.get $set))
        (drop (call $wait (local.get $set) (i64.const 64)))
        (drop (call $wait (local.get $set) (i64.const 64)))
        (i32.const 5)))
    (core instance $m (instantiate $M (with "" (instance (export "slow" (func $slow'))
      (export "new" (func $new)) (export "join" (func $join)) (export "wait" (func $wait))
      (export "poll" (func $poll))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "slow" (func $c "slow"))))
  (func (export "run") (alias export $d "run")))"""


def records(text: str, result: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """The log of a component that runs as before."""
    [host] = need("wasmtime")
    wasm, log = folder / "guest.wasm", folder / "log.jsonl"
    wasm.write_bytes(wasmtime.wat2wasm(text))
    command = [host, *FLAGS, str(wasm)]
    before = subprocess.run(command, capture_output=True, text=True, check=True)
    assert before.stdout.strip() == result
    assert main(["trace", *options, "-o", str(log), "--", *command]) == 0
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [one for one in found if one["phase"] == "lost"]
    return found


@pytest.mark.parametrize("options", [(), ("--no-multi-memory",), ("-e", "trace=all,%async")])
@pytest.mark.parametrize("lift", ["callback", "stackful"])
def test_what_threads_do_is_of_the_task_that_made_them(
    lift: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    how = {"callback": '"run") async (callback (core func $m "callback"))',
           "stackful": '"stackful") async'}  # fmt: skip
    found = records(THREADS.replace("{lift})", how[lift]), "7", tmp_path, *options)
    own = [one for one in found if "func" in one and one["func"] != "thread.index"]
    assert {one.get("task") for one in own} == {1}
    calls = [one for one in own if (one["func"], one["phase"]) == ("now", "call")]
    assert len(calls) == {"callback": 6, "stackful": 3}[lift]
    [answer] = [one for one in own if (one["func"], one["phase"]) == ("run", "return")]
    assert answer["result"] == 7


@pytest.mark.parametrize("options", [(), ("--no-multi-memory",)])
def test_events_are_read_where_an_address_has_64_bits(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    found = records(WIDE, "5", tmp_path, *options)
    mine = [r for r in found if r.get("component") == "D" and r.get("func") == "slow"]
    over = {r["call"] for r in mine if r["phase"] == "return" and not r.get("pending")}
    assert over == {r["call"] for r in mine if r["phase"] == "call"} and len(over) == 2
