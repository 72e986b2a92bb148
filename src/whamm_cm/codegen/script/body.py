"""Expressions and statements as instructions: a self-contained snippet in any function.

The snippet leaves the stack as it found it, declares its locals behind those of the function (and
takes them from a pool, so that the next snippet uses them again) and needs no block type with more
than one result.  Values are evaluated from left to right; what is assigned is evaluated before
the keys of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.codegen.asm import Func
from whamm_cm.codegen.script import arithmetic, core_library, places
from whamm_cm.codegen.script.env import Env, Globals, Locals, Memory, Needs, Place, Pool, Recorder
from whamm_cm.codegen.script.places import load, resolve
from whamm_cm.codegen.script.statements import STATEMENTS
from whamm_cm.codegen.script.strings import BUILTINS
from whamm_cm.codegen.script.types import flat_range, flats, is_handle, leaves
from whamm_cm.lang import tree as t
from whamm_cm.lang.numbers import INTS, name_of
from whamm_cm.lang.walk import Node, children, walk

_LOUD = t.MapGet | t.Call | t.LibCall | t.Builtin | t.Field | t.Payload | t.IsCase | t.HasFlag
WIT_PATHS = (t.Field, t.Payload, t.IsCase, t.HasFlag, t.Element, t.Length, t.Scalar)


class Body:
    """Compiles into ``f``.  ``params``: script variables that already have locals.

    ``returns``: the result type inside of a function of the script; None in a probe, where
    ``return`` is for the place to act on.
    """

    def __init__(
        self,
        f: Func,
        env: Env,
        pool: Pool | None = None,
        params: dict[t.Variable, tuple[int, ...]] | None = None,
        returns: t.Type | None = None,
    ) -> None:
        self.f, self.env, self.returns = f, env, returns
        self.pool = pool or Pool(f)
        self.params = params or {}
        self._locals: dict[t.Variable, tuple[int, ...]] = dict(self.params)

    # --- what the parts are made with ---

    def run(self, name: str) -> None:
        """Call a function of the runtime."""
        self.f.call(self.env.function(name))

    def quiet(self, node: Node) -> bool:
        """Does evaluating ``node`` leave maps, the key buffer and variables alone?"""
        return not any(isinstance(n, _LOUD | t.Element | t.Length | t.Scalar) for n in walk(node))

    def stash(self, type: t.Type) -> tuple[int, ...]:
        """Move a value from the stack to locals; ``give`` them back."""
        held = self.pool.take_all(flats(type))
        for index in reversed(held):
            self.f.set(index)
        return held

    def stash_value(self, node: t.Expr) -> tuple[int, ...]:
        self.expr(node)
        return self.stash(node.type)

    def give(self, type: t.Type, held: Sequence[int]) -> None:
        self.pool.give(flats(type), held)

    def get_all(self, held: Sequence[int]) -> None:
        for index in held:
            self.f.get(index)

    def variable(self, variable: t.Variable) -> Place:
        """Where a variable lies; locals come into being when first asked for."""
        if variable.kind is t.Kind.GLOBAL:
            return Globals(self.env.global_(variable))
        if variable.kind is t.Kind.CELL:
            return self.env.cell(variable)
        if variable not in self._locals:
            self._locals[variable] = self.pool.take_all(flats(variable.type))
        return Locals(self._locals[variable])

    def close(self) -> None:
        """Give the locals of script variables back; nothing may be compiled any more."""
        for variable, held in self._locals.items():
            if variable not in self.params:
                self.give(variable.type, held)
        self._locals = {}

    # --- expressions ---

    def expr(self, node: t.Expr) -> None:
        """Push the flats of a value."""
        _EXPRESSIONS[type(node)](self, node)

    def const(self, type: t.Type, value: Any) -> None:
        if isinstance(type, t.TupleT):
            for item, part in zip(type.items, value, strict=True):
                self.const(item, part)
        elif type == t.STR:
            for number in self.env.string(value):
                self.f.i32(number)
        else:
            self.f.const(flats(type)[0], value)

    def zero(self, type: t.Type) -> None:
        """Push what a variable starts with.  Strings start as (0, 0)."""
        for core in flats(type):
            self.f.const(core, 0)

    def block(self, stmts: Sequence[t.Stmt]) -> None:
        for stmt in stmts:
            STATEMENTS[type(stmt)](self, stmt)

    def lib_call(self, node: t.LibCall) -> None:
        if node.annotation == "init":
            for index in self.env.initial(node):
                self.f.global_get(index)
            return
        if core_library.answers(node):
            core_library.call(self, node)
            return
        for arg in node.args:
            self.expr(arg)
        self.f.call(self.env.library(node.library, node.function))


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
    if node.left.type == t.STR:
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


def _builtin(body: Body, node: t.Builtin) -> None:
    emit = BUILTINS.get(node.name)
    if emit is not None:
        emit(body, node)
    else:
        body.env.builtin(body.f, node)


def _wit(body: Body, node: t.Expr) -> None:
    body.env.wit(body.f, node)


_EXPRESSIONS: dict[type, Callable[[Body, Any], None]] = {
    t.Const: _const, t.Static: _static, t.Bound: _bound, t.Var: _var, t.Unary: _unary,
    t.Binary: _binary, t.Cast: _cast, t.Ternary: _ternary, t.TupleMake: _tuple_make,
    t.TupleGet: _tuple_get, t.MapGet: _map_get, t.Call: _call, t.LibCall: Body.lib_call,
    t.Builtin: _builtin, **dict.fromkeys(WIT_PATHS, _wit),
}  # fmt: skip


# --- entry points --------------------------------------------------------------------------------


def compile_body(
    f: Func,
    stmts: Sequence[t.Stmt],
    env: Env,
    *,
    predicate: t.Expr | None = None,
    pool: Pool | None = None,
) -> None:
    """Append the statements to ``f``, under ``if predicate`` when there is one.

    Parameters of ``f`` stand for all locals of the function around; new locals come behind.  Give
    one ``pool`` per function when several bodies go into it.
    """
    body = Body(f, env, pool)
    body.block((t.If(predicate, tuple(stmts)),) if predicate is not None else stmts)
    body.close()


def compile_expr(f: Func, expr: t.Expr, env: Env, pool: Pool | None = None) -> None:
    """Push the flats of ``expr``."""
    body = Body(f, env, pool)
    body.expr(expr)
    body.close()


def compile_function(f: Func, function: t.Function, env: Env) -> None:
    """The body of a user function whose parameters are the parameters of ``f``."""
    params: dict[t.Variable, tuple[int, ...]] = {}
    start = 0
    for variable in function.params:
        size = len(flats(variable.type))
        params[variable] = tuple(range(start, start + size))
        start += size
    body = Body(f, env, params=params, returns=function.result)
    body.block(function.body)
    body.zero(function.result)


def needs(
    stmts: Sequence[t.Stmt],
    *,
    predicate: t.Expr | None = None,
    memory: bool = False,
    cells_in_memory: bool = False,
) -> Needs:
    """What the module around must import; ``memory``: it can import the state memory."""
    recorder = Recorder(0 if memory else None, cells_in_memory)
    f = Func(0, 0, ())
    compile_body(f, stmts, recorder, predicate=predicate)
    for node in walk(*stmts, *((predicate,) if predicate is not None else ())):
        _record_hidden(f, node, recorder)
    return recorder.needs


def _record_hidden(f: Func, node: Node, recorder: Recorder) -> None:
    """What is compiled where only the place knows how: arguments of acts, paths into WIT values."""
    known = isinstance(node, t.Builtin) and node.name in BUILTINS
    if known or not isinstance(node, (t.Act, t.Return, t.Builtin, *WIT_PATHS)):
        return
    for child in children(node):
        if isinstance(child, t.Bound):
            recorder.bound(child.name)
        elif not isinstance(child, WIT_PATHS):
            compile_expr(f, child, recorder)  # type: ignore[arg-type]


def light(stmts: Sequence[t.Stmt], predicate: t.Expr | None = None) -> bool:
    """No call and no state memory: the body is put inline."""
    return needs(stmts, predicate=predicate).light
