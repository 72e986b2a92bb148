"""Binary blocks to records: exact documents, any type and value, and damage of every kind."""

from __future__ import annotations

import base64
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.agree import both
from tests.agent.encode import Encoder
from tests.agent.harness import StderrSink
from tests.agent.sample import site, table
from tests.steps import growth, no_endless_loop, steps
from tests.strategies import typed_values
from whamm_cm.agent.layout import MAX_DEPTH, RecordFlag
from whamm_cm.agent.table import SiteTable
from whamm_cm.errors import WhammError
from whamm_cm.trace.decode import BlockError, Receiver
from whamm_cm.wit.types import (
    Borrow,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
)

STRING = Prim("string")
U8 = Prim("u8")
GET = site(
    (("self", Borrow(Resource("bucket", "wasi:keyvalue/store"))), ("key", STRING)),
    ResultT(OptionT(ListT(U8)), STRING),
    has_self=True,
)
HEAD = {"edge": "import", "component": "cart", "interface": "wasi:keyvalue/store"}
HEAD |= {"version": "0.2.0-draft", "func": "bucket.get"}


def text(kept: bytes, total: int | None = None) -> tuple[bytes, bytes]:
    """Image and tail of a string at address 0x100."""
    size = len(kept) if total is None else total
    return struct.pack("<II", 0x100, size), struct.pack("<I", len(kept)) + kept


def value_of(t: ValType, image: bytes, tail: bytes = b"", **options: Any) -> Any:
    data = table(site(result=t, **options))
    (record,) = both(data, encode.block(encode.record(0, 1, image + tail)))
    return record["result"]


def test_a_call_and_its_return() -> None:
    image, tail = text(b"user:42")
    call = encode.record(0, 0, struct.pack("<I", 3) + image + tail, call=9)
    result = encode.record(
        0, 1, bytes(16), call=9, flags=RecordFlag.TIMED, times=struct.pack("<QQ", 4390112, 140000)
    )
    records = both(table(GET), encode.block(call, result))
    first = {"v": 2, "seq": 0, "instance": 1, "call": 9, "phase": "call", **HEAD, "self": 3}
    handles = {"handles": {"self": "bucket"}}
    assert records[0] == {**first, "args": {"key": "user:42"}, **handles}
    second = {"v": 2, "seq": 1, "t_ns": 4390112, "instance": 1, "call": 9, "phase": "return"}
    assert records[1] == {**second, **HEAD, "result": {"ok": None}, "dur_ns": 140000}


def test_every_other_phase() -> None:
    records = both(
        table(GET),
        encode.block(
            encode.record(0, 4, struct.pack("<I", 0x12), call=5),
            encode.record(0, 2, struct.pack("<Q", 1 << 60), call=0),
            encode.record(0, 3, struct.pack("<Q", 4), call=0),
            encode.record(0, 0, b"", call=6, flags=RecordFlag.BAD),
            encode.record(0, 1, b"", call=6, flags=RecordFlag.BIG),
        ),
    )
    said = [{k: v for k, v in r.items() if k not in ("v", "seq", "instance")} for r in records]
    assert said == [
        {"call": 5, "phase": "return", **HEAD, "pending": True, "status": 0x12},
        {"phase": "report", **HEAD, "count": 1 << 60},
        {"phase": "lost", "lost": 4, "why": "buffer"},
        {"call": 6, "phase": "call", **HEAD, "bad": True},
        {"call": 6, "phase": "return", **HEAD, "big": True},
    ]


def test_phases_of_tasks_say_whose_it_is_and_how_long_it_took() -> None:
    data = table(GET)
    times = struct.pack("<QQI", 9000, 400, 3)
    phases = {7: "return", 8: "exit", 9: "started", 10: "resumed"}
    said = [
        encode.record(0, phase, struct.pack("<I", 3)[: 4 * (phase == 7)], flags=9, times=times)
        for phase in phases
    ]
    records = both(data, encode.block(*said))
    for seq, (record, phase) in enumerate(zip(records, phases.values(), strict=True)):
        cancelled = {"cancelled": "before-started"} if phase == "return" else {}
        head = {"v": 2, "seq": seq, "t_ns": 9000, "instance": 1, "call": 1, "task": 3}
        assert record == {**head, "phase": phase, **HEAD, **cancelled, "dur_ns": 400}
    bare = [encode.record(0, phase, b"", flags=8, times=struct.pack("<I", 0)) for phase in (9, 10)]
    found = both(data, encode.block(*bare))
    assert [set(one) - {"seq", *HEAD} for one in found] == [{"v", "instance", "call", "phase"}] * 2


