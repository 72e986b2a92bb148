"""Callbacks of the grammar: from tokens to the nodes of ``syntax.py``."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from lark import Token, Transformer, v_args

from whamm_cm.lang import syntax as s

_T = TypeVar("_T")

#: Binary operators from loosest to tightest; ``&&`` and ``||`` have C's two levels.
LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!=", ">=", ">", "<=", "<", "in"),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_LEVEL = {op: level for level, ops in enumerate(LEVELS) for op in ops}

#: Nesting of a script's syntax; longer chains of ``&&`` and ``||`` are balanced and count less.
MAX_DEPTH = 120


class Refusal(Exception):
    """A mistake the grammar lets pass."""

    def __init__(self, message: str, at: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.at, self.end, self.hint = message, at, end, hint


def _present(items: tuple[_T | None, ...]) -> tuple[_T, ...]:
    return tuple(item for item in items if item is not None)


def _start(token: Token) -> int:
    return token.start_pos or 0


def _end(token: Token) -> int:
    return token.end_pos or 0


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method per rule of ``grammar.lark``."""

    # --- items

    def start(self, *items: s.ItemSyntax) -> s.Script:
        return s.Script(items)

    def use(self, word: Token, name: Token) -> s.Use:
        return s.Use(str(name), _start(name), _end(name))

    def function(self, word: Token, name: Token, *rest: Any) -> s.Fn:
        *params, result, body = rest
        return s.Fn(str(name), _present(tuple(params)), result, body, _start(name), _end(name))

    def param(self, name: Token, type_: s.TypeSyntax) -> s.Param:
        return s.Param(str(name), type_, _start(name), _end(name))

    def core_rule(self, rule: Token) -> tuple[Token, bool]:
        return rule, False

    def wit_rule(self, rule: Token) -> tuple[Token, bool]:
        return rule, True

    def parameter(
        self, word: Token, name: Token, type_: s.TypeSyntax | None, value: s.ExprSyntax
    ) -> s.Decl:
        return self.constant(word, name, type_, value)._replace(param=True)

    def predicate(self, begin: Token, expr: s.ExprSyntax, end: Token) -> s.ExprSyntax:
        return expr

    def probe(
        self, rule: tuple[Token, bool], predicate: s.ExprSyntax | None, body: s.Block
    ) -> s.ProbeSyntax:
        token, is_wit = rule
        text = str(token).rstrip()
        at = _start(token)
        return s.ProbeSyntax(text, is_wit, predicate, body, at, at + len(text))

    # --- statements

    def block(self, *statements: s.StmtSyntax) -> s.Block:
        return statements

    def decorated(self, *parts: Any) -> s.Decl:
        *words, name, type_, init = parts
        kinds = [word.type for word in words]
        return s.Decl(str(name), type_, init, "REPORT" in kinds, "UNSHARED" in kinds,
                      "TASK" in kinds, False, _start(name), _end(name), False,
                      "frame" * ("FRAME" in kinds) or "shared" * ("SHARED" in kinds))  # fmt: skip

    def constant(
        self, word: Token, name: Token, type_: s.TypeSyntax | None, value: s.ExprSyntax
    ) -> s.Decl:
        return s.Decl(str(name), type_, value, False, False, False, True, _start(name), _end(name))

    def elif_(self, *parts: Any) -> tuple[s.ExprSyntax, s.Block]:
        return parts[-2], parts[-1]

    def if_(self, word: Token, condition: s.ExprSyntax, then: s.Block, *rest: Any) -> s.Branch:
        # maybe_placeholders: [ELSE block] is two Nones when it is not there
        *arms, _, otherwise = rest
        return s.Branch(((condition, then), *arms), otherwise or (), _start(word), _end(word))

    def while_(self, word: Token, condition: s.ExprSyntax, body: s.Block) -> s.Loop:
        return s.Loop(condition, body, _start(word), _end(word))

    def for_(self, word: Token, name: Token, in_: Token, low: s.ExprSyntax, high: s.ExprSyntax,
             body: s.Block) -> s.Count:  # fmt: skip
        return s.Count(str(name), low, high, body, _start(name), _end(name))

    def each(self, word: Token, name: Token, in_: Token, listed: s.ExprSyntax,
             body: s.Block) -> s.Each:  # fmt: skip
        return s.Each(str(name), "", listed, body, _start(name), _end(name))

    def each_pair(self, word: Token, opening: Token, key: Token, value: Token, in_: Token,
                  listed: s.ExprSyntax, body: s.Block) -> s.Each:  # fmt: skip
        return s.Each(str(key), str(value), listed, body, _start(key), _end(value))

    def jump(self, word: Token) -> s.Jump:
        return s.Jump(str(word), _start(word), _end(word))

    def return_(self, word: Token, value: s.ExprSyntax | None) -> s.Leave:
        return s.Leave(value, _start(word), value.end if value else _end(word))

    def call_statement(self, call: s.ExprSyntax) -> s.Do:
        is_trace = isinstance(call, s.Name) and call.name == "trace"
        if not is_trace and not isinstance(call, s.Invoke):
            raise Refusal("this does nothing", call.at, call.end,
                          "a statement assigns, calls, or is trace;")  # fmt: skip
        return s.Do(call, call.at, call.end)

    def assign(self, target: s.ExprSyntax, value: s.ExprSyntax) -> s.Set:
        return s.Set(_place(target), "", value, target.at, value.end)

    def update(self, target: s.ExprSyntax, op: Token, value: s.ExprSyntax) -> s.Set:
        return s.Set(_place(target), op[:-1], value, target.at, value.end)

    def step(self, target: s.ExprSyntax, op: Token) -> s.Set:
        one = s.Number(1, _start(op), _end(op))
        return s.Set(_place(target), op[0], one, target.at, _end(op))

    # --- expressions

    def ternary(
        self, condition: s.ExprSyntax, then: s.ExprSyntax, otherwise: s.ExprSyntax
    ) -> s.Conditional:
        return s.Conditional(condition, then, otherwise, condition.at, otherwise.end)

    def operator(self, token: Token) -> Token:
        return token

    def operators(self, *parts: Any) -> s.ExprSyntax:
        return _climb(parts)

    def prefix(self, op: Token, operand: s.ExprSyntax) -> s.Prefix:
        return s.Prefix(str(op), operand, _start(op), operand.end)

    def minus(self, op: Token, operand: s.ExprSyntax) -> s.ExprSyntax:
        return _negated(operand, _start(op))

    def cast(self, operand: s.ExprSyntax, word: Token, type_: s.TypeSyntax) -> s.As:
        return s.As(operand, type_, operand.at, type_.end)

    def is_case(self, operand: s.ExprSyntax, word: Token, case: Token) -> s.Is:
        return s.Is(operand, case.lstrip("%"), operand.at, _end(case))

    def has_flag(self, operand: s.ExprSyntax, word: Token, flag: Token) -> s.Has:
        return s.Has(operand, _unquoted(flag), operand.at, _end(flag))

    def annotated(self, at: Token, name: Token, call: s.ExprSyntax) -> s.ExprSyntax:
        if not isinstance(call, s.Invoke):
            raise Refusal(f"@{name} must stand before a call of a library", _start(at), _end(name))
        if name not in ("static", "init"):
            raise Refusal(f"there is no annotation @{name}", _start(at), _end(name),
                          "use @static (at match time) or @init (once, when the module starts)"
                          )  # fmt: skip
        return call._replace(annotation=str(name), at=_start(at))

    def field(self, operand: s.ExprSyntax, name: Token) -> s.Dot:
        return s.Dot(operand, str(name), operand.at, _end(name))

    member = field

    def method(
        self, operand: s.ExprSyntax, name: Token, args: tuple[s.ExprSyntax, ...]
    ) -> s.Invoke:
        end = args[-1].end if args else _end(name)
        return s.Invoke(operand, str(name), args, "", operand.at, end)

    def index(self, operand: s.ExprSyntax, index: s.ExprSyntax) -> s.Index:
        return s.Index(operand, index, operand.at, index.end + 1)

    def name(self, name: Token) -> s.Name:
        return s.Name(str(name), _start(name), _end(name))

    def call(self, name: Token, args: tuple[s.ExprSyntax, ...]) -> s.Invoke:
        end = args[-1].end + 1 if args else _end(name) + 2
        return s.Invoke(None, str(name), args, "", _start(name), end)

    def integer(self, token: Token) -> s.Number:
        return s.Number(_integer(token), _start(token), _end(token))

    def float(self, token: Token) -> s.Number:
        return s.Number(_float(token), _start(token), _end(token))

    def string(self, token: Token) -> s.String:
        return s.String(_unquoted(token), _start(token), _end(token))

    def given(self, token: Token) -> s.Parameter:
        name = token[1:]
        if name[0].isdigit() and not name.isdigit():
            raise Refusal(f'"{token}" is no parameter', _start(token), _end(token),
                          "write $1 for the first --arg, $name for what -D names")  # fmt: skip
        return s.Parameter(name, _start(token), _end(token))

    def parens(self, opening: Token, items: tuple[s.ExprSyntax, ...]) -> s.ExprSyntax:
        if len(items) == 1:
            return items[0]
        at = _start(opening)
        return s.Tuple(items, at, (items[-1].end if items else at + 1) + 1)

    def list(self, opening: Token, items: tuple[s.ExprSyntax, ...]) -> s.ListOf:
        at = _start(opening)
        return s.ListOf(items, at, (items[-1].end if items else at + 1) + 1)

    def record(self, opening: Token, *entries: Any) -> s.Record:
        found = _present(entries)
        return s.Record(found, _start(opening), _start(opening) + 1)

    def entry(self, label: Token, value: s.ExprSyntax | None) -> tuple[str, s.ExprSyntax | None]:
        return label.lstrip("%"), value

    def arguments(self, *args: s.ExprSyntax | None) -> tuple[s.ExprSyntax, ...]:
        return _present(args)

    # --- types

    def named_type(self, name: Token) -> s.TypeName:
        return s.TypeName(str(name), _start(name), _end(name))

    def bounded_type(self, name: Token, *bounds: int | None) -> s.BoundedType:
        return s.BoundedType(str(name), _present(bounds), _start(name), _end(name))

    def bound(self, minus: Token | None, number: Token) -> int:
        return -_integer(number) if minus else _integer(number)

    def tuple_type(self, opening: Token, *items: s.TypeSyntax | None) -> s.TypeSyntax:
        found = tuple(item for item in items if item is not None)
        at = _start(opening)
        return s.TupleType(found, at, (found[-1].end if found else at + 1) + 1)

    def map_type(self, word: Token, key: s.TypeSyntax, value: s.TypeSyntax) -> s.MapType:
        return s.MapType(key, value, _start(word), value.end + 1)


