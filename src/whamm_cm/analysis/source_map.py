"""Source maps (JSON, version 3) of core modules: columns are offsets into the module's bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError

#: Segments and sources that are read; a module of 100 MB has fewer.
_MOST = 20_000_000
_DIGITS = {
    ch: value
    for value, ch in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
#: Guards of JSON against being run as a script.
_GUARD = b")]}'"


class Segment(NamedTuple):
    """From ``offset`` on; lines and columns from 1, line 0: code of no line."""

    offset: int
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SourceMap:
    """``texts``: of the files whose text came along, their lines."""

    segments: list[Segment]
    texts: dict[str, list[str]]


def is_source_map(data: bytes) -> bool:
    return data.lstrip()[:1] == b"{" or data.startswith(_GUARD)


def read_source_map(data: bytes, what: str) -> SourceMap:
    """Raises InputError with one sentence."""
    if data.startswith(_GUARD):
        data = data.partition(b"\n")[2]
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError(f"{what} is no source map: it is not JSON") from None
    if not isinstance(found, dict) or found.get("version") != 3:
        raise InputError(f"{what} is no source map of version 3")
    if "sections" in found:
        raise InputError(f"{what} is a source map with sections, which are not read")
    sources, mappings = found.get("sources"), found.get("mappings")
    if not isinstance(sources, list) or not isinstance(mappings, str):
        raise InputError(f"{what} is a source map without sources or mappings")
    if len(sources) > _MOST or len(mappings) > 20 * _MOST:
        raise InputError(f"{what} is too large for a source map")
    root = found.get("sourceRoot")
    names = [_joined(root, name) for name in sources]
    texts = found.get("sourcesContent")
    known = zip(names, texts, strict=False) if isinstance(texts, list) else ()
    return SourceMap(
        list(_segments(mappings.partition(";")[0], names, what)),
        {name: text.split("\n") for name, text in known if isinstance(text, str)},
    )


def _joined(root: Any, name: Any) -> str:
    text = name if isinstance(name, str) and name else "?"
    return f"{root.rstrip('/')}/{text}" if isinstance(root, str) and root else text


def _segments(mappings: str, names: list[str], what: str) -> Iterator[Segment]:
    offset = source = line = column = 0
    for text in mappings.split(",") if mappings else ():
        fields = _numbers(text, what)
        if len(fields) not in (1, 4, 5):
            raise InputError(f"{what} has a segment of {len(fields)} numbers")
        offset += fields[0]
        if len(fields) > 1:
            source, line, column = source + fields[1], line + fields[2], column + fields[3]
        known = len(fields) > 1 and 0 <= source < len(names)
        if min(offset, line, column) < 0 or max(offset, line, column) >= 1 << 32:
            raise InputError(f"{what} has a number out of range")
        if known:
            yield Segment(offset, names[source], line + 1, column + 1)
        else:
            yield Segment(offset, "", 0, 0)


def _numbers(text: str, what: str) -> list[int]:
    """The VLQs of a segment: digits of five bits, the least first, the sign in the lowest bit."""
    found, value, shift = [], 0, 0
    for ch in text:
        digit = _DIGITS.get(ch)
        if digit is None or shift > 30:
            raise InputError(f"{what} has mappings that are no VLQ numbers")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            found.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if shift:
        raise InputError(f"{what} has mappings that end in the middle of a number")
    return found