def test_names_that_say_nothing_are_left_out() -> None:
    data = table(site(component="", interface="", version=""))
    (record,) = both(data, encode.block(encode.record(0, 0, b"")))
    assert list(record) == ["v", "seq", "instance", "call", "phase", "edge", "func"]


def test_instances_and_numbers_run_over_blocks() -> None:
    one = encode.record(0, 2, bytes(8))
    records = both(
        table(GET),
        encode.block(one, one),
        encode.block(one, instance=1),
        encode.block(one, dropped=3),
        encode.block(dropped=1, instance=2),
        encode.block(one, instance=2),
    )
    assert [r["seq"] for r in records] == list(range(7))
    assert [r["instance"] for r in records] == [1, 1, 1, 2, 2, 2, 2]
    assert [r["lost"] for r in records if r["phase"] == "lost"] == [3, 1]


def test_every_character_of_a_text_block_is_one_byte() -> None:
    every = bytes(range(256)) * 32
    data = table(site(result=ListT(Prim("u8"))))
    block = encode.block(encode.record(0, 1, b"".join(text(every))), final=True)
    received = Receiver(SiteTable.parse(data), "0" * 16).receive("".join(map(chr, block)))
    assert received.final and received.instance == 1
    assert received == Receiver(SiteTable.parse(data), "0" * 16).receive(block)
    record, end = received.records
    assert end == {"v": 2, "run": "0" * 16, "seq": 1, "instance": 1, "phase": "end"}
    assert base64.b64decode(record["result"]["~b64"]) == every


@pytest.mark.parametrize(
    ("t", "image", "tail", "expected"),
    [
        (STRING, *text(b"caf\xc3", 5), {"~cut": 5, "~str": "caf"}),
        (STRING, *text(b"", 5), {"~cut": 5, "~str": ""}),
        (STRING, *text(b"a\xffb\xe2\x82c\xed\xa0\x80"), "a\ufffdb\ufffdc\ufffd\ufffd\ufffd"),
        (STRING, *text(b"ends \xf0\x9f\x92"), "ends \ufffd"),
        (STRING, *text(b'\0\x1f\x7f"\\\n\r\t\b\f'), '\0\x1f\x7f"\\\n\r\t\b\f'),
        (STRING, text(b"", 9)[0], b"\xfe\xff\xff\xff", {"~redacted": 9}),
        (STRING, text(b"", 9)[0], b"\xff\xff\xff\xff", {"~bad": "0x100"}),
        (STRING, text(b"", 9)[0], b"\1\0\0", {"~cut": 9, "~str": ""}),
        (STRING, text(b"")[0], b"", ""),
        (ListT(U8), *text(b""), {"~b64": ""}),
        (ListT(U8), *text(b"ab", 4), {"~cut": 4, "~b64": "YWI="}),
        (ListT(Prim("u16")), text(b"", 3)[0], b"\1\0\0\0\5\0", {"~cut": 3, "~list": [5]}),
        (ListT(U8, 2), b"\1\2", b"", [1, 2]),
        (MapT(U8, Prim("bool")), text(b"", 1)[0], b"\1\0\0\0\5\1", [[5, True]]),
        (Prim("bool"), b"\2", b"", {"~bad": "0x2"}),
        (Prim("char"), b"\0\xd8\0\0", b"", {"~bad": "0xd800"}),
        (Prim("char"), b"\0\0\x11\0", b"", {"~bad": "0x110000"}),
        (ResultT(None, None), b"\3", b"", {"~bad": "0x3"}),
        (OptionT(U8), b"\xff\0", b"", {"~bad": "0xff"}),
        (OptionT(OptionT(U8)), b"\1\0\0", b"", {"some": None}),
        (OptionT(OptionT(OptionT(U8))), b"\1\1\0\0", b"", {"some": {"some": None}}),
        (OptionT(TupleT((OptionT(U8),))), b"\1\0\0", b"", [None]),
        (Prim("u64"), struct.pack("<Q", 1 << 53), b"", 1 << 53),
        (Prim("u64"), struct.pack("<Q", (1 << 53) + 1), b"", 9007199254740993),
        (Prim("s64"), struct.pack("<q", -(1 << 63)), b"", -9223372036854775808),
        (Prim("f32"), struct.pack("<f", 0.1), b"", 0.1),
        (Prim("f32"), struct.pack("<f", 3.4028235e38), b"", 3.4028235e38),
        (Prim("f64"), struct.pack("<d", 1e100), b"", 1e100),
        (Prim("f64"), struct.pack("<d", float("-inf")), b"", "-inf"),
    ],
)
def test_values(t: ValType, image: bytes, tail: bytes, expected: object) -> None:
    found = value_of(t, image, tail)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("encoding", "units", "kept", "expected"),
    [
        ("utf16", 2, "a\ud800".encode("utf-16-le", "surrogatepass"), "a\ufffd"),
        ("utf16", 2, "\udc00b".encode("utf-16-le", "surrogatepass"), "\ufffdb"),
        ("utf16", 3, "\ud800ab".encode("utf-16-le", "surrogatepass"), "\ufffdab"),
        ("utf16", 3, "a😀".encode("utf-16-le")[:4], {"~cut": 3, "~str": "a"}),
        ("utf16", 3, b"a\0b", {"~cut": 3, "~str": "a"}),
        ("latin1+utf16", 3, b"a\xe9", {"~cut": 3, "~str": "aé"}),
        ("latin1+utf16", 1 << 31 | 1, "Ā".encode("utf-16-le"), "Ā"),
        ("latin1+utf16", 1 << 31 | 7, b"", {"~cut": 7, "~str": ""}),
    ],
)
def test_strings_of_other_encodings(
    encoding: str, units: int, kept: bytes, expected: object
) -> None:
    tail = struct.pack("<I", len(kept)) + kept
    assert value_of(STRING, struct.pack("<II", 1, units), tail, encoding=encoding) == expected


