"""Records among other bytes, however the bytes arrive."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.run.split import LineSplitter

MARK = b"WCM2.k "


class _Split:
    """A splitter that writes to a file, with its records and events in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        self.records: list[bytes] = []
        self.splitter = LineSplitter(self.records.append, self.fd, MARK)

    def text(self) -> bytes:
        return self.path.read_bytes()


@pytest.fixture
def split(tmp_path: Path) -> _Split:
    return _Split(tmp_path / "stderr")


def test_records_leave_the_text(split: _Split) -> None:
    split.splitter.feed(b'one\nWCM2.k {"a":1}\ntwo\nWCM2.k {"b":"\xc3\xa9"}\r\nthree\n')
    assert split.records == [b'WCM2.k {"a":1}', b'WCM2.k {"b":"\xc3\xa9"}']
    assert split.text() == b"one\ntwo\nthree\n"


def test_the_prefix_of_a_host_goes_with_the_record(split: _Split) -> None:
    split.splitter.feed(
        b"out [0] :: WCM2.k {}\nout [0] :: WCM2.k {}\nout [0] :: text\nout [1] :: WCM2.k {}\n"
    )
    split.splitter.finish()
    assert (len(split.records), split.text()) == (3, b"out [0] :: text\n")


@pytest.mark.parametrize("before", [b"", b"WCM2.k {}\n"], ids=["first", "later"])
def test_a_line_the_guest_has_not_ended_stays(split: _Split, before: bytes) -> None:
    """The sink writes where the guest's stderr stands, in the middle of a line, too."""
    split.splitter.feed(before + b"Input: WCM2.k {}\nWCM2.k {}\nno number\nBye WCM2.k {}\n")
    split.splitter.finish()
    assert split.text() == b"Input: no number\nBye "


def test_the_word_alone_is_text(split: _Split) -> None:
    split.splitter.feed(b"WCM2 is a word\nWCM1\n")
    assert split.records == []
    assert split.text() == b"WCM2 is a word\nWCM1\n"


def test_a_prompt_is_shown_when_nothing_follows(split: _Split) -> None:
    split.splitter.feed(b"done\nName? ")
    assert split.text() == b"done\n"
    split.splitter.quiet()
    assert split.text() == b"done\nName? "
    split.splitter.feed(b"WCM2.k {}\nnext")
    assert split.records == [b"WCM2.k {}"]
    split.splitter.finish()
    assert split.text() == b"done\nName? next"


def test_a_prompt_tells_nothing_about_prefixes(split: _Split) -> None:
    split.splitter.feed(b"out: WCM2.k {}\nout: ")
    split.splitter.quiet()
    split.splitter.feed(b"WCM2.k {}\nout: WCM2.k {}\nout: text\n")
    split.splitter.finish()
    assert (len(split.records), split.text()) == (3, b"out: out: text\n")


def test_half_a_record_is_not_shown(split: _Split) -> None:
    split.splitter.feed(b'x WCM2.k {"a"')
    split.splitter.quiet()
    assert split.text() == b""
    split.splitter.feed(b":1}\n")
    assert split.records == [b'WCM2.k {"a":1}']
    assert split.text() == b""


