"""Records among other bytes, however the bytes arrive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.run.split import LineSplitter

MARK = b"WCM1 {"


def splitter(records: list[str], fd: int) -> LineSplitter:
    return LineSplitter(lambda line: records.append(line.decode("utf-8", "replace")), fd, MARK)


class _Split:
    """A splitter that writes to a file, with its records and events in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        self.records: list[str] = []
        self.splitter = splitter(self.records, self.fd)

    def text(self) -> bytes:
        return self.path.read_bytes()


@pytest.fixture
def split(tmp_path: Path) -> _Split:
    return _Split(tmp_path / "stderr")


def test_records_leave_the_text(split: _Split) -> None:
    split.splitter.feed(b'one\nWCM1 {"a":1}\ntwo\nWCM1 {"b":"\xc3\xa9"}\r\nthree\n')
    assert split.records == ['WCM1 {"a":1}', 'WCM1 {"b":"é"}']
    assert split.text() == b"one\ntwo\nthree\n"


def test_the_prefix_of_a_host_goes_with_the_record(split: _Split) -> None:
    split.splitter.feed(
        b"out [0] :: WCM1 {}\nout [0] :: WCM1 {}\nout [0] :: text\nout [1] :: WCM1 {}\n"
    )
    split.splitter.finish()
    assert (len(split.records), split.text()) == (3, b"out [0] :: text\n")


@pytest.mark.parametrize("before", [b"", b"WCM1 {}\n"], ids=["first", "later"])
def test_a_line_the_guest_has_not_ended_stays(split: _Split, before: bytes) -> None:
    """The sink writes where the guest's stderr stands, in the middle of a line, too."""
    split.splitter.feed(before + b"Input: WCM1 {}\nWCM1 {}\nno number\nBye WCM1 {}\n")
    split.splitter.finish()
    assert split.text() == b"Input: no number\nBye "


def test_the_word_alone_is_text(split: _Split) -> None:
    split.splitter.feed(b"WCM1 is a word\nWCM1\n")
    assert split.records == []
    assert split.text() == b"WCM1 is a word\nWCM1\n"


def test_a_prompt_is_shown_when_nothing_follows(split: _Split) -> None:
    split.splitter.feed(b"done\nName? ")
    assert split.text() == b"done\n"
    split.splitter.quiet()
    assert split.text() == b"done\nName? "
    split.splitter.feed(b"WCM1 {}\nnext")
    assert split.records == ["WCM1 {}"]
    split.splitter.finish()
    assert split.text() == b"done\nName? next"


def test_a_prompt_tells_nothing_about_prefixes(split: _Split) -> None:
    split.splitter.feed(b"out: WCM1 {}\nout: ")
    split.splitter.quiet()
    split.splitter.feed(b"WCM1 {}\nout: WCM1 {}\nout: text\n")
    split.splitter.finish()
    assert (len(split.records), split.text()) == (3, b"out: out: text\n")


def test_half_a_record_is_not_shown(split: _Split) -> None:
    split.splitter.feed(b'x WCM1 {"a"')
    split.splitter.quiet()
    assert split.text() == b""
    split.splitter.feed(b":1}\n")
    assert split.records == ['WCM1 {"a":1}']
    assert split.text() == b""


@pytest.mark.parametrize(
    ("end", "records", "text"),
    [(b'a\nWCM1 {"a":1}', ['WCM1 {"a":1}'], b"a\n"), (b'a\nWCM1 {"a', [], b'a\nWCM1 {"a')],
    ids=["whole", "cut"],
)
def test_the_end_without_a_line_break(
    split: _Split, end: bytes, records: list[str], text: bytes
) -> None:
    split.splitter.feed(end)
    split.splitter.finish()
    assert (split.records, split.text()) == (records, text)


def test_bytes_that_are_no_text_pass_through(split: _Split) -> None:
    data = bytes(range(256)) * 3
    split.splitter.feed(data)
    split.splitter.finish()
    assert split.text() == data


def test_a_line_without_end_is_let_go(split: _Split) -> None:
    for _ in range(17):
        split.splitter.feed(b"x" * (1 << 20))
    assert len(split.text()) == 17 << 20


def test_a_closed_stderr_does_not_stop_the_records() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    records: list[str] = []
    split = splitter(records, writer)
    split.feed(b"text\nWCM1 {}\ntext\nWCM1 {}\n")
    os.close(writer)
    assert records == ["WCM1 {}"] * 2


_PIECES = st.sampled_from(
    [b"W", b"WCM1", b"WCM1 {", b'WCM1 {"a":1}', b"\n", b"text", b"\r\n", b"}", b" ", b"\xff"]
)


@given(st.lists(_PIECES, max_size=40), st.lists(st.integers(1, 9), max_size=60))
def test_the_cuts_do_not_matter(pieces: list[bytes], sizes: list[int]) -> None:
    """Fed in pieces or at once: same records, same text, nothing lost but the record lines."""
    data = b"".join(pieces)
    outcomes = []
    for cuts in ([len(data)], sizes):
        reader, writer = os.pipe()
        records: list[str] = []
        split = splitter(records, writer)
        at = 0
        for size in [*cuts, len(data)]:
            split.feed(data[at : at + size])
            at += size
        split.finish()
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            outcomes.append((records, file.read()))
    assert outcomes[0] == outcomes[1]
    text, at = outcomes[0][1], 0
    for line in data.split(b"\n")[:-1]:
        if b"WCM1 {" not in line:
            at = text.index(line + b"\n", at) + len(line) + 1
