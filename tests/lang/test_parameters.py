"""``$name``, ``$1`` and ``param``: literals from outside, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest

from whamm_cm.errors import UsageError
from whamm_cm.lang import tree as t
from whamm_cm.lang.load import load
from whamm_cm.lang.parameters import MAX_LENGTH, given
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.walk import walk


def _loaded(text: str, define: dict[str, Any], *args: Any) -> t.Scripts:
    return load([("s.mm", text)], None, given(define.items(), args))


def _consts(text: str, define: dict[str, Any], *args: Any) -> list[tuple[str, object]]:
    """Types and values of all constants in the bodies of probes."""
    scripts = _loaded(text, define, *args)
    nodes = (node for probe in scripts.probes for node in walk(*probe.body))
    return [(str(node.type), node.value) for node in nodes if isinstance(node, t.Const)]


def _body(statement: str) -> str:
    return f"wasm:func:entry {{ {statement} }}"


@pytest.mark.parametrize(
    ("statement", "value", "found"),
    [
        ("var x: u8 = $v;", "200", ("u8", 200)),
        ("var x: u64 = $v;", "0xffff_ffff_ffff_ffff", ("u64", (1 << 64) - 1)),
        ("var x: i32 = $v;", "-5", ("i32", -5)),
        ("var x = $v;", "5", ("i32", 5)),
        ("var x = $v;", "5000000000", ("i64", 5_000_000_000)),
        ("var x: f64 = $v;", "5", ("f64", 5.0)),
        ("var x = $v;", "2.5e1", ("f64", 25.0)),
        ("var x = $v;", "true", ("bool", True)),
        ("var x = $v;", "a b", ("str", "a b")),
        ("var x = $v;", "", ("str", "")),
        # a text where one is wanted, whatever it looks like
        ("var x: str = $v;", "127", ("str", "127")),
        ("var x: str = $v;", "true", ("str", "true")),
        ("var x: bool = fname == $v;", "007", ("str", "007")),
        ("var x: bool = $v == fname;", "x", ("str", "x")),
        # from Python
        ("var x = $v;", True, ("bool", True)),
        ("var x = $v;", 7, ("i32", 7)),
        ("var x = $v;", 0.5, ("f64", 0.5)),
    ],
)
def test_a_parameter_is_a_literal(statement: str, value: object, found: tuple[str, object]) -> None:
    assert found in _consts(_body(statement), {"v": value})
    assert found in _consts(_body(statement.replace("$v", "$1")), {}, value)


@pytest.mark.parametrize(
    "text",
    ['"', '"; } wasm:func:exit { x = 1; } //', "\\n", "\0", "$other", "{}", "\N{SNOWMAN}", "1;2",
     "a" * MAX_LENGTH, "*/ /*"],
)  # fmt: skip
def test_nothing_in_a_text_means_anything(text: str) -> None:
    script = "wasm:func:entry / $v == $v / { var x: str = $v; }"
    assert ("str", text) in _consts(script, {"v": text})
    assert len(_loaded(script, {"v": text}).probes) == 1


@pytest.mark.parametrize(
    ("declared", "value", "found"),
    [
        ("param v = 5;", None, ("u64", 5)),
        ("param v = 5;", "7", ("u64", 7)),
        ("param v = 5;", str((1 << 64) - 1), ("u64", (1 << 64) - 1)),
        ("param v: u64 = 1 << 4;", None, ("u64", 16)),
        ("param v: u64 = 1 << 4;", "0b11", ("u64", 3)),
    ],
)
def test_param_is_a_constant_with_a_default(
    declared: str, value: str | None, found: tuple[str, object]
) -> None:
    define = {} if value is None else {"v": value}
    for use in ("v", "$v"):
        script = f"{declared} wasm:func:entry {{ report var x: u64; x += {use}; }}"
        assert found in _consts(script, define)


def test_param_of_other_types() -> None:
    script = (
        'param who = "me"; param on = false; param half: f32 = 0.5;'
        "wasm:func:entry { var a = who; var b = on; var c = half; }"
    )
    assert _consts(script, {}) == [("str", "me"), ("bool", False), ("f32", 0.5)]
    given_ = {"who": "5", "on": "true", "half": "inf"}
    assert _consts(script, given_) == [("str", "5"), ("bool", True), ("f32", float("inf"))]


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        ("param v: u8 = 5;", "300", "-D v='300' is no u8, which is 0 to 255"),
        ("param v: u8 = 5;", "-1", "-D v='-1' is no u8, which is 0 to 255"),
        ("param v: u8 = 5;", "", "-D v='' is no u8, which is 0 to 255"),
        ("param v = 5;", "1.5", "-D v='1.5' is no whole number of 64 bits"),
        ("param v = 5;", "9" * 5000, f"-D v='{'9' * 40}…' is no whole number of 64 bits"),
        ("param v = true;", "1", "-D v='1' is no bool"),
        ("param v = 1.5;", "x", "-D v='x' is no f64"),
    ],
)
def test_another_type_than_the_default_is_an_error(declared: str, value: str, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        _loaded(f"{declared} wasm:func:entry {{ }}", {"v": value})
    assert caught.value.message == message
    assert (caught.value.line, caught.value.column) == (1, 7)


@pytest.mark.parametrize(
    ("statement", "value", "message"),
    [
        ("var x: u8 = $v;", "300", "$v is no u8, which is 0 to 255"),
        ("var x: u8 = $v;", "abc", "-D v='abc' is a str, but x is a u8"),
        ("var x: u8 = $v;", "9" * 5000, "this number has more than 64 bits"),
        ("var x: bool = $v;", "1", "-D v='1' is an i32, but x is a bool"),
    ],
)
def test_a_literal_of_the_wrong_type_is_an_error(statement: str, value: str, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        _loaded(_body(statement), {"v": value})
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("define", "args", "message"),
    [
        ([("hots", "x")], (), "-D hots: no script has such a parameter; did you mean -D host?"),
        ([("q", "x")], (), "-D q: no script has such a parameter; write $q where it is meant"),
        ([], ("a", "b"), "--arg 2 ('b') is for nothing: no script has $2; leave it out"),
        ([("a", "1"), ("a", "1")], (), "-D a is given twice"),
        ([("a b", "1")], (), "-D 'a b': names have letters, digits and _"),
        ([("", "1")], (), "-D '': names have letters, digits and _"),
        ([("1", "1")], (), "-D '1': names have letters, digits and _; --arg gives $1, $2 and so"
         " on"),
        ([("a", "\udcff")], (), "-D a: the value is not UTF-8 text"),
        ([], ("\ud800",), "--arg 1: the value is not UTF-8 text"),
        ([], ("a" * (MAX_LENGTH + 1),), "--arg 1: the value is longer than 65536 bytes"),
        ([("a", None)], (), "-D a: NoneType is no value; give a number, bool or text"),
    ],
)  # fmt: skip
def test_what_is_given_wrong_is_said(
    define: list[tuple[str, object]], args: tuple[object, ...], message: str
) -> None:
    script = "wasm:func:entry / $host != $1 / { }"
    with pytest.raises(UsageError) as caught:
        load([("s.mm", script)], None, given([("host", "h"), *define], args or ("one",)))
    assert str(caught.value) == message


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(ScriptError) as caught:
        _loaded(_body("var a: u32 = $n; var b: str = $3;"), {}, "x")
    assert [(e.message, e.hint) for e in caught.value.each] == [
        ('"$n" is not given', "pass -D n=VALUE, or declare param n = …; with what it is without"),
        ('"$3" is not given', "pass --arg VALUE again; there is 1 so far"),
    ]


def test_scripts_given_together_share_parameters() -> None:
    texts = [("a", _body("var x: u32 = $n;")), ("b", "param n = 1; " + _body("var x: u8 = n;"))]
    scripts = load(texts, None, given([("n", "3")], ()))
    values = [node.value for p in scripts.probes for node in walk(*p.body)
              if isinstance(node, t.Const)]  # fmt: skip
    assert values == [3, 3]


def test_param_stays_a_name_elsewhere() -> None:
    found = _consts("var param: u32; wasm:func:entry { param = 4; }", {})
    assert found == [("u32", 4)]
