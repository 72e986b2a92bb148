"""Texts made of values: what prints and ``format`` have in common.

What is printed and what becomes a text is put together by the same functions of the runtime, one
text at a time: parts that could begin another are evaluated first.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.emit.script import core_library
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.strings import push_span
from whamm_cm.emit.script.types import flat_range, flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.layout import BASES, PLAIN, Layout
from whamm_cm.lang.numbers import FLOATS, INTS, name_of

#: As agent/format.h has them.
SIGNED, PLUS, PREFIX, UPPER = 64, 128, 256, 512
_NO_CHARACTER = 0x110000
Stash = tuple[int, ...] | None


def stash_parts(body: Body, parts: Sequence[t.Expr]) -> list[Stash]:
    """Evaluate what is loud, which may print itself; None for what is not."""
    return [None if body.quiet(part) else body.stash_value(_value(part)) for part in parts]


def _value(part: t.Expr) -> t.Expr:
    return part.operand if isinstance(part, t.Shown) else part


def print_parts(body: Body, parts: Sequence[t.Expr], stashes: Sequence[Stash]) -> None:
    """Append all of them to what has begun."""
    for part, stash in zip(parts, stashes, strict=True):
        _part(body, part, stash)


def make(body: Body, parts: Sequence[t.Expr]) -> None:
    """Push the text of the parts."""
    stashes = stash_parts(body, parts)
    body.run("text_begin")
    print_parts(body, parts, stashes)
    end(body)


def end(body: Body) -> None:
    """Push the text that has begun."""
    body.run("text_end")
    push_span(body)


def join(body: Body, left: Sequence[int], right: Sequence[int]) -> None:
    """Push two strings in locals as one; those of ``left`` are given back."""
    body.run("text_begin")
    for held in (left, right):
        body.get_all(held)
        body.run("print_str")
    body.give(vt.STR, left)
    end(body)


def _part(body: Body, part: t.Expr, stash: Stash) -> None:
    value, layout = _value(part), part.layout if isinstance(part, t.Shown) else PLAIN
    if layout.width:
        body.run("print_mark")
    if stash is None and (len(flats(value.type)) == 1 or value.type == vt.STR):
        body.expr(value)
        _print_stack(body, value.type, layout)
    else:
        held = body.stash_value(value) if stash is None else stash
        _print_held(body, value.type, held, layout)
        body.give(value.type, held)
    if layout.width:
        body.f.i32(layout.width)
        body.f.i32(ord(layout.fill))
        body.f.i32(ord(layout.align or (">" if _is_number(value.type, layout) else "<")))
        body.run("print_pad")


def _is_number(type: vt.Type, layout: Layout) -> bool:
    name = name_of(type)
    return (name in FLOATS or (name in INTS and name != "bool")) and layout.kind not in ("c", "s")


def _print_held(body: Body, type: vt.Type, held: Sequence[int], layout: Layout) -> None:
    if not isinstance(type, vt.TupleT):
        body.get_all(held)
        _print_stack(body, type, layout)
        return
    for i, item in enumerate(type.items):
        _print_text(body, ", " if i else "(")
        _print_held(body, item, held[flat_range(type, i)], PLAIN)
    _print_text(body, ")" if type.items else "()")


def _print_text(body: Body, text: str) -> None:
    body.const(vt.STR, text)
    body.run("print_str")


def _print_stack(body: Body, type: vt.Type, layout: Layout) -> None:
    """Append the scalar or string on the stack."""
    f, name = body.f, name_of(type)
    if type == vt.STR:
        if layout.precision is None:
            body.run("print_str")
        else:
            f.i32(layout.precision)
            body.run("print_first")
    elif name in FLOATS:
        _print_float(body, name, layout)
    elif layout.kind == "c":
        if flats(type) == ("i64",):
            _code_point(body)
        body.run("print_char")
    elif layout.plus or layout.kind not in ("", "d", "s"):
        _print_integer(body, name, layout)
    else:
        core_library.print_scalar(body, type)


def _code_point(body: Body) -> None:
    """An i64 as an i32 that is no character if that is none."""
    f = body.f
    value = body.pool.take("i64")
    f.tee(value)
    f.i64(_NO_CHARACTER)
    f.get(value)
    f.i64(_NO_CHARACTER)
    f.op("i64.lt_u", "select", "i32.wrap_i64")
    body.pool.give(("i64",), (value,))


def _print_integer(body: Body, name: str, layout: Layout) -> None:
    """In another base than ten negative numbers are their bits."""
    kind, base, f = INTS[name], BASES[layout.kind], body.f
    signed = kind.signed and base == 10
    if kind.core == "i32":
        f.op(f"i64.extend_i32_{'s' if signed else 'u'}")
        if kind.signed and not signed and kind.bits < 32:
            f.i64((1 << kind.bits) - 1)
            f.op("i64.and")
    how = base + (SIGNED if signed else 0) + (PLUS if layout.plus else 0)
    how += (PREFIX if layout.prefix else 0) + (UPPER if layout.kind == "X" else 0)
    f.i32(how)
    body.run("print_number")


def _print_float(body: Body, name: str, layout: Layout) -> None:
    f = body.f
    if layout.kind in ("f", "e") or (layout.precision is not None and layout.kind != "s"):
        f.op(*(("f64.promote_f32",) if name == "f32" else ()))
        f.i32(6 if layout.precision is None else layout.precision)
        f.i32((10 if layout.kind == "e" else 0) + (PLUS if layout.plus else 0))
        body.run("print_real")
        return
    if layout.plus:
        value = body.pool.take(name)
        f.tee(value)
        f.op(*(("f64.promote_f32",) if name == "f32" else ()))
        body.run("print_plus")
        f.get(value)
        body.pool.give((name,), (value,))
    body.run(f"print_{name}")