for _word in ("if", "elif", "while", "for", "return"):
    setattr(Builder, _word, getattr(Builder, _word + "_"))


def _negated(operand: s.ExprSyntax, at: int) -> s.ExprSyntax:
    """``-1`` is a literal, and in ``-1 as u8`` the sign belongs to it."""
    if isinstance(operand, s.Number):
        return s.Number(-operand.value, at, operand.end)
    inner: s.ExprSyntax = operand
    while isinstance(inner, s.As):
        inner = inner.operand
    if isinstance(operand, s.As) and isinstance(inner, s.Number):
        return s.As(_negated(operand.operand, at), operand.type, at, operand.end)
    return s.Prefix("-", operand, at, operand.end)


def _place(target: s.ExprSyntax) -> s.ExprSyntax:
    root = target
    while isinstance(root, s.Dot | s.Index):
        root = root.operand
    if not isinstance(root, s.Name):
        raise Refusal("this cannot be assigned", target.at, target.end,
                      "assign a variable, an entry of a map or a member of a tuple")  # fmt: skip
    return target


def _climb(parts: tuple[Any, ...]) -> s.ExprSyntax:
    """Operands and operators in turn to a tree; all operators are left-associative."""
    operands: list[s.ExprSyntax] = [parts[0]]
    pending: list[str] = []
    for token, operand in zip(parts[1::2], parts[2::2], strict=True):
        op = str(token)
        while pending and _LEVEL[pending[-1]] >= _LEVEL[op]:
            _reduce(operands, pending.pop())
        pending.append(op)
        operands.append(operand)
    while pending:
        _reduce(operands, pending.pop())
    return operands[0]


