"""Saved logs on their way to ``report`` and ``gate``, and what is known of the weave."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.cli.common import display, read_input, say

if TYPE_CHECKING:
    from whamm_cm.trace.reader import RecordReader, Weave
    from whamm_cm.trace.records import Record


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--woven", metavar="FILE",
        help="the woven component that wrote the log: only lines with its nonce count, and packed"
        " ones are decoded with its site table",
    )  # fmt: skip


def read_logs(
    args: argparse.Namespace,
    logs: list[str],
    warn: bool = True,
    lean: bool = False,
    ended: Callable[[RecordReader], object] = lambda _: None,
) -> Iterable[Record]:
    """The records of all logs (:class:`~whamm_cm.front.logs.Logs`).  ``warn`` of what cannot be
    read; ``lean``: without the values that counting needs not; ``ended`` is told of each log when
    it is read."""
    from whamm_cm.front.logs import Log, Logs

    found = [
        Log("standard input", _standard_input(), "stdin") if name == "-" else Log(name)
        for name in logs
    ]
    return Logs(found, weave_of(args, lean), lambda text: say(args, text) if warn else None, ended)


_SPOOLED: list[BinaryIO] = []


def keep_standard_input() -> None:
    """Lets standard input be read several times, by way of a temporary file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(sys.stdin.buffer, file)
    _SPOOLED[:] = [file]


def _standard_input() -> BinaryIO:
    if not _SPOOLED:
        return sys.stdin.buffer
    _SPOOLED[0].seek(0)
    return os.fdopen(os.dup(_SPOOLED[0].fileno()), "rb")


def weave_of(args: argparse.Namespace, lean: bool = False) -> Weave:
    """What --woven says; else tables are looked for among those this machine has made."""
    from whamm_cm.trace.reader import Weave
    from whamm_cm.trace.tables import table_for

    path = getattr(args, "woven", None)
    if path is None:
        return Weave(find=table_for, lean=lean)
    from whamm_cm.analysis.stamp import woven_table

    nonce, table = woven_table(read_input(path), display(path))
    return Weave(nonce or None, table, lean=lean)
