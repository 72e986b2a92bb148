"""The script unit: globals and their getters, initialisation, shared bodies, cells, the report."""

from __future__ import annotations

import struct
from typing import Any

import wasmtime as wt

from tests.emit.script.rig import State, engine
from whamm_cm.emit.script.types import size_of
from whamm_cm.emit.script.unit import ScriptUnit, UnitParts
from whamm_cm.emit.script.unit_module import UnitModule
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.wasm.asm import Module

PAIR = vt.TupleT((vt.U32, vt.U32))
I32 = wt.ValType.i32()


def variable(name: str, type: vt.Type, kind: t.Kind = t.Kind.GLOBAL, script: int = 0) -> t.Variable:
    return t.Variable(name, type, kind, script=script)


def of(v: t.Variable) -> t.Var:
    return t.Var(v.type, v)


def u32(n: int) -> t.Const:
    return t.Const(vt.U32, n)


class Running:
    """A unit with its state, instantiated; its start function has run."""

    def __init__(
        self, unit: ScriptUnit, libraries: dict[str, dict[str, Any]] | None = None
    ) -> None:
        self.parts: UnitParts = UnitModule(unit).encode()
        self.state = State(heap=None, raw=self.parts.state)
        store = self.state.store
        linker = wt.Linker(engine())
        if self.parts.state is not None:
            linker.define_instance(store, "state", self.state.instance)
        for library, functions in (libraries or {}).items():
            for name, call in functions.items():
                linker.define_func(library, name, wt.FuncType([I32], [I32]), call)
        module = wt.Module(engine(), self.parts.wasm)
        self.exports = linker.instantiate(store, module).exports(store)

    def call(self, name: str, *args: Any) -> Any:
        return self.exports[name](self.state.store, *args)

    def report(self) -> list[tuple[int, int, bytes]]:
        """(site, cell, body) of every record that ``report`` makes."""
        self.call("report")
        return [(site, cell, body) for site, _, cell, body in self.state.records()]


def test_scalars_need_no_state() -> None:
    count, ratio = variable("count", vt.U8), variable("ratio", vt.F64)
    unit = ScriptUnit(t.Scripts((t.Declare(count, t.Const(vt.U8, 200)), t.Declare(ratio))))
    parts = UnitModule(unit).encode()
    assert parts.state is None
    running = Running(unit)
    assert running.call("get_count") == 200
    assert running.call("get_ratio") == 0.0
    assert unit.global_(count) == ("g0",)
    assert running.exports["g0"].value(running.state.store) == 200


def test_initialisers_run_in_order() -> None:
    a, b, c = (variable(name, vt.I32) for name in "abc")
    table = variable("m", vt.MapT(vt.STR, vt.I32))
    entry = t.MapGet(vt.I32, of(table), t.Const(vt.STR, "k"))
    stmts = (
        t.Declare(a, t.Const(vt.I32, 3)),
        t.Declare(b, t.Binary(vt.I32, "*", of(a), t.Const(vt.I32, 7))),
        t.Declare(table),
        t.Assign(entry, of(b)),
        t.Declare(c, t.LibCall(vt.I32, "lib", "twice", (entry,), "init")),
    )
    signature = LibSignature("lib", {"twice": LibFunction((vt.I32,), vt.I32)})
    probe = t.Probe(0, "wasm:begin", 0, "begin", "", "", {}, None, (t.Update(of(c), "+", of(a)),))
    unit = ScriptUnit(t.Scripts(stmts, probes=(probe,)), libraries={"lib": signature})
    running = Running(unit, {"lib": {"twice": lambda x: 2 * x}})
    assert running.parts.libraries == (("lib", "twice"),)
    assert [running.call(f"get_{name}") for name in "abc"] == [3, 21, 45]


def test_two_globals_of_one_name() -> None:
    first, second = variable("x", vt.I32), variable("x", vt.I32, script=1)
    globals_ = (t.Declare(first, t.Const(vt.I32, 1)), t.Declare(second, t.Const(vt.I32, 2)))
    running = Running(ScriptUnit(t.Scripts(globals_, names=("script0", "script1"))))
    assert running.call("get_x") == 1
    assert running.call("get_x@script1") == 2