def _reduce(operands: list[s.ExprSyntax], op: str) -> None:
    right, left = operands.pop(), operands.pop()
    operands.append(s.Infix(op, left, right, left.at, right.end))


def _integer(token: Token) -> int:
    digits = token.replace("_", "")
    return int(digits, 10 if digits[:2].isdigit() or len(digits) < 2 else 0)


def _float(token: Token) -> float:
    mantissa, e, exponent = token.replace("_", "").lower().partition("e")
    # Python would not read an exponent of a thousand digits.
    return float(mantissa + e + exponent[:12])


_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]+)\}|(.))", re.S)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", "0": "\0"}


def _unquoted(token: Token) -> str:
    text = token[1:-1]
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _unescaped(token, found), text)


def place_in_literal(literal: str, at: int) -> int:
    """Where character ``at`` of a string stands in what it is written as, quotes included."""
    written = 1
    for found in _ESCAPE.finditer(literal, 1, len(literal) - 1):
        plain = found.start() - written
        if at < plain:
            break
        at -= plain
        if not at:
            return found.start()
        at, written = at - 1, found.end()
    return written + at


def _unescaped(token: Token, found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code:
        value = int(code, 16) if len(code) < 9 else 0x110000
        if value > 0x10FFFF or 0xD800 <= value < 0xE000:
            at = _start(token) + 1 + found.start()
            raise Refusal("this is no Unicode character", at, at + len(found[0]))
        return chr(value)
    if found[3] not in _ESCAPES:
        at = _start(token) + 1 + found.start()
        raise Refusal(f'"{found[0]}" is no escape', at, at + 2,
                      'use \\n \\r \\t \\" \\\' \\\\ \\0 \\xHH or \\u{H…}')  # fmt: skip
    return _ESCAPES[found[3]]
