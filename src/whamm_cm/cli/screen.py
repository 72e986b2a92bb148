"""The screen of ``top``: drawn every second, and at every key."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
import time
import tty
from types import FrameType, TracebackType
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from whamm_cm.render.safe import printable
from whamm_cm.render.top import COLUMNS, rows, state
from whamm_cm.trace.records import Record
from whamm_cm.trace.window import Window

#: Keys: what there are rows of, and what these are sorted by.
KINDS = {"f": "function", "p": "peer", "r": "route", "t": "path", "k": "bucket"}
SORTS = {
    "c": "calls", "e": "errors", "l": "latency", "b": "bytes", "s": "total", "n": "name",
}  # fmt: skip
_HELP = (
    "rows: f functions  p peers  r routes  t paths  k buckets     space pauses  q quits",
    "sort: c calls  e errors  l latency  b bytes  s sum of calls  n name",
)
#: Lines around the rows.
_AROUND = 2 + len(_HELP)
_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Left(Exception):
    """A signal ends the screen, by way of what puts the terminal right."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Feed:
    """What a thread reads and another shows."""

    def __init__(self, seconds: int) -> None:
        self.window = Window(seconds)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self.heard = time.monotonic_ns()
        #: Whether it comes as it happens: where nothing comes, nothing happens.
        self.live = False

    def add(self, record: Record) -> None:
        with self.lock:
            self.heard = time.monotonic_ns()
            self.window.feed(record, self.heard)

    def end(self, error: BaseException | None) -> None:
        """No more comes."""
        with self.lock:
            self.error = error
            if error is None:
                self.window.finish()
            self.ended.set()


class Screen:
    """The whole terminal while it is entered, which is as it was afterwards, however it is left."""

    def __init__(self, feed: Feed, kind: str, sort: str, delay: float) -> None:
        self.feed, self.kind, self.sort, self.delay = feed, kind, sort, delay
        self.paused = False
        self._keys: int | None = None
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Screen:
        with contextlib.suppress(OSError, termios.error):
            self._keys = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)
        if threading.current_thread() is threading.main_thread():
            for number in _ENDS:
                self._handlers[number] = signal.signal(number, _leave)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._live.stop()
        finally:
            if self._keys is not None:
                if self._before is not None:
                    termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
                os.close(self._keys)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def run(self) -> None:
        """Until ``q``, or the log is damaged; without keys, until it has ended."""
        while True:
            if not self.paused:
                self.draw()
            key = self._key()
            if key == "q" or self.feed.error is not None:
                return
            if key:
                self._press(key)
            elif self._keys is None and self.feed.ended.is_set():
                self.draw()
                return

    def _key(self) -> str:
        """A key that is pressed before the next drawing, "" for none."""
        if self._keys is None:
            self.feed.ended.wait(self.delay)
            return ""
        ready, _, _ = select.select([self._keys], [], [], self.delay)
        data = os.read(self._keys, 64) if ready else b""
        if ready and not data:
            return "q"  # the terminal is gone
        return data.decode("ascii", "replace")[:1].lower()

    def _press(self, key: str) -> None:
        self.kind, self.sort = KINDS.get(key, self.kind), SORTS.get(key, self.sort)
        if key == " ":
            self.paused = not self.paused
        self.draw()

    def draw(self) -> None:
        self._live.update(self._shown(), refresh=True)

    def _shown(self) -> Group:
        width, height = self._console.size
        feed = self.feed
        with feed.lock:
            ended = feed.ended.is_set()
            idle = 0 if ended or not feed.live else time.monotonic_ns() - feed.heard
            found = rows(feed.window, self.kind, self.sort, False, idle)
            now = state(feed.window)
        about = f"whamm-cm top: by {self.kind}, sorted by {self.sort}"
        about += "; paused" * self.paused + "; the log has ended" * ended + f"; {now}"
        columns = " ".join(f"{name:>{wide}}" for name, wide in COLUMNS)
        lines = [
            Text(set_cell_size(about, width), style="bold"),
            Text(set_cell_size(f"{columns}  {self.kind}", width), style="reverse"),
        ]
        for row in found[: max(1, height - _AROUND)]:
            cells = zip(row.cells(), COLUMNS, strict=True)
            text = " ".join(f"{cell:>{wide}}" for cell, (_, wide) in cells) + "  "
            text += _ending(printable(row.total.key), width - len(text))
            lines.append(Text(text, style="red" if row.lately.errors else ""))
        lines += [Text(set_cell_size(line, width), style="dim") for line in _HELP]
        return Group(*(_one_line(line) for line in lines))


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "crop"
    return text


def _ending(name: str, width: int) -> str:
    """As much of the end of a name as there is room for: that tells functions of one interface
    from each other."""
    if cell_len(name) <= width:
        return name
    while name and cell_len(name) >= width:
        name = name[1:]
    return f"…{name}"


def _leave(number: int, frame: FrameType | None) -> None:
    raise Left(128 + number)
