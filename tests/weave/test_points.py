"""Which points events have, and what is known about each of them."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime

from tests.wasm.core_samples import SAMPLES, sample
from whamm_cm.lang.events import OPCODE_EVENTS, event_name
from whamm_cm.wasm.function import FUNCTION, RETURNS, FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.points import Event, Point, find_events, points
from whamm_cm.weave.opcodes.statics import Statics

TEXT = """(module $app
    (import "env" "log" (func $log (param i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory 1) (table 1 funcref)
    (func $first (param i32) (local i64 f32)
        local.get 0 call $log
        block loop local.get 0 br_if 1 local.get 0 br_table 0 1 2 end end
        i32.const -5 i64.load32_s offset=12 align=2 drop)
    (func i32.const 3 call $exit)
    (func $third (result f64) call 3 f64.const 1.5))"""


def module(text: str = TEXT) -> CoreModule:
    return CoreModule(wasmtime.wat2wasm(text))


def found(events: list[Event], text: str = TEXT) -> dict[int, list[Point]]:
    return {info.fid: matched for info, matched in find_events(module(text), events)}


def test_opcodes_are_found_where_they_are() -> None:
    matched = found([("opcode", "call", "before"), ("opcode", "f64.const", "alt")])
    assert {fid: [(p.opidx, p.event, p.mode) for p in of] for fid, of in matched.items()} == {
        2: [(1, "call", "before")],
        3: [(1, "call", "before")],
        4: [(0, "call", "before"), (1, "f64.const", "alt")],
    }


def test_events_at_one_instruction_keep_their_order() -> None:
    wanted: list[Event] = [
        ("block", "end", ""),
        ("func", "entry", ""),
        ("opcode", "call", "after"),
        ("opcode", "call", "before"),
    ]
    first = points(FunctionInfo(module(), 2), wanted)
    assert [(p.package, p.mode) for p in first if p.opidx == 0] == [
        ("opcode", "after"),
        ("opcode", "before"),
        ("func", "entry"),
        ("block", "before"),  # a call ends it
    ]


def test_nothing_is_found_for_events_that_do_not_exist() -> None:
    assert not found([("opcode", "i32.cube", "before"), ("report", "", "")])


def test_leaving_a_function_and_the_program() -> None:
    matched = found([("func", "exit", "")])
    assert matched[2] == [Point(0, "func", "exit", "exit")]
    assert matched[3] == [Point(0, "func", "exit", "exit"), Point(1, "func", "exit", "before")]


@pytest.mark.parametrize(
    ("imported", "ends"),
    [
        ('"wasi_snapshot_preview1" "proc_exit"', True),
        ('"wasi:cli/exit@0.2.3" "exit"', True),
        ('"wasi:cli/exit" "exit-with-code"', True),
        ('"wasi:cli/exit@0.2.3" "exit-handler"', False),
        ('"wasi_snapshot_preview1" "fd_write"', False),
        ('"env" "proc_exit"', False),
    ],
)
def test_imports_that_end_the_program(imported: str, ends: bool) -> None:
    text = f"(module (import {imported} (func $exit (param i32))) (func i32.const 1 call $exit))"
    calls = [p for p in found([("func", "exit", "")], text)[1] if p.mode == "before"]
    assert len(calls) == ends


def test_every_instruction_of_every_sample_is_found_by_its_event() -> None:
    wanted = [("opcode", name, "before") for name in OPCODE_EVENTS]
    for name in SAMPLES:
        for info, matched in find_events(CoreModule(sample(name)), wanted):
            assert [p.opidx for p in matched] == [*range(len(info.steps))]
            for point in matched:
                assert point.event == event_name(info.opcode(point.opidx))


BLOCKS = """(module (func (param i32)
    nop local.get 0 if nop else nop nop end
    loop nop local.get 0 br_if 0 end nop))"""


def blocks(text: str, event: str, as_whamm: bool) -> list[tuple[int, str, int | None]]:
    (_, found), *_ = find_events(module(text), [("block", event, "")], as_whamm=as_whamm)
    return [(p.opidx, p.mode, p.instr_count) for p in found]


def test_basic_blocks_are_the_runs_of_a_function() -> None:
    ends = blocks(BLOCKS, "end", as_whamm=False)
    assert ends == [
        (2, "before", 3),  # nop local.get if
        (4, "before", 2),  # nop else
        (7, "before", 3),  # nop nop end
        (8, "before", 1),  # loop
        (11, "before", 3),  # nop local.get br_if
        (14, "before", 3),  # end nop end
    ]
    assert blocks(BLOCKS, "start", as_whamm=False) == [
        (0, "before", None),
        *((opidx + 1, "before", None) for opidx, *_ in ends[:-1]),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "i32.const 1 return_call $f",
        "i32.const 1 i32.const 0 return_call_indirect (param i32)",
        "i32.const 1 ref.func $f return_call_ref $t",
        "i32.const 1 throw $e",
        "ref.null exn throw_ref",
    ],
)
def test_a_block_ends_where_the_function_is_left(code: str) -> None:
    text = f"""(module (type $t (func (param i32))) (table 1 funcref) (elem declare func $f)
      (tag $e (param i32)) (func (param i32) {code}) (func $f (type $t)))"""
    found = blocks(text, "end", as_whamm=False)
    length = len(FunctionInfo(module(text), 0).steps)
    assert found == [(length - 2, "before", length - 1), (length - 1, "before", 1)]


def test_a_block_ends_where_a_call_may_not_come_back() -> None:
    text = """(module (import "m" "f" (func $f)) (type $t (func)) (table 1 funcref)
      (func nop call $f nop i32.const 0 call_indirect (type $t) ref.null $t call_ref $t))"""
    assert [count for *_, count in blocks(text, "end", as_whamm=False)] == [2, 3, 2, 1]


def test_basic_blocks_as_whamm_has_them() -> None:
    ends = blocks(BLOCKS, "end", as_whamm=True)
    assert ends == [
        (2, "before", 3),
        (4, "before", 2),
        (7, "after", 2),
        (8, "before", 0),
        (11, "before", 3),
        (12, "after", 0),
        (14, "before", 1),
    ]
    starts = blocks(BLOCKS, "start", as_whamm=True)
    assert starts == [(0, "before", None), *((opidx, mode, None) for opidx, mode, _ in ends)]


def test_as_whamm_a_block_ends_at_a_call_that_ends_the_program_and_goes_on() -> None:
    (_, _), (_, found), *_ = find_events(module(), [("block", "end", "")], as_whamm=True)
    assert [(p.opidx, p.mode, p.instr_count) for p in found] == [(1, "before", 2), (2, "before", 2)]


def statics(events: list[Event], fid: int, number: int = 0) -> dict[str, Any]:
    info, matched = next(pair for pair in find_events(module(), events) if pair[0].fid == fid)
    return dict(Statics(info, matched[number]))


def test_what_every_point_knows() -> None:
    known = statics([("func", "entry", "")], 4)
    nowhere = {"file": "", "line": 0, "column": 0, "func": "third"}
    nowhere |= {"inlined": False, "frames": "", "module": "", "component": ""}
    place = {"fid": 4, "fname": "third", "pc": 0, "opidx": 0, "at_func_end": False}
    assert known == place | nowhere
    known = statics([("opcode", "end", "before")], 3)
    assert (known["fname"], known["opidx"], known["at_func_end"]) == ("", 2, True)


def test_pc_counts_from_the_first_group_of_locals() -> None:
    # One byte says how many groups there are; two groups take four bytes.
    assert statics([("opcode", "local.get", "before")], 2)["pc"] == 5
    assert statics([("opcode", "i32.const", "before")], 3)["pc"] == 1
    assert statics([("opcode", "call", "before")], 3)["pc"] == 3


def test_calls() -> None:
    known = statics([("opcode", "call", "before")], 2)
    names = ("imm0", "target_fn_name", "target_fn_type", "target_imp_module", "opname", "bytecode")
    assert [known[name] for name in names] == [0, "log", "import", "env", "call", 0x10]
    known = statics([("opcode", "call", "before")], 4)
    assert [known[name] for name in names[:4]] == [3, "", "local", "app"]
    assert "imm1" not in known and "num_targets" not in known


def test_memory_accesses() -> None:
    known = statics([("opcode", "i64.load32_s", "before")], 2)
    wanted = {"data_size": 4, "is_write": False, "align": 1, "offset": 12, "memory": 0}
    assert wanted.items() <= known.items() and known["category_name"] == "load"
    assert "imm0" not in known


def test_branch_tables() -> None:
    known = statics([("opcode", "br_table", "before")], 2)
    assert [known[f"imm{n}"] for n in range(3)] == [0, 1, 2]
    assert (known["num_targets"], known["default_target"]) == (2, 2)
    assert known["targets"] == {0: 0, 1: 1}


@pytest.mark.parametrize(("event", "value"), [("i32.const", -5), ("f64.const", 1.5)])
def test_constants(event: str, value: float) -> None:
    fid = 2 if event == "i32.const" else 4
    assert statics([("opcode", event, "before")], fid)["imm0"] == value


def test_what_a_point_does_not_have() -> None:
    (info, matched), *_ = find_events(module(), [("opcode", "f64.const", "before")])
    known = Statics(info, matched[0])
    for name in ("imm1", "offset", "tid", "instr_count", "arg0", "resolved_fid"):
        assert name not in known


def test_control_structure() -> None:
    info = FunctionInfo(module(BLOCKS), 0)
    control = info.control
    assert control.ends == {2: 7, 8: 12, FUNCTION: 14}
    assert control.arms == {2: [4]} and control.openers == {4: 2, 7: 2, 12: 8, 14: FUNCTION}
    assert control.inside[:9] == [-1, -1, -1, 2, 2, 2, 2, -1, -1]
    assert info.targets(11) == (8,) and info.arm_end(2) == 4 and info.arm_end(4) == 7
    branches = FunctionInfo(module(), 0)
    assert branches.targets(7) == (3, 2, FUNCTION) and branches.of(RETURNS) == ()
    assert [branches.at(step[0]) for step in branches.steps] == [*range(len(branches.steps))]
