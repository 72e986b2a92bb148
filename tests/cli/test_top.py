"""``top``, as a script sees it, and on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.render.test_by_request import several
from tests.trace.records import Log
from whamm_cm.cli.main import main
from whamm_cm.trace import groups
from whamm_cm.trace.window import Window

MS, SECOND = 1_000_000, 1_000_000_000
_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
#: Longer than anything here takes; nothing waits for it to pass.
PATIENCE = 60


def lines(log: Log) -> str:
    return "".join(json.dumps(record) + "\n" for record in log)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "run.jsonl"
    path.write_text(lines(several()))
    return str(path)


class Terminal:
    """A process on a terminal of its own, with 100 columns."""

    def __init__(self, *args: str, stdin: int | None = None) -> None:
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            if stdin is not None:
                os.dup2(stdin, 0)
            code = "from whamm_cm.cli.main import entry; entry()"
            os.environ |= {"COLUMNS": "100", "LINES": "24", "TERM": "xterm"}
            os.execv(sys.executable, [sys.executable, "-c", code, "top", *args])
        self.before = termios.tcgetattr(self.fd)

    def until(self, *texts: str) -> str:
        """Read until all of these have been drawn since the last call; all that was."""
        end = time.monotonic() + PATIENCE
        got = b""
        while True:
            plain = _CODES.sub(b"", got).decode("utf-8", "replace")
            if all(text in plain for text in texts):
                return plain
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{texts} did not come: {plain}"
            got += self._read()

    def _read(self) -> bytes:
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # as Linux says that the other side is closed
            data = b""
        assert data, f"it has ended: {self.seen!r}"
        self.seen += data
        return data

    def press(self, key: str) -> None:
        os.write(self.fd, key.encode())

    def ended(self) -> int:
        """Its status; the terminal is as it was."""
        with contextlib.suppress(AssertionError):
            while True:
                self._read()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        terminal.close()


def test_keys_choose_rows_and_their_order(saved: str, terminals: list[Terminal]) -> None:
    top = Terminal(saved, "-d", "100ms")
    terminals.append(top)
    top.until("by function, sorted by calls", "wasi:logging/logging#log", "n name")
    top.press("p")
    top.until("by peer", "api.test:443")
    top.press("r")
    top.until("by route", "GET /users/{n}")
    top.press("l")
    drawn = top.until("by route, sorted by latency") + top.until("n name") + top.until("n name")
    assert re.search(r"sorted by latency.*GET /slow.*GET /users/\{n\}", drawn, re.DOTALL)
    top.press(" ")
    top.until("paused")
    top.press("q")
    assert top.ended() == 0
    assert ENTER in top.seen and top.seen.rindex(LEAVE) > top.seen.rindex(ENTER)


def test_a_log_that_grows_is_followed(tmp_path: Path, terminals: list[Terminal]) -> None:
    path = tmp_path / "run.jsonl"
    log = several()
    path.write_text(lines(Log(records=log.records[:10])))
    top = Terminal(str(path), "-d", "100ms", "--by", "route")
    terminals.append(top)
    top.until("10 records", "1 request under way")
    with path.open("a") as file:
        file.write(lines(Log(records=log.records[10:])))
    top.until(f"{len(log.records)} records", "GET /slow")
    top.press("q")
    assert top.ended() == 0


def test_a_log_that_is_begun_anew_is_followed(tmp_path: Path, terminals: list[Terminal]) -> None:
    """``trace`` was ended, and started again with the same file."""
    path = tmp_path / "run.jsonl"
    log = several()
    path.write_text(lines(log) * 2)
    top = Terminal(str(path), "-d", "100ms")
    terminals.append(top)
    top.until(f"{2 * len(log.records)} records")
    again = Log()
    again.call("a:b/c#after", 1)
    path.write_text(lines(again))
    top.until(f"{2 * len(log.records) + len(again.records)} records")
    top.press("q")
    assert top.ended() == 0


def test_a_pipe_is_shown_and_keys_come_from_the_terminal(terminals: list[Terminal]) -> None:
    out, into = os.pipe()
    top = Terminal("-d", "100ms", stdin=out)
    terminals.append(top)
    os.close(out)
    with open(into, "w") as pipe:
        pipe.write("a host says something\n" + lines(several()))
        pipe.flush()
        top.until("wasi:logging/logging#log")
        top.press("r")
        top.until("by route", "GET /slow")
    top.until("the log has ended")
    top.press("q")
    assert top.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_put_right(number: int, saved: str, terminals: list[Terminal]) -> None:
    top = Terminal(saved)
    terminals.append(top)
    top.until("wasi:logging/logging#log")
    assert termios.tcgetattr(top.fd)[3] != top.before[3]  # keys come at once, and do not show
    if number == signal.SIGINT:
        top.press("\x03")
    else:
        os.kill(top.pid, number)
    while LEAVE not in top.seen:
        top._read()
    status = top.ended()
    assert status == 128 + number
    assert top.seen.rindex(LEAVE) > top.seen.rindex(ENTER)


def test_a_damaged_log_ends_it_with_a_sentence(tmp_path: Path, terminals: list[Terminal]) -> None:
    path = tmp_path / "run.jsonl.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00 no")
    top = Terminal(str(path))
    terminals.append(top)
    assert top.ended() == 3
    assert b"damaged gzip data" in top.seen
    assert top.seen.rindex(b"damaged") > top.seen.rindex(LEAVE)


def test_once_is_one_plain_table(saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--by", "route", "-S", "latency", saved]) == 0
    head, slow, users, state = capsys.readouterr().out.splitlines()
    assert head.split() == ["calls/s", "err/s", "p95", "bytes/s", "calls", "errors", "route"]
    assert slow.split()[-4:] == ["1", "1", "GET", "/slow"]
    assert users.split()[-3:] == ["3", "GET", "/users/{n}"]
    assert state.startswith("2 instances, ")


def test_paths_and_buckets_have_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.call("wasi:filesystem/preopens#get-directories", [[3, "/data"], [4, "/tmp"]])
    file = {"path-flags": [], "path": "a", "open-flags": [], "flags": []}
    log.call("wasi:filesystem/types#descriptor.open-at", {"ok": 5}, 4, **file)
    log.call("wasi:filesystem/types#descriptor.read-via-stream", {"ok": 6}, 5, offset=0)
    log.call("wasi:io/streams#input-stream.blocking-read", {"ok": {"~b64": "aGVsbG8="}}, 6, len=9)
    store = "wasi:keyvalue/store#"
    log.call(store + "open", {"ok": 1}, identifier="sessions")
    log.call(store + "bucket.get", {"ok": {"~b64": "aGVsbG8="}}, 1, key="k")
    log.call(store + "bucket.set", {"error": {"other": "full"}}, 1, key="k", value={"~b64": "aA=="})
    path = tmp_path / "run.jsonl"
    path.write_text(lines(log))
    for by, expected in (
        ("path", [["2", "/tmp/a"], ["1", "/tmp"]]),
        ("bucket", [["2", "1", "sessions"]]),
    ):
        assert main(["top", "--once", "--by", by, "-S", "total", str(path)]) == 0
        rows = capsys.readouterr().out.splitlines()[1:-1]
        assert [row.split()[-len(want) :] for row, want in zip(rows, expected, strict=True)] == (
            expected
        )


def test_hostile_names_act_on_no_terminal(
    tmp_path: Path, terminals: list[Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    for name in ("a:b/c#\x1b]0;x\x07", "a:b/c#[red]bold[/red]", "a:b/c#\u202e"):
        log.call(name, 1)
    path = tmp_path / "run.jsonl"
    path.write_text(lines(log))
    assert main(["top", "--once", str(path)]) == 0
    once = capsys.readouterr().out
    top = Terminal(str(path), "-d", "100ms")
    terminals.append(top)
    drawn = top.until("a:b/c#[red]bold[/red]", "n name")
    for text in (once, drawn):
        assert "\x1b" not in text and "\u202e" not in text
        assert "a:b/c#\\u{1b}]0;x\\u{7}" in text and "[red]bold[/red]" in text
    assert b"\x1b]0;x" not in top.seen
    top.press("q")
    assert top.ended() == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["x.jsonl"], "--once prints one table"),
        (["--once", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--by", "colour", "x"], "invalid choice"),
        (["-d", "0", "x"], "is not a time such as 1s"),
        (["--window", "1000s", "x"], "from 1s to 600s"),
    ],
)
def test_bad_input(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *args]) in (2, 3)
    assert said in capsys.readouterr().err


def test_rates_are_of_the_last_seconds() -> None:
    window = Window(10)
    log = Log(now=0)
    for second in range(60):
        log.now = second * SECOND
        for _ in range(1 + 9 * (second >= 50)):
            log.call("a:b/c#d", {"error": None} if second >= 55 else {"ok": None})
    for record in log:
        window.feed(record, 0)
    lately, seconds = window.lately("function")
    row = lately.rows["a:b/c#d"]
    assert row.calls == 100 and 9 <= seconds <= 10
    assert row.errors == 50
    assert window.totals["function"].rows["a:b/c#d"].calls == 150
    assert len(window._lately) <= 11
    nothing, _ = window.lately("function", idle_ns=20 * SECOND)
    assert nothing.rows == {}


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_ROWS", 5)
    window = Window(2)
    for number in range(50):
        log = Log(now=number * SECOND)
        log.call(f"a:b/c#f{number}", 1)
        for record in log:
            window.feed(record, 0)
    assert len(window.totals["function"].rows) == 6
    assert window.totals["function"].rows[groups.OTHERS].calls == 45
    assert len(window._lately) <= 3
