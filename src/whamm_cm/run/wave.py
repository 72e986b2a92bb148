r"""WAVE, the text encoding of component model values: reading and writing.

Values have the shapes of :mod:`whamm_cm.abi.values`.  Maps, which WAVE does not know yet, are
written as the list of tuples they despecialise to: ``[("a", 1), ("b", 2)]``.  Handles, streams,
futures and error-contexts cannot be written down.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.run.wave_scan import KEYWORDS, Scanner, WaveError
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

__all__ = [
    "Invocation",
    "Opaque",
    "WaveError",
    "format_value",
    "parse_arguments",
    "parse_invocation",
    "parse_value",
]

_MAX_DEPTH = 200
_INTS = {
    f"{sign}{bits}": (-(1 << bits - 1) if sign == "s" else 0, (1 << bits - (sign == "s")) - 1)
    for sign in "su"
    for bits in (8, 16, 32, 64)
}


@dataclass(frozen=True, slots=True)
class Opaque:
    """A result that has no text form, such as a handle; ``what`` is shown in its place."""

    what: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """``name(arguments)`` as written; ``start`` is where the arguments begin, None without any
    parentheses (a call without arguments)."""

    text: str
    name: str
    start: int | None


def parse_invocation(text: str) -> Invocation:
    """Splits ``name(args…)``; the arguments wait for the types of the export of that name."""
    name, paren, _ = text.partition("(")
    if not name.strip():
        raise WaveError("expected the name of an export", text, 0)
    return Invocation(text, name.strip(), len(name) + 1 if paren else None)


def parse_arguments(call: Invocation, params: Sequence[tuple[str, ValType]]) -> list[Any]:
    """The arguments of a call, in the order of ``params``; options at the end may be left out."""
    scan = Scanner(call.text, len(call.text) if call.start is None else call.start)
    values: list[Any] = []
    while call.start is not None and scan.peek() != ")":
        if not scan.peek():
            raise scan.fail("expected ')'" + (" or a value" if len(values) < len(params) else ""))
        if len(values) == len(params):
            raise scan.fail(f"too many arguments: {_signature(call.name, params)}")
        values.append(_Reader(scan).value(params[len(values)][1], 0))
        if not scan.accept(","):
            break
    missing = params[len(values) :]
    if any(not isinstance(strip(t), OptionT) for _, t in missing):
        raise scan.fail(f"argument '{missing[0][0]}' is missing: {_signature(call.name, params)}")
    if call.start is not None:
        scan.expect(")", "after the arguments")
        if scan.peek():
            raise scan.fail("nothing may follow the call")
    return values + [None] * len(missing)


def parse_value(text: str, t: ValType) -> Any:
    """One value of type ``t``; raises :class:`WaveError`."""
    scan = Scanner(text)
    value = _Reader(scan).value(t, 0)
    if scan.peek():
        raise scan.fail("nothing may follow the value")
    return value


def _signature(name: str, params: Sequence[tuple[str, ValType]]) -> str:
    return f"{name} takes ({', '.join(label for label, _ in params)})"


class _Reader:
    """A parser that is told by the type what to expect next."""

    def __init__(self, scan: Scanner) -> None:
        self.scan = scan

    def value(self, t: ValType, depth: int) -> Any:
        t = strip(t)
        if depth > _MAX_DEPTH:
            raise self.scan.fail("this value is nested too deeply")
        read = _READERS.get(type(t))
        if read is None:
            raise self.scan.fail(f"a value of type {type(t).__name__.lower()} cannot be written")
        return read(self, t, depth + 1)

    def read_prim(self, t: Prim, depth: int) -> Any:
        scan, name = self.scan, t.name
        value: Any
        if name == "bool":
            word = scan.accept_keyword("true", "false")
            value = None if word is None else word == "true"
        elif name == "string":
            value = scan.accept_string()
        elif name == "char":
            value = scan.accept_char()
        elif name in _INTS:
            value = self.integer(name)
        elif name in ("f32", "f64"):
            number = scan.accept_keyword("nan", "inf") or scan.accept_number()
            value = None if number is None else float(number)
            if value is not None and name == "f32":
                value = ctypes.c_float(value).value  # rounds; too large becomes infinite
        else:
            raise scan.fail(f"a value of type {name} cannot be written")
        if value is None:
            raise scan.fail(f"expected a {name}")
        return value

    def integer(self, name: str) -> int | None:
        self.scan.skip()
        start = self.scan.pos
        text = self.scan.accept_number()
        if text is None:
            return None
        if not text.removeprefix("-").isdecimal():
            raise self.scan.fail(f"expected a whole number for {name}", start)
        low, high = _INTS[name]
        # Twenty digits hold any 64-bit number; int() of a huge text is slow and may be refused.
        if len(text) > 21 or not low <= int(text) <= high:
            raise self.scan.fail(f"this number does not fit {name} ({low} to {high})", start)
        return int(text)

    def sequence(self, close: str, one: Callable[[int], Any]) -> list[Any]:
        """Comma-separated items up to ``close``; a trailing comma is fine."""
        items: list[Any] = []
        while not self.scan.accept(close):
            items.append(one(len(items)))
            if not self.scan.accept(","):
                self.scan.expect(close, "or ','")
                break
        return items

    def read_list(self, t: ListT, depth: int) -> Any:
        self.scan.skip()
        start = self.scan.pos
        self.scan.expect("[", "to begin a list")
        items = self.sequence("]", lambda _: self.value(t.element, depth))
        if t.length is not None and t.length != len(items):
            raise self.scan.fail(f"expected {t.length} elements, found {len(items)}", start)
        element = strip(t.element)
        is_bytes = t.length is None and isinstance(element, Prim) and element.name == "u8"
        return bytes(items) if is_bytes else items

    def read_map(self, t: MapT, depth: int) -> list[list[Any]]:
        pair = TupleT((t.key, t.value))
        self.scan.expect("[", "to begin a map, as a list of tuples")
        return self.sequence("]", lambda _: self.value(pair, depth))

    def read_tuple(self, t: TupleT, depth: int) -> list[Any]:
        def one(index: int) -> Any:
            if index == len(t.types):
                raise self.scan.fail(f"this tuple has only {len(t.types)} elements")
            return self.value(t.types[index], depth)

        self.scan.expect("(", "to begin a tuple")
        items = self.sequence(")", one)
        if len(items) < len(t.types):
            found = f"found {len(items)}"
            raise self.scan.fail(f"expected {len(t.types)} elements, {found}", self.scan.pos - 1)
        return items

    def read_record(self, t: RecordT, depth: int) -> dict[str, Any]:
        types = dict(t.fields)
        found: dict[str, Any] = {}
        self.scan.expect("{", "to begin a record")
        if self.scan.accept(":"):
            self.scan.expect("}", "after '{:'")
        else:
            self.sequence("}", lambda _: self.field(types, found, depth))
        for label, field in t.fields:
            if label not in found:
                if not isinstance(strip(field), OptionT):
                    raise self.scan.fail(f"field '{label}' is missing", self.scan.pos - 1)
                found[label] = None
        return {label: found[label] for label, _ in t.fields}

    def field(self, types: dict[str, ValType], found: dict[str, Any], depth: int) -> None:
        label = self.label(types, "field")
        if label in found:
            raise self.scan.fail(f"field '{label}' is given twice")
        self.scan.expect(":", f"after field '{label}'")
        found[label] = self.value(types[label], depth)

    def label(self, known: Sequence[str] | dict[str, Any], what: str) -> str:
        self.scan.skip()
        start = self.scan.pos
        label = self.scan.accept_label()
        if label is None or label[0] not in known:
            choices = ", ".join(list(known)[:20])
            raise self.scan.fail(f"expected a {what} (one of {choices})", start)
        return label[0]

    def case(self, known: Sequence[str] | dict[str, Any]) -> str:
        self.scan.skip()
        start = self.scan.pos
        label = self.label(known, "case")
        if label in KEYWORDS and self.scan.text[start] != "%":
            raise self.scan.fail(f"write case '{label}' as %{label}: it is a WAVE keyword", start)
        return label

    def read_flags(self, t: FlagsT, depth: int) -> list[str]:
        self.scan.expect("{", "to begin flags")
        found = self.sequence("}", lambda _: self.label(t.labels, "flag"))
        return [label for label in t.labels if label in found]

    def read_enum(self, t: EnumT, depth: int) -> str:
        return self.case(t.labels)

    def read_variant(self, t: VariantT, depth: int) -> dict[str, Any]:
        cases = dict(t.cases)
        label = self.case(cases)
        return {label: self.payload(cases[label], f"case '{label}'", depth)}

    def payload(self, t: ValType | None, what: str, depth: int) -> Any:
        if t is None:
            if self.scan.peek() == "(":
                raise self.scan.fail(f"{what} has no payload")
            return None
        self.scan.expect("(", f"and the payload of {what}")
        value = self.value(t, depth)
        self.scan.expect(")", f"after the payload of {what}")
        return value

    def read_option(self, t: OptionT, depth: int) -> Any:
        nested = isinstance(strip(t.inner), OptionT)
        word = self.scan.accept_keyword("some", "none")
        if word == "none":
            return None
        if word is None and isinstance(strip(t.inner), (OptionT, ResultT)):
            raise self.scan.fail("expected some(…) or none")
        value = self.value(t.inner, depth) if word is None else self.payload(t.inner, word, depth)
        return {"some": value} if nested else value

    def read_result(self, t: ResultT, depth: int) -> dict[str, Any]:
        word = self.scan.accept_keyword("ok", "err")
        if word == "err":
            return {"error": self.payload(t.err, word, depth)}
        if word == "ok":
            return {"ok": self.payload(t.ok, word, depth)}
        if t.ok is None or isinstance(strip(t.ok), (OptionT, ResultT)):
            raise self.scan.fail("expected ok or err")
        return {"ok": self.value(t.ok, depth)}


_READERS: dict[type, Callable[[_Reader, Any, int], Any]] = {
    Prim: _Reader.read_prim,
    ListT: _Reader.read_list,
    MapT: _Reader.read_map,
    RecordT: _Reader.read_record,
    TupleT: _Reader.read_tuple,
    VariantT: _Reader.read_variant,
    EnumT: _Reader.read_enum,
    FlagsT: _Reader.read_flags,
    OptionT: _Reader.read_option,
    ResultT: _Reader.read_result,
}


def format_value(value: Any, t: ValType) -> str:
    """The WAVE text of a value: options, results and records in their long forms."""
    t = strip(t)
    if isinstance(value, Opaque):
        return f"<{value.what}>"
    write = _WRITERS.get(type(t))
    return f"<{type(t).__name__.lower()}>" if write is None else write(value, t)


def _prim(value: Any, t: Prim) -> str:
    if t.name == "bool":
        return "true" if value else "false"
    if t.name == "f32":
        return _f32(value)
    if t.name == "char":
        return "'" + _escape(value, "'") + "'"
    return '"' + _escape(value, '"') + '"' if t.name == "string" else repr(value)


def _f32(value: float) -> str:
    """The shortest text that reads back as the same 32-bit float."""
    if value != value or value in (float("inf"), float("-inf")):
        return repr(value)
    for digits in range(1, 9):
        text = repr(float(f"{value:.{digits}g}"))
        if ctypes.c_float(float(text)).value == value:
            return text
    return repr(float(f"{value:.9g}"))  # nine digits always tell one f32 from the next


def _escape(text: str, quote: str) -> str:
    known = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", quote: "\\" + quote}
    return "".join(
        known.get(c) or (c if c.isprintable() or c == " " else f"\\u{{{ord(c):x}}}") for c in text
    )


def _case(label: str) -> str:
    return f"%{label}" if label in KEYWORDS else label


def _list(value: Any, t: ListT) -> str:
    return "[" + ", ".join(format_value(item, t.element) for item in value) + "]"


def _map(value: Any, t: MapT) -> str:
    return "[" + ", ".join(_tuple(pair, TupleT((t.key, t.value))) for pair in value) + "]"


def _tuple(value: Any, t: TupleT) -> str:
    pairs = zip(value, t.types, strict=True)
    return "(" + ", ".join(format_value(item, item_type) for item, item_type in pairs) + ")"


def _record(value: Any, t: RecordT) -> str:
    return "{" + ", ".join(f"{k}: {format_value(value[k], field)}" for k, field in t.fields) + "}"


def _variant(value: Any, t: VariantT) -> str:
    ((label, payload),) = value.items()
    return _case(label) + _payload(payload, dict(t.cases)[label])


def _payload(value: Any, t: ValType | None) -> str:
    return "" if t is None else f"({format_value(value, t)})"


def _option(value: Any, t: OptionT) -> str:
    if value is None:
        return "none"
    inner = value["some"] if isinstance(strip(t.inner), OptionT) else value
    return f"some({format_value(inner, t.inner)})"


def _result(value: Any, t: ResultT) -> str:
    ((side, payload),) = value.items()
    return "ok" + _payload(payload, t.ok) if side == "ok" else "err" + _payload(payload, t.err)


_WRITERS: dict[type, Callable[[Any, Any], str]] = {
    Prim: _prim,
    ListT: _list,
    MapT: _map,
    RecordT: _record,
    TupleT: _tuple,
    VariantT: _variant,
    EnumT: lambda value, t: _case(value),
    FlagsT: lambda value, t: "{" + ", ".join(value) + "}",
    OptionT: _option,
    ResultT: _result,
}
