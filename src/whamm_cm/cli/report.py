"""``whamm-cm report``: render saved records again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from whamm_cm.cli import outputs, scripts
from whamm_cm.cli.common import progress, read_input, replacing, say
from whamm_cm.errors import InputError, UsageError

if TYPE_CHECKING:
    from whamm_cm.trace.reader import Record, RecordReader


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report",
        help="render saved records again",
        description="Render saved records again: the JSONL of `trace -o run.jsonl`, or the log of a"
        " host with WCM1 records among other text; gzip of either.",
        allow_abbrev=False,
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a file, - for standard input")
    parser.add_argument(
        "--lines", metavar="APP.wasm",
        help="show source lines in what scripts report, from the DWARF in the original APP.wasm",
    )  # fmt: skip
    outputs.add_options(parser, "standard output", "the first record")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.render.registry import renderer

    if args.both and args.output:
        raise UsageError("-C prints log and summary one after the other; leave out -o")
    names = _formats(args)
    if len(names) > 1 and "-" in args.logs:
        raise UsageError("-C reads the log twice, which standard input does not allow")
    if args.lines:
        scripts.find_lines(args, read_input(args.lines), args.lines)
    options = outputs.render_options(args)
    for position, name in enumerate(names):
        if position:
            sys.stdout.write("\n")
        chunks = renderer(name).render(read_logs(args, args.logs, warn=not position), options)
        if args.output in (None, "-"):
            for chunk in chunks:
                sys.stdout.write(chunk)
            continue
        with (
            progress(args, f"writing {args.output}"),
            replacing(args.output) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            for chunk in chunks:
                file.write(chunk)
    scripts.say_notes(args)
    return 0


def _formats(args: argparse.Namespace) -> list[str]:
    from whamm_cm.render.registry import format_for_path, renderer

    if args.format is not None:
        return [renderer(args.format).name]
    if args.summary:
        return ["summary"]
    if args.output not in (None, "-"):
        return [format_for_path(args.output)]
    return ["strace", "summary"] if args.both else ["strace"]


def read_logs(args: argparse.Namespace, logs: list[str], warn: bool = True) -> Iterator[Record]:
    """The records of all logs, one log after the other; ``warn`` of what cannot be read."""
    from whamm_cm.trace.reader import RecordReader, open_log
    from whamm_cm.trace.sources import separate

    found = 0
    for name in logs:
        with ExitStack() as stack:
            if name == "-":
                reader = RecordReader(sys.stdin.buffer, "standard input")
            elif not name:
                raise InputError("the name of the input file is empty")
            else:
                reader = stack.enter_context(open_log(Path(name)))
            yield from separate(reader)
            found += reader.records
            if warn:
                _warn(args, reader)
    if warn and not found:
        say(args, "no records found")


def _warn(args: argparse.Namespace, reader: RecordReader) -> None:
    warning = reader.warning()
    if warning is not None:
        say(args, warning)
