"""WAVE: what is accepted and as which value, what is refused and where, and the way back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import same, values_of, wit_types
from whamm_cm.run.wave import (
    Opaque,
    WaveError,
    format_value,
    parse_arguments,
    parse_invocation,
    parse_value,
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
    strip,
)

U8, U32, STRING, BOOL, CHAR = (Prim(n) for n in ("u8", "u32", "string", "bool", "char"))
RECORD = RecordT((("must", U8), ("maybe", OptionT(U8))))
OPTIONAL = RecordT((("a", OptionT(U8)), ("b", OptionT(STRING))))
VARIANT = VariantT((("empty", None), ("body", ListT(U8)), ("err", STRING), ("none", None)))
STATUS = EnumT(("ok", "not-found", "HTTP3"))
FLAGS = FlagsT(("read", "write", "exec"))

ACCEPTED: list[tuple[ValType, str, Any]] = [
    (BOOL, "true", True),
    (BOOL, " false // no\n", False),
    (Prim("s8"), "-128", -128),
    (Prim("u64"), "18446744073709551615", (1 << 64) - 1),
    (Prim("s64"), "-9223372036854775808", -(1 << 63)),
    (Prim("f64"), "6.022e+23", 6.022e23),
    (Prim("f64"), "-0.5", -0.5),
    (Prim("f32"), "3", 3.0),
    (Prim("f32"), "inf", math.inf),
    (Prim("f64"), "-inf", -math.inf),
    (CHAR, "'x'", "x"),
    (CHAR, r"'\''", "'"),
    (CHAR, "'\"'", '"'),
    (CHAR, "'👋'", "👋"),
    (CHAR, r"'\u{1F44B}'", "👋"),
    (STRING, r'"abc\t123\\\"\r\n\u{0}"', 'abc\t123\\"\r\n\0'),
    (STRING, '"it\'s"', "it's"),
    (STRING, '""', ""),
    (STRING, '"""\nA single line\n"""', "A single line"),
    (STRING, '"""\n    by\n      ending\n  """', "  by\n    ending"),
    (STRING, '"""\n"""', ""),
    (STRING, '"""\n  "two" ""\\""\r\n  x\r\n  """', '"two" """"\nx'),
    (ListT(U8), "[79, 75,]", b"OK"),
    (ListT(U8), "[]", b""),
    (ListT(CHAR), "['a', 'b']", ["a", "b"]),
    (ListT(U8, 2), "[1, 2]", [1, 2]),
    (TupleT((U8, STRING)), '(123, "abc",)', [123, "abc"]),
    (MapT(STRING, U8), '[("a", 1)]', [["a", 1]]),
    (RECORD, "{maybe: 2, must: 1}", {"must": 1, "maybe": 2}),
    (RECORD, "{%must: 1,}", {"must": 1, "maybe": None}),
    (OPTIONAL, "{:}", {"a": None, "b": None}),
    (VARIANT, "empty", {"empty": None}),
    (VARIANT, "body([1])", {"body": b"\1"}),
    (VARIANT, '%err("x")', {"err": "x"}),
    (VARIANT, "%none", {"none": None}),
    (STATUS, "%ok", "ok"),
    (STATUS, "not-found", "not-found"),
    (STATUS, "HTTP3", "HTTP3"),
    (FLAGS, "{exec, read,}", ["read", "exec"]),
    (FLAGS, "{}", []),
    (OptionT(U8), "1", 1),
    (OptionT(U8), "some(1)", 1),
    (OptionT(U8), "none", None),
    (OptionT(OptionT(U8)), "some(none)", {"some": None}),
    (OptionT(OptionT(U8)), "some(some(1))", {"some": 1}),
    (OptionT(OptionT(U8)), "none", None),
    (ResultT(U8, STRING), "7", {"ok": 7}),
    (ResultT(U8, STRING), "ok(7)", {"ok": 7}),
    (ResultT(U8, STRING), 'err("no")', {"error": "no"}),
    (ResultT(None, None), "ok", {"ok": None}),
    (ResultT(None, None), "err", {"error": None}),
    (ResultT(OptionT(U8), None), "ok(none)", {"ok": None}),
    (Named("n", None, Named("m", "a:b/c", U8)), "5", 5),
]


