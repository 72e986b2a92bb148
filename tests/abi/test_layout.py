"""Sizes and offsets, computed by hand from CanonicalABI.md, "Alignment" and "Element Size"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import wit_types
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.layout import (
    align,
    flags_size,
    layouts,
    size,
    variant_cases,
)
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
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

U8, U16, U32, U64 = Prim("u8"), Prim("u16"), Prim("u32"), Prim("u64")
F32, F64, STRING = Prim("f32"), Prim("f64"), Prim("string")
FILE = Resource("file")


def enum(n: int) -> EnumT:
    return EnumT(tuple(f"e{i}" for i in range(n)))


def flags(n: int) -> FlagsT:
    return FlagsT(tuple(f"f{i}" for i in range(n)))


# (type, size and alignment with 32-bit pointers, the same with 64-bit pointers)
SIZES: list[tuple[ValType, tuple[int, int], tuple[int, int]]] = [
    (Prim("bool"), (1, 1), (1, 1)),
    (Prim("s8"), (1, 1), (1, 1)),
    (Prim("s16"), (2, 2), (2, 2)),
    (Prim("s32"), (4, 4), (4, 4)),
    (Prim("s64"), (8, 8), (8, 8)),
    (F32, (4, 4), (4, 4)),
    (F64, (8, 8), (8, 8)),
    (Prim("char"), (4, 4), (4, 4)),
    (Prim("error-context"), (4, 4), (4, 4)),
    (STRING, (8, 4), (16, 8)),
    (ListT(U8), (8, 4), (16, 8)),
    (ListT(U64), (8, 4), (16, 8)),
    (MapT(STRING, U64), (8, 4), (16, 8)),
    (ListT(U16, 5), (10, 2), (10, 2)),
    (ListT(STRING, 3), (24, 4), (48, 8)),
    (Own(FILE), (4, 4), (4, 4)),
    (Borrow(FILE), (4, 4), (4, 4)),
    (StreamT(STRING), (4, 4), (4, 4)),
    (FutureT(None), (4, 4), (4, 4)),
    (TupleT((U8, U32, U8)), (12, 4), (12, 4)),
    (TupleT((U32, U8, U8)), (8, 4), (8, 4)),
    (RecordT((("a", U8), ("b", U64), ("c", STRING))), (24, 8), (32, 8)),
    (OptionT(U8), (2, 1), (2, 1)),
    (OptionT(U64), (16, 8), (16, 8)),
    (OptionT(STRING), (12, 4), (24, 8)),
    (OptionT(OptionT(U8)), (3, 1), (3, 1)),
    (ResultT(None, None), (1, 1), (1, 1)),
    (ResultT(U8, U32), (8, 4), (8, 4)),
    # The payload area starts at the largest alignment of any case, not of the case at hand.
    (VariantT((("a", U64), ("b", TupleT((U32, U32, U32))))), (24, 8), (24, 8)),
    (enum(1), (1, 1), (1, 1)),
    (enum(256), (1, 1), (1, 1)),
    (enum(257), (2, 2), (2, 2)),
    (enum(65536), (2, 2), (2, 2)),
    (enum(65537), (4, 4), (4, 4)),
    (flags(8), (1, 1), (1, 1)),
    (flags(9), (2, 2), (2, 2)),
    (flags(17), (4, 4), (4, 4)),
    (flags(32), (4, 4), (4, 4)),
    (flags(33), (8, 4), (8, 4)),
    (Named("n", None, Named("m", "a:b/c", U16)), (2, 2), (2, 2)),
]


@pytest.mark.parametrize(("t", "narrow", "wide"), SIZES)
def test_size_and_alignment(t: ValType, narrow: tuple[int, int], wide: tuple[int, int]) -> None:
    assert (size(t), align(t)) == narrow
    assert (size(t, 8), align(t, 8)) == wide


def test_record_offsets() -> None:
    types = (U8, U64, U16, STRING, Prim("bool"))
    assert layouts(4).record(types) == ((0, 8, 16, 20, 28), 32, 8)
    assert layouts(8).record(types) == ((0, 8, 16, 24, 40), 48, 8)
    assert layouts().record(()) == ((), 0, 1)


def test_map_entries_are_tuples() -> None:
    assert layouts().record((U8, STRING)) == ((0, 4), 12, 4)
    assert layouts(8).record((U8, STRING)) == ((0, 8), 24, 8)


@pytest.mark.parametrize(
    ("t", "disc", "payload", "total", "alignment"),
    [
        (OptionT(U64), 1, 8, 16, 8),
        (OptionT(STRING), 1, 4, 12, 4),
        (ResultT(None, U16), 1, 2, 4, 2),
        (enum(300), 2, 2, 2, 2),
        (VariantT((("a", U8), *((f"c{i}", None) for i in range(256)))), 2, 2, 4, 2),
    ],
)
def test_variant_layout(t: ValType, disc: int, payload: int, total: int, alignment: int) -> None:
    found = layouts().variant(t)
    assert (found.disc_size, found.payload_offset) == (disc, payload)
    assert (found.size, found.align) == (total, alignment) == (size(t), align(t))
    assert found.payloads == tuple(payload for _, payload in variant_cases(t))


def test_variant_cases_of_specialised_types() -> None:
    assert variant_cases(Named("n", None, OptionT(U8))) == (("none", None), ("some", U8))
    assert variant_cases(ResultT(None, F32)) == (("ok", None), ("error", F32))
    assert variant_cases(EnumT(("x", "y"))) == (("x", None), ("y", None))
    with pytest.raises(AbiError, match="RecordT is not a variant"):
        layouts().variant(RecordT((("a", U8),)))


@pytest.mark.parametrize(
    ("count", "bytes_"), [(0, 0), (1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4), (33, 8),
                          (64, 8), (65, 12)]
)  # fmt: skip
def test_flags_size(count: int, bytes_: int) -> None:
    assert flags_size(count) == bytes_


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (STRING, True),
        (ListT(U8), True),
        (MapT(U8, U8), True),
        (Named("n", None, OptionT(ResultT(None, STRING))), True),
        (ListT(STRING, 2), True),
        (ListT(U8, 2), False),
        (StreamT(STRING), False),
        (FutureT(ListT(U8)), False),
        (TupleT((Own(FILE), Borrow(FILE), Prim("error-context"), Prim("char"))), False),
    ],
)
def test_has_pointers(t: ValType, expected: bool) -> None:
    assert layouts().info(t).pointers is expected


@pytest.mark.parametrize("t", [VariantT(()), EnumT(()), ListT(VariantT(()))])
def test_no_cases_are_refused(t: ValType) -> None:
    with pytest.raises(AbiError, match="1 to 2"):
        size(t)


def test_unknown_primitives_and_pointer_widths_are_refused() -> None:
    with pytest.raises(AbiError, match="unknown primitive value type 'v128'"):
        size(Prim("v128"))
    with pytest.raises(AbiError, match="4 or 8 bytes"):
        size(U8, 2)


@given(wit_types(4), st.sampled_from((4, 8)))
def test_sizes_are_multiples_of_alignments(t: ValType, ptr: int) -> None:
    assert align(t, ptr) in (1, 2, 4, 8)
    assert size(t, ptr) > 0
    assert size(t, ptr) % align(t, ptr) == 0
    assert size(TupleT((t, t)), ptr) == 2 * size(t, ptr) == size(ListT(t, 2), ptr)
