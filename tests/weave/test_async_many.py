"""Ten thousand tasks at once in one instance, and as many calls that are due in another.

Each has a number of its own in its context.  A third is let go, a third is cancelled, and a third
stays as it is.
"""

from __future__ import annotations

from collections import Counter

import pytest
from wasmtime import wat2wasm

from tests.async_programs.running import run
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import DEFAULT, SiteSet

COUNT = 9999
TEXT = f"""(component
  (import "journal" (func $journal (param "n" u32)))
  (component $C
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core func $return (canon task.return (result u32)))
    (core func $cancel (canon task.cancel))
    (core func $new (canon waitable-set.new))
    (core module $M
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "return" (func $return (param i32)))
      (import "" "cancel" (func $cancel))
      (import "" "new" (func $new (result i32)))
      (global $set-of-all (mut i32) (i32.const 0))
      ;; a task whose number is a multiple of three yields and returns; others wait for nothing
      (func (export "slow") (param i32) (result i32)
        (if (call $get) (then unreachable))
        (call $set (i32.mul (local.get 0) (i32.const 0x10001)))
        (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 3))) (then (return (i32.const 1))))
        (if (i32.eqz (global.get $set-of-all)) (then (global.set $set-of-all (call $new))))
        (i32.or (i32.const 2) (i32.shl (global.get $set-of-all) (i32.const 4))))
      (func (export "callback") (param i32 i32 i32) (result i32)
        (if (i32.eq (local.get 0) (i32.const 6)) (then (call $cancel) (return (i32.const 0))))
        (call $return (i32.div_u (call $get) (i32.const 0x10001)))
        (i32.const 0)))
    (core instance $m (instantiate $M (with "" (instance
      (export "get" (func $get)) (export "set" (func $set)) (export "return" (func $return))
      (export "cancel" (func $cancel)) (export "new" (func $new))))))
    (func (export "slow") async (param "n" u32) (result u32)
      (canon lift (core func $m "slow") async (callback (func $m "callback")))))
  (component $D
    (import "slow" (func $slow async (param "n" u32) (result u32)))
    (core module $Memory (memory (export "mem") 8))
    (core instance $memory (instantiate $Memory))
    (core func $slow' (canon lower (func $slow) async (memory $memory "mem")))
    (core func $cancel (canon subtask.cancel))
    (core func $drop (canon subtask.drop))
    (core func $new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $wait (canon waitable-set.wait (memory $memory "mem")))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "slow" (func $slow (param i32 i32) (result i32)))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (func $at (param i32) (result i32)
        (i32.add (i32.const 1024) (i32.shl (local.get 0) (i32.const 3))))
      (func (export "run") (param i32 i32) (result i32)
        (local $n i32) (local $set i32) (local $handle i32) (local $open i32)
        (local.set $set (call $new))
        (loop $calls
          (local.set $handle (i32.shr_u
            (call $slow (local.get $n) (call $at (local.get $n))) (i32.const 4)))
          (i32.store offset=4 (call $at (local.get $n)) (local.get $handle))
          (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 3))) (then
            (local.set $open (i32.add (local.get $open) (i32.const 1)))
            (call $join (local.get $handle) (local.get $set))))
          (br_if $calls (i32.lt_u
            (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {COUNT}))))
        (local.set $n (i32.const 1))
        (loop $cancels
          (local.set $handle (i32.load offset=4 (call $at (local.get $n))))
          (if (i32.ne (call $cancel (local.get $handle)) (i32.const 4)) (then unreachable))
          (call $drop (local.get $handle))
          (br_if $cancels (i32.lt_u
            (local.tee $n (i32.add (local.get $n) (i32.const 3))) (i32.const {COUNT}))))
        (loop $waits
          (if (i32.ne (call $wait (local.get $set) (i32.const 16)) (i32.const 1))
            (then unreachable))
          (if (i32.eq (i32.load (i32.const 20)) (i32.const 2)) (then
            (call $drop (i32.load (i32.const 16)))
            (local.set $open (i32.sub (local.get $open) (i32.const 1)))))
          (br_if $waits (local.get $open)))
        (i32.load (call $at (i32.const {COUNT - 3})))))
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $memory "mem")) (export "slow" (func $slow'))
      (export "cancel" (func $cancel)) (export "drop" (func $drop)) (export "new" (func $new))
      (export "join" (func $join)) (export "wait" (func $wait))))))
    (func (export "run") async (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "slow" (func $c "slow"))))
  (func (export "run") (alias export $d "run")))"""


@pytest.mark.parametrize("multi_memory", [True, False], ids=["multi-memory", "one-memory"])
def test_ten_thousand_tasks_are_told_apart(multi_memory: bool) -> None:
    plan = Plan(
        trace=SiteSet.parse(DEFAULT), sink="host", live=True, timed=True, multi_memory=multi_memory
    )
    woven = weave(bytes(wat2wasm(TEXT)), plan)
    ran = run(woven.wasm, (0,), lambda *_: None)
    assert ran.ends == [("u32", COUNT - 3)]
    receiver = Receiver(SiteTable.parse(woven.table))
    records = [r for block in ran.blocks for r in receiver.receive(block).records]
    calls = [r for r in records if r["phase"] == "call" and r["func"] == "slow"]
    mine = [r for r in calls if r["component"] == "C"]
    tasks = {r["args"]["n"]: r["task"] for r in mine}
    assert tasks == {n: n + 1 for n in range(COUNT)}
    numbers = {(r["component"], r["call"]): r["args"]["n"] for r in calls}
    ends = Counter[tuple[str, str]]()
    for one in records:
        if one.get("func") != "slow" or one["phase"] not in ("return", "exit"):
            continue
        n = numbers[one["component"], one["call"]]
        if one["component"] == "C":
            assert one["task"] == tasks[n]
        if one.get("pending"):
            continue
        kind = one["phase"] if one["phase"] == "exit" else one.get("cancelled", "result")
        ends[one["component"], kind] += 1
        if kind == "result":
            assert one["result"] == n and n % 3 == 0
        elif kind == "before-returned":
            assert n % 3 == 1
    third = COUNT // 3
    assert ends == {
        ("C", "result"): third, ("C", "before-returned"): third, ("C", "exit"): 2 * third,
        ("D", "result"): third, ("D", "before-returned"): third,
    }  # fmt: skip
