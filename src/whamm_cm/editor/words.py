"""The words of the language as editors offer and explain them, out of its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.builtins import (
    ACTS,
    EVENT_FUNCTIONS,
    FUNCTIONS,
    METHODS,
    BuiltinFunction,
)
from whamm_cm.lang.calls import WORDS
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.tables import terminals
from whamm_cm.lang.tree import Function, Kind, Variable
from whamm_cm.lang.types import AGGREGATIONS, PRIMS
from whamm_cm.lang.valtypes import UNIT, MapT, TupleT, Type, WitT
from whamm_cm.lang.wit_values import cases_of, scalar_type, script_name
from whamm_cm.wit import types as w
from whamm_cm.wit.printer import type_text


@dataclass(frozen=True, slots=True)
class Offer:
    """``kind``: keyword, variable, function, method, field, case, type, event, interface, value.
    ``insert``: what is written, if that is not the label."""

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    insert: str = ""


#: What the functions do that have no row in ``lang/builtins.py``.
DOCS = {
    "len": "length of a list in elements, of a string in bytes",
    "handle": "the number of a handle",
    "memid": "the number of a library's memory",
    "print": "write a line: a text with {} for each value behind it",
    "trace": "write the whole typed record of this call",
}
_FIRST = re.compile(r"[a-z]+")


def keywords() -> list[str]:
    """Words of the grammar."""
    found = (_FIRST.match(p) for n, p in terminals().items() if n.isupper() and n != "WIT_RULE")
    return sorted({match[0] for match in found if match})


def types() -> Iterator[Offer]:
    for name in (*PRIMS, *AGGREGATIONS):
        yield Offer(name, "type")
    yield Offer("map", "type", "map<K, V>", insert="map<")


def shown(type_: Type | None) -> str:
    """A type as people read it; that of a WIT value in WIT's words."""
    if type_ is None:
        return ""
    return type_text(type_.type) if isinstance(type_, WitT) else str(type_)


def builtin_text(name: str, function: BuiltinFunction, shift: int = 0) -> str:
    result = "" if function.result == UNIT else f" -> {function.result}"
    return f"{name}({', '.join(map(str, function.params[shift:]))}){result}"


def builtins(acts: tuple[str, ...]) -> Iterator[Offer]:
    """Functions; of those that are bound to events the ones that are bound here."""
    bound = {**ACTS, **EVENT_FUNCTIONS}
    for name, function in {**FUNCTIONS, **{act: bound[act] for act in acts}}.items():
        yield Offer(name, "function", builtin_text(name, function), function.doc)
    for name in (*WORDS, *AGGREGATIONS):
        if name not in FUNCTIONS:
            yield Offer(name, "function", "", DOCS.get(name, ""))


def builtin_named(name: str) -> Offer | None:
    return next((one for one in builtins((*ACTS, *EVENT_FUNCTIONS)) if one.label == name), None)


def function_text(function: Function) -> str:
    params = ", ".join(f"{p.name}: {p.type}" for p in function.params)
    result = "" if function.result == UNIT else f" -> {function.result}"
    return f"fn {function.name}({params}){result}"


def variable_text(variable: Variable) -> str:
    if variable.kind is Kind.LITERAL:
        return f"const {variable.name}"
    if variable.kind is Kind.MEANING:
        return f"{variable.name}: {shown(variable.type)}"
    words = ["report"] if variable.report else []
    words += {Kind.TASK: ["task"], Kind.CELL: ["unshared"]}.get(variable.kind, [])
    return f"{' '.join((*words, 'var'))} {variable.name}: {shown(variable.type)}"


# --- members -------------------------------------------------------------------------------------


def members(type_: Type) -> Iterator[Offer]:
    """What may stand behind a point."""
    if isinstance(type_, WitT):
        yield from _wit_members(type_.type)
        type_ = scalar_type(type_.type) or type_
    if isinstance(type_, TupleT):
        for number, item in enumerate(type_.items):
            yield Offer(str(number), "field", str(item))
    kind = "map" if isinstance(type_, MapT) else str(type_)
    for name, method in METHODS.get(kind, {}).items():
        yield Offer(name, "method", builtin_text(name, method, kind != "map"), method.doc)


def _wit_members(type_: w.ValType) -> Iterator[Offer]:
    match w.strip(type_):
        case w.RecordT(fields):
            for label, inner in fields:
                yield Offer(script_name(label), "field", type_text(inner))
        case w.TupleT(types_):
            for number, inner in enumerate(types_):
                yield Offer(str(number), "field", type_text(inner))
        case found:
            for label, payload in cases_of(found):
                if payload is not None:
                    yield Offer(script_name(label), "case", type_text(payload), "its payload")


def cases(type_: Type) -> Iterator[Offer]:
    """What may stand behind ``is``."""
    if isinstance(type_, WitT):
        for label, payload in cases_of(type_.type):
            yield Offer(label, "case", "" if payload is None else type_text(payload))


def labels(type_: Type) -> Iterator[Offer]:
    """What a text is compared with, or what flags have."""
    found = w.strip(type_.type) if isinstance(type_, WitT) else None
    if isinstance(found, w.FlagsT):
        for label in found.labels:
            yield Offer(label, "value")
    elif isinstance(found, w.EnumT):
        yield from cases(type_)


def error_cases(func: w.FuncT | None) -> Iterator[Offer]:
    """What ``fail`` may answer."""
    result = None if func is None or func.result is None else w.strip(func.result)
    if isinstance(result, w.ResultT) and result.err is not None:
        yield from cases(WitT(result.err))


def library(found: LibSignature) -> Iterator[Offer]:
    for name, function in found.functions.items():
        result = "" if function.result == UNIT else f" -> {function.result}"
        text = f"{name}({', '.join(map(str, function.params))}){result}"
        yield Offer(name, "function", text)


def named_types(type_: w.ValType) -> list[w.Named]:
    """Types with names that a type consists of, each once as its interface defines it, outermost
    first."""
    found: dict[int, w.Named] = {}
    seen: set[int] = set()
    waiting = [type_]
    while waiting:
        named = type_ = waiting.pop(0)
        while isinstance(type_, w.Named):
            named, type_ = type_, type_.target
        if id(type_) not in seen:
            seen.add(id(type_))
            if isinstance(named, w.Named):
                found[id(type_)] = named
            waiting += [part for part in _parts(type_) if part is not None]
    return list(found.values())


def _parts(type_: w.ValType) -> tuple[w.ValType | None, ...]:
    match type_:
        case w.ListT(element=inner):
            return (inner,)
        case w.RecordT(fields):
            return tuple(inner for _, inner in fields)
        case w.TupleT(types_):
            return types_
    return tuple(inner for _, inner in cases_of(type_))


def explained(name: str, type_: Type | None, docs: Mapping[str, str]) -> str:
    """A bound variable: its type, and what it is."""
    numbered = name.rstrip("0123456789")
    return docs.get(name) or (docs.get(f"{numbered}N", "") if numbered != name else "")
