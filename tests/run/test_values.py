"""Values to a guest and back: the embedded engine's own idea of every type, by an echo."""

from __future__ import annotations

import pytest

from tests.run.guests import echo_component
from whamm_cm.run.embedded import run_component

# (WAT type, value in WAVE) for `list<type>`; {…} in the type is a type definition of its own
ROWS = [
    ("bool", "[true, false]"),
    ("s8", "[-128, 127]"),
    ("u8", "[0, 255]"),
    ("s16", "[-32768, 32767]"),
    ("u16", "[65535]"),
    ("s32", "[-2147483648, 2147483647]"),
    ("u32", "[4294967295]"),
    ("s64", "[-9223372036854775808, 9223372036854775807]"),
    ("u64", "[18446744073709551615]"),
    ("f32", "[0.1, -inf, 3.4028235e+38]"),
    ("f64", "[0.1, inf, 5e-324]"),
    ("char", r"['a', '\u{0}', '👋']"),
    ("string", r'["", "é\u{0}x", "👋"]'),
    ("(list string)", '[[], ["a", "b"]]'),
    ("(tuple u8 string)", '[(1, "x")]'),
    ("(map string u32)", '[[("a", 1), ("b", 2)]]'),
    ("(option u32)", "[some(1), none]"),
    ("(option (option bool))", "[some(some(true)), some(none), none]"),
    ("(result)", "[ok, err]"),
    ("(result u32 (error string))", '[ok(1), err("x")]'),
    ("(result (option u32) (error string))", '[ok(none), ok(some(1)), err("x")]'),
    ("(result bool (error u32))", "[ok(true), err(1)]"),
]
DEFINED = [
    ('(record (field "some-name" u8) (field "b" string))', '[{some-name: 1, b: "x"}]'),
    ('(variant (case "none") (case "num" u32) (case "flag" bool))', "[%none, num(1), flag(true)]"),
    ('(enum "one" "ok")', "[one, %ok]"),
    ('(flags "a" "b" "c")', "[{}, {a, c}, {a, b, c}]"),
]


def _echo(wasm: bytes, value: str) -> str | None:
    outcome = run_component(wasm, invoke=f"echo({value})", cache=False)
    assert (outcome.status, outcome.trap) == (0, None)
    return outcome.result


@pytest.mark.parametrize(("t", "value"), ROWS)
def test_echo(t: str, value: str) -> None:
    assert _echo(echo_component(f"(list {t})"), value) == value


@pytest.mark.parametrize(("t", "value"), DEFINED)
def test_echo_of_a_defined_type(t: str, value: str) -> None:
    definitions = f'(type $plain {t}) (export $t "t" (type $plain))'
    assert _echo(echo_component("(list $t)", definitions), value) == value


def test_echo_of_a_string() -> None:
    assert _echo(echo_component("string"), '""') == '""'
    assert _echo(echo_component("string"), '"naïve"') == '"naïve"'


def test_nan_and_the_python_value() -> None:
    outcome = run_component(echo_component("(list f64)"), invoke="echo([nan])", cache=False)
    assert outcome.result == "[nan]"
    assert isinstance(outcome.value, list)
    bytes_outcome = run_component(echo_component("(list u8)"), invoke="echo([1])", cache=False)
    assert bytes_outcome.value == b"\1"
