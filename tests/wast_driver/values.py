"""Component values: from script text, to and from wasmtime's C values, as plain Python data.

A plain value is a tuple whose first item is its kind, such as ``("u32", 7)`` or
``("record", (("x", ("u8", 1)),))``.  Floats are held as their bits, so that equality is exact;
every NaN is the same.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

from wasmtime import _ffi as ffi

from tests.wast_driver.sexpr import Atom, Form, Node, Str

Plain = tuple[Any, ...]

_SCALARS = {
    "bool": (0, "boolean"),
    "s8": (1, "s8"),
    "u8": (2, "u8"),
    "s16": (3, "s16"),
    "u16": (4, "u16"),
    "s32": (5, "s32"),
    "u32": (6, "u32"),
    "s64": (7, "s64"),
    "u64": (8, "u64"),
    "f32": (9, "f32"),
    "f64": (10, "f64"),
    "char": (11, "character"),
}
_SCALAR_OF_KIND = {kind: (name, field) for name, (kind, field) in _SCALARS.items()}
_STRING, _LIST, _RECORD, _TUPLE, _VARIANT, _ENUM, _OPTION, _RESULT, _FLAGS = range(12, 21)
_RESOURCE, _MAP = 21, 22
_FLOAT = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


class UnknownValue(Exception):
    """A value form or kind this driver cannot handle."""


def float_bits(kind: str, value: float) -> int | str:
    """The bits of a float of ``kind`` (``f32`` or ``f64``), or ``"nan"``."""
    if value != value:
        return "nan"
    as_float, as_int = _FLOAT[kind]
    bits: int = struct.unpack(as_int, struct.pack(as_float, value))[0]
    return bits


def from_form(node: Node) -> Plain:
    """The value of ``(u32.const 7)``, ``(list.const …)``, ``(option.some …)`` and so on."""
    if not isinstance(node, Form):
        raise UnknownValue(f"not a value: {node}")
    return _from_items(node.items)


def _from_items(items: tuple[Node, ...]) -> Plain:
    head = items[0].text if items and isinstance(items[0], Atom) else ""
    kind, _, form = head.partition(".")
    rest = items[1:]
    if kind in ("option", "result"):
        return (kind, form, from_form(rest[0]) if rest else None)
    if form != "const":
        raise UnknownValue(f"unknown value form {head!r}")
    if kind in _SCALARS:
        return (kind, _scalar(kind, rest[0]))
    if kind == "str":
        return ("string", _text(rest[0]))
    if kind in ("list", "tuple"):
        return (kind, tuple(from_form(item) for item in rest))
    if kind == "record":
        return (kind, tuple(_field(item) for item in rest))
    if kind == "enum":
        return (kind, _text(rest[0]))
    if kind == "variant":
        return (kind, _text(rest[0]), from_form(rest[1]) if len(rest) > 1 else None)
    if kind == "flags":
        return (kind, frozenset(_text(item) for item in rest))
    raise UnknownValue(f"unknown value form {head!r}")


def _text(node: Node) -> str:
    if isinstance(node, Str):
        return node.data.decode("utf-8", "surrogatepass")
    raise UnknownValue(f"a string is wanted, not {node}")


def _scalar(kind: str, node: Node) -> Any:
    if kind == "char":
        return ord(_text(node))
    if not isinstance(node, Atom):
        raise UnknownValue(f"not a number: {node}")
    text = node.text.replace("_", "")
    if kind == "bool":
        return text == "true"
    if kind in _FLOAT:
        if "nan" in text:
            return "nan"
        return float_bits(kind, float.fromhex(text) if "0x" in text else float(text))
    return int(text, 0)


def _field(node: Node) -> tuple[str, Plain]:
    if not isinstance(node, Form) or node.head != "field":
        raise UnknownValue(f"not a field: {node}")
    value = node.items[2]
    # Both `(field "n" (u32.const 7))` and `(field "n" u32.const 7)` are in use.
    plain = from_form(value) if isinstance(value, Form) else _from_items(node.items[2:])
    return _text(node.items[1]), plain


def to_c(value: Plain, out: Any) -> None:
    """Write ``value`` into a fresh ``wasmtime_component_val_t``; its C parts are owned by it."""
    kind = value[0]
    if kind in _SCALARS:
        number, field = _SCALARS[kind]
        out.kind = number
        setattr(out.of, field, _scalar_to_c(kind, value[1]))
    elif kind == "string":
        out.kind, out.of.string = _STRING, ffi.str_to_capi(value[1])
    elif kind == "enum":
        out.kind, out.of.enumeration = _ENUM, ffi.str_to_capi(value[1])
    elif kind == "list":
        out.kind = _LIST
        _fill(ffi.wasmtime_component_vallist_new_uninit, out.of.list, value[1])
    elif kind == "tuple":
        out.kind = _TUPLE
        _fill(ffi.wasmtime_component_valtuple_new_uninit, out.of.tuple, value[1])
    elif kind == "record":
        out.kind = _RECORD
        ffi.wasmtime_component_valrecord_new_uninit(ctypes.byref(out.of.record), len(value[1]))
        for index, (name, part) in enumerate(value[1]):
            out.of.record.data[index].name = ffi.str_to_capi(name)
            to_c(part, out.of.record.data[index].val)
    elif kind == "flags":
        out.kind = _FLAGS
        ffi.wasmtime_component_valflags_new_uninit(ctypes.byref(out.of.flags), len(value[1]))
        for index, name in enumerate(sorted(value[1])):
            out.of.flags.data[index] = ffi.str_to_capi(name)
    else:
        _cases_to_c(value, out)


def _cases_to_c(value: Plain, out: Any) -> None:
    kind, case, payload = value
    boxed = _boxed(payload) if payload is not None else None
    if kind == "variant":
        out.kind = _VARIANT
        out.of.variant.discriminant = ffi.str_to_capi(case)
        out.of.variant.val = boxed
    elif kind == "option":
        out.kind, out.of.option = _OPTION, boxed
    elif kind == "result":
        out.kind = _RESULT
        out.of.result.is_ok, out.of.result.val = case == "ok", boxed
    else:
        raise UnknownValue(f"cannot pass a {kind}")


def _boxed(value: Plain) -> Any:
    raw = ffi.wasmtime_component_val_t()
    to_c(value, raw)
    return ffi.wasmtime_component_val_new(ctypes.byref(raw))


def _fill(make: Any, vector: Any, parts: tuple[Plain, ...]) -> None:
    make(ctypes.byref(vector), len(parts))
    for index, part in enumerate(parts):
        to_c(part, vector.data[index])


def _scalar_to_c(kind: str, value: Any) -> Any:
    if kind not in _FLOAT:
        return value
    if value == "nan":
        return float("nan")
    as_float, as_int = _FLOAT[kind]
    return struct.unpack(as_float, struct.pack(as_int, value))[0]


def _name(vector: Any) -> str:
    return ffi.to_bytes(vector).decode("utf-8", "replace")


def from_c(raw: Any) -> Plain:
    """The plain value of a ``wasmtime_component_val_t``, which stays the caller's to delete."""
    kind, of = raw.kind, raw.of
    if kind in _SCALAR_OF_KIND:
        name, field = _SCALAR_OF_KIND[kind]
        value = getattr(of, field)
        return (name, float_bits(name, value) if name in _FLOAT else value)
    if kind == _STRING:
        return ("string", _name(of.string))
    if kind == _ENUM:
        return ("enum", _name(of.enumeration))
    if kind in (_LIST, _TUPLE):
        label, vector = ("list", of.list) if kind == _LIST else ("tuple", of.tuple)
        return (label, tuple(from_c(vector.data[i]) for i in range(vector.size)))
    if kind == _RECORD:
        fields = (of.record.data[i] for i in range(of.record.size))
        return ("record", tuple((_name(field.name), from_c(field.val)) for field in fields))
    if kind == _FLAGS:
        return ("flags", frozenset(_name(of.flags.data[i]) for i in range(of.flags.size)))
    if kind == _MAP:
        pairs = (of.map.data[i] for i in range(of.map.size))
        return ("map", tuple((from_c(pair.key), from_c(pair.value)) for pair in pairs))
    return _cases_from_c(kind, of)


def _cases_from_c(kind: int, of: Any) -> Plain:
    if kind == _VARIANT:
        return ("variant", _name(of.variant.discriminant), _unboxed(of.variant.val))
    if kind == _OPTION:
        return ("option", "some" if of.option else "none", _unboxed(of.option))
    if kind == _RESULT:
        return ("result", "ok" if of.result.is_ok else "err", _unboxed(of.result.val))
    if kind == _RESOURCE:
        return ("resource",)
    raise UnknownValue(f"value of kind {kind}")


def _unboxed(pointer: Any) -> Plain | None:
    return from_c(pointer.contents) if pointer else None
