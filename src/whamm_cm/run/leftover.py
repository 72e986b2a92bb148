"""What a dead guest had recorded and not yet sent, read from the memories of its agents.

The layout is that of :mod:`whamm_cm.agent.layout`.  A record is in the buffer when it is whole, so
whatever stopped the guest, what is read here is whole, too.  A relay's buffer comes first: what is
in it left its agent earlier.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from whamm_cm.agent.layout import (
    ASK,
    ASKED,
    BLOCK_HEADER,
    BLOCK_MAGIC,
    BUFFER_PTR,
    CHUNK,
    COUNT_BITS,
    COUNTERS,
    COUNTS,
    DROPPED,
    FINAL,
    IN_EMIT,
    INSTANCE,
    MAX_PAYLOAD,
    N_COUNTERS,
    POS,
    SAID,
    STATE,
    Phase,
    load_wasm,
    sink_settings,
)
from whamm_cm.run.memories import Kept, Linear, Memories
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.wiring import heap_base

_U32 = struct.Struct("<I")
_HEADER = struct.Struct("<6IQ")
_COUNT = struct.Struct("<IIQQ")
_FIELDS = (POS, INSTANCE, DROPPED, IN_EMIT, BUFFER_PTR)


def leftover(memories: Memories | Kept, last_instance: int = 0) -> Iterator[bytes]:
    """Blocks as agents would have sent them; one that waited for the answer to its first block is
    ``last_instance``."""
    for memory in memories.marked(1):
        yield from _relayed(memory)
    for memory in memories.marked(0):
        yield from _buffered(memory, last_instance)


def ask(memories: Memories) -> bool:
    """Ask the script units for what they have counted; False where there are no agents to ask."""
    found = list(memories.marked(0))
    for memory in found:
        memory.write(STATE + ASK, _U32.pack(ASKED))
    return bool(found)


def all_said(memories: Memories | Kept) -> bool:
    """Whether the only agent there is reported right before the guest came to its end."""
    found = list(memories.marked(0))
    return len(found) == 1 and found[0].read(STATE + ASK, 4) == _U32.pack(SAID)


def _relayed(memory: Linear) -> Iterator[bytes]:
    at = sink_settings(heap_base(CoreModule(load_wasm("relay.wasm"))))
    while True:
        header = memory.read(at, BLOCK_HEADER)
        if len(header) < BLOCK_HEADER or _U32.unpack_from(header)[0] != BLOCK_MAGIC:
            return
        size = -(-(BLOCK_HEADER + _HEADER.unpack(header)[5]) // CHUNK) * CHUNK
        yield memory.read(at, size)
        at += size


def _buffered(memory: Linear, last_instance: int) -> Iterator[bytes]:
    state = memory.read(STATE, 64)
    if len(state) < 64:
        return
    field = {at: _U32.unpack_from(state, at)[0] for at in _FIELDS}
    instance = field[INSTANCE] or (last_instance if field[IN_EMIT] else 0)
    counts = _U32.unpack_from(state, COUNTS)[0]
    base, n = counts >> COUNT_BITS, counts & ((1 << COUNT_BITS) - 1)
    start = field[BUFFER_PTR]
    parts = _whole(memory.read(start, field[POS] - start))
    parts += _whole(_counts(memory, base, n))
    if not parts and (field[DROPPED] or instance):
        parts = [b""]  # nothing, and that is the end: all that it had has been sent
    for k, payload in enumerate(parts):
        dropped = 0 if k else field[DROPPED]
        last = FINAL if k == len(parts) - 1 else 0
        yield _HEADER.pack(BLOCK_MAGIC, last, instance, 0, dropped, len(payload), 0) + payload


def _counts(memory: Linear, base: int, n: int) -> bytes:
    """The counters that are not zero, as records of a report."""
    n = min(n, N_COUNTERS)
    counts = struct.unpack(f"<{n}Q", memory.read(COUNTERS, 8 * n))
    return b"".join(
        _COUNT.pack(_COUNT.size, (base + k) << 8 | Phase.REPORT, 0, count)
        for k, count in enumerate(counts)
        if count
    )


def _whole(records: bytes) -> list[bytes]:
    """Runs of whole records, each of which fits a block."""
    parts, start, at = list[bytes](), 0, 0
    while at < len(records):
        size = _U32.unpack_from(records, at)[0]
        if not 16 <= size <= len(records) - at:
            break  # the agent would give it up, too
        if at + size - start > MAX_PAYLOAD:
            parts.append(records[start:at])
            start = at
        at += size
    if at > start:
        parts.append(records[start:at])
    return parts
