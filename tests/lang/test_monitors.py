"""The ready monitors count the same things where they count the same things."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import path_of
from fixtures.listener import greeter
from tests.lang.monitor_runs import COMMAND, Row, numbers, rows, run
from whamm_cm.cli.main import main
from whamm_cm.lang.events import CATEGORIES
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.lang.load import load
from whamm_cm.lang.valtypes import I32
from whamm_cm.monitors import monitors
from whamm_cm.weave.api import weave
from whamm_cm.weave.listing import list_sites, open_input
from whamm_cm.weave.plan import Plan, ScriptPlan

CACHE = LibSignature("cache", {"check_access": LibFunction((I32, I32), I32)})

#: A core module with what the component does not have: recursion, a table, a select, bulk memory.
CORE = """(module $sample
  (memory 1) (table funcref (elem $leaf $leaf))
  (func $leaf (param i32) (result i32) local.get 0 i32.const 3 i32.and)
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then local.get 0)
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "_start") (local i32)
    (loop
      (i32.store8 (local.get 0) (call_indirect (param i32) (result i32) (local.get 0)
        (i32.and (local.get 0) (i32.const 1))))
      (br_if 0 (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 5))))
    (block (block (br_table 0 1 (i32.load8_u (i32.const 2)))))
    (drop (select (i32.const 1) (i32.const 2) (local.get 0)))
    (memory.fill (i32.const 64) (i32.const 1) (i32.const 32))
    (drop (call $fib (i32.const 6)))))"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("core") / "sample.wasm"
    path.write_bytes(wasmtime.wat2wasm(CORE))
    return path


Sample = tuple[Path, Path]


