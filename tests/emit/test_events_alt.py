"""Interventions: new arguments, answers in the callee's place, delays; and what is refused."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.emit.canon import Guest, core_value
from tests.emit.event_rig import EventRig
from tests.emit.test_events import (
    ADDRESS,
    CONNECT,
    COUNT,
    ERROR,
    HOST,
    LAST,
    OK,
    PORT,
    REFUSED,
    TRACE,
    WU16,
    N,
    answer,
    bound,
    connect,
    equals,
    modes,
    wrapper,
)
from tests.strategies import same, values_of, wit_types
from whamm_cm.abi.flatten import core_signature
from whamm_cm.abi.values import Options, lift_flat, load
from whamm_cm.emit.constants import has_handles
from whamm_cm.emit.model import EventProbe, ProbeOptions, Wrapper
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.valtypes import BOOL, STR, U16, U32
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FuncT,
    ListT,
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

EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "80"))
STRING, WU32, CHAR = Prim("string"), Prim("u32"), Prim("char")
ENCODINGS = ("utf8", "utf16", "latin1+utf16")
PROCEED = tree.Act("proceed")
SOCKET = Resource("socket")


def give(t: ValType, value: Any) -> tree.Stmt:
    return tree.Return(tree.WitConst(vt.WitT(t), value))


def alt(*body: tree.Stmt, when: tree.Expr | None = None) -> EventProbe:
    return EventProbe("alt", body, when, title="script0:1:1")


def refused(w: Wrapper, message: str) -> None:
    with pytest.raises(WeaveError, match=message):
        EventRig([w], [lambda *_: None])


# --- arguments -----------------------------------------------------------------------------------


def seen_after(t: ValType, value: Any, to: tree.Const, path: tree.Expr, more: int = 0) -> Any:
    """The value of parameter ``p`` that the callee gets when ``path`` is assigned to; with
    ``more`` parameters before it they all lie in memory."""
    return _seen(t, value, to, path, more, Guest(), True)


def _seen(
    t: ValType, value: Any, to: tree.Const, path: tree.Expr, more: int, guest: Guest, multi: bool
) -> Any:
    types = [("q" + str(i), Prim("u64")) for i in range(more)]
    func = FuncT((*types, ("p", t)), None)
    w = wrapper(
        func,
        EventProbe("before", (tree.Assign(path, to),)),
        encoding=guest.encoding,
    )
    received: list[Any] = []
    rig = EventRig([w], [lambda *a: received.extend(a)], ProbeOptions(multi_memory=multi))
    values = [*range(more), value]
    if w.signature.params_spilled:
        args: list[Any] = [guest.store_all([t for _, t in func.params], values)]
    else:
        args = [*range(more), *(core_value(core) for core in guest.lower(t, value))]
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*args)
    options = Options(4, guest.encoding)  # type: ignore[arg-type]
    whole = TupleT(tuple(t for _, t in func.params))
    memory = rig.whole()
    if w.signature.params_spilled:
        return load(whole, memory, received[0], options)[-1]
    return lift_flat(t, received[more:], memory, options)


P32 = bound("p", WU32)
RECORD = RecordT((("a", Prim("u8")), ("b", OptionT(Prim("f32"))), ("c", CHAR)))
JOINED = VariantT((("n", Prim("f32")), ("m", Prim("u64")), ("s", STRING)))
VALUE = {"a": 1, "b": 2.5, "c": "x"}


@pytest.mark.parametrize("more", [0, 16])
def test_scalars_are_assigned(more: int) -> None:
    record = bound("p", RECORD)
    some = tree.Field(vt.WitT(OptionT(Prim("f32"))), record, 1)
    cases: list[tuple[ValType, Any, tree.Const, tree.Expr, Any]] = [
        (WU32, 7, tree.Const(U32, 9), P32, 9),
        (WU32, 7, tree.Const(U32, 9), tree.Bound(U32, "p"), 9),
        (RECORD, VALUE, tree.Const(vt.U8, 255),
         tree.Field(vt.WitT(Prim("u8")), record, 0), VALUE | {"a": 255}),
        (RECORD, VALUE, tree.Const(vt.F32, -1.5),
         tree.Payload(vt.WitT(Prim("f32")), some, 1), VALUE | {"b": -1.5}),
        (RECORD, VALUE | {"b": None}, tree.Const(vt.F32, -1.5),
         tree.Payload(vt.WitT(Prim("f32")), some, 1), VALUE | {"b": None}),
        (RECORD, VALUE, tree.Const(U32, 0x1F600),
         tree.Field(vt.WitT(CHAR), record, 2), VALUE | {"c": "😀"}),
        (RECORD, VALUE, tree.Const(U32, 0xD800),
         tree.Field(vt.WitT(CHAR), record, 2), VALUE),
        (ERROR, "refused", tree.Const(U32, 1), bound("p", ERROR), "timeout"),
        (ERROR, "refused", tree.Const(U32, 2), bound("p", ERROR), "refused"),
        (JOINED, {"n": 1.5}, tree.Const(vt.F32, 2.5),
         tree.Payload(vt.WitT(Prim("f32")), bound("p", JOINED), 0), {"n": 2.5}),
        (JOINED, {"m": 1}, tree.Const(vt.U64, 1 << 60),
         tree.Payload(vt.WitT(Prim("u64")), bound("p", JOINED), 1), {"m": 1 << 60}),
        (JOINED, {"s": "before"}, tree.Const(STR, "after"),
         tree.Payload(vt.WitT(STRING), bound("p", JOINED), 2), {"s": "after"}),
    ]  # fmt: skip
    for t, value, to, path, expected in cases:
        assert same(seen_after(t, value, to, path, more), expected), (path, to)


def test_an_update_reads_and_writes() -> None:
    add = tree.Update(tree.Bound(U16, "p"), "+", tree.Const(U16, 0xFFFF))
    received: list[int] = []
    w = wrapper(FuncT((("p", WU16),), None), EventProbe("before", (add,)))
    EventRig([w], [received.append]).call(5)
    assert received == [4]


@modes
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_strings_are_written_in_place(encoding: Any, multi: bool) -> None:
    fits = {"utf8": "größe 日本", "utf16": "größe 日本😀", "latin1+utf16": "größe 日本😀"}[encoding]
    for old, new, expected in (
        ("secret.example", fits, fits),
        ("日本語日本語日本語日本", fits, fits),
        ("plain", "größe", "größe" if encoding != "utf8" else "plain"),
        ("short", "longer than that", "short"),
        ("gone", "", ""),
        ("", "", ""),
    ):
        if encoding == "latin1+utf16" and old == "secret.example":
            expected = old  # Latin-1 has no such characters
        guest = Guest(4, encoding)
        found = _seen(STRING, old, tree.Const(STR, new), bound("p", STRING), 0, guest, multi)
        assert found == expected
        spilled = Guest(4, encoding)
        found = _seen(STRING, old, tree.Const(STR, new), bound("p", STRING), 16, spilled, multi)
        assert found == expected


def test_handles_and_results_are_not_assigned() -> None:
    handle = tree.Assign(tree.Bound(U32, "self"), tree.Const(U32, 1))
    refused(wrapper(CONNECT, EventProbe("before", (handle,))), "'self' is a handle")
    late = tree.Assign(PORT, tree.Const(U16, 1))
    refused(wrapper(CONNECT, EventProbe("after", (late,))), "only be assigned to before")


# --- answers -------------------------------------------------------------------------------------


def never(*_: Any) -> Any:
    raise AssertionError("the callee was called")


def test_an_answer_in_place_of_the_call() -> None:
    fail = tree.Act("fail", (tree.Const(U32, 1),))
    for stmt, raw in (
        (give(CONNECT.result, {"ok": 0x12345678}), b"\0\0\0\0\x78\x56\x34\x12"),  # type: ignore[arg-type]
        (fail, b"\1\0\0\0\1\0\0\0"),
    ):
        rig = EventRig([wrapper(CONNECT, alt(stmt))], [never])
        connect(rig, "a", 1)
        assert rig.peek(512, 8) == raw


def test_calls_an_alt_probe_does_not_match_go_on() -> None:
    body = (give(CONNECT.result, {"error": "refused"}),)  # type: ignore[arg-type]
    ports: list[int] = []
    rig = EventRig(
        [wrapper(CONNECT, alt(*body, when=equals(PORT, 443)))],
        [lambda *a: (ports.append(a[3]), answer(rig, OK))[1]],
    )
    for port, expected in ((443, REFUSED), (80, OK)):
        connect(rig, "a", port)
        assert rig.peek(512, 1) == expected[:1]
    assert ports == [80]


def test_a_body_without_an_answer_calls_on_once() -> None:
    for body in ((COUNT,), (PROCEED,), (PROCEED, PROCEED), (PROCEED, COUNT, PROCEED)):
        calls: list[None] = []
        callee = partial(_called, calls)
        rig = EventRig([wrapper(CONNECT, alt(*body))], [callee], globals_=[N])
        connect(rig, "a", 80)
        assert len(calls) == 1 and rig.read(N) == body.count(COUNT)


def _called(calls: list[None], *_: Any) -> None:
    calls.append(None)


@modes
def test_the_result_is_known_once_the_call_has_gone_on(multi: bool) -> None:
    """...and can be replaced."""
    is_err = tree.Bound(BOOL, "is_err")
    count_errors = tree.If(is_err, (COUNT,))
    better = tree.If(is_err, (give(CONNECT.result, {"ok": 5}),))  # type: ignore[arg-type]
    rig = EventRig(
        [wrapper(CONNECT, alt(count_errors, PROCEED, count_errors, better))],
        [lambda *_: answer(rig, replies.pop(0))],
        ProbeOptions(multi_memory=multi),
        globals_=[N],
    )
    replies = [REFUSED, OK]
    answer(rig, REFUSED)
    connect(rig, "a", 1)
    assert (rig.read(N), rig.peek(512, 8)) == (1, b"\0\0\0\0\5\0\0\0")
    answer(rig, REFUSED)
    connect(rig, "a", 1)
    assert (rig.read(N), rig.peek(512, 8)) == (1, OK)


def test_numbers_can_be_computed() -> None:
    func = FuncT((("p", WU32),), WU32)
    double = tree.Binary(U32, "*", tree.Bound(U32, "p"), tree.Const(U32, 2))
    rig = EventRig([wrapper(func, alt(tree.Return(double)))], [never])
    assert rig.call(21) == 42
    error = EnumT(("a", "b"))
    pick = wrapper(FuncT((("p", WU32),), error), alt(tree.Return(tree.Bound(U32, "p"))))
    rig = EventRig([pick], [never])
    assert [rig.call(n) for n in (0, 1, 2, -1)] == [0, 1, 0, 0]
    floats = wrapper(FuncT((), Prim("f64")), alt(tree.Return(tree.Const(vt.F64, 2.5))))
    assert EventRig([floats], [never]).call() == 2.5


def test_an_answered_call_is_recorded_like_any_other() -> None:
    body = (TRACE, give(CONNECT.result, {"error": "refused"}))  # type: ignore[arg-type]
    for action in ("none", "record"):
        w = wrapper(
            CONNECT, alt(*body), EventProbe("after", (COUNT,), tree.Bound(BOOL, "is_err")),
            action=action,
        )  # fmt: skip
        rig = EventRig([w], [never], globals_=[N])
        connect(rig, "a", 1)
        call, back = rig.buffered()
        assert (call.phase, back.phase, back.body[:5], rig.read(N)) == (0, 1, REFUSED[:5], 1)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_constant_can_be_the_answer(data: st.DataObject) -> None:
    t = data.draw(wit_types(2))
    value = data.draw(values_of(t, 2))
    assume(not has_handles(t, value))
    kind = data.draw(st.sampled_from(("lower", "lift")))
    encoding = data.draw(st.sampled_from(ENCODINGS))
    w = wrapper(FuncT((), t), alt(give(t, value)), kind=kind, encoding=encoding, realloc=True)
    multi = data.draw(st.booleans())
    rig = EventRig([w], [never], ProbeOptions(multi_memory=multi), pages=5)
    options = Options(4, encoding)
    if not w.signature.results_spilled:
        flat = [rig.call()] if w.signature.results else []
        assert same(lift_flat(t, flat, b"", options), value)
        return
    at = rig.call() if kind == "lift" else 512
    if kind == "lower":
        rig.call(at)
    assert same(load(t, rig.whole(), at, options), value)
    areas = sorted((a, s) for a, s in rig.allocated if s)
    assert all(a + s <= b for (a, s), (b, _) in zip(areas, areas[1:], strict=False))


def test_an_answer_behind_bad_pointers_is_not_written() -> None:
    w = wrapper(FuncT((), CONNECT.result), alt(give(CONNECT.result, {"ok": 1})))  # type: ignore[arg-type]
    rig = EventRig([w], [never])
    end = len(rig.whole())
    for at in (end - 7, end, -1):
        rig.call(at)
    assert not any(rig.whole())


def test_delay_waits_for_the_clock() -> None:
    delay = tree.Act("delay", (tree.Const(U32, 2),))
    rig = EventRig([wrapper(CONNECT, alt(delay))], [lambda *_: None])
    rig.clock = iter(range(0, 1 << 40, 100_000))  # type: ignore[assignment]
    connect(rig, "a", 1)
    assert next(rig.clock) == 2_100_000


# --- what is refused -----------------------------------------------------------------------------


def test_where_nothing_can_be_answered() -> None:
    no = give(Prim("u8"), 1)
    u8 = Prim("u8")
    own = FuncT((("x", ListT(Own(SOCKET))),), u8)
    stream = FuncT((("x", StreamT(u8)),), u8)
    borrow = FuncT((("x", Borrow(SOCKET)),), u8)
    refused(wrapper(own, alt(no)), "script0:1:1: an alt probe cannot answer .* own handles")
    refused(wrapper(stream, alt(no)), "own handles, streams")
    refused(wrapper(borrow, alt(no), kind="lift"), "borrows another component's resource")
    refused(wrapper(CONNECT, alt(no), kind="lift", is_async=True), "no task.return with its result")
    refused(wrapper(FuncT((), u8), alt(no), alt(no)), "two alt probes")
    refused(wrapper(FuncT((), STRING), alt(give(STRING, "x"))), "names no realloc")
    refused(wrapper(FuncT((), ADDRESS), alt(give(ADDRESS, {})), kind="lift"), "is no constant")
    refused(wrapper(FuncT((), Own(SOCKET)), alt(give(Own(SOCKET), 3))), "make up a handle")
    refused(wrapper(FuncT((), u8), alt(tree.Return())), "exactly where the function has a result")
    refused(wrapper(FuncT((), u8), alt(give(u8, 256))), "is no constant")
    refused(wrapper(FuncT((), STRING), alt(tree.Return(HOST))), "only a number can be computed")


def test_where_answers_are_harmless_after_all() -> None:
    u8 = Prim("u8")
    own = FuncT((("x", Own(SOCKET)),), u8)
    rig = EventRig([wrapper(own, alt(PROCEED, give(u8, 9)))], [lambda *_: 1])
    assert rig.call(3) == 9
    borrow = FuncT((("self", Borrow(SOCKET)),), u8)
    mine = frozenset({SOCKET})
    rig = EventRig([wrapper(borrow, alt(give(u8, 9)), kind="lift", resources=mine)], [never])
    assert rig.call(3) == 9
    assert EventRig([wrapper(borrow, alt(give(u8, 9)))], [never]).call(3) == 9


def test_fail_takes_an_error_that_carries_nothing() -> None:
    fail = tree.Act("fail", (tree.Const(U32, 1),))
    error = VariantT((("a", None), ("b", STRING)))
    for result, message in (
        (Prim("u8"), "no error cases"),
        (ResultT(None, STRING), "no enum or variant"),
        (ResultT(None, error), "'b' carries a value"),
        (ResultT(None, EnumT(("a",))), "with 1 cases"),
    ):
        refused(wrapper(FuncT((), result), alt(fail)), message)
    good = ResultT(None, VariantT((("a", STRING), ("b", None))))
    rig = EventRig([wrapper(FuncT((), good), alt(fail))], [never])
    rig.call(512)
    assert load(good, rig.whole(), 512, Options(4, "utf8")) == {"error": {"b": None}}


def test_memory64_answers() -> None:
    func = FuncT((("p", STRING),), ListT(STRING))
    sig = core_signature(func, "lower", ptr=8)
    body = (tree.Assign(tree.Bound(STR, "p"), tree.Const(STR, "new")),
            tree.Assign(tree.Var(STR, LAST), tree.Bound(STR, "p")),
            give(func.result, ["a", "", "bc"]))  # type: ignore[arg-type]  # fmt: skip
    w = Wrapper(
        5, "lower", "none", sig, func.params, func.result,
        memory=0, ptr=8, probes=(alt(*body),), realloc=True,
    )  # fmt: skip
    for multi in (True, False):
        rig = EventRig(
            [w], [never], ProbeOptions(multi_memory=multi), MemoryType(is64=True), [LAST], pages=5
        )
        rig.poke(1024, b"older")
        rig.call(1024, 5, 512)
        assert load(func.result, rig.whole(), 512, Options(8, "utf8")) == ["a", "", "bc"]  # type: ignore[arg-type]
        assert (rig.peek(1024, 5), rig.read(LAST)) == (b"newer", b"new")


def test_unused_variable_names_do_not_clash() -> None:
    """A parameter called ``result`` is the parameter until there is a result."""
    func = FuncT((("result", WU32),), WU32)
    see = tree.Assign(tree.Var(U32, N), tree.Bound(U32, "result"))
    for mode, expected in (("before", 3), ("after", 8)):
        w = wrapper(func, EventProbe(mode, (see,)))  # type: ignore[arg-type]
        rig = EventRig([w], [lambda p: 8], globals_=[N])
        rig.call(3)
        assert rig.read(N) == expected
