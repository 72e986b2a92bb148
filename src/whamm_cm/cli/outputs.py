"""Where records go while they arrive: a renderer fed record by record, on stderr or into a file."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TextIO

from whamm_cm.cli import live, telemetry
from whamm_cm.errors import UsageError
from whamm_cm.files import check_place, replacing

if TYPE_CHECKING:
    from whamm_cm.analysis.lines import LineFinder
    from whamm_cm.render.options import RenderOptions
    from whamm_cm.trace.records import Record


class Output(Protocol):
    """A consumer of records; ``finish`` is called once, also after an interruption.  ``path`` is
    where the text goes, None for stderr."""

    path: str | None

    def feed(self, record: Record) -> None: ...

    def flush(self) -> None: ...

    def finish(self) -> None: ...


#: How long a call is held for its return to stand in the same line.
HELD_SECONDS = 0.1


class Lines:
    """Formats whose text grows with every record: strace and jsonl.

    A call whose return takes longer than :data:`HELD_SECONDS` is shown without it: whoever looks at
    the log of a program that hangs wants to see in what.
    """

    def __init__(self, path: str | None, name: str, options: RenderOptions) -> None:
        from whamm_cm.render.jsonl import live as json_lines
        from whamm_cm.render.strace import live

        self.path = path
        self._file: TextIO | None = None
        self._strace = live(options) if name == "strace" else None
        self._line = json_lines()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._watch: threading.Thread | None = None

    def begin(self) -> None:
        """The file is there from now on, for who wants to follow it."""
        with self._lock:
            self._stream()

    def feed(self, record: Record) -> None:
        with self._lock:
            text = self._strace.feed(record) if self._strace is not None else self._line(record)
            if text:
                self._stream().write(text)
        if self._watch is None and self._strace is not None:
            self._watch = threading.Thread(target=self._look, name="held calls", daemon=True)
            self._watch.start()

    def _look(self) -> None:
        """Shows each call that is held from one look to the next."""
        assert self._strace is not None
        before = None
        while not self._done.wait(HELD_SECONDS):
            with self._lock, suppress(OSError):  # the next record or the end says it
                held = self._strace.holds
                if held is not None and held is before and not self._done.is_set():
                    self._stream().write(self._strace.flush())
                    self._stream().flush()
                before = held

    def flush(self) -> None:
        """What there is can be read now, and is there whatever becomes of us."""
        with self._lock:
            if self._file is not None:
                self._file.flush()

    def finish(self) -> None:
        self._done.set()
        if self._watch is not None:
            self._watch.join()
        stream = self._stream()
        if self._strace is not None:
            stream.write(self._strace.finish())
        stream.flush()
        if self._file is not None:
            self._file.close()

    def _stream(self) -> TextIO:
        """The file is opened with the first line: an earlier log outlives a run that never is."""
        if self.path is None:
            return sys.stderr
        if self._file is None:
            try:
                self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise UsageError(
                    f"{self.path} cannot be written: {error.strerror or error}"
                ) from None
        return self._file


class _AtTheEnd:
    """An output that is written when all is known."""

    def flush(self) -> None:
        pass


class Table(_AtTheEnd):
    """The ``-c`` summary, printed at the end."""

    def __init__(self, path: str | None, options: RenderOptions) -> None:
        from whamm_cm.trace.summary import Summary

        self.path, self._options = path, options
        self._summary = Summary(options.per_instance, options.percentiles)

    def feed(self, record: Record) -> None:
        self._summary.feed(record)

    def finish(self) -> None:
        from whamm_cm.render.summary import table

        self._summary.finish()
        put(self.path, [table(self._summary, self._options)])


class GroupedTable(_AtTheEnd):
    """The summary by peer or route, at the end."""

    def __init__(self, path: str | None, options: RenderOptions) -> None:
        from whamm_cm.trace.groups import Grouped

        self.path, self._options, self._grouped = path, options, Grouped(options.by)

    def feed(self, record: Record) -> None:
        self._grouped.feed(record)

    def finish(self) -> None:
        from whamm_cm.render.grouped import table

        self._grouped.finish()
        put(self.path, [table(self._grouped, self._options)])


class Collected(_AtTheEnd):
    """Formats that need the whole session."""

    def __init__(self, path: str | None, name: str, options: RenderOptions) -> None:
        self._records: list[Record] = []
        self.path, self._name, self._options = path, name, options

    def feed(self, record: Record) -> None:
        self._records.append(record)

    def finish(self) -> None:
        from whamm_cm.render.registry import renderer

        put(self.path, renderer(self._name).render(self._records, self._options))


def put(path: str | None, chunks: Iterable[str] | Iterable[bytes]) -> None:
    """Write all of it: to stderr for None, to a file that appears only when it is complete; to
    standard output for "-"."""
    if path in (None, "-"):
        stream = sys.stdout if path else sys.stderr
        for chunk in chunks:
            if isinstance(chunk, str):
                stream.write(chunk)
            else:
                stream.buffer.write(chunk)
        stream.flush()
        return
    assert path is not None
    from whamm_cm.render.registry import encoded

    with replacing(path) as temporary, open(temporary, "wb") as file:
        for chunk in chunks:
            file.write(encoded(chunk))


def open_output(path: str | None, name: str, options: RenderOptions) -> Output:
    """The output for format ``name``; ``path`` None is stderr.

    A streaming format goes into its file as the records come, as strace's does, so that it can be
    followed; raises UsageError when there can be no such file.
    """
    if name == live.NAME and path is not None:
        return live.Live(path, options)
    if path not in (None, "-"):
        check_place(path)
    options = on_screen(options, sys.stderr) if path is None else options
    if name == "summary":
        return (Table if options.by == "function" else GroupedTable)(path, options)
    kind = Lines if name in ("strace", "jsonl") else Collected
    return kind(path, name, options)


class _WidthOrScript(argparse.Action):
    """``-s N`` is strace's, ``-s FILE`` whamm's."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        text = str(values)
        if text.isdigit():
            namespace.width = int(text)
        else:
            namespace.script = [*namespace.script, text]


