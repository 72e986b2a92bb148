"""How many core instances a woven component needs, and that the same weave gives the same bytes."""

from __future__ import annotations

import re

import pytest
from wasmtime import Config, Engine, WasmtimeError, wat2wasm
from wasmtime import _ffi as ffi
from wasmtime.component import Component as EngineComponent

from fixtures.build import build, text_names
from whamm_cm.agent.table import SiteTable
from whamm_cm.analysis.instances import core_instances
from whamm_cm.component.decode import decode
from whamm_cm.run.embedded import run_component
from whamm_cm.run.engine import validate_component, validate_module
from whamm_cm.trace.decode import Receiver
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, SinkName
from whamm_cm.weave.verify import own_modules, skeleton

SINKS: tuple[SinkName, ...] = ("stderr", "logging", "host", "none")
#: Those that import our own sink already cannot have it twice.
NAMES = [name for name in (*text_names(), "command") if name != "run_sink"]
#: Of each component with probes: the agent, and probes before and behind its main module.
_PER_COMPONENT = 4
_SINK = 2

#: What a toolchain makes: a shim, the main module, an adapter, a fixup.
ORDINARY = """(component
  (import "wasi:random/random@0.2.0" (instance $r
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (alias export $r "get-random-bytes" (func $bytes)) (alias export $r "get-random-u64" (func $u64))
  (core module $main
    (import "r" "u64" (func $u64 (result i64))) (import "r" "bytes" (func $bytes (param i64 i32)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
    (func (export "run") (result i32) (drop (call $u64)) (call $bytes (i64.const 3) (i32.const 8))
      (i32.load (i32.const 12))))
  (core module $adapter (import "env" "memory" (memory 0)) (import "r" "u64" (func (result i64)))
    (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
  (core module $shim (type $t (func (param i64 i32))) (table $t (export "$imports") 1 1 funcref)
    (func (export "0") (type $t)
      (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0))))
  (core module $fixup (type $t (func (param i64 i32)))
    (import "" "0" (func (type $t))) (import "" "$imports" (table 1 1 funcref))
    (elem (i32.const 0) func 0))
  (core instance $s (instantiate $shim))
  (alias core export $s "0" (core func $later))
  (core func $now (canon lower (func $u64)))
  (core instance $m (instantiate $main (with "r" (instance
    (export "u64" (func $now)) (export "bytes" (func $later))))))
  (alias core export $m "memory" (core memory $memory))
  (core instance $a (instantiate $adapter (with "env" (instance $m))
    (with "r" (instance (export "u64" (func $now))))))
  (alias core export $s "$imports" (core table $table))
  (core func $lowered (canon lower (func $bytes) (memory $memory) (realloc (func $m "realloc"))))
  (core instance (instantiate $fixup (with "" (instance
    (export "$imports" (table $table)) (export "0" (func $lowered))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"""


def everything(*_: object) -> bool:
    return True


def faults(woven: object) -> list[str]:
    component = woven.component  # type: ignore[attr-defined]
    found = [validate_component(skeleton(component)), *map(validate_module, own_modules(component))]
    return [fault for fault in found if fault is not None]


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(
    ("sink", "added"), [("stderr", 0), ("logging", 0), ("host", 1), ("none", 1)]
)
def test_an_ordinary_component_needs_few_more(sink: SinkName, added: int, timed: bool) -> None:
    woven = weave(bytes(wat2wasm(ORDINARY)), Plan(trace=everything, sink=sink, timed=timed))
    assert (woven.added.instances_before, woven.added.core_instances) == (4, added)
    assert faults(woven) == []


def test_with_one_memory_per_module() -> None:
    plan = Plan(trace=everything, multi_memory=False)
    woven = weave(bytes(wat2wasm(ORDINARY)), plan)
    assert woven.added.core_instances == 2
    assert faults(woven) == []


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("name", NAMES)
def test_every_sample(name: str, sink: SinkName) -> None:
    """No more than agent and probes for each component, and what passes the blocks on; counted
    once more from the bytes; and twice the same bytes."""
    plan = Plan(trace=everything, sink=sink, timed=True, nonce="abcdefghijkl")
    woven = weave(build(name), plan)
    added = woven.added
    relay = _SINK if sink in ("stderr", "logging") or added.agents > 1 else 0
    assert added.core_instances <= _PER_COMPONENT * added.agents + relay
    assert core_instances(decode(woven.wasm)) == added.instances_after
    assert weave(build(name), plan).wasm == woven.wasm


