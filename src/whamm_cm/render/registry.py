"""The formats by name: one file and one row per format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import PurePath

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, nearest
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record


@dataclass(frozen=True, slots=True)
class Renderer:
    """``suffixes`` are the endings of file names that ask for the format; with ``streams`` it keeps
    no record it has shown; its chunks are bytes where it is ``binary``.  ``file``: the module in
    this room that renders, if it has not the format's name.
    """

    name: str
    help: str
    suffixes: tuple[str, ...]
    streams: bool
    binary: bool = False
    file: str = ""

    def render(
        self, records: Iterable[Record], options: RenderOptions
    ) -> Iterator[str] | Iterator[bytes]:
        """Chunks.  The module is imported now: nobody pays for formats that he does not see."""
        module = import_module(f"whamm_cm.render.{self.file or self.name}")
        found: Iterator[str] | Iterator[bytes] = module.render(records, options)
        return found

    def text(self, records: Iterable[Record], options: RenderOptions) -> str:
        """All of it.  Raises UsageError for a format that is no text."""
        if self.binary:
            raise UsageError(f"{self.name} is no text; write it to a file")
        return "".join(c for c in self.render(records, options) if isinstance(c, str))

    def encoded(self, records: Iterable[Record], options: RenderOptions) -> Iterator[bytes]:
        """What a file has."""
        return map(encoded, self.render(records, options))


def encoded(chunk: str | bytes) -> bytes:
    return chunk.encode() if isinstance(chunk, str) else chunk


RENDERERS: dict[str, Renderer] = {
    renderer.name: renderer
    for renderer in (
        Renderer("strace", "one line a call", (".strace", ".txt", ".log"), True),
        Renderer("summary", "time and calls per function", (".summary",), True),
        Renderer("jsonl", "the records, one a line", (".jsonl", ".ndjson"), True),
        Renderer("chrome", "for the Perfetto UI", (".json",), False),
        Renderer("speedscope", "for speedscope.app", (".speedscope", ".speedscope.json"), False),
        Renderer("firefox", "for profiler.firefox.com", (".firefox", ".firefox.json"), False),
        Renderer("otlp", "spans for OpenTelemetry", (".otlp.json",), False),
        Renderer("flame", "a flame graph for terminals", (".flame",), False),
        Renderer("pprof", "for go tool pprof", (".pprof", ".pb.gz"), False, True),
        Renderer("folded", "for flame graphs", (".folded",), False),
        Renderer("svg", "a picture", (".svg",), False, file="pictures"),
        Renderer("table", "a script's variables, as tables", (".table",), False),
        Renderer(
            "json", "a script's variables, as JSON", (".report.json",), False, file="report_json"
        ),
        Renderer("csv", "a script's variables, as CSV", (".csv",), False, file="report_csv"),
        Renderer("html", "a page to look at", (".html", ".htm"), False),
        Renderer("whamm", "a script's variables, as whamm", (".whamm",), False),
        Renderer("lcov", "coverage of source lines, for genhtml", (".info",), False),
        Renderer("cobertura", "coverage of source lines, as XML", (".xml",), False),
    )
}


#: Formats of what scripts report, and those of them that are about source lines.
REPORTS = ("table", "json", "csv", "whamm", "lcov", "cobertura")
BY_LINE = ("lcov", "cobertura")


def renderer(name: str) -> Renderer:
    """Raises UsageError, with the nearest name, for a format that does not exist."""
    if name in RENDERERS:
        return RENDERERS[name]
    near = nearest(name, RENDERERS)
    hint = f'did you mean "{near}"?' if near else "known: " + ", ".join(RENDERERS)
    raise UsageError(f'unknown format "{name}"; {hint}')


def format_for_path(path: str | PurePath, default: str = "strace") -> str:
    """The format that a file's ending asks for; of several fitting endings the longest."""
    name = PurePath(path).name.lower()
    fitting = [
        (len(suffix), row.name)
        for row in RENDERERS.values()
        for suffix in row.suffixes
        if name.endswith(suffix)
    ]
    return max(fitting)[1] if fitting else default
