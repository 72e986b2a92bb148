"""Coverage as Cobertura's XML (coverage-04.dtd), which build servers read.

A folder is a package, a file is a class, a function is a method that has one line, its first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from posixpath import dirname

from whamm_cm.render.coverage import Coverage, File, covered
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
"""
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    started = 0

    def watched() -> Iterator[Record]:
        nonlocal started
        for record in records:
            started = started or record.get("wall_ns", 0)
            yield record

    coverage = covered(watched(), options)
    yield _HEAD
    yield from _document(coverage, started // 1_000_000)


def _document(coverage: Coverage, milliseconds: int) -> Iterator[str]:
    hit, valid = coverage.lines
    yield (
        f'<coverage line-rate="{_rate(hit, valid)}" branch-rate="0" lines-covered="{hit}"'
        f' lines-valid="{valid}" branches-covered="0" branches-valid="0" complexity="0"'
        f' version="whamm-cm" timestamp="{milliseconds}">\n'
        "<sources><source>.</source></sources>\n<packages>\n"
    )
    packages: dict[str, list[tuple[str, File]]] = {}
    for name, file in coverage.files.items():
        packages.setdefault(dirname(name), []).append((name, file))
    for package, files in packages.items():
        rate = _rate_of([file for _, file in files])
        yield f"<package name={_text(package or '.')} {rate}>\n<classes>\n"
        for name, file in files:
            yield from _file(name, file)
        yield "</classes>\n</package>\n"
    yield "</packages>\n</coverage>\n"


def _file(name: str, file: File) -> Iterator[str]:
    short = name[len(dirname(name)) :].lstrip("/")
    yield f"<class name={_text(short)} filename={_text(name)} {_rate_of([file])}>\n<methods>\n"
    for (line, function), count in sorted(file.functions.items()):
        rate = f'line-rate="{int(count > 0)}" branch-rate="0" complexity="0"'
        lines = f"<lines>{_line(line, count)}</lines>"
        yield f'<method name={_text(function)} signature="" {rate}>{lines}</method>\n'
    yield "</methods>\n<lines>\n"
    yield "".join(f"{_line(*each)}\n" for each in sorted(file.lines.items()))
    yield "</lines>\n</class>\n"


def _line(number: int, hits: int) -> str:
    return f'<line number="{number}" hits="{hits}" branch="false"/>'


def _rate_of(files: Sequence[File]) -> str:
    rate = _rate(sum(file.hit for file in files), sum(len(file.lines) for file in files))
    return f'line-rate="{rate}" branch-rate="0" complexity="0"'


def _rate(hit: int, valid: int) -> str:
    """From 0 to 1; of nothing, all is executed."""
    return f"{hit / valid if valid else 1:.4g}"


def _text(text: str) -> str:
    """An attribute's value, in quotes."""
    return f'"{printable(text).translate(_ESCAPED)}"'
