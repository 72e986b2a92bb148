"""Checking of expressions: names, literals, operators, casts, tuples and maps."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from functools import cache

from whamm_cm.lang import parameters, paths, src_values, texts
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, ExprRule
from whamm_cm.lang.events import BoundVariable
from whamm_cm.lang.lifetimes import check_frame
from whamm_cm.lang.numbers import INTS
from whamm_cm.lang.source import ScriptError, Source
from whamm_cm.lang.tree import (
    Binary,
    Bound,
    Builtin,
    Cast,
    Const,
    Element,
    Expr,
    Kind,
    MapGet,
    Span,
    Src,
    Static,
    Ternary,
    TupleGet,
    TupleMake,
    Unary,
    Var,
)
from whamm_cm.lang.types import FLOATS, INTEGERS, NUMBERS, a, resolve_type, wrap
from whamm_cm.lang.valtypes import (
    BOOL,
    F32,
    FUNCREF,
    STR,
    U32,
    UNIT,
    MapT,
    Prim,
    TupleT,
    Type,
    WitT,
)
from whamm_cm.wit import types as w

# --- literals ------------------------------------------------------------------------------------


def number(body: Body, node: s.Number, want: Type | None) -> Expr:
    type_ = want if want in NUMBERS else body.default((node,))
    span = body.span(node)
    if type_ in FLOATS:
        return Const(type_, _float(float(node.value), type_), span)
    if isinstance(node.value, float):
        raise body.error(node, f"this is no {type_}", f"write it without a point, or as {type_}")
    if not -(1 << 63) <= node.value < 1 << 64:
        raise body.error(node, "this number has more than 64 bits")
    _check_range(body, node, type_)
    return Const(type_, wrap(node.value, type_), span)


def _check_range(body: Body, node: s.Number, type_: Type) -> None:
    """A literal has to fit the bits of its type.  As in whamm, either sign will do, for masks; a
    minus in front of what has none is worth a word."""
    kind, text = INTS[str(type_)], body.env.source.text[node.at : node.end]
    if not -(1 << (kind.bits - 1)) <= node.value < 1 << kind.bits:
        raise body.error(node, f"{text} is no {type_}, which is {kind.low} to {kind.high}",
                         f"write {text} as {type_} for its low {kind.bits} bits")  # fmt: skip
    if node.value < kind.low:
        body.env.warn(node, f"{text} is no {type_} and means {kind.wrap(int(node.value))} here",
                      f"write {text} as {type_}")  # fmt: skip


def _float(value: float, type_: Type) -> float:
    if type_ != F32 or not math.isfinite(value):
        return value
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def string(body: Body, node: s.String, want: Type | None) -> Expr:
    return Const(STR, node.value, body.span(node))


def parameter(body: Body, node: s.Parameter, want: Type | None) -> Expr:
    """``$name``: a text where one is wanted, else the literal that it looks like."""
    if want == STR and node.name not in body.env.globals:
        return string(body, parameters.string(body.env.source, body.env.given, node), want)
    return body.expr(body.literal(node), want)


# --- names ---------------------------------------------------------------------------------------

_WORDS: dict[str, bool] = {"true": True, "false": False}
_FLOAT_WORDS = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}


def name(body: Body, node: s.Name, want: Type | None) -> Expr:
    span = body.span(node)
    if node.name in _WORDS:
        return Const(BOOL, _WORDS[node.name], span)
    variable = body.variable(node.name)
    if variable is not None:
        literal = body.literal(node)
        if isinstance(literal, s.Number):
            return number(body, literal, want)
        if variable.meaning is not None:
            return replace(variable.meaning, span=span)
        if body.initialising and variable.kind is Kind.LOCAL:
            raise body.error(
                node, f'"{node.name}" is fresh at each firing, but {body.initialising} is'
                " initialised once", "declare first and assign in a statement of its own"
            )  # fmt: skip
        check_frame(body, node, variable)
        return Var(variable.type, variable, span)
    if body.wit is not None and node.name in body.wit.names:
        return body.wit.names[node.name](span)
    if node.name == "task":
        if body.initialising:
            raise body.error(node, f"the task changes, but {body.initialising} is initialised once",
                             "declare first and assign in a statement of its own")  # fmt: skip
        return Builtin(U32, "task", (), span)
    if body.wit is not None and node.name in paths.AFTER_ONLY and body.mode != "after":
        raise body.error(node, f'"{node.name}" exists only when the call is over',
                         "use it in an after probe")  # fmt: skip
    found = body.event.find(node.name) if body.event is not None else None
    if found is None and node.name in body.bounds:
        found = BoundVariable(node.name, None, False, "")
    if found is not None:
        return bound(body, node, found, want)
    return _word(body, node, want)


def _word(body: Body, node: s.Name, want: Type | None) -> Expr:
    span = body.span(node)
    if node.name == "APP_MEMID":
        return Builtin(U32, "app_memid", (), span)
    if node.name.lower() in _FLOAT_WORDS:
        value = _FLOAT_WORDS[node.name.lower()]
        return Const(want if want in FLOATS else body.default((node,)), value, span)
    if node.name in body.env.libraries:
        raise body.error(node, f'"{node.name}" is a library',
                         f"call its functions: {node.name}.f(…)")  # fmt: skip
    if node.name in body.env.functions:
        raise body.error(node, f'"{node.name}" is a function', f"call it: {node.name}(…)")
    raise body.unknown(node)


def bound(body: Body, node: s.Name, found: BoundVariable, want: Type | None) -> Expr:
    """A bound variable of an event; the definition of a derived one."""
    if found.after and body.mode != "after":
        return _too_early(body, node, found, want)
    if body.initialising and not found.static:
        raise body.error(node, f'"{node.name}" changes at each firing, but {body.initialising} is'
                         " initialised once",
                         "declare first and assign in a statement of its own")  # fmt: skip
    span = body.span(node)
    if found.defined:
        return _definition(body, node, found)
    if found.static:
        type_ = found.type or want
        if not isinstance(type_, Prim | MapT):
            raise body.needs_bound(node)
        static = Static(type_, node.name, span)
        if found.literal and want in NUMBERS and want != type_:
            return Cast(want, static, span)
        return static
    type_ = body.bounds.get(node.name) or found.type
    if type_ is None:
        if not isinstance(want, Prim) or want == STR:
            raise body.needs_bound(node)
        type_ = want
    if node.name[-1].isdigit():
        body.bounds[node.name] = type_
    return Bound(type_, node.name, span)


def _too_early(body: Body, node: s.Name, found: BoundVariable, want: Type | None) -> Expr:
    """A result before there is one.  Zero rather than an error, as scripts for whamm do it."""
    body.env.warn(node, f'"{node.name}" exists only when the instruction is done and reads 0 here',
                  "use it in an after probe")  # fmt: skip
    type_ = body.bounds.get(node.name) or found.type or want
    if not isinstance(type_, Prim) or type_ in (STR, FUNCREF):
        raise body.needs_bound(node)
    zero = False if type_ == BOOL else 0.0 if type_ in FLOATS else 0
    return Const(type_, zero, body.span(node))


@cache
def definition(text: str) -> s.ExprSyntax:
    """The syntax of a derived variable's definition."""
    from whamm_cm.lang.parse import parse

    (item,) = parse(Source(0, "events", f"_ = {text};")).items
    assert isinstance(item, s.Set)
    return item.value


