"""The sinks as core modules: their way out, their limits, and numbers as text.

That they print what the decoder returns is tested in tests/trace/test_decode.py.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.harness import NONCE, LoggingSink, StderrSink
from tests.agent.sample import line, site, table
from whamm_cm.agent import layout
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.floats import shortest32
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.wit.types import FlagsT, ListT, OptionT, Prim, TupleT, ValType

STRING = Prim("string")
TEXT = table(site(result=STRING))


def said(text: bytes, call: int = 1) -> bytes:
    body = struct.pack("<III", 1, len(text), len(text)) + text
    return encode.record(0, 1, body, call=call)


def floats(kind: str, patterns: list[int]) -> list[str]:
    """The text of floats given by their bits."""
    size = 4 if kind == "f32" else 8
    sink = StderrSink(table(site(result=Prim(kind))))
    for at in range(0, len(patterns), 1000):
        bodies = [bits.to_bytes(size, "little") for bits in patterns[at : at + 1000]]
        sink.send(encode.block(*[encode.record(0, 1, body) for body in bodies]))
    return [each.split('"result":')[1][:-1] for each in sink.said()]


POWERS = [exponent << 52 for exponent in range(2047)]
BORDERS = [bits + step for bits in POWERS for step in (-1, 1) if bits + step >= 0]
DECIMALS = [
    struct.unpack("<Q", struct.pack("<d", float(f"{sign}{digits}e{exponent}")))[0]
    for exponent in range(-30, 31)
    for digits in (1, 9.5, 123456789)
    for sign in "+-"
]


@pytest.mark.parametrize("patterns", [POWERS, BORDERS, DECIMALS], ids=["2^n", "2^n±ulp", "10^n"])
def test_doubles_print_as_repr_does(patterns: list[int]) -> None:
    values = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in patterns]
    assert floats("f64", patterns) == [repr(value) for value in values]


@given(st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=200))
def test_any_double_prints_as_repr_does(patterns: list[int]) -> None:
    values = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in patterns]
    expected = [repr(v) if math.isfinite(v) else f'"{v}"' for v in values]
    assert floats("f64", patterns) == expected


@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=200))
def test_any_single_reads_back_as_itself(patterns: list[int]) -> None:
    for bits, text in zip(patterns, floats("f32", patterns), strict=True):
        value = struct.unpack("<f", struct.pack("<I", bits))[0]
        if math.isfinite(value):
            assert struct.pack("<f", float(text)) == struct.pack("<f", value)
        else:
            assert text == f'"{value}"'


def test_singles_print_as_the_decoder_has_them() -> None:
    powers = [exponent << 23 for exponent in range(255)]
    near = [bits + step for bits in powers for step in (-1, 1, 0x12345) if bits + step >= 0]
    patterns = powers + near + list(range(1, 400)) + list(range(0x3F800001, 0x7F7FFFFF, 0xFFFF7))
    values = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in patterns]
    expected = [repr(shortest32(v)) if math.isfinite(v) else f'"{v}"' for v in values]
    assert floats("f32", patterns) == expected


def test_lines_are_written_whole_and_in_chunks_of_4096() -> None:
    sink = StderrSink(TEXT)
    sink.send(encode.block(*[said(b"x" * 1000, call) for call in range(20)]))
    assert [len(write) <= 4096 and write.endswith(b"\n") for write in sink.writes] == [True] * 7
    assert [json.loads(each)["call"] for each in sink.said()] == list(range(20))
    sink.send(encode.block(said(b"y" * 10_000)))
    assert all(write.endswith(b"\n") for write in sink.writes) and len(sink.writes) == 4
    assert json.loads(sink.said()[0])["result"] == "y" * 10_000


@pytest.mark.parametrize("near", [False, True])
def test_a_guest_beside_the_sink_never_finds_its_stream(near: bool) -> None:
    """In a component instance of its own the sink takes it once, and late."""
    sink = StderrSink(TEXT, near=near)
    assert sink.send(encode.block()) == 0 and sink.calls == []
    for _ in range(3):
        sink.send(encode.block(said(b"a")))
    assert sink.calls == ([("get", 0), ("drop", 7)] * 3 if near else [("get", 0)])
    assert len(sink.writes) == 3


def test_what_a_block_makes_is_written_before_the_stream_is_given_back() -> None:
    sink = StderrSink(TEXT, near=True)
    sink.send(encode.block(*[said(b"x" * 3000)] * 10))
    assert len(sink.writes) > 5 and sink.calls == [("get", 0), ("drop", 7)]


@pytest.mark.parametrize(
    ("error", "calls"),
    [(None, [("drop", 7)]), (11, [("drop-error", 11), ("drop", 7)])],
    ids=["closed", "last-operation-failed"],
)
def test_a_failed_write_silences_the_sink(error: int | None, calls: list[tuple[str, int]]) -> None:
    sink = StderrSink(TEXT, fail_at=1, error=error)
    big = encode.block(*[said(b"x" * 3000)] * 10)
    assert sink.send(big) == 1
    assert len(sink.writes) == 2
    assert sink.calls == [("get", 0), *calls]
    assert sink.send(big) == 2
    assert sink.send(encode.block(said(b"x"), instance=2)) == 2
    assert len(sink.writes) == 2 and len(sink.calls) == 1 + len(calls)


def test_logging_gets_one_message_per_record() -> None:
    sink = LoggingSink(TEXT)
    block = encode.block(*[said(b"caf\xc3\xa9", call) for call in range(500)], dropped=2)
    assert sink.send(block) == 1
    lines = sink.records([message.encode() for _, _, message in sink.messages])
    receiver = Receiver(SiteTable.parse(TEXT), sink.run)
    receiver.begin()
    records = receiver.receive(encode.finished(block)).records
    assert lines == [line(record) for record in records]
    assert {(level, context) for level, context, _ in sink.messages} == {(2, "whamm-cm")}


def test_what_is_no_block_is_ignored() -> None:
    sink = StderrSink(TEXT)
    assert sink.send(b"") == 0
    assert sink.send(b"WCM1") == 0
    assert sink.send(bytes(64)) == 0
    assert sink.send(encode.block(said(b"a"))) == 1 and len(sink.said()) == 1


def test_a_line_too_long_is_told_without_its_values() -> None:
    labels = tuple(f"{'long' * 20}-{i}" for i in range(8))
    data = table(site(result=ListT(FlagsT(labels))))
    body = struct.pack("<III", 1, 12_000, 12_000) + b"\xff" * 12_000
    sink = StderrSink(data)
    sink.send(encode.block(encode.record(0, 1, body), encode.record(0, 1, bytes(12))))
    first, second = (json.loads(each) for each in sink.said())
    assert first["big"] is True and "result" not in first
    assert (first["seq"], second["seq"], second["result"]) == (1, 2, [])


def test_the_largest_block_with_the_most_text() -> None:
    sink = StderrSink(TEXT)
    worst = said(b"\1" * (layout.MAX_RECORD - 28))
    count = layout.MAX_PAYLOAD // len(worst)
    sink.send(encode.block(*[worst] * count, *[said(b"\1" * 10_000)] * 2))
    lines = [json.loads(each) for each in sink.said()]
    assert [each.get("big", False) for each in lines] == [True] * count + [False] * 2
    assert lines[-1]["result"] == "\1" * 10_000


def test_memory_reserved_by_the_weaver_is_enough() -> None:
    sink = StderrSink(TEXT)
    heap_base = sink.exports["__heap_base"].value(sink.store)
    missing = layout.sink_pages(heap_base, len(TEXT)) - sink.memory.size(sink.store)
    sink.memory.grow(sink.store, missing)
    before = sink.memory.size(sink.store)
    sink.send(encode.block(*[said(b"x" * 1000)] * 48))
    assert sink.memory.size(sink.store) == before and len(sink.said()) == 48


def test_memory_does_not_grow_with_time() -> None:
    sink = StderrSink(TEXT)
    block = encode.block(*[said(b"x" * 1000)] * 40)
    sink.send(block)
    before = sink.memory.size(sink.store)
    for _ in range(50):
        sink.send(block)
    assert sink.memory.size(sink.store) == before


def test_the_deepest_value_fits_the_stack() -> None:
    t: ValType = STRING
    for _ in range(layout.MAX_DEPTH - 1):
        t = ListT(t)
    tail = struct.pack("<I", 1) + struct.pack("<II", 1, 1)
    body = struct.pack("<II", 1, 1) + tail * (layout.MAX_DEPTH - 1) + struct.pack("<I", 1) + b"q"
    sink = StderrSink(table(site(result=TupleT((Prim("u32"), t)))))
    sink.send(encode.block(encode.record(0, 1, struct.pack("<I", 5) + body)))
    (found,) = sink.said()
    assert '{"~deep":true}' in found
    sink = StderrSink(table(site(result=t)))
    sink.send(encode.block(encode.record(0, 1, body)))
    (found,) = sink.said()
    assert "[" * (layout.MAX_DEPTH - 1) + '"q"' in found


@pytest.mark.parametrize("wrap", [lambda t: TupleT((t,)), OptionT, lambda t: ListT(t, 1)])
def test_levels_cost_next_to_no_stack(wrap: Callable[[ValType], ValType]) -> None:
    """32 KiB of the guest's stack are enough for the deepest value of the longest number."""
    t: ValType = Prim("f64")
    for _ in range(layout.MAX_DEPTH - 1):
        t = wrap(t)
    number = struct.pack("<d", -1.2345678901234568e-300)
    size = SiteTable.parse(table(site(result=t))).nodes[-1].size
    sink = StderrSink(table(site(result=t)), stack=32 << 10)
    sink.send(encode.block(encode.record(0, 1, (b"\1" * size)[:-8] + number)))
    assert "-1.2345678901234568e-300" in sink.said()[0]
    assert not any(sink.read(0, 4096)), "half of the sink's own stack has never been touched"


