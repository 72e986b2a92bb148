"""What engines would not take is refused with the place, never written."""

from __future__ import annotations

import pytest

from tests.weave.libs import text
from whamm_cm.errors import WeaveError
from whamm_cm.lang.load import load
from whamm_cm.run.engine import validate_module
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan, ScriptPlan


def woven(wat: str, script: str, **plan: bool) -> bytes:
    scripts = ScriptPlan(load([("script0", script)]))
    return weave_module(text(wat), Plan(sink="host", scripts=scripts, **plan), "it.wasm").wasm


def test_more_counters_than_one_function_may_have() -> None:
    """Of globals; in a memory there is room."""
    many, script = "(call $f)" * 60_001, "wasm:opcode:call:before { report var n: u32; n++; }"
    wat = f"(module (func $big {many}) (func $f))"
    with pytest.raises(WeaveError, match=r"function big would have 60001 counters .* / fid != 0 /"):
        woven(wat, script, multi_memory=False)
    assert validate_module(woven(wat, script)) is None


def test_more_locals_than_a_function_may_have() -> None:
    locals_ = "(local " + "i32 " * 50_000 + ")"
    script = "wasm:opcode:drop(arg0: i32):before { report var n: i32; n = n + arg0; }"
    with pytest.raises(WeaveError, match="function wide would have 50001 locals"):
        woven(f"(module (func $wide {locals_} i32.const 1 drop))", script)


@pytest.mark.parametrize("op", ["(br_if 0 (i32.const 1))", "(br_table 0 0 (i32.const 1))"])
def test_a_branch_is_replaced_always_or_never(op: str) -> None:
    """Inside of the predicate's own block its label would name another block."""
    name = op[1:].split()[0]
    script = f"var n: i32; wasm:opcode:{name}:alt / n == 1 / {{ n = 2; }}"
    with pytest.raises(WeaveError, match=r"pc \d+\) replaces a block or branch"):
        woven(f"(module (func (block {op})))", script)


def test_a_core_module_is_woven_once() -> None:
    script = "wasm:opcode:nop:before { report var n: u32; n++; }"
    once = woven('(module (func (export "f") nop))', script)
    scripts = ScriptPlan(load([("script0", script)]))
    with pytest.raises(WeaveError, match="start from the original"):
        weave_module(once, Plan(sink="host", scripts=scripts, force=True), "it.wasm")
