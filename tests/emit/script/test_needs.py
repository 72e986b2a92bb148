"""What a body asks of the module around it, and whether it is put inline."""

from __future__ import annotations

from whamm_cm.emit.script.compile import compile_body, light, needs
from whamm_cm.emit.script.env import Globals, Locals, Pool, Recorder
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func


def var(name: str, type: vt.Type, kind: t.Kind) -> t.Var:
    return t.Var(type, t.Variable(name, type, kind))


COUNT = var("count", vt.U32, t.Kind.CELL)
TABLE = var("m", vt.MapT(vt.U32, vt.U32), t.Kind.GLOBAL)
STEP = t.Update(COUNT, "+", t.Const(vt.U32, 1))
HIT = t.Update(t.MapGet(vt.U32, TABLE, t.Static(vt.U32, "fid")), "+", t.Const(vt.U32, 1))


def test_counters_are_light() -> None:
    body = (t.If(t.Cast(vt.BOOL, t.Bound(vt.I32, "arg0")), (STEP,)),)
    assert light(body)
    found = needs(body)
    assert not found.functions and not found.memory
    assert list(found.bound) == ["arg0"]
    assert list(found.cells) == [COUNT.variable]


def test_maps_and_strings_are_not() -> None:
    assert not light((HIT,))
    assert not light((t.Print((t.Const(vt.STR, "x"),)),))
    assert not light((STEP,), t.Builtin(vt.BOOL, "str.eq", (t.Const(vt.STR, "a"),) * 2))


def test_functions_stand_in_for_a_memory_that_is_not_there() -> None:
    assert list(needs((HIT,), memory=True).functions) == ["map_at_one"]
    assert set(needs((HIT,), memory=False).functions) == {"map_at_one", "st64", "ld32"}
    assert list(needs((HIT,)).statics) == ["fid"]
    assert list(needs((HIT,)).globals) == [TABLE.variable]


def test_counting_by_an_integer_is_one_call() -> None:
    table = var("m", vt.MapT(vt.I16, vt.I64), t.Kind.GLOBAL)
    key = t.Bound(vt.I16, "arg0")
    for op, calls in (("+", {"map_add_one"}), ("-", {"map_add_one"}), ("*", {"map_at_one"})):
        update = t.Update(t.MapGet(vt.I64, table, key), op, t.Const(vt.I64, 3))
        assert set(needs((update,), memory=True).functions) == calls
    pair = vt.MapT(vt.TupleT((vt.I16, vt.I16)), vt.I64)
    both = t.MapGet(vt.I64, var("p", pair, t.Kind.GLOBAL), t.TupleMake(pair.key, (key, key)))
    update = t.Update(both, "+", t.Const(vt.I64, 3))
    assert set(needs((update,), memory=True).functions) == {"map_at"}


def test_arguments_of_what_only_the_place_can_do_are_counted() -> None:
    size = t.Builtin(vt.U32, "map.len", (TABLE,))
    assert "map_size" in needs((t.Return(size),)).functions
    element = t.Element(vt.U32, t.Bound(vt.WitT(None), "list"), size)  # type: ignore[arg-type]
    found = needs((t.Assign(COUNT, t.Scalar(vt.U32, element)),))
    assert found.wit and "map_size" in found.functions and "list" in found.bound


def test_snippets_in_one_function_use_the_same_locals() -> None:
    f = Func(0, 0, ("i32",))
    pool = Pool(f)
    n = var("n", vt.U64, t.Kind.LOCAL)
    body = (t.Declare(n.variable), t.Update(n, "/", t.Cast(vt.U64, COUNT)))
    compile_body(f, body, Recorder(None), pool=pool)
    first = len(f.locals)
    for _ in range(5):
        compile_body(f, body, Recorder(None), pool=pool)
    assert len(f.locals) == first
    assert Locals((1,)) != Globals((1,))
