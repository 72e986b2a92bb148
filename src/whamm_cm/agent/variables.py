"""The places that a script's variables have values for: cells, and counters that stand for several.

There may be hundreds of thousands, so they are columns of 32-bit words, written and read in bulk.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from whamm_cm.agent.layout import NONE
from whamm_cm.wit.types import ValType

Words: TypeAlias = "array[int]"


@dataclass(frozen=True, slots=True)
class VariableSpec:
    """One reported variable at the sites of one expanded probe in one core module.

    ``type`` is the script's own word for it (``u32``, ``map<u32, i32>``, ``hist``), ``result`` the
    WIT type of the values in its records.  ``probe`` is the rule with its number and ``module`` the
    place of the core module, both empty for a script global.
    """

    script: str
    name: str
    type: str
    result: ValType
    probe: str = ""
    module: str = ""


class Cells:
    """Columns of cells; a cell's number is its place in them.

    Appending goes on until the site table is written; rows may share one ``Cells``.  A cell that
    lies in no core function has ``NONE`` for ``fids`` and ``pcs``.
    """

    __slots__ = ("_numbers", "fids", "names", "numbers", "pcs")

    def __init__(
        self,
        fids: Words | None = None,
        pcs: Words | None = None,
        numbers: Words | None = None,
        names: list[str] | None = None,
    ) -> None:
        self.fids = array("I") if fids is None else fids
        self.pcs = array("I") if pcs is None else pcs
        #: Which of ``names`` is the function's.
        self.numbers = array("I") if numbers is None else numbers
        self.names: list[str] = [] if names is None else names
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.fids)

    def add(self, fid: int = NONE, pc: int = NONE, fname: str = "") -> int:
        """Appends a cell and returns its number."""
        self.fids.append(fid)
        self.pcs.append(pc)
        self.numbers.append(self._number(fname))
        return len(self.fids) - 1

    def add_many(self, fid: int, pcs: Sequence[int], fname: str) -> int:
        """Appends cells of one function and returns the number of the first."""
        first, count = len(self.fids), len(pcs)
        self.fids.extend([fid] * count)
        self.pcs.extend(pcs)
        self.numbers.extend([self._number(fname)] * count)
        return first

    def extend(self, fids: Iterable[int], pcs: Iterable[int], fnames: Iterable[str]) -> None:
        """Appends many, given as columns of the same length."""
        self.fids.extend(fids)
        self.pcs.extend(pcs)
        self.numbers.extend(map(self._number, fnames))

    def fname(self, cell: int) -> str:
        return self.names[self.numbers[cell]]

    def _number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


class Counters:
    """Counters that each stand for cells ``first`` … ``first + count - 1``, as when one counter
    serves a basic block; a record then carries the number of the counter."""

    __slots__ = ("counts", "firsts")

    def __init__(self) -> None:
        self.firsts = array("I")
        self.counts = array("I")

    def __len__(self) -> int:
        return len(self.firsts)

    def add(self, first: int, count: int) -> int:
        """Appends a counter and returns its number."""
        self.firsts.append(first)
        self.counts.append(count)
        return len(self.firsts) - 1

    def extend(self, firsts: Iterable[int], counts: Iterable[int]) -> range:
        """Appends many and returns their numbers."""
        begin = len(self.firsts)
        self.firsts.extend(firsts)
        self.counts.extend(counts)
        return range(begin, len(self.firsts))


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as read back: ``cells`` is None for a script global, which has one cell;
    ``counters`` are (firsts, counts), None when records carry cell numbers."""

    type: str
    size: int
    cells: Cells | None
    counters: Sequence[Words] | None

    def span(self, number: int) -> tuple[int, int] | None:
        """(first cell, count) that a record's number stands for; None if there is no such."""
        if self.counters is None:
            return (number, 1) if number < self.size else None
        firsts, counts = self.counters
        return (firsts[number], counts[number]) if number < len(firsts) else None


def variable_fault(variable: Variable) -> str:
    """Why a table's variable cannot be; "" if it can."""
    cells, counters, size = variable.cells, variable.counters, variable.size
    if cells is None and size != 1:
        return f"{size} cells without places"
    if cells is not None and size and max(cells.numbers) >= len(cells.names):
        return "a cell names an unknown function"
    if counters is not None and not min(counters[1], default=1):
        return "a counter stands for no cell"
    if counters is not None and any(map(size.__lt__, map(int.__add__, *counters))):
        return "a counter stands for cells that are not there"
    return ""


def words_of(*columns: Words) -> bytes:
    """Columns one after the other, little-endian."""
    if sys.byteorder == "little":
        return b"".join(column.tobytes() for column in columns)
    copies = [column[:] for column in columns]
    for copy in copies:
        copy.byteswap()
    return b"".join(copy.tobytes() for copy in copies)


def read_words(data: bytes, at: int, columns: int, n: int) -> list[Words]:
    """That many columns of ``n`` words each."""
    found = []
    for start in range(at, at + 4 * n * columns, 4 * n) if n else [at] * columns:
        column = array("I")
        column.frombytes(data[start : start + 4 * n])
        if sys.byteorder == "big":
            column.byteswap()
        found.append(column)
    return found
