"""Places in UTF-16, UTF-8 and UTF-32, and edits: against slow and simple arithmetic on bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whamm_cm.editor.text import Place, Text

WRITTEN = st.text(st.sampled_from("ab\n\r 😀é\u2028\t€\x0b"), max_size=30)
CODECS = {"utf-16": ("utf-16-le", 2), "utf-8": ("utf-8", 1), "utf-32": ("utf-32-le", 4)}


def _units(text: str, encoding: str) -> int:
    codec, size = CODECS[encoding]
    return len(text.encode(codec)) // size


@given(WRITTEN, st.integers(0, 30), st.sampled_from(sorted(CODECS)))
@example("a\r\n😀b", 4, "utf-16")
def test_a_place_is_a_line_and_what_stands_before_it(text: str, at: int, encoding: str) -> None:
    at = min(at, len(text))
    if text[at - 1 : at + 1] == "\r\n":
        at += 1  # between the two is no place
    lines = re.split(r"\r\n|\r|\n", text[:at])
    place = Text(text, encoding).place(at)
    assert place == Place(len(lines) - 1, _units(lines[-1], encoding))
    assert Text(text, encoding).offset(place) == at


@given(WRITTEN, WRITTEN, st.integers(0, 30), st.integers(0, 30))
def test_edits_are_those_of_the_text(text: str, new: str, first: int, last: int) -> None:
    first, last = sorted((min(first, len(text)), min(last, len(text))))
    document = Text(text)
    start, end = document.place(first), document.place(last)
    first, last = document.offset(start), document.offset(end)
    assert document.edited(start, end, new).text == text[:first] + new + text[last:]


@given(WRITTEN, st.integers(-3, 50), st.integers(-3, 50))
def test_no_place_is_outside(text: str, line: int, unit: int) -> None:
    assert 0 <= Text(text).offset(Place(line, unit)) <= len(text)


@pytest.mark.parametrize(("unit", "at"), [(0, 0), (1, 0), (2, 1), (3, 2), (99, 2)])
def test_within_a_character_is_before_it(unit: int, at: int) -> None:
    assert Text("😀b").offset(Place(0, unit)) == at


def test_half_a_character_is_none() -> None:
    assert Text("a\ud83db").text == "a\ufffdb"
