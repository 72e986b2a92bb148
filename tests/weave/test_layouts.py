"""Every way components are put together: where probes go, what they see there, what stays alone."""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import WasmtimeError

from fixtures.build import build
from tests.wast_driver import Hook, run_script
from tests.weave import guests
from tests.weave.host import FIXTURES, Functions, everything, fixture, text, traced
from whamm_cm.analysis.stamp import stamp_of, table_of
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component, walk
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import FuncT, Prim

TRACE = Plan(trace=everything, sink="host")
NAMES = sorted(path.stem for path in FIXTURES.glob("*.wat"))
Row = tuple[Any, ...]


def rows(records: list[dict[str, Any]], *keys: str) -> list[Row]:
    return [tuple(record.get(key) for key in keys) for record in records]


# --- one component


def test_the_layout_of_wit_component_takes_one_agent_and_at_most_three_probes() -> None:
    woven = weave(build("command"), TRACE)
    added = woven.added
    assert (added.agents, added.skipped) == (1, [])
    assert 1 <= added.probe_modules <= 3
    # The agent is one with the shim, and the probes behind the main module with the fixup.
    assert added.core_modules == added.probe_modules
    assert added.core_instances == added.probe_modules - 1
    assert added.wrappers == added.sites > 30


def test_direct_and_indirect_lowers_and_several_memories() -> None:
    guest, sink = traced(fixture("indirect"))
    assert (guest.call("direct"), guest.call("indirect", "you")) == (1, "hello you")
    assert guest.call("helper") == 9
    seen = [r for r in sink.records if r["component"] == "guest" and r["edge"] == "inner"]
    assert rows(seen, "func", "args", "result") == [
        ("tick", None, None),
        ("tick", None, 1),
        ("greet", {"name": "you"}, None),
        ("greet", None, "hello you"),
        ("greet", {"name": "abc"}, None),  # the same function, lowered with utf16
        ("greet", None, "hello abc"),
    ]
    assert weave(fixture("indirect"), TRACE).added.agents == 2


def test_a_lowered_function_that_is_lifted_again_is_seen_on_both_sides() -> None:
    wasm = text("""(component
      (import "f" (func $f (param "n" u32) (result u32)))
      (core func $f' (canon lower (func $f)))
      (type $r (resource (rep i32)))
      (core func $new (canon resource.new $r))
      (func (export "g") (param "n" u32) (result u32) (canon lift (core func $f')))
      (export $r2 "r" (type $r))
      (func (export "make") (param "rep" u32) (result (own $r2)) (canon lift (core func $new))))""")
    t = FuncT((("n", Prim("u32")),), Prim("u32"))
    guest, sink = traced(wasm, Functions({("", "f"): (t, lambda n: n + 1)}))
    assert guest.call("g", 41) == 42
    assert rows(sink.records, "edge", "func", "phase") == [
        ("export", "g", "call"),
        ("import", "f", "call"),
        ("import", "f", "return"),
        ("export", "g", "return"),
    ]
    guest.call("make", 7)
    assert rows(sink.records[4:], "func", "phase") == [
        ("make", "call"),
        ("[resource-new]r", "call"),
        ("[resource-new]r", "return"),
        ("make", "return"),
    ]


def test_one_core_function_lifted_twice_has_two_sites() -> None:
    guest, sink = traced(
        text("""(component
      (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
      (core instance $m (instantiate $m))
      (func (export "number") (param "n" u32) (result u32) (canon lift (core func $m "f")))
      (func (export "letter") (param "c" char) (result char) (canon lift (core func $m "f"))))""")
    )
    assert (guest.call("number", 65), guest.call("letter", "A")) == (65, "A")
    assert rows(sink.records, "func", "args", "result") == [
        ("number", {"n": 65}, None),
        ("number", None, 65),
        ("letter", {"c": "A"}, None),
        ("letter", None, "A"),
    ]


# --- resources


def test_handles_of_a_host_resource() -> None:
    """`host_resources` checks that numbers are reused, so the weave must not shift them."""
    path = FIXTURES / "host_resources.wat"
    outcomes = run_script(path, Hook(lambda data: weave(data, TRACE).wasm))
    assert [outcome.status for outcome in outcomes] == ["passed"] * 2


