"""Reading the documentation: pages, shown commands, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"<!-- (.*) -->")


@dataclass(frozen=True, slots=True)
class Shown:
    """One command and what is shown under it."""

    command: str
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``mark`` is the comment on the line before it."""

    page: Path
    line: int
    language: str
    mark: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def needs(self) -> str:
        """The tool without which the block cannot be run, empty for an ordinary block."""
        found = re.fullmatch(r"not run: needs (\S+)", self.mark)
        return found[1] if found else ""

    def commands(self) -> list[Shown]:
        found: list[tuple[str, list[str]]] = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return [Shown(command, tuple(output)) for command, output in found]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page."""
    opened: tuple[int, str, str] | None = None
    inside: list[str] = []
    before = ""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is not None:
            if line == "```":
                yield Block(page, *opened, tuple(inside))
                opened, inside = None, []
            else:
                inside.append(line)
        elif fence:
            mark = _MARK.fullmatch(before)
            opened = number, fence[1], mark[1] if mark else ""
        before = line
    assert opened is None, f"{page}: the block of line {opened} never ends"


def shell_blocks() -> list[Block]:
    found = [block for page in PAGES for block in blocks(page)]
    return [block for block in found if block.language in ("console", "sh", "bash", "shell")]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.S | re.M)


def rows(page: str, first: str) -> list[tuple[str, ...]]:
    """The rows of all tables of ``docs/page`` whose head starts with the cell ``first``."""
    found: list[tuple[str, ...]] = []
    wanted = False
    previous = ""
    for line in prose(ROOT / "docs" / page).splitlines():
        if not line.startswith("|"):
            wanted = False
        elif set(line) <= set("|- "):
            wanted = _cells(previous)[0] == first
        elif wanted:
            found.append(_cells(line))
        previous = line
    assert found, f"{page} has no table that starts with {first!r}"
    return found


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def code(cell: str) -> list[str]:
    """The spans in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def matches(shown: tuple[str, ...], actual: str) -> bool:
    """``…`` is any text within a line; alone on a line it is any number of lines."""
    lines = list(shown)
    while lines and not lines[-1]:
        lines.pop()
    pattern = ""
    for line in lines:
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            parts = (re.sub(r"(?:\\ )+", " +", re.escape(part)) for part in line.split("…"))
            pattern += ".*?".join(parts) + r" *\n"
    return re.fullmatch(pattern, actual) is not None
