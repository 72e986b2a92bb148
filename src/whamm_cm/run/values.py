"""Component model types and values of the wasmtime C API, to and from ours.

The Python classes of wasmtime-py lose information on the way (an untagged union for every variant,
no maps, no range checks), so this reads and writes ``wasmtime_component_val_t`` itself: as images,
the bytes of one, because ctypes takes ten times as long for each of its fields.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Sequence
from ctypes import byref
from typing import Any, Protocol, TypeAlias

from wasmtime import _ffi as ffi

from whamm_cm.errors import RunError
from whamm_cm.run import calls
from whamm_cm.run.wave import Opaque
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

# (type kind, value kind) of wasmtime/component/{types/val,val}.h, by our name
_PRIMS = {
    "bool": (0, 0),
    "s8": (1, 1),
    "s16": (2, 3),
    "s32": (3, 5),
    "s64": (4, 7),
    "u8": (5, 2),
    "u16": (6, 4),
    "u32": (7, 6),
    "u64": (8, 8),
    "f32": (9, 9),
    "f64": (10, 10),
    "char": (11, 11),
    "string": (12, 12),
}
_FORMATS = {
    "bool": "?", "s8": "b", "s16": "h", "s32": "i", "s64": "q", "u8": "B", "u16": "H", "u32": "I",
    "u64": "Q", "f32": "f", "f64": "d",
}  # fmt: skip
_PRIM_OF_KIND = {kind: name for name, (kind, _) in _PRIMS.items()}
_PRIM_OF_KIND[25] = "error-context"
_LIST, _RECORD, _TUPLE, _VARIANT, _ENUM, _OPTION, _RESULT, _FLAGS, _RESOURCE, _MAP = range(13, 23)
#: The layout of one value: its size, where its union is, the kind of a byte, the size of a name.
VALUE, _INSIDE, _U8, _NAME = 32, 8, _PRIMS["u8"][1], 16
assert ctypes.sizeof(ffi.wasmtime_component_val_t) == VALUE
assert ffi.wasmtime_component_val_t.of.offset == _INSIDE
_MASK = (1 << 64) - 1
_Pair = ctypes.c_uint64 * 2
_PAIR, _U32 = struct.Struct("<QQ").pack, struct.Struct("<I")
# Images: of what is a word, two, a number with a fraction, a variant.
_word = struct.Struct("<B7xQ16x").pack
_vec = struct.Struct("<B7xQQ8x").pack
_DOUBLE = struct.Struct("<B7xd16x").pack
_VARIANT_IMAGE = struct.Struct("<B7xQQQ").pack
_WORD, _WORDS = struct.Struct("<Q").unpack_from, struct.Struct("<QQ").unpack_from
_SHARED = {name: Prim(name) for name in _PRIM_OF_KIND.values()}


def func_type(raw: Any) -> FuncT:
    """The type behind a ``wasmtime_component_func_type_t`` pointer, which stays the caller's."""
    params: list[tuple[str, ValType]] = []
    for index in range(ffi.wasmtime_component_func_type_param_count(raw)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        slot = ffi.wasmtime_component_valtype_t()
        ffi.wasmtime_component_func_type_param_nth(
            raw, index, byref(name), byref(size), byref(slot)
        )
        params.append((_label(name, size), _take(slot)))
    result = _maybe(lambda out: ffi.wasmtime_component_func_type_result(raw, out))
    return FuncT(tuple(params), result, bool(ffi.wasmtime_component_func_type_async(raw)))


def _label(name: Any, size: ctypes.c_size_t) -> str:
    return ctypes.string_at(name, size.value).decode()


def _take(slot: Any) -> ValType:
    """Converts a type and frees it."""
    try:
        return _val_type(slot.kind, slot.of)
    finally:
        ffi.wasmtime_component_valtype_delete(byref(slot))


def _type_from(fill: Callable[[Any], object]) -> ValType:
    slot = ffi.wasmtime_component_valtype_t()
    fill(byref(slot))
    return _take(slot)


def _maybe(fill: Callable[[Any], object]) -> ValType | None:
    slot = ffi.wasmtime_component_valtype_t()
    return _take(slot) if fill(byref(slot)) else None


def _val_type(kind: int, of: Any) -> ValType:
    if kind in _PRIM_OF_KIND:
        return _SHARED[_PRIM_OF_KIND[kind]]
    make = _TYPES.get(kind)
    if make is None:
        raise RunError(f"the embedded engine reports an unknown value type (kind {kind})")
    return make(of)


def _payload(ty: Any, getter: Callable[[Any, Any], object]) -> ValType | None:
    return _maybe(lambda out: getter(ty, out))


def _fields(of: Any) -> ValType:
    count = ffi.wasmtime_component_record_type_field_count(of.record)
    fields: list[tuple[str, ValType]] = []
    for index in range(count):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        slot = ffi.wasmtime_component_valtype_t()
        ffi.wasmtime_component_record_type_field_nth(
            of.record, index, byref(name), byref(size), byref(slot)
        )
        fields.append((_label(name, size), _take(slot)))
    return RecordT(tuple(fields))


def _tuple_types(of: Any) -> ValType:
    nth = ffi.wasmtime_component_tuple_type_types_nth
    count = ffi.wasmtime_component_tuple_type_types_count(of.tuple)
    return TupleT(
        tuple(_type_from(lambda out, i=i: nth(of.tuple, i, out)) for i in range(count))  # type: ignore[misc]
    )


def _cases(of: Any) -> ValType:
    cases: list[tuple[str, ValType | None]] = []
    for index in range(ffi.wasmtime_component_variant_type_case_count(of.variant)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        has, slot = ctypes.c_bool(), ffi.wasmtime_component_valtype_t()
        ffi.wasmtime_component_variant_type_case_nth(
            of.variant, index, byref(name), byref(size), byref(has), byref(slot)
        )
        cases.append((_label(name, size), _take(slot) if has.value else None))
    return VariantT(tuple(cases))


def _labels(ty: Any, count: int, nth: Callable[..., object]) -> tuple[str, ...]:
    labels = []
    for index in range(count):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        nth(ty, index, byref(name), byref(size))
        labels.append(_label(name, size))
    return tuple(labels)


_TYPES: dict[int, Callable[[Any], ValType]] = {
    13: lambda of: ListT(
        _type_from(lambda out: ffi.wasmtime_component_list_type_element(of.list, out))
    ),
    14: _fields,
    15: _tuple_types,
    16: _cases,
    17: lambda of: EnumT(
        _labels(
            of.enum_,
            ffi.wasmtime_component_enum_type_names_count(of.enum_),
            ffi.wasmtime_component_enum_type_names_nth,
        )
    ),
    18: lambda of: OptionT(
        _type_from(lambda out: ffi.wasmtime_component_option_type_ty(of.option, out))
    ),
    19: lambda of: ResultT(
        _payload(of.result, ffi.wasmtime_component_result_type_ok),
        _payload(of.result, ffi.wasmtime_component_result_type_err),
    ),
    20: lambda of: FlagsT(
        _labels(
            of.flags,
            ffi.wasmtime_component_flags_type_names_count(of.flags),
            ffi.wasmtime_component_flags_type_names_nth,
        )
    ),
    21: lambda of: Own(Resource()),
    22: lambda of: Borrow(Resource()),
    23: lambda of: FutureT(_payload(of.future, ffi.wasmtime_component_future_type_ty)),
    24: lambda of: StreamT(_payload(of.stream, ffi.wasmtime_component_stream_type_ty)),
    26: lambda of: MapT(
        _type_from(lambda out: ffi.wasmtime_component_map_type_key(of.map, out)),
        _type_from(lambda out: ffi.wasmtime_component_map_type_value(of.map, out)),
    ),
}


def unpassable(func: FuncT) -> str | None:
    """What in a function's type the C API cannot carry: it would abort the process."""
    types = [t for _, t in func.params] + ([] if func.result is None else [func.result])
    seen: set[int] = set()
    while types:
        t = strip(types.pop())
        if id(t) in seen:
            continue
        seen.add(id(t))
        if isinstance(t, (StreamT, FutureT)):
            return "a stream" if isinstance(t, StreamT) else "a future"
        if isinstance(t, Prim) and t.name == "error-context":
            return "an error-context"
        types += _parts(t)
    return None


def _parts(t: ValType) -> list[ValType]:
    match t:
        case ListT():
            return [t.element]
        case MapT():
            return [t.key, t.value]
        case RecordT():
            return [field for _, field in t.fields]
        case TupleT():
            return list(t.types)
        case VariantT():
            return [payload for _, payload in t.cases if payload is not None]
        case OptionT():
            return [t.inner]
        case ResultT():
            return [payload for payload in (t.ok, t.err) if payload is not None]
        case _:
            return []


class Handles(Protocol):
    """What stands for resources in Python: without one they are refused, or opaque."""

    def taken(self, resource: int, owned: bool) -> object:
        """The object behind the address of a ``wasmtime_component_resource_any_t``."""

    def given(self, value: Any) -> int:
        """Such an address, owned by the guest from now on, for an object."""


#: Reads the value whose image is at a place among bytes; it stays the caller's to free.
Reader: TypeAlias = Callable[[bytes, int, Handles | None], Any]
#: The image of a value, which is to be freed by whom it is given to.
Writer: TypeAlias = Callable[[Any, Handles | None], bytes]


def lower_all(values: Sequence[Any], types: Sequence[ValType]) -> Any:
    """An array of C values for a call; give it to :func:`free_all` afterwards."""
    images = [writer(t)(value, None) for value, t in zip(values, types, strict=True)]
    return (ffi.wasmtime_component_val_t * len(images)).from_buffer_copy(b"".join(images))


def free_all(array: Any) -> None:
    for slot in array:
        ffi.wasmtime_component_val_delete(byref(slot))


def lift(slot: Any, t: ValType) -> Any:
    """The Python value of a C value, which stays the caller's to free."""
    return reader(t)(bytes(slot), 0, None)


# --- to the guest ---------------------------------------------------------------------------------


def writer(t: ValType) -> Writer:
    """How values of a type become C values."""
    t = strip(t)
    match t:
        case Prim() if t.name in _PRIMS:
            return _prim_writer(t.name)
        case ListT(Prim("u8")):
            return _bytes_image
        case ListT() | TupleT() | MapT() | RecordT():
            return _aggregate_writer(t)
        case VariantT() | OptionT() | ResultT():
            return _choice_writer(t)
        case EnumT():
            return lambda value, handles: _vec(_ENUM, *_name(value))
        case FlagsT():
            new = calls.flags_new
            return lambda value, handles: _filled(
                _FLAGS, new, len(value), [_PAIR(*_name(label)) for label in value]
            )
        case Own():
            return _resource_image
        case _:
            raise TypeError(f"a {type(t).__name__} cannot be passed to a guest")


def _prim_writer(name: str) -> Writer:
    kind = _PRIMS[name][1]
    if name == "string":
        return lambda value, handles: _vec(kind, *_name(value))
    if name == "char":
        return lambda value, handles: _word(kind, ord(value))
    if name == "f32":
        return lambda value, handles: _word(kind, *_U32.unpack(bytes(ctypes.c_float(value))))
    if name == "f64":
        return lambda value, handles: _DOUBLE(kind, value)
    # Whatever the size is, its bytes come first.
    return lambda value, handles: _word(kind, value & _MASK)


def _bytes_image(value: bytes, handles: Handles | None) -> bytes:
    """Each byte is a value of its own to the C API: they are put in all at once."""
    size = len(value)
    image = bytearray(VALUE * size)
    image[::VALUE] = bytes((_U8,)) * size
    image[_INSIDE::VALUE] = value
    return _filled(_LIST, calls.list_new, size, (bytes(image),))


def _resource_image(value: Any, handles: Handles | None) -> bytes:
    if handles is None:
        raise TypeError("a resource cannot be passed to a guest")
    return _word(_RESOURCE, handles.given(value))


def _aggregate_writer(t: ListT | TupleT | MapT | RecordT) -> Writer:
    match t:
        case ListT():
            of, new = writer(t.element), calls.list_new
            return lambda value, handles: _filled(
                _LIST, new, len(value), [of(item, handles) for item in value]
            )
        case TupleT():
            types, tuple_new = [writer(one) for one in t.types], calls.tuple_new
            return lambda value, handles: _filled(
                _TUPLE, tuple_new, len(types),
                [one(item, handles) for one, item in zip(types, value, strict=True)],
            )  # fmt: skip
        case MapT():
            key, item, map_new = writer(t.key), writer(t.value), calls.map_new
            return lambda value, handles: _filled(
                _MAP, map_new, len(value),
                [part for k, v in value for part in (key(k, handles), item(v, handles))],
            )  # fmt: skip
    fields, record_new = [(name, writer(field)) for name, field in t.fields], calls.record_new
    return lambda value, handles: _filled(
        _RECORD, record_new, len(fields),
        [part for name, one in fields
         for part in (_PAIR(*_name(name)), one(value[name], handles))],
    )  # fmt: skip


def _choice_writer(t: VariantT | OptionT | ResultT) -> Writer:
    match t:
        case VariantT():
            cases = {label: _boxer(payload) for label, payload in t.cases}

            def variant(value: Any, handles: Handles | None) -> bytes:
                ((label, payload),) = value.items()
                pointer = cases[label](payload, handles)
                return _VARIANT_IMAGE(_VARIANT, *_name(label), pointer)

            return variant
        case OptionT():
            some, nested = _boxer(t.inner), isinstance(strip(t.inner), OptionT)

            def option(value: Any, handles: Handles | None) -> bytes:
                if value is None:
                    return _word(_OPTION, 0)
                return _word(_OPTION, some(value["some"] if nested else value, handles))

            return option
    sides = {"ok": _boxer(t.ok), "error": _boxer(t.err)}

    def result(value: Any, handles: Handles | None) -> bytes:
        ((side, payload),) = value.items()
        return _vec(_RESULT, side == "ok", sides[side](payload, handles))

    return result


def _boxer(t: ValType | None) -> Callable[[Any, Handles | None], int]:
    """The address of a value on the heap, 0 where there is none."""
    if t is None:
        return lambda value, handles: 0
    of, new = writer(t), calls.value_new
    return lambda value, handles: new(of(value, handles))


def _name(text: str) -> tuple[int, int]:
    """Size and address of a copy of a text."""
    raw, out = text.encode(), _Pair()
    calls.bytes_new(out, len(raw), raw)
    return out[0], out[1]


def _filled(kind: int, new: Any, count: int, images: Iterable[bytes]) -> bytes:
    """The image of what has ``count`` parts, whose images these are."""
    out = _Pair()
    new(out, count)
    if count:
        image = b"".join(images)
        ctypes.memmove(out[1], image, len(image))
    return _vec(kind, out[0], out[1])


# --- from the guest -------------------------------------------------------------------------------


def reader(t: ValType) -> Reader:
    """How C values of a type become values of ours."""
    t = strip(t)
    match t:
        case Prim() if t.name in _PRIMS:
            return _prim_reader(t.name)
        case ListT(Prim("u8")):
            return _bytes_at
        case ListT() | TupleT() | MapT() | RecordT():
            return _aggregate_reader(t)
        case VariantT() | OptionT() | ResultT():
            return _choice_reader(t)
        case EnumT():
            return _text_at
        case FlagsT():
            labels = t.labels
            return lambda raw, at, handles: _in_order(labels, _parts_at(raw, at, _NAME))
        case Own() | Borrow():
            owned, opaque = isinstance(t, Own), Opaque(type(t).__name__.lower())
            return lambda raw, at, handles: (
                opaque if handles is None else handles.taken(_WORD(raw, at + _INSIDE)[0], owned)
            )
        case _:
            unknown = Opaque(type(t).__name__.lower())
            return lambda raw, at, handles: unknown


def _prim_reader(name: str) -> Reader:
    if name == "string":
        return _text_at
    if name == "char":
        return lambda raw, at, handles: chr(_U32.unpack_from(raw, at + _INSIDE)[0])
    unpack = struct.Struct("<" + _FORMATS[name]).unpack_from
    return lambda raw, at, handles: unpack(raw, at + _INSIDE)[0]


def _text_at(raw: bytes, at: int, handles: Handles | None = None) -> str:
    # The pointer of an empty vector dangles, so it must not be looked at.
    size, data = _WORDS(raw, at + _INSIDE)
    return ctypes.string_at(data, size).decode() if size else ""


def _bytes_at(raw: bytes, at: int, handles: Handles | None) -> bytes:
    return _parts_at(raw, at, VALUE)[_INSIDE::VALUE]


def _parts_at(raw: bytes, at: int, part: int) -> bytes:
    """The parts of a list and its like, of that size each."""
    size, data = _WORDS(raw, at + _INSIDE)
    return ctypes.string_at(data, part * size) if size else b""


def _in_order(labels: Sequence[str], names: bytes) -> list[str]:
    found = {_text_at(names, at - _INSIDE) for at in range(0, len(names), _NAME)}
    return [label for label in labels if label in found]


def _aggregate_reader(t: ListT | TupleT | MapT | RecordT) -> Reader:
    match t:
        case ListT():
            of = reader(t.element)

            def a_list(raw: bytes, at: int, handles: Handles | None) -> list[Any]:
                parts = _parts_at(raw, at, VALUE)
                return [of(parts, at, handles) for at in range(0, len(parts), VALUE)]

            return a_list
        case TupleT():
            types = [(reader(one), index * VALUE) for index, one in enumerate(t.types)]

            def a_tuple(raw: bytes, at: int, handles: Handles | None) -> list[Any]:
                parts = _parts_at(raw, at, VALUE)
                return [one(parts, at, handles) for one, at in types]

            return a_tuple
        case MapT():
            key, value = reader(t.key), reader(t.value)

            def a_map(raw: bytes, at: int, handles: Handles | None) -> list[Any]:
                parts = _parts_at(raw, at, 2 * VALUE)
                return [
                    [key(parts, at, handles), value(parts, at + VALUE, handles)]
                    for at in range(0, len(parts), 2 * VALUE)
                ]

            return a_map
    fields = [(name, reader(field)) for name, field in t.fields]

    def a_record(raw: bytes, at: int, handles: Handles | None) -> dict[str, Any]:
        parts, size = _parts_at(raw, at, _NAME + VALUE), _NAME + VALUE
        at_of = {_text_at(parts, at - _INSIDE): at + _NAME for at in range(0, len(parts), size)}
        return {name: one(parts, at_of[name], handles) for name, one in fields}

    return a_record


def _choice_reader(t: VariantT | OptionT | ResultT) -> Reader:
    match t:
        case VariantT():
            cases = {label: _unboxer(payload) for label, payload in t.cases}

            def variant(raw: bytes, at: int, handles: Handles | None) -> dict[str, Any]:
                label = _text_at(raw, at)
                pointer = _WORD(raw, at + _INSIDE + _NAME)[0]
                return {label: cases[label](pointer, handles)}

            return variant
        case OptionT():
            some, nested = _unboxer(t.inner), isinstance(strip(t.inner), OptionT)

            def option(raw: bytes, at: int, handles: Handles | None) -> Any:
                pointer = _WORD(raw, at + _INSIDE)[0]
                value = some(pointer, handles) if pointer else None
                return {"some": value} if nested and pointer else value

            return option
    ok, error = _unboxer(t.ok), _unboxer(t.err)

    def result(raw: bytes, at: int, handles: Handles | None) -> dict[str, Any]:
        pointer = _WORD(raw, at + _INSIDE + 8)[0]
        if raw[at + _INSIDE]:
            return {"ok": ok(pointer, handles)}
        return {"error": error(pointer, handles)}

    return result


def _unboxer(t: ValType | None) -> Callable[[int, Handles | None], Any]:
    if t is None:
        return lambda pointer, handles: None
    of = reader(t)
    return lambda pointer, handles: of(ctypes.string_at(pointer, VALUE), 0, handles)
