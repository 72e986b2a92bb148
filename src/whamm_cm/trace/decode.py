"""Blocks of binary records into JSON-ready dicts, the Python twin of ``agent/sink.c``.

Both follow agent/layout.py and agree word for word; tests hold them together.  The keys of a record
come in a fixed order, and keys that say nothing are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from whamm_cm.agent.layout import (
    BLOCK_HEADER,
    BLOCK_MAGIC,
    CHUNK,
    ENCODINGS,
    FINAL,
    NONE,
    RECORD_HEADER,
    Phase,
    RecordFlag,
    SiteKind,
)
from whamm_cm.agent.table import Site, SiteTable
from whamm_cm.agent.variables import Variable
from whamm_cm.errors import InputError
from whamm_cm.trace.values import Readers, Tail, ValueFault, fields

Record: TypeAlias = dict[str, Any]

_BLOCK = struct.Struct("<6I8x")
_HEAD = struct.Struct("<IIQ")
_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_KNOWN_FLAGS = int(RecordFlag.TIMED | RecordFlag.BAD | RecordFlag.BIG)
_NO_IMAGE = int(RecordFlag.BAD | RecordFlag.BIG)
_PHASES = ("call", "return", "report", "dropped", "return", "print")
_UNFRAMED = (Phase.REPORT, Phase.DROPPED, Phase.PRINT)
#: Sites of a script: their phase, which of a site's names go under which key, the key of the value.
_SCRIPTS = {
    SiteKind.VARIABLE: (
        Phase.REPORT,
        {"script": "version", "var": "func", "probe": "interface", "module": "component"},
        "value",
    ),
    SiteKind.PRINT: (Phase.PRINT, {"script": "version", "probe": "interface"}, "text"),
}


class BlockError(InputError):
    """A block is damaged.  ``records`` are those before the damage."""

    def __init__(self, message: str, records: list[Record]) -> None:
        super().__init__(message)
        self.records = records


@dataclass(frozen=True, slots=True)
class Block:
    """A received block: the instance it is from, its records, and whether it says that it is the
    last before the guest leaves."""

    instance: int
    final: bool
    records: list[Record]


@dataclass(frozen=True, slots=True)
class _SiteReader:
    """``names`` are the constant keys of each record of a site, ``call`` and ``result`` add to a
    record what its body holds.  ``phase`` is the only one that sites of a script have."""

    names: Record
    call: Callable[[Record, Tail], None]
    result: Callable[[Record, Tail], None]
    phase: Phase | None = None
    variable: Variable | None = None

    def fits(self, phase: int) -> bool:
        return phase == self.phase if self.phase is not None else phase != Phase.PRINT


class Decoder:
    """Decodes records of one site table; holds no state between blocks but compiled readers."""

    def __init__(self, table: SiteTable) -> None:
        self._table = table
        self._encodings = {name: Readers(table, name) for name in ENCODINGS}
        self._sites: list[_SiteReader | None] = [None] * len(table.sites)

    def decode(self, data: bytes, start: int, instance: int, seq: int, into: list[Record]) -> None:
        """Appends the records of ``data[start:]`` numbered from ``seq``; ValueFault if damaged."""
        at, end = start, len(data)
        while at < end:
            if at + RECORD_HEADER > end:
                raise ValueFault(f"the record at byte {at} is cut short")
            size, word, call = _HEAD.unpack_from(data, at)
            if size < RECORD_HEADER or at + size > end:
                raise ValueFault(f"the record at byte {at} says it has {size} bytes")
            record: Record = {"v": 1, "seq": seq}
            try:
                tail = Tail(data, at + RECORD_HEADER, at + size)
                cells = self._record(record, word, call, instance, tail)
            except ValueFault as fault:
                raise ValueFault(f"the record at byte {at}: {fault}") from None
            if cells is None:
                into.append(record)
            else:
                into += _per_cell(record, *cells)
            at, seq = at + size, seq + 1 if cells is None else seq + len(cells[1])

    def _record(
        self, record: Record, word: int, call: int, instance: int, tail: Tail
    ) -> tuple[Variable, range] | None:
        """Fills the record; for one that stands for cells of a variable returns which."""
        phase, flags = word & 15, word >> 4 & 15
        known = _KNOWN_FLAGS | RecordFlag.RAW * (phase == Phase.PRINT)
        if phase > Phase.PRINT or flags & ~known:
            raise ValueFault(f"unknown phase {phase} or flags {flags}")
        duration = None
        if flags & RecordFlag.TIMED:
            record["t_ns"] = _u64(tail)
            if phase in (Phase.RETURN, Phase.PENDING):
                duration = _u64(tail)
        record["instance"] = instance
        if phase not in _UNFRAMED:
            record["call"] = call
        record["phase"] = _PHASES[phase]
        if phase == Phase.DROPPED:
            record["count"] = _u64(tail)
            return None
        site = self._site(word >> 8)
        if not site.fits(phase):
            raise ValueFault(f"phase {phase} at a site that has no such records")
        self._body(record, phase, flags, site, tail)
        if duration is not None:
            record["dur_ns"] = duration
        return None if site.variable is None else (site.variable, _span(site.variable, call))

    def _body(self, record: Record, phase: int, flags: int, site: _SiteReader, tail: Tail) -> None:
        record.update(site.names)
        if phase == Phase.REPORT and site.variable is None:
            record["count"] = _u64(tail)
        elif phase == Phase.PENDING:
            record["pending"] = True
            record["status"] = _U32.unpack_from(tail.data, tail.take(4))[0]
        elif not flags & _NO_IMAGE:
            (site.call if phase == Phase.CALL else site.result)(record, tail)
        if flags & RecordFlag.RAW:
            record["raw"] = True
        if flags & RecordFlag.BAD:
            record["bad"] = True
        if flags & RecordFlag.BIG:
            record["big"] = True

    def _site(self, number: int) -> _SiteReader:
        if number >= len(self._sites):
            raise ValueFault(f"there is no site {number}")
        found = self._sites[number]
        if found is None:
            found = self._sites[number] = self._compile(self._table.sites[number])
        return found

    def _compile(self, site: Site) -> _SiteReader:
        readers = self._encodings[site.encoding]
        if site.kind in _SCRIPTS:
            return _script_site(site, readers)
        names: Record = {"edge": site.edge.name.lower()}
        for key in ("component", "interface", "version"):
            if getattr(site, key):
                names[key] = getattr(site, key)
        names["func"] = site.func
        return _SiteReader(names, _args(readers, site), _result(readers, site.result, "result"))


def _script_site(site: Site, readers: Readers) -> _SiteReader:
    """A variable, or what is printed."""
    phase, keys, key = _SCRIPTS[site.kind]
    names: Record = {
        name: getattr(site, field) for name, field in keys.items() if getattr(site, field)
    }
    variable = site.variable
    if variable is not None:
        names["type"] = variable.type
    return _SiteReader(names, _nothing, _result(readers, site.result, key), phase, variable)


def _span(variable: Variable, number: int) -> range:
    span = variable.span(number)
    if span is None:
        raise ValueFault(f"there is no cell or counter {number}")
    return range(span[0], span[0] + span[1])


def place(variable: Variable, cell: int) -> Record:
    """The keys that say where a cell is, none for a script global."""
    cells, found = variable.cells, Record()
    if cells is None:
        return found
    if cells.fids[cell] != NONE:
        found["fid"] = cells.fids[cell]
    if name := cells.fname(cell):
        found["fname"] = name
    if cells.pcs[cell] != NONE:
        found["pc"] = cells.pcs[cell]
    return found


def _per_cell(record: Record, variable: Variable, cells: range) -> list[Record]:
    """A record for each cell that the one stands for; where it is stands before ``type``."""
    keys = list(record)
    at = keys.index("type")
    before = {key: record[key] for key in keys[:at]}
    after = {key: record[key] for key in keys[at:]}
    return [
        {**before, "seq": record["seq"] + i, **place(variable, cell), **after}
        for i, cell in enumerate(cells)
    ]


def _u64(tail: Tail) -> int:
    value: int = _U64.unpack_from(tail.data, tail.take(8))[0]
    return value


def _nothing(record: Record, tail: Tail) -> None:
    """For a function without parameters or result."""


def _args(readers: Readers, site: Site) -> Callable[[Record, Tail], None]:
    if site.params is None:
        return _nothing
    node = readers.node(site.params)
    parts = fields(readers, node, 1)
    handle, parts = (parts[0], parts[1:]) if site.has_self and parts else (None, parts)
    size = node.size

    def read(record: Record, tail: Tail) -> None:
        at = tail.take(size)
        if handle is not None:
            record["self"] = handle[1](tail, at + handle[2])
        if parts:
            record["args"] = {name: item(tail, at + offset) for name, item, offset in parts}

    return read


def _result(readers: Readers, number: int | None, key: str) -> Callable[[Record, Tail], None]:
    if number is None:
        return _nothing
    size, item = readers.node(number).size, readers.get(number, 1)

    def read(record: Record, tail: Tail) -> None:
        record[key] = item(tail, tail.take(size))

    return read


class Receiver:
    """The receiving end of a session: hands out instance ids and numbers the records."""

    def __init__(self, table: SiteTable) -> None:
        self._decoder = Decoder(table)
        self._instances = 0
        self._seq = 0

    def receive(self, block: bytes | str) -> Block:
        """What was emitted: the bytes of a block, or text in which each character is one byte.

        A relay sends several blocks at once, each padded to a multiple of ``CHUNK`` bytes; the
        answer then has the records of all.  Records that an agent had to drop since its last block
        are reported by a record of phase ``dropped`` behind those of the block.  Raises BlockError;
        its ``records`` count as received.
        """
        data = _latin1(block) if isinstance(block, str) else block
        records: list[Record] = []
        at = 0
        while True:
            end = self._end(data, at, records)
            instance, final = self._one(data[at:end], records)
            at = -(-end // CHUNK) * CHUNK
            if at >= len(data):
                return Block(instance, final, records)

    def _end(self, data: bytes, at: int, records: list[Record]) -> int:
        """Where the block at ``at`` ends."""
        left = len(data) - at
        if left < BLOCK_HEADER:
            raise BlockError(f"a block has at least {BLOCK_HEADER} bytes, not {left}", records)
        magic, _, _, _, _, size = _BLOCK.unpack_from(data, at)
        if magic != BLOCK_MAGIC:
            raise BlockError("not a block of records: the magic number is missing", records)
        end = at + BLOCK_HEADER + size
        chunked = len(data) % CHUNK == 0 and -(-end // CHUNK) * CHUNK <= len(data)
        if end != len(data) and not chunked:
            have = left - BLOCK_HEADER
            text = f"a block announces {size} bytes of records and holds {have}"
            raise BlockError(text, records)
        return int(end)

    def _one(self, data: bytes, into: list[Record]) -> tuple[int, bool]:
        """The records of one block; returns its instance and whether it is marked final."""
        _, flags, instance, _, dropped, _ = _BLOCK.unpack_from(data)
        if instance == 0:
            self._instances += 1
            instance = self._instances
        records: list[Record] = []
        try:
            self._decoder.decode(data, BLOCK_HEADER, instance, self._seq, records)
        except ValueFault as fault:
            raise BlockError(f"instance {instance}: {fault}", into + records) from None
        finally:
            self._seq += len(records)
        into += records
        if dropped:
            into.append(self._dropped(instance, dropped))
        return instance, bool(flags & FINAL)

    def _dropped(self, instance: int, count: int) -> Record:
        seq, self._seq = self._seq, self._seq + 1
        return {"v": 1, "seq": seq, "instance": instance, "phase": "dropped", "count": count}


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        at, odd = error.start, ord(text[error.start])
        raise BlockError(f"character {at} of a block is U+{odd:04X}, not a byte", []) from None