def test_strings_and_tuples_have_getters_of_several_values() -> None:
    text, pair = variable("text", vt.STR), variable("pair", PAIR)
    globals_ = (
        t.Declare(text, t.Const(vt.STR, "héllo")),
        t.Declare(pair, t.Const(PAIR, (1, 2))),
    )
    running = Running(ScriptUnit(t.Scripts(globals_)))
    assert running.state.read(*running.call("get_text")).decode() == "héllo"
    assert running.call("get_pair") == [1, 2]


def test_report_of_globals() -> None:
    u, i, f, b = (
        variable(n, k) for n, k in (("u", vt.U16), ("i", vt.I8), ("f", vt.F32), ("b", vt.BOOL))
    )
    text, mixed = variable("t", vt.STR), variable("p", vt.TupleT((vt.U8, vt.STR, vt.F64)))
    values: dict[t.Variable, Any] = {
        u: 65535, i: -2, f: 1.5, b: True, text: "abc", mixed: (7, "xy", 0.5)
    }  # fmt: skip
    unit = ScriptUnit(t.Scripts(tuple(t.Declare(v, t.Const(v.type, x)) for v, x in values.items())))
    for site, v in enumerate(values):
        unit.report_global(site, v)
    running = Running(unit)
    image = struct.pack("<BxxxII4xd", 7, 0, 2, 0.5)
    assert running.report() == [
        (0, 0, b"\xff\xff"),
        (1, 0, b"\xfe"),
        (2, 0, struct.pack("<f", 1.5)),
        (3, 0, b"\1"),
        (4, 0, struct.pack("<III", 0, 3, 3) + b"abc"),
        (5, 0, image + struct.pack("<I", 2) + b"xy"),
    ]
    assert running.report() == []


def test_report_of_maps_and_aggregations() -> None:
    table = variable("m", vt.MapT(vt.TupleT((vt.U8, vt.STR)), vt.I16))
    low = variable("low", vt.AggT("min"))
    entry = t.MapGet(vt.I16, of(table), t.Const(vt.TupleT((vt.U8, vt.STR)), (3, "k")))
    stmts = (
        t.Declare(table),
        t.Declare(low),
        t.Assign(entry, t.Const(vt.I16, -9)),
        t.Sample(of(low), t.Const(vt.I64, 4)),
    )
    unit = ScriptUnit(t.Scripts(stmts))
    unit.report_global(1, table)
    unit.report_global(2, low)
    running = Running(unit)
    (first, second) = running.report()
    key_and_value = struct.pack("<BxxxIIhxx", 3, 0, 1, -9) + struct.pack("<I", 1) + b"k"
    assert first == (1, 0, struct.pack("<III", 0, 1, 1) + key_and_value)
    assert second[0] == 2 and second[2][8:16] == struct.pack("<q", 4)


def test_report_of_cells_that_are_maps() -> None:
    kind = vt.MapT(vt.U32, vt.U32)
    cell = variable("m", kind, t.Kind.CELL)
    update = t.Update(t.MapGet(vt.U32, of(cell), u32(8)), "+", u32(1))
    end = t.Probe(0, "wasm:end", 0, "end", "", "", {}, None, (update,))
    unit = ScriptUnit(t.Scripts(probes=(end,)))
    base = unit.cells(kind, 2)
    unit.held[cell] = base + size_of(kind)
    unit.report_cells(6, kind, base, 2, first=4)
    ((site, number, _),) = Running(unit).report()
    assert (site, number) == (6, 5)


def test_end_and_report_probes() -> None:
    """``wasm:report`` replaces the rows; ``wasm:end`` comes first."""
    x = variable("x", vt.U32)

    def probe(package: str, text: str) -> t.Probe:
        body = (t.Print((t.Const(vt.STR, text), of(x))), t.Update(of(x), "+", u32(1)))
        return t.Probe(0, f"wasm:{package}", 0, package, "", "", {}, None, body)

    scripts = t.Scripts((t.Declare(x),), probes=(probe("report", "report "), probe("end", "end ")))
    unit = ScriptUnit(scripts)
    unit.report_global(1, x)
    running = Running(unit)
    running.call("report")
    assert running.state.texts() == ["end 0", "report 1"]


