"""Core types of values and functions.  CanonicalABI.md, "Flattening"."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import wit_funcs, wit_types
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.flatten import (
    MAX_FLAT,
    CoreSig,
    case_flat,
    core_signature,
    flatten,
    flatten_types,
    flatten_variant_joined,
    join,
    task_return_signature,
)
from whamm_cm.abi.layout import layouts, variant_cases
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    MapT,
    Named,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
)

U8, U32, U64 = Prim("u8"), Prim("u32"), Prim("u64")
F32, F64, STRING = Prim("f32"), Prim("f64"), Prim("string")
PAIR = TupleT((U32, U64))

FLAT: list[tuple[ValType, str]] = [
    (Prim("bool"), "i32"),
    (Prim("s8"), "i32"),
    (Prim("s64"), "i64"),
    (F32, "f32"),
    (F64, "f64"),
    (Prim("char"), "i32"),
    (Prim("error-context"), "i32"),
    (STRING, "ptr ptr"),
    (ListT(F64), "ptr ptr"),
    (MapT(STRING, F64), "ptr ptr"),
    (ListT(F64, 3), "f64 f64 f64"),
    (ListT(PAIR, 2), "i32 i64 i32 i64"),
    (Own(Resource()), "i32"),
    (StreamT(F64), "i32"),
    (RecordT((("a", STRING), ("b", F32))), "ptr ptr f32"),
    (Named("n", None, PAIR), "i32 i64"),
    (EnumT(("a", "b")), "i32"),
    (FlagsT(tuple(map(str, range(32)))), "i32"),
    (FlagsT(tuple(map(str, range(33)))), "i32 i32"),
    (OptionT(F32), "i32 f32"),
    (ResultT(None, None), "i32"),
    (ResultT(F32, U32), "i32 i32"),
    (ResultT(F32, F64), "i32 i64"),
    (ResultT(F64, F64), "i32 f64"),
    (ResultT(U32, F64), "i32 i64"),
    (ResultT(U64, F32), "i32 i64"),
    (VariantT((("a", None), ("b", TupleT((F32, F32, F32))), ("c", TupleT((F32, U8))))),
     "i32 f32 i32 f32"),
]  # fmt: skip


@pytest.mark.parametrize(("t", "expected"), FLAT)
def test_flatten(t: ValType, expected: str) -> None:
    for ptr, name in ((4, "i32"), (8, "i64")):
        cores = tuple(expected.replace("ptr", name).split())
        assert flatten(t, ptr) == cores
        assert layouts(ptr).info(t).flat == len(cores)


def test_pointers_join_by_their_width() -> None:
    t = ResultT(STRING, TupleT((F32, F64)))
    assert flatten(t, 4) == ("i32", "i32", "i64")
    assert flatten(t, 8) == ("i32", "i64", "i64")
    assert flatten_variant_joined(t, 4) == ("i32", "i64")
    with pytest.raises(AbiError, match="not a variant"):
        flatten_variant_joined(PAIR)


def test_join_is_the_tightest_common_type() -> None:
    assert join("f32", "f32") == "f32"
    assert join("i32", "f32") == join("f32", "i32") == "i32"
    for a, b in (("i32", "i64"), ("f64", "f32"), ("f64", "i64"), ("i32", "f64")):
        assert join(a, b) == join(b, a) == "i64"


def test_a_case_uses_only_its_first_slots() -> None:
    t = VariantT((("none", None), ("one", F32), ("two", TupleT((U64, F64)))))
    assert [(s.joined, s.flat) for s in case_flat(t, 1)] == [("i64", "f32")]
    assert [(s.joined, s.flat) for s in case_flat(t, 2)] == [("i64", "i64"), ("f64", "f64")]
    assert case_flat(t, 0) == ()
    with pytest.raises(AbiError, match="case 3 of a variant that has 3 cases"):
        case_flat(t, 3)


def test_limits() -> None:
    assert flatten_types([U8] * 16) == ("i32",) * 16
    assert flatten_types([U8] * 17) is None
    assert flatten_types([STRING, STRING], limit=3) is None
    assert flatten_types([], limit=0) == ()
    assert len(flatten(ListT(U8, MAX_FLAT))) == MAX_FLAT
    with pytest.raises(AbiError, match="more than 1000 core values"):
        flatten(ListT(U8, MAX_FLAT + 1))


def test_elements_behind_a_pointer_may_be_larger_than_the_limit() -> None:
    assert flatten(ListT(ListT(U8, MAX_FLAT + 1))) == ("i32", "i32")
    assert flatten(MapT(STRING, ListT(U8, 1 << 40))) == ("i32", "i32")


Context = Literal["lift", "lower"]
SYNC, ASYNC, CALLBACK = (False, False), (True, False), (True, True)


def func(params: int, result: ValType | None = None) -> FuncT:
    return FuncT(tuple((f"p{i}", F32) for i in range(params)), result)


# (params, result, context, options, core type as "params -> results", params/result spilled)
SIGNATURES: list[tuple[int, ValType | None, Context, tuple[bool, bool], str, str]] = [
    (0, None, "lift", SYNC, " -> ", ""),
    (2, U64, "lift", SYNC, "f32 f32 -> i64", ""),
    (2, U64, "lower", SYNC, "f32 f32 -> i64", ""),
    (16, None, "lower", SYNC, "f32 " * 16 + "-> ", ""),
    (17, None, "lower", SYNC, "ptr -> ", "p"),
    (17, None, "lift", SYNC, "ptr -> ", "p"),
    (1, STRING, "lift", SYNC, "f32 -> ptr", "r"),
    (1, STRING, "lower", SYNC, "f32 ptr -> ", "r"),
    (16, STRING, "lower", SYNC, "f32 " * 16 + "ptr -> ", "r"),
    (17, STRING, "lower", SYNC, "ptr ptr -> ", "pr"),
    (4, None, "lower", ASYNC, "f32 f32 f32 f32 -> i32", ""),
    (5, None, "lower", ASYNC, "ptr -> i32", "p"),
    (0, U8, "lower", ASYNC, "ptr -> i32", "r"),
    (5, PAIR, "lower", ASYNC, "ptr ptr -> i32", "pr"),
    (5, PAIR, "lift", ASYNC, "f32 f32 f32 f32 f32 -> ", ""),
    (5, PAIR, "lift", CALLBACK, "f32 f32 f32 f32 f32 -> i32", ""),
    (17, None, "lift", CALLBACK, "ptr -> i32", "p"),
]


@pytest.mark.parametrize(("params", "result", "context", "options", "core", "spilled"), SIGNATURES)
def test_core_signature(
    params: int,
    result: ValType | None,
    context: Context,
    options: tuple[bool, bool],
    core: str,
    spilled: str,
) -> None:
    for ptr, name in ((4, "i32"), (8, "i64")):
        left, right = core.replace("ptr", name).split("->")
        want = CoreSig(tuple(left.split()), tuple(right.split()), "p" in spilled, "r" in spilled)
        assert core_signature(func(params, result), context, *options, ptr=ptr) == want


def test_task_return_takes_the_result_as_parameter() -> None:
    assert task_return_signature(None) == CoreSig((), ())
    assert task_return_signature(PAIR) == CoreSig(("i32", "i64"), ())
    assert task_return_signature(ListT(U8, 17), 8) == CoreSig(("i64",), (), params_spilled=True)


@given(wit_types(4), st.sampled_from((4, 8)))
def test_every_case_fits_its_joined_slots(t: ValType, ptr: int) -> None:
    if layouts(ptr).info(t).flat > MAX_FLAT:
        return
    cores = flatten(t, ptr)
    assert len(cores) == layouts(ptr).info(t).flat
    assert set(cores) <= {"i32", "i64", "f32", "f64"}
    try:
        cases = variant_cases(t)
    except AbiError:
        return
    for number, (_, payload) in enumerate(cases):
        slots = case_flat(t, number, ptr)
        assert tuple(slot.joined for slot in slots) == cores[1 : 1 + len(slots)]
        assert tuple(s.flat for s in slots) == (flatten(payload, ptr) if payload else ())


@given(wit_types(3))
def test_only_pointers_depend_on_the_width(t: ValType) -> None:
    if not layouts().info(t).pointers and layouts().info(t).flat <= MAX_FLAT:
        assert flatten(t, 4) == flatten(t, 8)


@given(wit_funcs(), st.sampled_from(("lift", "lower")), st.booleans(), st.booleans())
def test_signatures_stay_within_the_limits(
    f: FuncT, context: Context, is_async: bool, callback: bool
) -> None:
    sig = core_signature(f, context, is_async, callback)
    few = is_async and context == "lower"
    assert len(sig.params) <= (4 if few else 16) + (context == "lower")
    assert len(sig.results) <= 1
    if sig.results_spilled:
        assert f.result is not None
