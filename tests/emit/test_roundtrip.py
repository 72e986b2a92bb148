"""Every value a wrapper sees comes back from its records, and the callee sees it unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.canon import Guest, core_value
from tests.emit.records import Body, Expected, Record
from tests.emit.rig import Rig
from tests.strategies import values_of, wit_funcs, wit_types
from whamm_cm.abi.flatten import CoreSig, core_signature, task_return_signature
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import (
    FuncT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

RETURNED, STARTED = 2, 1
SUBTASK = 9 << 4
ENCODINGS = ("utf8", "utf16", "latin1+utf16")


class Call:
    """One call of one wrapper with drawn values, from the caller's side."""

    def __init__(self, func: FuncT, kind: str, is_async: bool, guest: Guest) -> None:
        self.func, self.kind, self.is_async, self.guest = func, kind, is_async, guest
        self.types = [t for _, t in func.params]
        context: Any = "lift" if kind == "lift" else "lower"
        self.sig: CoreSig = core_signature(
            func, context, is_async, is_async and kind == "lift", guest.ptr
        )
        self.status = SUBTASK | RETURNED

    def arguments(self, values: list[Any]) -> list[int | float]:
        if self.sig.params_spilled:
            flat = [(f"i{8 * self.guest.ptr}", self.guest.store_all(self.types, values))]
        else:
            pairs = zip(self.types, values, strict=True)
            flat = [core for t, v in pairs for core in self.guest.lower(t, v)]
        if len(flat) < len(self.sig.params):
            flat.append((f"i{8 * self.guest.ptr}", 0))  # the return pointer; set by ``answer``
        assert [kind for kind, _ in flat] == list(self.sig.params)
        return [core_value(core) for core in flat]

    def answer(self, value: Any, args: list[int | float]) -> int | float | None:
        """What the callee returns; points the last argument at the result if it lies in memory."""
        result = self.func.result
        at = None
        if result is not None and (self.sig.results_spilled or self.is_async):
            at = self.guest.store_all([result], [value])
            if self.kind == "lower":
                args[-1] = at
        if self.is_async:
            return self.status
        if result is None:
            return None
        if self.sig.results_spilled:
            return at if self.kind == "lift" else None
        [core] = self.guest.lower(result, value)
        return core_value(core)


def check(call: Call, wrapper: Wrapper, options: ProbeOptions, values: Any, result: Any) -> None:
    guest, expected = call.guest, Expected(wrapper.encoding, options.max_string, options.max_list)
    args = call.arguments(values)
    answer = call.answer(result, args)
    seen: list[tuple[Any, ...]] = []

    def callee(*received: Any) -> Any:
        seen.append(received)
        return answer

    memory = MemoryType(is64=guest.ptr == 8)
    rig = Rig([wrapper], [callee], options, memory)
    rig.poke(guest.base, bytes(guest.heap))
    assert str(rig.call(*args)) == str(answer)  # str: a NaN is a NaN
    assert [str(v) for v in seen[0]] == [str(v) for v in args]
    records = rig.sent() if call.kind == "lift" else rig.buffered()

    def read(record: Record, types: list[ValType]) -> list[Any]:
        return Body(record.body, guest.ptr, wrapper.encoding).values(types)

    assert [(r.site, r.call) for r in records] == [(wrapper.site, 1)] * 2
    assert [r.flags for r in records] == [int(options.timed)] * 2
    assert read(records[0], call.types) == expected.values(call.types, values)
    if call.is_async and (call.kind == "lift" or call.status & 15 != RETURNED):
        assert (records[1].phase, records[1].body) == (4, call.status.to_bytes(4, "little"))
    else:
        results = [] if call.func.result is None else [call.func.result]
        assert records[1].phase == 1
        assert read(records[1], results) == expected.values(results, [result][: len(results)])
    if options.timed:
        assert [(r.t_ns, r.dur_ns) for r in records] == [(1000, None), (1010, 10)]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_come_back(data: st.DataObject) -> None:
    func = data.draw(wit_funcs())
    kind = data.draw(st.sampled_from(("lower", "lift")))
    is_async = data.draw(st.booleans())
    guest = Guest(data.draw(st.sampled_from((4, 8))), data.draw(st.sampled_from(ENCODINGS)))
    values = [data.draw(values_of(t)) for _, t in func.params]
    result = None if func.result is None else data.draw(values_of(func.result))
    call = Call(func, kind, is_async, guest)
    if data.draw(st.booleans()):
        call.status = SUBTASK | STARTED
    wrapper = Wrapper(
        data.draw(st.integers(0, 0xFFFFFF)),
        kind,
        "record",
        call.sig,
        func.params,
        func.result,
        is_async=is_async,
        callback=is_async and kind == "lift",
        memory=0,
        ptr=guest.ptr,
        encoding=guest.encoding,
    )
    options = ProbeOptions(
        timed=data.draw(st.booleans()),
        multi_memory=data.draw(st.booleans()),
        max_string=data.draw(st.sampled_from((256, 7, 0))),
        max_list=data.draw(st.sampled_from((32, 2))),
    )
    check(call, wrapper, options, values, result)


