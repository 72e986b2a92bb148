"""Rules with type parameters: one probe for each choice of types, and one of them at a place."""

from __future__ import annotations

import wasmtime

from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import weave
from whamm_cm.lang.load import load

MODULE = wasmtime.wat2wasm("""(module
  (func $f (param i32) (result i32) (local i64)
    (local.set 0 (i32.const 7))
    (local.set 1 (i64.const 9))
    (return (local.get 0))
    (drop (i32.const 1))
    drop)
  (func (export "run") (result i32) (call $f (i32.const 1))))""")


def test_choices_share_a_number_and_have_types_of_their_own() -> None:
    found = load([("s", "wasm:opcode:i32x4.add:before { }\n"
                        "wasm:opcode:local.set<T>(arg0: T):before|after { var x: T = arg0; }\n"
                        "wasm:opcode:*.splat<T>(arg0: T):before { }")])  # fmt: skip
    told = [(p.number, p.mode, str(p.bounds["arg0"])) for p in found.probes if "set" in p.rule]
    types = ["i32", "i64", "f32", "f64"]
    assert told == [(number, mode, type_) for number, mode in ((0, "before"), (1, "after"))
                    for type_ in types]  # fmt: skip
    splats = {(p.rule, p.number) for p in found.probes if "splat" in p.rule}
    assert len(splats) == len({number for _, number in splats}) == 6


def test_no_choice_is_made_where_code_cannot_run() -> None:
    woven = weave(MODULE, Settings(scripts=(("s", "wasm:opcode:drop<T>(arg0: T):alt { }"),)), "m")
    assert woven.report.core_sites == 1  # not at the drop whose operand has any type


def test_what_fits_another_choice_is_no_place_left_out() -> None:
    script = "wasm:opcode:local.set<T>(arg0: T):before { report var x: T; x = arg0; }"
    report = weave(MODULE, Settings(scripts=(("s", script),)), "m").report
    assert (report.core_sites, report.unmatched, report.idle) == (2, [], [])


def test_alternatives_by_class_do_not_meet() -> None:
    script = """wasm:opcode:local.set<T: float>(arg0: T):alt { drop_args(); }
        wasm:opcode:local.set<T: int>(arg0: T):alt / arg0 == 9 / { drop_args(); }"""
    woven = weave(MODULE, Settings(scripts=(("s", script),)), "m")
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, woven.bytes), [])
    run = instance.exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    assert run(store) == 7
