"""Lines of a log → records: ``WCM2.<nonce> <run>.<line> <payload>`` among other text.

Pure and streaming: nothing is read or written here, and no bytes make it raise.  A line without the
nonce is somebody else's and comes back as it was.  What is damaged or missing is counted, and said
by records of phase ``lost``; docs/records.md describes the lines.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

from whamm_cm.agent.layout import BLOCK_HEADER, BLOCK_MAGIC, LINE_MARK, NONCE_SIZE
from whamm_cm.agent.table import SiteTable
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.decode import BLOCK, VERSION, Decoder, Record, Stream

#: Runs whose state is kept; of more, the one longest silent is forgotten.
MAX_RUNS = 1 << 14
#: Bytes of a block or a record in pieces, beyond which it is taken for damage.
MAX_PARTS = 1 << 20

_LINE = re.compile(
    re.escape(LINE_MARK.encode())
    + rb"([a-z2-7]{%d}) ([0-9a-f]{16})\.([0-9]{1,10}) (?=[{JjBb])" % NONCE_SIZE
)
_PACKED = re.compile(rb"[Bb]([A-Za-z0-9+/]*={0,2})\.")


@dataclass(frozen=True, slots=True)
class Found:
    """What a line holds.  ``ours``: our mark is on it; ``before`` and ``after`` are what stands
    around what is ours, the text of a host or a guest, untouched (all of a line that is not ours is
    ``before``)."""

    ours: bool
    before: bytes
    records: list[Record] = field(default_factory=list)
    after: bytes = b""


@dataclass(slots=True)
class _Run:
    """One running sink.  ``open``: what ``parts`` are of, ``B`` or ``J``, "" for nothing."""

    stream: Stream
    next_line: int = 0
    open: str = ""
    parts: bytearray = field(default_factory=bytearray)
    gap: bool = False


class LineDecoder:
    """Takes lines in the order of the log.

    ``nonce``: the only one that counts; None to take each as it is found, of which ``nonces``
    tells (nobody vouches for those).  ``table`` is what packed lines are decoded with; without it
    ``find`` is asked once for each nonce, and nonces for which there is none are in ``unknown``.
    ``lean`` is that of :class:`Decoder`.  ``damaged`` counts lines of ours that are cut or altered.
    """

    def __init__(
        self,
        nonce: str | None = None,
        table: SiteTable | None = None,
        find: Callable[[str], SiteTable | None] | None = None,
        lean: bool = False,
    ) -> None:
        self.nonce = nonce
        self.nonces: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.damaged = 0
        self._table, self._find, self._lean = table, find, lean
        self._decoders: dict[str, Decoder | None] = {}
        self._runs: dict[tuple[str, str], _Run] = {}

    def feed(self, line: bytes | str) -> Found:
        """One line, with or without its end."""
        data = line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line
        match = self._mark(data, 0)
        if match is None:
            return Found(False, data)
        before, records = data[: match.start()], list[Record]()
        between = b""
        while match is not None:
            nonce, run, number = (group.decode() for group in match.groups())
            end = self._payload(nonce, run, int(number), data, match.end(), records)
            match = self._mark(data, end)
            if match is not None:
                between += data[end : match.start()]
        return Found(True, before, records, between + data[end:])

    def finish(self) -> list[Record]:
        """The log is over: what was lost at its end."""
        records: list[Record] = []
        for run in self._runs.values():
            if run.open:
                self._broken(run)
            if run.gap:
                records.append(run.stream.note("lost", lost="unknown", why="line"))
                run.gap = False
        return records

    def _mark(self, data: bytes, at: int) -> re.Match[bytes] | None:
        for match in _LINE.finditer(data, at):
            if self.nonce is None or match[1].decode() == self.nonce:
                return match
        return None

    def _payload(
        self, nonce: str, run_name: str, line: int, data: bytes, at: int, into: list[Record]
    ) -> int:
        """Takes the payload at ``at``; returns where it ends."""
        known = nonce in self.nonces
        run = self._run(nonce, run_name)
        decoder = self._decoders.get(nonce)
        if not known and decoder is not None and decoder.head is not None:
            into.append(decoder.head)
        if line < run.next_line:  # the log has it twice
            return _end_of(data, at)
        if line > run.next_line:
            run.gap, run.open = True, ""
        run.next_line = line + 1
        kind = data[at : at + 1].decode()
        if kind in "bj" and run.open != kind.upper():
            run.gap = True
            return _end_of(data, at)
        if kind in "BJ{" and run.open:
            self._broken(run)
        end = _TAKERS[kind](self, nonce, run, data, at, into)
        if end < 0:
            self._broken(run)
            return _end_of(data, at)
        return end

    def _run(self, nonce: str, name: str) -> _Run:
        key = (nonce, name)
        run = self._runs.pop(key, None)
        if run is None:
            if len(self._runs) >= MAX_RUNS:
                del self._runs[next(iter(self._runs))]
            self.nonces[nonce] = None
            run = _Run(Stream(self._decoder(nonce) or _NO_DECODER, name, lenient=True))
        self._runs[key] = run
        return run

    def _decoder(self, nonce: str) -> Decoder | None:
        if nonce not in self._decoders:
            if len(self._decoders) >= MAX_RUNS:
                del self._decoders[next(iter(self._decoders))]
            table = self._table
            if table is None and self._find is not None:
                table = self._find(nonce)
            self._decoders[nonce] = None if table is None else Decoder(table, self._lean)
        return self._decoders[nonce]

    def _broken(self, run: _Run) -> None:
        self.damaged += 1
        run.gap, run.open = True, ""

    def _object(self, nonce: str, run: _Run, data: bytes, at: int, into: list[Record]) -> int:
        """A record whole on its line."""
        try:
            text = data[at:].decode("utf-8", "replace")
            value, size = _JSON.raw_decode(text)
        except (ValueError, RecursionError):
            return -1
        if not self._record(run, value, into):
            return -1
        return at + len(text[:size].encode())

    def _piece(self, nonce: str, run: _Run, data: bytes, at: int, into: list[Record]) -> int:
        """A part of a record; the last ends in ``};``."""
        end = _end_of(data, at)
        piece = data[at + 1 : end]
        if data[at] == ord("J"):
            run.parts.clear()
            run.open = "J"
        run.parts += piece
        if len(run.parts) > MAX_PARTS:
            return -1
        if not piece.endswith(b"};"):
            return end
        run.open = ""
        try:
            value = _JSON.decode(bytes(run.parts[:-1]).decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return -1
        return end if self._record(run, value, into) else -1

    def _record(self, run: _Run, value: Any, into: list[Record]) -> bool:
        """Takes a record in JSON, if it is one of this run."""
        if not isinstance(value, dict) or value.get("v") != VERSION:
            return False
        seq, head = value.get("seq"), run.stream.head
        if type(seq) is not int or not 0 <= seq < 1 << 64 or value.get("run") != head.run:
            return False
        self._told(run, seq - head.seq, into)
        head.seq = seq + 1
        into.append(value)
        return True

    def _told(self, run: _Run, missing: int, into: list[Record]) -> None:
        """After a gap: say what it held, now that it has a number."""
        if run.gap and missing:
            lost = missing if missing > 0 else "unknown"
            into.append(run.stream.note("lost", lost=lost, why="line"))
        run.gap = False

    def _slice(self, nonce: str, run: _Run, data: bytes, at: int, into: list[Record]) -> int:
        """A slice of blocks, packed."""
        match = _PACKED.match(data, at)
        if match is None:
            return -1
        if data[at] == ord("B"):
            run.parts.clear()
            run.open = "B"
        try:
            run.parts += binascii.a2b_base64(match[1], strict_mode=True)
        except ValueError:
            return -1
        if not self._blocks(nonce, run, into):
            return -1
        run.open = "B" if run.parts else ""
        return match.end()

    def _blocks(self, nonce: str, run: _Run, into: list[Record]) -> bool:
        """Decodes the blocks that are whole; False if the bytes are none."""
        while len(run.parts) >= BLOCK_HEADER:
            magic, _, instance, before, _, size, _ = BLOCK.unpack_from(run.parts)
            if magic != BLOCK_MAGIC or size > MAX_PARTS:
                return False
            end = BLOCK_HEADER + size
            if len(run.parts) < end:
                break
            block = bytes(run.parts[:end])
            del run.parts[:end]
            if self._decoders.get(nonce) is None:
                self.unknown[nonce] = None
                run.gap = False
                continue
            if run.gap:
                missing = before - run.stream.count
                self._told(run, missing, into)
                run.stream.head.seq += max(missing, 0)
                run.stream.count = before
            run.stream.block(block, instance, into)
        return True


_TAKERS: dict[str, Callable[[LineDecoder, str, _Run, bytes, int, list[Record]], int]] = {
    "{": LineDecoder._object,
    "J": LineDecoder._piece,
    "j": LineDecoder._piece,
    "B": LineDecoder._slice,
    "b": LineDecoder._slice,
}


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
_NO_DECODER = Decoder(SiteTable((), ()))


def _end_of(data: bytes, at: int) -> int:
    """Where the line's text ends."""
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    return end - 1 if data[end - 1 : end] == b"\r" else end
