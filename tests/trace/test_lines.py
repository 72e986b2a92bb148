"""Lines of a log to records: by hand, what hosts and guests do to them, damage of every kind."""

from __future__ import annotations

import base64
import json
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.agree import all_say, plain
from tests.agent.harness import NONCE, StderrSink
from tests.agent.sample import site, table
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.wit.types import Prim

RUN, OTHER = "00112233445566ff", "ffeeddccbbaa9988"
TABLE = table(site(result=Prim("u32")))
PARSED = SiteTable.parse(TABLE)


def mark(number: int, payload: str, run: str = RUN, nonce: str = NONCE) -> bytes:
    return f"WCM2.{nonce} {run}.{number} {payload}".encode()


def result(value: int, call: int = 1) -> bytes:
    return encode.record(0, 1, struct.pack("<I", value), call=call)


def packed(block: bytes, size: int = 30) -> list[str]:
    slices = [block[at : at + size] for at in range(0, len(block), size)]
    kinds = "B" + "b" * len(slices)
    return [k + base64.b64encode(s).decode() + "." for k, s in zip(kinds, slices, strict=False)]


def numbered(payloads: list[str], first: int = 0, run: str = RUN) -> list[bytes]:
    return [mark(first + n, payload, run) + b"\n" for n, payload in enumerate(payloads)]


def block(*values: int, instance: int = 1, before: int = 0, final: bool = False) -> bytes:
    data = encode.block(*[result(value) for value in values], instance=instance, final=final)
    return data[:12] + struct.pack("<I", before) + data[16:]


def record(seq: int, **more: Any) -> dict[str, Any]:
    return {"v": 2, "run": RUN, "seq": seq, "instance": 1, "phase": "end", **more}


def text_of(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read(lines: list[bytes], nonce: str | None = NONCE) -> tuple[list[dict[str, Any]], LineDecoder]:
    decoder = LineDecoder(nonce, PARSED)
    records = [record for each in lines for record in decoder.feed(each).records]
    return records + decoder.finish(), decoder


def values(records: list[dict[str, Any]]) -> list[Any]:
    """The results, and in their place what was lost."""
    return [r["result"] if r["phase"] == "return" else r.get("lost", r["phase"]) for r in records]


def test_a_record_on_a_line() -> None:
    decoder = LineDecoder(NONCE)
    found = decoder.feed(mark(0, text_of(record(0))) + b"\r\n")
    assert (found.ours, found.before, found.after) == (True, b"", b"\r\n")
    assert found.records == [record(0)] and decoder.finish() == []


def test_blocks_over_lines() -> None:
    records, decoder = read(numbered(packed(block(7, 8, 9) + block(10, before=3, final=True))))
    assert values(records) == [7, 8, 9, 10, "end"] and not decoder.damaged
    assert [r["seq"] for r in records] == list(range(5)) and {r["run"] for r in records} == {RUN}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"\n"),
        (b"stderr [79] :: stderr [81] :: ", b"\n"),
        (b"[pod/a/b] 2026-11-20T10:00:00Z stderr F ", b""),
        ("the guest said WCM2.x {WCM1 {} ü ".encode(), b" and went on\n"),
        (b"\xff\xfe", b"\r\n"),
    ],
)
@pytest.mark.parametrize("payload", [text_of(record(0)), packed(block(1, final=True), 99)[0]])
def test_what_stands_around_is_untouched(before: bytes, after: bytes, payload: str) -> None:
    decoder = LineDecoder(NONCE, PARSED)
    found = decoder.feed(before + mark(0, payload) + after)
    assert (found.before, found.after) == (before, after) and found.records
    assert not decoder.damaged


@pytest.mark.parametrize(
    "line",
    [
        b"WCM1 {}\n", mark(0, "{}", nonce="aaaaaaaaaaaa"), mark(0, "{}", run="x" * 16),
        b"WCM2. ", b"", b"\n", mark(0, "x"), b"WCM2." + NONCE.encode(), mark(0, "{}")[1:],
    ],
)  # fmt: skip
def test_a_line_without_the_nonce_is_somebody_elses(line: bytes) -> None:
    decoder = LineDecoder(NONCE, PARSED)
    found = decoder.feed(line)
    assert (found.ours, found.before, found.records) == (False, line, []) and not decoder.damaged


def test_two_on_one_line() -> None:
    decoder = LineDecoder(NONCE, PARSED)
    one, two = text_of(record(0)), packed(block(5), 99)[0]
    found = decoder.feed(b"a " + mark(0, one) + b"b" + mark(1, two) + b" c\n")
    assert (found.before, found.after) == (b"a ", b"b c\n") and values(found.records) == ["end", 5]


def test_pieces() -> None:
    whole = record(0, why="x" * 5000 + '};"', more="};")
    text = text_of(whole)
    parts = ["J" + text[:2000], "j" + text[2000:4000], "j" + text[4000:] + ";"]
    records, decoder = read(numbered(parts))
    assert records == [whole] and not decoder.damaged


def test_runs_do_not_mix() -> None:
    one, two = numbered(packed(block(1, 2, 3))), numbered(packed(block(4, 5, 6)), run=OTHER)
    records, _ = read([line for pair in zip(one, two, strict=True) for line in pair])
    assert {run: values([r for r in records if r["run"] == run]) for run in (RUN, OTHER)} == {
        RUN: [1, 2, 3], OTHER: [4, 5, 6],
    }  # fmt: skip