def test_resources_between_two_components() -> None:
    guest, sink = traced(fixture("resources"))
    assert guest.call("read") == 1123
    reader = [r for r in sink.records if r["component"] == "reader" and r["edge"] == "inner"]
    assert rows(reader, "func", "self", "args", "result") == [
        ("book.new", None, {"pages": 100}, None),
        ("book.new", None, None, 1),
        ("book.new", None, {"pages": 23}, None),
        ("book.new", None, None, 2),
        ("book.pages", 1, None, None),
        ("book.pages", None, None, 100),
        ("book.join", None, {"a": 1, "b": 2}, None),
        ("book.join", None, None, 2),
        ("book.pages", 2, None, None),
        ("book.pages", None, None, 123),
        ("book.drop", 2, None, None),
        ("book.drop", None, None, None),
    ]
    assert {r["interface"] for r in reader} == {"shelf"}
    own = [r for r in sink.records if r["component"] == "shelf" and r["edge"] == "builtin"]
    assert rows([r for r in own if r["phase"] == "call"], "func", "self", "args") == [
        ("[resource-new]book", None, {"rep": 100}),
        ("[resource-new]book", None, {"rep": 23}),
        ("[resource-rep]book", 1, None),
        ("[resource-rep]book", 2, None),
        ("book.drop", 1, None),
        ("book.drop", 2, None),
        ("[resource-new]book", None, {"rep": 123}),
    ]


def test_a_trap_in_a_wrapped_drop_is_the_original_trap() -> None:
    guest, sink = traced(fixture("resources"), flush_each=True)
    with pytest.raises(WasmtimeError, match="unknown handle index 1"):
        guest.call("drop-twice")
    assert rows(sink.records[-3:], "func", "phase") == [
        ("book.drop", "call"),
        ("book.drop", "return"),
        ("book.drop", "call"),
    ]


# --- several components


def test_a_definition_instantiated_twice_has_an_agent_for_each_instance() -> None:
    guest, sink = traced(fixture("nested"))
    for name in ("left", "left", "right", "left"):
        guest.call(name)
    results = [r for r in sink.records if r["phase"] == "return"]
    assert rows(results, "instance", "call", "result") == [
        (1, 1, 1), (1, 2, 2), (2, 1, 1), (1, 3, 3),
    ]  # fmt: skip


def test_strings_between_components_of_different_encodings() -> None:
    guest, sink = traced(fixture("strings"))
    assert guest.call("round", "hö ☃") == "hö ☃"
    assert rows(sink.records, "component", "edge", "phase") == [
        ("speaker", "export", "call"),
        ("speaker", "inner", "call"),
        ("echo", "inner", "call"),
        ("echo", "inner", "return"),
        ("speaker", "inner", "return"),
        ("speaker", "export", "return"),
    ]
    assert [r.get("args", {}).get("text") or r["result"] for r in sink.records] == ["hö ☃"] * 6
    before = len(sink.records)
    assert (guest.call("latin1"), guest.call("tagged")) == ("café", "π")
    results = [r["result"] for r in sink.records[before:] if r["phase"] == "return"]
    assert results == ["café"] * 3 + ["π"] * 3


def test_definitions_through_outer_aliases_are_woven() -> None:
    woven = weave(guests.DEEP, TRACE)
    assert (woven.added.sites, woven.added.skipped) == (3, [])  # $plus once, though used 3 times
    with_emit = [
        component
        for component in walk(decode(woven.wasm))
        if any(isinstance(d.node, n.Import) and d.node.name.name == "whamm-cm-emit"
               for d in component.definitions)
    ]  # fmt: skip
    assert len(with_emit) == 6  # $plus, $one, $two, $three, $same and the enclosed root


def test_a_component_passed_as_an_argument_is_left_alone() -> None:
    woven = weave(fixture("nested"), TRACE)
    reason = "it is exported or passed on as a component, whose type allows no more imports"
    left = [title for title, why in woven.added.skipped if why == reason]
    # $plus is what two components call, each by a name of its own.
    assert (
        left
        == ["inner #same|deep in plus", "export #deep in plus"]
        == [title for title, _ in woven.added.skipped]
    )
    guest, sink = traced(fixture("nested"))
    assert guest.call("deep", 39) == 42
    assert {r["component"] for r in sink.records} == {"three"}


EXPORTED = """(component
  (component $c
    (component $inside
      (core module $m (func (export "f") (result i32) (i32.const 1)))
      (core instance $m (instantiate $m))
      (func (export "f") (result u32) (canon lift (core func $m "f"))))
    (instance $inside (instantiate $inside))
    (export "f" (func $inside "f")))
  (component $unused
    (core module $m (func (export "f") (result i32) (i32.const 2)))
    (core instance $m (instantiate $m))
    (func (export "u") (result u32) (canon lift (core func $m "f"))))
  (instance $c (instantiate $c))
  (export "f" (func $c "f"))
  (export "c" (component $c)))"""


