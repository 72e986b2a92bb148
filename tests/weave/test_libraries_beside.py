"""Libraries that are components, in woven components: beside them, whoever calls and wherever
records go."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wasmtime import WasiConfig

from fixtures.build import build as build_fixture
from tests.agent.harness import NONCE
from tests.weave import guests
from tests.weave.host import Guest, Sink, everything, fixture, text
from tests.weave.libs import component_library, module_library, shown_scripts
from tests.weave.scripted import script_plan, scripted
from tests.weave.test_libraries_component import TEXTS
from tests.weave.test_script_boundaries import START, ticks
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.component.nodes import CoreInstantiate
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.supply import import_names

#: ``add`` sums up over the whole program; ``total`` says what it is at.
SUM = component_library(
    """(core module $m (global $n (mut i32) (i32.const 0))
      (func (export "add") (param i32) (result i32)
        (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
      (func (export "total") (result i64) (i64.extend_i32_u (global.get $n))))
    (core instance $m (instantiate $m))
    (func (export "add-up") (param "by" u32) (result u32) (canon lift (core func $m "add")))
    (func (export "total") (result u64) (canon lift (core func $m "total")))""",
    "sum",
)
CALLS = "wit:*:*#*:before { sum.add_up(1); }"


@pytest.mark.parametrize("plan", [{}, {"trace": everything}])
def test_boundary_probes_call_it(plan: dict[str, Any]) -> None:
    script = """use sum; use lib; use own;
        report var last: u32;
        wit:import:#tick:before / i > 0 / {
            last = sum.add_up(i);
            print("{} {} {}", last, lib.twice("<>"), lib.size("grüße", own.three() as u32));
        }"""
    own = module_library('(func (export "three") (result i32) (i32.const 3))', "own")
    run = scripted(guests.TICKER, script, functions=ticks(), libraries=[SUM, TEXTS, own], **plan)
    assert run.call("go", 3) == 6
    assert run.printed == ["1 <><> 10", "3 <><> 10"]
    assert run.reported == {"last": 3}


def test_opcode_probes_and_the_script_call_it() -> None:
    script = """use sum; use lib;
        var started: str = lib.twice("ab");
        fn sized(s: str) -> u32 { return lib.size(s, 1 as u32); }
        wasm:opcode:call:before {
            report unshared var n: u32;
            unshared var at: u32 = 5;
            @init sum.add_up(100);
            at = sum.add_up(sized("12") - 2);
            n = at;
        }
        wasm:report { print("{} {}", sum.total(), started); }"""
    run = scripted(guests.TICKER, script, functions=ticks(), libraries=[SUM, TEXTS])
    assert run.call("go", 3) == 6
    assert run.printed == ["103 abab"]


def test_one_instance_serves_every_component() -> None:
    """Components four deep and one definition instantiated twice; the library is there once."""
    script = f"""use sum; {CALLS} wasm:report {{ print("{{}}", sum.total()); }}"""
    run = scripted(fixture("nested"), script, libraries=[SUM])
    assert (run.call("left"), run.call("left"), run.call("right")) == (1, 2, 1)
    assert run.call("deep", 39) == 42
    assert len(set(run.printed)) > 3
    root = decode(run.woven.wasm)
    assert len([m for m in modules(root) if m.export("total") and not m.imports]) == 1
    calls = int(run.printed[-1])
    run.call("left")
    assert max(map(int, run.printed)) == calls + 1


def definitions(root: Component) -> list[Definition]:
    return [definition for component in walk(root) for definition in component.definitions]


def modules(root: Component) -> list[CoreModule]:
    return [d.node for d in definitions(root) if isinstance(d.node, CoreModule)]


def test_it_is_counted_with_what_is_added() -> None:
    woven = weave(
        guests.TICKER,
        Plan(sink="none", scripts=script_plan(f"use sum; {CALLS}", libraries=[SUM])),
    )
    instances = [d for d in definitions(woven.component) if isinstance(d.node, CoreInstantiate)]
    assert woven.added.core_modules == len(modules(woven.component)) - 1
    assert woven.added.core_instances >= len(instances) - 1


def test_without_a_sink_it_still_is_called() -> None:
    """What the probes compute comes back through the guest."""
    script = "use sum; wit:import:#tick:before { i = sum.add_up(10 as u32); }"
    plan = Plan(sink="none", scripts=script_plan(script, libraries=[SUM]))
    guest = Guest(weave(guests.TICKER, plan).wasm, ticks())
    assert guest.call("go", 3) == 11 + 21 + 31


def test_numbers_need_no_multi_memory() -> None:
    script = 'use sum; wit:import:#tick:before { print("{}", sum.add_up(i)); }'
    run = scripted(guests.TICKER, script, functions=ticks(), libraries=[SUM], multi_memory=False)
    assert run.call("go", 3) == 6 and run.printed == ["0", "1", "3"]


def test_weaving_again_takes_other_names() -> None:
    script = f"use sum; {CALLS}"
    plan = Plan(sink="none", scripts=script_plan(script, libraries=[SUM]), force=True)
    once = weave(fixture("nested"), plan).wasm
    assert Guest(weave(once, plan).wasm).call("left") == 1


@pytest.mark.parametrize(
    ("code", "there"),
    [
        ("n = sum.add_up(1);", True),
        ("@init sum.add_up(1);", True),
        ("n = @static sum.add_up(1);", False),
    ],
)
def test_only_calls_of_the_program_need_an_instance(code: str, there: bool) -> None:
    """What is called while matching runs on this machine."""
    script = f"use sum; wasm:opcode:call:before {{ report var n: u32; {code} }}"
    plan = replace(script_plan(script, libraries=[SUM]), evaluate=lambda *_: 1)
    component = weave(guests.TICKER, Plan(sink="host", scripts=plan)).component
    assert there == any(m.export("total") for m in modules(component))


def test_functions_nobody_calls_are_not_passed() -> None:
    """One plain function comes in with the library, beside ``emit``."""
    plan = Plan(sink="host", scripts=script_plan(f"use sum; {CALLS}", libraries=[SUM]))
    component = weave(guests.TICKER, plan).component
    inner = [d.node for d in component.definitions if isinstance(d.node, Component)][-1]
    ours = [name for name in import_names(inner) if name.startswith("whamm-cm")]
    assert ours == ["whamm-cm-emit", "whamm-cm-sum-f0"]


def test_all_is_there_from_the_start_to_the_report_on_request() -> None:
    """Calls at instantiation, times, and the last report: the new root has every way in and out."""
    script = f"""use sum; report var n: u32; report var soon: bool;
        {CALLS} wit:import:*#*:after {{ n = sum.add_up(1); soon = elapsed < 60000000000; }}"""
    run = scripted(text(START), script, functions=ticks(), libraries=[SUM])
    run.call("whamm:cm/report#flush")
    assert run.reported == {"n": 2, "soon": True}


CLOCK = """(component
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $m
    (import "" "now" (func $now (result i64)))
    (func (export "f") (result i64) (call $now)))
  (core instance $m (instantiate $m (with "" (instance (export "now" (func $now))))))
  (func (export "f") (result u64) (canon lift (core func $m "f"))))"""


@pytest.mark.parametrize("timed", [False, True])
def test_it_gets_what_the_program_imports(timed: bool) -> None:
    """A library that reads the clock, of an older version."""
    library = component_library(CLOCK.removeprefix("(component")[:-1].replace("0.2.3", "0.2.0"))
    assert list(library.imports) == ["wasi:clocks/monotonic-clock@0.2.0"]
    script = """use lib; wit:export:#f:after { print("{}", result <= lib.f()); }"""
    woven = weave(
        text(CLOCK),
        Plan(sink="host", timed=timed, scripts=script_plan(script, libraries=[library])),
    )
    sink = Sink(woven)
    assert Guest(woven.wasm, None, sink, WasiConfig()).call("f") > 0
    assert [r["text"] for r in sink.records if r["phase"] == "print"] == ["true"]


ALLOCATING = """(component
  (core module $m
    (memory (export "memory") 1) (global $at (mut i32) (i32.const 1024))
    (func $next (param i32) (result i32)
      (global.get $at) (global.set $at (i32.add (global.get $at) (local.get 0))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $next (local.get 3)))
    (func (export "same") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
      (call $next (i32.const 0)) drop (i32.const 0))
    (func (export "done") (param i32) (drop (call $next (i32.const 0)))))
  (core instance $m (instantiate $m))
  (func (export "same") (param "s" string) (result string) (canon lift (core func $m "same")
    (memory $m "memory") (realloc (func $m "realloc")) (post-return (func $m "done")))))"""


def test_calls_where_the_guest_may_not_leave_are_left_out() -> None:
    """``realloc`` runs before the call, post-return after it; both allocate with ``$next``."""
    script = """use sum; use lib;
        wasm:opcode:call:before {
            print("{} {} {}", fid, sum.add_up(1), lib.twice("ab"));
        }
        wit:export:#same:before { print("{}", sum.total()); }"""
    run = scripted(text(ALLOCATING), script, libraries=[SUM, TEXTS])
    assert run.call("same", "text") == "text"
    assert run.call("same", "text") == "text"
    run.call("whamm:cm/report#flush")  # what post-return recorded is sent later
    assert run.printed[:4] == ["1 0 ", "0", "2 1 abab", "3 0 "]
    assert run.printed[4:] == ["1 0 ", "1", "2 2 abab", "3 0 "]


def test_with_its_own_stderr_sink(tmp_path: Path) -> None:
    """The library stands beside the sink."""
    script = """use sum; use lib;
        wit:import:#tick:before { print("{} {}", lib.twice("<>"), sum.add_up(5)); }"""
    plan = Plan(
        sink="stderr",
        lines="json",
        nonce=NONCE,
        scripts=script_plan(script, libraries=[SUM, TEXTS]),
    )
    wasi = WasiConfig()
    wasi.stderr_file = str(tmp_path / "stderr")
    assert Guest(weave(guests.TICKER, plan).wasm, ticks(), wasi=wasi).call("go", 2) == 3
    lines = (tmp_path / "stderr").read_text().splitlines()
    records = [json.loads(line.split(" ", 2)[2]) for line in lines]
    assert [r["text"] for r in records if r["phase"] == "print"] == ["<><> 5", "<><> 10"]


def test_a_plain_module_cannot_hold_one() -> None:
    script = "use sum; wasm:opcode:call:before { sum.add_up(1); }"
    plan = Plan(scripts=script_plan(script, libraries=[SUM]))
    module = text('(module (func $f) (func (export "_start") (call $f)))')
    with pytest.raises(WeaveError) as error:
        weave_module(module, plan)
    assert str(error.value) == (
        "library sum is a component, which a plain core module cannot hold; give a core module, or"
        " weave a component"
    )


# --- on the command line

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(app: bytes, script: str, library: bytes, name: str = "lib") -> str:
        program, lib = tmp_path / "app.wasm", tmp_path / "lib.wasm"
        program.write_bytes(app)
        lib.write_bytes(library)
        code = main(["trace", "-e", script, "--lib", f"{name}={lib}", str(program)])
        found = capfd.readouterr()
        assert code == 0, found.err
        return found.err

    return run


def test_trace_with_a_library(run: Run) -> None:
    script = """use lib;
        wasm:opcode:call:before / imm0 == 0 / { print("{}", lib.twice("opcode ")); }
        wit:export:*#*:before { print("size {}", lib.size("four", 3 as u32)); }"""
    said = run(fixture("run_command"), script, TEXTS.data)
    assert "opcode opcode" in said and "size 7" in said


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("componentize_py") is None, reason="needs componentize"
)
def test_trace_with_the_python_cache_simulator(run: Run) -> None:
    """The script of docs/libraries.md."""
    said = run(
        fixture("run_command"), shown_scripts()[1], build_fixture("cache_component"), "cache"
    )
    assert re.search(r"L1: \d+ hits, [1-9]\d* misses", said), said