@pytest.mark.parametrize("missing", range(4))
def test_a_lost_line_has_a_number(missing: int) -> None:
    """Two blocks of two lines each; the block of the line that is missing is lost."""
    first, second = packed(block(1, 2), 48), packed(block(3, 4, before=2, final=True), 48)
    lines = numbered([*first, *second])
    assert len(lines) == 4
    records, _ = read(lines[:missing] + lines[missing + 1 :])
    expected = [2, 3, 4, "end"] if missing < 2 else [1, 2, "unknown"]
    assert values(records) == expected
    lost = next(r for r in records if r["phase"] == "lost")
    assert lost["why"] == "line" and lost["run"] == RUN


def test_lost_records_in_json_have_a_number() -> None:
    lines = [mark(n, text_of(record(n))) for n in range(6)]
    records, _ = read([lines[0], lines[3], lines[4][:-9], lines[5]])
    assert values(records) == ["end", 2, "end", 1, "end"]
    assert [r["seq"] for r in records] == [0, 1, 3, 4, 5]


def test_a_line_twice_counts_once() -> None:
    lines = numbered(packed(block(1, 2, 3)))
    records, decoder = read([line for line in lines for _ in range(2)])
    assert values(records) == [1, 2, 3] and not decoder.damaged


def test_the_end_may_be_missing() -> None:
    lines = numbered(packed(block(1, 2, 3)))
    records, decoder = read(lines[:-1])
    assert values(records) == ["unknown"] and decoder.damaged == 1


@pytest.mark.parametrize(
    "payload",
    [
        "{", '{"v":1}', '{"v":2}', text_of(record(0, run=OTHER)), text_of(record(-1)),
        text_of(record(1 << 64)), '{"v":NaN}', "[" * 9000, '{"a":' * 9000, "Jx", "Jx};", "j};",
        "B", "BAAAA", "BAAA=.", "B=.", "Bx.", "bAAAA.", "B" + "A" * 44 + ".",
        packed(block(1), 99)[0][:-6] + ".",
    ],
)  # fmt: skip
def test_damage_is_counted_and_forgotten(payload: str) -> None:
    lines = [mark(0, payload), *numbered(packed(block(1, 2)), 1)]
    records, decoder = read(lines)
    assert values(records) == [1, 2]
    assert decoder.damaged <= 1


def test_without_a_table_it_is_known_what_is_missing() -> None:
    asked: list[str] = []
    decoder = LineDecoder(find=lambda nonce: asked.append(nonce))
    for line in numbered(packed(block(1, 2)) + packed(block(3, before=2))):
        assert decoder.feed(line).records == []
    assert decoder.finish() == [] and [*decoder.unknown] == [NONCE] == asked


def test_any_nonce_counts_where_none_is_known() -> None:
    other = "zzzzzzzzzzzz"
    lines = [mark(0, text_of(record(0))), mark(0, text_of(record(0)), nonce=other)]
    records, decoder = read(lines, None)
    assert len(records) == 2 and [*decoder.nonces] == [NONCE, other]
    assert len(read(lines)[0]) == 1


def test_a_record_that_contradicts_its_types_is_lost() -> None:
    """The sink that writes JSON leaves it out and counts it; so does who reads what is packed."""
    bad = encode.record(0, 1, b"\1", call=3)
    data = encode.block(result(1), bad, result(2), encode.record(9, 0, b""), dropped=4)
    sink, packing = StderrSink(TABLE), StderrSink(TABLE, json=False)
    sink.send(data)
    packing.send(data)
    records, decoder = read([line + b"\n" for line in packing.raw()])
    assert [text_of(record) for record in records] == sink.lines() and not decoder.damaged
    assert values(records) == ["start", 1, 2, 6, "end"]


def test_all_agree_on_runs_and_their_clocks() -> None:
    records = all_say(TABLE, encode.block(result(1)), encode.block(result(2), instance=1))
    assert values(records) == ["start", 1, "end", 2, "end"]
    assert values(plain(records)) == [1, 2]


@given(st.data(), st.randoms(use_true_random=False))
def test_nothing_makes_it_raise(data: st.DataObject, rng: random.Random) -> None:
    """Lines cut, altered, in any order, with other bytes between."""
    blocks = block(*range(5)) + block(6, 7, before=5, final=True)
    lines = numbered(packed(blocks)) + numbered([text_of(record(n)) for n in range(4)], run=OTHER)
    noise = st.binary(max_size=80) | st.sampled_from(lines)
    decoder = LineDecoder(data.draw(st.sampled_from([NONCE, None])), PARSED)
    for line in data.draw(st.lists(noise, max_size=30)):
        damaged = bytearray(line)
        for _ in range(rng.choice((0, 0, 1, 3))):
            if damaged:
                at = rng.randrange(len(damaged))
                damaged[at : at + rng.randrange(2)] = bytes([rng.randrange(256)])
        whole = bytes(damaged)
        found = decoder.feed(whole)
        assert whole.startswith(found.before) and whole.endswith(found.after)
        assert found.ours or found.before == whole
        assert all(isinstance(r, dict) and r["v"] == 2 for r in found.records)
    assert all(r["phase"] == "lost" for r in decoder.finish())


@given(st.data(), st.randoms(use_true_random=False))
def test_damaged_blocks_do_not_make_it_raise(data: st.DataObject, rng: random.Random) -> None:
    damaged = bytearray(block(*range(5)) + block(6, 7, before=5))
    for _ in range(rng.randrange(1, 6)):
        damaged[rng.randrange(len(damaged))] = rng.choice(
            (0, 1, 2, 6, 0x7F, 0xFE, rng.randrange(256))
        )
    records, _ = read(numbered(packed(bytes(damaged), data.draw(st.integers(3, 300)))))
    assert all(r["v"] == 2 for r in records)
