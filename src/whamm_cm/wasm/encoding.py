"""Parts of core modules as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

from whamm_cm.wasm import asm, valtypes
from whamm_cm.wasm.cursor import Buffer
from whamm_cm.wasm.leb import name_bytes, signed, unsigned
from whamm_cm.wasm.types import KINDS

#: A value type: its name, or its encoding.
ValType: TypeAlias = "str | bytes"

_INTEGERS = {b"\x7f": (b"\x41", 32), b"\x7e": (b"\x42", 64)}
_FLOATS = {b"\x7d": b"\x43", b"\x7c": b"\x44"}


def value_type(kind: ValType) -> bytes:
    return kind if isinstance(kind, bytes) else valtypes.encode(kind)


def func_type(params: Iterable[ValType], results: Iterable[ValType]) -> bytes:
    lists = ([value_type(kind) for kind in kinds] for kinds in (params, results))
    return b"\x60" + b"".join(asm.vector(kinds) for kinds in lists)


def global_type(kind: ValType, mutable: bool) -> bytes:
    return value_type(kind) + bytes((mutable,))


def constant(kind: ValType, value: int | float | bytes) -> bytes:
    """A constant expression with its ``end``; bytes are one already, but for the ``end``."""
    if isinstance(value, bytes):
        return value + b"\x0b"
    encoded = value_type(kind)
    if encoded in _FLOATS:
        return _FLOATS[encoded] + struct.pack("<f" if encoded == b"\x7d" else "<d", value) + b"\x0b"
    opcode, bits = _INTEGERS[encoded]
    wrapped = int(value) & (1 << bits) - 1
    return opcode + signed(wrapped - (wrapped >> bits - 1 << bits)) + b"\x0b"


def entry(content: Sequence[Buffer]) -> list[Buffer]:
    """An entry of the code section: the size of ``content``, and ``content``."""
    return [unsigned(sum(map(len, content))), *content]


def local_groups(kinds: Sequence[ValType]) -> list[bytes]:
    """Declarations of locals: as many as types change in ``kinds``."""
    return [
        unsigned(len(list(same))) + kind for kind, same in groupby(value_type(k) for k in kinds)
    ]


def export(name: str, kind: str, index: int) -> bytes:
    """``kind`` is of ``core_types.KINDS``."""
    return name_bytes(name) + bytes((KINDS.index(kind),)) + unsigned(index)


def imported(module: str, name: str, kind: str, described: bytes) -> bytes:
    return name_bytes(module) + name_bytes(name) + bytes((KINDS.index(kind),)) + described


def data_segment(memory: int, is64: bool, offset: int, payload: bytes) -> bytes:
    """An active segment at a constant offset."""
    mode = b"\2" + unsigned(memory) if memory else b"\0"
    address = constant("i64" if is64 else "i32", offset)
    return mode + address + unsigned(len(payload)) + payload


def declared_funcs(funcs: Iterable[int]) -> bytes:
    """A declarative element segment: allows ``ref.func`` of those functions."""
    return b"\3\0" + asm.vector([unsigned(index) for index in funcs])
