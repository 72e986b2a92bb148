"""``whamm-cm top``: what a running trace does now, as a table that follows it."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.cli import logs, weaving
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.cli.screen import Feed
    from whamm_cm.trace.records import Record

#: Seconds between looks at a log that may grow.
_LOOK = 0.2


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from whamm_cm.render.options import TOP_KINDS, TOP_SORTS

    parser = commands.add_parser(
        "top",
        help="show what a running trace does now",
        description="Show calls, errors, latency and bytes per second of a trace that runs, as a"
        " table that follows it: `wash host 2>&1 | whamm-cm top`, or a LOG that grows. Keys choose"
        " rows (f p r t k) and what they are sorted by (c e l b s n), space pauses, q quits.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "logs", nargs="*", metavar="LOG", help="a file that is followed, - for standard input"
    )
    parser.add_argument(
        "--by", choices=TOP_KINDS, default="function", metavar="WHAT",
        help=f"rows to begin with: {', '.join(TOP_KINDS)} (default: function)",
    )  # fmt: skip
    parser.add_argument(
        "-S", "--sort", choices=TOP_SORTS, default="calls", metavar="COL",
        help=f"sort by {', '.join(TOP_SORTS)} (default: calls)",
    )  # fmt: skip
    parser.add_argument(
        "-d", "--delay", type=_seconds, default=1.0, metavar="TIME",
        help="draw so often (default: 1s)",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=_window, default=10, metavar="TIME",
        help="what rates and latencies are of: the last 10s, or so much",
    )  # fmt: skip
    parser.add_argument(
        "--once", action="store_true",
        help="print one table of all that there is, and end: for scripts",
    )  # fmt: skip
    logs.add_options(parser)
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    found = weaving.duration(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 1s")
    return found / 1e9


def _window(text: str) -> int:
    found = round(_seconds(text))
    if not 1 <= found <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1s to 600s")
    return found


def run(args: argparse.Namespace) -> int:
    from whamm_cm.cli.screen import Feed

    if not args.logs and sys.stdin.isatty():
        raise UsageError("no log given: name one, or pipe one in (`wash host 2>&1 | whamm-cm top`)")
    names = args.logs or ["-"]
    feed = Feed(args.window)
    if args.once:
        for record in logs.read_logs(args, names):
            feed.add(record)
        feed.window.finish()
        sys.stdout.write(_table(feed, args))
        return 0
    if not sys.stdout.isatty():
        raise UsageError("top draws on a terminal; --once prints one table")
    return _follow(args, names, feed)


def _table(feed: Feed, args: argparse.Namespace) -> str:
    from whamm_cm.render.top import plain

    return plain(feed.window, args.by, args.sort)


def _follow(args: argparse.Namespace, names: list[str], feed: Feed) -> int:
    from whamm_cm.cli.screen import Left, Screen

    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(args, names, feed, stop), daemon=True)
    screen = Screen(feed, args.by, args.sort, args.delay)
    try:
        with screen:
            reader.start()
            screen.run()
    except Left as left:
        return left.status
    finally:
        stop.set()
    if feed.error is not None:
        raise feed.error
    return 0


def _read(args: argparse.Namespace, names: list[str], feed: Feed, stop: threading.Event) -> None:
    """Feeds what comes, until all logs have ended."""
    try:
        feed.live = "-" in names
        for record in _records(args, names, stop, feed):
            feed.add(record)
        feed.end(None)
    except BaseException as error:  # said when the screen is gone
        feed.end(error)


def _records(
    args: argparse.Namespace, names: list[str], stop: threading.Event, feed: Feed
) -> Iterable[Record]:
    from whamm_cm.front.logs import Log, Logs

    found = [
        Log("standard input", sys.stdin.buffer, "stdin")
        if name == "-"
        else Log(name, lines=_growing(name, stop, feed) if _grows(name, names) else None)
        for name in names
    ]
    return Logs(found, logs.weave_of(args), lambda text: None)


def _grows(name: str, names: list[str]) -> bool:
    """Only the last log can be waited for; what is compressed has ended."""
    if name != names[-1] or not os.path.isfile(name):
        return False
    with open(name, "rb") as file:
        return file.read(2) != b"\x1f\x8b"


def _growing(name: str, stop: threading.Event, feed: Feed) -> Iterator[bytes]:
    """The lines of a file as they come, until ``stop``; one that was emptied begins anew."""
    with open(name, "rb") as file:
        part, waited = b"", False
        while not stop.is_set():
            line = _line(file)
            if not line and os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)
                part = b""
                continue
            part += line
            feed.live = feed.live or bool(waited and line)
            if part.endswith(b"\n"):
                yield part
                part = b""
            elif not line:
                waited = True
                stop.wait(_LOOK)


def _line(file: BinaryIO) -> bytes:
    return file.readline(1 << 24)
