"""``whamm-cm report``: render saved records again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import logs, outputs, scripts, telemetry
from whamm_cm.cli.common import progress, read_input, say
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.cli.telemetry import Sending
    from whamm_cm.trace.records import Record

#: Not all telemetry could be sent: an output that cannot be written.
_UNSENT = 2


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report",
        help="render saved records again",
        description="Render saved records again: the JSONL of `trace -o run.jsonl`, or the logs of"
        " hosts with our lines among other text, as log drivers keep them; gzip of either.",
        allow_abbrev=False,
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a file, - for standard input")
    parser.add_argument(
        "--lines", metavar="APP.wasm",
        help="show source lines in what scripts report, from the DWARF in the original APP.wasm",
    )  # fmt: skip
    scripts.add_debug(parser)
    logs.add_options(parser)
    outputs.add_options(parser, "standard output", "the first record")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.render.registry import renderer

    outputs.settle(args)
    if args.both and args.output:
        raise UsageError("-C prints log and summary one after the other; leave out -o")
    names = _formats(args)
    sending = telemetry.sending(args)
    if not names:
        assert sending is not None
        return _send(args, sending)
    if "-" in args.logs and (len(names) > 1 or args.stamps):
        logs.keep_standard_input()
    app = (args.lines, read_input(args.lines)) if args.lines else None
    finder = scripts.line_finder(True, app[1], app[0], args.debug) if app else None
    options = replace(outputs.render_options(args, finder), app=app, logs=tuple(args.logs))
    if args.output in (None, "-"):
        options = outputs.on_screen(options, sys.stdout)
    if options.stamps == "start":
        options = replace(options, base_ns=_earliest(args))
    for position, name in enumerate(names):
        if position:
            sys.stdout.write("\n")
        lean = name == "summary" and args.by == "function" and not args.percentiles
        records = logs.read_logs(args, args.logs, warn=not position, lean=lean)
        if name == "strace":
            records = _hinted(args, records)
        if sending is not None and not position:
            records = _copied(records, sending)
        chunks = renderer(name).render(records, options)
        if args.output in (None, "-"):
            outputs.put("-", chunks)
            continue
        with progress(args, f"writing {args.output}"):
            outputs.put(args.output, chunks)
    scripts.say_notes(args, finder)
    return 0 if sending is None or sending.finish() else _UNSENT


def _send(args: argparse.Namespace, sending: Sending) -> int:
    """Nothing is shown: the records only leave, while they come."""
    try:
        for record in logs.read_logs(args, args.logs):
            sending.feed(record)
    except KeyboardInterrupt:
        sending.finish()
        raise
    return 0 if sending.finish() else _UNSENT


def _copied(records: Iterable[Record], sending: Sending) -> Iterator[Record]:
    for record in records:
        sending.feed(record)
        yield record


def _hinted(args: argparse.Namespace, records: Iterable[Record]) -> Iterator[Record]:
    """The records; said behind them is that some of them have another format."""
    reports = False
    for record in records:
        reports = reports or record["phase"] == "report"
        yield record
    if reports:
        say(args, "scripts or monitors reported something, too: -f table shows it")


def _earliest(args: argparse.Namespace) -> int | None:
    """The least time of all logs: their lines come in the order of arrival."""
    times = (record.get("t_ns") for record in logs.read_logs(args, args.logs, warn=False))
    return min((time for time in times if time is not None), default=None)


def _formats(args: argparse.Namespace) -> list[str]:
    from whamm_cm.render.registry import format_for_path, renderer

    if args.format is not None:
        shown = renderer(args.format)
        if shown.binary and args.output in (None, "-") and sys.stdout.isatty():
            raise UsageError(f"-f {shown.name} is not for reading; name a file with -o")
        return [shown.name]
    if args.summary:
        return ["summary"]
    if args.output not in (None, "-"):
        return [format_for_path(args.output)]
    if args.otlp is not None and not args.both:
        return []
    return ["strace", "summary"] if args.both else ["strace"]
