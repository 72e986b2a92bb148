"""Recorded calls are found again by function and arguments."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from whamm_cm.trace.fallback import fallback
from whamm_cm.trace.matching import Matching
from whamm_cm.trace.recorded import Call
from whamm_cm.wit.types import EnumT, ListT, OptionT, Own, Prim, Resource, ResultT, TupleT, VariantT

Record = dict[str, Any]
STREAMS, FILES, POLL = "wasi:io/streams", "wasi:filesystem/types", "wasi:io/poll"


def call(interface: str, func: str, result: Any, self: int | None = None, **args: Any) -> Call:
    record: Record = {"phase": "call", "interface": interface, "func": func}
    if self is not None:
        record["self"] = self
    if args:
        record["args"] = args
    return Call(record, {"phase": "return", "result": result})


def packed(text: bytes) -> Record:
    return {"~b64": base64.b64encode(text).decode()}


def answer(matching: Matching, wanted: Call) -> Any:
    found = matching.take(wanted.record)
    return None if found is None else (found.call.answer or {})["result"]


def test_calls_without_a_resource_come_in_their_order() -> None:
    made = [call("a:b/c", "now", 1), call("a:b/c", "other", 9), call("a:b/c", "now", 2)]
    matching = Matching(made)
    assert [answer(matching, made[0]) for _ in range(3)] == [1, 2, None]
    assert [record["func"] for record in matching.unused()] == ["other"]


def test_arguments_count() -> None:
    made = [call("a:b/c", "f", 1, x=1), call("a:b/c", "f", 2, x=2)]
    assert [answer(Matching(made), made[k]) for k in (1, 0)] == [2, 1]
    assert answer(Matching(made), call("a:b/c", "f", 0, x=3)) is None
    near = Matching(made).near(call("a:b/c", "f", 0, x=3).record)
    assert near is not None and near["args"] == {"x": 1}


def test_those_of_one_resource_are_looked_for_behind_the_last() -> None:
    made = [
        call(FILES, "descriptor.stat", "before", 3),
        call(FILES, "descriptor.set-size", None, 3, size=7),
        call(FILES, "descriptor.stat", "behind", 3),
        call(FILES, "descriptor.stat", "another", 4),
    ]
    matching = Matching(made)
    resized = matching.take(made[1].record)
    assert resized is not None and not resized.moved
    found = [matching.take(made[0].record) for _ in range(3)]
    told = [(one.call.answer["result"], one.moved) for one in found if one and one.call.answer]
    assert told == [("behind", False), ("before", True)] and found[2] is None
    assert answer(matching, made[3]) == "another"


def test_drops_match_whatever_their_interface() -> None:
    made = [call(STREAMS, "input-stream.drop", None, 3), call("a:b/c", "f", 1)]
    matching = Matching(made)
    assert matching.take({"func": "of.drop", "self": 3}) is not None
    assert [record["func"] for record in matching.unused()] == ["f"]


def write(text: bytes, result: Record, number: int = 5) -> Call:
    func = "output-stream.blocking-write-and-flush"
    return call(STREAMS, func, result, number, contents=packed(text))


def test_what_is_written_is_one_text_for_each_stream() -> None:
    ok: Record = {"ok": None}
    made = [write(b"one ", ok), write(b"other", ok, 6), write(b"two", ok)]
    made.append(call(STREAMS, "output-stream.write-zeroes", ok, 5, len=2))
    matching = Matching(made)
    assert {n: bytes(s.then) for n, s in matching.streams.items()} == {
        5: b"one two\0\0", 6: b"other",
    }  # fmt: skip
    assert list(matching.unused()) == []


def test_streams_to_which_a_write_failed_are_matched_call_by_call() -> None:
    made = [write(b"one", {"ok": None}), write(b"two", {"error": {"closed": None}})]
    matching = Matching(made)
    assert matching.stream(5) is None and matching.streams == {}
    assert answer(matching, made[1]) == {"error": {"closed": None}}


def read(size: int, result: Any) -> Call:
    return call(STREAMS, "input-stream.read", result, 4, len=size)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_a_stream_is_read_in_any_pieces(size: int) -> None:
    closed = {"error": {"closed": None}}
    made = [read(64, {"ok": packed(b"abcd")}), read(64, {"ok": packed(b"e")}), read(64, closed)]
    matching, text = Matching(made), b""
    wanted = read(size, None).record
    for _ in range(20):
        result = matching.read(wanted)
        if "ok" not in result:
            break
        text += base64.b64decode(result["ok"]["~b64"])
    assert (text, matching.read(wanted)) == (b"abcde", closed)
    assert list(matching.unused()) == []


def test_what_is_left_of_a_piece_comes_before_the_next() -> None:
    made = [read(64, {"ok": packed(b"abcd")}), read(64, {"ok": packed(b"e")})]
    matching = Matching(made)
    assert matching.read(read(3, None).record) == {"ok": packed(b"abc")}
    assert matching.take(made[1].record) is None
    assert matching.read(made[1].record) == {"ok": packed(b"d")}
    assert answer(matching, made[1]) == {"ok": packed(b"e")}
    assert matching.read(made[1].record) is None


def at(offset: int, length: int, result: Any = None) -> Call:
    return call(FILES, "descriptor.read", result, 7, length=length, offset=offset)


def test_files_are_read_anywhere() -> None:
    made = [at(0, 4, {"ok": [packed(b"abcd"), False]}), at(4, 4, {"ok": [packed(b"ef"), True]})]
    matching = Matching(made)
    assert matching.read(at(1, 2).record) == {"ok": [packed(b"bc"), False]}
    assert matching.read(at(4, 1).record) == {"ok": [packed(b"e"), False]}
    assert matching.read(at(5, 9).record) == {"ok": [packed(b"f"), True]}
    assert matching.read(at(6, 9).record) == {"ok": [packed(b""), True]}
    assert matching.read(at(7, 1).record) is None


def test_what_was_ready_once() -> None:
    polled = call(POLL, "poll", [1], **{"in": [8, 9]})
    made = [polled, call(POLL, "pollable.block", None, 10), call(POLL, "pollable.ready", False, 11)]
    assert Matching(made).ready == {9, 10}
    assert list(Matching(made).unused()) == []


CODE = EnumT(("access", "unsupported", "io"))
FAILURE = VariantT((("timeout", None), ("internal-error", OptionT(Prim("string")))))


@pytest.mark.parametrize(
    ("t", "error", "good"),
    [
        (None, None, None),
        (Prim("u64"), 0, 0),
        (ResultT(None, None), {"error": None}, {"ok": None}),
        (ResultT(Prim("string"), CODE), {"error": "unsupported"}, {"ok": ""}),
        (ResultT(None, FAILURE), {"error": {"internal-error": None}}, {"ok": None}),
        (ResultT(None, Prim("string")), {"error": "not in the recording"}, {"ok": None}),
        (ResultT(Own(Resource()), EnumT(("a", "b"))), {"error": "a"}, {"ok": -1}),
        (TupleT((Prim("bool"), ListT(Prim("u8")))), [False, {"~b64": ""}], [False, {"~b64": ""}]),
        (ListT(Prim("u8"), 2), [0, 0], [0, 0]),
        (OptionT(Own(Resource())), None, None),
    ],
)  # fmt: skip
def test_answers_that_nobody_knows(t: Any, error: Any, good: Any) -> None:
    assert fallback(t, lambda: -1) == error
    assert fallback(t, lambda: -1, good=True) == good
