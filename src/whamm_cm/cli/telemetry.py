"""``--otlp``: the telemetry of what runs, or ran, to a collector."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli.common import say

if TYPE_CHECKING:
    from whamm_cm.telemetry.export import Wish


def add_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--otlp", metavar="URL",
        help="send spans, metrics and log lines to the OpenTelemetry collector there, such as"
        " http://127.0.0.1:4318, instead of showing the log (env: where OTEL_EXPORTER_OTLP_ENDPOINT"
        " says)",
    )  # fmt: skip


class Sending:
    """Takes records on their way; made by :func:`sending`."""

    def __init__(self, args: argparse.Namespace, wish: Wish) -> None:
        from whamm_cm.telemetry.export import Telemetry

        self._args = args
        self._telemetry = Telemetry(wish, lambda text: say(args, text))
        self.feed = self._telemetry.feed
        self.trapped = self._telemetry.trapped

    def finish(self) -> bool:
        """Sends what is left and says what could not be sent; whether all was."""
        for sentence in self._telemetry.finish():
            say(self._args, sentence)
        if self._args.verbose:
            say(self._args, self._telemetry.sent())
        return not self._telemetry.lost()


def sending(args: argparse.Namespace, path: str | None = None) -> Sending | None:
    """What ``--otlp`` asks for; ``path``: the component that runs, None for logs that are read.

    Raises UsageError for a bad URL, and where the exporter is not installed.
    """
    if args.otlp is None:
        return None
    from whamm_cm.telemetry.export import Wish

    if path is None:
        return Sending(args, Wish(args.otlp, patient=_are_files(args.logs)))
    return Sending(args, Wish(args.otlp, "component" if path == "-" else PurePath(path).stem))


def _are_files(logs: list[str]) -> bool:
    """Whether nobody waits for us to read these."""
    return all(_is_file(log) for log in logs)


def _is_file(log: str) -> bool:
    try:
        found = os.fstat(sys.stdin.fileno()) if log == "-" else os.stat(log)
    except (OSError, ValueError):
        return True  # reading it says what is wrong
    return stat.S_ISREG(found.st_mode)
