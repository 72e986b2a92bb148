"""Scripts at reads and writes of streams and futures: what was copied, once that is over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.weave.host import everything, text
from tests.weave.scripted import scripted

#: Reads that wait, of numbers, of a future and of nothing; then one whose other end is gone.
COPIES = """(component
  (type $numbers (stream u32))
  (type $later (future s64))
  (type $marks (stream))
  (core module $Memory (memory (export "mem") 1)
    (data (i32.const 48) "\\e8\\03\\00\\00\\07\\00\\00\\00")
    (data (i32.const 72) "\\fd\\ff\\ff\\ff\\ff\\ff\\ff\\ff"))
  (core instance $memory (instantiate $Memory))
  (core func $new (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory $memory "mem")))
  (core func $numbers (canon stream.new $numbers))
  (core func $read (canon stream.read $numbers async (memory $memory "mem")))
  (core func $write (canon stream.write $numbers async (memory $memory "mem")))
  (core func $close (canon stream.drop-writable $numbers))
  (core func $later (canon future.new $later))
  (core func $get (canon future.read $later async (memory $memory "mem")))
  (core func $put (canon future.write $later async (memory $memory "mem")))
  (core func $marks (canon stream.new $marks))
  (core func $see (canon stream.read $marks async))
  (core func $mark (canon stream.write $marks async))
  (core module $M
    (import "" "mem" (memory 1))
    (import "" "new" (func $new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "numbers" (func $numbers (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "close" (func $close (param i32)))
    (import "" "later" (func $later (result i64)))
    (import "" "get" (func $get (param i32 i32) (result i32)))
    (import "" "put" (func $put (param i32 i32) (result i32)))
    (import "" "marks" (func $marks (result i64)))
    (import "" "see" (func $see (param i32 i32 i32) (result i32)))
    (import "" "mark" (func $mark (param i32 i32 i32) (result i32)))
    (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
    (func $heard (param $it i32) (param $code i32) (param $packed i32)
      (local $set i32)
      (local.set $set (call $new))
      (call $join (local.get $it) (local.get $set))
      (call $is (call $wait (local.get $set) (i32.const 96)) (local.get $code))
      (call $is (i32.load (i32.const 100)) (local.get $packed))
      (call $join (local.get $it) (i32.const 0)))
    (func $low (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
    (func $high (param i64) (result i32)
      (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
    (func (export "run") (result i32)
      (local $both i64)
      (local.set $both (call $numbers))
      (call $is (call $read (call $low (local.get $both)) (i32.const 16) (i32.const 4))
        (i32.const -1))
      (call $is (call $write (call $high (local.get $both)) (i32.const 48) (i32.const 2))
        (i32.const 0x20))
      (call $heard (call $low (local.get $both)) (i32.const 2) (i32.const 0x20))
      (call $close (call $high (local.get $both)))
      (call $is (call $read (call $low (local.get $both)) (i32.const 16) (i32.const 4))
        (i32.const 1))
      (local.set $both (call $later))
      (call $is (call $get (call $low (local.get $both)) (i32.const 80)) (i32.const -1))
      (call $is (call $put (call $high (local.get $both)) (i32.const 72)) (i32.const 0))
      (call $heard (call $low (local.get $both)) (i32.const 4) (i32.const 0))
      (local.set $both (call $marks))
      (call $is (call $see (call $low (local.get $both)) (i32.const 0) (i32.const 9))
        (i32.const -1))
      (call $is (call $mark (call $high (local.get $both)) (i32.const 0) (i32.const 3))
        (i32.const 0x30))
      (call $heard (call $low (local.get $both)) (i32.const 2) (i32.const 0x30))
      (i32.load (i32.const 16))))
  (core instance $m (instantiate $M (with "" (instance
    (export "mem" (memory $memory "mem")) (export "new" (func $new)) (export "join" (func $join))
    (export "wait" (func $wait)) (export "numbers" (func $numbers)) (export "read" (func $read))
    (export "write" (func $write)) (export "close" (func $close)) (export "later" (func $later))
    (export "get" (func $get)) (export "put" (func $put)) (export "marks" (func $marks))
    (export "see" (func $see)) (export "mark" (func $mark))))))
  (func (export "run") async (result u32) (canon lift (core func $m "run"))))"""

plans = pytest.mark.parametrize(
    "plan",
    [{}, {"multi_memory": False}, {"trace": everything}, {"trace": everything, "timed": True}],
    ids=["alone", "one", "traced", "timed"],
)


@plans
def test_what_was_copied_is_there_when_the_copy_is_over(plan: dict[str, Any]) -> None:
    script = """
        wasm:stream:read|write { print("{} {} {} {}", func, outcome, count, task); }
        wasm:stream:* / elements[1] == 7 / { print("{} and {}", elements[0], len(elements)); }
        wasm:future:read|write { print("{} {} {}", func, outcome, elements[0]); }"""
    run = scripted(text(COPIES), script, **{"timed": False, **plan})
    assert run.call("run") == 1000
    assert run.printed == [
        "stream.write completed 2 1", "1000 and 2", "stream.read completed 2 1", "1000 and 2",
        "stream.read dropped 0 1", "future.write completed -3", "future.read completed -3",
        "stream.write completed 3 1", "stream.read completed 3 1",
    ]  # fmt: skip


@plans
def test_each_is_a_call_with_a_number_and_a_time(plan: dict[str, Any]) -> None:
    script = """
        report var calls: map<u64, u32>; report var handles: map<u32, u32>; report var later: u32;
        wasm:stream:read / elapsed > 0 / { calls[call_id]++; handles[stream]++; later++; }
        wasm:future:read { calls[call_id]++; }"""
    run = scripted(text(COPIES), script, **plan)
    run.call("run")
    calls = run.reported["calls"]
    assert len(calls) == 4 and set(calls.values()) == {1} and 0 not in calls
    assert sorted(run.reported["handles"].values()) == [1, 2] and run.reported["later"] == 3


def test_a_rule_of_boundaries_means_no_reads_and_writes() -> None:
    run = scripted(text(COPIES), 'wit:*:*#*:before { print("{}", func); }')
    run.call("run")
    assert run.printed == ["run"]


def test_streams_of_another_type_do_not_match() -> None:
    run = scripted(text(COPIES), 'wasm:stream:write { print("{}", elements[0] + 1); }')
    run.call("run")
    assert run.printed == ["1001"]
    assert ("wasm:stream:write", "it has no elements", 1) in run.woven.added.unmatched


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('wasm:future:read { print("{}", text); }', '"text" is not known in'),
        ('wasm:stream:read / outcome == "lost" / { }', 'there is no case "lost"'),
        ("wasm:stream:read { count = 4; }", "cannot be assigned when the call is over"),
        ("wasm:stream:read { trace; }", "trace writes the record of a function's call"),
        ("wasm:stream:read(arg0: i32) { }", "events of wasm:stream have no operands to bound"),
        ("wasm:stream:peek { }", 'no event matches "peek"'),
    ],
)
def test_what_does_not_fit_is_refused(script: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        scripted(text(COPIES), script)