STRING = Prim("string")
MANY = VariantT(tuple((f"c{i}", STRING if i == 1 else None) for i in range(300)))
TABLE: list[tuple[ValType, Any]] = [
    (ListT(STRING, 3), ["one", "two", "three"]),
    (ListT(ListT(STRING, 2)), [["a", "b"], ["c", "d"]]),
    (ListT(TupleT((Prim("u8"), STRING)), 2), [[1, "x"], [2, "y"]]),
    (MapT(STRING, ListT(STRING)), [["k", ["v", "w"]], ["l", []]]),
    (RecordT((("a", ListT(STRING)), ("b", STRING))), {"a": ["x"], "b": "y"}),
    (ListT(ListT(ListT(Prim("u16")))), [[[1], [2, 3]], [], [[]]]),
    (ResultT(STRING, ListT(Prim("u8"))), {"error": b"no"}),
    # the same string, in the same case, behind every size of discriminant and payload offset
    (TupleT((OptionT(STRING), MANY, MANY, OptionT(TupleT((STRING, Prim("u64")))))),
     ["a", {"c1": "b"}, {"c257": None}, ["c", 1]]),
]  # fmt: skip


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("kind", ["lower", "lift"])
@pytest.mark.parametrize("case", range(len(TABLE)))
def test_table(case: int, kind: Any, multi_memory: bool) -> None:
    t, value = TABLE[case]
    func = FuncT((("p", t), ("q", STRING)), t)
    call = Call(func, kind, False, Guest())
    wrapper = Wrapper(1, kind, "record", call.sig, func.params, t, memory=0)
    check(call, wrapper, ProbeOptions(multi_memory=multi_memory), [value, "after"], value)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_task_return(data: st.DataObject) -> None:
    result = data.draw(wit_types(2))
    value = data.draw(values_of(result))
    guest = Guest()
    sig = task_return_signature(result)
    params = (("result", result),)
    call = Call(FuncT(params, None), "lower", False, guest)
    assert call.sig == sig
    args = call.arguments([value])
    rig = Rig([Wrapper(3, "task.return", "record", sig, params, memory=0)], [lambda *_: None])
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*args)
    [record] = rig.buffered()
    assert (record.site, record.phase, record.flags) == (3, 0, 0)
    assert Body(record.body, 4, "utf8").values([result]) == Expected().values([result], [value])


def test_stackful_async_lift_returns_nothing() -> None:
    func = FuncT((("a", Prim("u8")),), Prim("string"))
    sig = core_signature(func, "lift", True, False)
    wrapper = Wrapper(5, "lift", "record", sig, func.params, func.result, is_async=True, memory=0)
    rig = Rig([wrapper], [lambda a: None])
    assert rig.call(4) is None
    assert [(r.phase, r.body) for r in rig.sent()] == [(0, b"\4"), (4, bytes(4))]


@pytest.mark.parametrize("multi_memory", [True, False])
def test_builtin_records_its_core_values(multi_memory: bool) -> None:
    sig = CoreSig(("i32", "i64", "f32"), ("i64",))
    params = (("a", Prim("s32")), ("b", Prim("u64")), ("c", Prim("f32")))
    wrapper = Wrapper(9, "builtin", "record", sig, params, Prim("u64"), may_flush=False)
    rig = Rig([wrapper], [lambda *_: -2], ProbeOptions(multi_memory=multi_memory))
    assert rig.call(-1, 1 << 40, 1.5) == -2
    call, back = rig.buffered()
    types = [t for _, t in params]
    assert Body(call.body, 4, "utf8").values(types) == [0xFFFFFFFF, 1 << 40, 0x3FC00000]
    assert Body(back.body, 4, "utf8").values([Prim("u64")]) == [(1 << 64) - 2]


def test_flat_values_are_read_as_lifting_reads_them() -> None:
    """High bits of narrow integers are ignored, any number but 0 is true."""
    types: list[ValType] = [Prim("bool"), Prim("bool"), Prim("u8"), Prim("s16")]
    func = FuncT(tuple((f"p{i}", t) for i, t in enumerate(types)), None)
    wrapper = Wrapper(1, "lower", "record", core_signature(func, "lower"), func.params)
    rig = Rig([wrapper], [lambda *_: None])
    rig.call(0, 0x100, 0x1FF, -2)
    assert Body(rig.buffered()[0].body, 4, "utf8").values(types) == [0, 1, 0xFF, 0xFFFE]


def test_calls_are_numbered_per_agent() -> None:
    func = FuncT((), None)
    wrapper = Wrapper(1, "lower", "record", core_signature(func, "lower"))
    rig = Rig([wrapper, wrapper], [lambda: rig.call(k=1), lambda: None])
    rig.call(k=0)
    found = [(r.phase, r.call) for r in rig.buffered()]
    assert found == [(0, 1), (0, 2), (1, 2), (1, 1)]


def test_max_list_counts_elements_but_bytes_for_u8() -> None:
    types: list[ValType] = [ListT(Prim("u8")), ListT(Prim("s8")), ListT(Prim("string"))]
    func = FuncT(tuple((f"p{i}", t) for i, t in enumerate(types)), None)
    guest = Guest()
    values = [bytes(range(20)), [-1] * 20, ["x"] * 20]
    call = Call(func, "lower", False, guest)
    args = call.arguments(values)
    wrapper = Wrapper(1, "lower", "record", call.sig, func.params, memory=0)
    rig = Rig([wrapper], [lambda *_: None], ProbeOptions(max_string=6, max_list=3))
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*args)
    assert Body(rig.buffered()[0].body, 4, "utf8").values(types) == [
        ("list", 20, [0, 1, 2, 3, 4, 5]),
        ("list", 20, [255] * 3),
        ("list", 20, [("str", b"x", 1)] * 3),
    ]
