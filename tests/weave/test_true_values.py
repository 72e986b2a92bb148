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
from wasmtime import Module, WasmtimeError
from wasmtime.component import Component

from tests.strategies import same, values_of, wit_types
from tests.weave.echo import HOST, echo_component
from tests.weave.expect import Show, agree, room
from tests.weave.host import Functions, Guest, engine, everything, text, traced
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import (
    Borrow,
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


def budget(examples: int) -> settings:
    """Each example compiles two components."""
    return settings(
        deadline=None,
        max_examples=max(1, int(examples * FACTOR)),
        suppress_health_check=list(HealthCheck),
    )


def runnable(t: ValType) -> ValType:
    """``t`` with what a host cannot pass through wasmtime's C API replaced: handles, fixed-length
    lists and flags beyond 32 (tests/emit has those)."""
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


def host(some: Sequence[Case], interface: str = HOST) -> Functions:
    """Functions ``f0``… that return what their case says."""
    return Functions(
        {
            (interface, f"f{i}"): (case.func, lambda *_, result=case.result: result)
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


@budget(70)
@given(some=st.lists(cases(), min_size=1, max_size=3), encoding=st.sampled_from(ENCODINGS),
       post_return=st.booleans())  # fmt: skip
def test_every_value_is_recorded_as_it_was(
    some: list[Case], encoding: str, post_return: bool
) -> None:
    show = Show(encoding)
    assume(all(room(list(expected(case, show))) < 16000 for case in some))
    run(some, encoding, show, post_return, max_string=1 << 16, max_list=1 << 10)


@budget(30)
@given(some=st.lists(cases(), min_size=1, max_size=2), encoding=st.sampled_from(ENCODINGS))
def test_the_same_without_multi_memory(some: list[Case], encoding: str) -> None:
    show = Show(encoding)
    assume(all(room(list(expected(case, show))) < 16000 for case in some))
    plan = {"max_string": 1 << 16, "max_list": 1 << 10, "multi_memory": False}
    run(some, encoding, show, False, **plan)


@budget(40)
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


SECRETS = "wasi:config/store@0.2.0-rc.1"


@budget(30)
@given(result=wit_types(3).map(runnable), data=st.data(), encoding=st.sampled_from(ENCODINGS),
       show_secrets=st.booleans(), multi_memory=st.booleans())  # fmt: skip
def test_secrets_stay_in_the_guest_unless_asked_for(
    result: ValType, data: st.DataObject, encoding: str, show_secrets: bool, multi_memory: bool
) -> None:
    case = Case(FuncT((("p0", Prim("string")),), result), ["key"], data.draw(values_of(result)))
    show = Show(encoding, redacted=not show_secrets)
    shown = show.value(result, case.result)
    assume(room(Show(encoding).value(result, case.result)) < 16000)
    guest, sink = traced(
        echo_component([case.func], encoding, interface=SECRETS), host([case], SECRETS),
        max_string=1 << 16, show_secrets=show_secrets, multi_memory=multi_memory,
    )  # fmt: skip
    assert same(guest.call("f0", *case.args), case.result)
    [returned] = [r for r in sink.records if (r["edge"], r["phase"]) == ("import", "return")]
    assert agree(shown, returned["result"]), (shown, returned)
    assert (returned["interface"], returned["version"]) == ("wasi:config/store", "0.2.0-rc.1")


def test_a_secret_never_gets_past_the_receiver_of_blocks() -> None:
    """Blocks hold it, so that it is known again elsewhere; no record does.  The name of the
    variable and the length stay."""
    pairs = ListT(TupleT((Prim("string"), Prim("string"))))
    case = Case(FuncT((), pairs), [], [["PASSWORD", "hunter2-hunter2"]])
    records: dict[bool, str] = {}
    for show_secrets in (False, True):
        wasm = echo_component([case.func], interface=SECRETS)
        guest, sink = traced(wasm, host([case], SECRETS), show_secrets=show_secrets,
                             trace=lambda edge, *_: edge == "import", flush_each=True)  # fmt: skip
        guest.call("f0")
        records[show_secrets] = repr(sink.records)
    assert all("PASSWORD" in text for text in records.values())
    assert "hunter2" not in records[False]
    assert "hunter2" in records[True]


def one(case: Case, encoding: str = "utf8", **plan: Any) -> list[dict[str, Any]]:
    guest, sink = traced(echo_component([case.func], encoding), host([case]), **plan)
    assert same(guest.call("f0", *case.args), case.result)
    return sink.records


@pytest.mark.parametrize("count", [15, 16, 17, 40])
@pytest.mark.parametrize("multi_memory", [True, False])
def test_parameters_on_both_sides_of_spilling(count: int, multi_memory: bool) -> None:
    types = [Prim(("u8", "f32", "s64", "f64", "char")[i % 5]) for i in range(count)]
    values = [[i, i / 4, -i, i / 3, chr(0x1F600 + i)][i % 5] for i in range(count)]
    func = FuncT(tuple((f"p{i}", t) for i, t in enumerate(types)), None)
    case = Case(func, values, None)
    check(one(case, multi_memory=multi_memory), 0, case, Show())


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 5000])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_strings_and_bytes_on_both_sides_of_the_cap(size: int, encoding: str) -> None:
    types = (("a", Prim("string")), ("b", Prim("string")), ("c", ListT(Prim("u8"))))
    values = ["x" * size, "☃" * size, bytes(i % 256 for i in range(size))]
    case = Case(FuncT(types, TupleT(tuple(t for _, t in types))), values, values)
    check(one(case, encoding), 0, case, Show(encoding, 256, 32))


def test_a_full_record_cuts_what_no_longer_fits() -> None:
    """16 KiB is the end of a record; every string still says how long it was."""
    strings = [f"{i:04}" * 500 for i in range(40)]
    case = Case(FuncT((("p0", ListT(Prim("string"))),), None), [strings], None)
    for record in one(case, max_string=1 << 20, max_list=64):
        if record["phase"] == "call":
            shown = record["args"]["p0"]
            whole = shown.index(next(s for s in shown if isinstance(s, dict)))
            assert shown[:whole] == strings[:whole] and whole >= 7
            assert [s["~cut"] for s in shown[whole:]] == [2000] * (40 - whole)
            assert strings[whole].startswith(shown[whole]["~str"])
            assert all(s["~str"] == "" for s in shown[whole + 1 :])


def test_values_too_large_for_a_record_are_said_to_be_big() -> None:
    t: ValType = Prim("u64")
    value: Any = 7
    for _ in range(4):
        t, value = TupleT((t,) * 7), [value] * 7
    case = Case(FuncT((("p0", t),), t), [value], value)
    records = one(case)
    assert [(r["edge"], r["phase"]) for r in records] == PLACES
    assert all(r["big"] and "args" not in r and "result" not in r for r in records)


TOO_NEW = {
    "memory64": """(component
      (import "h" (func $h (param "s" string) (result string)))
      (core module $libc (memory (export "memory") i64 1)
        (func (export "realloc") (param i64 i64 i64 i64) (result i64) (i64.const 64)))
      (core instance $libc (instantiate $libc))
      (core func $h (canon lower (func $h) (memory $libc "memory")
        (realloc (func $libc "realloc"))))
      (core module $m (import "" "h" (func (param i64 i64 i64)))
        (func (export "f") (param i64 i64) (result i64) unreachable))
      (core instance $m (instantiate $m (with "" (instance (export "h" (func $h))))))
      (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f")
        (memory $libc "memory") (realloc (func $libc "realloc")))))""",
    "fixed-length lists": """(component
      (import "h" (func $h (param "l" (list u32 3)) (result u32)))
      (core func $h (canon lower (func $h)))
      (core module $m (import "" "h" (func (param i32 i32 i32) (result i32)))
        (func (export "f") (param i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $m (with "" (instance (export "h" (func $h))))))
      (func (export "f") (param "l" (list u32 3)) (result u32)
        (canon lift (core func $m "f"))))""",
}


@pytest.mark.parametrize("feature", TOO_NEW)
@pytest.mark.parametrize("multi_memory", [True, False])
def test_what_wasmtime_47_cannot_run_yet_is_woven_all_the_same(
    feature: str, multi_memory: bool
) -> None:
    """The component is refused by its bindings with or without us; our modules are valid."""
    wasm = text(TOO_NEW[feature])
    woven = weave(wasm, Plan(trace=everything, sink="host", multi_memory=multi_memory))
    for data in (wasm, woven.wasm):
        with pytest.raises(WasmtimeError, match="cm64|fixed-length lists"):
            Component(engine(), data)
    assert (woven.added.wrappers, woven.added.sites, woven.added.skipped) == (2, 2, [])
    modules = [d.node for d in woven.component.definitions if isinstance(d.node, CoreModule)]
    for module in modules:
        Module(engine(multi_memory), bytes(module.data))
