"""Random scripts on random modules: what comes out is valid, or there is a reason in one sentence.

Regressions found on the way have tests of their own at the top.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from tests.wasm.core_samples import exported_func_type
from tests.weave.control_programs import Statement, choices, print_code, programs
from tests.weave.random_modules import FEATURES, observed, program_module
from tests.weave.random_scripts import ScriptMaker
from whamm_cm.errors import InternalError, WeaveError, WhammError
from whamm_cm.lang.events import event_name
from whamm_cm.lang.load import load
from whamm_cm.run.engine import validate_module
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.stack import typings
from whamm_cm.weave.plain import WovenModule, weave_module
from whamm_cm.weave.plan import Plan, ScriptPlan, SinkName

EXAMPLES = max(1, int(30 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
PROFILE = settings(max_examples=EXAMPLES, deadline=None,
                   suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
SINKS: tuple[SinkName, ...] = ("host", "stderr", "none")


def woven(wasm: bytes, *scripts: str, sink: SinkName = "host", compat: bool = False) -> WovenModule:
    """Valid, or this fails."""
    loaded = load([(f"script{n}", text) for n, text in enumerate(scripts)])
    plan = Plan(sink=sink, compat=compat, scripts=ScriptPlan(loaded, validate=validate_module))
    found = weave_module(wasm, plan)
    new = {i.module for i in CoreModule(found.wasm).imports} - {
        i.module for i in CoreModule(wasm).imports
    }
    assert new <= {"whamm:cm/sink", "wasi_snapshot_preview1"}
    if validate_module(wasm) is None:
        assert validate_module(found.wasm) is None
    else:  # wasmtime knows nothing of it, but the stack must make sense
        module = CoreModule(found.wasm)
        for index in range(len(module.bodies)):
            typings(module, index)
    return found


def events(wasm: bytes) -> list[str]:
    module = CoreModule(wasm)
    opcodes = {op for index in range(len(module.bodies)) for _, op, _ in module.instructions(index)}
    return sorted(map(event_name, opcodes))


# --- what was found -------------------------------------------------------------------------------

CALL = bytes(wat2wasm('(module (func (export "run") (drop (i32.const 1))))'))


@pytest.mark.parametrize("name", ["probe_id", "script"])
def test_what_a_script_knows_of_itself_can_be_read(name: str) -> None:
    """Probes that mentioned it matched nowhere."""
    assert woven(CALL, f'wasm:func:entry {{ print("{{}}", {name}); }}').added.core_sites == 1


@pytest.mark.parametrize("package", ["begin", "end", "report"])
@pytest.mark.parametrize(
    "body",
    [
        "report var c: u64; c++;",
        "unshared var m: map<str, u32>; m[script]++;",
        'report unshared var t: (str, i64) = (at_func_end ? ("a", -2) : (fname, 2)); t.1++;',
        "unshared var a: i32 = probe_id; report unshared var b: i32 = a; b += a;",
        "report var h: hist; h = hist(probe_id);",
        'print("{} {} {}", script, fid, pc);',
    ],
)
def test_code_of_no_place_has_cells_and_facts(package: str, body: str) -> None:
    """These were KeyErrors."""
    woven(CALL, f"wasm:{package} {{ {body} }}")


def test_an_export_may_have_any_type() -> None:
    """Exports with v128, or of a type that is open or in a group, were internal errors."""
    wasm = bytes(
        wat2wasm("""(module
      (type $open (sub (func (param i32))))
      (rec (type $a (func (result i32))) (type $b (func (result (ref null $a)))))
      (func (export "open") (type $open) nop)
      (func (export "first") (type $a) (i32.const 1))
      (func (export "second") (type $b) (ref.null $a))
      (func (export "vector") (param v128) (result v128) (local.get 0)))""")
    )
    found = woven(wasm, "report var n: u64; wasm:func:entry { n++; }")
    before, after = CoreModule(wasm), CoreModule(found.wasm)
    for name in ("open", "vector"):
        assert exported_func_type(after, name) == exported_func_type(before, name)


def test_no_code_goes_on_with_values_of_other_types() -> None:
    """Behind a replaced ``unreachable`` as many values were left, but of other types."""
    wasm = bytes(
        wat2wasm("""(module (func (result f32)
      (block (result f32) (i64.const 1) unreachable))
      (func (result i32) (block (result i32) (i32.const 1) unreachable)))""")
    )
    woven(wasm, "wasm:opcode:unreachable:alt { }")


@pytest.mark.parametrize("sink", SINKS)
def test_nothing_is_asked_of_the_host_but_the_sink(sink: SinkName) -> None:
    """With code that records nothing, the way out wanted an agent that was not there."""
    woven(CALL, "wasm:end { }", sink=sink)
    woven(CALL, "wasm:report { }", sink=sink)


@pytest.mark.parametrize(
    ("export", "reason"),
    [
        ('(memory (export "memory") 1 2 shared)', "a shared memory"),
        ('(memory (export "memory") 70000 (pagesize 1))', "pages of another size"),
        ('(memory (export "memory") i64 1)', "a 64-bit memory"),
        ('(global (export "memory") i32 (i32.const 1))', "that is a global"),
    ],
)
def test_a_memory_the_sink_cannot_use_is_a_reason(export: str, reason: str) -> None:
    """These were internal errors."""
    wasm = bytes(wat2wasm(f'(module {export} (func (export "run")))'))
    with pytest.raises(WeaveError, match=reason):
        woven(wasm, "report var n: u64; wasm:func:entry { n++; }", sink="stderr")


# --- random ---------------------------------------------------------------------------------------


def _scripts(random: Random, wasm: bytes, observe: bool = False) -> list[str]:
    found = events(wasm)
    count = random.choice((1, 1, 2))
    return [ScriptMaker(random, found, observe=observe).script() for _ in range(count)]


def _valid_or_refused(wasm: bytes, scripts: Sequence[str], random: Random) -> WovenModule | None:
    try:
        return woven(wasm, *scripts, sink=random.choice(SINKS), compat=random.random() < 0.1)
    except WhammError as error:
        assert not isinstance(error, InternalError), error
        assert len(str(error).splitlines()[0]) > 10
        return None


@PROFILE
@given(st.sampled_from(sorted(FEATURES)), st.integers(0, 2**32))
def test_every_feature(name: str, seed: int) -> None:
    random = Random(seed)
    _valid_or_refused(FEATURES[name], _scripts(random, FEATURES[name]), random)


@PROFILE
@given(programs(), choices(), st.integers(0, 2**32))
def test_random_programs_do_what_they_did(
    program: list[Statement], choices: list[int], seed: int
) -> None:
    wasm, random = program_module(print_code(program)), Random(seed)
    _valid_or_refused(wasm, _scripts(random, wasm), random)
    found = _valid_or_refused(wasm, _scripts(random, wasm, observe=True), random)
    if found is not None:
        before, after = observed(wasm, choices), observed(found.wasm, choices)
        assert after == before or None in (after, before)


def test_most_random_scripts_are_right() -> None:
    """Else the tests above would show little."""
    refused = 0
    for seed in range(60):
        try:
            load([("s", ScriptMaker(Random(seed)).script())])
        except WhammError:
            refused += 1
    assert refused < 20
