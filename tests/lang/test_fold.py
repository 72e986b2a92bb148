"""Partial evaluation: what static facts decide, and what they leave."""

from __future__ import annotations

from typing import Any

import pytest

from tests.steps import steps
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import Folder, fold, fold_expr, relevant

FID, PC = t.Static(vt.U32, "fid"), t.Static(vt.U32, "pc")
NAME = t.Static(vt.STR, "opname")
ARG = t.Bound(vt.I32, "arg0")
FLAG = t.Bound(vt.BOOL, "flag")
COUNT = t.Var(vt.U32, t.Variable("count", vt.U32, t.Kind.GLOBAL))
TRUE, FALSE = t.Const(vt.BOOL, True), t.Const(vt.BOOL, False)
STEP = t.Update(COUNT, "+", t.Const(vt.U32, 1))
LOUD = t.Call(vt.BOOL, t.Function("f", (), vt.BOOL), ())


def u32(n: int) -> t.Const:
    return t.Const(vt.U32, n)


def logic(op: str, left: t.Expr, right: t.Expr) -> t.Binary:
    return t.Binary(vt.BOOL, op, left, right)


def is_name(text: str) -> t.Expr:
    return t.Builtin(vt.BOOL, "str.eq", (NAME, t.Const(vt.STR, text)))


def probe(predicate: t.Expr | None, *body: t.Stmt) -> t.Probe:
    return t.Probe(0, "wasm:opcode:nop:before", 0, "opcode", "nop", "before", {}, predicate, body)


def test_a_false_predicate_removes_the_probe() -> None:
    assert fold(probe(is_name("call"), STEP), {"opname": "br"}) is None


def test_a_true_predicate_removes_the_test() -> None:
    residual = fold(probe(is_name("call"), STEP), {"opname": "call"})
    assert residual is not None
    assert residual.predicate is None
    assert residual.body == (STEP,)


def test_what_is_dynamic_stays() -> None:
    dynamic = logic("==", ARG, t.Const(vt.I32, 0))
    residual = fold(probe(logic("&&", is_name("br_if"), dynamic), STEP), {"opname": "br_if"})
    assert residual is not None
    assert residual.predicate is dynamic


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (logic("&&", TRUE, FLAG), FLAG),
        (logic("&&", FLAG, TRUE), FLAG),
        (logic("&&", FALSE, LOUD), FALSE),
        (logic("&&", FLAG, FALSE), FALSE),
        (logic("&&", LOUD, FALSE), logic("&&", LOUD, FALSE)),
        (logic("||", FALSE, FLAG), FLAG),
        (logic("||", FLAG, FALSE), FLAG),
        (logic("||", TRUE, LOUD), TRUE),
        (logic("||", FLAG, TRUE), TRUE),
        (logic("||", LOUD, TRUE), logic("||", LOUD, TRUE)),
        (t.Unary(vt.BOOL, "!", t.Unary(vt.BOOL, "!", FLAG)), FLAG),
        (t.Ternary(vt.I32, TRUE, ARG, t.Const(vt.I32, 1)), ARG),
        (t.Cast(vt.I32, ARG), ARG),
        (t.TupleGet(vt.I32, t.TupleMake(vt.TupleT((vt.I32, vt.U32)), (ARG, FID)), 0), ARG),
        (t.TupleGet(vt.U32, t.Const(vt.TupleT((vt.I32, vt.U32)), (1, 2)), 1), u32(2)),
        (t.Builtin(vt.U32, "str.len", (t.Const(vt.STR, "é"),)), u32(2)),
    ],
)
def test_identities(expr: t.Expr, expected: t.Expr) -> None:
    """A call is never dropped unless whamm's own short circuit would not have made it."""
    assert fold_expr(expr, {}) == expected


def test_branches_that_cannot_be_reached_are_gone() -> None:
    other = t.Update(COUNT, "-", u32(1))
    body = (
        t.If(is_name("call"), (STEP,), (other,)),
        t.While(is_name("br"), (STEP,)),
        t.For(
            t.Variable("i", vt.I32, t.Kind.LOCAL), t.Const(vt.I32, 3), t.Const(vt.I32, 3), (STEP,)
        ),
        t.If(FLAG, (), ()),
        t.Evaluate(FID),
    )
    residual = fold(probe(None, *body), {"opname": "call", "fid": 3})
    assert residual is not None and residual.body == (STEP,)


