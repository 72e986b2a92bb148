"""Static data in state memory: strings, descriptors and cells, from ``STATIC`` upward."""

from __future__ import annotations

import struct

from whamm_cm.agent import layout
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.strings import utf8


class StaticArea:
    """Hands out addresses; ``segments`` is what has to lie there before anything runs."""

    def __init__(self) -> None:
        self._end = layout.STATIC
        self._known: dict[bytes, int] = {}
        self._segments: dict[int, bytes] = {}

    @property
    def end(self) -> int:
        return self._end

    @property
    def used(self) -> bool:
        return self._end > layout.STATIC

    def reserve(self, size: int) -> int:
        """Zeroed bytes, aligned to 8."""
        start = (self._end + 7) & ~7
        self._end = start + size
        return start

    def put(self, raw: bytes) -> int:
        """The address of these bytes; equal ones share it."""
        if raw not in self._known:
            self._known[raw] = self._end
            if raw:
                self._segments[self._end] = raw
            self._end += len(raw)
        return self._known[raw]

    def string(self, text: str) -> tuple[int, int]:
        raw = utf8(text)
        return self.put(raw), len(raw)

    def fill(self, address: int, type: vt.Type, value: object) -> None:
        """Give a reserved cell its first value."""
        raw = self.encode(type, value)
        if any(raw):
            self._segments[address] = raw

    def encode(self, type: vt.Type, value: object) -> bytes:
        """The leaves of a constant."""
        if isinstance(type, vt.TupleT):
            parts = zip(type.items, value, strict=True)  # type: ignore[call-overload]
            return b"".join(self.encode(item, part) for item, part in parts)
        if type == vt.STR:
            return struct.pack("<II", *self.string(str(value)))
        match flats(type)[0]:
            case "f32":
                return struct.pack("<fI", value, 0)
            case "f64":
                return struct.pack("<d", value)
        return (int(value) % (1 << 64)).to_bytes(8, "little")  # type: ignore[call-overload, no-any-return]

    def segments(self) -> list[tuple[int, bytes]]:
        """In order of address; neighbours are joined."""
        out: list[tuple[int, bytearray]] = []
        for address, raw in sorted(self._segments.items()):
            if out and 0 <= address - out[-1][0] - len(out[-1][1]) < 16:
                start, joined = out[-1]
                joined += bytes(address - start - len(joined)) + raw
            else:
                out.append((address, bytearray(raw)))
        return [(address, bytes(raw)) for address, raw in out]