def _definition(body: Body, node: s.Name, found: BoundVariable) -> Expr:
    # The definition speaks of the event's own variables, whatever the script declared.
    hidden = body.locals, body.env.globals
    body.locals, body.env.globals = {}, {}
    try:
        return body.expr(definition(found.defined), found.type)
    except ScriptError as error:
        raise body.error(node, f'"{node.name}" stands for {found.defined}, but {error.message}',
                         error.hint) from None  # fmt: skip
    finally:
        body.locals, body.env.globals = hidden


# --- operators -----------------------------------------------------------------------------------

_COMPARISONS = frozenset(("==", "!=", "<", ">", "<=", ">="))
_INTEGER_ONLY = frozenset(("&", "|", "^", "<<", ">>"))


def infix(body: Body, node: s.Infix, want: Type | None) -> Expr:
    if node.op in ("&&", "||"):
        return _logic(body, node)
    if node.op == "in":
        return _has_key(body, node)
    if node.op in _COMPARISONS:
        return _comparison(body, node)
    want = want if want in NUMBERS else None
    both = texts.sides if node.op == "+" else _pair
    left, right = both(body, node, want)
    type_ = left.type
    if type_ == STR and node.op == "+":
        return texts.join(left, right, body.span(node))
    if type_ not in NUMBERS:
        raise body.error(node, f'"{node.op}" needs numbers, this is {a(type_)}')
    if node.op in _INTEGER_ONLY and type_ not in INTEGERS:
        raise body.error(node, f'"{node.op}" needs integers, this is {a(type_)}',
                         "cast it first, for instance with as i32")  # fmt: skip
    return Binary(type_, node.op, left, right, body.span(node))


