"""However a guest ends and whatever it calls: each record arrives, or is counted as dropped."""

from __future__ import annotations

import resource
import struct
import sys
from typing import Any

import pytest
from wasmtime import ExitTrap, WasiConfig, WasmtimeError

from tests.weave import guests
from tests.weave.echo import LIBC
from tests.weave.host import Functions, Guest, Sink, everything, fixture, text, traced
from whamm_cm.agent.layout import BLOCK_HEADER, BLOCK_MAGIC
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, nothing
from whamm_cm.wit.types import FuncT, Prim

U32 = Prim("u32")
TICK = FuncT((("i", U32),), U32)
SAY = FuncT((("s", Prim("string")),), None)


class Refusal(Exception):
    """What the host raises in a call."""


def ticks(last: Any = lambda i: i) -> Functions:
    return Functions({("", "tick"): (TICK, lambda i: i + 1), ("", "last"): (TICK, last)})


def places(sink: Sink) -> list[tuple[str, str, str]]:
    return [(r["edge"], r["func"], r["phase"]) for r in sink.records]


def calls_of_go(n: int) -> list[tuple[str, str, str]]:
    return [("import", "tick", "call"), ("import", "tick", "return")] * n


# --- how a call ends


@pytest.mark.parametrize("flush_each", [False, True])
def test_a_normal_return_leaves_nothing_behind(flush_each: bool) -> None:
    guest, sink = traced(guests.TICKER, ticks(), flush_each=flush_each)
    for n in (0, 1, 50, 3000):
        before = len(sink.records)
        assert guest.call("go", n) == sum(range(1, n + 1))
        found = places(sink)[before:]
        assert found == [("export", "go", "call"), *calls_of_go(n), ("export", "go", "return")]
        assert [r["args"]["i"] for r in sink.records[before + 1 : -1 : 2]] == list(range(n))
        assert sink.finals[-1]


@pytest.mark.parametrize("n", [0, 1, 7, 2000])
def test_flush_each_loses_nothing_up_to_a_trap(n: int) -> None:
    guest, sink = traced(guests.TICKER, ticks(), flush_each=True)
    with pytest.raises(WasmtimeError, match="unreachable"):
        guest.call("crash", n)
    assert places(sink) == [("export", "crash", "call"), *calls_of_go(n)]


def test_without_flush_each_a_trap_costs_only_the_last_block() -> None:
    guest, sink = traced(guests.TICKER, ticks())
    with pytest.raises(WasmtimeError, match="unreachable"):
        guest.call("crash", 5000)
    whole = [("export", "crash", "call"), *calls_of_go(5000)]
    assert places(sink) == whole[: len(sink.records)]
    assert len(whole) - len(sink.records) < (48 << 10) // 20
    early = len(sink.finals) - sink.finals[::-1].index(True)
    assert all(sink.finals[:early]) and not any(sink.finals[early:])


@pytest.mark.parametrize("flush_each", [False, True])
def test_a_call_that_the_host_refuses_has_no_return(flush_each: bool) -> None:
    def refuse(i: int) -> int:
        raise Refusal

    guest, sink = traced(guests.TICKER, ticks(refuse), flush_each=flush_each)
    with pytest.raises(Refusal):
        guest.call("leave", 3)
    expected = [("export", "leave", "call"), *calls_of_go(3), ("import", "last", "call")]
    assert places(sink) == expected  # early on every call leaves before the host has it


def test_exit_inside_a_call() -> None:
    wasi = WasiConfig()
    wasi.argv = ["command", "one"]
    woven = weave(fixture("exit"), Plan(trace=everything, sink="host"))
    sink = Sink(woven)
    guest = Guest(woven.wasm, None, sink, wasi)
    with pytest.raises(ExitTrap) as ended:
        guest.call("wasi:cli/run@0.2.0#run")
    assert ended.value.code == 1
    assert [(r.get("interface"), r["func"], r["phase"]) for r in sink.records] == [
        ("wasi:cli/run", "run", "call"),
        ("wasi:cli/environment", "get-arguments", "call"),
        ("wasi:cli/environment", "get-arguments", "return"),
        ("wasi:cli/exit", "exit", "call"),
    ]
    assert sink.records[2]["result"] == ["command", "one"]
    assert sink.records[3]["args"] == {"status": {"error": None}}


