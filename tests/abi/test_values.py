"""Values in memory and as core values.  CanonicalABI.md, "Loading" to "Flat Lowering"."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import same, typed_values
from whamm_cm.abi.codecs import Core
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.flatten import MAX_FLAT, flatten
from whamm_cm.abi.heap import ByteHeap
from whamm_cm.abi.layout import align, layouts, size
from whamm_cm.abi.values import Options, lift_flat, load, lower_flat, store
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    MapT,
    Named,
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

BOOL, U8, U16, U32, U64 = (Prim(name) for name in ("bool", "u8", "u16", "u32", "u64"))
S8, S64, F32, F64 = (Prim(name) for name in ("s8", "s64", "f32", "f64"))
STRING, CHAR = Prim("string"), Prim("char")
MAYBE = OptionT(U8)
SHAPE = VariantT((("dot", None), ("circle", F32), ("box", TupleT((U64, F64)))))
WIDE_FLAGS = FlagsT(tuple(f"f{i}" for i in range(40)))
NAN32, NAN64 = bytes.fromhex("0000c07f"), bytes.fromhex("000000000000f87f")

options = st.builds(
    Options, st.sampled_from((4, 8)), st.sampled_from(("utf8", "utf16", "latin1+utf16"))
)


def stored(t: ValType, value: object, opts: Options = Options()) -> tuple[ByteHeap, int]:  # noqa: B008
    heap = ByteHeap()
    off = heap.alloc(align(t, opts.ptr), size(t, opts.ptr))
    store(t, value, heap, off, opts)
    return heap, off


@given(typed_values(), options)
def test_memory_round_trip(typed: tuple[ValType, Any], opts: Options) -> None:
    t, value = typed
    heap, off = stored(t, value, opts)
    assert same(load(t, heap.memory, off, opts), value)
    assert same(load(t, memoryview(bytes(heap.memory)), off, opts), value)


@given(typed_values(), options)
def test_flat_round_trip(typed: tuple[ValType, Any], opts: Options) -> None:
    t, value = typed
    if layouts(opts.ptr).info(t).flat > MAX_FLAT:
        return
    heap = ByteHeap()
    flat = lower_flat(t, value, heap, opts)
    assert len(flat) == layouts(opts.ptr).info(t).flat
    for core, kind in zip(flat, flatten(t, opts.ptr), strict=True):
        if kind[0] == "f":
            assert isinstance(core, float)
        else:
            assert isinstance(core, int)
            assert 0 <= core < 1 << int(kind[1:])
    assert same(lift_flat(t, flat, heap.memory, opts), value)


@given(typed_values(), options)
def test_flat_and_memory_agree(typed: tuple[ValType, Any], opts: Options) -> None:
    """Through core values and back to memory: the same bytes, down to addresses and padding."""
    t, value = typed
    if layouts(opts.ptr).info(t).flat > MAX_FLAT:
        return
    heap, off = stored(t, value, opts)
    flat = lower_flat(t, load(t, heap.memory, off, opts), heap, opts)
    heap2, off2 = stored(t, lift_flat(t, flat, heap.memory, opts), opts)
    end = off + size(t, opts.ptr)
    assert heap2.memory[off2:end] == heap.memory[off:end]


# (type, value, image with 32-bit pointers; the image starts at 16, further data follows it)
IMAGES: list[tuple[ValType, object, str]] = [
    (BOOL, True, "01"),
    (S8, -2, "fe"),
    (U16, 0x1234, "3412"),
    (S64, -1, "ff" * 8),
    (F32, 1.5, "0000c03f"),
    (F64, -0.0, "0000000000000080"),
    (F32, math.nan, NAN32.hex()),
    (CHAR, "😀", "00f60100"),
    (STRING, "hé", "18000000 03000000 68c3a9"),
    (ListT(U8), b"\x07\x08", "18000000 02000000 0708"),
    (ListT(U16), [1, 2], "18000000 02000000 01000200"),
    (ListT(U8, 2), [7, 8], "0708"),
    (MapT(U8, U16), [[1, 2], [3, 4]], "18000000 02000000 01000200 03000400"),
    (RecordT((("a", U8), ("b", U32))), {"b": 2, "a": 1}, "01000000 02000000"),
    (TupleT((U8, U16, U8)), [1, 2, 3], "0100 0200 0300"),
    (MAYBE, None, "0000"),
    (MAYBE, 5, "0105"),
    (OptionT(MAYBE), None, "000000"),
    (OptionT(Named("m", None, MAYBE)), {"some": None}, "010000"),
    (OptionT(MAYBE), {"some": 5}, "010105"),
    (ResultT(None, U16), {"ok": None}, "00000000"),
    (ResultT(None, U16), {"error": 9}, "01000900"),
    (SHAPE, {"box": [1, 2.0]}, "0200000000000000 0100000000000000 0000000000000040"),
    (EnumT(("x", "y")), "y", "01"),
    (FlagsT(("r", "w", "x")), ["x", "r"], "05"),
    (WIDE_FLAGS, ["f39", "f0"], "01000000 80000000"),
    (Own(Resource()), 7, "07000000"),
]


@pytest.mark.parametrize(("t", "value", "image"), IMAGES)
def test_memory_images(t: ValType, value: object, image: str) -> None:
    heap, off = stored(t, value)
    assert off == 16
    assert heap.memory[16:].hex() == image.replace(" ", "")


FLATS: list[tuple[ValType, object, list[Core]]] = [
    (S8, -2, [0xFFFFFFFE]),
    (S64, -2, [(1 << 64) - 2]),
    (BOOL, True, [1]),
    (F32, 0.1, [struct.unpack("<f", struct.pack("<f", 0.1))[0]]),
    (MAYBE, None, [0, 0]),
    (OptionT(F64), None, [0, 0.0]),
    (SHAPE, {"dot": None}, [0, 0, 0.0]),
    (SHAPE, {"circle": 1.5}, [1, 0x3FC00000, 0.0]),
    (SHAPE, {"box": [3, 2.5]}, [2, 3, 2.5]),
    (ResultT(F32, U32), {"ok": -0.0}, [0, 0x80000000]),
    (ResultT(F64, U8), {"ok": 1.0}, [0, 0x3FF0000000000000]),
    (ResultT(U64, S8), {"error": -1}, [1, 0xFFFFFFFF]),
    (WIDE_FLAGS, ["f33"], [0, 2]),
    (STRING, "a", [16, 1]),
    (ListT(TupleT((U8, U8)), 2), [[1, 2], [3, 4]], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("t", "value", "flat"), FLATS)
def test_core_values(t: ValType, value: object, flat: list[Core]) -> None:
    found = lower_flat(t, value, ByteHeap())
    assert [(type(core), core) for core in found] == [(type(core), core) for core in flat]


def test_lifting_takes_signed_integers_and_ignores_high_bits() -> None:
    assert lift_flat(S8, [-1], b"") == -1
    assert lift_flat(U8, [0x1FF], b"") == 0xFF
    assert lift_flat(S8, [0x180], b"") == -128
    assert lift_flat(BOOL, [0x100], b"") is True
    assert lift_flat(ResultT(U64, F32), [1, -(1 << 63) | 0x3FC00000], b"") == {"error": 1.5}


def test_loading_is_lenient_where_the_spec_is() -> None:
    assert load(BOOL, b"\x80", 0) is True
    assert load(FlagsT(("a", "b")), b"\xfe", 0) == ["b"]
    assert math.isnan(load(F32, b"\x01\0\x80\xff", 0))
    nan = load(F64, struct.pack("<Q", 0xFFF0000000000123), 0)
    assert struct.pack("<d", nan) == NAN64


def test_pointers_of_64_bits() -> None:
    heap, off = stored(STRING, "abc", Options(ptr=8))
    assert heap.memory[off:].hex() == "2000000000000000" + "0300000000000000" + "616263"


# Little-endian memory that is not a value of the type.
BAD_MEMORY: list[tuple[ValType, str, str]] = [
    (CHAR, "00d80000", "0xd800 is not a char"),
    (CHAR, "00001100", "0x110000 is not a char"),
    (MAYBE, "0200", "0x2 is not a case of a variant with 2 cases"),
    (EnumT(("a",)), "ff", "not a case"),
    (U32, "0000", "does not fit into 2 bytes"),
    (STRING, "08000000 01000000", "outside memory"),
    (STRING, "00000000 ffffffff", "over the limit"),
    (ListT(U16), "01000000 01000000", "not aligned to 2"),
    (ListT(U16), "08000000 01000000", r"list at 0x8..0xa is outside memory"),
    (ListT(U8), "00000000 09000000", "outside memory"),
    (ListT(U64), "00000000 00000002", "over the limit"),
]


@pytest.mark.parametrize(("t", "image", "message"), BAD_MEMORY)
def test_bad_memory(t: ValType, image: str, message: str) -> None:
    with pytest.raises(AbiError, match=message):
        load(t, bytes.fromhex(image), 0)


def test_offsets_before_memory_are_refused() -> None:
    with pytest.raises(AbiError, match="at offset -4 does not fit"):
        load(U32, bytes(8), -4)


def test_bad_core_values() -> None:
    with pytest.raises(AbiError, match="2 core values were expected, not 1"):
        lift_flat(STRING, [0], b"")
    with pytest.raises(AbiError, match="not a case"):
        lift_flat(MAYBE, [7, 0], b"")
    with pytest.raises(AbiError, match="core integer was expected, not 1.0"):
        lift_flat(U8, [1.0], b"")
    with pytest.raises(AbiError, match="outside memory"):
        lift_flat(STRING, [0, 1], b"")


BAD_VALUES: list[tuple[ValType, object, str]] = [
    (BOOL, 1, "takes True or False"),
    (U8, 256, "256 is out of the range of u8"),
    (U8, -1, "out of the range"),
    (S8, 128, "out of the range"),
    (U64, 1 << 64, "out of the range of u64"),
    (U8, True, "takes an integer"),
    (U8, 1.0, "takes an integer"),
    (F32, "1", "takes a number"),
    (F32, 1e39, "out of the range of f32"),
    (F64, 10**400, "an integer of 1329 bits is out of the range of f64"),
    (CHAR, "ab", "one Unicode scalar value"),
    (CHAR, "\ud800", "one Unicode scalar value"),
    (STRING, b"a", "takes a str"),
    (ListT(U8), [1], "takes bytes"),
    (ListT(U16), "ab", "takes a list"),
    (ListT(U16, 2), [1], "exactly 2 was expected, not of 1"),
    (MapT(U8, U8), {1: 2}, "takes a list, not a dict"),
    (MapT(U8, U8), [[1]], "tuple of 2 was expected"),
    (RecordT((("a", U8),)), {"b": 1}, "missing or unknown record fields: a, b"),
    (RecordT((("a", U8),)), [1], "takes a dict"),
    (TupleT((U8,)), [1, 2], "tuple of 1 was expected"),
    (SHAPE, {"dot": 1}, "carries no value"),
    (SHAPE, {"line": 1}, "'line' is not one of the cases dot, circle, box"),
    (SHAPE, {}, "dict of one case"),
    (OptionT(MAYBE), 5, "dict of one case"),
    (EnumT(("a",)), "b", "'b' is not one of"),
    (EnumT(("a",)), {"a": None}, "takes a label"),
    (FlagsT(("a",)), ["b"], "no label 'b'"),
    (FlagsT(("a",)), "a", "takes a list"),
    (Own(Resource()), -1, "out of the range of a handle"),
]


@pytest.mark.parametrize(("t", "value", "message"), BAD_VALUES)
def test_bad_values(t: ValType, value: object, message: str) -> None:
    with pytest.raises(AbiError, match=message):
        stored(t, value)
    with pytest.raises(AbiError, match=message):
        lower_flat(t, value, ByteHeap())


def test_integers_too_long_to_print_are_refused_too() -> None:
    with pytest.raises(AbiError, match="an integer of 16610 bits is out of the range of u64"):
        lower_flat(U64, 10**5000, ByteHeap())


def test_values_without_bits_cannot_multiply() -> None:
    empty = RecordT(())
    assert load(empty, b"", 0) == {}
    with pytest.raises(AbiError, match="without any value bits"):
        load(ListT(empty), bytes(8), 0)
    with pytest.raises(AbiError, match="without any value bits"):
        lift_flat(ListT(empty, 1 << 60), [], b"")


def test_stores_outside_memory_are_refused() -> None:
    heap = ByteHeap(limit=32)
    with pytest.raises(AbiError, match=r"store to 0x10..0x14 is outside"):
        store(U32, 1, heap, 16)
    with pytest.raises(AbiError, match="no room"):
        lower_flat(STRING, "x" * 17, heap)
