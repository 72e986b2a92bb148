"""What a script is given from outside: ``$name``, ``$1`` and ``param name = …;``.

A value is a text, as it stood on the command line.  It is never pasted into the script: it is a
literal by itself, so that nothing in it can mean anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from whamm_cm.errors import UsageError, nearest
from whamm_cm.lang import syntax as s
from whamm_cm.lang.numbers import INTS, rounded
from whamm_cm.lang.source import ScriptError, Source
from whamm_cm.lang.tree import Const
from whamm_cm.lang.types import FLOATS
from whamm_cm.lang.valtypes import BOOL, I64, STR, U64, Type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT = re.compile(r"-?(?:0[xX][0-9A-Fa-f][0-9A-Fa-f_]*|0[bB][01][01_]*|[0-9][0-9_]*)")
_FLOAT = re.compile(r"-?[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][+-]?[0-9]{1,12})?|[eE][+-]?[0-9]{1,12})")
_FLOAT_WORD = re.compile(r"-?(?:inf|infinity|nan)", re.I)
#: Bytes of one value.
MAX_LENGTH = 64 << 10
#: Digits that no number of 64 bits has.
_DIGITS = 100
#: How much of a value messages show.
_SHOWN = 40


# --- from the command line -----------------------------------------------------------------------


def given(defined: Iterable[tuple[str, object]], listed: Iterable[object]) -> dict[str, str]:
    """Values by what scripts call them: ``name`` of ``-D name=value``, ``1`` of ``--arg``.

    Raises UsageError for what is no name, no text or given twice.
    """
    found: dict[str, str] = {}
    for name, value in defined:
        if not _NAME.fullmatch(name):
            hint = "; --arg gives $1, $2 and so on" if name.isdigit() else ""
            raise UsageError(f"-D {name!r}: names have letters, digits and _{hint}")
        if name in found:
            raise UsageError(f"-D {name} is given twice")
        found[name] = _text(f"-D {name}", value)
    for number, value in enumerate(listed, 1):
        found[str(number)] = _text(f"--arg {number}", value)
    return found


def _text(what: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise UsageError(f"{what}: {type(value).__name__} is no value; give a number, bool or text")
    text = value if isinstance(value, str) else repr(value)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what}: the value is not UTF-8 text") from None
    if size > MAX_LENGTH:
        raise UsageError(f"{what}: the value is longer than {MAX_LENGTH} bytes")
    return text


def check_used(given: Mapping[str, str], known: Iterable[str]) -> None:
    """``known``: what scripts ask for.  Raises UsageError for what is given beside it."""
    names = set(known)
    for name in given:
        if name in names:
            continue
        if name.isdigit():
            value = said(given, name)
            raise UsageError(f"{value} is for nothing: no script has ${name}; leave it out")
        close = nearest(name, (one for one in names if not one.isdigit()))
        hint = f"did you mean -D {close}?" if close else f"write ${name} where it is meant"
        raise UsageError(f"-D {name}: no script has such a parameter; {hint}")


# --- in scripts ----------------------------------------------------------------------------------


def named(script: s.Script) -> set[str]:
    """All parameters that a script mentions or declares."""
    found: set[str] = set()
    stack: list[object] = [script]
    while stack:
        node = stack.pop()
        if isinstance(node, s.Parameter) or (isinstance(node, s.Decl) and node.param):
            found.add(node.name)
        if isinstance(node, tuple):
            stack.extend(child for child in node if isinstance(child, tuple))
    return found


def literal(source: Source, given: Mapping[str, str], node: s.Parameter) -> s.ExprSyntax:
    """What ``$name`` stands for: a number, true or false, else a text."""
    text = _value(source, given, node)
    if text in ("true", "false"):
        return s.Name(text, node.at, node.end)
    number = _number(text)
    if number is not None:
        return s.Number(number, node.at, node.end)
    return s.String(text, node.at, node.end)


def string(source: Source, given: Mapping[str, str], node: s.Parameter) -> s.String:
    """The same where a text is wanted."""
    return s.String(_value(source, given, node), node.at, node.end)


def said(given: Mapping[str, str], name: str) -> str:
    """How a value was given."""
    text = given[name]
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"--arg {name} ({text!r})" if name.isdigit() else f"-D {name}={text!r}"


def _value(source: Source, given: Mapping[str, str], node: s.Parameter) -> str:
    if node.name in given:
        return given[node.name]
    if not node.name.isdigit():
        raise _error(source, node, "is not given", f"pass -D {node.name}=VALUE, or declare"
                     f" param {node.name} = …; with what it is without")  # fmt: skip
    there = sum(name.isdigit() for name in given)
    if node.name.startswith("0"):
        raise _error(source, node, "is no parameter", "the first is $1")
    raise _error(source, node, "is not given", f"pass --arg VALUE{_so_far(there)}")


def _so_far(there: int) -> str:
    return f" again; there {'is' if there == 1 else 'are'} {there} so far" if there else ""


def _error(source: Source, node: s.Parameter, what: str, hint: str) -> ScriptError:
    return source.error(f'"${node.name}" {what}', node.at, node.end, hint)


def _number(text: str) -> int | float | None:
    if _INT.fullmatch(text):
        return _integer(text)
    if not _FLOAT.fullmatch(text) or len(text) > _DIGITS:
        return None
    return float(text.replace("_", ""))


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    digits = digits.replace("_", "")
    if digits[:2].lower() in ("0x", "0b"):
        return sign * int(digits, 0)
    digits = digits.lstrip("0") or "0"
    # Python would not read more than some thousand of them.
    return sign * (int(digits) if len(digits) <= _DIGITS else 10**_DIGITS)


def overridden(
    source: Source, given: Mapping[str, str], node: s.Decl, default: Const, is_literal: bool
) -> Const:
    """What ``param name = default;`` is when it is given: a value of the same type.

    ``is_literal``: a number that takes its type from where it stands.  Raises ScriptError.
    """
    type_ = default.type
    if is_literal and isinstance(default.value, int):
        type_ = I64 if -(1 << 63) <= (_number(given[node.name]) or 0) < 1 << 63 else U64
    found = _of_type(given[node.name], type_)
    if found is None:
        kind = INTS.get(str(type_)) if type_ != BOOL else None
        range_ = f", which is {kind.low} to {kind.high}" if kind else ""
        what = "whole number of 64 bits" if is_literal and kind else str(type_)
        range_ = "" if is_literal else range_
        hint = f"{node.name} is {default.value!r} where it is not given"
        raise source.error(f"{said(given, node.name)} is no {what}{range_}", node.at, node.end,
                           hint if isinstance(default.value, int | float) else "")  # fmt: skip
    return Const(type_, found, default.span)


def _of_type(text: str, type_: Type) -> object:
    """None where the text is none of that type."""
    if type_ == STR:
        return text
    if type_ == BOOL:
        return {"true": True, "false": False}.get(text)
    if type_ in FLOATS and _FLOAT_WORD.fullmatch(text):
        return float(text)
    number = _number(text)
    if type_ in FLOATS:
        return None if number is None else rounded(str(type_), float(number))
    kind = INTS[str(type_)]
    return number if isinstance(number, int) and kind.low <= number <= kind.high else None
