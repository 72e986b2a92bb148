"""Blocks of binary records into JSON-ready dicts, the Python twin of ``agent/sink.c``.

Both follow agent/layout.py and agree word for word; tests hold them together.  The keys of a record
come in a fixed order, and keys that say nothing are left out.
"""

from __future__ import annotations

import json
import secrets
import struct
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from whamm_cm.agent.counted import CountedCells, unpacked
from whamm_cm.agent.layout import (
    BEFORE_STARTED,
    BLOCK_HEADER,
    BLOCK_MAGIC,
    CHUNK,
    ENCODINGS,
    FINAL,
    FRAMED,
    GOES_ON,
    LASTED,
    RECORD_HEADER,
    Phase,
    RecordFlag,
    SiteKind,
)
from whamm_cm.agent.table import Site, SiteTable
from whamm_cm.agent.variables import Variable
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.trace.cells import place, placed
from whamm_cm.trace.leaves import Leaf, count_leaves, leaf_of
from whamm_cm.trace.quick import Body, Head, Quick, lean_bodies, quick_call, quick_return
from whamm_cm.trace.secrets import Masker
from whamm_cm.trace.values import Readers, Tail, ValueFault, fields, of_map

Record: TypeAlias = dict[str, Any]

#: Record format this decoder writes (``"v"``).
VERSION = 2

