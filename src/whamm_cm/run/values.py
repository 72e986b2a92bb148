"""Component model types and values of the wasmtime C API, to and from ours.

The Python classes of wasmtime-py lose information on the way (an untagged union for every variant,
no maps, no range checks), so this reads and writes ``wasmtime_component_val_t`` itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref
from typing import Any, Protocol

from wasmtime import _ffi as ffi

from whamm_cm.errors import RunError
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

# (type kind, value kind, union member) of wasmtime/component/{types/val,val}.h, by our name
_PRIMS = {
    "bool": (0, 0, "boolean"),
    "s8": (1, 1, "s8"),
    "s16": (2, 3, "s16"),
    "s32": (3, 5, "s32"),
    "s64": (4, 7, "s64"),
    "u8": (5, 2, "u8"),
    "u16": (6, 4, "u16"),
    "u32": (7, 6, "u32"),
    "u64": (8, 8, "u64"),
    "f32": (9, 9, "f32"),
    "f64": (10, 10, "f64"),
    "char": (11, 11, "character"),
    "string": (12, 12, "string"),
}
_PRIM_OF_KIND = {kind: name for name, (kind, _, _) in _PRIMS.items()}
_PRIM_OF_KIND[25] = "error-context"
_LIST, _RECORD, _TUPLE, _VARIANT, _ENUM, _OPTION, _RESULT, _FLAGS, _RESOURCE, _MAP = range(13, 23)
#: The layout of one value: its size, where its union is, and the kind of a byte.
_VALUE = ctypes.sizeof(ffi.wasmtime_component_val_t)
_INSIDE = ffi.wasmtime_component_val_t.of.offset
_U8 = _PRIMS["u8"][1]
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

    def taken(self, resource: Any, owned: bool) -> object:
        """The object behind a ``wasmtime_component_resource_any_t`` pointer."""

    def given(self, value: object) -> Any:
        """Such a pointer, owned by the guest from now on, for an object."""


def lower_all(
    values: Sequence[Any], types: Sequence[ValType], handles: Handles | None = None
) -> Any:
    """An array of C values for a call; give it to :func:`free_all` afterwards."""
    array = (ffi.wasmtime_component_val_t * len(values))()
    for slot, value, t in zip(array, values, types, strict=True):
        lower(slot, value, t, handles)
    return array


def free_all(array: Any) -> None:
    for slot in array:
        ffi.wasmtime_component_val_delete(byref(slot))


def _boxed(value: Any, t: ValType, handles: Handles | None) -> Any:
    slot = ffi.wasmtime_component_val_t()
    lower(slot, value, t, handles)
    return ffi.wasmtime_component_val_new(byref(slot))


def lower(slot: Any, value: Any, t: ValType, handles: Handles | None = None) -> None:
    """Fill an empty C value; what it holds is to be freed with it."""
    t, of = strip(t), slot.of
    match t:
        case Prim():
            _, slot.kind, member = _PRIMS[t.name]
            if t.name == "char":
                value = ord(value)
            setattr(of, member, ffi.str_to_capi(value) if t.name == "string" else value)
        case ListT(Prim("u8")):
            _lower_bytes(slot, value)
        case ListT():
            slot.kind = _LIST
            ffi.wasmtime_component_vallist_new_uninit(byref(of.list), len(value))
            for index, item in enumerate(value):
                lower(of.list.data[index], item, t.element, handles)
        case TupleT():
            slot.kind = _TUPLE
            ffi.wasmtime_component_valtuple_new_uninit(byref(of.tuple), len(t.types))
            for index, (item, item_type) in enumerate(zip(value, t.types, strict=True)):
                lower(of.tuple.data[index], item, item_type, handles)
        case MapT():
            slot.kind = _MAP
            ffi.wasmtime_component_valmap_new_uninit(byref(of.map), len(value))
            for index, (key, item) in enumerate(value):
                lower(of.map.data[index].key, key, t.key, handles)
                lower(of.map.data[index].value, item, t.value, handles)
        case RecordT():
            slot.kind = _RECORD
            ffi.wasmtime_component_valrecord_new_uninit(byref(of.record), len(t.fields))
            for index, (name, field) in enumerate(t.fields):
                of.record.data[index].name = ffi.str_to_capi(name)
                lower(of.record.data[index].val, value[name], field, handles)
        case _:
            _lower_choice(slot, value, t, handles)


def _lower_choice(slot: Any, value: Any, t: ValType, handles: Handles | None) -> None:
    of = slot.of
    match t:
        case VariantT():
            ((label, payload),) = value.items()
            case_type = dict(t.cases)[label]
            slot.kind, of.variant.discriminant = _VARIANT, ffi.str_to_capi(label)
            of.variant.val = None if case_type is None else _boxed(payload, case_type, handles)
        case EnumT():
            slot.kind, of.enumeration = _ENUM, ffi.str_to_capi(value)
        case FlagsT():
            slot.kind = _FLAGS
            ffi.wasmtime_component_valflags_new_uninit(byref(of.flags), len(value))
            for index, label in enumerate(value):
                of.flags.data[index] = ffi.str_to_capi(label)
        case OptionT():
            nested = isinstance(strip(t.inner), OptionT)
            inner = value["some"] if nested and value is not None else value
            slot.kind = _OPTION
            of.option = None if value is None else _boxed(inner, t.inner, handles)
        case ResultT():
            ((side, payload),) = value.items()
            side_type = t.ok if side == "ok" else t.err
            slot.kind, of.result.is_ok = _RESULT, side == "ok"
            of.result.val = None if side_type is None else _boxed(payload, side_type, handles)
        case Own() if handles is not None:
            slot.kind, of.resource = _RESOURCE, handles.given(value)
        case _:
            raise TypeError(f"a {type(t).__name__} cannot be passed to a guest")


def _lower_bytes(slot: Any, value: bytes) -> None:
    """Each byte is a value of its own to the C API: they are put in all at once."""
    slot.kind, size = _LIST, len(value)
    ffi.wasmtime_component_vallist_new_uninit(byref(slot.of.list), size)
    if size:
        image = bytearray(_VALUE * size)
        image[::_VALUE] = bytes((_U8,)) * size
        image[_INSIDE::_VALUE] = value
        ctypes.memmove(slot.of.list.data, bytes(image), len(image))


def _bytes(values: Any) -> bytes:
    if not values.size:
        return b""
    return ctypes.string_at(values.data, _VALUE * values.size)[_INSIDE::_VALUE]


def lift(slot: Any, t: ValType, handles: Handles | None = None) -> Any:
    """The Python value of a C value, which stays the caller's to free."""
    t, of = strip(t), slot.of
    match t:
        case Prim():
            value = getattr(of, _PRIMS[t.name][2])
            if t.name == "char":
                return chr(value)
            return _text(value) if t.name == "string" else value
        case ListT(Prim("u8")):
            return _bytes(of.list)
        case ListT():
            return [lift(of.list.data[i], t.element, handles) for i in range(of.list.size)]
        case TupleT():
            return [lift(of.tuple.data[i], item, handles) for i, item in enumerate(t.types)]
        case MapT():
            entries = (of.map.data[i] for i in range(of.map.size))
            return [[lift(e.key, t.key, handles), lift(e.value, t.value, handles)] for e in entries]
        case RecordT():
            entries = (of.record.data[i] for i in range(of.record.size))
            found = {_text(entry.name): entry.val for entry in entries}
            return {name: lift(found[name], field, handles) for name, field in t.fields}
        case _:
            return _lift_choice(of, t, handles)


