"""The memory that a player begins with, put together entry by entry."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from whamm_cm.abi.layout import align_to
from whamm_cm.abi.regions import Handled, Owned, Region
from whamm_cm.emit.play.base import memory_of
from whamm_cm.emit.play.ends import BUFFER, END_SIZE
from whamm_cm.emit.play.layout import (
    ANSWER_CELLS,
    BEGIN,
    CALLED_SIZE,
    COUNT,
    MADE_SIZE,
    Label,
    Op,
)
from whamm_cm.errors import RunError
from whamm_cm.wasm.asm import Module
from whamm_cm.wit.types import Resource

#: Bytes that a recording may have as data: an engine takes no module of 1 GiB.
MOST = 1 << 29
#: Address, kind of resource, number.
Handle: TypeAlias = tuple[int, int, int]
#: Two words, see :mod:`whamm_cm.emit.play.ends`.
Piece: TypeAlias = tuple[int, int]
_NANS = (b"\0\0\xc0\x7f", b"\0\0\0\0\0\0\xf8\x7f")


class Data:
    """``kind``: the number of a resource type.  What is there already is not written twice."""

    def __init__(self, kind: Callable[[Handled], int]) -> None:
        self._kind, self._raw = kind, bytearray(BEGIN)
        self._known: dict[tuple[int, bytes], int] = {}
        self._entries: list[tuple[int, ...]] = []
        self._ends: list[tuple[int, int]] = []

    def made(self, function: int, number: int, args: Region, stars: bool, answer: int) -> None:
        """A call that the guest made; ``answer``: of :meth:`answer`, or a label."""
        self._entries.append((function, number, self.script(args, stars), answer))

    def called(self, export: int, number: int, args: int, script: int, made: int) -> None:
        """A call of an export; ``script`` 0: it does not return."""
        self._entries.append((export, number, args, script, made, 0))

    def answer(self, row: Region) -> int:
        """A row of cells to pass on, and the handles to make before."""
        handles: list[Handle] = []
        raw, own = self._bytes(row, handles)
        if not own and not handles:
            return self._add(struct.pack("<II", 0, 0) + raw, 8)
        where = self._room(ANSWER_CELLS + len(raw), 8)
        self._write(where + ANSWER_CELLS, raw, own, handles)
        listed = self._words(part for handle in handles for part in handle)
        struct.pack_into("<II", self._raw, where, len(handles), listed)
        return where

    def given(self, elements: Region, count: int) -> Piece:
        """A piece of what is written to the guest."""
        return self.answer(Region(8, 8, [(0, elements)])), count

    def taken(self, elements: Region, count: int, stars: bool) -> Piece:
        """A piece of what the guest has to write."""
        return self.script(elements, stars), count

    def end(self, step: int, pieces: Sequence[Piece], drops: bool, number: int, room: int) -> int:
        """A stream or future, which is the number of what passes it; ``room``: bytes of the largest
        piece that is taken."""
        listed = self._words(part for piece in pieces for part in piece)
        where = self._room(END_SIZE, 4)
        words = (0, step, listed, len(pieces), 0, 0, drops, number, 0, 0)
        struct.pack_into("<10I", self._raw, where, *words)
        self._ends.append((where, room))
        return where

    def script(self, row: Region, stars: bool) -> int:
        return self._words(self._compared(row, Op.STARS if stars else Op.SAME))

    def module(self, last: int, how: Label) -> bytes:
        """A core module that exports the memory.  ``last``: the number of the call behind all that
        are recorded; ``how``: what is said of it.  Raises RunError where it is too much."""
        size = MADE_SIZE if not self._entries or len(self._entries[0]) == 4 else CALLED_SIZE
        table = self._room(size * len(self._entries), 8)
        for number, entry in enumerate(self._entries):
            struct.pack_into(f"<{len(entry)}I", self._raw, table + number * size, *entry)
        ends = self._words(where for where, _ in self._ends)
        heap = align_to(len(self._raw), 16)
        for where, room in self._ends:
            struct.pack_into("<I", self._raw, where + BUFFER, heap)
            heap = align_to(heap + room, 16)
        if heap > MOST:
            raise RunError(
                f"the recording is too large for a component: {heap >> 20} MiB of values, and"
                f" engines take {MOST >> 20}; `whamm-cm replay` without --compose plays it"
            )
        known = (len(self._entries), table, heap, last, how, ends, len(self._ends))
        struct.pack_into("<7I", self._raw, COUNT, *known)
        module = Module()
        module.export_memory("memory", module.memory(memory_of(heap)))
        module.data(0, 0, bytes(self._raw))
        return module.encode()

    def _room(self, size: int, align: int) -> int:
        where = align_to(len(self._raw), align)
        self._raw.extend(bytes(where + size - len(self._raw)))
        return where

    def _add(self, raw: bytes, align: int) -> int:
        known = self._known.get((align, raw))
        if known is not None:
            return known
        where = self._room(len(raw), align)
        self._raw[where:] = raw
        self._known[align, raw] = where
        return where

    def _words(self, words: Iterable[int]) -> int:
        raw = b"".join(word.to_bytes(4, "little") for word in words)
        return self._add(raw, 4)

    def _place(self, region: Region, handles: list[Handle]) -> int:
        """A region with all that it points to; its address."""
        raw, own = self._bytes(region, handles)
        if not own:
            return self._add(bytes(raw), region.align)
        where = self._room(len(raw), region.align)
        self._write(where, raw, own, handles)
        return where

    def _bytes(
        self, region: Region, handles: list[Handle]
    ) -> tuple[bytearray, list[tuple[int, Owned]]]:
        """What a region has, but for the handles in it, which are at those offsets."""
        raw, own = bytearray(region.size), list[tuple[int, Owned]]()
        for at, content in region.writes:
            if isinstance(content, Owned):
                own.append((at, content))
                continue
            if isinstance(content, Region):
                content = self._place(content, handles).to_bytes(4, "little")
            raw[at : at + len(content)] = content
        return raw, own

    def _write(
        self, where: int, raw: bytearray, own: list[tuple[int, Owned]], handles: list[Handle]
    ) -> None:
        self._raw[where : where + len(raw)] = raw
        handles += ((where + at, self._kind(one.resource), int(one)) for at, one in own)

    def _compared(self, region: Region, op: Op) -> list[int]:
        found: list[int] = []
        run, begins = bytearray(), 0

        def flush() -> None:
            if run:
                found.extend((op, begins, len(run), self._add(bytes(run), 1)))
            run.clear()

        for at, content in sorted(region.writes, key=lambda write: write[0]):
            if isinstance(content, bytes):
                if content in _NANS:
                    flush()
                    found += (Op.NAN, at, len(content), 0)
                    continue
                if not run or begins + len(run) != at:
                    flush()
                    begins = at
                run += content
                continue
            flush()
            if isinstance(content, Owned):
                if isinstance(content.resource, Resource):
                    found += (Op.OWN, at, int(content), self._kind(content.resource))
                else:
                    found += (Op.TAKE, at, int(content), 0)
            elif content.size:
                found += (Op.INTO, at, *self._compared(content, op))
        flush()
        return [*found, Op.END]