@pytest.mark.parametrize(
    ("end", "records", "text"),
    [(b'a\nWCM2.k {"a":1}', [b'WCM2.k {"a":1}'], b"a\n"), (b'a\nWCM2.k {"a', [], b'a\nWCM2.k {"a')],
    ids=["whole", "cut"],
)
def test_the_end_without_a_line_break(
    split: _Split, end: bytes, records: list[bytes], text: bytes
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
    records: list[bytes] = []
    splitter = LineSplitter(records.append, writer, MARK)
    splitter.feed(b"text\nWCM2.k {}\ntext\nWCM2.k {}\n")
    os.close(writer)
    assert records == [b"WCM2.k {}"] * 2


_PIECES = st.sampled_from(
    [b"W", b"WCM2", b"WCM2.k ", b'WCM2.k {"a":1}', b"\n", b"text", b"\r\n", b"}", b" ", b"\xff"]
)


@given(st.lists(_PIECES, max_size=40), st.lists(st.integers(1, 9), max_size=60))
def test_the_cuts_do_not_matter(pieces: list[bytes], sizes: list[int]) -> None:
    """Fed in pieces or at once: same records, same text, nothing lost but the record lines."""
    data = b"".join(pieces)
    outcomes = []
    for cuts in ([len(data)], sizes):
        reader, writer = os.pipe()
        records: list[bytes] = []
        splitter = LineSplitter(records.append, writer, MARK)
        at = 0
        for size in [*cuts, len(data)]:
            splitter.feed(data[at : at + size])
            at += size
        splitter.finish()
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            outcomes.append((records, file.read()))
    assert outcomes[0] == outcomes[1]
    text, at = outcomes[0][1], 0
    for line in data.split(b"\n")[:-1]:
        if MARK not in line:
            at = text.index(line + b"\n", at) + len(line) + 1


# A host that writes its prefix and the line in two pieces.


def lines_of(pieces: list[tuple[int, bytes]], order: list[int]) -> bytes:
    """``pieces``: instance and line, each written as a prefix and a line; ``order`` interleaves
    them, an instance at a time (0 is the first that still has something to write)."""
    queues: dict[int, list[bytes]] = {}
    for instance, line in pieces:
        queues.setdefault(instance, []).extend((b"stderr [%d] :: " % instance, line))
    data = b""
    for choice in [*order, *([0] * 2 * len(pieces))]:
        waiting = [queue for queue in queues.values() if queue]
        if waiting:
            data += waiting[choice % len(waiting)].pop(0)
    return data


def record(instance: int, number: int) -> bytes:
    return b"WCM2.k %016x.%d B=.\n" % (instance, number)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"%(1)s%(2)sR2\nR1\n", b""),
        (b"%(1)s%(2)sR2\nhello\n", b"%(1)shello\n"),
        (b"%(1)s%(2)sR1\nhello\n", b"%(2)shello\n"),
        (b"%(1)s%(2)shello\nR1\n", b"%(2)shello\n"),
        (b"%(1)s%(2)shello\nR2\n", b"%(1)shello\n"),
        (b"%(1)s%(2)s%(3)sR2\nR1\nhello\n", b"%(3)shello\n"),
        (b"%(1)s%(2)shello\n%(3)sother\nR1\n", b"%(2)shello\n%(3)sother\n"),
        (b"%(1)sInput: %(2)sR2\nof one\n", b"%(1)sInput: of one\n"),
        (b"%(1)s%(2)s", b""),
        (b"%(1)s%(2)sboth\n", b"%(1)s%(2)sboth\n"),
    ],
)
def test_prefixes_torn_off_are_put_right(split: _Split, data: bytes, text: bytes) -> None:
    prefixes = {b"%d" % n: b"stderr [%d] :: " % n for n in (1, 2, 3)}
    for n in (1, 2, 3):
        split.splitter.feed(b"stderr [%d] :: " % n + record(n, 0))
        data = data.replace(b"R%d\n" % n, record(n, 1))
    split.splitter.feed(data % prefixes)
    split.splitter.finish()
    assert split.text() == text % prefixes


_LINES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([b"", b"", b"hello\n"])), max_size=40
)


@given(_LINES, st.lists(st.integers(0, 4), max_size=90), st.lists(st.integers(1, 60), max_size=30))
def test_nothing_of_ours_is_left_and_nothing_of_theirs_is_lost(
    lines: list[tuple[int, bytes]], order: list[int], sizes: list[int]
) -> None:
    """However the pieces interleave: every record, every line of the guests' with one prefix (of
    which of those that write at that moment cannot always be told)."""
    first = [(n, record(n, 0)) for n in range(1, 6)]
    pieces = [(n, text or record(n, at + 1)) for at, (n, text) in enumerate(lines)]
    data = lines_of(first, []) + lines_of(pieces, order)
    reader, writer = os.pipe()
    records: list[bytes] = []
    splitter = LineSplitter(records.append, writer, MARK)
    at = 0
    for size in [*sizes, len(data)]:
        splitter.feed(data[at : at + size])
        at += size
    splitter.finish()
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        shown = file.read().splitlines()
    assert sorted(records) == sorted(
        line.rstrip() for _, line in [*first, *pieces] if line.startswith(MARK)
    )
    texts = [n for n, text in lines if text]
    assert len(shown) == len(texts)
    assert all(re.fullmatch(rb"stderr \[\d\] :: hello", line) for line in shown)
