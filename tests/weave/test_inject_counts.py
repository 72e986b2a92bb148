"""Probes fire exactly as often as an interpreter of the same program says."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
import wasmtime
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.weave.control_programs import (
    Interpreter,
    Statement,
    TooLong,
    choices,
    print_code,
    programs,
)
from whamm_cm.wasm import snippets
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.function import FunctionInfo, runs
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.inject import FunctionEditor

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
MAIN = 1  # the defined function that is probed
OPENERS = ("block", "loop", "if", "else")
BRANCHES = ("br", "br_if", "br_table")

Key = tuple[str, int]


def module_of(program: list[Statement], chosen: list[int]) -> bytes:
    """``run`` executes the program; ``$choose`` gives the choices, then traps."""
    code = "\n".join(print_code(program))
    data = "".join(f"\\{choice:02x}" for choice in chosen)
    return wasmtime.wat2wasm(f"""(module
        (memory 1) (data (i32.const 0) "{data}") (global $next (mut i32) (i32.const 0))
        (func $choose (result i32)
            (if (i32.ge_u (global.get $next) (i32.const {len(chosen)})) (then unreachable))
            (global.set $next (i32.add (global.get $next) (i32.const 1)))
            (i32.load8_u (i32.sub (global.get $next) (i32.const 1))))
        (func (export "run")
            {code}
        ))""")


def keys(info: FunctionInfo) -> list[Key]:
    """Everything that can be probed in a function."""
    found: list[Key] = [("func_entry", 0), ("func_exit", 0)]
    for opidx in range(len(info.steps)):
        name = info.mnemonic(opidx)
        found += [("before", opidx), ("after", opidx)]
        if name in OPENERS:
            found += [("entry", opidx), ("exit", opidx)]
        if name in BRANCHES:
            found.append(("at_target", opidx))
    return found


def counted(data: bytes, wanted: Iterable[Key]) -> tuple[dict[Key, int], bool]:
    """The module run with a counter per key: (how often each fired, whether it trapped)."""
    module = CoreModule(data)
    edit, editor = ModuleEdit(module), FunctionEditor(FunctionInfo(module, MAIN))
    exports = {}
    for mode, opidx in wanted:
        cell = edit.add_global("i32", 0)
        edit.add_export(f"{mode} {opidx}", "global", cell)
        exports[mode, opidx] = f"{mode} {opidx}"
        editor.add(opidx, mode, snippets.count(cell, "i32"))
    edit.replace_body(MAIN, editor.pieces(), editor.extra_locals)
    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, edit.encode()), [])
    found = instance.exports(store)
    trapped = False
    try:
        found["run"](store)
    except wasmtime.Trap:
        trapped = True
    return {key: found[name].value(store) for key, name in exports.items()}, trapped


@settings(max_examples=EXAMPLES)
@given(programs(), choices())
def test_every_mode_fires_as_often_as_it_should(
    program: list[Statement], chosen: list[int]
) -> None:
    interpreter = Interpreter(chosen)
    data = module_of(program, chosen)
    try:
        happened = interpreter.run(program)
    except TooLong:
        assume(False)
    fired, trapped = counted(data, keys(FunctionInfo(CoreModule(data), MAIN)))
    assert trapped == interpreter.trapped
    assert {key: n for key, n in fired.items() if n} == dict(happened)


@settings(max_examples=EXAMPLES)
@given(programs(), choices(), st.booleans())
def test_a_run_executes_as_often_as_each_of_its_instructions(
    program: list[Statement], chosen: list[int], split: bool
) -> None:
    interpreter = Interpreter(chosen)
    data = module_of(program, chosen)
    try:
        happened = interpreter.run(program)
    except TooLong:
        assume(False)
    assume(not interpreter.trapped)
    info = FunctionInfo(CoreModule(data), MAIN)
    found = runs(info, split_at_calls=split)
    assert [i for run in found for i in range(run.first, run.last + 1)] == [*range(len(info.steps))]
    fired, _ = counted(data, [("before", run.first) for run in found])
    for run in found:
        for opidx in range(run.first, run.last + 1):
            assert fired["before", run.first] == happened["before", opidx], (run, opidx)
        middle = range(run.first, run.last)
        assert run.calls == any(info.mnemonic(i) == "call" for i in middle)
        assert not (split and run.calls)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("nop nop block nop end nop", [(0, 6)]),
        ("loop nop end nop", [(0, 4)]),  # nothing branches to the loop
        ("loop nop i32.const 0 br_if 0 end nop", [(0, 0), (1, 3), (4, 6)]),
        ("block i32.const 0 br_if 0 nop end nop", [(0, 2), (3, 4), (5, 6)]),
        ("i32.const 0 if nop else nop end", [(0, 1), (2, 3), (4, 5), (6, 6)]),
        ("nop return nop", [(0, 1), (2, 3)]),
        ("unreachable", [(0, 0), (1, 1)]),
    ],
)
def test_runs_are_as_long_as_they_can_be(code: str, expected: list[tuple[int, int]]) -> None:
    data = wasmtime.wat2wasm(f"(module (func) (func {code}))")
    found = runs(FunctionInfo(CoreModule(data), MAIN))
    assert [(run.first, run.last) for run in found] == expected
