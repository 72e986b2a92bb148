"""Value types as text (see ``wasm.types``): taken apart, put together, encoded.

Core specification 5.3 ("Types"), with the abbreviations and proposals ``types`` reads.
"""

from __future__ import annotations

import re
from functools import lru_cache

from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.types import read_heap_type, read_val_type

_EXACT, _SHARED, _REF_NULL, _REF = b"\x62", b"\x65", b"\x63", b"\x64"
_REFERENCE = re.compile(r"\(ref (null )?(.+)\)")
_WRAPPED = re.compile(r"\((exact|shared) (.+)\)")


def _one_byte_types() -> tuple[dict[str, bytes], dict[str, bytes], dict[str, str]]:
    """(value type → byte, heap type → byte, abbreviation → heap type), as the reader has them."""
    values: dict[str, bytes] = {}
    heaps: dict[str, bytes] = {}
    abbreviations: dict[str, str] = {}
    for byte in range(0x66, 0x80):
        raw = bytes((byte,))
        try:
            values[read_val_type(Cursor(raw, 0, 1))] = raw
            heap = read_heap_type(Cursor(raw, 0, 1))
        except DecodeError:
            continue
        heaps[heap] = raw
        abbreviations[read_val_type(Cursor(raw, 0, 1))] = heap
    return values, heaps, abbreviations


_VALUES, _HEAPS, _HEAP_OF = _one_byte_types()
_ABBREVIATION = {heap: text for text, heap in _HEAP_OF.items()}


def reference(heap: str, nullable: bool = True) -> str:
    """The reference type to ``heap``: ``funcref``, ``(ref null 3)``, ``(ref extern)``."""
    if not nullable:
        return f"(ref {heap})"
    return _ABBREVIATION.get(heap) or f"(ref null {heap})"


def heap_of(kind: str) -> tuple[str, bool] | None:
    """(heap type, nullable) of a reference type, None for numbers and vectors."""
    heap = _HEAP_OF.get(kind)
    if heap is not None:
        return heap, True
    match = _REFERENCE.fullmatch(kind)
    return (match[2], match[1] is not None) if match else None


def nullable(kind: str) -> str:
    """``kind`` itself, or its nullable version: a type that locals may have without being set."""
    found = heap_of(kind)
    return kind if found is None or found[1] else reference(found[0])


def non_null(kind: str) -> str:
    """The reference type ``kind`` without null."""
    found = heap_of(kind)
    return kind if found is None else reference(found[0], False)


@lru_cache(maxsize=4096)
def encode(kind: str) -> bytes:
    """The bytes of a value type; type indices are written as they stand in it."""
    short = _VALUES.get(kind)
    if short is not None:
        return short
    found = heap_of(kind)
    if found is None:
        raise InternalError(f"{kind!r} is no value type")
    return (_REF_NULL if found[1] else _REF) + encode_heap(found[0])


def encode_heap(heap: str) -> bytes:
    """The bytes of a heap type."""
    if heap.isdecimal():
        return signed(int(heap))
    match = _WRAPPED.fullmatch(heap)
    if match and match[1] == "exact":
        return _EXACT + unsigned(int(match[2]))
    if match:
        return _SHARED + encode_heap(match[2])
    try:
        return _HEAPS[heap]
    except KeyError:
        raise InternalError(f"{heap!r} is no heap type") from None
