"""Where a core module counts: in globals of its own, or in the memory of the script's state.

Globals need nothing from outside and shift nothing.  But engines take only so many of them in a
function, module or instance, and code that hands each over grows with their number.  So a module
with many counters imports the memory, where the unit finds them by itself.  All that a module
counts is in the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.kernel.layout import Part
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm import encoding, snippets
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.rewrite import Hole, Template
from whamm_cm.weave.opcodes.pushes import Pushes
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.opcodes.unit import Unit

_GET, _SET = b"\x23", b"\x24"
_LOAD, _STORE, _ADD, _ZERO = b"\x29", b"\x37", b"\x7c", b"\x41\0"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a kind of site.  ``row``: the site of its variable, None if nobody reports it;
    ``first``: the value it starts with."""

    row: int | None
    type: vt.Type
    first: int | float = 0


@dataclass(slots=True)
class Counters:
    """The counters of one module; a *spot* is the index of a global, or an address in ``memory``,
    the final index of that memory."""

    edit: ModuleEdit
    unit: Unit
    rows: Rows
    memory: int | None = None
    pushes: Pushes = field(default_factory=Pushes)

    def __len__(self) -> int:
        return len(self.rows.counted)

    def batch(
        self, info: FunctionInfo, rows: Sequence[int], pcs: Sequence[int], type: vt.Type
    ) -> int:
        """The spot of a counter that stands for several cells, which begin with zero."""
        counted = self.rows.counted
        counted.enter(info.fid, info.name)
        return self._spots(counted.add(rows, pcs), 1, [Cell(rows[0], type)])[0]

    def cells(self, info: FunctionInfo, cells: Sequence[Cell], pcs: Sequence[int]) -> list[int]:
        """The spots of cells in one function that each have a counter, at the pcs beside them."""
        reported = [cell.row for cell in cells if cell.row is not None]
        first = len(self.rows.counted)
        if reported:
            self.rows.counted.enter(info.fid, info.name)
            places = [pc for cell, pc in zip(cells, pcs, strict=True) if cell.row is not None]
            self.rows.counted.add_each(reported, places)
        return self._spots(first, len(reported), cells)

    def _spots(self, first: int, count: int, cells: Sequence[Cell]) -> list[int]:
        address = self.unit.counters(self.rows.counted_site(), first, count) if count else 0
        if self.memory is None:
            return self._globals(address, cells)
        spots = []
        for cell in cells:
            spot = self.unit.unreported() if cell.row is None else address
            address += 8 * (cell.row is not None)
            if cell.first:
                self.unit.fill(spot, cell.type, cell.first)
            spots.append(spot)
        return spots

    def _globals(self, address: int, cells: Sequence[Cell]) -> list[int]:
        kinds = [flats(cell.type)[0] for cell in cells]
        defined = [
            encoding.global_type(kind, True) + encoding.constant(kind, cell.first)
            for kind, cell in zip(kinds, cells, strict=True)
        ]
        start = self.edit.add_globals(defined)
        for number, (cell, kind) in enumerate(zip(cells, kinds, strict=True), start):
            if cell.row is not None:
                self.pushes.add(address, kind, number)
                address += 8
        return list(range(start, start + len(cells)))

    def reserve(self, cells: Sequence[Cell]) -> int:
        """The first of the spots of new counters for such cells, which are the next to be added to
        the rows' counters."""
        first, count = len(self.rows.counted), len(cells)
        address = self.unit.counters(self.rows.counted_site(), first, count)
        if self.memory is None:
            return self._globals(address, cells)[0]
        for number, cell in enumerate(cells):
            if cell.first:
                self.unit.fill(address + 8 * number, cell.type, cell.first)
        return address

    @property
    def step(self) -> int:
        """The distance of spots that were reserved together."""
        return 1 if self.memory is None else 8

    def count(self, spot: int, type: vt.Type, amount: int) -> bytes:
        """Code that adds to it; what a bool becomes is true."""
        return Template.of(self.counting(type, amount)).fill((spot,))

    def counting(self, type: vt.Type, amount: int) -> tuple[bytes | Hole, ...]:
        """The same for any spot, which is the one argument."""
        kind, spot = flats(type)[0], Hole(Part.SPOT_U32, 0)
        if self.memory is None and type == vt.BOOL:
            return snippets.i32_const(amount) + _SET, spot
        if self.memory is None:
            const, add = snippets.adding(kind)
            return _GET, spot, const + signed(amount) + add + _SET, spot
        access = b"\3" if not self.memory else b"\x43" + unsigned(self.memory)
        amount_ = snippets.i64_const(amount)
        if type == vt.BOOL:
            return _ZERO + amount_ + _STORE + access, spot
        return _ZERO + _ZERO + _LOAD + access, spot, amount_ + _ADD + _STORE + access, spot