def _pair(body: Body, node: s.Infix, want: Type | None) -> tuple[Expr, Expr]:
    return body.pair(node.left, node.right, want)


def _logic(body: Body, node: s.Infix) -> Expr:
    """A chain of one operator becomes a balanced tree: long ones are common."""
    syntax: list[s.ExprSyntax] = []
    rest: s.ExprSyntax = node
    while isinstance(rest, s.Infix) and rest.op == node.op:
        syntax.append(rest.right)
        rest = rest.left
    syntax.append(rest)
    operands = [body.typed(item, BOOL, f"each side of {node.op}") for item in reversed(syntax)]
    while len(operands) > 1:
        pairs = zip(operands[::2], operands[1::2], strict=False)
        merged: list[Expr] = [
            Binary(BOOL, node.op, left, right,
                   Span(left.span.script, left.span.start, right.span.end))
            for left, right in pairs
        ]  # fmt: skip
        operands = merged + operands[len(merged) * 2 :]
    return operands[0]


def _comparison(body: Body, node: s.Infix) -> Expr:
    case = paths.compare_case(body, node) or src_values.compare_case(body, node)
    if case is not None:
        return case
    left, right = texts.sides(body, node, None)
    type_, span = left.type, body.span(node)
    equality = node.op in ("==", "!=")
    if type_ == STR and equality:
        same = Builtin(BOOL, "str.eq", (left, right), span)
        return same if node.op == "==" else Unary(BOOL, "!", same, span)
    if type_ not in NUMBERS and not (type_ == BOOL and equality):
        hint = "compare its members" if isinstance(type_, TupleT) else ""
        raise body.error(node, f'"{node.op}" cannot compare {a(type_)} with another', hint)
    return Binary(BOOL, node.op, left, right, span)


def _has_key(body: Body, node: s.Infix) -> Expr:
    table = body.expr(node.right)
    if not isinstance(table.type, MapT):
        raise body.error(node.right, f"{a(table.type)} has no keys", "maps have")
    if isinstance(table, Static) or (isinstance(table, Var) and table.variable.kind is Kind.LOCAL):
        raise body.error(node, "its keys are the numbers below num_targets",
                         "compare with num_targets")  # fmt: skip
    if body.initialising:
        raise body.error(node, f"a map changes, but {body.initialising} is initialised once",
                         "declare first and assign in a statement of its own")  # fmt: skip
    key = body.typed(node.left, table.type.key, "the key")
    return Builtin(BOOL, "map.has", (table, key), body.span(node))


def prefix(body: Body, node: s.Prefix, want: Type | None) -> Expr:
    span = body.span(node)
    if node.op == "!":
        return Unary(BOOL, "!", body.typed(node.operand, BOOL, 'what "!" negates'), span)
    operand = body.value(node.operand, want)
    needed = INTEGERS if node.op == "~" else NUMBERS
    if operand.type not in needed:
        kind = "integers" if node.op == "~" else "numbers"
        raise body.error(node, f'"{node.op}" needs {kind}, this is {a(operand.type)}')
    if node.op == "-" and isinstance(operand, Const) and isinstance(operand.value, float):
        return Const(operand.type, -operand.value, span)  # -inf
    return Unary(operand.type, node.op, operand, span)


def conditional(body: Body, node: s.Conditional, want: Type | None) -> Expr:
    condition = body.typed(node.condition, BOOL, 'what stands before "?"')
    then, otherwise = _branches(body, node, want)
    return Ternary(then.type, condition, then, otherwise, body.span(node))


def _branches(body: Body, node: s.Conditional, want: Type | None) -> tuple[Expr, Expr]:
    if want is not None and not isinstance(want, WitT):
        first = body.value(node.then, want)
        return first, body.typed(node.otherwise, first.type, 'the side before ":"')
    return body.pair(node.then, node.otherwise, None)


def cast(body: Body, node: s.As, want: Type | None) -> Expr:
    target = resolve_type(body.env.source, node.type)
    if not isinstance(target, Prim) or target in (STR, FUNCREF):
        raise body.error(node, f'"as" cannot make {a(target)}', "it makes numbers and bool")
    literal = body.literal(node.operand)
    if isinstance(literal, s.Number) and isinstance(literal.value, int) and target in INTEGERS:
        # Not what fits but what is left of it, as of any other integer.
        literal = literal._replace(value=wrap(literal.value, target))
    operand = body.value(literal, _cast_context(body, literal, target))
    if operand.type == target:
        return operand
    if operand.type not in NUMBERS and operand.type != BOOL:
        raise body.error(node, f'"as" cannot make {a(target)} of {a(operand.type)}')
    return Cast(target, operand, body.span(node))