@pytest.mark.parametrize(("t", "text", "value"), ACCEPTED, ids=[row[1] for row in ACCEPTED])
def test_accepts(t: ValType, text: str, value: Any) -> None:
    assert parse_value(text, t) == value


REFUSED: list[tuple[ValType, str, str, int]] = [
    (BOOL, "yes", "expected a bool", 0),
    (BOOL, "%true", "expected a bool", 0),
    (U8, "256", "does not fit u8 (0 to 255)", 0),
    (U8, "-1", "does not fit u8", 0),
    (U8, "9" * 10_000, "does not fit u8", 0),
    (U8, "1.5", "whole number", 0),
    (U8, "1e3", "whole number", 0),
    (U8, "01", "nothing may follow", 1),
    (U8, "", "expected a u8", 0),
    (CHAR, "''", "one character", 1),
    (CHAR, "'ab'", "one character", 2),
    (CHAR, r"'\u{D800}'", "scalar value", 1),
    (CHAR, r"'\u{110000}'", "scalar value", 1),
    (CHAR, "'\n'", "one character", 1),
    (STRING, '"abc', "no closing quote", 0),
    (STRING, '"a\nb"', "no closing quote", 0),
    (STRING, r'"\x41"', "unknown escape", 1),
    (STRING, '"a\udcffb"', "not valid UTF-8", 2),
    (STRING, '"""abc"""', "line break", 0),
    (STRING, '"""\n a\n  """', "indented less", 4),
    (STRING, '"""\na\\\n"""', "unknown escape", 4),
    (ListT(U8), "[1 2]", "expected ']' or ','", 3),
    (ListT(U8), "[1", "expected ']'", 2),
    (ListT(U8, 2), "[1]", "expected 2 elements, found 1", 0),
    (TupleT((U8, U8)), "(1)", "expected 2 elements, found 1", 2),
    (TupleT((U8,)), "(1, 2)", "only 1 elements", 4),
    (RECORD, "{maybe: 2}", "field 'must' is missing", 9),
    (RECORD, "{must: 1, must: 2}", "given twice", 14),
    (RECORD, "{other: 1}", "one of must, maybe", 1),
    (RECORD, "{must 1}", "expected ':'", 6),
    (VARIANT, "empty(1)", "no payload", 5),
    (VARIANT, "body", "expected '('", 4),
    (VARIANT, 'err("x")', "as %err", 0),
    (STATUS, "ok", "as %ok", 0),
    (STATUS, "gone", "expected a case", 0),
    (FLAGS, "{fly}", "expected a flag", 1),
    (OptionT(OptionT(U8)), "1", "expected some(…) or none", 0),
    (ResultT(None, None), "1", "expected ok or err", 0),
    (ResultT(None, STRING), "ok(1)", "no payload", 2),
    (Own(Resource()), "1", "type own cannot be written", 0),
    (StreamT(U8), "1", "type streamt cannot be written", 0),
    (Prim("error-context"), "1", "type error-context cannot be written", 0),
]


@pytest.mark.parametrize(
    ("t", "text", "reason", "at"), REFUSED, ids=[f"{row[1][:20]}-{row[2]}" for row in REFUSED]
)
def test_refuses(t: ValType, text: str, reason: str, at: int) -> None:
    with pytest.raises(WaveError) as caught:
        parse_value(text, t)
    assert reason in caught.value.reason
    assert caught.value.at == at


def test_error_shows_the_place() -> None:
    with pytest.raises(WaveError) as caught:
        parse_value("[1,\n 2, x]", ListT(U8))
    assert str(caught.value) == "expected a u8 at line 2 column 5\n   2, x]\n      ^"


def test_caret_stays_in_sight_on_a_long_line() -> None:
    with pytest.raises(WaveError) as caught:
        parse_value("[" + "1, " * 1000 + "x]", ListT(U8))
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) <= 162
    assert shown[caret.index("^")] == "x"


