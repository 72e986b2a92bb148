"""Checking of what makes texts: ``print``, ``format``, ``str``, ``+`` on strings, and comparisons.

A WIT value stands for its text where one is wanted."""

from __future__ import annotations

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.build import place_in_literal
from whamm_cm.lang.layout import PLAIN, BadField, Layout, fields
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.tree import Const, Expr, Format, Print, Shown, Span, Src, Stmt
from whamm_cm.lang.types import FLOATS, INTEGERS, a
from whamm_cm.lang.valtypes import (
    FUNCREF,
    STR,
    UNIT,
    AggT,
    MapT,
    Prim,
    SrcT,
    TupleT,
    Type,
    WitT,
    is_histogram,
)
from whamm_cm.lang.wit_values import scalar_type
from whamm_cm.wit.types import same_type


def print_statement(body: Body, call: s.Invoke) -> Stmt:
    """``print("text {} text", x);``, or ``print(x);`` for the value alone."""
    if not call.args:
        raise body.error(call, "print takes what to print", 'write print("… {} …", x);')
    return Print(_laid_out(body, call), body.span(call))


def format_(body: Body, node: s.Invoke) -> Expr:
    """``format("text {} text", x)``."""
    if not node.args or not isinstance(node.args[0], s.String):
        raise body.error(node, "format takes a text first", 'write format("… {} …", x)')
    return _format(_laid_out(body, node), body.span(node))


def str_(body: Body, node: s.Invoke) -> Expr:
    """``str(x)``."""
    if len(node.args) != 1:
        raise body.error(node, f"str takes 1 argument, not {len(node.args)}")
    return _format((_printable(body, node.args[0], PLAIN),), body.span(node))


def _format(parts: tuple[Expr, ...], span: Span) -> Expr:
    if len(parts) == 1 and parts[0].type == STR and not isinstance(parts[0], Shown):
        return parts[0]
    return Format(STR, parts, span)


def _laid_out(body: Body, call: s.Invoke) -> tuple[Expr, ...]:
    """The texts and values that a call of print or format has, in their order."""
    text, *values = call.args
    if isinstance(text, s.Parameter) and values:
        text = body.string(text)
    if not isinstance(text, s.String):
        if values:
            raise body.error(call, f"{call.name} takes a text first",
                             f'write {call.name}("… {{}} …", x);')  # fmt: skip
        return (_printable(body, text, PLAIN),)
    pieces = _pieces(body, text)
    count = sum(not isinstance(piece, str) for piece in pieces)
    if len(values) != count:
        raise body.error(call, f"{count} {{}} for {len(values)} value{'s'[: len(values) != 1]}",
                         "write {{ and }} for braces that are none")  # fmt: skip
    rest = iter(values)
    parts: list[Expr] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(Const(STR, piece, body.span(text)))
            continue
        parts.append(_field(body, text, next(rest), piece))
    return tuple(parts)


Field = tuple[Layout, int, int]


def _pieces(body: Body, text: s.String) -> list[str | Field]:
    try:
        return list(fields(text.value))
    except BadField as error:
        raise _in_text(body, text, str(error), error.start, error.end, error.hint) from None


def _in_text(
    body: Body, text: s.String, message: str, start: int, end: int, hint: str = ""
) -> ScriptError:
    """What is wrong at these characters of a string."""
    literal = body.env.source.text[text.at : text.end]
    start, end = (text.at + place_in_literal(literal, at) for at in (start, end))
    return body.env.source.error(message, start, end, hint)


def _field(body: Body, text: s.String, value: s.ExprSyntax, field: Field) -> Expr:
    layout, at, end = field
    shown = _printable(body, value, layout)
    if layout == PLAIN:
        return shown
    misfit = layout.misfit(_kind(shown.type))
    if misfit:
        raise _in_text(body, text, f"{misfit}, this is {a(shown.type)}", at, end)
    return Shown(shown.type, shown, layout, body.span(value))


def _kind(type_: Type) -> str:
    if type_ in INTEGERS:
        return "integer"
    return "float" if type_ in FLOATS else "str" if type_ == STR else "bool"


def _printable(body: Body, node: s.ExprSyntax, layout: Layout) -> Expr:
    """A value that has a text; of WIT the number it stands for where the layout is for one."""
    value = body.expr(node)
    if isinstance(value.type, WitT):
        as_number = layout.for_integers or layout.for_floats
        return body.scalar(value, node) if as_number else body.shown(value, node)
    if isinstance(value, Src):
        value = body.ended(value, node, shown=not (layout.for_integers or layout.for_floats))
    return shown(body, node, value)