def _cast_context(body: Body, node: s.ExprSyntax, target: Prim) -> Type | None:
    """A literal is read as what it becomes, if it can be; an operand's type is not guessed."""
    if isinstance(node, s.Number):
        fits = target in FLOATS or (target in INTEGERS and isinstance(node.value, int))
        return target if fits else None
    return None


# --- tuples and maps -----------------------------------------------------------------------------


def tuple_of(body: Body, node: s.Tuple, want: Type | None) -> Expr:
    if not node.items:
        return Const(UNIT, (), body.span(node))
    wanted: tuple[Type | None, ...] = (None,) * len(node.items)
    if isinstance(want, TupleT) and len(want.items) == len(node.items):
        wanted = want.items
    items = tuple(body.value(item, type_) for item, type_ in zip(node.items, wanted, strict=True))
    for item, syntax in zip(items, node.items, strict=True):
        if not isinstance(item.type, Prim | TupleT):
            raise body.error(syntax, f"a tuple cannot hold {a(item.type)}")
    return TupleMake(TupleT(tuple(item.type for item in items)), items, body.span(node))


def dot(body: Body, node: s.Dot, want: Type | None) -> Expr:
    if src_values.is_meant(body, node.operand):
        return src_values.variable(body, node)
    operand = body.expr(node.operand)
    if isinstance(operand, Src):
        return src_values.field(body, node, operand)
    if isinstance(operand.type, WitT):
        return paths.field(body, node, operand)
    if not node.name.isdigit():
        methods = "it has methods: call them with ()" if operand.type == STR else ""
        raise body.error(node, f'{a(operand.type)} has no field "{node.name}"', methods)
    if not isinstance(operand.type, TupleT):
        raise body.error(node, f"{a(operand.type)} has no members", "only tuples do")
    index = int(node.name[:9])
    if index >= len(operand.type.items):
        raise body.error(node, f"the tuple has no member {index}",
                         f"they are .0 to .{len(operand.type.items) - 1}")  # fmt: skip
    return TupleGet(operand.type.items[index], operand, index, body.span(node))


def index(body: Body, node: s.Index, want: Type | None) -> Expr:
    operand = body.expr(node.operand)
    span = body.span(node)
    if isinstance(operand.type, MapT):
        if body.initialising and not isinstance(operand, Static):
            raise body.error(node, f"the map is empty when {body.initialising} is initialised",
                             "declare first and assign in a statement of its own")  # fmt: skip
        key = body.typed(node.key, operand.type.key, "the key")
        return MapGet(operand.type.value, operand, key, span)
    listed = w.strip(operand.type.type) if isinstance(operand.type, WitT) else None
    if isinstance(listed, w.ListT):
        at = body.value(node.key, U32)
        if at.type not in INTEGERS:
            raise body.error(node.key, f"this is {a(at.type)}, but the index is an integer")
        return Element(WitT(listed.element), operand, at, span)
    if isinstance(operand, Src):
        return src_values.index(body, node, operand)
    hint = "members of a tuple are t.0, t.1 …" if isinstance(operand.type, TupleT) else ""
    raise body.error(node, f"{a(operand.type)} has no entries", hint)


def no_list(body: Body, node: s.ListOf | s.Record, want: Type | None) -> Expr:
    what = "a list" if isinstance(node, s.ListOf) else "a record"
    raise body.error(node, f"{what} can only be returned from an alt probe at a WIT boundary")


EXPR_RULES: dict[type, ExprRule] = {
    s.Number: number,  # type: ignore[dict-item]
    s.String: string,  # type: ignore[dict-item]
    s.Parameter: parameter,  # type: ignore[dict-item]
    s.Name: name,  # type: ignore[dict-item]
    s.Infix: infix,  # type: ignore[dict-item]
    s.Prefix: prefix,  # type: ignore[dict-item]
    s.Conditional: conditional,  # type: ignore[dict-item]
    s.As: cast,  # type: ignore[dict-item]
    s.Is: paths.is_case,  # type: ignore[dict-item]
    s.Has: paths.has_flag,  # type: ignore[dict-item]
    s.Tuple: tuple_of,  # type: ignore[dict-item]
    s.Dot: dot,  # type: ignore[dict-item]
    s.Index: index,  # type: ignore[dict-item]
    s.ListOf: no_list,  # type: ignore[dict-item]
    s.Record: no_list,  # type: ignore[dict-item]
}