def test_types_nested_too_deeply_are_refused() -> None:
    t: ValType = U8
    for _ in range(500):
        t = ListT(t)
    with pytest.raises(WaveError, match="nested too deeply"):
        parse_value("[" * 500, t)


PARAMS = (("a", U8), ("b", OptionT(U8)), ("c", OptionT(STRING)))
CALLS: list[tuple[str, str, list[Any]]] = [
    ("f(1, 2, none)", "f", [1, 2, None]),
    ("f(1)", "f", [1, None, None]),
    (" ns:p/i@1.0.0#f ( 1 , )", "ns:p/i@1.0.0#f", [1, None, None]),
    ("[static]r.f(1)// x", "[static]r.f", [1, None, None]),
]


@pytest.mark.parametrize(("text", "name", "values"), CALLS)
def test_calls(text: str, name: str, values: list[Any]) -> None:
    call = parse_invocation(text)
    assert call.name == name
    assert parse_arguments(call, PARAMS) == values


def test_call_without_parentheses_has_no_arguments() -> None:
    assert parse_arguments(parse_invocation("f"), ()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("f", r"argument 'a' is missing: f takes \(a, b, c\)"),
        ("f()", "argument 'a' is missing"),
        ("f(1, 2, none, 4)", "too many arguments"),
        ("f(", r"expected '\)' or a value at column 3"),
        ("f(1, ", r"expected '\)' or a value at column 6"),
        ("f(1, 2, none,", r"expected '\)' at column 14"),
        ("f(1", r"expected '\)'"),
        ("f(1) g", "nothing may follow"),
        ("(1)", "name of an export"),
        ("", "name of an export"),
    ],
)
def test_bad_calls(text: str, reason: str) -> None:
    with pytest.raises(WaveError, match=reason):
        parse_arguments(parse_invocation(text), PARAMS)


WRITTEN: list[tuple[ValType, Any, str]] = [
    (Prim("f32"), 0.10000000149011612, "0.1"),
    (Prim("f32"), 3.4028234663852886e38, "3.4028235e+38"),
    (Prim("f64"), 0.1 + 0.2, "0.30000000000000004"),
    (Prim("f64"), -math.inf, "-inf"),
    (STRING, 'a"b\\\n\x07é', r'"a\"b\\\n\u{7}é"'),
    (CHAR, "'", r"'\''"),
    (ListT(U8), b"\1\2", "[1, 2]"),
    (RECORD, {"must": 1, "maybe": None}, "{must: 1, maybe: none}"),
    (VARIANT, {"err": "x"}, '%err("x")'),
    (ResultT(None, None), {"error": None}, "err"),
    (OptionT(OptionT(U8)), {"some": None}, "some(none)"),
    (Borrow(Resource()), Opaque("borrow"), "<borrow>"),
]


@pytest.mark.parametrize(("t", "value", "text"), WRITTEN)
def test_writes(t: ValType, value: Any, text: str) -> None:
    assert format_value(value, t) == text


def _writable(t: ValType) -> bool:
    t = strip(t)
    parts: list[ValType | None]
    match t:
        case Own() | Borrow() | StreamT() | FutureT():
            return False
        case Prim():
            return t.name != "error-context"
        case ListT():
            parts = [t.element]
        case MapT():
            parts = [t.key, t.value]
        case RecordT():
            parts = [field for _, field in t.fields]
        case TupleT():
            parts = list(t.types)
        case VariantT():
            parts = [payload for _, payload in t.cases]
        case OptionT():
            parts = [t.inner]
        case ResultT():
            parts = [t.ok, t.err]
        case _:
            parts = []
    return all(_writable(part) for part in parts if part is not None)


@given(st.data())
@settings(max_examples=100)
def test_what_is_written_reads_back(data: st.DataObject) -> None:
    t = data.draw(wit_types().filter(_writable))
    value = data.draw(values_of(t))
    assert same(parse_value(format_value(value, t), t), value)
