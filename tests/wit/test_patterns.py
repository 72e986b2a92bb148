"""Item patterns: interface, version and function globs."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.steps import no_endless_loop
from whamm_cm.errors import UsageError
from whamm_cm.wit.glob import compile_glob
from whamm_cm.wit.names import ItemPattern, PatternError

TCP = ("wasi:sockets/tcp", "0.2.3")


@pytest.mark.parametrize(
    ("pattern", "interface", "version", "func", "expected"),
    [
        ("wasi:sockets/tcp@0.2#tcp-socket.*", *TCP, "tcp-socket.start-connect", True),
        ("wasi:sockets/tcp@0.2#tcp-socket.*", *TCP, "[method]tcp-socket.bind", True),
        ("wasi:sockets/tcp@0.2#tcp-socket.*", *TCP, "other", False),
        ("wasi:sockets/tcp@0.3#*", *TCP, "x", False),
        ("wasi:sockets/tcp#[method]tcp-socket.bind", *TCP, "tcp-socket.bind", True),
        ("wasi:sockets/tcp#[method]tcp-socket.bind", *TCP, "tcp-socket.bin", False),
        ("wasi:sockets/tcp#[constructor]tcp-socket", *TCP, "tcp-socket.new", True),
        ("wasi:sockets/tcp#[async method]t*.bind|x", *TCP, "tcp-socket.bind", True),
        ("wasi:sockets/tcp#[resource-drop]tcp-socket", *TCP, "tcp-socket.drop", True),
        ("wasi:sockets/tcp#[resource-new]r", *TCP, "[resource-new]r", True),
        ("wasi:sockets/tcp#[resource-new]r", *TCP, "r", False),
        ("wasi:*#*", *TCP, "x", True),
        ("wasi:*", *TCP, "x", True),
        ("wasi:*#", *TCP, "x", True),
        ("wasi:io/*@^0.2.0", "wasi:io/streams", "0.2.5", "input-stream.read", True),
        ("wasi:io/*@^0.2.0", "wasi:io/streams", "0.3.0", "input-stream.read", False),
        ("wasi:io/*@0.2|0.3", "wasi:io/streams", "0.3.0", "f", True),
        ("wasi:io/*@0.2|0.3", "wasi:io/streams", "0.4.0", "f", False),
        ("wasi:sockets/tcp@0.2|wasi:sockets/udp#f", "wasi:sockets/udp", "9.0.0", "f", True),
        ("wasi:sockets/{tcp,udp}@=0.2.3#f", *TCP, "f", True),
        ("wasi:sockets/{tcp,udp}@=0.2.4#f", *TCP, "f", False),
        ("wasi:keyvalue/store@0.2.0-draft#bucket.{get,exists}", "wasi:keyvalue/store",
         "0.2.0-draft", "bucket.exists", True),
        ("wasi:keyvalue/store@0.2.0-draft#bucket.{get,exists}", "wasi:keyvalue/store",
         "0.2.0-draft", "bucket.set", False),
        ("#run", "", None, "run", True),
        ("#run", "wasi:cli/run", None, "run", False),
        ("*#run", "wasi:cli/run", "0.2.0", "run", True),
        ("*#run", "", None, "run", True),
        ("*#get|set", "a:b/c", None, "set", True),
        ("*#get|set", "a:b/c", None, "setx", False),
        ("*#[gs]et", "a:b/c", None, "get", True),
        ("*#[!gs]et", "a:b/c", None, "get", False),
        ("*#[a-c]?", "a:b/c", None, "bz", True),
        ("*#Get", "a:b/c", None, "get", False),
        ("a:b/c@*#f", "a:b/c", None, "f", True),
    ],
)  # fmt: skip
def test_matches(
    pattern: str, interface: str, version: str | None, func: str, expected: bool
) -> None:
    assert ItemPattern.parse(pattern).matches(interface, version, func) is expected


@pytest.mark.parametrize(
    ("pattern", "column", "message"),
    [
        ("wasi:io/[x#f", 8, "never closed"),
        ("wasi:io/{a,b#f", 8, "never closed"),
        ("wasi:io/a}#f", 9, "without"),
        ("a:b/c@zzz#f", 6, "expected a version"),
        ("a:b/c@=#f", 7, "expected a version"),
        ("a:b/c@0.2|=x#f", 10, None),
        ("a:b/c#f#g", 7, "more than one"),
        ("a:b/c#f|[z-a]", 8, "empty range"),
        ("a:b/c#[method]x.[", 16, "never closed"),
        ("{" * 17 + "}" * 17, 16, "deep"),
    ],
)
def test_mistakes_have_a_position(pattern: str, column: int, message: str | None) -> None:
    if message is None:  # "=x" is no version, so it is read as one more interface
        assert not ItemPattern.parse(pattern).matches("a:b/c", "0.3.0", "f")
        return
    with pytest.raises(PatternError, match=message) as caught:
        ItemPattern.parse(pattern)
    assert (caught.value.position, caught.value.text) == (column, pattern)


@given(st.text(alphabet="ab:/.#@|*?[]{}!,-=^0.23 methodé\n", max_size=40))
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    try:
        pattern = ItemPattern.parse(text)
    except UsageError:
        return
    assert pattern.matches("a:b/c", "0.2.3", "m.a") in (True, False)


@given(
    st.text(alphabet="ab*?[]!-", max_size=10).filter(lambda t: "[]" not in t and "[!]" not in t),
    st.text(alphabet="ab-!", max_size=8),
)
def test_globs_agree_with_fnmatch(glob: str, name: str) -> None:
    try:
        ours = compile_glob(glob).fullmatch(name)
    except PatternError:
        return  # fnmatch reads an unclosed "[" literally; we refuse it
    assert ours == fnmatch.fnmatchcase(name, glob)


def test_many_stars_do_not_explode() -> None:
    with no_endless_loop():
        assert not compile_glob("*a" * 50 + "b").fullmatch("a" * 2000)
