"""The places that a script's variables have values for, where each has a record of its own.

There may be many, so they are columns of 32-bit words, written and read in bulk.  What a core
module counts in place is described by :mod:`whamm_cm.agent.counted`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import TypeAlias

from whamm_cm.agent.layout import NONE
from whamm_cm.dataclass import dataclass
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


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as read back: ``cells`` is None for a script global, which has one cell."""

    type: str
    size: int
    cells: Cells | None


def variable_fault(variable: Variable) -> str:
    """Why a table's variable cannot be; "" if it can."""
    cells, size = variable.cells, variable.size
    if cells is None and size != 1:
        return f"{size} cells without places"
    if cells is not None and size and max(cells.numbers) >= len(cells.names):
        return "a cell names an unknown function"
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
