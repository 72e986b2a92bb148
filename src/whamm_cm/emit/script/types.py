"""How script values lie on the stack, in memory and in the key buffer.

On the stack and in locals a value is its *flats*.  In state memory it is its *leaves*, 8 bytes
each: integers extended to i64, f32 in the low half, a string as (u32 address, u32 length), a map
or aggregation as its id.
"""

from __future__ import annotations

from functools import lru_cache

from whamm_cm.agent.layout import DESCRIBE_AGG, Agg, NodeKind
from whamm_cm.errors import InternalError
from whamm_cm.lang import valtypes as vt

_CORE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("u8", "i8", "u16", "i16", "u32", "i32", "bool"), ("i32",)),
    **dict.fromkeys(("u64", "i64"), ("i64",)),
    "f32": ("f32",), "f64": ("f64",), "str": ("i32", "i32"), "funcref": ("funcref",),
}  # fmt: skip
LEAF_SIZE = 8

#: A leaf's kind in records and map descriptions.
NODE_KINDS: dict[str, NodeKind] = {
    "bool": NodeKind.BOOL, "i8": NodeKind.S8, "u8": NodeKind.U8, "i16": NodeKind.S16,
    "u16": NodeKind.U16, "i32": NodeKind.S32, "u32": NodeKind.U32, "i64": NodeKind.S64,
    "u64": NodeKind.U64, "f32": NodeKind.F32, "f64": NodeKind.F64, "str": NodeKind.STRING,
}  # fmt: skip


@lru_cache(maxsize=4096)
def flats(type: vt.Type) -> tuple[str, ...]:
    """The core types of a value."""
    match type:
        case vt.Prim(name):
            return _CORE[name]
        case vt.TupleT(items):
            return tuple(core for item in items for core in flats(item))
        case vt.MapT() | vt.AggT():
            return ("i32",)
    raise InternalError(f"{type} is not a value of the script")


@lru_cache(maxsize=4096)
def leaves(type: vt.Type) -> tuple[vt.Type, ...]:
    """The scalar, string, map and aggregation members of a value, in order."""
    if isinstance(type, vt.TupleT):
        return tuple(leaf for item in type.items for leaf in leaves(item))
    return (type,)


def flat_range(type: vt.Type, index: int) -> slice:
    """Which flats of a tuple belong to member ``index``."""
    assert isinstance(type, vt.TupleT)
    start = sum(len(flats(item)) for item in type.items[:index])
    return slice(start, start + len(flats(type.items[index])))


def leaf_offset(type: vt.Type, index: int) -> int:
    """Byte offset in memory of member ``index`` of a tuple."""
    assert isinstance(type, vt.TupleT)
    return LEAF_SIZE * sum(len(leaves(item)) for item in type.items[:index])


def size_of(type: vt.Type) -> int:
    return LEAF_SIZE * len(leaves(type))


def is_handle(type: vt.Type) -> bool:
    """Does a value stand for something that lives in the runtime and is made on first use?"""
    return isinstance(type, vt.MapT | vt.AggT)


def string_mask(type: vt.Type) -> int:
    """Bit ``i``: leaf ``i`` is a string."""
    return sum(1 << i for i, leaf in enumerate(leaves(type)) if leaf == vt.STR)


def _item(type: vt.Type) -> bytes:
    match type:
        case vt.TupleT(items):
            return bytes((NodeKind.TUPLE, len(items))) + b"".join(map(_item, items))
        case vt.MapT(key, value):
            return bytes((NodeKind.MAP,)) + description(key) + description(value)
        case vt.AggT(name):
            return bytes((DESCRIBE_AGG + Agg[name.upper()],))
    return bytes((NODE_KINDS[type.name],)) if isinstance(type, vt.Prim) else b""


def description(type: vt.Type) -> bytes:
    """A key's or a value's descriptor for ``report_map`` (agent/describe.h)."""
    if isinstance(type, vt.TupleT):
        return bytes((len(type.items),)) + b"".join(map(_item, type.items))
    return b"\1" + _item(type)


def image_offsets(type: vt.Type) -> tuple[tuple[int, ...], int]:
    """Offsets of a value's leaves in a record (canonical ABI), and the size of the whole."""
    offsets: list[int] = []

    def place(part: vt.Type, at: int) -> tuple[int, int]:
        """Where ``part`` ends when it may start at ``at``, and its alignment."""
        if not isinstance(part, vt.TupleT):
            size, align = _image(part)
            at = -(-at // align) * align
            offsets.append(at)
            return at + size, align
        align = max((_align(item) for item in part.items), default=1)
        at = -(-at // align) * align
        for item in part.items:
            at, _ = place(item, at)
        return -(-at // align) * align, align

    end, _ = place(type, 0)
    return tuple(offsets), end


def _image(type: vt.Type) -> tuple[int, int]:
    name = getattr(type, "name", "")
    if name == "str":
        return 8, 4
    size = {"bool": 1, "f32": 4, "f64": 8}.get(name) or int(name[1:]) // 8
    return size, size


def _align(type: vt.Type) -> int:
    if isinstance(type, vt.TupleT):
        return max(map(_align, type.items), default=1)
    return _image(type)[1]
