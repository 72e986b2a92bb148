"""Tasks where nothing is asynchronous: calls of exports, from outside, are what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wasmtime import Func, FuncType, Instance, Module, Store, Trap, ValType, WasmtimeError

from tests.weave.async_parts import both
from tests.weave.host import Guest, engine, everything, text
from tests.weave.scripted import script_plan, scripted
from tests.weave.test_libraries_component import SCALARS
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan

plans = pytest.mark.parametrize(
    "plan",
    [{}, {"multi_memory": False}, {"trace": everything}, {"flush_each": True}],
    ids=["alone", "one", "traced", "each"],
)

PROGRAM = """(component
  (core module $m (memory (export "memory") 1)
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func $deep (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
        (else (call $deep (i32.sub (local.get 0) (i32.const 1))))))
    (func $f (export "f") (param i32 i32 i32) (result i32) (call $deep (local.get 2)))
    (func $post (export "post") (param i32))
    (func $bad (export "bad") unreachable))
  (core instance $m (instantiate $m))
  (func (export "f") (param "s" string) (param "n" u32) (result u32)
    (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "realloc"))
      (post-return (func $m "post"))))
  (func (export "bad") (canon lift (core func $m "bad"))))"""
SCRIPT = """
    task var entered: u32 = 100;
    task var name: str = "nobody";
    fn twice() -> u32 { return entered * 2; }
    fn running() -> u32 { return task; }
    report var outside: u32;
    wasm:func:entry { entered++; if (task == 0) { outside++; } }
    wit:export:#f:before { print("{} {} {}", task, entered, name); name = s; }
    wit:export:#f:after { print("{} {} {} {}", running(), entered, name, twice()); }
    wit:export:#bad:before { print("{} {} {}", task, entered, name); }
    wasm:end { print("out {} {} {}", task, entered, name); }
