"""Where a value of the program's source is, as expressions of a script that read it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import src_types as st
from whamm_cm.lang.numbers import INTS, normal
from whamm_cm.lang.tree import Binary, Bound, Builtin, Cast, Const, Expr, Unary
from whamm_cm.lang.valtypes import (
    BOOL,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Prim,
    Type,
)

_UNSIGNED = {1: U8, 2: U16, 4: U32, 8: U64}
_SIGNED = {1: I8, 2: I16, 4: I32, 8: I64}
_FLOATS = {4: F32, 8: F64}
_CORES = {"i32": U32, "i64": U64, "f32": F32, "f64": F64}


class NotThere(Exception):
    """A variable that is not there at a place; the text says why."""


@dataclass(frozen=True, slots=True)
class AtAddress:
    """In memory; ``address`` is a U32, or a U64 where memory has 64 bits."""

    address: Expr


@dataclass(frozen=True, slots=True)
class AtValue:
    """``value``, from byte ``offset`` on, is it: a U32, U64, F32 or F64."""

    value: Expr
    offset: int = 0


@dataclass(frozen=True, slots=True)
class AtBytes:
    """A constant."""

    value: bytes


@dataclass(frozen=True, slots=True)
class AtNowhere:
    why: str


@dataclass(frozen=True, slots=True)
class AtPieces:
    """Parts with their sizes in bytes, in order."""

    parts: tuple[tuple[Place, int], ...]


Place: TypeAlias = AtAddress | AtValue | AtBytes | AtNowhere | AtPieces


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a place in a core module: the variables of its source that are in scope, what types its
    locals and globals have (``i32`` …, None: there is none), whether its memory has 64 bits."""

    variables: Mapping[str, st.SourceVariable]
    local: Callable[[int], str | None]
    global_: Callable[[int], str | None]
    is64: bool = False

    @property
    def address(self) -> Prim:
        return U64 if self.is64 else U32

    def place(self, where: st.Where) -> Place:
        """Raises NotThere for what no script can read."""
        match where:
            case st.InMemory(address):
                return AtAddress(cast(self.address, self.term(address)))
            case st.Held(value):
                return AtValue(self.term(value))
            case st.Bits(value):
                return AtBytes(value)
            case st.Gone(why):
                return AtNowhere(why)
            case st.Pieces(parts):
                return AtPieces(tuple((self._piece(part), size) for part, size in parts))

    def _piece(self, where: st.Where) -> Place:
        try:
            return self.place(where)
        except NotThere as fault:  # which only matters to who asks for that piece
            return AtNowhere(str(fault))

    # --- terms ---

    def term(self, term: st.Term) -> Expr:
        """A U32, U64, F32 or F64."""
        op, args = term.op, term.args
        if op == "const":
            value = args[0] & ((1 << 64) - 1)
            wide = -(1 << 31) <= args[0] < 1 << 32 or value >= (1 << 64) - (1 << 31)
            type_ = U32 if wide and not self.is64 else U64
            return Const(type_, normal(type_, value))
        if op in ("local", "global"):
            return self._variable(op, args[0])
        if op == "load":
            size = args[1] or (8 if self.is64 else 4)
            if size not in _UNSIGNED:
                raise NotThere(f"described by {size} bytes at an address")
            address = cast(self.address, self.term(args[0]))
            return _generic(Builtin(_UNSIGNED[size], "src.load", (address,)))
        if op == "convert":
            kind = number_type(st.Base("", args[1], args[2]))
            if kind is None:
                raise NotThere(f"a number of {args[2]} bytes")
            return _generic(cast(kind, self.term(args[0])))
        if op in ("neg", "not"):
            operand = self._integer(args[0])
            return Unary(operand.type, "-" if op == "neg" else "~", operand)
        return self._binary(op, args[0], args[1])

    def _variable(self, op: str, index: int) -> Expr:
        kind = (self.local if op == "local" else self.global_)(index)
        if kind not in _CORES:
            raise NotThere(f"in a {op} that holds no number")
        if op == "local":
            return Bound(_CORES[kind], f"local{index}")
        return Builtin(_CORES[kind], "src.global", (Const(U32, index),))

    def _integer(self, term: st.Term) -> Expr:
        found = self.term(term)
        if found.type not in (U32, U64):
            raise NotThere("calculated from a float")
        return found

    def _binary(self, op: str, first: st.Term, second: st.Term) -> Expr:
        left, right = self._integer(first), self._integer(second)
        type_: Prim = U64 if U64 in (left.type, right.type) else U32
        if type_ == U64 and not self.is64:
            # A constant is as wide as what it is calculated with.
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Const) and other.type == U32:
                    type_ = U32
        left, right = cast(type_, left), cast(type_, right)
        signed = I64 if type_ == U64 else I32
        if op in ("==", "!=", "<", "<=", ">", ">="):
            compared = Binary(BOOL, op, cast(signed, left), cast(signed, right))
            return Cast(U32, compared)
        if op == ">>s":
            return Cast(type_, Binary(signed, ">>", cast(signed, left), cast(signed, right)))
        return Binary(type_, op, left, right)


def cast(type_: Type, value: Expr) -> Expr:
    if value.type == type_:
        return value
    if isinstance(value, Const) and isinstance(value.value, int):
        return Const(type_, normal(type_, value.value), value.span)
    return Cast(type_, value, value.span)