# --- lines ---------------------------------------------------------------------------------------


def read_back(sink: StderrSink) -> list[dict[str, Any]]:
    decoder = LineDecoder(NONCE, SiteTable.parse(TEXT))
    found = [decoder.feed(each) for each in sink.raw()]
    assert all(each.ours for each in found) and not decoder.damaged
    records = [record for each in found for record in each.records]
    assert decoder.finish() == []
    return records


@pytest.mark.parametrize("json_lines", [False, True])
def test_no_line_is_longer_than_4000_bytes(json_lines: bool) -> None:
    """The longest prefix, the largest block, and texts that grow most as JSON."""
    sink = StderrSink(TEXT, json=json_lines)
    texts = ["\1" * 10_000, ";" * 15_000, "é;" * 5000, "😀" * 4000, '"\\};' * 3000, "x" * 3800]
    for text in texts:
        sink.send(encode.block(*[said(text.encode())] * 3))
    longest = max(map(len, sink.writes))
    assert longest <= 4096
    lines = b"".join(sink.writes).split(b"\n")
    assert max(map(len, lines)) < layout.MAX_LINE
    assert all(line.decode() is not None for line in lines), "no character is cut"
    results = [r.get("result") for r in read_back(sink) if r["phase"] == "return"]
    assert results == [text for text in texts for _ in range(3)]