def test_exit_reports_what_was_counted() -> None:
    woven = weave(fixture("exit"), Plan(count=everything, sink="host"))
    sink = Sink(woven)
    wasi = WasiConfig()
    wasi.argv = ["command"]
    with pytest.raises(ExitTrap):
        Guest(woven.wasm, None, sink, wasi).call("wasi:cli/run@0.2.0#run")
    assert {r["func"]: r["count"] for r in sink.records} == {
        "run": 1,
        "get-arguments": 1,
        "exit": 1,
    }


# --- where records cannot leave at once


@pytest.mark.parametrize("n", [100, 30_000, 100_000])
def test_dropped_records_are_counted_exactly(n: int) -> None:
    """In ``resource.rep`` nothing may be sent: the buffer grows to its limit, then counts."""
    guest, sink = traced(guests.REPS)
    assert guest.call("go", n) == 3 * n
    kept = [r for r in sink.records if r["phase"] in ("call", "return")]
    dropped = sum(r["lost"] for r in sink.records if r["phase"] == "lost")
    assert len(kept) + dropped == 2 * (n + 2)
    assert (dropped > 0) == (n > 25_000)
    assert len({r["call"] for r in kept if r["phase"] == "call"}) == sum(
        r["phase"] == "call" for r in kept
    )
    # Afterwards there is room again.
    before = len(sink.records)
    assert guest.call("go", 2) == 6
    assert len(sink.records) - before == 2 * (2 + 2)


def test_big_records_are_dropped_one_by_one_and_counted() -> None:
    """Strings of 12 KB in a guest that may send: nothing is dropped."""
    n, long = 200, "y" * 12_000
    functions = Functions({("", "tick"): (TICK, lambda i: i), ("", "say"): (SAY, lambda s: None)})
    guest, sink = traced(_sayer(), functions, max_string=1 << 20)
    guest.call("f", long, n)
    said = [r for r in sink.records if r["func"] == "say" and r["phase"] == "call"]
    assert [r["args"] for r in said] == [{"s": long}] * n
    assert not any(r["phase"] == "lost" for r in sink.records)
    assert len(sink.records) == 2 * n + 2


def _sayer() -> bytes:
    return text(
        f"""(component
  (import "say" (func $say (param "s" string)))
  {LIBC}
  (core func $say (canon lower (func $say) (memory $libc "memory")))
  (core module $m
    (import "" "say" (func $say (param i32 i32)))
    (func (export "f") (param $p i32) (param $len i32) (param $n i32)
      (loop $again
        (if (local.get $n) (then
          (call $say (local.get $p) (local.get $len))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $again))))))
  (core instance $m (instantiate $m (with "" (instance (export "say" (func $say))))))
  (func (export "f") (param "s" string) (param "n" u32) (canon lift (core func $m "f")
    (memory $libc "memory") (realloc (func $libc "realloc")))))"""
    )


@pytest.mark.parametrize("flush_each", [False, True])
def test_realloc_and_post_return_only_write_to_the_buffer(flush_each: bool) -> None:
    """Leaving the instance there would trap; the next call brings what post-return wrote."""
    guest, sink = traced(guests.POST_RETURN, flush_each=flush_each)
    guest.call("init")
    before = len(sink.records)
    for turn in range(3):
        assert guest.call("f", f"turn {turn}") == f"turn {turn}"
    rep = [
        ("builtin", "[resource-rep]resource", "call"),
        ("builtin", "[resource-rep]resource", "return"),
    ]
    once = [*rep, ("export", "f", "call"), ("export", "f", "return")]
    assert places(sink)[before:] == [*once, *rep, *once, *rep, *once]


def test_start_functions_are_recorded_before_any_export_is_called() -> None:
    functions = Functions({("", "tick"): (TICK, lambda i: i), ("", "say"): (SAY, lambda s: None)})
    lifted = '(func (export "f") (canon lift (core func $m "f")))'
    guest, sink = traced(text(guests.START % ("", lifted)), functions)
    guest.call("f")
    assert places(sink) == [
        ("import", "tick", "call"),
        ("import", "tick", "return"),
        ("import", "say", "call"),
        ("import", "say", "return"),
        ("export", "f", "call"),
        ("export", "f", "return"),
    ]
    assert sink.records[2]["args"] == {"s": "up and running"}


def test_a_component_that_only_has_a_start_function() -> None:
    functions = Functions({("", "tick"): (TICK, lambda i: i), ("", "say"): (SAY, lambda s: None)})
    _, sink = traced(text(guests.START % ("", "")), functions)
    assert places(sink) == [
        ("import", "tick", "call"),
        ("import", "tick", "return"),
        ("import", "say", "call"),
        ("import", "say", "return"),
    ]


