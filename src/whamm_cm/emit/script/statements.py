"""Statements as instructions; what is assigned is evaluated before the keys of the target."""

from __future__ import annotations

from whamm_cm.emit.script import arithmetic, maps, places
from whamm_cm.emit.script.body import STATEMENTS, Body
from whamm_cm.emit.script.env import Locals, Memory
from whamm_cm.emit.script.loops import MAX_ROUNDS, count_down, has_loop, limited, round_
from whamm_cm.emit.script.places import getters, load, resolve
from whamm_cm.emit.script.texts import join, print_parts, stash_parts
from whamm_cm.emit.script.types import flats, is_handle, leaves
from whamm_cm.errors import InternalError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import INTS, name_of
from whamm_cm.lang.walk import walk


def _declare(body: Body, node: t.Declare) -> None:
    variable = node.variable
    if variable.kind in (t.Kind.CELL, t.Kind.TASK):
        return  # initialised once per site, or once per task, not here
    if node.init is not None:
        assign(body, t.Var(variable.type, variable), node.init)
        return
    if variable.kind is t.Kind.LOCAL:
        body.zero(variable.type)
        places.store_stack(body, body.variable(variable), variable.type)


def assign(body: Body, target: t.Expr, value: t.Expr) -> None:
    """``target = value``; strings are copied to where they last when the target does."""
    kind = value.type
    local = isinstance(target, t.Bound) or (
        isinstance(target, t.Var) and target.variable.kind is t.Kind.LOCAL
    )
    copied = not local and vt.STR in leaves(kind) and not places.lasting(value)
    if not copied and body.quiet(value) and len(flats(kind)) == 1 and not _calls(target):
        place, held = resolve(body, target)
        if isinstance(place, Memory):
            places.store(body, place, kind, [lambda: body.expr(value)])
        else:
            body.expr(value)
            places.store_stack(body, place, kind)
    else:
        stash = body.stash_value(value)
        if copied:
            places.keep_strings(body, kind, stash)
        place, held = resolve(body, target)
        if isinstance(place, Memory):
            places.store(body, place, kind, getters(body, stash))
        else:
            body.get_all(stash)
            places.store_stack(body, place, kind)
        body.give(kind, stash)
    body.pool.give(("i32",) * len(held), held)


def _calls(target: t.Expr) -> bool:
    """May evaluating the keys in ``target`` change what a value is?"""
    return any(isinstance(node, t.Call | t.LibCall | t.Builtin) for node in walk(target))


def _assign(body: Body, node: t.Assign) -> None:
    if is_handle(node.value.type):
        raise InternalError("a map cannot be assigned")
    assign(body, node.target, node.value)


def _update(body: Body, node: t.Update) -> None:
    kind = node.target.type
    if kind == vt.STR:
        _append(body, node)
        return
    direct = body.quiet(node.value) and not _calls(node.target)
    if direct and _counts(node):
        assert isinstance(node.target, t.MapGet)
        places.one_key(body, node.target)
        body.expr(node.value if node.op == "+" else t.Unary(kind, "-", node.value))
        body.run("map_add_one")
        return
    stash = () if direct else body.stash_value(node.value)
    place, held = resolve(body, node.target)

    def result() -> None:
        load(body, place, kind)
        if isinstance(node.target, t.Bound):
            arithmetic.normalise(body.f, name_of(kind))
        if stash:
            body.get_all(stash)
        else:
            body.expr(node.value)
        arithmetic.binary(body.f, body.pool, node.op, name_of(kind), node.value)

    if isinstance(place, Memory):
        places.store(body, place, kind, [result])
    else:
        result()
        places.store_stack(body, place, kind)
    body.pool.give(("i32",) * len(held), held)
    if stash:
        body.give(node.value.type, stash)


def _append(body: Body, node: t.Update) -> None:
    """``target += text``."""
    more = body.stash_value(node.value)
    place, held = resolve(body, node.target)
    load(body, place, vt.STR)
    join(body, body.stash(vt.STR), more)
    whole = body.stash(vt.STR)
    if not isinstance(place, Locals):
        places.keep_strings(body, vt.STR, whole)
    if isinstance(place, Memory):
        places.store(body, place, vt.STR, getters(body, whole))
    else:
        body.get_all(whole)
        places.store_stack(body, place, vt.STR)
    for stash in (more, whole):
        body.give(vt.STR, stash)
    body.pool.give(("i32",) * len(held), held)