def _lift_choice(of: Any, t: ValType, handles: Handles | None) -> Any:
    match t:
        case VariantT():
            label = _text(of.variant.discriminant)
            return {label: _unboxed(of.variant.val, dict(t.cases)[label], handles)}
        case EnumT():
            return _text(of.enumeration)
        case FlagsT():
            labels = {_text(of.flags.data[i]) for i in range(of.flags.size)}
            return [label for label in t.labels if label in labels]
        case OptionT():
            value = _unboxed(of.option, t.inner, handles) if of.option else None
            nested = isinstance(strip(t.inner), OptionT)
            return {"some": value} if nested and of.option else value
        case ResultT():
            side, side_type = ("ok", t.ok) if of.result.is_ok else ("error", t.err)
            return {side: _unboxed(of.result.val, side_type, handles)}
        case Own() | Borrow() if handles is not None:
            return handles.taken(of.resource, isinstance(t, Own))
        case _:
            return Opaque(type(t).__name__.lower())


def _unboxed(pointer: Any, t: ValType | None, handles: Handles | None) -> Any:
    return None if t is None else lift(pointer.contents, t, handles)


def _text(vec: Any) -> str:
    # The pointer of an empty vector dangles, so it must not be looked at.
    return ctypes.string_at(vec.data, vec.size).decode() if vec.size else ""