#: A component that another one exports: the root makes an instance of it.
HANDED_OUT = """(component
  (component $box
    (component $c
      (core module $m (func (export "f") (result i32) (i32.const 1)))
      (core instance $m (instantiate $m))
      (func (export "f") (result u32) (canon lift (core func $m "f"))))
    (core module $m (func (export "g") (result i32) (i32.const 2)))
    (core instance $m (instantiate $m))
    (func (export "g") (result u32) (canon lift (core func $m "g")))
    (export "c" (component $c)))
  (instance $box (instantiate $box))
  (alias export $box "c" (component $c))
  (instance $c (instantiate $c))
  (export "f" (func $c "f"))
  (export "g" (func $box "g")))"""


def test_a_component_handed_out_runs_unwoven_beside_woven_ones() -> None:
    guest, sink = traced(text(HANDED_OUT))
    assert [title for title, _ in sink.woven.added.skipped] == ["export #f in c"]
    assert (guest.call("f"), guest.call("g")) == (1, 2)
    assert rows(sink.records, "func", "phase") == [("g", "call"), ("g", "return")]


def test_an_exported_component_and_what_is_in_it_are_left_alone() -> None:
    woven = weave(text(EXPORTED), TRACE)
    assert woven.added.skipped == [
        ("export #f in inside", "a component around it cannot take more imports"),
        ("inner #u in unused", "its component is never instantiated"),
    ]
    assert (woven.added.wrappers, woven.added.agents, woven.added.sites) == (0, 0, 0)
    original = decode(text(EXPORTED))
    assert len(decode(woven.wasm).definitions) == len(original.definitions) + 2


# --- async


def test_async_calls_return_their_results_where_they_are_handed_over() -> None:
    guest, sink = traced(fixture("async"))
    assert guest.call("at-once") == 42
    keys = ("component", "func", "call", "task", "phase", "args", "result")
    assert rows(sink.records, *keys) == [
        ("caller", "at-once", 1, 1, "call", None, None),
        ("caller", "at-once", 2, 1, "call", {"n": 41}, None),
        ("callee", "at-once", 1, 1, "call", {"n": 41}, None),
        ("callee", "at-once", 1, 1, "return", None, 42),  # by task.return
        ("callee", "at-once", 1, 1, "exit", None, None),
        ("caller", "at-once", 2, 1, "return", None, 42),
        ("caller", "at-once", 1, 1, "return", None, 42),
        ("caller", "at-once", 1, 1, "exit", None, None),
    ]
    assert not any("pending" in record for record in sink.records)


def test_an_async_call_that_returns_later_is_pending_until_it_does() -> None:
    guest, sink = traced(fixture("async"))
    assert guest.call("after-yield") == 43
    caller = [r for r in sink.records if r["component"] == "caller"]
    assert rows(caller, "func", "phase", "status", "result") == [
        ("after-yield", "call", None, None),
        ("after-yield", "call", None, None),
        ("after-yield", "return", 1 | 1 << 4, None),  # STARTED, subtask 1
        ("waitable-set.new", "call", None, None),
        ("waitable-set.new", "return", None, 2),
        ("waitable.join", "call", None, None),
        ("waitable.join", "return", None, None),
        ("waitable-set.wait", "call", None, None),
        ("waitable-set.wait", "return", None, 1),
        ("after-yield", "return", None, 43),
        *((f, p, None, None) for f in ("subtask.drop", "waitable-set.drop")
          for p in ("call", "return")),
        ("after-yield", "return", None, 43),
        ("after-yield", "exit", None, None),
    ]  # fmt: skip
    callee = [r for r in sink.records if r["component"] == "callee"]
    assert rows(callee, "func", "phase", "result") == [
        ("after-yield", "call", None),
        ("after-yield", "return", 43),
        ("after-yield", "exit", None),
    ]
    assert (guest.call("stackful"), guest.call("text")) == (44, 5)
    [text_call] = [r for r in sink.records if r["phase"] == "call" and "args" in r
                   and "text" in r["args"] and r["component"] == "callee"]  # fmt: skip
    assert text_call["args"] == {"text": "hello"}


# --- the file


def named(component: Component) -> dict[Row, n.Node]:
    """What the name section of each component in the tree calls what."""
    found: dict[Row, n.Node] = {}
    for place, part in enumerate(walk(component)):
        for definition in part.definitions:
            if isinstance(definition.node, n.NameSection):
                found[(place, definition.node.component)] = definition.node
                for sort, _, item, name in definition.node.rows:
                    found[(place, sort, name)] = part.definition_of(item).node
    return found


