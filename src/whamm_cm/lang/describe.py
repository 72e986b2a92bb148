"""What a match rule means, as data: the command ``info`` prints it."""

from __future__ import annotations

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import syntax as s
from whamm_cm.lang.builtins import ACTS, EVENT_FUNCTIONS
from whamm_cm.lang.events import PACKAGE_DOCS, BoundVariable, Event, opcodes_of
from whamm_cm.lang.rules import CoreRule, events_of, parse_core_rule
from whamm_cm.lang.source import Source


@dataclass(frozen=True, slots=True)
class VariableRow:
    """``type`` is "" when a bound or the context decides; ``lifetime``: static or dynamic."""

    name: str
    type: str
    lifetime: str
    doc: str
    defined: str


@dataclass(frozen=True, slots=True)
class FunctionRow:
    name: str
    params: tuple[str, ...]
    result: str
    doc: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """``name``: ``wasm:opcode:br_if``; ``modes`` those the rule matches, as rules write them;
    ``encodings``: the opcode bytes (prefix, number); ``known``: whamm 1.0 has the event."""

    name: str
    package: str
    doc: str
    category: str
    modes: tuple[str, ...]
    variables: tuple[VariableRow, ...]
    functions: tuple[FunctionRow, ...]
    encodings: tuple[tuple[int, int], ...]
    known: bool


def describe(rule: str) -> list[EventRow]:
    """One row per event that a rule of provider wasm matches, in the order that numbers probes.

    Modes may be left out.  Raises ScriptError (named "rule") as a script with that rule would.
    """
    source = Source(0, "rule", rule)
    parsed = parse_core_rule(source, s.ProbeSyntax(rule, False, None, (), 0, len(rule)))
    if len(parsed.parts) == 3 and parsed.parts[1].matches("opcode"):
        part = parse_core_rule(source, s.ProbeSyntax(rule + ":*", False, None, (), 0, len(rule)))
        parsed = CoreRule(part.parts, part.bounds)
    return [
        row(event, tuple(mode.text for mode in modes if mode.text))
        for event, modes in events_of(source, parsed)
    ]


def row(event: Event, modes: tuple[str, ...] | None = None) -> EventRow:
    """``modes``: those that are meant, None: all."""
    modes = tuple(mode.text for mode in event.modes) if modes is None else modes
    name = ":".join(word for word in ("wasm", event.package, event.name) if word)
    codes = opcodes_of(event.name) if event.package == "opcode" else ()
    return EventRow(
        name, event.package, PACKAGE_DOCS[event.package], event.category, modes,
        tuple(_variable(variable) for variable in event.variables.values()),
        tuple(_function(function) for function in event.functions),
        tuple((code.prefix, code.code) for code in codes), event.known,
    )  # fmt: skip


def _variable(variable: BoundVariable) -> VariableRow:
    lifetime = "static" if variable.static else "dynamic"
    type_ = "" if variable.type is None else str(variable.type)
    return VariableRow(variable.name, type_, lifetime, variable.doc, variable.defined)


def _function(name: str) -> FunctionRow:
    found = EVENT_FUNCTIONS.get(name) or ACTS[name]
    return FunctionRow(name, tuple(map(str, found.params)), str(found.result), found.doc)
