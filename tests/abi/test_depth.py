"""Types that are deep, or stand for exponentially large trees, cost what their nodes cost."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.flatten import flatten, flatten_types
from whamm_cm.abi.heap import ByteHeap
from whamm_cm.abi.layout import MAX_TYPE_DEPTH, Layouts, align, layouts, size
from whamm_cm.abi.values import lift_flat, load, lower_flat, store
from whamm_cm.wit.types import (
    ListT,
    MapT,
    Named,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

U8, STRING = Prim("u8"), Prim("string")
Wrap = Callable[[ValType], ValType]


def chain(wrap: Wrap, levels: int, leaf: ValType = U8) -> ValType:
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def test_doubling_records_are_measured_exactly() -> None:
    t = chain(lambda inner: TupleT((inner, inner)), 300)
    assert size(t) == layouts().info(t).flat == 1 << 300
    assert align(t) == 1
    assert not layouts().info(t).pointers
    assert flatten_types([t]) is None


def test_values_of_doubling_records_do_not_fit_memory() -> None:
    t = chain(lambda inner: TupleT((inner, inner)), 300)
    with pytest.raises(AbiError, match="does not fit"):
        load(t, bytes(64), 0)
    with pytest.raises(AbiError, match="more than 1000 core values"):
        lift_flat(t, [0], bytes(64))


def test_doubling_variants_stay_small() -> None:
    t = chain(lambda inner: VariantT((("a", inner), ("b", inner), ("c", None))), 300)
    assert size(t) == 301
    assert flatten(t) == ("i32",) * 301


def test_sizes_past_any_machine_word_can_be_reported() -> None:
    t = chain(lambda inner: ListT(inner, (1 << 32) - 1), 400)
    assert size(t) == ((1 << 32) - 1) ** 400
    with pytest.raises(AbiError):
        load(t, b"", 0)
    with pytest.raises(AbiError):
        ByteHeap().alloc(1, size(t))


def list_of(inner: ValType) -> ValType:
    return ListT(inner)


def map_of(inner: ValType) -> ValType:
    return MapT(U8, inner)


def result_of(inner: ValType) -> ValType:
    return ResultT(inner, None)


WRAPS: list[Wrap] = [OptionT, list_of, map_of, result_of]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("levels", [MAX_TYPE_DEPTH, 100_000])
@pytest.mark.parametrize(
    "ask",
    [size, flatten, lambda t: layouts().info(t).pointers, lambda t: load(t, b"", 0)],
    ids=["size", "flatten", "has_pointers", "load"],
)
def test_too_deep_types_are_refused(wrap: Wrap, levels: int, ask: Callable[..., object]) -> None:
    with pytest.raises(AbiError, match="nests deeper than 500 levels"):
        ask(chain(wrap, levels))


def test_depth_counts_over_types_measured_before() -> None:
    table = Layouts()
    half = chain(OptionT, MAX_TYPE_DEPTH // 2)
    assert table.info(half).depth == MAX_TYPE_DEPTH // 2 + 1
    with pytest.raises(AbiError, match="nests deeper"):
        table.info(chain(OptionT, MAX_TYPE_DEPTH // 2, half))


def test_a_map_is_two_levels() -> None:
    assert Layouts().info(chain(map_of, 10)).depth == 21


def test_names_are_not_levels() -> None:
    t: ValType = U8
    for i in range(5000):
        t = Named(f"n{i}", None, t)
    assert size(OptionT(t)) == 2


def field_of(inner: ValType) -> ValType:
    return RecordT((("f", inner),))


DEEPEST: list[tuple[Wrap, Callable[[object], object]]] = [
    (field_of, lambda v: {"f": v}),
    (result_of, lambda v: {"ok": v}),
    (lambda inner: TupleT((inner,)), lambda v: [v]),
    (lambda inner: ListT(inner, 1), lambda v: [v]),
    (lambda inner: ListT(inner, None), lambda v: [v]),
]


@pytest.mark.parametrize(("wrap", "value_of"), DEEPEST)
def test_values_at_the_depth_limit(wrap: Wrap, value_of: Callable[[object], object]) -> None:
    assert sys.getrecursionlimit() >= 1000
    t, value = chain(wrap, MAX_TYPE_DEPTH - 1, STRING), chain_value(value_of)
    heap = ByteHeap()
    off = heap.alloc(align(t), size(t))
    store(t, value, heap, off)
    assert innermost(load(t, heap.memory, off)) == "deep"
    flat = lower_flat(t, value, heap)
    assert innermost(lift_flat(t, flat, heap.memory)) == "deep"


def test_maps_at_the_depth_limit() -> None:
    levels = MAX_TYPE_DEPTH // 2 - 1
    t = chain(map_of, levels, STRING)
    value: object = "deep"
    for _ in range(levels):
        value = [[1, value]]
    heap = ByteHeap()
    flat = lower_flat(t, value, heap)
    found = lift_flat(t, flat, heap.memory)
    for _ in range(levels):
        ((_, found),) = found
    assert found == "deep"


def chain_value(value_of: Callable[[object], object]) -> object:
    value: object = "deep"
    for _ in range(MAX_TYPE_DEPTH - 1):
        value = value_of(value)
    return value


def innermost(value: object) -> object:
    while not isinstance(value, str):
        assert isinstance(value, (list, dict))
        (value,) = value.values() if isinstance(value, dict) else value
    return value


def test_shared_tables_do_not_grow_without_end() -> None:
    for _ in range(3):
        size(TupleT(tuple(Prim("u8") for _ in range(60_000))))
    assert len(layouts()) < 200_000
