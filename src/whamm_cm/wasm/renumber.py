"""Renumbering index spaces: the same bytes with other indices in them.

Only the integers that change are written anew, padded as they were, so code that is not affected
stays a slice of the input and most that is keeps its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Buffer
from whamm_cm.wasm.opcodes import Imm
from whamm_cm.wasm.refs import SPACES, Form, Ref
from whamm_cm.wasm.rewrite import Maps, Moved, Shift, renumbered

#: (start, end, what to put there instead).
Edit: TypeAlias = tuple[int, int, bytes]


def splice(data: Buffer, start: int, end: int, edits: Iterable[Edit]) -> Buffer:
    """``data[start:end]`` with the edits (in order, inside of it) made; a slice without any."""
    pieces: list[Buffer] = []
    position = start
    for at, stop, new in edits:
        pieces += (data[position:at], new)
        position = stop
    if not pieces:
        return data[start:end]
    return b"".join((*pieces, data[position:end]))


class Renumbering:
    """New indices for some index spaces of one module (the keys are of ``refs.SPACES``).

    Every method reads well-formed code or raises DecodeError, also for an index that a
    :class:`Moved` does not have; positions are reported from ``offset`` under ``path``.
    """

    def __init__(
        self, maps: Mapping[Imm, Shift | Moved], *, offset: int = 0, path: str = ""
    ) -> None:
        assert maps.keys() <= SPACES
        self._maps = {space: to for space, to in maps.items() if not to.identity}
        self._known: dict[tuple[Imm, Form], dict[bytes, bytes]] = {}
        self.offset, self.path = offset, path

    @property
    def spaces(self) -> frozenset[Imm]:
        """The spaces in which something changes."""
        return frozenset(self._maps)

    def index(self, space: Imm, index: int) -> int:
        """The new index."""
        to = self._maps.get(space)
        return index if to is None else to(index)

    def edits(self, data: Buffer, refs: Iterable[Ref]) -> list[Edit]:
        """What to write at ``refs``, of which those that do not change are left out."""
        found: list[Edit] = []
        for start, end, space, form in refs:
            if space not in self._maps:
                continue
            raw = bytes(data[start:end])
            known = self._known.setdefault((space, form), {})
            new = known.get(raw)
            if new is None:
                new = known[raw] = self._rewritten(raw, space, form, start)
            if new != raw:
                found.append((start, end, new))
        return found

    def _rewritten(self, raw: bytes, space: Imm, form: Form, start: int) -> bytes:
        try:
            return form(raw, self._maps[space])
        except IndexError:
            message = f"{space.value} index is out of bounds"
            raise DecodeError(message, self.offset + start, self.path) from None

    def code(self, data: Buffer, start: int, end: int) -> Buffer:
        """Instructions (also a constant expression) renumbered; a slice if nothing changes."""
        found = None
        if self._maps:
            found = renumbered(data, start, end, self._maps, offset=self.offset, path=self.path)
        return data[start:end] if found is None else found

    @property
    def maps(self) -> Maps:
        """Those of the spaces in which something changes."""
        return self._maps
