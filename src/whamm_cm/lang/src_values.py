"""``src.NAME`` in scripts: variables of the program's source, and paths into them.

A path is a :class:`~whamm_cm.lang.tree.Src` until it ends in a number or a text (``src_ends``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from whamm_cm.lang import src_places as p
from whamm_cm.lang import src_types as st
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Unknowable
from whamm_cm.lang.source import listed, suggest
from whamm_cm.lang.src_ends import (
    MOST_STEPS,
    both,
    elements,
    find,
    flat,
    is_that,
    member_of,
    number_of,
    only,
    refers,
    source_type,
    target_of,
    text,
    ways,
)
from whamm_cm.lang.tree import Binary, Builtin, Const, Expr, Src, Unary
from whamm_cm.lang.types import INTEGERS, a
from whamm_cm.lang.valtypes import BOOL, U32, U64, SrcT

WORD = "src"


def is_meant(body: Body, node: s.ExprSyntax) -> bool:
    """Whether ``node`` is ``src``, and that is no variable of the script."""
    if not isinstance(node, s.Name) or node.name != WORD or body.variable(WORD) is not None:
        return False
    return body.wit is None or body.blank or WORD not in body.wit.names


def variable(body: Body, node: s.Dot) -> Expr:
    """``src.NAME``."""
    if body.event is None or body.event.package not in PACKAGES:
        raise body.error(node, "variables of the source are known in probes of core modules only",
                         "take its value there, and keep it in a variable")  # fmt: skip
    if body.initialising:
        message = f'"{node.name}" changes, but {body.initialising} is initialised once'
        raise body.error(node, message,
                         "declare first and assign in a statement of its own")  # fmt: skip
    here = body.around
    if here is None:
        raise Unknowable(node.name)
    found = here.variables[node.name]
    try:
        place = here.place(found.where)
    except p.NotThere as fault:
        place = p.AtNowhere(str(fault))
    if isinstance(place, p.AtNowhere):
        raise p.NotThere(f"src.{node.name} is {place.why}")
    return Src(SrcT(found.type), place, None, body.span(node))


#: Of events at whose places there is a source.
PACKAGES = frozenset(("opcode", "func", "block", "line", "source"))


def names(node: object) -> Iterator[tuple[str, s.Dot]]:
    """All ``src.NAME`` in some syntax."""
    for one in _nodes(node):
        if isinstance(one, s.Dot) and isinstance(one.operand, s.Name) and one.operand.name == WORD:
            yield one.name, one


def declares(node: object) -> bool:
    """Whether some syntax has a variable of its own by that name."""
    return any(
        isinstance(one, s.Decl | s.Count | s.Each) and one.name == WORD for one in _nodes(node)
    )


def _nodes(node: object) -> Iterator[object]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, tuple):
            waiting.extend(reversed(one))


# --- steps ---------------------------------------------------------------------------------------


def _followed(body: Body, found: Src, node: s.ExprSyntax) -> Src:
    """What pointers lead to."""
    for _ in range(MOST_STEPS):
        type_ = source_type(found)
        if not isinstance(type_, st.Pointer):
            return found
        found = target_of(body.here, found)
    raise body.error(node, "this leads from pointer to pointer without end")


def field(body: Body, node: s.Dot, operand: Src) -> Expr:
    """``p.x``, also through pointers; ``shape.Circle`` where the type has cases."""
    whole = _followed(body, operand, node)
    type_ = source_type(whole)
    if not isinstance(type_, st.Struct):
        raise body.error(node, f'{a(operand.type)} has no member "{node.name}"', ways(operand))
    tag, cases = type_.cases
    if cases:
        case = _case(body, node, cases, node.name)
        test = is_that(whole, tag, cases, case)
        inner = member_of(whole, cases[case].member)
        return replace(inner, when=both(whole.when, test), span=body.span(node))
    found = find(whole, f"__{node.name}" if node.name.isdigit() else node.name)
    if found is None:
        known = [one.name for one in flat(type_)]
        hint = suggest(node.name, known) or ways(whole)
        raise body.error(node, f'{type_.kind} {type_.name} has no member "{node.name}"', hint)
    return replace(found, span=body.span(node))


def index(body: Body, node: s.Index, operand: Src) -> Expr:
    at = body.value(node.key, U32)
    if at.type not in INTEGERS:
        raise body.error(node.key, f"this is {a(at.type)}, but the index is an integer")
    found = _element(body, operand, at)
    if found is None:
        raise body.error(node, f"{a(operand.type)} has no elements", ways(operand))
    return replace(found, span=body.span(node))


def _element(body: Body, whole: Src, at: Expr) -> Src | None:
    listed_ = elements(body.here, whole)
    if listed_ is not None:
        start, length, element = listed_
        inside = Binary(BOOL, "<", p.cast(U64, at), p.cast(U64, length))
        found = _nth(body, start, at, element)
        return replace(found, when=both(whole.when, inside))
    type_ = source_type(whole)
    if isinstance(type_, st.Pointer):
        if refers(type_) and isinstance(type_.target, st.Array | st.Pointer):
            return _element(body, target_of(body.here, whole), at)
        if isinstance(type_.target, st.Opaque):
            return None
        start = p.cast(body.here.address, number_of(whole))
        return replace(_nth(body, start, at, type_.target), when=whole.when)
    if not isinstance(type_, st.Array):
        return None
    when = whole.when
    if type_.count is not None:
        when = both(when, Binary(BOOL, "<", p.cast(U64, at), Const(U64, type_.count)))
    if isinstance(whole.place, p.AtAddress):
        return replace(_nth(body, whole.place.address, at, type_.element), when=when)
    if not isinstance(at, Const) or not isinstance(at.value, int):
        raise p.NotThere("not in memory, so that only constants can be its index")
    size = type_.element.size
    if not 0 <= at.value < (type_.count or 0):
        return Src(SrcT(type_.element), p.AtBytes(bytes(size)))
    part = p.part(whole.place, at.value * size, size)  # type: ignore[arg-type]
    return Src(SrcT(type_.element), part, whole.when)


def _nth(body: Body, start: Expr, at: Expr, element: st.SourceType) -> Src:
    type_ = body.here.address
    offset: Expr = p.cast(type_, at)
    if isinstance(offset, Const) and isinstance(offset.value, int):
        return Src(SrcT(element), p.AtAddress(p.plus(start, offset.value * element.size)))
    if element.size != 1:
        offset = Binary(type_, "*", offset, Const(type_, element.size))
    return Src(SrcT(element), p.AtAddress(Binary(type_, "+", start, offset)))


def length(body: Body, node: s.Invoke, whole: Src) -> Expr:
    """``len(…)``."""
    found = elements(body.here, whole)
    if found is not None:
        return only(whole, p.cast(U32, found[1]))
    type_ = source_type(whole)
    if refers(type_):
        whole = target_of(body.here, whole)
        type_ = source_type(whole)
    written = text(body.here, whole)
    if written is not None:
        return Builtin(U32, "str.len", (written,), body.span(node))
    if isinstance(type_, st.Array) and type_.count is not None:
        return Const(U32, type_.count, body.span(node))
    raise body.error(node, f"{a(whole.type)} has no length", ways(whole))


# --- cases ---------------------------------------------------------------------------------------


def _case(body: Body, node: s.ExprSyntax, cases: tuple[st.Case, ...], name: str) -> int:
    known = [case.member.name for case in cases]
    if name not in known:
        raise body.error(node, f'there is no case "{name}"',
                         suggest(name, known) or f"there are {listed(known)}")  # fmt: skip
    return known.index(name)


def is_case(body: Body, node: s.Is, operand: Src) -> Expr:
    whole = _followed(body, operand, node)
    type_ = source_type(whole)
    if isinstance(type_, st.Enum):
        return _is_label(body, node, whole, node.case)
    tag, cases = type_.cases if isinstance(type_, st.Struct) else (None, ())
    if not cases:
        raise body.error(node, f'{a(operand.type)} has no cases to test with "is"')
    return only(whole, is_that(whole, tag, cases, _case(body, node, cases, node.case)))


def _is_label(body: Body, node: s.ExprSyntax, whole: Src, name: str) -> Expr:
    type_ = source_type(whole)
    assert isinstance(type_, st.Enum)
    known = dict(type_.labels)
    if name not in known:
        raise body.error(node, f'enum {type_.name} has no "{name}"',
                         suggest(name, known) or f"there are {listed(known)}")  # fmt: skip
    value = number_of(whole)
    return only(whole, Binary(BOOL, "==", value, p.cast(value.type, Const(U64, known[name]))))


def compare_case(body: Body, node: s.Infix) -> Expr | None:
    """``e == "NAME"`` on an enum; None when that is not what ``node`` is."""
    sides = (node.left, node.right)
    written = next((side for side in sides if isinstance(side, s.String)), None)
    other = next((side for side in sides if not isinstance(side, s.String)), None)
    if written is None or other is None or body.around is None or not _begins(body, other):
        return None
    found = body.expr(other)
    if not isinstance(found, Src):
        return None
    kind = source_type(found)
    if isinstance(kind, st.Pointer) and isinstance(kind.target, st.Enum):
        found = target_of(body.here, found)
    if not isinstance(source_type(found), st.Enum):
        return None
    same = _is_label(body, written, found, written.value)
    return same if node.op == "==" else Unary(BOOL, "!", same, body.span(node))


def _begins(body: Body, node: s.ExprSyntax) -> bool:
    """Whether a path begins with ``src``."""
    while isinstance(node, s.Dot | s.Index):
        node = node.operand
    return is_meant(body, node)
