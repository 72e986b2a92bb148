"""The formats by name: one file and one row per format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, nearest
from whamm_cm.render import (
    chrome,
    cobertura,
    firefox,
    flame,
    folded,
    html,
    jsonl,
    lcov,
    otlp,
    pictures,
    pprof,
    report_csv,
    report_json,
    speedscope,
    strace,
    summary,
    table,
    whamm,
)
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record


@dataclass(frozen=True, slots=True)
class Renderer:
    """``render`` yields chunks of text, or of bytes where the format is ``binary``; with
    ``streams`` it keeps no record it has shown.

    ``suffixes`` are the endings of file names that ask for the format.
    """

    name: str
    help: str
    suffixes: tuple[str, ...]
    streams: bool
    render: Callable[[Iterable[Record], RenderOptions], Iterator[str] | Iterator[bytes]]
    binary: bool = False

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
        Renderer("strace", "one line a call", (".strace", ".txt", ".log"), True, strace.render),
        Renderer("summary", "time and calls per function", (".summary",), True, summary.render),
        Renderer("jsonl", "the records, one a line", (".jsonl", ".ndjson"), True, jsonl.render),
        Renderer("chrome", "for the Perfetto UI", (".json",), False, chrome.render),
        Renderer(
            "speedscope",
            "for speedscope.app",
            (".speedscope", ".speedscope.json"),
            False,
            speedscope.render,
        ),
        Renderer(
            "firefox",
            "for profiler.firefox.com",
            (".firefox", ".firefox.json"),
            False,
            firefox.render,
        ),
        Renderer("otlp", "spans for OpenTelemetry", (".otlp.json",), False, otlp.render),
        Renderer("flame", "a flame graph for terminals", (".flame",), False, flame.render),
        Renderer("pprof", "for go tool pprof", (".pprof", ".pb.gz"), False, pprof.render, True),
        Renderer("folded", "for flame graphs", (".folded",), False, folded.render),
        Renderer("svg", "a picture", (".svg",), False, pictures.render),
        Renderer("table", "a script's variables, as tables", (".table",), False, table.render),
        Renderer(
            "json", "a script's variables, as JSON", (".report.json",), False, report_json.render
        ),
        Renderer("csv", "a script's variables, as CSV", (".csv",), False, report_csv.render),
        Renderer("html", "a page to look at", (".html", ".htm"), False, html.render),
        Renderer("whamm", "a script's variables, as whamm", (".whamm",), False, whamm.render),
        Renderer("lcov", "coverage of source lines, for genhtml", (".info",), False, lcov.render),
        Renderer(
            "cobertura", "coverage of source lines, as XML", (".xml",), False, cobertura.render
        ),
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
