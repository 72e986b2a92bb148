"""The three string encodings of the canonical ABI.

A string is a pointer and a *length word*: the number of code units, where ``latin1+utf16`` sets
the word's top bit when the units are UTF-16.  CanonicalABI.md, "load_string" and "store_string".
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from whamm_cm.abi.faults import AbiError, show
from whamm_cm.dataclass import dataclass

Encoding = Literal["utf8", "utf16", "latin1+utf16"]
Memory = bytes | bytearray | memoryview

MAX_STRING_BYTE_LENGTH = (1 << 28) - 1


@dataclass(frozen=True, slots=True)
class StringSpan:
    """What a length word says.  ``codec`` is Python's name of the encoding in use."""

    units: int
    byte_length: int
    align: int
    codec: Literal["utf-8", "utf-16-le", "latin-1"]


class EncodedString(NamedTuple):
    """``data`` goes to an address that is a multiple of ``align``."""

    data: bytes
    length_word: int
    align: int


def utf16_tag(ptr: int = 4) -> int:
    """The bit of the length word that says UTF-16 under ``latin1+utf16``."""
    return 1 << (8 * ptr - 1)


def string_span(length_word: int, encoding: Encoding, ptr: int = 4) -> StringSpan:
    """Units, bytes and encoding that a length word stands for; any word is accepted."""
    if encoding == "utf8":
        return StringSpan(length_word, length_word, 1, "utf-8")
    if encoding == "utf16":
        return StringSpan(length_word, 2 * length_word, 2, "utf-16-le")
    if encoding != "latin1+utf16":
        raise AbiError(f"unknown string encoding {show(encoding)}")
    tag = utf16_tag(ptr)
    if length_word & tag:
        units = length_word ^ tag
        return StringSpan(units, 2 * units, 2, "utf-16-le")
    return StringSpan(length_word, length_word, 2, "latin-1")


def decode_string(
    mem: Memory, address: int, length_word: int, encoding: Encoding, ptr: int = 4
) -> str:
    """The string at ``address``.  Raises AbiError where the spec traps: too long, misaligned, out
    of bounds, not valid in its encoding."""
    span = string_span(length_word, encoding, ptr)
    if span.byte_length > MAX_STRING_BYTE_LENGTH:
        raise AbiError(f"a string of {span.byte_length} bytes is over the limit of 2^28-1")
    if address % span.align:
        raise AbiError(f"a {encoding} string at 0x{address:x} is not aligned to {span.align}")
    end = address + span.byte_length
    if address < 0 or end > len(mem):
        raise AbiError(f"a string at 0x{address:x}..0x{end:x} is outside memory")
    try:
        return bytes(mem[address:end]).decode(span.codec)
    except UnicodeDecodeError as e:
        raise AbiError(f"a string at 0x{address:x} is not valid {span.codec}: {e.reason}") from e


def encode_string(text: str, encoding: Encoding, ptr: int = 4) -> EncodedString:
    """Bytes and length word of ``text``.  Raises AbiError on a lone surrogate and on a string
    longer than the spec allows."""
    try:
        encoded = _encode(text, encoding, ptr)
    except UnicodeEncodeError as e:
        raise AbiError(f"a string has no {encoding} form: {e.reason}") from e
    if len(encoded.data) > MAX_STRING_BYTE_LENGTH:
        raise AbiError(f"a string of {len(encoded.data)} bytes is over the limit of 2^28-1")
    return encoded


def _encode(text: str, encoding: Encoding, ptr: int) -> EncodedString:
    if encoding == "utf8":
        data = text.encode("utf-8")
        return EncodedString(data, len(data), 1)
    if encoding == "latin1+utf16" and all(char <= "\xff" for char in text):
        return EncodedString(text.encode("latin-1"), len(text), 2)
    if encoding not in ("utf16", "latin1+utf16"):
        raise AbiError(f"unknown string encoding {show(encoding)}")
    data = text.encode("utf-16-le")
    tag = utf16_tag(ptr) if encoding == "latin1+utf16" else 0
    return EncodedString(data, len(data) // 2 | tag, 2)