def shown(body: Body, node: s.ExprSyntax, value: Expr) -> Expr:
    """``value``, if it has a text."""
    if not _has_text(value.type):
        several = isinstance(value.type, MapT | AggT)
        hint = f"write print({body.env.source.text[node.at : node.end]}); alone" if several else ""
        raise body.error(node, f"{a(value.type)} has no text", hint)
    return value


def _has_text(type_: Type) -> bool:
    if isinstance(type_, TupleT):
        return type_ != UNIT and all(map(_has_text, type_.items))
    if isinstance(type_, AggT):
        return not is_histogram(type_)
    return isinstance(type_, Prim) and type_ != FUNCREF


# --- operators -----------------------------------------------------------------------------------


def is_text(type_: Type) -> bool:
    """Whether it is a string, of the script's or of WIT."""
    return type_ == STR or (isinstance(type_, WitT) and scalar_type(type_.type) == STR)


def sides(body: Body, node: s.Infix, want: Type | None) -> tuple[Expr, Expr]:
    """Both sides of "+" or a comparison: texts where one of them is, or where both are values of
    one WIT type that is no number; else of one type, as :meth:`Body.pair` has them."""
    left, right = node.left, node.right
    if body.flexible(left):
        if body.flexible(right):
            return body.pair(left, right, want)
        second = body.expr(right, want)
        if is_text(second.type):
            return _literal(body, node, left), _as_text(body, node, right, second)
        second = body.scalar(second, right)
        return body.typed(left, second.type, "the other side"), second
    first = body.expr(left, want)
    if body.flexible(right):
        if is_text(first.type):
            return _as_text(body, node, left, first), _literal(body, node, right)
        first = body.scalar(first, left)
        return first, body.typed(right, first.type, "the other side")
    second = body.expr(right, _number(first.type))
    if is_text(first.type) or is_text(second.type):
        return _as_text(body, node, left, first), _as_text(body, node, right, second)
    if node.op != "+" and _whole(first.type) and _whole(second.type):
        return _same_types(body, node, first, second)
    first = body.scalar(first, left)
    return first, body.fitting(body.scalar(second, right), right, first.type, "the other side")


def _literal(body: Body, node: s.Infix, side: s.ExprSyntax) -> Expr:
    """What stands beside a text: a parameter is one, too, a number is none."""
    if isinstance(side, s.Parameter):
        return body.typed(side, STR, "the other side")
    raise _no_text(body, node, side)


def _number(type_: Type) -> Type | None:
    if isinstance(type_, SrcT):
        return None
    return scalar_type(type_.type) if isinstance(type_, WitT) else type_


def _whole(type_: Type) -> bool:
    """Whether a comparison of WIT values is one of their texts."""
    return isinstance(type_, WitT) and scalar_type(type_.type) is None


def _same_types(body: Body, node: s.Infix, first: Expr, second: Expr) -> tuple[Expr, Expr]:
    assert isinstance(first.type, WitT) and isinstance(second.type, WitT)
    if not same_type(first.type.type, second.type.type):
        raise body.error(node, f"{a(first.type)} is no {a(second.type)[2:]}",
                         "values of one type can be compared")  # fmt: skip
    return body.shown(first, node.left), body.shown(second, node.right)


def _as_text(body: Body, node: s.Infix, side: s.ExprSyntax, found: Expr) -> Expr:
    if isinstance(found.type, WitT | SrcT):
        found = body.scalar(found, side, STR)
    if found.type != STR:
        raise _no_text(body, node, side, found)
    return found


def _no_text(
    body: Body, node: s.Infix, side: s.ExprSyntax, found: Expr | None = None
) -> ScriptError:
    text = body.env.source.text[side.at : side.end]
    possible = found is None or _has_text(found.type)
    hint = f"write str({text})" if possible and len(text) < 40 else ""
    what = "a number" if found is None else a(found.type)
    return body.error(side, f'this is {what}, but the other side of "{node.op}" is a str', hint)


def join(left: Expr, right: Expr, span: Span) -> Expr:
    """``left + right``; a chain is one text."""
    parts = [part.parts if isinstance(part, Format) else (part,) for part in (left, right)]
    return Format(STR, parts[0] + parts[1], span)
