"""The ``.dep-v0`` custom section of cargo-auditable: the crates that were compiled in.

Compressed JSON (zlib); every number of it is checked, since anybody can write anything there.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError

SECTION = ".dep-v0"
#: Bytes that it may unpack to, and packages it may have.
MAX_SIZE, MAX_PACKAGES = 8 << 20, 20_000


@dataclass(frozen=True, slots=True)
class Package:
    """``source``: ``crates.io``, ``git``, ``local``, ``registry`` or another word.  ``kind``:
    runtime or build.  ``dependencies`` are positions in the list.  ``root``: what was built."""

    name: str
    version: str
    source: str
    kind: str
    dependencies: tuple[int, ...]
    root: bool


def read_packages(data: bytes | memoryview, offset: int, path: str) -> tuple[Package, ...]:
    """The content of a section.  Raises DecodeError, at ``offset`` in the outermost input."""

    def fail(what: str) -> DecodeError:
        return DecodeError(f"its {SECTION} section {what}", offset, path)

    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(bytes(data), MAX_SIZE + 1)
    except zlib.error:
        raise fail("is not compressed as it should be") from None
    if len(text) > MAX_SIZE:
        raise fail(f"unpacks to more than {MAX_SIZE:,} bytes")
    try:
        document = json.loads(text) if unpack.eof else None
    except (ValueError, RecursionError):
        document = None
    rows = document.get("packages") if isinstance(document, dict) else None
    if not isinstance(rows, list) or unpack.unused_data:
        raise fail("is no list of packages")
    if len(rows) > MAX_PACKAGES:
        raise fail(f"has more than {MAX_PACKAGES:,} packages")
    found = [_package(row, len(rows)) for row in rows]
    packages = tuple(one for one in found if one is not None)
    if len(packages) != len(found):
        raise fail("has a package without a name, a version or sound dependencies")
    return packages


def _package(row: Any, count: int) -> Package | None:
    if not isinstance(row, dict):
        return None
    texts = [row.get("name"), row.get("version"), row.get("source"), row.get("kind", "runtime")]
    edges = row.get("dependencies", [])
    root = row.get("root", False)
    if not all(isinstance(one, str) and one for one in texts) or not isinstance(root, bool):
        return None
    if not isinstance(edges, list) or not all(type(e) is int and 0 <= e < count for e in edges):
        return None
    name, version, source, kind = texts
    return Package(name, version, source, kind, tuple(dict.fromkeys(edges)), root)
