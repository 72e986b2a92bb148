"""Random types and values through an echo component: the records of export and import, call and
return, hold exactly what Python passed and got back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from wasmtime import WasmtimeError
from wasmtime.component import Component

from tests.strategies import same, values_of, wit_types
from tests.weave.echo import HOST, echo_component
from tests.weave.expect import Show, agree, room
from tests.weave.host import Functions, Guest, engine, everything, text, traced
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    Named,
    OptionT,
    Own,
    Prim,
    RecordT,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
)

ENCODINGS = ("utf8", "utf16", "latin1+utf16")
FACTOR = float(os.environ.get("WHAMM_EXAMPLES", "1"))


def budget(examples: int) -> Any:
    """Each example compiles two components."""
    return settings(
        deadline=None,
        max_examples=max(1, int(examples * FACTOR)),
        suppress_health_check=list(HealthCheck),
    )


def runnable(t: ValType) -> ValType:
    """``t`` with what a host cannot pass through wasmtime's C API replaced: handles, fixed-length
    lists and flags beyond 32 (tests/codegen has those)."""
    match t:
        case Own() | Borrow() | StreamT() | FutureT() | Prim("error-context"):
            return Prim("u32")
        case FlagsT(labels):
            return FlagsT(labels[:32])
        case ListT(element, int(length)):
            return TupleT((runnable(element),) * length)
        case ListT(element):
            return ListT(runnable(element))
        case MapT(key, value):
            return MapT(key, runnable(value))
        case RecordT(fields):
            return RecordT(tuple((name, runnable(field)) for name, field in fields))
        case TupleT(types):
            return TupleT(tuple(map(runnable, types)))
        case VariantT(cases):
            return VariantT(tuple((name, _maybe(payload)) for name, payload in cases))
        case OptionT(inner):
            return OptionT(runnable(inner))
        case ResultT(ok, err):
            return ResultT(_maybe(ok), _maybe(err))
        case Named(target=target):
            return runnable(target)
    return t


def _maybe(t: ValType | None) -> ValType | None:
    return None if t is None else runnable(t)


@dataclass(frozen=True)
class Case:
    """A function, what to pass and what it returns."""

    func: FuncT
    args: list[Any]
    result: Any


@st.composite
def cases(draw: st.DrawFn, max_params: int = 5, max_depth: int = 3) -> Case:
    """Few parameters of deep types, or many of shallow ones (more than 16 flat values spill)."""
    if draw(st.booleans()):
        types = draw(st.lists(wit_types(max_depth).map(runnable), max_size=max_params))
    else:
        types = draw(st.lists(wit_types(1).map(runnable), min_size=6, max_size=20))
    params = tuple((f"p{i}", t) for i, t in enumerate(types))
    result = draw(st.none() | wit_types(max_depth).map(runnable))
    func = FuncT(params, result)
    args = [draw(values_of(t)) for t in types]
    return Case(func, args, None if result is None else draw(values_of(result)))


def host(some: Sequence[Case]) -> Functions:
    """Functions ``f0``… that return what their case says."""
    return Functions(
        {
            (HOST, f"f{i}"): (case.func, lambda *_, result=case.result: result)
            for i, case in enumerate(some)
        }
    )


def expected(case: Case, show: Show) -> tuple[dict[str, Any], Any]:
    args = {
        name: show.value(t, value)
        for (name, t), value in zip(case.func.params, case.args, strict=True)
    }
    return args, None if case.func.result is None else show.value(case.func.result, case.result)


PLACES = [("export", "call"), ("import", "call"), ("import", "return"), ("export", "return")]


def check(records: list[dict[str, Any]], number: int, case: Case, show: Show) -> None:
    """The four records of one echoed call."""
    args, result = expected(case, show)
    assert [(r["edge"], r["phase"]) for r in records] == PLACES
    for record in records:
        assert record["func"] == f"f{number}"
        assert record.get("interface") == (HOST if record["edge"] == "import" else None)
        if record["phase"] == "call":
            assert agree(args, record.get("args", {})), (args, record)
            assert ("args" in record) == bool(args)
        elif case.func.result is None:
            assert "result" not in record
        else:
            assert agree(result, record["result"]), (result, record)
    assert records[0]["call"] == records[3]["call"] != records[1]["call"] == records[2]["call"]
    assert len({record["instance"] for record in records}) == 1


def run(some: Sequence[Case], encoding: str, show: Show, post_return: bool, **plan: Any) -> None:
    """Original and woven give the same results; the woven one records everything."""
    wasm = echo_component([case.func for case in some], encoding, post_return)
    functions = host(some)
    guest, sink = traced(wasm, functions, **plan)
    multi_memory = plan.get("multi_memory", True)
    original = Guest(wasm, host(some), multi_memory=multi_memory)
    for i, case in enumerate(some):
        before = len(sink.records)
        result = guest.call(f"f{i}", *case.args)
        assert same(result, case.result)
        assert same(result, original.call(f"f{i}", *case.args))
        name, got = functions.calls[-1]
        assert name == f"f{i}" and same(got, case.args)
        check(sink.records[before:], i, case, show)
    assert [record["seq"] for record in sink.records] == list(range(len(sink.records)))
    assert all(sink.finals)


@budget(60)
@given(some=st.lists(cases(), min_size=1, max_size=3), encoding=st.sampled_from(ENCODINGS),
       post_return=st.booleans())  # fmt: skip
def test_every_value_is_recorded_as_it_was(
    some: list[Case], encoding: str, post_return: bool
) -> None:
    show = Show(encoding)
    assume(all(room(list(expected(case, show))) < 16000 for case in some))
    run(some, encoding, show, post_return, max_string=1 << 16, max_list=1 << 10)


@budget(25)
@given(some=st.lists(cases(), min_size=1, max_size=2), encoding=st.sampled_from(ENCODINGS))
def test_the_same_without_multi_memory(some: list[Case], encoding: str) -> None:
    show = Show(encoding)
    assume(all(room(list(expected(case, show))) < 16000 for case in some))
    plan = {"max_string": 1 << 16, "max_list": 1 << 10, "multi_memory": False}
    run(some, encoding, show, False, **plan)


@budget(30)
@given(some=st.lists(cases(), min_size=1, max_size=2), encoding=st.sampled_from(ENCODINGS),
       max_string=st.sampled_from((0, 1, 2, 3, 7, 256)),
       max_list=st.sampled_from((0, 1, 2, 3, 32)), multi_memory=st.booleans())  # fmt: skip
def test_what_is_cut_says_how_long_it_was(
    some: list[Case], encoding: str, max_string: int, max_list: int, multi_memory: bool
) -> None:
    show = Show(encoding, max_string, max_list)
    assume(all(room(list(expected(case, show))) < 16000 for case in some))
    caps = {"max_string": max_string, "max_list": max_list}
    run(some, encoding, show, True, multi_memory=multi_memory, **caps)
