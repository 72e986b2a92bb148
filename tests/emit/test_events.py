"""Script probes around a call: when they fire, what they see, what gets recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emit.canon import Guest, core_value
from tests.emit.event_rig import EventRig, variable
from tests.emit.records import Body
from whamm_cm.abi.flatten import core_signature
from whamm_cm.agent import layout
from whamm_cm.emit.model import EventProbe, ProbeOptions, Redact, Wrapper
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.valtypes import BOOL, I32, STR, U16, U32, U64
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FuncT,
    ListT,
    Prim,
    RecordT,
    Resource,
    ResultT,
    ValType,
)

STRING, WU16 = Prim("string"), Prim("u16")
ADDRESS = RecordT((("host", STRING), ("port", WU16)))
ERROR = EnumT(("refused", "timeout"))
CONNECT = FuncT((("self", Borrow(Resource("socket"))), ("remote-address", ADDRESS)),
                ResultT(Prim("u32"), ERROR))  # fmt: skip
modes = pytest.mark.parametrize("multi", [True, False])


def bound(name: str, t: ValType) -> tree.Bound:
    return tree.Bound(vt.WitT(t), name)


HOST = tree.Scalar(STR, tree.Field(vt.WitT(STRING), bound("remote_address", ADDRESS), 0))
PORT = tree.Scalar(U16, tree.Field(vt.WitT(WU16), bound("remote_address", ADDRESS), 1))
N = variable("n", U32)
LAST = variable("last", STR)
NUMBER = variable("number", U64)
COUNT = tree.Update(tree.Var(U32, N), "+", tree.Const(U32, 1))
TRACE = tree.Trace()


def equals(expr: Any, value: int) -> tree.Expr:
    return tree.Binary(BOOL, "==", expr, tree.Const(expr.type, value))


def put(target: tree.Variable, value: tree.Expr) -> tree.Stmt:
    return tree.Assign(tree.Var(target.type, target), value)


def wrapper(
    func: FuncT, *probes: EventProbe, kind: Any = "lower", action: Any = "none", **more: Any
) -> Wrapper:
    sig = core_signature(func, kind, more.get("is_async", False), more.get("callback", False))
    return Wrapper(5, kind, action, sig, func.params, func.result, memory=0, probes=probes, **more)


def connect(rig: EventRig, host: str, port: int, retptr: int = 512) -> Any:
    guest = Guest()
    flat = guest.lower(ADDRESS, {"host": host, "port": port})
    rig.poke(guest.base, bytes(guest.heap))
    return rig.call(9, *(core_value(core) for core in flat), retptr)


def answer(rig: EventRig, raw: bytes) -> None:
    rig.poke(512, raw)


OK, REFUSED = b"\0\0\0\0\7\0\0\0", b"\1\0\0\0\0\0\0\0"


@modes
def test_a_probe_fires_where_its_predicate_holds(multi: bool) -> None:
    probe = EventProbe("before", (COUNT, put(LAST, HOST)), equals(PORT, 443))
    rig = EventRig(
        [wrapper(CONNECT, probe)],
        [lambda *_: None],
        ProbeOptions(multi_memory=multi),
        globals_=[N, LAST],
    )
    connect(rig, "a.example", 443)
    connect(rig, "b.example", 80)
    assert (rig.read(N), rig.read(LAST)) == (1, b"a.example")
    connect(rig, "bücher.example", 443)
    assert (rig.read(N), rig.read(LAST)) == (2, "bücher.example".encode())


def test_a_false_predicate_leaves_no_trace_and_takes_no_number() -> None:
    probe = EventProbe("before", (TRACE,), equals(PORT, 443))
    rig = EventRig([wrapper(CONNECT, probe)], [lambda *_: answer(rig, OK)])
    connect(rig, "a", 80)
    assert rig.buffered() == [] and rig.state(layout.NEXT_CALL, 8) == 1
    connect(rig, "b", 443)
    call, back = rig.buffered()
    assert [(r.site, r.phase, r.call) for r in (call, back)] == [(5, 0, 1), (5, 1, 1)]
    types = [t for _, t in CONNECT.params]
    assert Body(call.body, 4, "utf8").values(types) == [9, [("str", b"b", 1), 443]]
    assert back.body == OK


def test_trace_is_written_once() -> None:
    probes = [
        EventProbe("before", (TRACE, TRACE)),
        EventProbe("before", (TRACE,)),
        EventProbe("after", (TRACE,)),
    ]
    rig = EventRig([wrapper(CONNECT, *probes)], [lambda *_: answer(rig, OK)])
    connect(rig, "a", 80)
    assert [r.phase for r in rig.buffered()] == [0, 1]


@pytest.mark.parametrize("timed", [True, False])
def test_trace_after_gives_both_records_of_a_call_to_an_import(timed: bool) -> None:
    is_err = tree.Bound(BOOL, "is_err")
    probe = EventProbe("after", (TRACE,), is_err)
    rig = EventRig(
        [wrapper(CONNECT, probe)], [lambda *_: answer(rig, replies.pop())], ProbeOptions(timed)
    )
    replies = [OK, REFUSED, OK]
    for _ in range(3):
        connect(rig, "a", 80)
    call, back = rig.buffered()
    assert (call.phase, call.call) == (0, 1)
    assert (back.phase, back.call, back.body) == (1, 1, REFUSED)
    assert back.dur_ns == (10 if timed else None)


def test_a_late_return_record_takes_its_call_for_a_secret_one() -> None:
    """Without a call record, as the callee of an export owns its parameters, nobody has looked at
    the name."""
    func = FuncT((("name", STRING),), STRING)
    late, early = EventProbe("after", (TRACE,)), EventProbe("before", (TRACE,))
    for probe, kind, kept in (
        (late, "lift", "redacted"),
        (late, "lower", ("str", b"text/html", 9)),
        (early, "lower", ("str", b"text/html", 9)),
    ):
        w = wrapper(func, probe, kind=kind, redact=Redact(gate=0, result="none"))
        guest = Guest()
        at = guest.store_all([STRING], ["text/html"])
        answer_ = [at] if kind == "lift" else [None]
        rig = EventRig([w], [lambda *_, given=answer_: given[0]])
        rig.poke(guest.base, bytes(guest.heap))
        rig.poke(64, b"accept")
        rig.call(64, 6, *([at] if kind == "lower" else []))
        found = (rig.sent() if kind == "lift" else rig.buffered())[-1]
        assert Body(found.body, 4, "utf8").values([STRING]) == [kept]


def test_recorded_calls_are_not_traced_twice() -> None:
    probes = [EventProbe("before", (TRACE,)), EventProbe("after", (TRACE,))]
    rig = EventRig([wrapper(CONNECT, *probes, action="record")], [lambda *_: None])
    connect(rig, "a", 80)
    assert [(r.phase, r.call) for r in rig.buffered()] == [(0, 1), (1, 1)]


@pytest.mark.parametrize("action", ["none", "count", "record"])
def test_call_id_is_that_of_the_records(action: Any) -> None:
    probes = [
        EventProbe("before", (put(NUMBER, tree.Bound(U64, "call_id")),), equals(PORT, 1)),
        EventProbe("before", (TRACE,)),
        EventProbe("after", (COUNT,), tree.Binary(
            BOOL, "==", tree.Bound(U64, "call_id"), tree.Var(U64, NUMBER))),
    ]  # fmt: skip
    rig = EventRig(
        [wrapper(CONNECT, *probes, action=action)], [lambda *_: None], globals_=[N, NUMBER]
    )
    for port in (1, 2, 1):
        connect(rig, "a", port)
    assert [r.call for r in rig.buffered()] == [1, 1, 2, 2, 3, 3]
    assert (rig.read(NUMBER), rig.read(N)) == (3, 2)


def test_elapsed_reads_the_clock_only_where_it_is_used() -> None:
    took = tree.Bound(U64, "elapsed")
    probes = [EventProbe("after", (put(NUMBER, took),))]
    rig = EventRig([wrapper(CONNECT, *probes)], [lambda *_: None], globals_=[NUMBER])
    connect(rig, "a", 1)
    assert rig.read(NUMBER) == 10
    assert ("probe", "now") in rig.imports
    bare = EventRig([wrapper(CONNECT, EventProbe("after", (COUNT,)))], [len], globals_=[N])
    assert ("probe", "now") not in bare.imports


@modes
def test_results_of_every_kind(multi: bool) -> None:
    """Flat, behind the return pointer of an import, behind the pointer an export returns."""
    options = ProbeOptions(multi_memory=multi)
    number = FuncT((), WU16)
    see = EventProbe("after", (put(NUMBER, tree.Cast(U64, tree.Bound(U16, "result"))),))
    rig = EventRig([wrapper(number, see)], [lambda: 0x1FFFF], options, globals_=[NUMBER])
    rig.call()
    assert rig.read(NUMBER) == 0xFFFF
    text = FuncT((), STRING)
    keep = EventProbe("after", (put(LAST, tree.Scalar(STR, bound("result", STRING))),))
    guest = Guest()
    at = guest.store_all([STRING], ["grüße"])
    for kind in ("lower", "lift"):
        rig = EventRig(
            [wrapper(text, keep, kind=kind)],
            [lambda *_: at] if kind == "lift" else [lambda *_: None],
            options,
            globals_=[LAST],
        )
        rig.poke(guest.base, bytes(guest.heap))
        assert rig.call(*([] if kind == "lift" else [at])) == (at if kind == "lift" else None)
        assert rig.read(LAST) == "grüße".encode()


def test_an_async_import_has_returned_when_its_status_says_so() -> None:
    w = wrapper(CONNECT, EventProbe("after", (COUNT,)), is_async=True)
    rig = EventRig([w], [lambda *_: replies.pop(0)], globals_=[N])
    replies = [1 | 9 << 4, 2 | 9 << 4, 2]
    assert [rig.call(9, 0, 0, 80, 512) for _ in range(3)] == [1 | 9 << 4, 2 | 9 << 4, 2]
    assert rig.read(N) == 2


def test_loops_walk_a_list() -> None:
    """The index is a variable of the script."""
    hosts = ListT(ADDRESS)
    func = FuncT((("hosts", hosts),), None)
    i = tree.Variable("i", I32, tree.Kind.LOCAL)
    element = tree.Element(vt.WitT(ADDRESS), bound("hosts", hosts), tree.Var(I32, i))
    port = tree.Scalar(U16, tree.Field(vt.WitT(WU16), element, 1))
    add = tree.Update(tree.Var(U32, N), "+", tree.Cast(U32, port))
    length = tree.Cast(I32, tree.Length(U32, bound("hosts", hosts)))
    more = tree.Binary(I32, "+", length, tree.Const(I32, 2))
    loop = tree.For(i, tree.Const(I32, -1), more, (add,))
    rig = EventRig([wrapper(func, EventProbe("before", (loop,)))], [lambda *_: None], globals_=[N])
    guest = Guest()
    values = [{"host": "h", "port": port} for port in (1, 20, 300)]
    flat = [core_value(core) for core in guest.lower(hosts, values)]
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*flat)
    assert rig.read(N) == 321


@modes
def test_print_goes_through_the_agent(multi: bool) -> None:
    text = tree.Print((tree.Const(STR, "to "), HOST, tree.Const(STR, ":"), PORT))
    rig = EventRig(
        [wrapper(CONNECT, EventProbe("before", (text,)))],
        [lambda *_: None],
        ProbeOptions(multi_memory=multi),
    )
    connect(rig, "höst", 80)
    [record] = rig.buffered()
    assert record.phase == 5 and "to höst:80".encode() in record.body


def test_the_final_flush_asks_the_script_for_its_report() -> None:
    rig = EventRig([wrapper(FuncT((), None), kind="lift"), wrapper(CONNECT)], [lambda: None] * 2)
    rig.call()
    assert rig.reports == 1
    rig.call()
    assert rig.reports == 2


def test_functions_of_the_script_are_called() -> None:
    double = tree.Function("double", (), U32)
    args = (tree.Cast(U32, PORT),)
    call = put(N, tree.Call(U32, double, args))
    users = {double: lambda n: 2 * n}
    w = wrapper(CONNECT, EventProbe("before", (call,)))
    rig = EventRig([w], [lambda *_: None], globals_=[N], users=users)
    connect(rig, "a", 80)
    assert rig.read(N) == 160


def test_is_err_of_a_function_without_errors_is_false() -> None:
    probe = EventProbe("after", (COUNT,), tree.Bound(BOOL, "is_err"))
    rig = EventRig([wrapper(FuncT((), WU16), probe)], [lambda: 1], globals_=[N])
    rig.call()
    assert rig.read(N) == 0


def test_cells_are_the_probes_own() -> None:
    cell = tree.Variable("hits", U32, tree.Kind.CELL)
    body = (tree.Update(tree.Var(U32, cell), "+", tree.Const(U32, 1)),)
    other = variable("c", U32)
    probes = [EventProbe("before", body, cells={cell: ((f"{other.name}0", "i32"),)})]
    probes.append(EventProbe("before", body, cells={cell: layout.STATIC + 64}))
    rig = EventRig([wrapper(CONNECT, *probes)], [lambda *_: None], globals_=[other])
    for _ in range(3):
        connect(rig, "a", 1)
    assert rig.read(other) == 3
    at = layout.STATIC + 64
    assert bytes(rig.state_unit["memory"].read(rig.store, at, at + 4)) == b"\3\0\0\0"


def test_what_is_not_known_is_refused() -> None:
    elapsed = put(NUMBER, tree.Bound(U64, "elapsed"))
    cases: list[tuple[Wrapper, str]] = [
        (wrapper(CONNECT, EventProbe("before", (elapsed,), title="x")), "x: elapsed is known"),
        (
            wrapper(CONNECT, EventProbe("after", (COUNT,)), kind="lift", is_async=True,
                    callback=True),
            "task.return",
        ),
        (wrapper(CONNECT, EventProbe("before", (tree.Return(),))), "belongs into an alt probe"),
    ]  # fmt: skip
    for w, message in cases:
        with pytest.raises(WeaveError, match=message):
            EventRig([w], [lambda *_: None], globals_=[N, NUMBER])