def add_options(
    parser: argparse.ArgumentParser, instead: str, start: str, scripts: bool = False
) -> None:
    """The display options that ``trace`` and ``report`` share, named as strace names them.

    ``instead``: where the text goes without ``-o``; ``start``: what ``-t`` counts from;
    ``scripts``: ``-s`` may name a script, too.
    """
    group = parser.add_argument_group("display")
    group.add_argument(
        "-f", "--format", metavar="FMT",
        help="strace, summary, jsonl, chrome, speedscope, firefox, otlp, flame, pprof,"
        " folded, svg, table, json, csv, html, whamm, lcov or cobertura (default: strace)",
    )  # fmt: skip
    group.add_argument(
        "-o", "--output", metavar="FILE",
        help=f"write to FILE instead of {instead}; its ending says the format if -f does not",
    )  # fmt: skip
    group.add_argument(
        "--picture", metavar="WHAT",
        help="what -f svg draws: flame, timeline or topology (default: as the name of FILE ends,"
        " such as topology.svg)",
    )  # fmt: skip
    _add_looks(group, start)
    group.add_argument(
        "--per-instance", action="store_true",
        help="counts and what scripts report for each component instance (default: summed up)",
    )  # fmt: skip
    telemetry.add_option(group)
    if scripts:
        parser.set_defaults(width=32, script=[])
        group.add_argument(
            "-s", action=_WidthOrScript, dest="script", metavar="N|FILE.mm",
            help="a number: characters to show of each string (default: 32); a file: weave the"
            " probes of this script (repeatable)",
        )  # fmt: skip
    else:
        group.add_argument(
            "-s", dest="width", type=int, default=32, metavar="N",
            help="characters to show of each string (default: 32)",
        )  # fmt: skip


def _add_looks(group: argparse._ArgumentGroup, start: str) -> None:
    """The summary, and what is shown of each call."""
    group.add_argument(
        "-c", dest="summary", action="store_true", help="the summary instead of the log"
    )
    group.add_argument("-C", dest="both", action="store_true", help="the log and the summary")
    _add_grouping(group)
    for letter, name, text in (
        ("-T", "durations", "show the time spent in each call"),
        ("-t", "stamps", f"show seconds since {start}"),
        ("-r", "deltas", "show seconds since the line before"),
        ("-y", "names", "say what handles stand for: paths, addresses, URLs and so on"),
    ):
        group.add_argument(letter, dest=name, action="store_true", help=text)


def _add_grouping(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-S", dest="sort", default="time", metavar="COL",
        help="sort the summary by time, calls, errors, avg-time, max-time, wall-time, wait-time or"
        " name (default: time)",
    )  # fmt: skip
    group.add_argument(
        "--by", default="function", metavar="WHAT",
        help="rows of the summary: function, peer (hosts it talked to) or route (what was asked of"
        " it); or request: the log, put together by request; or line: what scripts count, by the"
        " lines of the source",
    )  # fmt: skip
    group.add_argument(
        "--percentiles", action="store_true",
        help="p50, p95 and p99 in the summary by function (the others have them always)",
    )  # fmt: skip
    group.add_argument(
        "--slow", type=_time, default=0, metavar="TIME",
        help="the log of requests that took at least so long, such as 50ms; --by request",
    )  # fmt: skip