def test_values_take_the_range_of_their_type() -> None:
    assert fold_expr(t.Static(vt.I32, "imm0"), {"imm0": 2**32 - 1}) == t.Const(vt.I32, -1)
    assert fold_expr(t.Static(vt.F32, "imm0"), {"imm0": 0.1}) == t.Const(
        vt.F32, 0.10000000149011612
    )


def test_static_maps() -> None:
    table = t.Static(vt.MapT(vt.U32, vt.U32), "targets")
    values: dict[str, Any] = {"targets": {0: 5, 1: 7}, "fid": 1}
    assert fold_expr(t.MapGet(vt.U32, table, FID), values) == u32(7)
    assert fold_expr(t.MapGet(vt.U32, table, u32(9)), values) == u32(0)


def test_facts_of_the_module() -> None:
    lib = t.Builtin(vt.U32, "memid", (t.Const(vt.STR, "lib"),))
    expr = t.Builtin(vt.U32, "page_size", (lib,))
    assert relevant(probe(None, t.Evaluate(expr))) == {"memid", "page_size"}
    answers: dict[str, Any] = {"memid": lambda name: 2, "page_size": lambda memory: memory << 16}
    assert fold_expr(expr, answers) == u32(2 << 16)


def test_static_calls_are_made_left_to_right_and_on_both_sides() -> None:
    made: list[tuple[str, tuple[Any, ...]]] = []

    def evaluate(library: str, function: str, args: tuple[Any, ...]) -> int:
        made.append((f"{library}.{function}", args))
        return len(made)

    def call(*args: t.Expr) -> t.Expr:
        return t.Cast(vt.BOOL, t.LibCall(vt.I32, "lib", "f", args, "static"))

    predicate = logic("||", call(FID), call(PC))
    other = probe(
        predicate, t.Assign(COUNT, t.Cast(vt.U32, t.LibCall(vt.I32, "lib", "g", (), "static")))
    )
    assert Folder(other.predicate, other.body).calls_static
    residual = fold(other, {"fid": 4, "pc": 5}, evaluate)
    assert made == [("lib.f", (4,)), ("lib.f", (5,)), ("lib.g", ())]
    assert residual is not None and residual.predicate is None
    assert residual.body == (t.Assign(COUNT, u32(3)),)


def test_a_rejected_site_does_not_evaluate_its_body() -> None:
    made: list[str] = []
    body = t.Evaluate(t.LibCall(vt.I32, "lib", "f", (), "static"))
    assert fold(probe(is_name("call"), body), {"opname": "br"}, lambda *a: made.append("")) is None
    assert made == []


def test_only_deciding_facts_are_relevant() -> None:
    """Facts that are only values may stay open: sites that differ in them share their code."""
    table = t.Var(vt.MapT(vt.U32, vt.U32), t.Variable("m", vt.MapT(vt.U32, vt.U32), t.Kind.GLOBAL))
    body = (
        t.Update(t.MapGet(vt.U32, table, PC), "+", FID),
        t.If(logic("<", t.Static(vt.U32, "imm0"), u32(4)), (t.Assign(COUNT, PC),)),
        t.If(logic("==", ARG, t.Static(vt.I32, "imm1")), (STEP,)),
    )
    assert relevant(probe(is_name("call"), *body)) == {"opname", "imm0", "imm1"}
    residual = fold(probe(None, *body), {"imm0": 9})
    assert residual is not None and residual.body[0] is body[0], "open facts stay as they are"


def test_folding_is_pure() -> None:
    it = probe(is_name("call"), t.Assign(COUNT, FID))
    assert fold(it, {"opname": "call", "fid": 1}) != fold(it, {"opname": "call", "fid": 2})
    assert fold(it, {"opname": "call", "fid": 1}) == fold(it, {"opname": "call", "fid": 1})


def test_folding_is_few_steps() -> None:
    it = probe(logic("&&", is_name("call"), logic("<", FID, u32(10))), STEP, t.Assign(COUNT, PC))

    def fold_often(rounds: int) -> None:
        for i in range(rounds):
            fold(it, {"opname": "call", "fid": i % 20, "pc": i})

    assert steps(lambda: fold_often(1000)) < 150 * 1000
