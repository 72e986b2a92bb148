"""Expressions as instructions that push the flats of a value."""

from __future__ import annotations

from whamm_cm.emit.script import arithmetic, core_library, places, src
from whamm_cm.emit.script.body import EXPRESSIONS, WIT_PATHS, Body
from whamm_cm.emit.script.env import Locals, Memory
from whamm_cm.emit.script.places import load, resolve
from whamm_cm.emit.script.strings import BUILTINS
from whamm_cm.emit.script.texts import make
from whamm_cm.emit.script.types import flat_range, flats, is_handle, leaves
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import INTS, name_of


def _const(body: Body, node: t.Const) -> None:
    body.const(node.type, node.value)


def _static(body: Body, node: t.Static) -> None:
    body.env.static(body.f, node)


def _bound(body: Body, node: t.Bound) -> None:
    _load_bound(body, node)


def _load_bound(body: Body, node: t.Bound) -> None:
    indices = body.env.bound(node.name)
    names = [name_of(leaf) for leaf in leaves(node.type) for _ in flats(leaf)]
    for index, name in zip(indices, names, strict=False):
        body.f.get(index)
        arithmetic.normalise(body.f, name)


def _var(body: Body, node: t.Var) -> None:
    if is_handle(node.type):
        places.handle(body, node, create=True)
    else:
        load(body, body.variable(node.variable), node.type)


def _unary(body: Body, node: t.Unary) -> None:
    body.expr(node.operand)
    arithmetic.unary(body.f, body.pool, node.op, name_of(node.operand.type))


def _binary(body: Body, node: t.Binary) -> None:
    f = body.f
    if node.op in ("&&", "||"):
        _logic(body, node)
        return
    body.expr(node.left)
    body.expr(node.right)
    if node.left.type == vt.STR:
        body.run("str_eq")
        if node.op == "!=":
            f.op("i32.eqz")
        return
    arithmetic.binary(f, body.pool, node.op, name_of(node.left.type), node.right)


def _logic(body: Body, node: t.Binary) -> None:
    f = body.f
    body.expr(node.left)
    if isinstance(node.right, t.Bound | t.Var | t.Const) and body.quiet(node.right):
        body.expr(node.right)
        f.op("i32.and" if node.op == "&&" else "i32.or")
        return
    with f.if_("i32"):
        if node.op == "&&":
            body.expr(node.right)
            f.else_()
            f.i32(0)
        else:
            f.i32(1)
            f.else_()
            body.expr(node.right)


def _cast(body: Body, node: t.Cast) -> None:
    body.expr(node.operand)
    arithmetic.cast(body.f, body.pool, name_of(node.type), name_of(node.operand.type))


def _ternary(body: Body, node: t.Ternary) -> None:
    kinds = flats(node.type)
    body.expr(node.condition)
    if len(kinds) == 1:
        with body.f.if_(kinds[0]):
            body.expr(node.then)
            body.f.else_()
            body.expr(node.otherwise)
        return
    held = body.pool.take_all(kinds)
    target = Locals(held)
    with body.f.if_():
        body.expr(node.then)
        places.store_stack(body, target, node.type)
        body.f.else_()
        body.expr(node.otherwise)
        places.store_stack(body, target, node.type)
    body.get_all(held)
    body.pool.give(kinds, held)


def _tuple_make(body: Body, node: t.TupleMake) -> None:
    for item in node.items:
        body.expr(item)


def _tuple_get(body: Body, node: t.TupleGet) -> None:
    if is_handle(node.type) and places.is_place(node):
        places.handle(body, node, create=True)
        return
    if places.is_place(node) and not _root_is_bound(node):
        place, held = resolve(body, node, create=False)
        load(body, place, node.type)
        body.pool.give(("i32",) * len(held), held)
        return
    held = body.stash_value(node.operand)
    body.get_all(held[flat_range(node.operand.type, node.index)])
    body.give(node.operand.type, held)


def _root_is_bound(node: t.Expr) -> bool:
    while isinstance(node, t.TupleGet):
        node = node.operand
    return isinstance(node, t.Bound)


def _map_get(body: Body, node: t.MapGet) -> None:
    if isinstance(node.map, t.Const):
        _const_map(body, node, node.map)
        return
    if is_handle(node.type):
        places.handle(body, node, create=False)
        return
    places.entry(body, node, create=False)
    address = body.pool.take("i32")
    body.f.set(address)
    load(body, Memory(address), node.type)
    body.pool.give(("i32",), (address,))


def _const_map(body: Body, node: t.MapGet, table: t.Const) -> None:
    """A table known when weaving: binary search by integer keys, zero for others."""
    values: dict[int, int] = table.value  # type: ignore[assignment]
    kind = flats(node.type)[0]
    key = body.stash_value(node.key)
    core = flats(node.key.type)[0]
    keys = sorted(values)

    def search(low: int, high: int) -> None:
        f = body.f
        if high - low > 1:
            middle = (low + high) // 2
            f.get(key[0])
            f.const(core, keys[middle])
            sign = "s" if INTS[name_of(node.key.type)].signed else "u"
            f.op(f"{core}.lt_{sign}")
            with f.if_(kind):
                search(low, middle)
                f.else_()
                search(middle, high)
            return
        f.const(kind, values[keys[low]])
        f.const(kind, 0)
        f.get(key[0])
        f.const(core, keys[low])
        f.op(f"{core}.eq", "select")

    if keys:
        search(0, len(keys))
    else:
        body.zero(node.type)
    body.give(node.key.type, key)


def _call(body: Body, node: t.Call) -> None:
    for arg in node.args:
        body.expr(arg)
    body.f.call(body.env.user(node.function))


def _lib_call(body: Body, node: t.LibCall) -> None:
    if node.annotation == "init":
        for index in body.env.initial(node):
            body.f.global_get(index)
        return
    if core_library.answers(node):
        core_library.call(body, node)
        return
    for arg in node.args:
        body.expr(arg)
    body.f.call(body.env.library(node.library, node.function))


def _builtin(body: Body, node: t.Builtin) -> None:
    emit = BUILTINS.get(node.name)
    if emit is not None:
        emit(body, node)
    else:
        body.env.builtin(body.f, node)


def _format(body: Body, node: t.Format) -> None:
    make(body, node.parts)


def _wit(body: Body, node: t.Expr) -> None:
    body.env.wit(body.f, node)


BUILTINS.update(src.BUILTINS)
EXPRESSIONS.update({
    t.Const: _const, t.Static: _static, t.Bound: _bound, t.Var: _var, t.Unary: _unary,
    t.Binary: _binary, t.Cast: _cast, t.Ternary: _ternary, t.TupleMake: _tuple_make,
    t.TupleGet: _tuple_get, t.MapGet: _map_get, t.Call: _call, t.LibCall: _lib_call,
    t.Builtin: _builtin, t.Format: _format, **dict.fromkeys(WIT_PATHS, _wit),
})  # fmt: skip