@pytest.mark.parametrize("name", ["indirect", "resources", "strings", "nested", "async"])
def test_names_still_name_the_same_things(name: str) -> None:
    woven = weave(fixture(name), Plan(trace=everything, sink="none"))  # not enclosed
    before, after = named(decode(fixture(name))), named(decode(woven.wasm))
    assert len(before) > 5 and set(before) == set(after)
    for key, node in before.items():
        if isinstance(node, CoreModule):
            other = after[key]
            assert isinstance(other, CoreModule) and bytes(other.data) == bytes(node.data)
        elif isinstance(node, n.Canon):  # the name goes to what the guest calls: the wrapper
            assert isinstance(after[key], (n.Canon, n.AliasCoreExport))
        else:
            assert type(after[key]) is type(node)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sink", ["host", "stderr", "logging", "none"])
def test_the_same_input_gives_the_same_bytes(name: str, sink: Any) -> None:
    plan = Plan(trace=everything, sink=sink, timed=True)
    if (name, sink) == ("run_sink", "host"):
        with pytest.raises(WeaveError, match="imports whamm:cm/sink already"):
            weave(fixture(name), plan)
        return
    assert weave(fixture(name), plan).wasm == weave(fixture(name), plan).wasm


@pytest.mark.parametrize("sink", ["host", "stderr", "none"])
def test_a_woven_component_says_so_and_is_not_woven_again(sink: Any) -> None:
    woven = weave(guests.TICKER, Plan(trace=everything, sink=sink, script="probe"))
    stamp = stamp_of(decode(woven.wasm))
    assert stamp is not None
    assert (stamp["tool"], stamp["sink"]) == ("whamm-cm", sink)
    assert len(str(stamp["original-sha256"])) == len(str(stamp["script-sha256"])) == 64
    assert stamp_of(decode(guests.TICKER)) is None
    with pytest.raises(WeaveError, match="already been instrumented"):
        weave(woven.wasm, TRACE)


def test_the_site_table_is_kept_where_a_host_reads_the_records() -> None:
    for sink in ("host", "none"):
        woven = weave(guests.TICKER, Plan(trace=everything, sink=sink))
        assert table_of(decode(woven.wasm)) == woven.table


def test_a_limit_of_core_instances() -> None:
    limit = weave(fixture("indirect"), TRACE).added.instances_after
    weave(fixture("indirect"), Plan(trace=everything, sink="host", max_core_instances=limit))
    with pytest.raises(WeaveError, match=f"has {limit} core instances.*--max-core-instances"):
        weave(
            fixture("indirect"), Plan(trace=everything, max_core_instances=limit - 1, sink="host")
        )


def test_too_many_functions_to_count() -> None:
    lifts = "".join(f'(func (export "f{i}") (canon lift (core func $m "f")))' for i in range(4097))
    wasm = text(
        f'(component (core module $m (func (export "f")))'
        f" (core instance $m (instantiate $m)) {lifts})"
    )
    with pytest.raises(WeaveError, match="4097 functions to count.*at most 4096"):
        weave(wasm, Plan(count=everything, sink="host"))


def test_resources_with_destructors_share_a_probe_module() -> None:
    """Each resource type stands between the built-ins of the one before and its own."""
    count = 5
    resources = "".join(
        f"""
  (alias core export $shim "dtor" (core func $dtor{i}))
  (type $r{i} (resource (rep i32) (dtor (func $dtor{i}))))
  (core func $new{i} (canon resource.new $r{i}))
  (core func $drop{i} (canon resource.drop $r{i}))
  (core instance $bag{i} (export "new" (func $new{i})) (export "drop" (func $drop{i})))"""
        for i in range(count)
    )
    imports = "".join(
        f"""
    (import "b{i}" "new" (func $new{i} (param i32) (result i32)))
    (import "b{i}" "drop" (func $drop{i} (param i32)))"""
        for i in range(count)
    )
    uses = "".join(f"(call $drop{i} (call $new{i} (i32.const {i})))" for i in range(count))
    args = "".join(f'(with "b{i}" (instance $bag{i}))' for i in range(count))
    wasm = text(f"""(component
  (core module $shim (func (export "dtor") (param i32)))
  (core instance $shim (instantiate $shim)){resources}
  (core module $m {imports} (func (export "go") {uses}))
  (core instance $m (instantiate $m {args}))
  (func (export "go") (canon lift (core func $m "go"))))""")
    assert weave(wasm, TRACE).added.probe_modules == 2
    guest, sink = traced(wasm)
    guest.call("go")
    assert len(sink.records) == 2 + 4 * count
