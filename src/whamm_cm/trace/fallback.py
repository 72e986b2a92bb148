"""Answers of a type where nobody knows any, as records have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: Cases of errors that say best that there is no answer; the first that a type has counts.
_CASES = (
    "not-supported", "unsupported", "unavailable", "internal-error", "unknown", "io", "other",
    "closed",
)  # fmt: skip
_SAID = "not in the recording"


def fallback(t: ValType | None, number: Callable[[], int], *, good: bool = False) -> Any:
    """An answer: the error of a result, with ``good`` its success; else what is least of the type.
    ``number`` numbers a resource that has to be made up."""
    whole = None if t is None else strip(t)
    if isinstance(whole, ResultT) and not good:
        return {"error": _error(whole.err, number)}
    return _least(whole, number)


def _error(t: ValType | None, number: Callable[[], int]) -> Any:
    found = None if t is None else strip(t)
    if isinstance(found, EnumT):
        return next((case for case in _CASES if case in found.labels), found.labels[0])
    if isinstance(found, VariantT):
        cases = dict(found.cases)
        name = next((case for case in _CASES if case in cases), found.cases[0][0])
        return {name: _error(cases[name], number)}
    return _SAID if isinstance(found, Prim) and found.name == "string" else _least(found, number)


def _least(t: ValType | None, number: Callable[[], int]) -> Any:
    found = None if t is None else strip(t)
    match found:
        case Prim("string"):
            return ""
        case Prim("bool"):
            return False
        case Prim("char"):
            return "\0"
        case ListT(Prim("u8"), None):
            return {"~b64": ""}
        case ListT():
            return [_least(found.element, number) for _ in range(found.length or 0)]
        case Prim():
            return 0
        case MapT() | FlagsT():
            return []
        case RecordT():
            return {name: _least(of, number) for name, of in found.fields}
        case TupleT():
            return [_least(of, number) for of in found.types]
        case EnumT():
            return found.labels[0]
        case VariantT():
            name, payload = found.cases[0]
            return {name: _least(payload, number)}
        case ResultT():
            return {"ok": _least(found.ok, number)}
        case Own() | Borrow():
            return number()
        case OptionT():
            return None
    return None
