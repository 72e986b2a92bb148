"""The one matcher: what it means, that it takes no longer than its text, and what can never fit."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.steps import no_endless_loop
from whamm_cm.wit import shapes
from whamm_cm.wit.glob import Glob, compile_glob, compile_path, escape_path
from whamm_cm.wit.names import ExternNameParts, InterfaceName, PatternError, is_label

ATOMS = st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "[a-b]", "ab"])


def _braces(parts: list[str]) -> str:
    return "{" + ",".join(parts) + "}"


GLOBS = st.recursive(
    st.lists(ATOMS, max_size=4).map("".join),
    lambda inner: st.lists(
        st.one_of(inner, st.lists(inner, min_size=1, max_size=3).map(_braces)),
        min_size=1,
        max_size=3,
    ).map("".join),
    max_leaves=8,
)  # fmt: skip


def regular(glob: str) -> re.Pattern[str]:
    """The same as a regular expression, which may take for ever on long texts."""
    out = glob.replace("?", ".").replace("*", ".*").replace("[!", "[^")
    return re.compile(out.replace("{", "(?:").replace("}", ")").replace(",", "|"), re.S)


@given(GLOBS, st.text(alphabet="abc", max_size=8))
def test_it_means_what_the_regular_expression_means(glob: str, text: str) -> None:
    try:
        found = compile_glob(glob)
    except PatternError as error:
        assert "nothing between" in str(error)
        return
    assert found.fullmatch(text) == (regular(glob).fullmatch(text) is not None)


@pytest.mark.parametrize(
    "glob",
    ["{*,?*,*?}" * 30 + "z", "*a" * 500 + "b", "{a,a}" * 800 + "z", "{*a,*b}" * 100 + "{c,d}",
     "?" * 2000 + "*" + "?" * 2000, "{" * 16 + "a*" + "}" * 16 + "{b*,*b}" * 60, "[!b]*" * 700],
)  # fmt: skip
def test_no_glob_takes_long(glob: str) -> None:
    """A backtracking matcher takes longer than the universe is old for the first of them."""
    with no_endless_loop():
        found = compile_glob(glob)
        for text in ("a" * 3000, "ab" * 1000 + "z", "wasi:sockets/instance-network" * 50):
            found.fullmatch(text)


@pytest.mark.parametrize("letters", ["ab", "abc:/"])
def test_many_texts_do_not_fill_memory(letters: str) -> None:
    found = compile_glob("{*,?*a,*b?}" * 12)
    for length in range(8):
        for text in itertools.product(letters, repeat=min(length, 6)):
            found.fullmatch("".join(text))
    assert len(found._states) <= 2000


WORDS = st.lists(
    st.sampled_from(["wasi", ":", "/", "io", "-", "A", "B9", "x", "9", ".", "new", "_", "@", " "]),
    max_size=9,
).map("".join)


def fits(language: shapes.Language, text: str) -> bool:
    rows, finals = language
    state: str | None = "start"
    for ch in text:
        state = rows.get(state or "", {}).get(ch)
        if state is None:
            return False
    return state in finals


@given(WORDS)
def test_the_shapes_are_those_of_names(text: str) -> None:
    interface = InterfaceName.try_parse(text)
    assert fits(shapes.INTERFACE, text) == (interface is not None and interface.version is None)
    assert fits(shapes.LABEL, text) == is_label(text)
    method = ExternNameParts.try_parse(f"[method]{text}") is not None
    assert fits(shapes.METHOD, text) == method
    assert fits(shapes.FUNCTION, text) == (method or is_label(text))


SMALL: shapes.Language = (
    {"start": {"a": "one"}, "one": {"b": "two", "a": "one"}, "two": {"/": "start"}},
    frozenset(("two",)),
)


def small(length: int) -> list[str]:
    found = ["".join(t) for n in range(length) for t in itertools.product("ab/", repeat=n)]
    return [text for text in found if fits(SMALL, text)]


TEXTS = small(8)


@given(st.lists(st.sampled_from(["a", "b", "/", "{a,b}", "{a,/}", "?", "x"]), max_size=5))
def test_what_is_dead_is_dead(parts: list[str]) -> None:
    """Against all short texts of a small language, piece by piece."""
    glob = compile_glob("".join(parts))
    place = glob.dead(SMALL)
    fitting = [text for text in TEXTS if glob.fullmatch(text)]
    assert (place == -1) == (not fitting)
    if place is not None and place >= 0:
        without = glob.text[:place] + "\0" + glob.text[place + 1 :]
        assert [text for text in TEXTS if compile_glob(without).fullmatch(text)] == fitting


@given(GLOBS, GLOBS)
def test_what_lies_in_what(left: str, right: str) -> None:
    try:
        a, b = compile_glob(left), compile_glob(right)
    except PatternError:
        return
    texts = ["".join(t) for n in range(5) for t in itertools.product("ab", repeat=n)]
    ours, theirs = ({t for t in texts if g.fullmatch(t)} for g in (a, b))
    if a.within(b, "ab"):
        assert ours <= theirs
    if ours & theirs:
        assert a.meets(b, "ab")
    assert a.within(a, "ab") and a.within(compile_glob("*"), "ab")


PATHS = st.text(alphabet="ab*?\\/[]{}|,", max_size=8)


@given(PATHS, PATHS)
def test_an_escaped_path_is_itself_alone(path: str, other: str) -> None:
    found = compile_path(escape_path(path))
    assert found.fullmatch(path) and found.fullmatch(other) == (path == other)


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("/d/**", "/d", True), ("/d/**", "/d/a/b", True), ("/d/**", "/da", False),
        ("/d/*", "/d/a", True), ("/d/*", "/d/a/b", False), ("/d/**/z", "/d/z", True),
        ("/d/**/z", "/d/a/b/z", True), ("/d/\\*", "/d/*", True), ("/d/\\*", "/d/a", False),
        ("/d/\\*\\*", "/d/a", False), ("/d/a\\b", "/d/a\\b", True), ("/d/\\\\b", "/d/\\b", True),
        ("/**x", "/a/x", True), ("/**x", "/a/y", False), ("/a**b", "/a/cb", True),
        ("/a**b", "/a/c", False), ("/d/?", "/d//", False), ("/**", "/", True), ("/**", "", True),
    ],
)  # fmt: skip
def test_globs_of_paths(glob: str, path: str, expected: bool) -> None:
    assert compile_path(glob).fullmatch(path) is expected


def test_nothing_in_braces_is_a_mistake() -> None:
    for text in ("{}", "a{}b", "{,}", "a{{},}"):
        with pytest.raises(PatternError, match="nothing between"):
            compile_glob(text)
    assert isinstance(compile_glob("a{,b}"), Glob) and compile_glob("a{,b}").fullmatch("a")


@pytest.mark.parametrize(
    ("glob", "fits", "others"),
    [
        ("ab|cd", ("ab", "cd"), ("ab|cd", "abcd", "a", "")),
        ("x{a|b}", ("xa", "xb"), ("x", "xab")),
        ("[!a-c]x", ("dx", "!x"), ("ax", "bx", "x")),
        ("[a-cx]", ("a", "b", "c", "x"), ("-", "d")),
        ("[]a]", ("]", "a"), ("b",)),
        ("[!]a]", ("b",), ("]", "a")),
        ("[a-]", ("a", "-"), ("b",)),
    ],
)
def test_alternatives_and_classes(
    glob: str, fits: tuple[str, ...], others: tuple[str, ...]
) -> None:
    compiled = compile_glob(glob)
    assert [text for text in (*fits, *others) if compiled.fullmatch(text)] == list(fits)
