"""Saved logs on their way to ``report`` and ``gate``, and what is known of the weave."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.cli.common import display, read_input, say
from whamm_cm.errors import InputError

if TYPE_CHECKING:
    from whamm_cm.trace.identity import Identity
    from whamm_cm.trace.reader import RecordReader, Weave
    from whamm_cm.trace.records import Record


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--woven", metavar="FILE",
        help="the woven component that wrote the log: only lines with its nonce count, and packed"
        " ones are decoded with its site table",
    )  # fmt: skip


def read_logs(
    args: argparse.Namespace, logs: list[str], warn: bool = True, lean: bool = False
) -> Iterator[Record]:
    """The records of all logs, one log after the other, as if one had written them.

    Instances are numbered over all, times have one base, and what is missing is said by records of
    phase ``lost``.  ``warn`` of what cannot be read; ``lean``: without the values that counting
    needs not.  Raises InputError for a log that cannot be opened, or that has lines and no record
    among them.
    """
    for records in _batches(args, logs, warn, lean):
        yield from records


def _batches(
    args: argparse.Namespace, logs: list[str], warn: bool, lean: bool
) -> Iterator[list[Record]]:
    from whamm_cm.trace.identity import Identity
    from whamm_cm.trace.losses import Ends

    identity, ends, weave = Identity(), Ends(), _weave(args, lean)
    found, vouched = 0, True
    for name in logs:
        with ExitStack() as stack:
            reader = _opened(stack, name, weave, _label(name) if len(logs) > 1 else "")
            for batch in reader.batches():
                records = identity.feed_all(batch)
                for part in (records,) if batch.run else [[record] for record in records]:
                    ends.feed(part)
                yield records
            if reader.malformed:
                yield [_missing(reader)]
            found += reader.records
            vouched = vouched and (weave.nonce is not None or not reader.nonces)
            if warn:
                for warning in reader.warnings():
                    say(args, warning)
    yield list(ends.finish())
    if warn:
        _say_notes(args, identity, vouched, found)


def _say_notes(args: argparse.Namespace, identity: Identity, vouched: bool, found: int) -> None:
    for note in identity.notes():
        say(args, note)
    if not vouched:
        say(args, "nobody vouches for these records: whoever could write to the log could forge"
            " them; --woven FILE takes only those of that component")  # fmt: skip
    if not found:
        say(args, "no records found")


def _missing(reader: RecordReader) -> Record:
    lost: Record = {"v": 2, "phase": "lost", "lost": reader.malformed, "why": "line"}
    return {**lost, **({"source": reader.label} if reader.label else {})}


def _label(name: str) -> str:
    return "stdin" if name == "-" else name


def _opened(stack: ExitStack, name: str, weave: Weave, label: str) -> RecordReader:
    from whamm_cm.trace.reader import RecordReader, open_log

    if name == "-":
        return RecordReader(_standard_input(), "standard input", weave, label)
    if not name:
        raise InputError("the name of the input file is empty")
    return stack.enter_context(open_log(Path(name), weave, label))


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


def _weave(args: argparse.Namespace, lean: bool) -> Weave:
    """What --woven says; else tables are looked for among those this machine has made."""
    from whamm_cm.trace.reader import Weave
    from whamm_cm.trace.tables import table_for

    path = getattr(args, "woven", None)
    if path is None:
        return Weave(find=table_for, lean=lean)
    from whamm_cm.weave.stamp import woven_table

    nonce, table = woven_table(read_input(path), display(path))
    return Weave(nonce or None, table, lean=lean)