@given(
    typed_values(),
    st.sampled_from((4, 8)),
    st.sampled_from(("utf8", "utf16", "latin1+utf16")),
    st.sampled_from((0.0, 0.3)),
    st.integers(0, 99),
)
def test_any_value(
    typed: tuple[ValType, Any], ptr: int, encoding: str, damage: float, seed: int
) -> None:
    t, value = typed
    encoder = Encoder(ptr, encoding, damage, random.Random(seed))
    one = encoder.encode(t, value)
    args = encoder.record([("h", Prim("u32"), 5), ("x", t, value), ("n", U8, 7)])
    params = (("h", Prim("u32")), ("x", t), ("n", U8))
    data = table(site(params, t, has_self=True, ptr=ptr, encoding=encoding))
    call, result = both(
        data,
        encode.block(
            encode.record(0, 0, args.image + args.tail), encode.record(0, 1, one.image + one.tail)
        ),
    )
    assert [call["self"], call["args"]] == [args.json.pop("h"), args.json]
    assert result["result"] == one.json


@given(typed_values(), st.randoms(use_true_random=False))
def test_damage_raises_only_whamm_errors_and_never_traps(
    typed: tuple[ValType, Any], rng: random.Random
) -> None:
    t, value = typed
    encoded = Encoder(damage=0.2, rng=rng).encode(t, value)
    body = encoded.image + encoded.tail
    records = [encode.record(0, 1, body), encode.record(0, 0, body[: rng.randint(0, len(body))])]
    data = table(site((("x", t),), t))
    receiver, sink = Receiver(SiteTable.parse(data)), StderrSink(data)
    for _ in range(5):
        block = bytearray(encode.block(*records, encode.record(0, 1, body)))
        for _ in range(rng.randint(1, 4)):
            block[rng.randrange(32, len(block))] = rng.choice((0, 1, 0x7F, 0xFE, 0xFF))
        damaged = bytes(block[: rng.choice((len(block), rng.randint(0, len(block))))])
        sink.send(damaged)
        sink.lines()
        try:
            receiver.receive(damaged)
        except WhammError as error:
            assert isinstance(error, BlockError)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\0" * 4, "8 bytes are announced where 4 are left"),
        (text(b"", 3)[0] + b"\4\0\0\0abcd", "4 bytes are kept of a string of 3"),
        (text(b"", 3)[0] + b"\3\0\0\0ab", "3 bytes are announced where 2 are left"),
    ],
)
def test_a_contradiction_is_named_and_dropped_by_the_sink(body: bytes, message: str) -> None:
    data = table(site(result=STRING))
    good = encode.record(0, 1, b"".join(text(b"ok")))
    block = encode.block(good, encode.record(0, 1, body), good)
    with pytest.raises(BlockError, match=message) as caught:
        Receiver(SiteTable.parse(data)).receive(block)
    assert [r["result"] for r in caught.value.records] == ["ok"]
    sink = StderrSink(data)
    sink.send(block)
    lines = sink.lines()
    assert [('"ok"' in each) for each in lines] == [False, True, True, False, False]
    assert lines[3].endswith(',"seq":3,"instance":1,"phase":"lost","lost":1,"why":"buffer"}')


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"", "at least 32 bytes"),
        (bytes(32), "magic number"),
        (encode.block(b"abc"), "cut short"),
        (encode.block() + b"x", "announces 0 bytes"),
        (encode.block(struct.pack("<IIQ", 15, 0, 0)), "says it has 15 bytes"),
        (encode.block(struct.pack("<IIQ", 17, 0, 0)), "says it has 17 bytes"),
        (encode.block(encode.record(7, 0, b"")), "no site 7"),
        (encode.block(encode.record(0, 13, b"")), "unknown phase 13"),
        (encode.block(encode.record(0, 12, b"", call=9 << 32 | 20)), "pieces of a long record"),
        (encode.block(encode.record(0, 12, bytes(21), call=20)), "pieces of a long record"),
        (encode.block(encode.record(0, 12, bytes(3), call=3)), "a long record is none"),
        (encode.block(encode.record(0, 12, b"\x0c" * 20, call=20)), "a long record is none"),
        (encode.block(encode.record(0, 5, b"")), "no such records"),
        (encode.block(encode.record(0, 2, b"", flags=8)), "flags 8"),
        ("é", "at least 32 bytes, not 1"),
        ("\0" * 30 + "\u0100", r"character 30 of a block is U\+0100"),
    ],
)
def test_a_damaged_block_is_refused(block: bytes | str, message: str) -> None:
    with pytest.raises(BlockError, match=message):
        Receiver(SiteTable.parse(table(GET))).receive(block)