def _counts(node: t.Update) -> bool:
    """Whether it adds to a 64-bit value of a map by an integer, which is one call."""
    target = node.target
    if not isinstance(target, t.MapGet) or node.op not in ("+", "-"):
        return False
    return target.type in (vt.U64, vt.I64) and places.by_integer(target)


def _sample(body: Body, node: t.Sample) -> None:
    value = node.value if name_of(node.value.type) == "i64" else t.Cast(vt.I64, node.value)
    direct = body.quiet(value) and not _calls(node.target)
    stash = () if direct else body.stash_value(value)
    places.handle(body, node.target, create=True)
    if stash:
        body.get_all(stash)
        body.give(vt.I64, stash)
    else:
        body.expr(value)
    body.run("agg_add")


def _if(body: Body, node: t.If) -> None:
    if not node.then and node.otherwise:
        body.expr(t.Unary(vt.BOOL, "!", node.condition))
        with body.f.if_():
            body.block(node.otherwise)
        return
    body.expr(node.condition)
    with body.f.if_():
        body.block(node.then)
        if node.otherwise:
            body.f.else_()
            body.block(node.otherwise)


def _while(body: Body, node: t.While) -> None:
    f = body.f
    with limited(body) as rounds, f.block() as done, f.loop() as again:
        body.expr(node.condition)
        f.op("i32.eqz")
        f.br_if(done)
        count_down(body, rounds, done)
        round_(body, node.body, (done, again))


def _jump(body: Body, node: t.Jump) -> None:
    body.f.br(body.loops[-1][node.on])


def _for(body: Body, node: t.For) -> None:
    if body.rounds is None and not has_loop(node.body):
        _count(body, node, None)
        return
    with limited(body) as left:
        _count(body, node, left)


def _count(body: Body, node: t.For, left: int | None) -> None:
    """A hidden counter runs: assigning the variable does not change the number of rounds.

    ``left``: the local with what is left to the loops around and within it."""
    f = body.f
    kind = INTS[name_of(node.low.type)]
    core = kind.core
    low, high = body.stash_value(node.low)[0], body.stash_value(node.high)[0]
    rounds = body.pool.take("i32")
    f.get(high)
    f.get(low)
    f.op(f"{core}.sub")
    f.const(core, 0)
    f.get(low)
    f.get(high)
    f.op(f"{core}.lt_{'s' if kind.signed else 'u'}", "select")
    # the difference of two ends is no negative number, whatever their sign
    f.tee(high)
    f.const(core, MAX_ROUNDS)
    f.get(high)
    f.const(core, MAX_ROUNDS)
    f.op(f"{core}.lt_u", "select")
    f.op(*(("i32.wrap_i64",) if core == "i64" else ()))
    f.set(rounds)
    variable = body.variable(node.variable)
    with f.block() as done, f.loop() as again:
        count_down(body, rounds, done)
        if left is not None:
            count_down(body, left, done)
        f.get(low)
        places.store_stack(body, variable, node.low.type)
        f.get(low)
        f.const(core, 1)
        f.op(f"{core}.add")
        f.set(low)
        round_(body, node.body, (done, again))
    body.pool.give((core, core, "i32"), (low, high, rounds))


def _evaluate(body: Body, node: t.Evaluate) -> None:
    body.expr(node.value)
    for _ in flats(node.value.type):
        body.f.op("drop")


def _return(body: Body, node: t.Return) -> None:
    if body.returns is None:
        maps.leave_loops(body)
        body.env.act(body.f, node)
        return
    if node.value is not None:
        body.expr(node.value)
    maps.leave_loops(body)
    body.f.op("return")


def _print(body: Body, node: t.Print) -> None:
    stashes = stash_parts(body, node.parts)
    body.f.i32(body.env.print_site(node))
    body.run("print_begin")
    print_parts(body, node.parts, stashes)
    if node.timed:
        body.run("now")
    body.run("print_end_at" if node.timed else "print_end")


def _act(body: Body, node: t.Act | t.Trace) -> None:
    body.env.act(body.f, node)


STATEMENTS.update({
    t.Declare: _declare, t.Assign: _assign, t.Update: _update, t.Sample: _sample, t.If: _if,
    t.While: _while, t.For: _for, t.Entries: maps.entries, t.Delete: maps.delete,
    t.Clear: maps.clear, t.Draw: maps.draw, t.Jump: _jump,
    t.Evaluate: _evaluate, t.Return: _return, t.Trace: _act, t.Print: _print, t.Act: _act,
})  # fmt: skip
