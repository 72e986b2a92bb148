"""LEB128 integers and names as core WebAssembly's binary format defines them (5.2, "Values")."""

from __future__ import annotations


def unsigned(value: int, width: int = 1) -> bytes:
    """Encode ``value`` as unsigned LEB128, padded to at least ``width`` bytes."""
    if value < 0x80 and width <= 1:
        return _ONE[value]
    if value < 0x4000 and width <= 2:
        return _LOW[value & 0x7F] + _ONE[value >> 7]
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value or len(out) + 1 < width:
            out.append(byte | 0x80)
        else:
            out.append(byte)
            return bytes(out)


_ONE = [bytes((low,)) for low in range(0x80)]
_LOW = [bytes((low | 0x80,)) for low in range(0x80)]


def signed(value: int, width: int = 1) -> bytes:
    """Encode ``value`` as signed LEB128, padded to at least ``width`` bytes."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        done = value == 0 and not byte & 0x40 or value == -1 and bool(byte & 0x40)
        if done and len(out) + 1 >= width:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def name_bytes(text: str) -> bytes:
    """``text`` as UTF-8 behind its length: ``name`` in both binary formats."""
    raw = text.encode()
    return unsigned(len(raw)) + raw
