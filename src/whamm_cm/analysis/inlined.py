"""Calls that a compiler put in place, from DWARF that pyelftools reads."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol, TypeAlias

from whamm_cm.analysis.entries import entries, full_name, with_origins
from whamm_cm.dataclass import dataclass

#: First address and the one after the last.
Range: TypeAlias = tuple[int, int]

_CALL, _FUNCTION = "DW_TAG_inlined_subroutine", "DW_TAG_subprogram"
_MOST_RANGES = 1_000_000


class Files(Protocol):
    """Paths by their number in a line program."""

    def __getitem__(self, number: int, /) -> str: ...


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A function whose code lies in another one's: its name as in the DWARF, which may be mangled
    (empty: it has none), and the file and line that call it (line 0: unknown)."""

    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class SourceFunction:
    """Code of a function of the source: its own, or ``inlined`` a copy of it in another one's.

    ``name`` as in the DWARF, which may be mangled (empty: it has none); ``file`` and ``line`` are
    where it is declared (line 0: unknown), ``called`` is the file and line of the call that a copy
    stands for; ``ranges`` are addresses, ``entry`` is the first to be executed as far as the DWARF
    says.
    """

    name: str
    file: str
    line: int
    entry: int
    ranges: tuple[Range, ...]
    inlined: bool
    called: tuple[str, int] = ("?", 0)

    def around(self, address: int) -> bool:
        """Whether it has code there."""
        return any(first <= address < end for first, end in self.ranges)


@dataclass(slots=True)
class InlinedCalls:
    """``units``: each compilation unit with the files of its line program.  A unit is read when an
    address in it is first asked for.  ``split``: files that units have left all but lines to."""

    info: Any
    units: list[tuple[Any, Files]]
    ranges: list[tuple[Range, ...]] = field(default_factory=list)
    known: dict[int, list[tuple[Range, Any]]] = field(default_factory=dict)
    listed: int = 0
    split: list[str] = field(default_factory=list)

    def at(self, address: int) -> tuple[InlinedCall, ...]:
        """What was put in place around ``address``, innermost first.

        Raises nearly anything for malformed sections.
        """
        if not self.ranges:
            self.ranges = [tuple(self.spans(unit.get_top_DIE())) for unit, _ in self.units]
        for number, ranges in enumerate(self.ranges):
            if not any(first <= address < end for first, end in ranges):
                continue
            if number not in self.known:
                self.known[number] = list(self._calls(self.units[number][0]))
            files = self.units[number][1]
            found = (entry for (first, end), entry in self.known[number] if first <= address < end)
            return tuple(_call(entry, files) for entry in found)[::-1]
        return ()

    def _calls(self, unit: Any) -> Iterator[tuple[Range, Any]]:
        """Every inlined call of a unit, an outer one before those in it."""
        linked = False
        for entry in entries(unit):
            if entry.tag not in (_CALL, _FUNCTION):
                continue
            ranges = list(self.spans(entry))
            if entry.tag == _CALL and linked:
                yield from ((one, entry) for one in ranges)
            elif entry.tag == _FUNCTION and ranges:
                # Linkers let what they drop begin at 0, where no function is.
                linked = ranges[0][0] > 0

    def functions(self) -> Iterator[SourceFunction]:
        """All code of functions, an outer one before those in it.

        Raises nearly anything for malformed sections.
        """
        files = {unit.cu_offset: of for unit, of in self.units}
        for unit, _ in self.units:
            linked = False
            for entry in entries(unit):
                if entry.tag not in (_CALL, _FUNCTION):
                    continue
                ranges = tuple(self.spans(entry))
                if entry.tag == _FUNCTION and ranges:
                    linked = ranges[0][0] > 0  # as above
                if not (linked and ranges):
                    continue
                first = entry.attributes.get("DW_AT_entry_pc")
                absolute = first is not None and first.form.startswith("DW_FORM_addr")
                entered = first.value if absolute else min(start for start, _ in ranges)
                inlined = entry.tag == _CALL
                called = _called(entry, files.get(unit.cu_offset)) if inlined else ("?", 0)
                yield SourceFunction(
                    full_name(entry), *_declared(entry, files), entered, ranges, inlined, called
                )

    def spans(self, entry: Any) -> Iterator[Range]:
        low, high = entry.attributes.get("DW_AT_low_pc"), entry.attributes.get("DW_AT_high_pc")
        several = entry.attributes.get("DW_AT_ranges")
        if several is not None:
            yield from self._listed(entry.cu, several.value)
        elif low is not None and high is not None:
            absolute = high.form.startswith("DW_FORM_addr")
            yield low.value, high.value if absolute else low.value + high.value

    def _listed(self, unit: Any, offset: int) -> Iterator[Range]:
        lists = self.info.range_lists()
        start = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = 0 if start is None else start.value
        for one in () if lists is None else lists.get_range_list_at_offset(offset, unit):
            self.listed += 1
            if self.listed > _MOST_RANGES:  # any number of entries may share a list
                raise ValueError("too many ranges")
            if hasattr(one, "base_address"):
                base = one.base_address
            else:
                more = 0 if one.is_absolute else base
                yield one.begin_offset + more, one.end_offset + more


def innermost(functions: Sequence[SourceFunction]) -> tuple[list[int], list[int]]:
    """Addresses in order, and the number of the innermost function from each on (-1: none).

    Of several ranges around an address the one with the highest number is the innermost.
    """
    ranges = [(span, number) for number, one in enumerate(functions) for span in one.ranges]
    waiting = sorted(ranges, reverse=True)
    starts, numbers = list[int](), list[int]()
    open_: list[tuple[int, int]] = []
    for address in sorted({address for span, _ in ranges for address in span}):
        while waiting and waiting[-1][0][0] <= address:
            (_, end), number = waiting.pop()
            heapq.heappush(open_, (-number, end))
        while open_ and open_[0][1] <= address:
            heapq.heappop(open_)
        starts.append(address)
        numbers.append(-open_[0][0] if open_ else -1)
    return starts, numbers


def _call(entry: Any, files: Files) -> InlinedCall:
    return InlinedCall(full_name(entry), *_called(entry, files))


def _called(entry: Any, files: Files | None) -> tuple[str, int]:
    """The file and line of the call that a copy stands for."""
    file, line = (entry.attributes.get(f"DW_AT_call_{what}") for what in ("file", "line"))
    return (
        "?" if file is None or files is None else files[file.value],
        0 if line is None else line.value,
    )


def _declared(entry: Any, files: Mapping[int, Files]) -> tuple[str, int]:
    """The file and line of a declaration; ``files`` by the offset of their unit."""
    file, line = "?", 0
    for one in with_origins(entry):
        if file == "?" and "DW_AT_decl_file" in one.attributes and one.cu.cu_offset in files:
            file = files[one.cu.cu_offset][one.attributes["DW_AT_decl_file"].value]
        if not line and "DW_AT_decl_line" in one.attributes:
            line = one.attributes["DW_AT_decl_line"].value
    return file, line