@pytest.fixture(scope="module", params=["component", "module"])
def sample(
    request: pytest.FixtureRequest, core: Path, tmp_path_factory: pytest.TempPathFactory
) -> Sample:
    """(folder, input)."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, COMMAND if request.param == "component" else core


@pytest.fixture(scope="module")
def hotness(sample: Sample) -> list[Row]:
    return rows(sample[0], "-m", "hotness", app=sample[1])


def where(row: Row) -> tuple[str, str, str]:
    return row.module, row.fid, row.pc


# --- the scripts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", monitors())
def test_each_says_first_what_it_shows(name: str) -> None:
    first = monitors()[name].partition("\n")[0]
    assert re.fullmatch(rf"// {name}: [^.]+\.", first)


@pytest.mark.parametrize("name", monitors())
def test_each_is_checked_without_a_warning(name: str) -> None:
    scripts = load([(f"{name}.mm", monitors()[name])], {"cache": CACHE})
    assert scripts.warnings == ()
    assert scripts.probes or scripts.wit_rules


# --- numbers that must agree ---------------------------------------------------------------------


def test_instructions_are_counted_alike(sample: Sample, hotness: list[Row]) -> None:
    folder, app = sample
    (total,) = numbers(rows(folder, "-m", "icount", app=app), "instructions")
    mix = rows(folder, "-m", "imix", app=app)
    stacks = run(folder, "folded", "-m", "flame", app=app)
    assert total > 100
    assert sum(numbers(hotness, "count")) == total
    assert sum(int(row.value) for row in mix) == total
    assert sum(int(line.rpartition(" ")[2]) for line in stacks.splitlines()) == total


def test_every_category_is_counted(sample: Sample) -> None:
    found = [row.variable for row in rows(sample[0], "-m", "imix", app=sample[1])]
    assert found == ["constant" if name == "const" else name for name in CATEGORIES]


def test_several_monitors_at_once_count_as_alone(sample: Sample, hotness: list[Row]) -> None:
    folder, app = sample
    both = rows(folder, "-m", "icount", "-m", "hotness", "-m", "flame", app=app)
    total = sum(numbers(hotness, "count"))
    assert numbers([row for row in both if not row.key], "instructions") == [total]
    assert numbers(both, "count") == numbers(hotness, "count")


def test_coverage_is_what_was_executed(sample: Sample, hotness: list[Row]) -> None:
    found = rows(sample[0], "-m", "coverage", app=sample[1])
    covered = {where(row) for row in found if row.value == "true"}
    assert covered == {where(row) for row in hotness if int(row.value)}
    assert len(found) == len(hotness) > len(covered)


def test_calls_are_the_edges_of_the_call_graph(sample: Sample) -> None:
    folder, app = sample
    calls = rows(folder, "-m", "calls", app=app)
    edges = rows(folder, "-m", "call-graph", app=app)
    total = sum(numbers(calls, "count"))
    assert total == sum(numbers(edges, "edges")) > 10
    assert sum(sum(numbers(calls, name)) for name in ("direct", "imported", "indirect")) == total
    callers = Counter[str]()
    for row in edges:
        callers[row.key.split(",")[0].strip("(")] += int(row.value)
    sites = Counter[str]()
    for row in calls:
        if row.variable == "count" and int(row.value):
            sites[row.fid] += int(row.value)
    assert callers == sites


def test_basic_blocks_and_loops_run_as_often_as_their_instructions(
    sample: Sample, hotness: list[Row]
) -> None:
    folder, app = sample
    executed = {where(row): int(row.value) for row in hotness}
    loops = rows(folder, "-m", "loops", app=app)
    for row in loops:
        if row.variable == "entries":
            assert int(row.value) == executed[where(row)]
    assert sum(numbers(loops, "iterations")) > sum(numbers(loops, "entries")) > 0
    blocks = rows(folder, "-m", "basic-blocks", app=app)
    assert max(numbers(blocks, "count")) == max(executed.values())


def test_branches_are_reached_as_often_as_executed(sample: Sample, hotness: list[Row]) -> None:
    executed = {where(row): int(row.value) for row in hotness}
    found = rows(sample[0], "-m", "branches", app=sample[1])
    totals = {where(row): int(row.value) for row in found if row.variable == "total"}
    taken = {where(row): int(row.value) for row in found if row.variable == "taken"}
    assert totals and totals.keys() == taken.keys()
    for place, total in totals.items():
        assert total == executed[place] >= taken[place]


def test_memory_accesses_are_the_loads_and_stores(sample: Sample) -> None:
    folder, app = sample
    found = rows(folder, "-m", "memory", app=app)
    mix = {row.variable: int(row.value) for row in rows(folder, "-m", "imix", app=app)}
    (reads,), (writes,) = numbers(found, "reads"), numbers(found, "writes")
    (bulk,) = numbers(found, "bulk")
    assert (reads, writes) == (mix["load"], mix["store"])
    assert sum(numbers(found, "count")) == reads + writes + bulk


# --- numbers that are known ----------------------------------------------------------------------


def test_a_module_whose_counts_are_known(core: Path, tmp_path: Path) -> None:
    calls = {r.variable: r.value for r in rows(tmp_path, "-m", "calls", app=core) if not r.pc}
    assert calls == {"direct": "25", "imported": "0", "indirect": "5"}  # fib(6) takes 25 calls
    edges = {r.key: r.value for r in rows(tmp_path, "-m", "call-graph", app=core)}
    assert edges == {
        "(2, , 0, leaf)": "5", "(2, , 1, fib)": "1", "(1, fib, 1, fib)": "24",
    }  # fmt: skip
    loops = rows(tmp_path, "-m", "loops", app=core)
    assert (numbers(loops, "entries"), numbers(loops, "iterations")) == ([1], [5])
    found = rows(tmp_path, "-m", "branches", app=core)
    assert [(r.key, r.value) for r in found if r.variable == "targets_taken"] == [("1", "1")]
    assert (numbers(found, "selected_first"), numbers(found, "selects")) == ([1], [1])
    memory = {r.variable: r.value for r in rows(tmp_path, "-m", "memory", app=core) if not r.pc}
    assert memory == {
        "reads": "1", "bytes_read": "1", "writes": "5", "bytes_written": "5", "bulk": "1",
        "bytes_bulk": "32",
    }  # fmt: skip


def test_the_flame_graph_has_the_stacks(core: Path, tmp_path: Path) -> None:
    lines = run(tmp_path, "folded", "-m", "flame", app=core).splitlines()
    stacks = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines}
    assert stacks["#2;leaf"] == 5 * 4
    deepest = "#2" + ";fib" * 6
    assert deepest in stacks and deepest + ";fib" not in stacks
    document = json.loads(run(tmp_path, "speedscope", "-m", "flame", app=core))
    (profile,) = document["profiles"]
    assert profile["type"] == "sampled" and profile["endValue"] == sum(stacks.values())
    names = [frame["name"] for frame in document["shared"]["frames"]]
    shown = {
        ";".join(names[frame] for frame in sample): weight
        for sample, weight in zip(profile["samples"], profile["weights"], strict=True)
    }
    assert shown == stacks


def test_the_cache_simulator_sees_every_access(core: Path, tmp_path: Path) -> None:
    library = f"cache={path_of('cache_sim')}"
    found = rows(tmp_path, "-m", "cache-sim", "--lib", library, app=core)
    assert sum(numbers(found, "hits")) + sum(numbers(found, "misses")) == 6
    assert sum(numbers(found, "misses")) == 1  # all bytes are in one line


# --- boundaries ----------------------------------------------------------------------------------


def test_capabilities_are_the_calls_that_are_traced(tmp_path: Path) -> None:
    counted = {r.function: int(r.value) for r in rows(tmp_path, "-m", "capabilities")}
    log = run(tmp_path, "jsonl", "-e", "trace=all")
    traced = Counter[str]()
    for line in log.splitlines():
        record = json.loads(line)
        if record["phase"] == "call" and record["edge"] == "import":
            version = f"@{record['version']}" if record.get("version") else ""
            traced[f"{record['interface']}{version}#{record['func']}"] += 1
    assert {name: count for name, count in counted.items() if count} == traced


def test_files_are_logged(tmp_path: Path) -> None:
    said = run(tmp_path, "strace", "-m", "files")
    assert said.splitlines() == [
        "open note.txt", "open scratch.tmp", "open note.txt",
        "descriptor.unlink-file-at scratch.tmp",
    ]  # fmt: skip
    opened = {r.key: r.value for r in rows(tmp_path, "-m", "files") if r.variable == "opened"}
    assert opened == {"note.txt": "2", "scratch.tmp": "1"}


def test_connects_are_logged(tmp_path: Path) -> None:
    with greeter() as address:
        words = (address,)
        said = run(tmp_path, "strace", "-m", "sockets", "--inherit-network", words=words)
        found = run(tmp_path, "csv", "-m", "sockets", "--inherit-network", words=words)
    host, _, port = address.partition(":")
    assert said.splitlines() == [f"connect to {host}:{port}"]
    key = f"({host.replace('.', ', ')}, {port})"
    lines = [line for line in found.splitlines() if ",connects," in line]
    assert len(lines) == 1 and lines[0].endswith(f'"{key}",1')


def test_what_fails_is_counted(tmp_path: Path) -> None:
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        said = run(
            tmp_path, "strace", "-m", "sockets", "--inherit-network", words=(address,), status=1
        )
    assert said.splitlines() == [f"connect to {address}", "tcp-socket.finish-connect failed"]


@pytest.mark.slow
def test_on_a_python_component(tmp_path: Path) -> None:
    """18 MB, in one compilation."""
    found = rows(tmp_path, "-m", "calls", "-m", "capabilities", app=path_of("py_command"))
    kinds = sum(sum(numbers(found, name)) for name in ("direct", "imported", "indirect"))
    assert sum(numbers(found, "count")) == kinds > 1000
    assert sum(numbers(found, "calls")) > 10


@pytest.mark.slow
def test_http_is_woven_into_a_handler(tmp_path: Path) -> None:
    output = tmp_path / "woven.wasm"
    app = str(path_of("py_http"))
    assert main(["-q", "instrument", "-m", "http", "-o", str(output), app]) == 0
    given = open_input(path_of("py_http").read_bytes(), "py_http")
    found = list_sites(ScriptPlan(load([("http.mm", monitors()["http"])])), given)
    matched = {site.rule for site in found.boundaries if not site.reason}
    assert len(matched) >= 2  # of those for WASI 0.2: it sends no requests of its own


def test_several_additions_in_one_body_all_count(tmp_path: Path) -> None:
    body = "report var n: u32; n++; n += 3; report var seen: bool; seen = true;"
    script = f"wasm:opcode:call:before {{ {body} }}"
    found = rows(tmp_path, "-e", script)
    calls = rows(tmp_path, "-e", "wasm:opcode:call:before { report var n: u32; n++; }")
    assert numbers(found, "n") == [4 * n for n in numbers(calls, "n")]
    seen = [row.value == "true" for row in found if row.variable == "seen"]
    assert seen == [n > 0 for n in numbers(calls, "n")]


def test_counters_are_exact_at_boundaries_and_functions(tmp_path: Path) -> None:
    """Counting a run of instructions at once is not to be seen from there."""
    script = """
        var executed: u64;
        wasm:opcode:*:before { executed++; }
        wasi:*#*:before|after { print("{} {}", func, executed); executed = 0; }
        wasm:func:entry { print("enter {} {}", fid, executed); }
        wasm:func:exit { print("leave {} {}", fid, executed); }
    """
    one_by_one = script + "wasm:opcode:nop:before { report var now: u64; now = executed; }"
    said = run(tmp_path, "strace", "-e", script)
    assert said.count("\n") > 20 and said == run(tmp_path, "strace", "-e", one_by_one)


#: As WASI 0.3 has them: names and parameters that the monitors look at.
OF_0_3 = """(component
  (import "wasi:http/types@0.3.0" (instance $http
    (export "request" (type $request (sub resource)))
    (export "response" (type $response (sub resource)))
    (export "[method]request.set-authority" (func (param "self" (borrow $request))
      (param "authority" (option string)) (result (result))))
    (export "[method]request.set-path-with-query" (func (param "self" (borrow $request))
      (param "path-with-query" (option string)) (result (result))))
    (export "[method]request.get-path-with-query" (func (param "self" (borrow $request))
      (result (option string))))
    (export "[method]response.get-status-code" (func (param "self" (borrow $response))
      (result u16)))
    (export "[method]response.set-status-code" (func (param "self" (borrow $response))
      (param "status-code" u16) (result (result))))))
  (import "wasi:sockets/types@0.3.0" (instance $sockets
    (type $v4' (record (field "port" u16) (field "address" (tuple u8 u8 u8 u8))))
    (export "ipv4-socket-address" (type $v4 (eq $v4')))
    (type $v6' (record (field "port" u16) (field "flow-info" u32)
      (field "address" (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $v6 (eq $v6')))
    (type $address' (variant (case "ipv4" $v4) (case "ipv6" $v6)))
    (export "ip-socket-address" (type $address (eq $address')))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[method]tcp-socket.bind" (func (param "self" (borrow $socket))
      (param "local-address" $address) (result (result))))
    (export "[method]tcp-socket.connect" (func async (param "self" (borrow $socket))
      (param "remote-address" $address) (result (result))))))
  (core module $Memory (memory (export "m") 1)
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $m (instantiate $Memory))
  (core func $a (canon lower (func $http "[method]request.set-authority") (memory $m "m")))
  (core func $b (canon lower (func $http "[method]request.set-path-with-query") (memory $m "m")))
  (core func $c (canon lower (func $http "[method]request.get-path-with-query") (memory $m "m")
    (realloc (func $m "r"))))
  (core func $d (canon lower (func $http "[method]response.get-status-code")))
  (core func $e (canon lower (func $http "[method]response.set-status-code")))
  (core func $f (canon lower (func $sockets "[method]tcp-socket.bind")))
  (core func $g (canon lower (func $sockets "[method]tcp-socket.connect") async (memory $m "m")))
  (core module $Main
    (import "" "a" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "b" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "c" (func (param i32 i32)))
    (import "" "d" (func (param i32) (result i32)))
    (import "" "e" (func (param i32 i32) (result i32)))
    (import "" "f" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
      (result i32)))
    (import "" "g" (func (param i32 i32) (result i32))))
  (core instance (instantiate $Main (with "" (instance
    (export "a" (func $a)) (export "b" (func $b)) (export "c" (func $c)) (export "d" (func $d))
    (export "e" (func $e)) (export "f" (func $f)) (export "g" (func $g)))))))"""


@pytest.mark.parametrize(("name", "count", "functions"), [("http", 5, 5), ("sockets", 5, 2)])
def test_what_wasi_0_3_calls_otherwise_is_seen(name: str, count: int, functions: int) -> None:
    """Each rule for it matches, and what it looks at is there."""
    wasm = bytes(wasmtime.wat2wasm(OF_0_3))
    plan = ScriptPlan(load([(name, monitors()[name])]))
    found = list_sites(plan, open_input(wasm, name)).boundaries
    assert len([site for site in found if not site.reason]) == count
    woven = weave(wasm, Plan(scripts=plan))
    assert woven.added.sites == functions and not woven.added.skipped