"""


@plans
def test_each_call_of_an_export_begins_anew(plan: dict[str, Any]) -> None:
    """What the canonical ABI calls around it, to allocate and to free, belongs to none."""
    wasm = text(PROGRAM)
    run = scripted(wasm, SCRIPT, able=True, **plan)
    assert [run.call("f", "a", 2), run.call("f", "b", 4)] == [7, 7]
    original = Guest(wasm)
    assert [original.call("f", "a", 2), original.call("f", "b", 4)] == [7, 7]
    found = [line for line in run.printed if not line.startswith("out")]
    assert found == ["1 100 nobody", "1 104 a 208", "2 100 nobody", "2 106 b 212"]
    outs = [line for line in run.printed if line.startswith("out")]
    assert set(outs) >= {"out 0 101 nobody"} and all(line.startswith("out 0 ") for line in outs)
    assert run.reported["outside"] >= 2


def test_after_a_trap_an_instance_is_not_called_and_the_next_begins_anew() -> None:
    wasm = text(PROGRAM)
    for _ in range(2):
        run = scripted(wasm, SCRIPT, last_words=True)
        run.call("f", "a", 0)
        with pytest.raises((Trap, WasmtimeError)):
            run.call("bad")
        with pytest.raises((Trap, WasmtimeError)):
            run.call("f", "b", 0)
        found = [line for line in run.printed if not line.startswith("out")]
        assert found == ["1 100 nobody", "1 102 a 204", "2 100 nobody"]


PAIR = """(component
  (component $C
    (core module $m (func (export "f") (result i32) (i32.const 5)))
    (core instance $m (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (component $D
    (import "f" (func $f (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m (import "" "f" (func $f (result i32)))
      (func (export "run") (result i32) (i32.add (call $f) (call $f))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (func (export "run") (alias export $d "run")))"""


@plans
def test_components_number_their_own_calls(plan: dict[str, Any]) -> None:
    """As they do where they are asynchronous."""
    script = """
        task var n: u32;
        wit:*:*#*:before { n++; print("{} {} {} {}", component, func, task, n); }
        wit:*:*#*:after / func == "run" / { print("{} ends {} {}", component, task, n); }"""
    run = scripted(text(PAIR), script, able=True, **plan)
    assert [run.call("run"), run.call("run")] == [10, 10]
    in_c = [line for line in run.printed if line.startswith("C")]
    in_d = [line for line in run.printed if line.startswith("D")]
    assert in_c == [f"C f {k} 1" for k in (1, 2, 3, 4)]
    assert in_d == [
        "D run 1 1", "D f 1 2", "D f 1 3", "D ends 1 3",
        "D run 2 1", "D f 2 2", "D f 2 3", "D ends 2 3",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["task", "task var"])
def test_beside_asynchronous_components(asked: str) -> None:
    """One unit for both kinds: ``P`` is beside the two that call each other asynchronously."""
    script = 'wit:*:*#*:before / component == "P" / { print("{}", task); }'
    if asked == "task var":
        script = """
            task var n: u32; wasm:func:entry { n += task; }
            wit:*:*#*:after / component == "P" / { print("{}", n); }"""
    inner = both("later", "callback").removeprefix("(component").rstrip().removesuffix(")")
    plain = PAIR.removeprefix("(component").split("(component $D")[0].replace("$C", "$P")
    source = f"""(component {inner} {plain}
      (instance $p (instantiate $P)) (func (export "f") (alias export $p "f")))"""
    run = scripted(text(source), script, able=True)
    assert [run.call("f"), run.call("run"), run.call("f")] == [5, 70, 5]
    assert run.printed == ["1", "2"]


def test_libraries_beside_the_unit() -> None:
    """State and unit are two modules then."""
    script = """
        task var n: u32; use lib;
        wit:export:#f:before { n += lib.next(4) + task; print("{}", n); }"""
    run = scripted(text(PROGRAM), script, libraries=[SCALARS])
    run.call("f", "a", 0)
    run.call("f", "a", 0)
    assert run.printed == ["6", "7"]


# --- core modules

MODULE = """(module
  (import "host" "again" (func $again (param i32) (result i32)))
  (func $start (drop (i32.const 0)))
  (start $start)
  (func $inner (export "inner") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $outer (export "outer") (param i32) (result i32)
    (call $inner (call $again (local.get 0))))
  (func $bad (export "bad") unreachable))"""
COUNTED = """
    task var n: u32 = 5;
    var log: u64;
    wasm:func:entry { n++; log = log * 100 + (task * 10 + n) as u64; }
"""


def instance(wasm: bytes) -> tuple[Callable[..., Any], set[str]]:
    """A module whose import calls its export ``inner``."""
    store = Store(engine())
    module = Module(store.engine, wasm)
    kind = FuncType([ValType.i32()], [ValType.i32()])
    exports: Any = {}
    imports = []
    for each in module.imports:
        if each.module == "host":
            again = Func(store, kind, lambda k: exports["inner"](store, k))
        else:  # the sink
            again = Func(store, each.type, lambda *_: 0)  # type: ignore[arg-type]
        imports.append(again)
    exports = Instance(store, module, imports).exports(store)
    return lambda name, *args: exports[name](store, *args), {e.name for e in module.exports}


@pytest.mark.parametrize("sink", ["none", "host"])
def test_calls_of_a_module(sink: str) -> None:
    """The outermost ones are tasks: what calls back in the middle of one belongs to it."""
    plan = Plan(sink=sink, scripts=script_plan(COUNTED.replace("var log", "report var log")))
    call, _ = instance(weave_module(text(MODULE), plan).wasm)
    original, _ = instance(text(MODULE))
    for name, argument in (("inner", 3), ("outer", 3), ("inner", 9)):
        assert call(name, argument) == original(name, argument)
    assert call("get_log") == 6_16_26_27_28_36


def test_a_module_with_calls_logged_too() -> None:
    plan = Plan(sink="none", scripts=script_plan(COUNTED), trace=everything)
    call, _ = instance(weave_module(text(MODULE), plan).wasm)
    assert [call("outer", 3), call("inner", 3)] == [5, 4]
    assert call("get_log") == 6_16_17_18_26


def test_a_module_after_a_trap() -> None:
    """Who goes on with an instance that trapped is in the call that never came back."""
    plan = Plan(sink="none", scripts=script_plan(COUNTED))
    wasm = weave_module(text(MODULE), plan).wasm
    call, _ = instance(wasm)
    with pytest.raises(Trap):
        call("bad")
    call("inner", 1)
    assert call("get_log") == 6_16_17
    call, _ = instance(wasm)
    call("inner", 1)
    assert call("get_log") == 6_16


def test_only_scripts_that_ask_have_gates_for_it() -> None:
    plan = Plan(sink="none", scripts=script_plan("var n: u32; wasm:func:entry { n++; }"))
    wasm = weave_module(text(MODULE), plan).wasm
    assert b"task_now" not in wasm and b"task_alone" not in wasm