def test_a_start_function_that_traps() -> None:
    functions = Functions({("", "tick"): (TICK, lambda i: i), ("", "say"): (SAY, lambda s: None)})
    lifted = '(func (export "f") (canon lift (core func $m "f")))'
    woven = weave(
        text(guests.START % ("unreachable", lifted)),
        Plan(trace=everything, sink="host", flush_each=True),
    )
    sink = Sink(woven)
    with pytest.raises(WasmtimeError, match="unreachable"):
        Guest(woven.wasm, functions, sink)
    assert len(sink.records) == 4


def test_a_destructor_that_runs_outside_any_call_into_its_component() -> None:
    guest, sink = traced(fixture("destructor"))
    assert guest.call("run") == 42
    added = [r for r in sink.records if r["func"] == "add" and r["phase"] == "call"]
    # each `add` is seen at the lower in $owner and at the lift in $log
    assert sorted(r["args"]["n"] for r in added) == [2, 2, 40, 40]
    assert {r["phase"] for r in sink.records} == {"call", "return"}
    assert sum(r["phase"] == "call" for r in sink.records) * 2 == len(sink.records)


def test_calls_four_components_deep_arrive_in_the_order_they_were_made() -> None:
    guest, sink = traced(guests.DEEP)
    assert guest.call("f", 39) == 42
    down = [("call", r["args"]["n"]) for r in sink.records if r["phase"] == "call"]
    assert down == [("call", 39)] * 7
    assert [r["phase"] for r in sink.records] == ["call"] * 7 + ["return"] * 7
    # lift and lower of $plus, three times (its definition serves an export, too), and $same
    edges = [*["export", "inner"] * 3, "inner"]
    assert [r["edge"] for r in sink.records] == [*edges, *reversed(edges)]
    assert [r["result"] for r in sink.records[7:]] == [39, 39, 40, 40, 41, 41, 42]
    assert len({r["instance"] for r in sink.records}) == 4


# --- how much


def test_without_a_sink_everything_runs_and_nothing_is_imported() -> None:
    woven = weave(guests.TICKER, Plan(trace=everything, sink="none"))
    assert b"whamm:cm/sink" not in woven.wasm
    guest = Guest(woven.wasm, ticks())
    assert guest.call("go", 50_000) == sum(range(1, 50_001)) % (1 << 32)


def tick(edge: str, interface: str, version: str | None, func: str) -> bool:
    return func == "tick"


def test_many_thousand_traced_calls_are_all_there() -> None:
    n = 50_000
    guest, sink = traced(guests.INNER_TICKER, trace=tick)
    assert guest.call("go", n) == n
    assert len(sink.records) == 2 * n
    assert [r["call"] for r in sink.records[::2]] == list(range(1, n + 1))
    assert [r["result"] for r in sink.records[1::2]] == list(range(1, n + 1))


def test_ten_million_counted_calls_are_counted_exactly() -> None:
    n = 10_000_000
    guest, sink = traced(guests.INNER_TICKER, trace=nothing, count=tick)
    before = _peak()
    assert guest.call("go", n) == n
    assert [(r["func"], r["count"]) for r in sink.records] == [("tock", n)]
    assert _peak() - before < 16 << 20


def test_ten_million_traced_calls_in_bounded_memory() -> None:
    """Two records of 20 bytes a call; the sink only looks at sizes."""
    n = 10_000_000
    woven = weave(guests.INNER_TICKER, Plan(trace=tick, sink="host"))
    sizes = Sizes(woven)
    guest = Guest(woven.wasm, None, sizes)
    guest.call("go", 100_000)
    before, had = _peak(), sizes.bytes
    assert guest.call("go", n) == n + 100_000
    assert sizes.bytes - had == 2 * 20 * n
    assert sizes.dropped == 0
    assert _peak() - before < 16 << 20


class Sizes(Sink):
    """Adds up the headers of blocks."""

    bytes = dropped = 0

    def emit(self, _store: object, block: str) -> int:
        magic, _, _, _, dropped, size = struct.unpack_from("<6I", block.encode("latin-1"))
        assert (magic, len(block)) == (BLOCK_MAGIC, BLOCK_HEADER + size)
        self.bytes += size
        self.dropped += dropped
        return 1


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
