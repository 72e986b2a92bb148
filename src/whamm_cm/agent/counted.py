"""The counters of a core module, and the places that they stand for.

A counter may stand for many places at once: where a run of instructions is counted once, for each
instruction in it, which may be a cell of another variable.  A component of a few megabytes has a
million such places, so they are columns, as narrow as their numbers allow, and pcs are told by
their steps: the distance from the cell before in the function, or from 0, folded so that small ones
of either sign are small numbers.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from functools import cache
from itertools import accumulate
from typing import TypeAlias

from whamm_cm.dataclass import dataclass

Numbers: TypeAlias = "array[int]"
#: Typecodes of columns by the bytes of a number.
_CODES = {1: "B", 2: "H", 4: "I"}
_WORD = 4


class Counted:
    """The counters of one module while it is woven; a counter's number is its place among them.

    Counters come function by function.  ``rows`` are the sites of the variables that cells belong
    to.
    """

    __slots__ = ("_numbers", "_pc", "counts", "fids", "names", "numbers", "rows", "sizes", "steps")

    def __init__(self) -> None:
        #: By function: index, number of its name among ``names``, how many counters it has.
        self.fids, self.numbers, self.sizes = array("I"), array("I"), array("I")
        #: By counter: how many cells.
        self.counts = array("I")
        #: By cell, in the order of counters: whose it is, and where.
        self.rows, self.steps = array("I"), array("I")
        self.names: list[str] = []
        self._pc = 0
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.counts)

    def enter(self, fid: int, name: str) -> None:
        """What is added from here on is in that function."""
        self._widen()
        if self.fids and self.fids[-1] == fid:
            return
        self._enter(fid, name)

    def extend(
        self,
        functions: Iterable[tuple[int, str, int]],
        counts: Numbers,
        rows: Numbers,
        steps: Numbers,
    ) -> None:
        """Appends the counters of many functions, which are given as index, name, number of
        counters; by counter how many cells, by cell its row and step,
        in as many bytes as those take."""
        for fid, name, size in functions:
            self._enter(fid, name)
            self.sizes[-1] = size
        if not self.counts:  # most often, and they are large
            self.counts, self.rows, self.steps = counts, rows, steps
            return
        self._widen()
        self.counts.extend(counts.tolist())
        self.rows.extend(rows.tolist())
        self.steps.extend(steps.tolist())

    def _widen(self) -> None:
        """Let any number be appended."""
        columns = (self.counts, self.rows, self.steps)
        if any(column.itemsize < _WORD for column in columns):
            self.counts, self.rows, self.steps = (array("I", column) for column in columns)

    def _enter(self, fid: int, name: str) -> None:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        self.fids.append(fid)
        self.numbers.append(number)
        self.sizes.append(0)
        self._pc = 0

    def add(self, rows: Sequence[int], pcs: Sequence[int]) -> int:
        """Appends a counter that stands for a cell of each row at the pc beside it; its number."""
        self.counts.append(len(rows))
        self.sizes[-1] += 1
        self._cells(rows, pcs)
        return len(self.counts) - 1

    def add_each(self, rows: Sequence[int], pcs: Sequence[int]) -> int:
        """Appends a counter for each cell; the number of the first."""
        first, count = len(self.counts), len(rows)
        self.counts.extend([1] * count)
        self.sizes[-1] += count
        self._cells(rows, pcs)
        return first

    def _cells(self, rows: Iterable[int], pcs: Iterable[int]) -> None:
        self.rows.extend(rows)
        for pc in pcs:
            step, self._pc = pc - self._pc, pc
            self.steps.append(2 * step if step >= 0 else -2 * step - 1)

    def columns(self, numbers: Sequence[int]) -> list[Numbers]:
        """As they stand in the table; ``numbers``: those that names have there."""
        known = array("I", map(numbers.__getitem__, self.numbers))
        return [self.fids, known, self.sizes, self.counts, self.rows, self.steps]


def narrow(column: Numbers) -> tuple[int, memoryview | bytearray]:
    """Bytes of a number, and the column in those, little-endian."""
    size = column.itemsize
    words = memoryview(column).cast("B")
    if size == 1:
        return 1, words
    order = range(size) if sys.byteorder == "little" else range(size - 1, -1, -1)
    width, parts = 1, [bytes(words[place::size]) for place in order]
    for place, part in enumerate(parts):
        if part.count(0) < len(part):
            width = max(width, (1, 2, 4, 4)[place])
    found = bytearray(width * len(column))
    for place in range(width):
        found[place::width] = parts[place]
    return width, found


def wide(data: bytes, width: int) -> Numbers:
    """The numbers of a column."""
    found = array(_CODES[width])
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


@cache
def _unfolded() -> tuple[int, ...]:
    return tuple(-(n + 1 >> 1) if n & 1 else n >> 1 for n in range(1 << 16))


def pcs_of(folded: Numbers, cells: Iterable[int]) -> Numbers:
    """The pcs that a column of distances means, where functions have so many ``cells``; ValueError
    where that is none."""
    if folded.itemsize > 2:
        steps = [-(n + 1 >> 1) if n & 1 else n >> 1 for n in folded]
    else:
        steps = list(map(_unfolded().__getitem__, folded))
    found, start = array("I"), 0
    try:
        for count in cells:
            found.extend(accumulate(steps[start : start + count]))
            start += count
    except OverflowError:
        raise ValueError("a pc is out of range") from None
    return found


def cells_of(sizes: Numbers, counts: Numbers) -> list[int]:
    """How many cells each function has; the columns do not contradict each other."""
    firsts = array("I", accumulate(counts, initial=0))
    ends = [firsts[end] for end in accumulate(sizes, initial=0)]
    return list(map(int.__sub__, ends[1:], ends))


@dataclass(frozen=True, slots=True)
class CountedCells:
    """The same as read back.  ``names``: those of all functions in the table."""

    fids: Numbers
    numbers: Numbers
    sizes: Numbers
    counts: Numbers
    rows: Numbers
    pcs: Numbers
    names: Sequence[str] = field(repr=False)
    #: By counter, and by function: the first of its cells, and of its counters.
    firsts: Numbers = field(init=False, repr=False, compare=False)
    starts: Numbers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "firsts", array("I", accumulate(self.counts, initial=0)))
        object.__setattr__(self, "starts", array("I", accumulate(self.sizes, initial=0)))

    def __len__(self) -> int:
        return len(self.counts)

    def place(self, counter: int) -> tuple[int, str, range]:
        """Index and name of the function a counter is in, and its cells."""
        function = bisect_right(self.starts, counter) - 1
        cells = range(self.firsts[counter], self.firsts[counter + 1])
        return self.fids[function], self.names[self.numbers[function]], cells

    def functions(self) -> Iterator[tuple[int, str, range]]:
        """Index, name and cells of each."""
        for number, fid in enumerate(self.fids):
            first, end = self.starts[number], self.starts[number + 1]
            name = self.names[self.numbers[number]]
            yield fid, name, range(self.firsts[first], self.firsts[end])


def fault_of(found: Sequence[Numbers], names: int) -> str:
    """Why columns of a table contradict each other; "" if they do not."""
    _, numbers, sizes, counts, rows, _ = found
    if sum(sizes) != len(counts) or sum(counts) != len(rows):
        return "functions, counters and cells do not match"
    if max(numbers, default=-1) >= names:
        return "a counter is in an unknown function"
    return "" if min(counts, default=1) else "a counter stands for no cell"


# --- records -------------------------------------------------------------------------------------


def unpacked(data: bytes, at: int, end: int, first: int) -> Iterator[tuple[int, int]]:
    """(counter, value) of a record's body, which is runs of counters: how many stand between, how
    many follow, and the value of each, as LEB128.  Raises ValueError for anything else."""
    counter = first
    while at < end:
        skipped, at = _leb(data, at, end)
        length, at = _leb(data, at, end)
        counter += skipped
        for number in range(counter, counter + length):
            value, at = _leb(data, at, end)
            yield number, value
        counter += length


def _leb(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise ValueError("a number is cut short")