def _generic(value: Expr) -> Expr:
    """As terms have it: no small number."""
    if value.type in (U32, U64, F32, F64):
        return value
    return cast(U64 if value.type == I64 else U32, value)


def plus(address: Expr, more: int) -> Expr:
    if not more:
        return address
    if isinstance(address, Const):
        return Const(address.type, normal(address.type, address.value + more))  # type: ignore[operator]
    if isinstance(address, Binary) and address.op == "+" and isinstance(address.right, Const):
        return plus(address.left, address.right.value + more)  # type: ignore[operator]
    return Binary(address.type, "+", address, Const(address.type, normal(address.type, more)))


# --- parts ---------------------------------------------------------------------------------------


def part(place: Place, offset: int, size: int) -> Place:
    """So many bytes of what is at a place."""
    match place:
        case AtAddress(address):
            return AtAddress(plus(address, offset))
        case AtValue(value, start):
            return AtValue(value, start + offset)
        case AtBytes(value):
            return AtBytes(value[offset : offset + size])
        case AtNowhere():
            return place
        case AtPieces(parts):
            return _of_pieces(parts, offset, size)


def _of_pieces(parts: tuple[tuple[Place, int], ...], offset: int, size: int) -> Place:
    found, at = list[tuple[Place, int]](), 0
    for one, length in parts:
        first, end = max(offset, at), min(offset + size, at + length)
        if first < end or (not size and at <= offset < at + length):
            found.append((part(one, first - at, end - first), end - first))
        at += length
    if len(found) == 1 and found[0][1] == size:
        return found[0][0]
    return AtPieces(tuple(found)) if found else AtNowhere("optimised out")


# --- numbers -------------------------------------------------------------------------------------


def number_type(type_: st.SourceType) -> Prim | None:
    """The script's type of a number, an enum or a pointer; None: it has none."""
    match type_:
        case st.Base(_, encoding, size):
            if encoding == "bool":
                return BOOL if size in _UNSIGNED else None
            if encoding == "float":
                return _FLOATS.get(size)
            return (_SIGNED if encoding.startswith("signed") else _UNSIGNED).get(size)
        case st.Enum(_, size, signed):
            return (_SIGNED if signed else _UNSIGNED).get(size)
        case st.Pointer(_, size):
            return _UNSIGNED.get(size)
    return None


def number(place: Place, type_: Prim, size: int) -> Expr:
    """The number of so many bytes at a place.  Raises NotThere."""
    match place:
        case AtAddress(address):
            if type_ == BOOL:
                return Cast(BOOL, Builtin(_UNSIGNED[size], "src.load", (address,)))
            return Builtin(type_, "src.load", (address,))
        case AtBytes(value):
            return Const(type_, _decoded(value, type_, size))
        case AtNowhere(why):
            raise NotThere(why)
        case AtPieces(parts):
            return _shaped(_gathered(parts), type_, size)
        case AtValue(value, offset):
            if not offset:
                return _shaped(value, type_, size)
            if value.type not in (U32, U64):
                raise NotThere("in the middle of a float")
            if offset * 8 >= INTS[str(value.type)].bits:
                raise NotThere("optimised out")
            moved = Binary(value.type, ">>", value, Const(value.type, offset * 8))
            return _shaped(moved, type_, size)


def _gathered(parts: tuple[tuple[Place, int], ...]) -> Expr:
    whole: Expr | None = None
    at = 0
    for one, size in parts:
        if size not in _UNSIGNED or at + size > 8:
            raise NotThere("in pieces of odd sizes")
        bits = cast(U64, number(one, _UNSIGNED[size], size))
        if at:
            bits = Binary(U64, "<<", bits, Const(U64, at * 8))
        whole = bits if whole is None else Binary(U64, "|", whole, bits)
        at += size
    if whole is None:
        raise NotThere("optimised out")
    return whole


def _shaped(value: Expr, type_: Prim, size: int) -> Expr:
    """A U32, U64, F32 or F64 that holds a number as that number."""
    if isinstance(value, Const) and isinstance(value.value, int):
        raw = (value.value & ((1 << 64) - 1)).to_bytes(8, "little")
        return Const(type_, _decoded(raw, type_, size))
    is_float, was_float = type_ in (F32, F64), value.type in (F32, F64)
    if is_float != was_float or (is_float and type_ != value.type):
        raise NotThere("held as the bits of another type")
    return cast(type_, cast(_UNSIGNED[size], value) if type_ == BOOL else value)


def _decoded(value: bytes, type_: Prim, size: int) -> object:
    if len(value) < size:
        raise NotThere("optimised out")
    if type_ in (F32, F64):
        return struct.unpack("<f" if type_ == F32 else "<d", value[:size])[0]
    return normal(type_, int.from_bytes(value[:size], "little"))


def bits(place: Place, member: st.Member) -> Expr:
    """A bit field, at the place of its first byte.  Raises NotThere."""
    count = (member.first + member.bits + 7) // 8
    size = next((size for size in _UNSIGNED if size >= count), 0)
    type_ = number_type(member.type)
    if not size or type_ is None or type_ in (F32, F64):
        raise NotThere("a field of odd bits")
    found = cast(U64, number(place, _UNSIGNED[size], size))
    high = 64 - member.first - member.bits
    signed = I64 if INTS[str(type_)].signed else U64
    moved = Binary(U64, "<<", found, Const(U64, high)) if high else found
    down = Binary(signed, ">>", cast(signed, moved), Const(signed, 64 - member.bits))
    return cast(type_, down)
