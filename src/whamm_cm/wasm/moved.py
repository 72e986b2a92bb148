"""Where code of a woven module was in the original: instruction by instruction.

Indices in moved code may have other lengths than they had, so offsets cannot be counted; but every
instruction of the original is still there, in order, with whole instructions of ours in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.rewrite import Piece


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """``original`` with the ``pieces`` that became the code of some of its defined functions, by
    index (imports not counted); the others are as they were.  ``place`` is the module's name."""

    original: CoreModule
    place: str = ""
    pieces: Mapping[int, Sequence[Piece]] = field(default_factory=dict)

    def origin(self, woven: CoreModule, index: int, offset: int) -> int | None:
        """The offset in the original of the instruction at ``offset`` of ``woven``, in its defined
        function ``index``; of code of ours, of what it stands in front of.  None for a function of
        ours, and for what is no code."""
        if not 0 <= index < len(self.original.bodies):
            return None
        steps = woven.instructions(index)
        number = next((k for k, (at, _, end) in enumerate(steps) if at <= offset < end), None)
        if number is None:
            return None
        body = self.original.bodies[index]
        data, reached = self.original.data, False
        for piece in self.pieces.get(index, ((body.code, body.end),)):
            if isinstance(piece, bytes):
                length = sum(1 for _ in scan(piece, 0, len(piece)))
                reached |= number < length
            elif reached:
                return piece[0]
            else:
                inside = [at for at, _, _ in scan(data, *piece)]
                if number < len(inside):
                    return inside[number]
                length = len(inside)
            number -= length
        return None
