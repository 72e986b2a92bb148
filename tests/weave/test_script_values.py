"""Types that declarations infer, constants, loops and what leaves them, elements of lists: the same
answers in components and in core modules, worked out in Python."""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import FuncType, Instance, Linker, Module, Store

from tests.wasm.core_samples import engine
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions
from tests.weave.libs import text
from tests.weave.scripted import Scripted, scripted
from whamm_cm.cli.main import main
from whamm_cm.wit.types import FuncT, ListT, Prim, RecordT, TupleT

U8, U32, S64, STRING = map(Prim, ("u8", "u32", "s64", "string"))
POINT = RecordT((("name", STRING), ("at", TupleT((S64, U8))), ("parts", ListT(U8))))
POINTS = FuncT((("points", ListT(POINT)), ("plain", ListT(U32))), None)


def echo(func: FuncT, script: str, **plan: Any) -> Scripted:
    host = Functions({(HOST, "f0"): (func, lambda *_: None)})
    return scripted(echo_component([func]), script, functions=host, **plan)


def in_core_module(script: str, tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The map that a script reports which fires once in a core module, as its CSV says it."""
    app, mm = tmp_path / "app.wasm", tmp_path / "s.mm"
    app.write_bytes(text('(module (memory (export "memory") 1) (func (export "_start") nop))'))
    mm.write_text(script)
    assert main(["trace", "-q", "-f", "csv", "-s", str(mm), str(app)]) == 0
    rows = [line.split(",") for line in capfd.readouterr().err.splitlines()[1:]]
    return {row[-2]: row[-1] for row in rows}


# --- without any list: components and core modules alike ------------------------------------------

LOOPS = """
const LIMIT = 7;
const STEP: u16 = 3;
const WORD = "odd";
const WIDE = 1 << 40;
const HALF = 1 / 2.0;
report var found: map<str, u64>;
var start = 5;
var big = 5_000_000_000;

fn first_above(limit: u32) -> u32 {
    const MOST = LIMIT * 10;
    for i in 0..MOST {
        if (i % 2 == 1) { continue; }
        if (i * i > limit as i32) { return i as u32; }
    }
    return 0;
}

EVENT {
    var sum = 0;
    var n = 0 as u8;
    while (true) {
        n += 1;
        if (n == 4) { continue; }
        if (n > LIMIT) { break; }
        sum += n as i32;
    }
    found["while"] = sum as u64;
    var pairs = 0 as u64;
    for i in 0..LIMIT {
        for k in i..20 {
            if (k > 9) { break; }
            if (k == i) { continue; }
            pairs++;
        }
    }
    found["pairs"] = pairs;
    found["first"] = first_above(50) as u64;
    for j in n..200 { found["last"] = j as u64; if (j == 150) { break; } }
    found["step"] = STEP as u64;
    found[WORD] += start as u64;
    found["big"] = big as u64 + WIDE;
    var half = HALF;
    found["half"] = (half * 10.0) as u64;
    if (n as u32 == LIMIT as u32 + 1 && n == LIMIT + 1) { found["limit"] = LIMIT; }
}
"""


def answers() -> dict[str, int]:
    """What LOOPS finds, by hand: n ends at 8."""
    return {
        "while": sum(n for n in range(1, 8) if n != 4),
        "pairs": sum(1 for i in range(7) for k in range(i, 20) if k <= 9 and k != i),
        "first": next(i for i in range(0, 70, 2) if i * i > 50),
        "last": 150,
        "step": 3,
        "odd": 5,
        "big": 5_000_000_000 + (1 << 40),
        "half": 5,
        "limit": 7,
    }


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_loops_and_constants_in_components(plan: dict[str, Any]) -> None:
    run = echo(POINTS, LOOPS.replace("EVENT", "wit:import:*#f0:before"), **plan)
    run.call("f0", [], [])
    assert run.reported["found"] == answers()


def test_loops_and_constants_in_core_modules(
    tmp_path: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    found = in_core_module(LOOPS.replace("EVENT", "wasm:func:entry"), tmp_path, capfd)
    assert found == {key: str(value) for key, value in answers().items()}


def test_breaks_leave_the_program_as_it_was(tmp_path: Any) -> None:
    """Loops that end early inside of a function whose own control flow goes on."""
    source = """(module (func (export "sum") (param i32) (result i32) (local i32)
      (block $out (loop $again
        (br_if $out (i32.eqz (local.get 0)))
        (local.set 1 (i32.add (local.get 1) (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $again)))
      (local.get 1)))"""
    script = """report var n: u64;
    wasm:opcode:i32.add|br_if|local.get:before {
        for i in 0..10 { if (i == opidx as i32) { break; } if (i > 5) { continue; } n++; }
    }"""
    app, mm, out = tmp_path / "app.wasm", tmp_path / "s.mm", tmp_path / "out.wasm"
    app.write_bytes(text(source))
    mm.write_text(script)
    assert (
        main(["instrument", "-q", "--sink", "host", "-s", str(mm), "-o", str(out), str(app)]) == 0
    )
    store = Store(engine())
    linker = Linker(engine())
    module = Module(engine(), out.read_bytes())
    for wanted in module.imports:
        assert isinstance(wanted.type, FuncType)
        zeros = [0 for _ in wanted.type.results] or None
        linker.define_func(wanted.module, wanted.name or "", wanted.type,
                           lambda *_, zeros=zeros: zeros and zeros[0])  # fmt: skip
    instance: Instance = linker.instantiate(store, module)
    assert [instance.exports(store)["sum"](store, n) for n in (0, 1, 10)] == [0, 1, 55]


# --- lists ----------------------------------------------------------------------------------------

GIVEN: list[dict[str, Any]] = [
    {"name": "a", "at": [-5, 1], "parts": [1, 2, 3]},
    {"name": "bb", "at": [7, 2], "parts": []},
    {"name": "", "at": [1 << 40, 3], "parts": [9, 200]},
]


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_elements_one_after_the_other(plan: dict[str, Any]) -> None:
    run = echo(
        POINTS,
        """report var sums: map<str, i64>;
        wit:import:*#f0:before {
            for i in 0..len(points) { sums["index"] += points[i].at.0; }
            for p in points {
                if (p.name == "") { print("no name, {}", p.at.1); continue; }
                print("{} {} {}", p.name, p.at.0, len(p.parts));
                sums["each"] += p.at.0;
                for x in p.parts { sums["parts"] += x as i64; if (x == 2) { break; } }
            }
            for n in plain { if (n > 100) { break; } sums["plain"] += n as i64; }
            for k in 0..3 { sums["signed"] += plain[k] as i64; }
            var at = -1;
            sums["outside"] += plain[at] as i64 + plain[len(plain)] as i64;
        }""",
        **plan,
    )
    run.call("f0", GIVEN, [4, 5, 101, 7])
    assert run.printed == ["a -5 3", "bb 7 0", "no name, 3"]
    assert run.reported["sums"] == {
        "index": sum(p["at"][0] for p in GIVEN),
        "each": 2,
        "parts": 3,
        "plain": 9,
        "signed": 110,
        "outside": 0,
    }


def test_an_empty_list_has_no_rounds_and_a_long_one_a_million() -> None:
    run = echo(
        FuncT((("bytes", ListT(U8)),), None),
        "report var n: u32; wit:import:*#f0:before { for b in bytes { n += b as u32; } }",
    )
    run.call("f0", b"")
    assert run.reported.get("n", 0) == 0
    run.call("f0", b"\1" * 1_000_500)
    assert run.reported["n"] == 1_000_000


@pytest.mark.parametrize(
    "loops",
    ["while (true) { while (true) { n++; } }",
     "for i in 0..2_000_000 { for j in 0..100_000 { n++; } }",
     "for i in 0..2_000_000 { while (true) { for j in 0..3 { n++; } } }"],
)  # fmt: skip
def test_loops_within_each_other_have_a_million_rounds_together(loops: str) -> None:
    run = echo(FuncT((), None), f"report var n: u32; wit:import:*#f0:before {{ {loops} }}")
    run.call("f0")
    assert 700_000 < run.reported["n"] <= 1_000_000


# --- keys of maps ---------------------------------------------------------------------------------

KEYS = """
var seen: map<str, u32>;
var pairs: map<(u32, bool), map<u8, f64>>;
report var found: map<str, bool>;
EVENT {
    found["empty"] = "a" in seen;
    found["read"] = seen["a"] == 0 && "a" in seen;
    seen["a"] = 0;
    seen["b"]++;
    found["zero"] = "a" in seen;
    found["prefix"] = "" in seen || "ab" in seen;
    found["both"] = "a" in seen && "b" in seen && !("c" in seen);
    pairs[(1, true)][7] = 0.0;
    found["pair"] = (1, true) in pairs;
    found["other"] = (1, false) in pairs;
    found["inner"] = 3 + 4 in pairs[(1, true)];
    found["missing"] = 7 in pairs[(2, true)];
    var there = "b" in seen ? 1 : 2;
    found["choice"] = there == 1;
    found["len"] = len(seen) == 2 && seen.len() == 2;
}
"""
KNOWN = {
    "empty": False, "read": False, "zero": True, "prefix": False, "both": True, "pair": True,
    "other": False, "inner": True, "missing": False, "choice": True, "len": True,
}  # fmt: skip


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_keys_in_components(plan: dict[str, Any]) -> None:
    run = echo(POINTS, KEYS.replace("EVENT", "wit:import:*#f0:before"), **plan)
    run.call("f0", [], [])
    assert run.reported["found"] == KNOWN


def test_keys_in_core_modules(tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    found = in_core_module(KEYS.replace("EVENT", "wasm:func:entry"), tmp_path, capfd)
    assert found == {key: str(value).lower() for key, value in KNOWN.items()}
