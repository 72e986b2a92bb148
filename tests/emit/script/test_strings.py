"""Methods of strings: the guest and what is known before agree, and both are right."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.script.rig import Machine
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.builtins import BUILTINS
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.regex import BadPattern, table_of
from whamm_cm.lang.strings import utf8

EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "150"))
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
METHODS = ("find", "slice", "split", "trim", "lower", "upper", "to_int", "starts_with", "contains")
TEXTS = st.text(st.sampled_from("ab/ \t\n\r\v\x0cAZz@[`{0x1fé€-+"), max_size=24)
MACHINES: dict[str, Machine] = {}


def machine(name: str) -> Machine:
    """One whose result is what the method makes of its bound variables."""
    if name not in MACHINES:
        found = BUILTINS[f"str.{name}"]
        bound = {f"a{i}": kind for i, kind in enumerate(found.params)}
        args = tuple(t.Bound(kind, at) for at, kind in bound.items())
        call = t.Builtin(found.result, f"str.{name}", args)
        kept = t.Variable("kept", found.result, t.Kind.GLOBAL)
        var = t.Var(found.result, kept)
        MACHINES[name] = Machine([t.Assign(var, call)], var, bound=bound)
    return MACHINES[name]


def folded(name: str, args: tuple[Any, ...]) -> Any:
    found = BUILTINS[f"str.{name}"]
    consts = tuple(map(t.Const, found.params, args))
    result = fold_expr(t.Builtin(found.result, f"str.{name}", consts), {})
    return result.value if isinstance(result, t.Const) else None


@SETTINGS
@given(st.sampled_from(METHODS), st.data())
def test_the_guest_and_folding_agree(name: str, data: st.DataObject) -> None:
    positions = st.integers(-5, 9) | st.sampled_from((-(1 << 31), (1 << 31) - 1))
    kinds = {vt.STR: TEXTS, vt.I32: positions}
    args = tuple(data.draw(kinds[kind]) for kind in BUILTINS[f"str.{name}"].params)
    known = folded(name, args)
    if known is not None:
        assert machine(name).run(*args) == known
    else:  # it ends within a character
        assert name == "slice"
        with pytest.raises(UnicodeDecodeError):
            machine(name).run(*args)


@pytest.mark.parametrize(
    ("name", "args", "wanted"),
    [
        ("find", ("a/b/c", "/"), 1),
        ("find", ("€/", "/"), 3),
        ("find", ("abc", ""), 0),
        ("find", ("abc", "abcd"), -1),
        ("slice", ("abcdef", 1, 3), "bc"),
        ("slice", ("abcdef", -2, 100), "ef"),
        ("slice", ("abcdef", 4, 2), ""),
        ("split", ("/data/a.txt", "/", 0), ""),
        ("split", ("/data/a.txt", "/", 2), "a.txt"),
        ("split", ("/data/a.txt", "/", -1), "a.txt"),
        ("split", ("/data/a.txt", "/", -3), ""),
        ("split", ("/data/a.txt", "/", 3), ""),
        ("split", ("a, b, ", ", ", 2), ""),
        ("split", ("abc", "", 0), "abc"),
        ("trim", (" \t\r\n a b \n",), "a b"),
        ("trim", ("  ",), ""),
        ("lower", ("ÄbC@[`{",), "Äbc@[`{"),
        ("upper", ("äbC@[`{",), "äBC@[`{"),
        ("to_int", (" -12 bytes",), -12),
        ("to_int", ("0x1Fg",), 31),
        ("to_int", ("0x",), 0),
        ("to_int", ("x1",), 0),
        ("to_int", ("9223372036854775808",), 2**63 - 1),
        ("to_int", ("-99999999999999999999",), -(2**63)),
        ("to_int", ("-9223372036854775808",), -(2**63)),
    ],
)
def test_what_the_methods_answer(name: str, args: tuple[Any, ...], wanted: Any) -> None:
    assert machine(name).run(*args) == wanted
    assert folded(name, args) == wanted


PATTERNS = ["ab", "^ab", "b/$", "^$", "(a|é)+/", "[^a-zA]", "a.?/", "\\d{2,3}", "€$", "\\w+/\\s",
            "^[ \t]*0x[0-9a-f]+$", "(?:a|b|/)*Z"]  # fmt: skip


@SETTINGS
@given(st.sampled_from(PATTERNS), TEXTS)
def test_patterns_match_what_they_do_in_python(pattern: str, text: str) -> None:
    wanted = re.search(pattern.replace("$", r"\Z"), text, re.A | re.S) is not None
    if pattern not in MACHINES:
        args = (t.Bound(vt.STR, "s"), t.Const(vt.STR, pattern))
        MACHINES[pattern] = Machine(
            result=t.Builtin(vt.BOOL, "str.matches", args), bound={"s": vt.STR}
        )
    assert MACHINES[pattern].run(text) is wanted
    assert folded("matches", (text, pattern)) is wanted


PARTS = ["a", "b", "é", ".", "[a-c]", "[^a]", "\\d", "\\W", "\\s", "1", "^", "$"]
REPEATED = st.sampled_from(("*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}"))
REGEXES = st.recursive(
    st.sampled_from(PARTS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, REPEATED).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)


@settings(max_examples=5 * EXAMPLES, deadline=None)
@given(REGEXES, st.lists(st.text(st.sampled_from("ab1 é.c\n"), max_size=8), max_size=8))
def test_any_pattern_is_what_it_is_in_python(pattern: str, texts: list[str]) -> None:
    try:
        table = table_of(pattern)
    except BadPattern as error:
        assert "states" in str(error)
        return
    known = re.compile(pattern.replace("$", r"\Z"), re.A | re.S)
    assert [table.matches(text) for text in texts] == [bool(known.search(x)) for x in texts]


def test_matching_takes_a_step_for_each_byte() -> None:
    """What makes others go back for ever."""
    table = table_of("^(a+)+$")
    assert table.matches("a" * 16000) and not table.matches("a" * 16000 + "b")


def test_what_is_made_of_a_long_string_is_cut_between_characters() -> None:
    text = "aÄ" * 6000
    kept = utf8(text)[:16384].decode(errors="ignore")
    word = t.Const(vt.STR, text)
    made = Machine(result=t.Builtin(vt.STR, "str.upper", (word,)))
    assert made.run() == kept.replace("a", "A")