def _time(text: str) -> int:
    """Nanoseconds."""
    from whamm_cm.cli.weaving import duration

    found = duration(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 50ms")
    return found


def settle(args: argparse.Namespace) -> None:
    """What the display options mean together, before any of them is looked at.  Raises UsageError
    for what does not go together."""
    from whamm_cm.render.options import BY

    if args.by not in BY:
        raise UsageError(f"--by {args.by}: expected one of {', '.join(BY)}")
    _settle_picture(args)
    _settle_lines(args)
    if args.slow and args.by == "function":
        args.by = "request"
    if args.slow and args.by != "request":
        raise UsageError(f"--slow is of the log by request, --by {args.by} of the summary")
    if args.by in ("request", "line") or args.by == "function" and not args.percentiles:
        if args.by == "request" and (args.summary or args.format not in (None, "strace")):
            raise UsageError("--by request puts the log together; leave out -c and -f")
        return
    if args.format not in (None, "summary"):
        raise UsageError(f"--by {args.by} and --percentiles are of the summary, -f is another")
    if args.percentiles and args.by != "function":
        raise UsageError(f"--by {args.by} has percentiles always; leave out --percentiles")
    if args.per_instance and args.by != "function":
        raise UsageError(f"--per-instance is for --by function, not --by {args.by}")
    args.summary = args.summary or not args.both


def _settle_picture(args: argparse.Namespace) -> None:
    """``--picture`` means ``-f svg``."""
    if args.picture is None:
        return
    if args.format is None and not (args.summary or args.both):
        args.format = "svg"
    if args.format != "svg":
        raise UsageError("--picture is of -f svg; leave out -c, -C and any other -f")


def _settle_lines(args: argparse.Namespace) -> None:
    """Formats of source lines need them: those of what is woven here, or of what ``--lines`` of
    ``report`` names."""
    from whamm_cm.render.registry import BY_LINE, format_for_path

    name = args.format or (format_for_path(args.output) if args.output else "")
    if args.by == "line":
        if args.summary or args.both or args.format not in (None, "table"):
            raise UsageError("--by line is of scripts' tables (-f table); leave out -c, -C and -f")
        if args.per_instance or args.percentiles or args.slow:
            raise UsageError("--by line adds up what instances count, whatever time it takes")
        args.format, name = "table", "--by line"
    elif name not in BY_LINE or args.summary and args.format is None:
        return
    if args.lines is None:
        raise UsageError(f"{name} needs source lines; add --lines and the original component")
    args.lines = args.lines or True


def render_options(args: argparse.Namespace, lines: LineFinder | None) -> RenderOptions:
    from whamm_cm.render.options import SORTS, RenderOptions

    if args.sort not in SORTS:
        raise UsageError(f'cannot sort by "{args.sort}"; known: {", ".join(SORTS)}')
    if args.width < 0:
        raise UsageError(f"-s {args.width}: expected a number of characters")
    picture = ""
    if args.format == "svg" or str(args.output).lower().endswith(".svg"):
        from whamm_cm.render.pictures import picture_of

        picture = picture_of(args.picture, args.output)
    stamps = "delta" if args.deltas else "start" if args.stamps else "none"
    return RenderOptions(
        stamps=stamps,  # type: ignore[arg-type]
        durations=args.durations,
        names=args.names,
        max_string=args.width,
        sort=args.sort,
        lines=lines,
        per_instance=args.per_instance,
        each=args.verbose > 0,
        by=args.by,
        slow_ns=args.slow,
        percentiles=args.percentiles,
        picture=picture,
    )


def on_screen(options: RenderOptions, stream: TextIO) -> RenderOptions:
    """The same with the width of ``stream``, if it is a terminal, and its colours, unless
    ``NO_COLOR`` says that nobody wants any."""
    if not stream.isatty():
        return options
    try:
        width = os.get_terminal_size(stream.fileno()).columns or options.width
    except OSError:  # some windows do not say
        width = options.width
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return replace(options, width=width, colour=not plain)


def formats(args: argparse.Namespace, reports: bool) -> list[tuple[str | None, str]]:
    """(path, format) of each output the options ask for; ``reports``: scripts report something."""
    if args.html == "-":
        raise UsageError("--html writes a file; name one")
    page = [] if args.html is None else [(args.html, "html")]
    return [*_formats(args, reports), *page, *live.wanted(args)]


def _formats(args: argparse.Namespace, reports: bool) -> list[tuple[str | None, str]]:
    from whamm_cm.render.registry import BY_LINE, format_for_path, renderer

    if args.compat is not None:
        return [(args.output or "-", args.compat)]
    if args.format is not None:
        renderer(args.format)
    if args.output == "-":
        raise UsageError("standard output is the guest's; name a file with -o")
    if args.format is not None and args.output is None and renderer(args.format).binary:
        raise UsageError(f"-f {args.format} is not for reading; name a file with -o")
    if args.summary:
        if args.format not in (None, "summary"):
            raise UsageError(
                f"-c shows the summary instead of the log, -f {args.format} something else; take"
                " one of them, or -C for both"
            )
        return [(args.output, "summary"), *([(None, "table")] if reports else [])]
    if args.otlp is not None and not (args.format or args.output or args.both):
        return [(None, "table")] if reports else []
    name = args.format or (format_for_path(args.output) if args.output else "strace")
    if (name in BY_LINE or args.by == "line") and not reports:
        from whamm_cm.render.coverage import NOTHING

        raise UsageError(f"{name if name in BY_LINE else '--by line'}: {NOTHING}")
    result: list[tuple[str | None, str]] = [(args.output, name)]
    if reports and name == "strace":
        result.append((None, "table"))
    if args.both:
        result.append((None, "summary"))
    return result