BLOCK = struct.Struct("<6IQ")
_HEAD = struct.Struct("<IIQ")
_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_KNOWN_FLAGS = int(RecordFlag.TIMED | RecordFlag.BAD | RecordFlag.BIG)
_NO_IMAGE = int(RecordFlag.BAD | RecordFlag.BIG)
_PHASES = (
    *("call", "return", "report", "lost", "return", "print", "start", "return", "exit", "started"),
    *("resumed", "handle"),
)
#: Phases of records that say all in their heads.
_BARE = (Phase.EXIT, Phase.STARTED, Phase.RESUMED)
_TIMED, _TASK = int(RecordFlag.TIMED), int(RecordFlag.TASK)
_QUICK = {int(Phase.CALL): quick_call, int(Phase.RETURN): quick_return}
_INNER = ("interface", "version", "func")
#: Sites of a script: their phase, which of a site's names go under which key, the key of the value.
_SCRIPTS = {
    SiteKind.VARIABLE: (
        Phase.REPORT,
        {"script": "version", "var": "func", "probe": "interface", "module": "component"},
        "value",
    ),
    SiteKind.PRINT: (Phase.PRINT, {"script": "version", "probe": "interface"}, "text"),
    SiteKind.COUNTED: (Phase.REPORT, {"module": "component"}, "value"),
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
    record what its body holds.  ``phase`` is the only one that sites of a script have.  ``drops``:
    records of handles hold what it was called with."""

    names: Record
    call: Callable[[Record, Tail], None]
    result: Callable[[Record, Tail], None]
    phase: Phase | None = None
    variable: Variable | None = None
    counted: CountedCells | None = None
    drops: bool = False

    def fits(self, phase: int) -> bool:
        return phase == self.phase if self.phase is not None else phase != Phase.PRINT


class Decoder:
    """Decodes records of one site table; holds no state between blocks but compiled readers.

    ``lean``: calls without arguments, and results only where they are errors (``quick.py``); those
    that return at once are counted (``leaves.py``).
    """

    def __init__(self, table: SiteTable, lean: bool = False) -> None:
        self._table, self._lean = table, lean
        stars = table.recorded is not None
        self._encodings = {name: Readers(table, name, stars) for name in ENCODINGS}
        self._sites: list[_SiteReader | None] = [None] * len(table.sites)
        self._rows: dict[int, tuple[Record, str, Callable[[bytes], Any]]] = {}
        #: By the word that says site, flags and phase.
        self._quick: dict[int, Quick | None] = {}
        self._leaves: dict[int, Leaf] = {}
        #: The first record of a recording.
        said = table.recorded
        self.head = None if said is None else {"v": VERSION, "phase": "recording", **said}
        #: What the start of a run says of sampling.
        self.sampled: Record = {"sample": table.sample} if table.sample else {}

    def decode(
        self, data: bytes, start: int, head: Head, into: list[Record], lenient: bool = False
    ) -> tuple[int, int]:
        """Appends the records of ``data[start:]``; returns how many there are in binary form, and
        how many of those could not be read.  A damaged one raises ValueFault, or is left out where
        that is ``lenient``."""
        at, end, count, bad = start, len(data), 0, 0
        last, quicks, leaves = end - RECORD_HEADER, self._quick, self._leaves
        while at < end:
            if leaves:
                before = head.seq
                at = count_leaves(leaves, data, at, head, VERSION, into)
                count += head.seq - before
                if at >= end:
                    break
            count += 1
            if at <= last:
                size, word, call = _HEAD.unpack_from(data, at)
                quick = quicks.get(word)
                stop = at + size
                if quick is not None and stop <= end:
                    try:
                        into.append(quick(data, at, stop, call, head))
                    except ValueFault:
                        pass  # told below, in one place
                    else:
                        head.seq += 1
                        at = stop
                        continue
                elif word not in quicks:
                    quicks[word] = self._quickly(word)
            try:
                at = self._next(data, at, head, into)
            except ValueFault as fault:
                if not lenient:
                    raise ValueFault(f"the record at byte {at}{fault}") from None
                bad += 1
                size = int.from_bytes(data[at : at + 4], "little")
                if size < RECORD_HEADER:
                    return count, bad
                at += size
        return count, bad

    def _quickly(self, word: int) -> Quick | None:
        """How such records are read quickly, None for those that are rare or odd, and those of
        recordings, of which each may have been masked."""
        phase, flags, number = word & 15, word >> 4 & 15, word >> 8
        if self.head is not None or phase not in _QUICK or flags & ~(_TIMED | _TASK):
            return None
        if number >= len(self._sites):
            return None
        site, spec = self._site(number), self._table.sites[number]
        if site.phase is not None:
            return None
        bodies: tuple[Body | None, Body | None] = site.call, site.result
        if self._lean:
            item = f"{spec.interface}#{spec.func}"
            readers = self._encodings[spec.encoding]
            bodies = lean_bodies(readers, item, site.call, site.result, spec.result)
            leaf = leaf_of(readers, word, site.names, item, spec.result)
            if leaf is not None:
                self._leaves[word] = leaf
        body = bodies[0 if phase == Phase.CALL else 1]
        return _QUICK[phase](
            site.names,
            None if body is _nothing else body,
            bool(flags & _TIMED),
            VERSION,
            bool(flags & _TASK),
        )

    def _next(self, data: bytes, at: int, head: Head, into: list[Record]) -> int:
        """Decodes one record; returns where the next begins."""
        if at + RECORD_HEADER > len(data):
            raise ValueFault(" is cut short")
        size, word, call = _HEAD.unpack_from(data, at)
        if size < RECORD_HEADER or at + size > len(data):
            raise ValueFault(f" says it has {size} bytes")
        if word & 15 == Phase.PIECE:
            whole = head.pieced(data[at + RECORD_HEADER : at + size], call)
            if whole:
                self._next(whole, 0, head, into)
            return int(at + size)
        record: Record = {"v": VERSION, "run": head.run, "seq": head.seq}
        try:
            tail = Tail(data, at + RECORD_HEADER, at + size)
            found = self._record(record, word, call, head.instance, tail)
        except ValueFault as fault:
            raise ValueFault(f": {fault}") from None
        if found is None:
            into.append(record)
            head.seq += 1
        else:
            into += found
            head.seq += len(found)
        return int(at + size)

    def _record(
        self, record: Record, word: int, call: int, instance: int, tail: Tail
    ) -> list[Record] | None:
        """Fills the record; where cells have one each, returns those instead."""
        phase, flags = word & 15, word >> 4 & 15
        framed = phase in FRAMED
        known = _KNOWN_FLAGS | RecordFlag.RAW * (phase == Phase.PRINT) | _TASK * framed
        if phase > Phase.HANDLE or flags & ~known:
            raise ValueFault(f"unknown phase {phase} or flags {flags}")
        duration = None
        if flags & RecordFlag.TIMED:
            record["t_ns"] = _u64(tail)
            if phase in LASTED:
                duration = _u64(tail)
        task = _u32(tail) if framed and flags & _TASK else 0
        if phase == Phase.START:
            if wall := _u64(tail):
                record["wall_ns"] = wall
            record["phase"] = _PHASES[phase]
            record |= self.sampled
            return None
        record["instance"] = instance
        if framed and phase != Phase.HANDLE:
            record["call"] = call
        if task:
            record["task"] = task
        record["phase"] = _PHASES[phase]
        if phase == Phase.LOST:
            record["lost"] = _u64(tail)
            record["why"] = "buffer"
            return None
        site = self._site(word >> 8)
        if not site.fits(phase):
            raise ValueFault(f"phase {phase} at a site that has no such records")
        if site.counted is not None:
            return self._counted(record, site.counted, call, tail)
        self._body(record, phase, flags, site, tail)
        if duration is not None:
            record["dur_ns"] = duration
        if site.variable is None:
            return None
        if call >= site.variable.size:
            raise ValueFault(f"there is no cell {call}")
        return [placed(record, place(site.variable, call))]

    def _counted(self, head: Record, counted: CountedCells, first: int, tail: Tail) -> list[Record]:
        """A record for each cell of the counters in the body."""
        found: list[Record] = []
        seq, rows, pcs = head["seq"], counted.rows, counted.pcs
        try:
            for counter, raw in unpacked(tail.data, tail.pos, tail.end, first):
                if counter >= len(counted):
                    raise ValueFault(f"there is no counter {counter}")
                fid, fname, cells = counted.place(counter)
                where = {"fid": fid, "fname": fname} if fname else {"fid": fid}
                image, last, value = raw.to_bytes(8, "little"), None, None
                for cell in cells:
                    names, type_, read = self._row(rows[cell])
                    if type_ is not last:
                        last, value = type_, read(image)
                    found.append({
                        **head, "seq": seq + len(found), **names, **where, "pc": pcs[cell],
                        "type": type_, "value": value,
                    })  # fmt: skip
        except ValueError as error:
            raise ValueFault(str(error)) from None
        return found

    def _row(self, number: int) -> tuple[Record, str, Callable[[bytes], Any]]:
        """Of a variable: the keys before where it is, its type, and how its value is read."""
        known = self._rows.get(number)
        if known is None:
            names = dict(self._site(number).names)
            site = self._table.sites[number]
            item = self._encodings[site.encoding].get(site.result or 0, 1)
            known = names, sys.intern(names.pop("type")), lambda image: item(Tail(image, 8, 8), 0)
            self._rows[number] = known
        return known

    def _body(self, record: Record, phase: int, flags: int, site: _SiteReader, tail: Tail) -> None:
        record.update(site.names)
        if phase == Phase.REPORT and site.variable is None:
            record["count"] = _u64(tail)
        elif phase == Phase.PENDING:
            record["pending"] = True
            record["status"] = _u32(tail)
        elif phase == Phase.CANCELLED:
            early = _u32(tail) == BEFORE_STARTED
            record["cancelled"] = "before-started" if early else "before-returned"
        elif phase not in _BARE and not flags & _NO_IMAGE:
            given = phase == Phase.CALL or (phase == Phase.HANDLE and site.drops)
            (site.call if given else site.result)(record, tail)
            if tail.masked and phase == Phase.RETURN and self.head is not None:
                record["masked"] = True
        if flags & RecordFlag.RAW and phase == Phase.PRINT:
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
        if inner := {key: text for key, text in zip(_INNER, site.inner, strict=True) if text}:
            names["inner"] = inner
        return _SiteReader(
            names,
            _with_handles(_args(readers, site), site.call_handles),
            _with_handles(_returned(readers, site), site.return_handles),
            drops=site.params is not None,
        )


def _script_site(site: Site, readers: Readers) -> _SiteReader:
    """A variable, or what is printed."""
    phase, keys, key = _SCRIPTS[site.kind]
    names: Record = {
        name: getattr(site, field) for name, field in keys.items() if getattr(site, field)
    }
    variable = site.variable
    if variable is not None:
        names["type"] = variable.type
    read = _result(readers, site.result, key)
    if variable is not None and variable.type.startswith("map<"):
        read = of_map(read)
    return _SiteReader(names, _nothing, read, phase, variable, site.counted)


def _u64(tail: Tail) -> int:
    value: int = _U64.unpack_from(tail.data, tail.take(8))[0]
    return value


def _u32(tail: Tail) -> int:
    value: int = _U32.unpack_from(tail.data, tail.take(4))[0]
    return value


def _with_handles(
    read: Callable[[Record, Tail], None], handles: str
) -> Callable[[Record, Tail], None]:
    if not handles:
        return read
    found: dict[str, str] = json.loads(handles)

    def both(record: Record, tail: Tail) -> None:
        read(record, tail)
        record["handles"] = found

    return both


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


def _returned(readers: Readers, site: Site) -> Callable[[Record, Tail], None]:
    """The result, and beside it what was copied."""
    if not site.copies or site.result is None:
        return _result(readers, site.result, "result")
    node = readers.node(site.result)
    size, parts = node.size, fields(readers, node, 1)

    def read(record: Record, tail: Tail) -> None:
        at = tail.take(size)
        for name, item, offset in parts:
            record[name] = item(tail, at + offset)

    return read


class Stream:
    """The blocks of one run, in order.  ``lenient``: a record that is damaged is left out and
    counted, as the sink does that writes JSON; otherwise it raises ValueFault."""

    def __init__(self, decoder: Decoder, run: str, lenient: bool = False) -> None:
        self._decoder, self._lenient = decoder, lenient
        self.head = Head(run)
        self.count = 0
        """Records in binary form so far."""
        self._unsaid = False  # records came since the last end

    def block(self, data: bytes, instance: int, into: list[Record]) -> bool:
        """Appends the records of one block, whose header is not checked any more; returns whether
        it is marked final."""
        _, flags, _, _, dropped, _, _ = BLOCK.unpack_from(data)
        self.head.instance = instance
        count, bad = self._decoder.decode(data, BLOCK_HEADER, self.head, into, self._lenient)
        self.count += count
        if dropped + bad:
            into.append(self.note("lost", instance, lost=dropped + bad, why="buffer"))
        self._unsaid |= bool(count or dropped)
        if flags & FINAL and not flags & GOES_ON and self._unsaid:
            into.append(self.note("end", instance))
            self._unsaid = False
        return bool(flags & FINAL)

    def note(self, phase: str, instance: int = 0, **more: Any) -> Record:
        """A record that no probe wrote."""
        record: Record = {"v": VERSION, "run": self.head.run, "seq": self.head.seq}
        self.head.seq += 1
        for key in ("t_ns", "wall_ns"):
            if key in more:
                record[key] = more.pop(key)
        if instance:
            record["instance"] = instance
        return {**record, "phase": phase, **more}


class Receiver:
    """The receiving end of a session: hands out instance ids and numbers the records.

    ``run`` is the session's identity, 16 hexadecimal digits; drawn when not given.  Secrets are
    masked wherever they appear, unless they are to be shown.
    """

    def __init__(
        self, table: SiteTable, run: str | None = None, show_secrets: bool = False
    ) -> None:
        self._masker = None if show_secrets else Masker(table)
        self.run = secrets.token_hex(8) if run is None else run
        self._decoder = Decoder(table)
        self._stream = Stream(self._decoder, self.run)
        self._instances = 0
        self._started: Record | None = None

    def begin(self, wall_ns: int = 0, t_ns: int | None = None) -> None:
        """The guest starts now: the wall clock in ns since 1970 (0: not known), and what the
        guest's monotonic clock says at the same moment, if it reads one.  The first records that
        are received will have the record of it before them."""
        if self._stream.head.seq:
            return
        clock = {} if t_ns is None else {"t_ns": t_ns}
        wall = {"wall_ns": wall_ns} if wall_ns else {}
        self._started = self._stream.note("start", 0, **clock, **wall, **self._decoder.sampled)

    def lost(self, why: str) -> Record:
        """The record of a run that was cut off with records, nobody knows how many, inside."""
        return self.note("lost", lost="unknown", why=why)

    def note(self, phase: str, **more: Any) -> Record:
        """A record of the host's own; its place is before the next that is received, behind what
        :meth:`started` returns."""
        return self._stream.note(phase, **more)

    def started(self) -> list[Record]:
        """The record of the guest's start, if none was received that could have it before."""
        started, self._started = self._started, None
        return [] if started is None else [started]

    def shown(self, text: str) -> str:
        """A text that no guest has recorded, with its secrets masked as if one had."""
        return text if self._masker is None else self._masker.text(text)

    def receive(self, block: bytes | str) -> Block:
        """What was emitted: the bytes of a block, or text in which each character is one byte.

        A relay sends several blocks at once, each padded to a multiple of ``CHUNK`` bytes; the
        answer then has the records of all.  Records that an agent had to drop since its last block
        are reported by a record of phase ``lost`` behind those of the block, a final block by one
        of phase ``end``.  Raises BlockError; its ``records`` count as received.
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
        magic, _, _, _, _, size, _ = BLOCK.unpack_from(data, at)
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
        _, _, instance, _, dropped, size, _ = BLOCK.unpack_from(data)
        if instance == 0 and (dropped or size):
            self._instances += 1
            instance = self._instances
        into += self.started()
        if self._masker is not None:
            data = self._masker.mask(data)
        try:
            final = self._stream.block(data, instance, into)
        except ValueFault as fault:
            raise BlockError(f"instance {instance}: {fault}", into) from None
        return instance, final


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        at, odd = error.start, ord(text[error.start])
        raise BlockError(f"character {at} of a block is U+{odd:04X}, not a byte", []) from None
