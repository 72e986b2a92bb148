"""WIT values in scripts: the names a boundary binds, the paths into them, assignments to them.

Every path leads from a parameter or the result by fields, cases and indices; what is used as a
script value at its end becomes a :class:`~whamm_cm.lang.tree.Scalar`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from whamm_cm.lang import copies, src_values
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Site, Unknowable
from whamm_cm.lang.source import listed, suggest
from whamm_cm.lang.tree import (
    Assign,
    Binary,
    Bound,
    Const,
    Expr,
    Field,
    HasFlag,
    IsCase,
    Payload,
    Scalar,
    Span,
    Src,
    Static,
    Stmt,
    Unary,
    WitSite,
)
from whamm_cm.lang.types import NUMBERS, a
from whamm_cm.lang.valtypes import BOOL, STR, U32, U64, Type, WitT
from whamm_cm.lang.wit_values import cases_of, scalar_type, script_name, ways_on
from whamm_cm.wit import types as w

_HANDLES = w.Own | w.Borrow | w.StreamT | w.FutureT

#: What could be a case, perhaps misspelt.
_WORD = re.compile(r"[\w-]*")
#: Names that exist only when the function has returned.
AFTER_ONLY = ("result", "is_err", "elapsed")

# --- names ---------------------------------------------------------------------------------------


def site_of(site: WitSite, mode: str) -> Site:
    """What names mean at a boundary function in a probe of that mode."""
    if site.copies:
        return Site(site, copies.names(site))
    names: dict[str, Callable[[Span], Expr]] = {}
    for name in ("interface", "version", "func", "resource", "direction", "component", "module"):
        names[name] = _maker(Static, STR, name)
    names["is_async"] = _maker(Static, BOOL, "is_async")
    names["task"] = _maker(Bound, U32, "task")
    for number, (label, type_) in enumerate(site.type.params):
        made = _maker(Bound, WitT(type_), script_name(label))
        names[script_name(label)] = names[f"arg{number}"] = made
    names["call_id"] = _maker(Bound, U64, "call_id")
    if mode in ("after", "cancel", "end"):
        names["elapsed"] = _maker(Bound, U64, "elapsed")
    if mode == "after":
        if site.type.result is not None:
            names["result"] = _maker(Bound, WitT(site.type.result), "result")
        names["is_err"] = _is_err(site)
    return Site(site, names)


class _Unknown(Mapping[str, Callable[[Span], Expr]]):
    """Any name may be a parameter's, and what it is nobody knows."""

    def __init__(self, mode: str, libraries: Container[str]) -> None:
        self.over, self.libraries = mode in ("after", "cancel", "end"), libraries

    def __contains__(self, name: object) -> bool:
        return name not in self.libraries and (self.over or name not in AFTER_ONLY)

    def __getitem__(self, name: str) -> Callable[[Span], Expr]:
        raise Unknowable(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def unknown_site(mode: str, libraries: Container[str]) -> Site:
    """A boundary function of which nothing is known."""
    nothing = WitSite("", "", "", "", "", "", False, w.FuncT((), None))
    return Site(nothing, _Unknown(mode, libraries))


def _maker(node: type[Static] | type[Bound], type_: Type, name: str) -> Callable[[Span], Expr]:
    return lambda span: node(type_, name, span)


def _is_err(site: WitSite) -> Callable[[Span], Expr]:
    result = site.type.result
    if result is None or not isinstance(w.strip(result), w.ResultT):
        return lambda span: Const(BOOL, False, span)
    whole = WitT(result)
    return lambda span: IsCase(BOOL, Bound(whole, "result", span), 1, span)


# --- steps ---------------------------------------------------------------------------------------


def find_label(labels: Iterable[str], name: str) -> int | None:
    """The position of a label, however its hyphens are written; ``err`` means ``error``."""
    wanted = script_name(name)
    found = list(labels)
    for position, label in enumerate(found):
        if script_name(label) == wanted:
            return position
    return find_label(found, "error") if name == "err" else None


def field(body: Body, node: s.Dot, operand: Expr) -> Expr:
    """``r.field``, ``t.0``, ``v.case``."""
    assert isinstance(operand.type, WitT)
    type_, span = w.strip(operand.type.type), body.span(node)
    if isinstance(type_, w.TupleT):
        if not node.name.isdigit() or int(node.name[:9]) >= len(type_.types):
            raise body.error(node, f'the tuple has no member "{node.name}"', ways_on(type_))
        index = int(node.name)
        return Field(WitT(type_.types[index]), operand, index, span)
    if isinstance(type_, w.RecordT):
        position = _position(body, node, [label for label, _ in type_.fields], node.name, "field")
        return Field(WitT(type_.fields[position][1]), operand, position, span)
    cases = cases_of(type_)
    if not cases:
        raise body.error(node, f'{a(operand.type)} has no field "{node.name}"', ways_on(type_))
    position = _position(body, node, [label for label, _ in cases], node.name, "case")
    payload = cases[position][1]
    if payload is None:
        raise body.error(node, f'the case "{cases[position][0]}" carries no value',
                         f"test it with is {cases[position][0]}")  # fmt: skip
    return Payload(WitT(payload), operand, position, span)


def _position(body: Body, node: s.ExprSyntax, labels: list[str], name: str, what: str) -> int:
    found = find_label(labels, name)
    if found is None:
        hint = suggest(name, labels) or f"there are {listed(labels)}"
        raise body.error(node, f'there is no {what} "{name}"', hint)
    return found


def is_case(body: Body, node: s.Is, want: Type | None) -> Expr:
    operand = body.expr(node.operand)
    if isinstance(operand, Src):
        return src_values.is_case(body, node, operand)
    cases = cases_of(operand.type.type) if isinstance(operand.type, WitT) else ()
    if not cases:
        raise body.error(node, f'{a(operand.type)} has no cases to test with "is"')
    position = _position(body, node, [label for label, _ in cases], node.case, "case")
    return IsCase(BOOL, operand, position, body.span(node))


def has_flag(body: Body, node: s.Has, want: Type | None) -> Expr:
    operand = body.expr(node.operand)
    type_ = w.strip(operand.type.type) if isinstance(operand.type, WitT) else None
    if not isinstance(type_, w.FlagsT):
        raise body.error(node, f'{a(operand.type)} has no flags to test with "has"')
    position = _position(body, node, list(type_.labels), node.flag, "flag")
    return HasFlag(BOOL, operand, position, body.span(node))


def compare_case(body: Body, node: s.Infix) -> Expr | None:
    """``e == "name"`` on an enum or variant; None when that is not what ``node`` is."""
    if body.wit is None or node.op not in ("==", "!="):
        return None
    sides = (node.left, node.right)
    text = next((side for side in sides if isinstance(side, s.String | s.Parameter)), None)
    other = next((side for side in sides if side is not text), None)
    if text is None or other is None or isinstance(other, s.String | s.Parameter):
        return None
    operand = body.expr(other)
    if not isinstance(operand.type, WitT) or not isinstance(
        w.strip(operand.type.type), w.EnumT | w.VariantT
    ):
        return None
    cases = cases_of(operand.type.type)
    labels = [label for label, _ in cases]
    text, span = body.string(text), body.span(node)
    carries = any(payload is not None for _, payload in cases)
    if carries and not _WORD.fullmatch(text.value) and find_label(labels, text.value) is None:
        return None  # the text of a case with what it carries
    same = IsCase(BOOL, operand, _position(body, text, labels, text.value, "case"), span)
    return same if node.op == "==" else Unary(BOOL, "!", same, span)


# --- assignments ---------------------------------------------------------------------------------


def assign_parameter(body: Body, node: s.Set, target: Expr) -> Stmt:
    """``arg = …`` for scalars and strings of parameters, before the call."""
    assert isinstance(target.type, WitT)
    name = body.env.source.text[node.target.at : node.target.end]
    if not isinstance(target, Bound) or target.name == "result":
        raise body.error(node.target, f'"{name}" cannot be assigned',
                         "only whole parameters can be")  # fmt: skip
    if body.mode not in ("before", "alt"):
        raise body.error(node.target, f'"{name}" cannot be assigned when the call is over',
                         "assign it in a before or alt probe")  # fmt: skip
    stripped = w.strip(target.type.type)
    type_ = scalar_type(stripped)
    if type_ is None or isinstance(stripped, _HANDLES):
        raise body.error(node.target, f'"{name}" is {a(target.type)} and cannot be assigned',
                         "numbers, bool, enums and strings can")  # fmt: skip
    value = _assigned(body, node, stripped, type_, name)
    if node.op:
        if type_ not in NUMBERS or not isinstance(stripped, w.Prim):
            raise body.error(node, f'"{node.op}=" needs a number, "{name}" is {a(type_)}')
        span = body.span(node)
        value = Binary(type_, node.op, Scalar(type_, target, span), value, span)
    return Assign(target, value, body.span(node))


def _assigned(body: Body, node: s.Set, stripped: w.ValType, type_: Type, name: str) -> Expr:
    if isinstance(stripped, w.EnumT) and isinstance(node.value, s.String | s.Parameter):
        text = body.string(node.value)
        position = _position(body, text, list(stripped.labels), text.value, "case")
        return Const(U32, position, body.span(text))
    return body.typed(node.value, type_, name)