def test_instances_of_a_component_count_as_often_as_they_are_made() -> None:
    root = decode(
        bytes(
            wat2wasm("""(component
              (component $c (core module $m) (core instance (instantiate $m))
                (core instance (instantiate $m)) (core instance))
              (instance (instantiate $c)) (instance (instantiate $c))
              (core module $m) (core instance (instantiate $m)))""")
        )
    )
    assert core_instances(root) == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('(table $t (export "$imports") 1 1 funcref)', '(table $t (export "$imports") 1 1 funcref)'
         ' (memory (export "m") 1)'),
        ('(core instance $s (instantiate $shim))', '(core instance $s (instantiate $shim))'
         ' (core instance (instantiate $shim))'),
        ('(export "0") (type $t)', '(export "0") (export "memory") (type $t)'),
    ],
    ids=["it has a memory", "it has two instances", "an export has the name of one of ours"],
)  # fmt: skip
def test_a_shim_that_is_none_is_left_alone(old: str, new: str) -> None:
    woven = weave(bytes(wat2wasm(ORDINARY.replace(old, new))), Plan(trace=everything, sink="host"))
    assert woven.added.core_instances == 2
    assert faults(woven) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(elem (i32.const 0) func 0))", "(elem (i32.const 0) func 0) (func $f) (start $f))"),
        ("(elem (i32.const 0) func 0))", '(elem (i32.const 0) func 0) (export "w0" (func 0)))'),
        ('(with "" (instance', '(with "agent" (instance'),
    ],
    ids=["it runs code", "it exports", "an argument has the name of one of ours"],
)
def test_a_fixup_that_is_none_is_left_alone(old: str, new: str) -> None:
    text = ORDINARY.replace(old, new)
    if '"agent"' in new:
        text = text.replace('(import "" ', '(import "agent" ')
    woven = weave(bytes(wat2wasm(text)), Plan(trace=everything, sink="host"))
    assert woven.added.core_instances == 2
    assert faults(woven) == []


@pytest.mark.parametrize("multi_memory", [True, False])
def test_it_records_what_goes_through_shim_and_fixup(multi_memory: bool) -> None:
    plan = Plan(trace=everything, sink="host", multi_memory=multi_memory)
    woven = weave(bytes(wat2wasm(ORDINARY)), plan)
    receiver, records = Receiver(SiteTable.parse(woven.table)), list[dict[str, object]]()

    def emit(block: str) -> int:
        received = receiver.receive(block)
        records.extend(received.records)
        return received.instance

    outcome = run_component(woven.wasm, invoke="run()", emit=emit)
    assert outcome.result == "3"
    calls = [record["func"] for record in records if record["phase"] == "call"]
    assert calls == ["run", "get-random-u64", "get-random-bytes"]


def instances_of_the_host(wasm: bytes) -> int:
    """What the engine itself says it has to make of a component, with a pool that has none."""
    config, pool = Config(), ffi.wasmtime_pooling_allocation_config_new()
    ffi.wasmtime_pooling_allocation_config_max_core_instances_per_component_set(pool, 0)
    ffi.wasmtime_pooling_allocation_config_total_memories_set(pool, 8)
    ffi.wasmtime_pooling_allocation_config_max_memories_per_component_set(pool, 8)
    ffi.wasmtime_pooling_allocation_config_max_tables_per_component_set(pool, 8)
    ffi.wasmtime_pooling_allocation_config_max_memory_size_set(pool, 1 << 24)
    ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    ffi.wasmtime_pooling_allocation_config_delete(pool)
    with pytest.raises(WasmtimeError) as caught:
        EngineComponent(Engine(config), wasm)
    found = re.search(r"contains (\d+) core module instances", str(caught.value))
    assert found is not None, caught.value
    return int(found[1])


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("panics", [False, True], ids=["", "panics"])
def test_the_host_counts_what_is_said(sink: SinkName, panics: bool) -> None:
    text = ORDINARY
    if panics:  # last words need a table, and so does the shim that the agent is one with
        text = text.replace("(drop (call $u64))", "(if (call $u64) (then) (else unreachable))")
        text = text.replace("(if (call $u64)", "(if (i64.ne (call $u64) (i64.const 0))")
    wasm = bytes(wat2wasm(text))
    assert instances_of_the_host(wasm) == core_instances(decode(wasm)) == 4
    woven = weave(wasm, Plan(trace=everything, sink=sink, last_words=True))
    assert faults(woven) == []
    assert instances_of_the_host(woven.wasm) == woven.added.instances_after
    assert all(
        len(module.tables) <= 1 and len(module.memories) <= 1
        for module in map(CoreModule, own_modules(woven.component))
    ), "hosts with pooled instances allow one of each"


def calls_before(start: str) -> str:
    """A main module that calls an import as soon as it is instantiated."""
    return ORDINARY.replace(
        '(func (export "run")', f'(func $go (drop (call $u64))) {start} (func (export "run")', 1
    )


@pytest.mark.parametrize(("start", "more"), [("", 0), ("(start $go)", 1)])
def test_wrappers_are_there_before_code_runs(start: str, more: int) -> None:
    """Where nothing runs before all is there, one module of probes is enough."""
    wasm = bytes(wat2wasm(calls_before(start)))
    woven = weave(wasm, Plan(trace=everything, timed=True))
    assert faults(woven) == []
    assert woven.added.core_instances == more
    assert run_component(woven.wasm, invoke="run()").result == "3"
