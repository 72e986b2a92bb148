"""Statements, compiled and run next to the interpreter: variables, cells, maps, loops, calls."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.emit.script.programs import BOUND, PAIR, STATIC, expressions, facts
from tests.emit.script.rig import Machine, State
from tests.emit.script.tiny import Tiny, same
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import Folder
from whamm_cm.lang.numbers import INTS

KEY = vt.TupleT((vt.U32, vt.STR, vt.I8))
DEEP = vt.MapT(vt.I64, vt.MapT(vt.STR, PAIR))


def var(name: str, type: vt.Type, kind: t.Kind = t.Kind.GLOBAL) -> t.Var:
    return t.Var(type, t.Variable(name, type, kind))


#: Globals, cells in wasm globals ("g…") and in memory, maps of every shape.
VARIABLES = (
    var("count", vt.U8),
    var("total", vt.I64),
    var("ratio", vt.F32),
    var("text", vt.STR),
    var("pair", PAIR),
    var("g_cell", vt.I16, t.Kind.CELL),
    var("g_flag", vt.BOOL, t.Kind.CELL),
    var("mem_cell", vt.U64, t.Kind.CELL),
    var("mem_text", vt.STR, t.Kind.CELL),
    var("mem_pair", PAIR, t.Kind.CELL),
    var("local", vt.I32, t.Kind.LOCAL),
)
MAPS = (
    var("by_pair", vt.MapT(PAIR, vt.U16)),
    var("by_key", vt.MapT(KEY, vt.STR)),
    var("by_float", vt.MapT(vt.F32, PAIR)),
    var("deep", DEEP),
    var("mem_map", vt.MapT(vt.BOOL, vt.F64), t.Kind.CELL),
)


@cache
def places() -> st.SearchStrategy[t.Expr]:
    """Anything that can be assigned, with any key."""
    plain = st.sampled_from([*VARIABLES, *(t.Bound(k, n) for n, k in BOUND.items())])

    def entry(table: t.Expr) -> st.SearchStrategy[t.Expr]:
        kind = table.type
        if not isinstance(kind, vt.MapT):
            return st.just(table)
        return (
            expressions(kind.key, 1)
            .map(lambda key: t.MapGet(kind.value, table, key))
            .flatmap(entry)
        )

    def inside(place: t.Expr) -> st.SearchStrategy[t.Expr]:
        if not isinstance(place.type, vt.TupleT):
            return st.just(place)
        members = st.sampled_from(range(len(place.type.items))).map(
            lambda i: t.TupleGet(place.type.items[i], place, i)  # type: ignore[union-attr]
        )
        return st.just(place) | members.flatmap(inside)

    return (plain | st.sampled_from(MAPS).flatmap(entry)).flatmap(inside)


@cache
def _value(type: vt.Type) -> st.SearchStrategy[t.Expr]:
    """An expression, or what a variable or a map of that type holds."""
    reads = [v for v in VARIABLES if v.type == type]
    choices = [expressions(type, 2)]
    if reads:
        choices.append(st.sampled_from(reads))
    if type == vt.U16:
        choices.append(expressions(PAIR, 1).map(lambda key: t.MapGet(vt.U16, MAPS[0], key)))
    if type == vt.STR:
        choices.append(expressions(KEY, 1).map(lambda key: t.MapGet(vt.STR, MAPS[1], key)))
    if type == vt.BOOL:
        choices += [_asked(table) for table in MAPS]
    if type == vt.U32:
        choices.append(st.sampled_from(MAPS).map(lambda m: t.Builtin(vt.U32, "map.len", (m,))))
    return st.one_of(choices)


def _asked(table: t.Expr) -> st.SearchStrategy[t.Expr]:
    assert isinstance(table.type, vt.MapT)
    keys = expressions(table.type.key, 1)
    return keys.map(lambda key: t.Builtin(vt.BOOL, "map.has", (table, key)))


def _store(place: t.Expr) -> st.SearchStrategy[t.Stmt]:
    assign = _value(place.type).map(lambda value: t.Assign(place, value))
    name = getattr(place.type, "name", "")
    if name not in INTS or name == "bool":
        return assign
    ops = st.sampled_from(("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"))
    return assign | st.builds(lambda op, v: t.Update(place, op, v), ops, _value(place.type))


@cache
def statements(depth: int = 2) -> st.SearchStrategy[tuple[t.Stmt, ...]]:
    one: list[Any] = [places().flatmap(_store)]
    if depth:
        block = statements(depth - 1)
        condition = expressions(vt.BOOL, 2)
        one.append(st.builds(t.If, condition, block, block))
        inner = st.builds(_leaving, block, st.sampled_from((None, *_JUMPS)), condition, block)
        kinds = st.sampled_from((vt.I8, vt.I32, vt.I64))
        one.append(st.builds(_loop, kinds, st.integers(-3, 4), st.integers(-3, 4), inner))
        ends = st.integers(0, 6), st.integers(0, 6)
        one.append(st.builds(_loop, st.sampled_from((vt.U8, vt.U32, vt.U64)), *ends, inner))
        one.append(st.builds(_counted, st.integers(0, 4), inner))
    return st.lists(st.one_of(one), max_size=4).map(tuple)


_JUMPS = (t.Jump(on=False), t.Jump(on=True))


def _leaving(
    first: tuple[t.Stmt, ...], jump: t.Stmt | None, condition: t.Expr, rest: tuple[t.Stmt, ...]
) -> tuple[t.Stmt, ...]:
    """A round of a loop that may end early."""
    return (*first, *((t.If(condition, (jump,)),) if jump else ()), *rest)


def _loop(kind: vt.Type, low: int, high: int, block: tuple[t.Stmt, ...]) -> t.Stmt:
    i = t.Variable("i", kind, t.Kind.LOCAL)
    sum_ = t.Update(VARIABLES[1], "+", t.Cast(vt.I64, t.Var(kind, i)))
    return t.For(i, t.Const(kind, low), t.Const(kind, high), (sum_, *block))


def _counted(rounds: int, block: tuple[t.Stmt, ...]) -> t.Stmt:
    n = t.Var(vt.U8, t.Variable("n", vt.U8, t.Kind.LOCAL))
    one, less = t.Const(vt.U8, 1), t.Binary(vt.BOOL, "<", n, t.Const(vt.U8, rounds))
    body = (t.Update(n, "+", one), *block)
    return t.If(t.Const(vt.BOOL, True), (t.Declare(n.variable), t.While(less, body)))


def _reads() -> t.TupleMake:
    """Everything there is to see at the end."""
    parts: list[t.Expr] = [*VARIABLES]
    parts += [t.Builtin(vt.U32, "map.len", (m,)) for m in MAPS]
    for key, text in ((3, "a"), (0, ""), (-1, "fd")):
        inner = t.MapGet(vt.MapT(vt.STR, PAIR), MAPS[3], t.Const(vt.I64, key))
        parts.append(t.MapGet(PAIR, inner, t.Const(vt.STR, text)))
        parts.append(t.MapGet(vt.STR, MAPS[1], t.Const(KEY, (key % 9, text, key))))
    parts += [t.MapGet(vt.F64, MAPS[4], t.Const(vt.BOOL, b)) for b in (False, True)]
    for key, text in ((3, "a"), (0, "")):
        parts.append(t.Builtin(vt.BOOL, "map.has", (MAPS[3], t.Const(vt.I64, key))))
        inner = t.MapGet(vt.MapT(vt.STR, PAIR), MAPS[3], t.Const(vt.I64, key))
        parts.append(t.Builtin(vt.BOOL, "map.has", (inner, t.Const(vt.STR, text))))
    return t.TupleMake(vt.TupleT(tuple(p.type for p in parts)), tuple(parts))


@settings(
    max_examples=int(os.environ.get("WHAMM_EXAMPLES", "25")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(statements(), st.booleans(), facts(STATIC), facts(BOUND))
def test_statements(
    stmts: tuple[t.Stmt, ...], direct: bool, statics: dict[str, Any], bound: dict[str, Any]
) -> None:
    stmts = (t.Declare(VARIABLES[-1].variable), *stmts)
    result = _reads()
    tiny = Tiny(statics | bound)
    residual = Folder(None, stmts).fold(statics)
    assert residual is not None
    folded = residual.body
    machines = [
        Machine(body, result, direct=direct, bound=BOUND, statics=statics)
        for body in (stmts, folded)
    ]
    for _ in range(2):  # the second firing finds what the first has left
        tiny.values = statics | bound
        tiny.block(stmts)
        expected = tiny.expr(result)
        for machine in machines:
            found = machine.run(*(bound[name] for name in BOUND))
            assert [
                (i, a, b)
                for i, (a, b) in enumerate(zip(found, expected, strict=True))
                if not same(a, b)
            ] == []


def test_assigned_operands_are_handed_back() -> None:
    x = t.Bound(vt.I32, "arg0")
    machine = Machine(
        [t.Update(x, "+", t.Const(vt.I32, 2))], bound={"arg0": vt.I32}, read_back=["arg0"]
    )
    assert machine.run(40) == 42


def test_key_is_evaluated_once() -> None:
    """``m[f()]++`` with an ``f`` that counts its calls."""
    calls = var("calls", vt.U32)
    f = t.Function("f", (), vt.U32, (t.Update(calls, "+", t.Const(vt.U32, 1)), t.Return(calls)))
    table = var("m", vt.MapT(vt.U32, vt.U32))
    entry = t.MapGet(vt.U32, table, t.Call(vt.U32, f, ()))
    machine = Machine(
        [t.Update(entry, "+", t.Const(vt.U32, 5))],
        t.TupleMake(
            vt.TupleT((vt.U32, vt.U32)), (calls, t.MapGet(vt.U32, table, t.Const(vt.U32, 1)))
        ),
        functions=[f],
    )
    assert machine.run() == (1, 5)
    assert machine.run() == (2, 5)


@pytest.mark.parametrize("direct", [True, False])
def test_recursion_and_strings_of_functions(direct: bool) -> None:
    n = t.Var(vt.U32, t.Variable("n", vt.U32, t.Kind.LOCAL))
    pair = vt.TupleT((vt.U64, vt.STR))
    f = t.Function("fib", (n.variable,), pair)
    less = t.Binary(vt.BOOL, "<", n, t.Const(vt.U32, 2))

    def call(k: int) -> t.Expr:
        arg = t.Binary(vt.U32, "-", n, t.Const(vt.U32, k))
        return t.TupleGet(vt.U64, t.Call(pair, f, (arg,)), 0)

    total = t.Binary(vt.U64, "+", call(1), call(2))
    f.body = (
        t.If(less, (t.Return(t.TupleMake(pair, (t.Cast(vt.U64, n), t.Const(vt.STR, "end")))),)),
        t.Return(t.TupleMake(pair, (total, t.Const(vt.STR, "sum")))),
    )
    machine = Machine(
        result=t.Call(pair, f, (t.Bound(vt.U32, "x"),)),
        bound={"x": vt.U32},
        functions=[f],
        direct=direct,
    )
    assert machine.run(10) == (55, "sum")
    assert machine.run(1) == (1, "end")


def test_a_function_without_return_gives_zero() -> None:
    f = t.Function("f", (), PAIR, ())
    assert Machine(result=t.Call(PAIR, f, ()), functions=[f]).run() == (0, (0, 0.0))


def test_endless_loops_end() -> None:
    n = var("n", vt.U32)
    forever = t.While(t.Const(vt.BOOL, True), (t.Update(n, "+", t.Const(vt.U32, 1)),))
    assert Machine([forever], n).run() == 1_000_000
    i = t.Variable("i", vt.I32, t.Kind.LOCAL)
    low, high = t.Const(vt.I32, -(2**31)), t.Const(vt.I32, 2**31 - 1)
    long = t.For(i, low, high, (t.Update(n, "+", t.Const(vt.U32, 1)),))
    assert Machine([long], n).run() == 1_000_000


def test_short_circuit_leaves_calls_out() -> None:
    calls = var("calls", vt.U32)
    body = (t.Update(calls, "+", t.Const(vt.U32, 1)), t.Return(t.Const(vt.BOOL, True)))
    f = t.Function("f", (), vt.BOOL, body)
    hit = t.Call(vt.BOOL, f, ())
    x = t.Bound(vt.BOOL, "x")
    tests = [t.Binary(vt.BOOL, op, x, hit) for op in ("&&", "||")]
    machine = Machine(
        [t.Evaluate(test) for test in tests], calls, bound={"x": vt.BOOL}, functions=[f]
    )
    assert machine.run(True) == 1
    assert machine.run(False) == 2


def test_print() -> None:
    parts = (
        t.Const(vt.STR, "x = "), t.Bound(vt.I8, "x"), t.Const(vt.STR, ", "), t.Bound(PAIR, "p"),
        t.Const(vt.STR, ", "), t.Const(vt.BOOL, True), t.Bound(vt.U64, "big"), t.Bound(vt.STR, "s"),
    )  # fmt: skip
    bound: dict[str, vt.Type] = {"x": vt.I8, "p": PAIR, "big": vt.U64, "s": vt.STR}
    for direct in (True, False):
        machine = Machine([t.Print(parts)], bound=bound, direct=direct)
        machine.run(-5, (-7, (200, 0.5)), 2**64 - 1, "é!")
        assert machine.state.texts() == ["x = -5, (-7, (200, 0.5)), true18446744073709551615é!"]


def test_a_print_within_a_print() -> None:
    f = t.Function("f", (), vt.U8, (t.Print((t.Const(vt.STR, "in"),)), t.Return(t.Const(vt.U8, 1))))
    machine = Machine([t.Print((t.Const(vt.STR, "out "), t.Call(vt.U8, f, ())))], functions=[f])
    machine.run()
    assert machine.state.texts() == ["in", "out 1"]


def test_aggregations_take_samples() -> None:
    sums, kinds = var("a", vt.AggT("avg")), vt.MapT(vt.STR, vt.AggT("max"))
    by_name = var("m", kinds)
    one = t.MapGet(vt.AggT("max"), by_name, t.Bound(vt.STR, "s"))
    cell = var("mem_min", vt.AggT("min"), t.Kind.CELL)
    x = t.Bound(vt.I32, "x")
    machine = Machine(
        [t.Sample(sums, t.Cast(vt.I64, x)), t.Sample(one, x), t.Sample(cell, x)],
        t.TupleMake(vt.TupleT((vt.U32, vt.U32)), (t.Builtin(vt.U32, "map.id", (sums,)),) * 2),
        bound={"x": vt.I32, "s": vt.STR},
    )
    for value in (3, -5, 9):
        id_ = machine.run(value, "k")[0]
    state: State = machine.state
    state.exports["report_agg"](state.store, 5, 0, id_)
    ((site, phase, _, body),) = state.records()
    assert (site, phase) == (5, 2)
    assert (int.from_bytes(body[:8], "little"), int.from_bytes(body[8:16], "little")) == (3, 7)


MEMORY = b"hello world" + bytes(100)


@pytest.mark.parametrize("direct", [True, False])
def test_strings_of_the_program(direct: bool) -> None:
    where = t.TupleMake(vt.TupleT((vt.I32, vt.I32)), (t.Bound(vt.I32, "p"), t.Bound(vt.I32, "n")))
    own = t.Const(vt.U32, 0)
    read = t.Builtin(
        vt.STR, "read_str", (own, t.Bound(vt.I32, "p"), t.Cast(vt.U32, t.Bound(vt.I32, "n")))
    )
    results = (
        t.Builtin(vt.BOOL, "strcmp", (where, t.Const(vt.STR, "world"))),
        t.Builtin(vt.BOOL, "strcontains", (where, t.Const(vt.STR, "or"))),
        read,
        t.Builtin(vt.U32, "mem_size", (own,)),
    )
    machine = Machine(
        result=t.TupleMake(vt.TupleT(tuple(r.type for r in results)), results),
        bound={"p": vt.I32, "n": vt.I32}, direct=direct, guest=MEMORY,
    )  # fmt: skip
    assert machine.run(6, 5) == (True, True, "world", 1)
    assert machine.run(6, 4) == (False, True, "worl", 1)
    assert machine.run(65536, 1) == (False, False, "", 1), "behind the end"
    assert machine.run(-1, 5) == (False, False, "", 1)
    assert len(machine.run(0, -1)[2]) == 16384, "a negative length is a large one, cut"


@pytest.mark.parametrize("direct", [True, False])
def test_strcmp_of_an_address_of_a_script_string(direct: bool) -> None:
    s = t.Bound(vt.STR, "s")
    parts = tuple(t.Cast(vt.I32, t.Builtin(vt.U32, n, (s,))) for n in ("str.addr", "str.len"))
    where = t.TupleMake(vt.TupleT((vt.I32, vt.I32)), parts)
    same = t.Builtin(vt.BOOL, "strcmp", (where, t.Const(vt.STR, "abc")))
    machine = Machine(result=same, bound={"s": vt.STR}, direct=direct)
    assert machine.run("abc") is True
    assert machine.run("abd") is False


@pytest.mark.parametrize("direct", [True, False])
def test_writing_to_the_program(direct: bool) -> None:
    p, s = t.Bound(vt.I32, "p"), t.Bound(vt.STR, "s")
    own = t.Const(vt.U32, 0)
    copy = (own, t.Const(vt.U32, 0), own, t.Const(vt.U32, 20), t.Const(vt.U32, 4))
    machine = Machine(
        [
            t.Evaluate(t.Builtin(vt.UNIT, "write_str", (own, p, s))),
            t.Evaluate(t.Builtin(vt.UNIT, "memcpy", copy)),
        ],
        t.Builtin(vt.STR, "read_str", (own, t.Const(vt.I32, 0), t.Const(vt.U32, 24))),
        bound={"p": vt.I32, "s": vt.STR}, direct=direct, guest=MEMORY,
    )  # fmt: skip
    assert machine.run(1, "EY")[:11] == "hEYlo world"
    assert machine.run(2, "")[20:] == "hEYl"
    machine.run(65535, "too long")  # outside: not written


def test_stored_strings_last() -> None:
    """What a map or a global holds survives the ring of short-lived strings."""
    table, kept = var("m", vt.MapT(vt.STR, vt.STR)), var("kept", vt.STR)
    s = t.Bound(vt.STR, "s")
    entry = t.MapGet(vt.STR, table, s)
    if_new = t.If(t.Binary(vt.BOOL, "==", kept, t.Const(vt.STR, "")), (t.Assign(kept, s),))
    first = t.MapGet(vt.STR, table, t.Const(vt.STR, "text 0"))
    machine = Machine(
        [t.Assign(entry, s), if_new],
        t.TupleMake(vt.TupleT((vt.STR, vt.STR)), (kept, first)),
        bound={"s": vt.STR},
    )
    for i in range(3000):
        result = machine.run(f"text {i}" + "." * (100 if i else 0))
    assert result == ("text 0", "text 0")


def test_a_table_known_when_weaving() -> None:
    targets = t.Const(vt.MapT(vt.U32, vt.U32), {0: 5, 1: 7, 2: 5, 9: 1})
    machine = Machine(result=t.MapGet(vt.U32, targets, t.Bound(vt.U32, "i")), bound={"i": vt.U32})
    assert [machine.run(i) for i in (0, 1, 2, 3, 9, 2**32 - 1)] == [5, 7, 5, 0, 1, 0]


def test_declared_variables_start_again() -> None:
    n = var("n", vt.I32, t.Kind.LOCAL)
    body = [t.Declare(n.variable), t.Update(n, "+", t.Const(vt.I32, 1))]
    loop = t.For(
        t.Variable("i", vt.I32, t.Kind.LOCAL), t.Const(vt.I32, 0), t.Const(vt.I32, 5), tuple(body)
    )
    assert Machine([loop], n).run() == 1