@given(st.lists(st.text(st.sampled_from(';}"é😀x\\'), max_size=6000), min_size=1, max_size=4))
def test_pieces_fit_together_wherever_they_are_cut(texts: list[str]) -> None:
    sink = StderrSink(TEXT)
    sink.send(encode.block(*[said(text.encode()[:16_000]) for text in texts]))
    found = [r["result"] for r in read_back(sink) if r["phase"] == "return"]
    assert found == texts


@given(st.lists(st.binary(max_size=200), max_size=60), st.booleans())
def test_base64_is_that_of_the_standard(texts: list[bytes], final: bool) -> None:
    """Blocks of any size, alone or several on a line."""
    sink = StderrSink(TEXT, json=False)
    for at, text in enumerate(texts):
        sink.send(encode.block(said(text), instance=1), final=final or at == len(texts) - 1)
    packed = b"".join(
        base64.b64decode(payload[1:-1], validate=True) for payload in sink.payloads(sink.raw())
    )
    assert packed.count(b"WCM2") >= len(texts)
    for text in texts:
        assert text in packed


def test_an_end_is_said_once_when_there_was_something() -> None:
    sink = StderrSink(TEXT)
    sink.send(encode.block())
    assert sink.lines() == []
    sink.send(encode.block(said(b"a")), final=False)
    assert sink.writes == []
    for _ in range(3):
        sink.send(encode.block())
    phases = [json.loads(each)["phase"] for each in sink.lines()]
    assert phases == ["start", "return", "end"]


def test_runs_have_names_even_without_random_bits() -> None:
    """Then by what they say, clocks included."""
    names = []
    for text, wall in ((b"a", 0), (b"b", 0), (b"a", 5)):
        sink = StderrSink(TEXT)
        sink.seed, sink.clocks = (0, 0), (wall, 0)
        sink.send(encode.block(said(text)))
        sink.lines()
        names.append(sink.run)
    assert len(set(names)) == 3
