"""Who only counts reads less of a log, and counts the same."""

from __future__ import annotations

import struct
from dataclasses import asdict
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.sample import site, table
from whamm_cm.agent.layout import Edge, Phase, RecordFlag
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Decoder, Record, Stream
from whamm_cm.trace.summary import Summary
from whamm_cm.wit.types import ListT, OptionT, Prim, ResultT, ValType

U32, STRING = Prim("u32"), Prim("string")
HTTP = {"interface": "wasi:http/types", "version": "0.2.0"}
#: What returns, with results of that type as they lie in records.
TYPES: list[tuple[ValType | None, list[bytes]]] = [
    (None, [b""]),
    (U32, [bytes(4)]),
    (ResultT(U32, U32), [struct.pack("<B3xI", case, 7) for case in (0, 1, 2)]),
    (OptionT(U32), [struct.pack("<B3xI", case, 7) for case in (0, 1)]),
    (
        OptionT(ResultT(ResultT(U32, U32), None)),
        [struct.pack("<BxxxBxxxBxxxI", a, b, c, 7) for a in (0, 1) for b in (0, 1) for c in (0, 1)],
    ),
    (ResultT(ListT(Prim("u8")), None), [struct.pack("<B3xIII", 0, 1, 1, 1) + b"x"]),
]
#: Functions that are no plain import, or whose calls and results mean more.
OTHERS = [
    site((), ResultT(None, None), edge=Edge.EXPORT, func="run"),
    site((), ResultT(None, None), edge=Edge.INNER, func="inside"),
    site((), U32, func="incoming-response.status", **HTTP),
    site((("status-code", U32),), None, func="outgoing-response.set-status-code", **HTTP),
    site((), None, edge=Edge.BUILTIN, interface="", func="task.return"),
]
BODIES = [(b"", bodies) for _, bodies in TYPES] + [
    (b"", [bytes(1), b"\1"]),
    (b"", [bytes(1), b"\1"]),
    (b"", [struct.pack("<I", 200), struct.pack("<I", 500)]),
    (struct.pack("<I", 503), [b""]),
    (b"", [b""]),
]
TABLE = SiteTable.parse(
    table(*(site((), result, func=f"f{k}") for k, (result, _) in enumerate(TYPES)), *OTHERS)
)
#: Results that are looked at, so that damage is seen.
CHECKED = (2, 4)


def head(flags: int, *times: int) -> bytes:
    """What the flags announce: times, and the number of a task."""
    found = struct.pack(f"<{len(times)}Q", *times) if flags & RecordFlag.TIMED else b""
    return found + (struct.pack("<I", 1) if flags & RecordFlag.TASK else b"")


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Records as guests make them, and as nobody does."""
    records: list[bytes] = []
    open_: list[tuple[int, int, int, int]] = []
    now = 1000
    # Few kinds, so that each comes often.
    kinds = draw(st.lists(st.integers(0, len(BODIES) - 1), min_size=1, max_size=3))
    flags_of = st.sampled_from(draw(st.sampled_from(((0,), (1,), (0, 1), (8,), (8, 9)))))
    for call in range(1, draw(st.integers(1, 30))):
        number, flags = draw(st.sampled_from(kinds)), draw(flags_of)
        argument, results = BODIES[number]
        now += 10
        times = head(flags, now)
        records.append(
            encode.record(number, Phase.CALL, argument, call=call, flags=flags, times=times)
        )
        open_.append((number, flags, call, now))
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            if not open_:
                break
            at = draw(st.sampled_from((-1, -1, -1, 0)))
            number, flags, returning, began = open_.pop(at)
            now += draw(st.integers(0, 50))
            times = head(flags, now, now - began)
            body = draw(st.sampled_from(BODIES[number][1]))
            more = {"call": returning, "flags": flags, "times": times}
            if number in CHECKED and draw(st.integers(0, 20)) == 0:
                body = body[:-1]
            if draw(st.integers(0, 20)) == 0:
                records.append(encode.record(number, Phase.PENDING, bytes(4), **more))
                open_.append((number, flags, returning, began))
            else:
                records.append(encode.record(number, Phase.RETURN, body, **more))
    return records


def counted(records: list[bytes], lean: bool, at: int, instances: bool) -> dict[str, Any]:
    """The summary of two blocks, the first with ``at`` records."""
    stream, summary = Stream(Decoder(TABLE, lean), "0" * 16, lenient=True), Summary(instances)
    for instance, part in ((1, records[:at]), (2 if instances else 1, records[at:])):
        found: list[Record] = []
        stream.block(encode.block(*part), instance, found)
        for record in found:
            summary.feed(record)
    summary.finish()
    rows = [asdict(row) for _, row in sorted(summary.rows.items())]
    return {"rows": rows, "records": summary.records, "lost": summary.losses.number,
            "count": stream.count, "seq": stream.head.seq}  # fmt: skip


def one(call: int, result: bytes = bytes(4), number: int = 1) -> list[bytes]:
    return [
        encode.record(number, Phase.CALL, b"", call=call),
        encode.record(number, Phase.RETURN, result, call=call),
    ]


def tasked(call: int, task: int, number: int = 2) -> list[bytes]:
    """A call of a task, whose number stands where a record without has its values."""
    more: dict[str, Any] = {
        "call": call,
        "flags": RecordFlag.TASK,
        "times": struct.pack("<I", task),
    }
    return [
        encode.record(number, Phase.CALL, b"", **more),
        encode.record(number, Phase.RETURN, bytes(8), **more),
    ]


def timed(number: int, call: int, length: int) -> list[bytes]:
    began, more = 1000 * call, {"call": call, "flags": RecordFlag.TIMED}
    times = struct.pack("<QQ", began + length, length)
    return [
        encode.record(number, Phase.CALL, b"", times=times[:8], **more),
        encode.record(number, Phase.RETURN, bytes(8), times=times, **more),
    ]


@given(streams(), st.integers(0, 60), st.booleans())
@example([*one(1), *one(2), *one(3)[:1]], 60, False)
@example(
    [*timed(6, 1, 100)[:1], *timed(0, 2, 10), *timed(0, 3, 10), *timed(6, 1, 100)[1:]], 60, False
)
@example([record for call in range(1, 9) for record in tasked(call, 1)], 60, False)
@example([*one(1, bytes(8), 2), *one(2, bytes(8), 2), *one(3, bytes(7), 2)], 60, False)
def test_lean_counts_are_those_of_whole_records(
    records: list[bytes], at: int, instances: bool
) -> None:
    assert counted(records, True, at, instances) == counted(records, False, at, instances)


def test_calls_that_return_at_once_are_one_record() -> None:
    """Otherwise nothing would be saved."""
    found: list[Record] = []
    stream = Stream(Decoder(TABLE, True), "0" * 16)
    records = [record for call in range(1, 101) for record in one(call)]
    stream.block(encode.block(*records), 1, found)
    assert len(found) <= 3 and found[-1]["phase"] == "calls"
    assert found[-1]["calls"].calls >= 98 and stream.head.seq == 200
