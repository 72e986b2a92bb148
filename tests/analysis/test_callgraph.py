"""The call graph of one module: each case is module text and what its functions use."""

from __future__ import annotations

import pytest
import wasmtime

from whamm_cm.analysis.callgraph import CallGraph, IndirectCall, Move
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule


def graph(text: str) -> CallGraph:
    return CallGraph(CoreModule(wasmtime.wat2wasm(f"(module {text})")))


def body(text: str, more: str = ""):
    """What the first function uses, with `text` as its body."""
    return graph(f"(func $f {text}) {more}").uses(0)


def test_each_call_once_in_order():
    uses = body("call $b call $a call $b return_call $f", "(func $a) (func $b)")
    assert uses.calls == (2, 1, 0)


def test_indices_of_several_bytes():
    many = "".join(f"(func $g{i})" for i in range(300))
    assert body("call $g298 call $g127", many).calls == (299, 128)


def test_indirect_calls_name_table_and_type():
    uses = body(
        "(call_indirect $u (type $t) (i32.const 0) (i32.load (i32.const 8)))",
        "(type $t (func (param i32))) (table $s 1 funcref) (table $u 1 funcref) (memory 1)",
    )
    assert uses.indirect == (IndirectCall(table=1, type=0),)


@pytest.mark.parametrize(
    ("code", "slot"),
    [
        ("(call_indirect (i32.const 5))", 5),
        ("(call_indirect (i32.const -1))", 0xFFFFFFFF),
        ("(return_call_indirect (i32.const 70))", 70),
        ("(call_indirect (i32.add (i32.const 5) (i32.const 1)))", None),
        # Control may come from elsewhere between the constant and the call.
        ("i32.const 7 block (param i32) (result i32) end call_indirect", None),
        ("(if (result i32) (i32.const 1) (then i32.const 3) (else i32.const 4)) call_indirect",
         None),
    ],
)  # fmt: skip
def test_the_slot_is_known_only_where_a_constant_comes_right_before(code, slot):
    assert [call.slot for call in body(code, "(table 9 funcref)").indirect] == [slot]


def test_references_and_their_moves():
    uses = body(
        """(table.set $t (i32.const 0) (ref.func $g)) (drop (table.get $u (i32.const 0)))
        (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 1))
        (table.init $u $e (i32.const 0) (i32.const 0) (i32.const 1))
        (drop (table.grow $t (ref.null func) (i32.const 1)))
        (call_ref $sig (ref.null $sig))""",
        """(type $sig (func)) (func $g) (table $t 1 funcref) (table $u 1 funcref)
        (elem $d declare func $g) (elem $e func $g)""",
    )
    assert uses.refs == (1,)
    assert uses.call_refs == (0,)
    assert set(uses.moves) == {
        Move("table.set", (0,)),
        Move("table.get", (1,)),
        Move("table.copy", (0, 1)),
        Move("table.init", (1, 1)),
        Move("table.grow", (0,)),
    }


def test_segments():
    found = graph(
        """(import "e" "base" (global $base i32)) (import "e" "r" (global $r funcref))
        (table $t 9 funcref) (table $u 9 funcref) (func $f) (func $g)
        (elem (i32.const 3) func $f $g)
        (elem (table $u) (global.get $base) funcref (ref.func $g) (ref.null func))
        (elem funcref (global.get $r))
        (elem declare func $f)"""
    ).segments
    assert [(s.mode, s.table, s.offset, s.functions, s.others) for s in found] == [
        ("active", 0, 3, (0, 1), False),
        ("active", 1, None, (1, None), False),
        ("passive", None, None, (None,), True),
        ("declared", None, None, (0,), False),
    ]


def test_globals_refer_to_functions():
    text = "(func $f) (func $g) (global funcref (ref.func $g)) (global i32 (i32.const 0))"
    assert graph(text).initial_refs == (1,)


def test_signatures_of_callable_types_are_equal():
    """A function may be called as its supertype: references are all alike, numbers are not."""
    found = graph(
        """(type $super (sub (func (param anyref))))
        (rec (type $sub (sub $super (func (param eqref)))) (type $other (func (param i32))))
        (type $wide (func (param i64)))
        (func (type $sub) unreachable)"""
    )
    assert found.signature(0) == found.type_signature(0) == found.type_signature(1)
    assert found.type_signature(2) != found.type_signature(3)


def test_a_name_is_given_exported_or_imported():
    found = graph("""(import "env" "log" (func)) (func $work) (func (export "run")) (func)""")
    assert [found.name(i) for i in range(4)] == ["env.log", "work", "run", None]


def test_a_function_that_is_not_there():
    broken = wasmtime.wat2wasm("(module (func call 0))").replace(b"\x10\x00\x0b", b"\x10\x07\x0b")
    with pytest.raises(DecodeError, match="function 7 is out of bounds"):
        CallGraph(CoreModule(broken)).uses(0)


def test_an_imported_function_has_no_body():
    with pytest.raises(DecodeError, match="imported and has no body"):
        graph('(import "a" "b" (func))').uses(0)
