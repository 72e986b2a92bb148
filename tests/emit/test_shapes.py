"""Every module validates, types that explode do not explode the code, and generation is quick."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime as wt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.canon import Guest, core_value
from tests.emit.records import Body, Expected
from tests.emit.rig import Rig, engine
from tests.steps import growth
from tests.strategies import wit_funcs
from whamm_cm.abi.flatten import core_signature, task_return_signature
from whamm_cm.agent.layout import MAX_DEPTH, Flush, RecordFlag
from whamm_cm.emit.model import ProbeOptions, Redact, Wrapper
from whamm_cm.emit.modules import build_probe
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

STRING, U32, U64 = Prim("string"), Prim("u32"), Prim("u64")
MEMORIES = [MemoryType(), MemoryType(is64=True), MemoryType(page_size_log2=16)]
modes = st.sampled_from(("none", "values", "headers"))


@st.composite
def wrappers(draw: st.DrawFn) -> Wrapper:
    kind = draw(st.sampled_from(("lower", "lift", "task.return", "resource.rep")))
    memory = draw(st.sampled_from((0, 1)))
    ptr = 8 if memory else 4
    func = draw(wit_funcs())
    is_async = draw(st.booleans()) and kind in ("lower", "lift")
    callback = is_async and kind == "lift" and draw(st.booleans())
    if kind == "task.return":
        params = () if func.result is None else (("result", func.result),)
        func, sig = FuncT(params, None), task_return_signature(func.result, ptr)
    else:
        context: Any = "lift" if kind == "lift" else "lower"
        sig = core_signature(func, context, is_async, callback, ptr)
    gates = [i for i, (_, t) in enumerate(func.params) if getattr(t, "name", "") == "string"]
    redact = Redact(draw(modes), draw(modes)) if draw(st.booleans()) else None
    if gates and draw(st.booleans()):
        redact = Redact(gate=gates[0])
    return Wrapper(
        draw(st.integers(0, 100)),
        kind,
        draw(st.sampled_from(("record", "record", "count", "none"))),
        sig,
        func.params,
        func.result,
        is_async=is_async,
        callback=callback,
        memory=memory,
        ptr=ptr,
        encoding=draw(st.sampled_from(("utf8", "utf16", "latin1+utf16"))),
        slot=draw(st.integers(0, 4095)),
        redact=redact,
        flush_before=draw(st.sampled_from((None, Flush.NONE, Flush.PUSH | Flush.REPORT))),
        may_flush=draw(st.booleans()),
        flush_outside=draw(st.booleans()),
        relayed=draw(st.booleans()),
    )


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(wrappers(), max_size=6), st.data())
def test_every_module_validates(chosen: list[Wrapper], data: st.DataObject) -> None:
    options = ProbeOptions(
        timed=data.draw(st.booleans()),
        multi_memory=data.draw(st.booleans()),
        flush_each=data.draw(st.booleans()),
        emit=data.draw(st.booleans()),
        count_n=data.draw(st.sampled_from((0, 7))),
    )
    memories = MEMORIES[:2]
    if not options.multi_memory:  # one guest memory only
        chosen = [w for w in chosen if w.memory == 0]
        memories = MEMORIES[:1]
    raw = build_probe(chosen, memories, options)
    wt.Module.validate(engine(options.multi_memory), raw)
    assert raw == build_probe(chosen, memories, options), "the same input gives the same bytes"


def lower(t: ValType, **more: Any) -> Wrapper:
    func = FuncT((("p", t),), None)
    return Wrapper(1, "lower", "record", core_signature(func, "lower"), func.params, **more)


def doubled(depth: int, leaf: ValType) -> ValType:
    """Every level uses the one below twice, by different routes: 2**depth leaves as a tree."""
    t = leaf
    for i in range(depth):
        t = VariantT((("a", t), ("b", TupleT((t,)))) if i % 2 else (("b", OptionT(t)), ("a", t)))
    return t


@pytest.mark.parametrize("multi_memory", [True, False])
def test_shared_types_give_small_code(multi_memory: bool) -> None:
    options = ProbeOptions(multi_memory=multi_memory)
    small, flat = (
        build_probe([lower(doubled(depth, U64), memory=0)], MEMORIES[:1], options)
        for depth in (5, 9)
    )
    assert len(flat) < 5 * len(small), "as a tree it would be 16 times as large"
    wt.Module.validate(engine(multi_memory), flat)

    def build(depth: int) -> bytes:
        return build_probe([lower(ListT(doubled(depth, STRING)), memory=0)], MEMORIES[:1], options)

    tail = build(25)
    assert len(tail) < 8000
    assert growth(build, 12) < 3, "as a tree it would be 4,096 times as much"
    wt.Module.validate(engine(multi_memory), tail)


def test_values_of_shared_types_come_back() -> None:
    t = doubled(7, VariantT((("x", U64), ("y", Prim("f32")), ("z", STRING))))
    guest = Guest()
    value: Any = {"y": 2.5}
    for i in range(7):
        value = {"b": [value]} if i % 2 else {"b": value}
    flats = guest.lower(t, value)
    rig = Rig([lower(t, memory=0)], [lambda *_: None])
    rig.call(*map(core_value, flats))
    body = Body(rig.buffered()[0].body, 4, "utf8")
    assert body.values([t]) == Expected().values([t], [value])


def test_types_nested_too_deep_are_flagged() -> None:
    t: ValType = STRING
    for _ in range(MAX_DEPTH - 1):
        t = ListT(t)
    for deep, flags in ((t, 0), (ListT(t), RecordFlag.BIG)):
        rig = Rig([lower(deep, memory=0)], [lambda *_: None])
        rig.call(0, 0)
        assert [r.flags for r in rig.buffered()] == [flags, 0]


def test_a_wide_variant() -> None:
    """More cases than a byte counts, each with a payload of its own shape."""
    cases: list[tuple[str, ValType | None]] = [
        (f"c{i}", [U64, Prim("f32"), STRING, None, Prim("bool"), TupleT((U32, STRING))][i % 6])
        for i in range(300)
    ]
    t = VariantT(tuple(cases))
    for label, value in (("c0", 1 << 60), ("c1", 0.5), ("c296", "hi"), ("c297", None),
                         ("c298", True), ("c299", [7, "x"])):  # fmt: skip
        guest = Guest()
        flats = guest.lower(t, {label: value})
        rig = Rig([lower(t, memory=0)], [lambda *_: None])
        rig.poke(guest.base, bytes(guest.heap))
        rig.call(*map(core_value, flats))
        body = Body(rig.buffered()[0].body, 4, "utf8")
        assert body.values([t]) == Expected().values([t], [{label: value}])


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(WeaveError, match="one guest memory, not 2"):
        build_probe([], MEMORIES[:2], ProbeOptions(multi_memory=False))
    with pytest.raises(WeaveError, match="site 1: .* no memory"):
        build_probe([lower(STRING)], [], ProbeOptions())
    with pytest.raises(WeaveError, match="site 1: .*gate"):
        build_probe([lower(U32, memory=0, redact=Redact(gate=0))], MEMORIES[:1], ProbeOptions())


def typical(i: int) -> Wrapper:
    error = EnumT(tuple(f"e{k}" for k in range(40)))
    handle = ("self", Borrow(Resource("r", None)))
    fields = (("a", STRING), ("b", U64), ("c", OptionT(STRING)), ("d", ListT(STRING)))
    funcs = (
        FuncT((handle, ("n", U64)), ResultT(ListT(Prim("u8")), error)),
        FuncT((handle,), None),
        FuncT((("p", STRING), ("f", FlagsT(tuple("abcdef")))), ResultT(None, error)),
        FuncT((("h", ListT(TupleT((STRING, ListT(Prim("u8")))))),), Own(Resource("r", None))),
        FuncT((("r", RecordT(fields)),), OptionT(RecordT(fields))),
    )
    func = funcs[i % 5]
    sig = core_signature(func, "lower")
    return Wrapper(i, "lower", "record", sig, func.params, func.result, memory=0)


def test_250_wrappers_are_quick_and_compact() -> None:
    def build(count: int) -> bytes:
        return build_probe([typical(i) for i in range(count)], MEMORIES[:1], ProbeOptions())

    assert growth(build, 125) < 2.2
    assert len(build(250)) < 250 * 400
