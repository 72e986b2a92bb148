"""All that is wrong with a script is said at once."""

from __future__ import annotations

import pytest

from tests.lang.samples import loaded
from whamm_cm.lang.load import load
from whamm_cm.lang.source import MOST, ScriptError


def wrong(text: str, *more: str) -> list[tuple[int, str]]:
    """(line, message) of each error, as they are told."""
    with pytest.raises(ScriptError) as caught:
        load([(f"{number}.mm", one) for number, one in enumerate((text, *more))])
    told = str(caught.value)
    each = caught.value.each
    places = [told.find(f"{e.source.name}:{e.line}:{e.column}: {e.message}") for e in each[:MOST]]
    assert -1 not in places and places == sorted(places)
    return [(one.line, one.message) for one in each]


def test_errors_of_all_parts_of_a_script_are_told_in_order_of_place() -> None:
    assert wrong("""var a: u33;
report var n: u64;
fn f(x: u32) -> u32 { return y; }
fn g() -> bool { }
wasm:func:entry / nope / { n += "x"; n = g(); }
wasm:opcode:brr_if:before { }
wasm:func:exit { if (n) { m++; } else { h(); } }
""") == [
        (1, 'there is no type "u33"'),
        (3, '"y" is not known in this function'),
        (4, '"g" can end without returning a bool'),
        (5, '"nope" is not known in wasm:func:entry'),
        (5, "this is a str, but n is a u64"),
        (5, "this is a bool, but n is a u64"),
        (6, 'no event matches "brr_if"'),
        (7, "this is a u64, but a condition is a bool"),
        (7, '"m" is not known in wasm:func:exit'),
        (7, 'there is no function "h"'),
    ]


def test_what_follows_from_an_error_is_no_other() -> None:
    text = """var a: u33;
fn f(x: u33) { }
wasm:func:entry { var b: u34; b++; a++; f(1); b = a; }
"""
    assert [line for line, _ in wrong(text)] == [1, 2, 3]


def test_syntax_errors_of_several_items_are_told() -> None:
    assert [
        line
        for line, _ in wrong("""var a u32;
wasm:func:entry { a++ }
wasm:opcode:{br,br_if}:before { if (true) { a+; } else { a++; } }
report var "s{": u32;
wasm:func:exit { a++; }
fn f( { }
""")
    ] == [1, 2, 3, 4, 6]


def test_an_item_without_an_end_is_the_last_that_is_looked_at() -> None:
    assert len(wrong("var a u32;\nwasm:func:entry { if (a) {")) == 2


def test_errors_of_all_scripts_are_told() -> None:
    found = wrong("wasm:func:entry { x++; }", "var a u32;", "wasm:func:enter { }")
    assert [message for _, message in found] == [
        '"x" is not known in wasm:func:entry', "'u32' is not expected here",
        'no event matches "enter"',
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["x++;\n", "}\nwasm:func:exit { + }\nwasm:func:entry {"])
def test_no_more_than_some_are_told(line: str) -> None:
    with pytest.raises(ScriptError) as caught:
        loaded("wasm:func:entry {\n" + line * 30 + "}")
    told = str(caught.value)
    assert told.count("\n") == 3 * MOST
    if line == "x++;\n":
        assert told.endswith("and 10 more") and len(caught.value.each) == 30
    else:
        assert told.endswith("and 1 more")


def test_the_first_is_the_error_itself() -> None:
    with pytest.raises(ScriptError) as caught:
        loaded("wasm:func:entry { x++; y++; }")
    error = caught.value
    assert (error.line, error.column, len(error.others)) == (1, 19, 1)
    assert str(error.others[0]).startswith('script.mm:1:24: "y" is not known')


def test_a_jump_in_a_loop_whose_condition_is_wrong_is_no_second_error() -> None:
    with pytest.raises(ScriptError) as caught:
        loaded("wasm:func:entry { while (unknwn) { if (fid > 1) { break; } } }")
    assert "unknwn" in str(caught.value) and "break" not in str(caught.value).splitlines()[0]
    assert len(caught.value.each) == 1


@pytest.mark.parametrize(
    "text",
    [
        "wasm:func:entry { var m: map<i32, i32> = m; }",
        "wasm:func:entry { var m: u32 = m; m++; }",
        "wasm:func:entry { var m = m; m++; }",
        "var m = m; wasm:func:entry { m++; }",
        "const m = m; wasm:func:entry { var x = m; }",
    ],
)
def test_a_name_in_its_own_declaration_is_not_known(text: str) -> None:
    assert [message.partition(" in ")[0] for _, message in wrong(text)] == ['"m" is not known']
