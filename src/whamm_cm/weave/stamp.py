"""What a woven file says of itself: custom sections that inspect, gate and a second weave read."""

from __future__ import annotations

import hashlib
import json
import zlib

from whamm_cm import __version__
from whamm_cm.agent.layout import TABLE_MAGIC, TABLE_SECTION
from whamm_cm.weave.plan import Plan

STAMP, SITES = "whamm-cm", TABLE_SECTION


def stamp(plan: Plan, origin: str) -> bytes:
    """The content of the section ``whamm-cm``; ``origin`` is the SHA-256 of the input."""
    facts = {
        "tool": "whamm-cm",
        "version": __version__,
        "original-sha256": origin,
        "script-sha256": hashlib.sha256(plan.script.encode()).hexdigest(),
        "sink": plan.sink,
    }
    if plan.nonce:
        facts |= {"nonce": plan.nonce, "lines": plan.lines}
    return json.dumps(facts, separators=(",", ":")).encode()


#: A site table of a million counters has tens of megabytes; no larger one is unpacked.
_MAX_TABLE = 1 << 30


def packed_table(table: bytes) -> bytes:
    """The content of the section ``whamm-cm.sites``: the table, by zlib."""
    return zlib.compress(table, 9 if len(table) < 1 << 20 else 1)


def unpacked_table(data: bytes) -> bytes | None:
    """The table in such a section, that of an older version included; None if it is damaged."""
    if data[:4] == TABLE_MAGIC.to_bytes(4, "little"):
        return data
    unpacker = zlib.decompressobj()
    try:
        table = unpacker.decompress(data, _MAX_TABLE)
    except zlib.error:
        return None
    return table if unpacker.eof else None