def nest(levels: int, inner: ValType) -> ValType:
    for _ in range(levels):
        inner = TupleT((inner,))
    return inner


def test_the_deepest_value_shown_and_the_first_not_shown() -> None:
    found: Any = value_of(nest(MAX_DEPTH - 1, U8), b"\5")
    for _ in range(MAX_DEPTH - 1):
        (found,) = found
    assert found == 5
    found = value_of(nest(MAX_DEPTH, U8), b"\5")
    for _ in range(MAX_DEPTH):
        (found,) = found
    assert found == {"~deep": True}


def test_beyond_a_deep_tail_everything_counts_as_cut() -> None:
    both_sides = TupleT((nest(MAX_DEPTH, STRING), STRING))
    (image, tail), found = text(b"abc"), None
    found = value_of(both_sides, image * 2, tail * 2)
    assert found[1] == {"~cut": 3, "~str": ""}


def test_a_dag_that_stands_for_a_huge_tree_is_cheap() -> None:
    t: ValType = OptionT(U8)
    for _ in range(200):
        t = ResultT(t, t)
    with no_endless_loop():
        data = table(site(result=t))
        (record,) = (
            Receiver(SiteTable.parse(data))
            .receive(encode.block(encode.record(0, 1, bytes(4096))))
            .records
        )
    assert "result" in record


def test_a_small_record_is_decoded_in_few_steps() -> None:
    fields = RecordT((("a", Prim("u32")), ("b", STRING)))
    image, tail = text(b"0123456789")
    body = struct.pack("<I", 7) + image + tail
    data = table(site((("x", fields),)))
    receiver = Receiver(SiteTable.parse(data))

    def receive(count: int) -> None:
        receiver.receive(encode.block(*[encode.record(0, 0, body)] * count))

    assert growth(receive, 1000) < 2.2
    assert steps(lambda: receive(1000)) < 60_000
