"""Pointers, lengths and discriminants nobody promised anything about: never a trap, never a write
past the record, and a record that says what was wrong."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.canon import Guest, core_value, size_align
from tests.emit.records import Body
from tests.emit.rig import PAGES, Rig
from tests.strategies import wit_funcs
from whamm_cm.abi.flatten import core_signature
from whamm_cm.agent import layout
from whamm_cm.agent.layout import MAX_RECORD, RecordFlag
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import (
    EnumT,
    FuncT,
    ListT,
    OptionT,
    Prim,
    RecordT,
    TupleT,
    ValType,
    VariantT,
)

STRING, U8 = Prim("string"), Prim("u8")
SIZE = PAGES * 65536
TOP = {4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}

modes = pytest.mark.parametrize("multi_memory", [True, False])
widths = pytest.mark.parametrize("ptr", [4, 8])


def one_call(
    t: ValType,
    flats: list[int],
    ptr: int,
    heap: bytes = b"",
    encoding: Any = "utf8",
    **options: Any,
) -> Any:
    """Call a lower of (param t) with these pointer-sized flats; the value recorded."""
    func = FuncT((("p", t),), None)
    sig = core_signature(func, "lower", ptr=ptr)
    wrapper = Wrapper(1, "lower", "record", sig, func.params, memory=0, ptr=ptr, encoding=encoding)
    rig = Rig([wrapper], [lambda *_: None], ProbeOptions(**options), MemoryType(is64=ptr == 8))
    rig.poke(1024, heap)
    rig.call(*(core_value(c) for c in zip(sig.params, flats, strict=True)))
    record = rig.buffered()[0]
    if record.flags & RecordFlag.BAD:
        assert record.body == b""
        return "BAD"
    return Body(record.body, ptr, encoding).values([t])[0]


@modes
@widths
@pytest.mark.parametrize(
    ("t", "size"),
    [(STRING, 1), (ListT(Prim("u16")), 2), (ListT(TupleT((Prim("u16"), U8, U8, U8))), 6)],
    ids=["string", "u16", "six bytes"],
)
def test_bounds_are_exact(t: ValType, size: int, ptr: int, multi_memory: bool) -> None:
    def kept(at: int, count: int) -> Any:
        return one_call(t, [at, count], ptr, multi_memory=multi_memory, max_string=4, max_list=4)

    full = SIZE // size
    for at, count in ((0, full), (SIZE - 2 * size, 2), (SIZE, 0), (SIZE - 1, 0)):
        found = kept(at, count)
        assert found[0] in ("str", "list"), (at, count)
        if t is not STRING:
            assert found[1] == count
    for at, count in (
        (0, full + 1),
        (SIZE - 2 * size, 3),
        (SIZE + 1, 0),
        (TOP[ptr], 1),
        (TOP[ptr], 0),
        (1, TOP[ptr]),
        (TOP[ptr], TOP[ptr]),
        (TOP[ptr] - 7, 8),
        (16, min(TOP[ptr], (TOP[ptr] + 1) // size)),
        (16, (1 << 63) // size if ptr == 8 else (1 << 31)),
        (1 << 31, 1 << 31),
    ):
        assert kept(at, count) == "bad", (at, count)


@modes
@widths
def test_utf16_length_does_not_wrap(ptr: int, multi_memory: bool) -> None:
    half = 1 << (8 * ptr - 1)
    for encoding in ("utf16", "latin1+utf16"):
        for units in (half, half + 1, half | half >> 1, TOP[ptr]):
            found = one_call(STRING, [2, units], ptr, encoding=encoding, multi_memory=multi_memory)
            if encoding == "latin1+utf16" and units <= half + 1:
                assert found == ("str", bytes(2 * (units - half)), units - half)
            else:
                assert found == "bad"


@widths
def test_bad_pointers_inside_a_list(ptr: int) -> None:
    word = f"<{'I' if ptr == 4 else 'Q'}"
    pairs = [(TOP[ptr], 1), (1024, 3), (0, SIZE + 1)]
    heap = b"".join(struct.pack(word, n) for pair in pairs for n in pair)
    kind, length, items = one_call(ListT(STRING), [1024, 3], ptr, heap)
    assert (kind, length) == ("list", 3)
    assert items == ["bad", ("str", heap[:3], 3), "bad"]


@modes
@widths
@pytest.mark.parametrize("at", [SIZE - 39, SIZE, -1, -40])
def test_spilled_parameters_out_of_bounds(at: int, ptr: int, multi_memory: bool) -> None:
    t = TupleT((Prim("u16"),) * 20)
    assert size_align(t, ptr)[0] == 40
    assert one_call(t, [at & TOP[ptr]], ptr, multi_memory=multi_memory) == "BAD"
    assert one_call(t, [SIZE - 40], ptr, multi_memory=multi_memory) == [0] * 20


@modes
@pytest.mark.parametrize("kind", ["lift", "lower"])
def test_bad_result_pointer(kind: Any, multi_memory: bool) -> None:
    func = FuncT((), STRING)
    sig = core_signature(func, kind)
    wrapper = Wrapper(1, kind, "record", sig, (), func.result, memory=0)
    answer = SIZE - 4
    rig = Rig(
        [wrapper],
        [lambda *_: answer if kind == "lift" else None],
        ProbeOptions(multi_memory=multi_memory),
    )
    assert rig.call(*[answer] * len(sig.params)) == (answer if kind == "lift" else None)
    back = (rig.sent() if kind == "lift" else rig.buffered())[1]
    assert (back.phase, back.flags, back.body) == (1, RecordFlag.BAD, b"")


def test_discriminants_out_of_range_stay_out_of_range() -> None:
    t = VariantT((("a", STRING), ("b", Prim("f64")), ("c", None)))
    for disc in (3, 256, 257, TOP[4]):
        assert one_call_flats(t, [disc, 5, 5]) == ("bad case", 255)
    wide = EnumT(tuple(f"l{i}" for i in range(300)))
    assert one_call_flats(wide, [65536 + 5]) == ("bad case", 65535)
    assert one_call_flats(OptionT(OptionT(STRING)), [1, 256, 1, 1]) == (1, ("bad case", 255))


def one_call_flats(t: ValType, flats: list[int]) -> Any:
    return one_call(t, flats, 4)


@modes
def test_a_bad_discriminant_in_memory_has_no_tail(multi_memory: bool) -> None:
    """Padding next to the discriminant means nothing."""
    variant = VariantT((("a", STRING), ("b", ListT(U8))))
    heap = struct.pack("<III", 7, 1024, 4) + struct.pack("<III", 0xFFFFFF01, 1024, 2)
    _, _, items = one_call(ListT(variant), [1024, 2], 4, heap, multi_memory=multi_memory)
    assert items == [("bad case", 7), (1, ("list", 2, [7, 0]))]


@modes
def test_a_record_never_outgrows_its_cap(multi_memory: bool) -> None:
    """40 strings of 1 KiB in 16 KiB: the record is full to the last byte but three, and ends."""
    t = ListT(STRING)
    heap = b"".join(struct.pack("<II", 4096 + i, 1000) for i in range(40))
    func = FuncT((("p", t),), None)
    wrapper = Wrapper(1, "lower", "record", core_signature(func, "lower"), func.params, memory=0)
    rig = Rig(
        [wrapper],
        [lambda *_: None],
        ProbeOptions(multi_memory=multi_memory, max_string=4000, max_list=100),
    )
    guard = b"\xa5" * 64
    memory = rig.agent["memory"]
    memory.write(rig.store, guard, layout.BUFFER + MAX_RECORD)
    rig.poke(1024, heap)
    rig.call(1024, 40)
    call = rig.buffered()[0]
    assert MAX_RECORD - 4 < 16 + len(call.body) <= MAX_RECORD
    kind, length, items = Body(call.body, 4, "utf8").values([t])[0]
    assert (kind, length, len(items)) == ("list", 40, 40)
    sizes = [len(kept) for _, kept, _ in items]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 1000 and sizes[-1] == 0
    after = memory.read(rig.store, layout.BUFFER + MAX_RECORD, layout.BUFFER + MAX_RECORD + 64)
    assert after[16:] == guard[16:]  # the return record follows directly: 16 bytes


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_never_traps(data: st.DataObject) -> None:
    """Random bytes in memory, random flats, any function: records stay well formed."""
    func = data.draw(wit_funcs())
    kind = data.draw(st.sampled_from(("lower", "lift")))
    ptr = data.draw(st.sampled_from((4, 8)))
    encoding = data.draw(st.sampled_from(("utf8", "utf16", "latin1+utf16")))
    sig = core_signature(func, kind, ptr=ptr)
    wrapper = Wrapper(
        1, kind, "record", sig, func.params, func.result, memory=0, ptr=ptr, encoding=encoding
    )
    near = st.sampled_from((0, 1, 2, 16, SIZE - 9, SIZE, 1 << 31, TOP[4], TOP[8], 1 << 63))
    number = near | st.integers(0, SIZE) | st.integers(0, TOP[8])
    values: dict[str, Any] = {
        "i32": number.map(lambda n: core_value(("i32", n & TOP[4]))),
        "i64": number.map(lambda n: core_value(("i64", n))),
        "f32": st.just(1.5),
        "f64": st.just(2.5),
    }
    args = [data.draw(values[k]) for k in sig.params]
    answer = data.draw(values[sig.results[0]]) if sig.results else None
    options = ProbeOptions(multi_memory=data.draw(st.booleans()), max_string=16384, max_list=16384)
    rig = Rig([wrapper], [lambda *_: answer], options, MemoryType(is64=ptr == 8))
    words = data.draw(st.lists(number, max_size=64))
    rig.poke(0, struct.pack(f"<{len(words)}Q", *words))
    assert rig.call(*args) == answer
    records = rig.sent() if kind == "lift" else rig.buffered()
    for record, types in zip(records, ([t for _, t in func.params], [func.result]), strict=True):
        if not record.flags & RecordFlag.BAD:
            Body(record.body, ptr, encoding).values([t for t in types if t is not None])


def test_huge_images_are_flagged_big() -> None:
    small, large = ListT(Prim("u64"), MAX_RECORD // 16), ListT(Prim("u64"), MAX_RECORD // 16 + 1)
    for t, flags in ((small, 0), (large, RecordFlag.BIG)):
        func = FuncT((("p", t),), t)
        sig = core_signature(func, "lower")
        wrapper = Wrapper(1, "lower", "record", sig, func.params, t, memory=0)
        rig = Rig([wrapper], [lambda *_: None])
        rig.call(0, 0)
        assert [r.flags for r in rig.buffered()] == [flags] * 2
        assert all(bool(r.body) == (not flags) for r in rig.buffered())


def test_elements_larger_than_any_memory() -> None:
    t = ListT(ListT(ListT(ListT(U8, 1 << 31), 1 << 31), 1 << 31))
    func = FuncT((("p", t),), None)
    sig = core_signature(func, "lower", ptr=8)
    wrapper = Wrapper(1, "lower", "record", sig, func.params, memory=0, ptr=8)
    rig = Rig([wrapper], [lambda *_: None], memory=MemoryType(is64=True))
    for count, kept in ((0, 0), (1, layout.BAD_POINTER)):
        rig.call(0, count)
        assert rig.buffered()[-2].body == struct.pack("<QQI", 0, count, kept)


def test_elements_larger_than_a_record_are_counted_not_kept() -> None:
    t = ListT(ListT(U8, 20000))
    assert one_call(t, [0, 5], 4) == ("list", 5, [])


@modes
def test_bounds_of_a_memory_with_byte_sized_pages(multi_memory: bool) -> None:
    func = FuncT((("p", STRING),), None)
    wrapper = Wrapper(1, "lower", "record", core_signature(func, "lower"), func.params, memory=0)
    memory = MemoryType(page_size_log2=0)
    options = ProbeOptions(multi_memory=multi_memory)
    rig = Rig([wrapper], [lambda *_: None], options, memory, pages=1003)
    for at, count, expected in (
        (1000, 3, ("str", bytes(3), 3)),
        (1000, 4, "bad"),
        (1003, 0, ("str", b"", 0)),
        (1004, 0, "bad"),
    ):
        rig.call(at, count)
        assert Body(rig.buffered()[-2].body, 4, "utf8").values([STRING]) == [expected]


def test_custom_page_size_and_shared_memories_are_declared() -> None:
    from whamm_cm.emit.modules import build_probe

    for memory, limits in (
        (MemoryType(page_size_log2=0), b"\x08\x00\x00"),
        (MemoryType(shared=True), b"\x03\x00\x80\x80\x04"),
        (MemoryType(shared=True, is64=True), b"\x07\x00" + b"\x80" * 6 + b"\x40"),
        (MemoryType(is64=True), b"\x04\x00"),
    ):
        assert b"\x05probe\x02m0\x02" + limits in build_probe([], [memory], ProbeOptions())


def test_guest_helper_agrees_with_the_engine_about_sizes() -> None:
    """The tests' own ABI puts a record where a real record goes."""
    guest = Guest()
    t = RecordT((("a", U8), ("b", Prim("u64"))))
    at = guest.store_all([t], [{"a": 1, "b": 2}])
    assert at % 8 == 0 and bytes(guest.heap[-16:]) == struct.pack("<QQ", 1, 2)
