"""What a record is, and why a JSON value is none: the shapes of docs/records.md."""

from __future__ import annotations

from typing import Any, TypeAlias

from whamm_cm.trace.types import value_fault

#: One record as in "Record as JSON": the keys of a JSON object, unknown ones kept.
Record: TypeAlias = dict[str, Any]

#: Record formats this reader knows (``"v"``).
VERSIONS = (1, 2)

PHASES = (
    *("call", "return", "exit", "started", "resumed", "report", "dropped", "print", "start", "end"),
    *("lost", "handle", "request", "answer", "recording"),
)
#: Phases of records that a host makes who knows of requests.
HOSTED = ("request", "answer")
#: Levels of values in values: more than a sink writes (agent/layout.py, MAX_DEPTH).
MAX_NESTING = 200
_INTS = (
    *("seq", "instance", "call", "task", "self", "status", "count", "dur_ns", "fid", "pc"),
    *("wall_ns", "req", "sample", "recording"),
)
_TEXTS = (
    *("edge", "component", "interface", "version", "func", "run", "source", "why"),
    *("script", "var", "probe", "module", "fname", "type", "cancelled"),
    *("method", "path", "authority", "scheme", "traceparent", "peer", "url", "error"),
)
_FLAGS = ("pending", "bad", "big", "raw", "anew")
_NEEDED = {
    "call": ("func", "call", "instance"),
    "return": ("func", "call", "instance"),
    "exit": ("func", "call", "instance"),
    "started": ("func", "call", "instance"),
    "resumed": ("func", "call", "instance"),
    "handle": ("func", "instance"),
    "report": ("count", "instance"),
    "dropped": ("count", "instance"),
    "print": ("text", "instance"),
    "start": (),
    "end": (),
    "lost": ("lost",),
    "request": ("req",),
    "answer": ("req",),
    "recording": ("recording",),
}
_NEEDED_OF_VARIABLE = ("type", "instance")


def fault_of(value: Record) -> str:
    """Why ``value`` is no record, "" if it is one. Unknown keys are no fault."""
    phase = value.get("phase")
    if not isinstance(phase, str) or phase not in _NEEDED:
        return f'not a record: no "phase" of {", ".join(PHASES[:-1])} or {PHASES[-1]}'
    version = value.get("v", 1)
    if type(version) is not int or version not in VERSIONS:
        return f"record format {version!r:.20} is not known; read this log with a newer whamm-cm"
    for key, held in value.items():
        kind = type(held)
        want = _KINDS.get(key)
        if want is not None and (kind is not want or kind is int and not 0 <= held < 1 << 64):
            fault = _CHECKS[key](held)
            if fault:
                return f'"{key}" is {fault}'
        if kind is dict or kind is list:
            if key in ("handles", "inner") and _names(held):
                return f'"{key}" is {_names(held)}'
            if _too_deep(held, MAX_NESTING):
                return f"{key!a:.40} is nested too deeply"
    variable = phase == "report" and "var" in value
    for key in _NEEDED_OF_VARIABLE if variable else _NEEDED[phase]:
        if key not in value:
            return f'"{key}" is missing'
    if variable and "value" in value:
        fault = value_fault(value["type"], value["value"])
        return f'"value" is {fault}' if fault else ""
    return ""


def _too_deep(held: dict[str, Any] | list[Any], left: int) -> bool:
    if not left:
        return True
    for each in held.values() if isinstance(held, dict) else held:
        if isinstance(each, dict | list) and _too_deep(each, left - 1):
            return True
    return False


def _int(held: object) -> str:
    good = type(held) is int and 0 <= held < 1 << 64
    return "" if good else "not an integer of 64 bits"


def _time(held: object) -> str:
    """Signed: on a common base, a run may have begun before the first that was seen."""
    good = type(held) is int and -1 << 63 <= held < 1 << 64
    return "" if good else "not an integer of 64 bits"


def _text(held: object) -> str:
    return "" if isinstance(held, str) else "not a string"


def _bool(held: object) -> str:
    return "" if isinstance(held, bool) else "not true or false"


def _object(held: object) -> str:
    return "" if isinstance(held, dict) else "not an object"


def _names(held: object) -> str:
    good = isinstance(held, dict) and all(isinstance(text, str) for text in held.values())
    return "" if good else "not an object of strings"


def _printed(held: object) -> str:
    """What a script printed: a string, whole or cut."""
    return value_fault("str", held)


def _lost(held: object) -> str:
    return "" if held == "unknown" else _int(held)


_CHECKS = {
    **dict.fromkeys(_INTS, _int),
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_FLAGS, _bool),
    "t_ns": _time,
    "args": _object,
    "handles": _names,
    "inner": _names,
    "text": _printed,
    "lost": _lost,
}
#: What most records hold under these keys: no more is asked of a value of that type (integers have
#: bounds, and objects a depth).
_KINDS: dict[str, type] = {
    **dict.fromkeys((*_INTS, "t_ns", "lost"), int),
    **dict.fromkeys((*_TEXTS, "text"), str),
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(("args", "handles", "inner"), dict),
}
