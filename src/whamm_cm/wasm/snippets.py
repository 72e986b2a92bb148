"""Small pieces of code that are put into functions, as bytes; indices are final ones."""

from __future__ import annotations

from whamm_cm.wasm.leb import signed, unsigned

END, UNREACHABLE, DROP, RETURN = b"\x0b", b"\x00", b"\x1a", b"\x0f"
_BLOCK, _IF, _ELSE, _EMPTY = b"\x02", b"\x04", b"\x05", b"\x40"
_ADDING = {"i32": (b"\x41", b"\x6a"), "i64": (b"\x42", b"\x7c")}


def local_get(index: int) -> bytes:
    return b"\x20" + unsigned(index)


def local_set(index: int) -> bytes:
    return b"\x21" + unsigned(index)


def global_get(index: int) -> bytes:
    return b"\x23" + unsigned(index)


def global_set(index: int) -> bytes:
    return b"\x24" + unsigned(index)


def call(index: int) -> bytes:
    return b"\x10" + unsigned(index)


def i32_const(value: int) -> bytes:
    return b"\x41" + signed(value)


def i64_const(value: int) -> bytes:
    return b"\x42" + signed(value)


def adding(kind: str) -> tuple[bytes, bytes]:
    """The opcodes of ``const`` and ``add`` of i32 or i64."""
    return _ADDING[kind]


def count(index: int, kind: str = "i64", by: int = 1) -> bytes:
    """Add ``by`` to a global of type i32 or i64."""
    const, add = _ADDING[kind]
    return global_get(index) + const + signed(by) + add + global_set(index)


def when(condition: bytes, body: bytes, otherwise: bytes = b"") -> bytes:
    """``body`` if the i32 that ``condition`` leaves is not 0; neither takes nor leaves values."""
    tail = _ELSE + otherwise if otherwise else b""
    return condition + _IF + _EMPTY + body + tail + END


def block(kind: bytes = _EMPTY) -> bytes:
    """The opening of a block of that encoded block type."""
    return _BLOCK + kind
