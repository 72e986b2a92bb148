"""Small pieces of code that are put into functions, as bytes; indices are final ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.valtypes import nullable

END, UNREACHABLE, DROP, RETURN = b"\x0b", b"\x00", b"\x1a", b"\x0f"
_BLOCK, _IF, _ELSE, _EMPTY, _AS_NON_NULL = b"\x02", b"\x04", b"\x05", b"\x40", b"\xd4"
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


class Saved(NamedTuple):
    """Values taken off the stack into locals, top first, and put back as they are then.

    ``save`` and ``restore`` are code; between them the locals may be read and set.  A local's type
    is ``types``' but for references, which locals hold as nullable ones.
    """

    save: bytes
    locals: tuple[int, ...]
    types: tuple[str, ...]
    restore: bytes


def saved(types: Iterable[str], locals_: Iterable[int]) -> Saved:
    """Save values of those types, top first, in those locals."""
    kinds, places = tuple(types), tuple(locals_)
    restore = b"".join(
        local_get(place) + (b"" if nullable(kind) == kind else _AS_NON_NULL)
        for kind, place in zip(reversed(kinds), reversed(places), strict=True)
    )
    return Saved(b"".join(map(local_set, places)), places, kinds, restore)
