"""``trace --live``: a page that shows a run while it goes on."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from whamm_cm.cli.common import tell
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.render.options import RenderOptions
    from whamm_cm.trace.records import Record

#: What stands for the format, with the address in the place of a file.
NAME = "live"
_ADDRESS = "127.0.0.1:0"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--live", action="store_true",
        help="also serve a page of the run while it goes on, on this machine; its address is said",
    )  # fmt: skip
    parser.add_argument(
        "--live-at", metavar="HOST:PORT",
        help="--live there, a loopback address (default: 127.0.0.1, any port that is free)",
    )  # fmt: skip


def wanted(args: argparse.Namespace) -> list[tuple[str | None, str]]:
    """As one of the outputs of ``trace``, if it is asked for.  Raises UsageError."""
    if not (getattr(args, "live", False) or getattr(args, "live_at", None)):
        return []
    _address(args.live_at or _ADDRESS)
    return [(args.live_at or _ADDRESS, NAME)]


def _address(text: str) -> tuple[str, int]:
    from whamm_cm.front.live import loopback

    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = ("127.0.0.1", text) if text.isdigit() else (text, "0")
    if not port.isdigit() or int(port) > 0xFFFF:
        raise UsageError(f"--live-at {text}: expected HOST:PORT, such as 127.0.0.1:8090")
    return loopback(host.strip("[]")), int(port)


class Live:
    """An output that tells pages of the run.  The address is said when it listens."""

    def __init__(self, path: str, options: RenderOptions) -> None:
        from whamm_cm.front.live import LiveServer
        from whamm_cm.render.page.live import LiveRun

        self.path: str | None = path
        self._run = LiveRun(options)
        self._server = LiveServer(
            *_address(path), lambda: self._run.page, self._run.text,
            lambda: (self._run.count, self._run.ended),
        )  # fmt: skip
        #: With its token: whoever has it can look.
        self.url = self._server.url
        tell(f"the run is shown on {self.url}")

    def feed(self, record: Record) -> None:
        self._run.feed(record)

    def flush(self) -> None:
        pass

    def finish(self) -> None:
        """On a terminal the page stays until Ctrl-C; without one, pages are told the end."""
        self._run.ended = "The run is over."
        self._server.finish(_stay if sys.stderr.isatty() and sys.stdin.isatty() else None)


def _stay() -> None:
    import threading

    tell("the run is over; its page stays until Ctrl-C")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