def test_guests_push_before_the_report() -> None:
    """A binder module puts the guest's function into the table; what it pushes is reported."""
    unit = ScriptUnit(t.Scripts())
    slots = [unit.push_slot() for _ in range(3)]
    address = unit.counters(4, 0, 3)
    assert unit.counters(4, 3, 1) == address + 24 and len(unit.counts) == 1
    assert unit.counters(5, 0, 1) == address + 32 and len(unit.counts) == 2
    running = Running(unit)
    binder = Module()
    push = binder.import_func("unit", "push_cell", ("i32", "i64"), ())
    table = binder.import_table("unit", "pushes", len(slots))
    f = binder.func()
    for place, value in ((16, 99), (24, 300), (32, 7)):
        f.i32(address + place)
        f.i64(value)
        f.call(push)
    binder.elements(slots[1], [f.index], table)
    linker, store = wt.Linker(engine()), running.state.store
    for name in ("push_cell", "pushes"):
        linker.define(store, "unit", name, running.exports[name])
    linker.instantiate(store, wt.Module(engine(), binder.encode()))
    assert running.report() == [(4, 2, b"\0\2\x63\xac\2"), (5, 0, b"\0\1\7")]
    assert running.report() == []


def test_cells_that_are_computed_at_initialisation() -> None:
    unit = ScriptUnit(
        t.Scripts(),
        libraries={"lib": LibSignature("lib", {"next": LibFunction((vt.I32,), vt.I32)})},
    )
    given: list[int] = []
    first = unit.cells(vt.I32)
    value = t.LibCall(vt.I32, "lib", "next", (t.Const(vt.I32, 5),), "init")
    unit.cell_start(first, vt.I32, value)
    alone = t.LibCall(vt.I32, "lib", "next", (t.Const(vt.I32, 6),), "init")
    (name,) = unit.at_init(alone)
    assert unit.at_init(alone) == (name,)
    running = Running(unit, {"lib": {"next": lambda x: given.append(x) or x + 1}})
    assert given == [5, 6]
    assert running.state.read(first, 4) == b"\6\0\0\0"
    assert running.exports[name].value(running.state.store) == 7


def test_much_static_data() -> None:
    """More than the memory state.wasm comes with: it gets a larger one."""
    unit = ScriptUnit(t.Scripts())
    base = unit.cells(vt.U64, 100_000)
    unit.cell_start(base + 8 * 99_999, vt.U64, t.Const(vt.U64, 1))
    running = Running(unit)
    assert running.state.read(base + 8 * 99_999, 8) == b"\1" + bytes(7)


def test_user_functions_are_exported() -> None:
    p = variable("p", vt.I32, t.Kind.LOCAL)
    f = t.Function("double", (p,), vt.I32, (t.Return(t.Binary(vt.I32, "+", of(p), of(p))),))
    unit = ScriptUnit(t.Scripts(functions=(f,)))
    assert unit.user_function(f) == "f0"
    assert Running(unit).call("f0", 21) == 42


def test_initialisation_on_request() -> None:
    x = variable("x", vt.I32)
    stmts = (t.Declare(x), t.Assign(of(x), t.Const(vt.I32, 4)))
    parts = UnitModule(ScriptUnit(t.Scripts(stmts))).encode(start=False)
    store = wt.Store(engine())
    exports: Any = wt.Instance(store, wt.Module(engine(), parts.wasm), []).exports(store)
    assert exports["get_x"](store) == 0
    exports["init"](store)
    assert exports["get_x"](store) == 4


def test_the_same_bytes_every_time() -> None:
    table = variable("graph", vt.MapT(PAIR, vt.U32))

    def encode() -> UnitParts:
        unit = ScriptUnit(t.Scripts((t.Declare(table),)))
        unit.string("some text")
        unit.report_global(0, table)
        return UnitModule(unit).encode()

    assert encode() == encode()
