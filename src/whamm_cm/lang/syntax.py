"""The syntax tree: what a script says, before anybody knows what its names mean.

Nodes are named tuples (there are many of them, and they must be cheap); ``at`` and ``end`` are
character offsets into the script.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

# --- types ---------------------------------------------------------------------------------------


class TypeName(NamedTuple):
    name: str
    at: int
    end: int


class TupleType(NamedTuple):
    items: tuple[TypeSyntax, ...]
    at: int
    end: int


class MapType(NamedTuple):
    key: TypeSyntax
    value: TypeSyntax
    at: int
    end: int


class BoundedType(NamedTuple):
    """``lhist(0, 100, 10)``."""

    name: str
    bounds: tuple[int, ...]
    at: int
    end: int


TypeSyntax: TypeAlias = TypeName | TupleType | MapType | BoundedType

# --- expressions ---------------------------------------------------------------------------------


class Name(NamedTuple):
    name: str
    at: int
    end: int


class Number(NamedTuple):
    """``value`` is an int, or a float when the text has a point or an exponent."""

    value: int | float
    at: int
    end: int


class String(NamedTuple):
    value: str
    at: int
    end: int


class Parameter(NamedTuple):
    """``$name`` or ``$1``: what the script is given from outside."""

    name: str
    at: int
    end: int


class Prefix(NamedTuple):
    op: str
    operand: ExprSyntax
    at: int
    end: int


class Infix(NamedTuple):
    op: str
    left: ExprSyntax
    right: ExprSyntax
    at: int
    end: int


class Conditional(NamedTuple):
    condition: ExprSyntax
    then: ExprSyntax
    otherwise: ExprSyntax
    at: int
    end: int


class As(NamedTuple):
    operand: ExprSyntax
    type: TypeSyntax
    at: int
    end: int


class Is(NamedTuple):
    operand: ExprSyntax
    case: str
    at: int
    end: int


class Has(NamedTuple):
    operand: ExprSyntax
    flag: str
    at: int
    end: int


class Dot(NamedTuple):
    """``operand.name``; a number is a name of digits."""

    operand: ExprSyntax
    name: str
    at: int
    end: int


class Index(NamedTuple):
    operand: ExprSyntax
    key: ExprSyntax
    at: int
    end: int


class Invoke(NamedTuple):
    """``name(args)``, or ``receiver.name(args)``; ``annotation``: ``static``, ``init`` or ""."""

    receiver: ExprSyntax | None
    name: str
    args: tuple[ExprSyntax, ...]
    annotation: str
    at: int
    end: int


class Tuple(NamedTuple):
    items: tuple[ExprSyntax, ...]
    at: int
    end: int


class ListOf(NamedTuple):
    items: tuple[ExprSyntax, ...]
    at: int
    end: int


class Record(NamedTuple):
    """``{a: 1, b: 2}``; values are None in ``{read, write}``, a set of flags."""

    entries: tuple[tuple[str, ExprSyntax | None], ...]
    at: int
    end: int


ExprSyntax: TypeAlias = (
    Name | Number | String | Parameter | Prefix | Infix | Conditional | As | Is | Has | Dot | Index
    | Invoke | Tuple | ListOf | Record
)  # fmt: skip

# --- statements ----------------------------------------------------------------------------------


class Decl(NamedTuple):
    """``type`` None: that of ``init``; ``const``: a name for the value of ``init``, or with
    ``param`` for one that is given from outside."""

    name: str
    type: TypeSyntax | None
    init: ExprSyntax | None
    report: bool
    unshared: bool
    task: bool
    const: bool
    at: int
    end: int
    param: bool = False
    lives: str = ""  # "frame" or "shared"


class Set(NamedTuple):
    """``target = value`` (``op`` "") or ``target op= value``."""

    target: ExprSyntax
    op: str
    value: ExprSyntax
    at: int
    end: int


class Do(NamedTuple):
    """A call on its own, or the word ``trace``."""

    call: ExprSyntax
    at: int
    end: int


class Branch(NamedTuple):
    """``if`` with its ``elif``s: (condition, block) each; ``otherwise`` is the ``else`` block."""

    arms: tuple[tuple[ExprSyntax, Block], ...]
    otherwise: Block
    at: int
    end: int


class Loop(NamedTuple):
    condition: ExprSyntax
    body: Block
    at: int
    end: int


class Count(NamedTuple):
    name: str
    low: ExprSyntax
    high: ExprSyntax
    body: Block
    at: int
    end: int


class Each(NamedTuple):
    """``for name in listed``, or ``for (name, value) in listed``."""

    name: str
    value: str
    listed: ExprSyntax
    body: Block
    at: int
    end: int


class Jump(NamedTuple):
    """``break`` or ``continue``."""

    word: str
    at: int
    end: int


class Leave(NamedTuple):
    value: ExprSyntax | None
    at: int
    end: int


StmtSyntax: TypeAlias = Decl | Set | Do | Branch | Loop | Count | Each | Jump | Leave
Block: TypeAlias = tuple[StmtSyntax, ...]

# --- items ---------------------------------------------------------------------------------------


class Use(NamedTuple):
    name: str
    at: int
    end: int


class Param(NamedTuple):
    name: str
    type: TypeSyntax
    at: int
    end: int


class Fn(NamedTuple):
    name: str
    params: tuple[Param, ...]
    result: TypeSyntax | None
    body: Block
    at: int
    end: int


class ProbeSyntax(NamedTuple):
    """``rule`` is the text of the match rule; it stands at ``at``."""

    rule: str
    is_wit: bool
    predicate: ExprSyntax | None
    body: Block
    at: int
    end: int


ItemSyntax: TypeAlias = Use | Fn | ProbeSyntax | StmtSyntax


class Script(NamedTuple):
    items: tuple[ItemSyntax, ...]
