"""``--otlp``: the telemetry of what runs, or ran, to a collector."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli.common import say

if TYPE_CHECKING:
    from whamm_cm.telemetry.export import Telemetry
    from whamm_cm.trace.records import Record
    from whamm_cm.trace.spans import Trap


def add_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--otlp", metavar="URL",
        help="send spans, metrics and log lines to the OpenTelemetry collector there, such as"
        " http://127.0.0.1:4318, instead of showing the log (env: where OTEL_EXPORTER_OTLP_ENDPOINT"
        " says)",
    )  # fmt: skip


class Sending:
    """Takes records on their way; made by :func:`sending`."""

    def __init__(self, feed: Callable[[Record], None], end: Callable[[Trap | None], bool]) -> None:
        self.feed, self._end = feed, end
        #: Why the guest will not return.
        self.trap: Trap | None = None

    def finish(self) -> bool:
        """Sends what is left, and says what could not be sent; whether all was."""
        return self._end(self.trap)


def sending(args: argparse.Namespace, path: str | None = None) -> Sending | None:
    """What ``--otlp`` asks for; ``path``: the component that runs, None for logs that are read.

    Raises UsageError for a bad URL, and where the exporter is not installed.
    """
    if args.otlp is None:
        return None
    from whamm_cm.telemetry.export import Telemetry, Wish

    if path is not None:
        from whamm_cm.telemetry.apart import Apart

        wish = Wish(args.otlp, "component" if path == "-" else PurePath(path).stem)
        apart = Apart(wish, args.quiet, args.verbose > 0)
        return Sending(apart.feed, lambda trap: apart.finish(trap, lambda text: say(args, text)))
    telemetry = Telemetry(
        Wish(args.otlp, patient=_are_files(args.logs)), lambda text: say(args, text)
    )
    return Sending(telemetry.feed, lambda _: _ended(args, telemetry))


def _ended(args: argparse.Namespace, telemetry: Telemetry) -> bool:
    for sentence in telemetry.finish():
        say(args, sentence)
    if args.verbose:
        say(args, telemetry.sent())
    return not telemetry.lost()


def _are_files(logs: list[str]) -> bool:
    """Whether nobody waits for us to read these."""
    return all(_is_file(log) for log in logs)


def _is_file(log: str) -> bool:
    try:
        found = os.fstat(sys.stdin.fileno()) if log == "-" else os.stat(log)
    except (OSError, ValueError):
        return True  # reading it says what is wrong
    return stat.S_ISREG(found.st_mode)
