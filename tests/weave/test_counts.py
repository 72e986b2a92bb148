"""The ready monitors against a plain interpreter of the original program, place by place."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest
import wasmtime
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench import kernels
from fixtures.build import path_of
from tests.lang.monitor_runs import run
from tests.weave.control_programs import Statement, choices, print_code, programs
from tests.weave.interpreter import Interpreter, Noted, Place, Stop, Thrown
from tests.weave.preview1 import Program
from tests.weave.throwing_programs import throwing_module
from whamm_cm.lang.events import CATEGORIES
from whamm_cm.wasm.function import FunctionInfo, runs
from whamm_cm.wasm.module import CoreModule

EXAMPLES = max(1, int(4 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
#: What ``trace`` returns when the guest traps or an exception leaves it.
TRAPPED = 134
MONITORS = (
    *("hotness", "coverage", "icount", "imix", "calls", "call-graph", "branches", "basic-blocks"),
    *("memory", "loops", "flame"),
)
#: C programs with their library, and the size of the run.
KERNELS = {"quicksort": 40, "folding": 7, "n_body": 2, "gemm": 3, "collatz": 9}

#: What C compilers do not write: blocks with parameters and several results, else, tail positions.
EVERYTHING = """(module $everything
  (memory 1 3) (table 4 funcref) (elem (i32.const 1) $leaf $pair $leaf)
  (global $g (mut i64) (i64.const 5)) (data (i32.const 16) "\\ff\\fe\\01\\00\\00\\80\\bf\\40")
  (type $unary (func (param i32) (result i32)))
  (func $leaf (type $unary) (i32.rotl (i32.extend8_s (local.get 0)) (i32.const 3)))
  (func $pair (type $unary) (if (result i32) (i32.lt_s (local.get 0) (i32.const 1))
    (then (i32.const 7)) (else (call $leaf (i32.sub (local.get 0) (i32.const 1))))))
  (func $swap (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func $fact (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 1))))
    (i64.mul (local.get 0) (call $fact (i64.sub (local.get 0) (i64.const 1)))))
  (func $switch (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $a $c (local.get 0)))
      (return (i32.const 10))) (return (i32.const 20))) (i32.const 30))
  (func (export "_start") (local $i i32) (local $x f64)
    (loop $outer
      (i32.const 3) (loop $inner (param i32) (result i32)
        (i32.sub (i32.const 1)) (br_if $inner (i32.gt_u (i32.load8_u (i32.const 17)) (i32.const 300)))
        (if (param i32) (result i32) (i32.eqz (local.get $i)) (then (nop)) (else (i32.eqz))))
      (drop (call_indirect (type $unary) (i32.add (i32.rem_u (local.get $i) (i32.const 3)) (i32.const 1))))
      (call $swap (local.get $i) (i64.const 9)) (drop) (global.set $g)
      (drop (call $switch (local.get $i)))
      (i64.store32 offset=4 (i32.mul (local.get $i) (i32.const 8)) (call $fact (i64.const 6)))
      (local.set $x (f64.add (local.get $x) (f64.convert_i32_s (i32.load16_s (i32.const 16)))))
      (block (br_if 0 (i32.and (local.get $i) (i32.const 1))) (memory.fill (i32.const 64) (i32.const 3) (local.get $i)))
      (f32.store (i32.const 128) (select (f32.const 1.5) (f32.demote_f64 (local.get $x)) (i32.and (local.get $i) (i32.const 2))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
    (drop (memory.grow (i32.const 1))) (drop (memory.grow (i32.const 9)))
    (memory.copy (i32.const 65600) (i32.const 16) (i32.const 100))
    (block (loop (br 1)))
    (if (memory.size) (then (return)))))"""  # noqa: E501


class Reported:
    """What the monitors say of a program, in the terms of the interpreter."""

    def __init__(
        self,
        folder: Path,
        app: Path,
        *words: str,
        monitors: tuple[str, ...],
        status: int = 0,
        script: str = "",
    ) -> None:
        options = [word for name in monitors for word in ("-m", name)]
        if script:
            (folder / "script.mm").write_text(script)
            options += ["-s", str(folder / "script.mm")]
        text = run(folder, "csv", *options, app=app, words=words, status=status)
        self.rows = list(csv.DictReader(text.splitlines()))
        self._places: dict[tuple[int, int], Place] = {}  # by fid and pc
        data = app.read_bytes()
        if data[4] == 0x0D:  # a component
            return
        module = CoreModule(data)
        for index in range(len(module.bodies)):
            info = FunctionInfo(module, index)
            for opidx in range(len(info.steps)):
                self._places[info.fid, info.pc(opidx)] = info.fid, opidx

    def entries(self, script: str, variable: str) -> list[dict[str, str]]:
        names = (f"{script}.mm", variable)
        return [row for row in self.rows if (row["script"], row["variable"]) == names]

    def total(self, script: str, variable: str) -> int:
        (row,) = self.entries(script, variable)
        return int(row["value"])

    def place(self, row: dict[str, str]) -> Place:
        return self._places[int(row["fid"]), int(row["pc"])]

    def sites(self, script: str, variable: str) -> Counter[Place]:
        """By place, without those where nothing was counted."""
        found = Counter[Place]()
        for row in self.entries(script, variable):
            found[self.place(row)] += int(row["value"])
        return +found


def stacks(reported: Reported) -> Counter[tuple[int, ...]]:
    """The call tree of ``flame``: instructions by stack."""
    nodes = {}
    for row in reported.entries("flame", "instructions"):
        caller, *_, fid, weight = row["value"].strip("()").split(", ")
        nodes[row["key"]] = caller, int(fid), int(weight)
    found = Counter[tuple[int, ...]]()
    for node, (_, _, weight) in nodes.items():
        fids: list[int] = []
        while node in nodes:
            fids.insert(0, nodes[node][1])
            node = nodes[node][0]
        found[tuple(fids)] += weight
    return +found


def mnemonics(module: CoreModule) -> dict[Place, str]:
    imported = len(module.imported("func"))
    return {
        (index + imported, opidx): opcode.mnemonic
        for index in range(len(module.bodies))
        for opidx, (_, opcode, _) in enumerate(module.instructions(index))
    }


def compare(reported: Reported, noted: Noted, module: CoreModule) -> None:
    names = mnemonics(module)
    executed = +noted.executed
    assert reported.sites("hotness", "count") == executed
    assert reported.total("icount", "instructions") == executed.total()
    covered = {
        reported.place(r) for r in reported.entries("coverage", "covered") if r["value"] == "true"
    }
    assert covered == executed.keys()
    compare_mix(reported, executed, names)
    compare_branches(reported, noted, names)
    compare_calls(reported, noted, names, len(module.imported("func")))
    compare_memory(reported, noted, names)
    only = {place for place in executed if names[place] == "loop"}
    assert reported.sites("loops", "entries").keys() == only
    assert reported.sites("loops", "iterations") == +noted.rounds
    assert stacks(reported) == +noted.stacks
    compare_blocks(reported, executed, module)


def blocks_of(module: CoreModule) -> dict[Place, range]:
    """The basic blocks, by their last instructions."""
    found = {}
    for index in range(len(module.bodies)):
        info = FunctionInfo(module, index)
        for first, last, *_ in runs(info, split_at_calls=True):
            found[info.fid, last] = range(first, last + 1)
    return found


def compare_blocks(reported: Reported, executed: Counter[Place], module: CoreModule) -> None:
    """Each instruction is in one block, and ran as often as that."""
    blocks = blocks_of(module)
    counts = {reported.place(r): int(r["value"]) for r in reported.entries("basic-blocks", "count")}
    assert counts.keys() == blocks.keys()
    for (fid, last), block in blocks.items():
        ran = {executed[fid, opidx] for opidx in block}
        assert ran == {counts[fid, last]}, (fid, block)
    total = sum(counts[place] * len(block) for place, block in blocks.items())
    assert total == reported.total("icount", "instructions") == executed.total()


def compare_mix(reported: Reported, executed: Counter[Place], names: dict[Place, str]) -> None:
    by_name = Counter[str]()
    for place, count in executed.items():
        by_name[names[place]] += count
    for kind in ("load", "store"):
        named = sum(n for name, n in by_name.items() if f".{kind}" in name)
        assert reported.total("imix", kind) == named
    assert reported.total("imix", "constant") == sum(
        n for name, n in by_name.items() if name.endswith(".const")
    )
    assert reported.total("imix", "local") == sum(
        n for name, n in by_name.items() if name.startswith("local.")
    )
    words = ("constant" if name == "const" else name for name in CATEGORIES)
    assert sum(reported.total("imix", word) for word in words) == executed.total()


def compare_branches(reported: Reported, noted: Noted, names: dict[Place, str]) -> None:
    def only(found: Counter[Place], *wanted: str) -> Counter[Place]:
        return Counter({place: n for place, n in found.items() if names[place] in wanted})

    assert reported.sites("branches", "total") == only(noted.executed, "br_if", "if")
    assert reported.sites("branches", "taken") == only(noted.taken, "br_if", "if")
    assert reported.sites("branches", "selects") == only(noted.executed, "select")
    assert reported.sites("branches", "selected_first") == only(noted.taken, "select")
    targets = {
        (reported.place(row), int(row["key"])): int(row["value"])
        for row in reported.entries("branches", "targets_taken")
    }
    assert targets == dict(noted.targets)


def compare_calls(reported: Reported, noted: Noted, names: dict[Place, str], imported: int) -> None:
    calls = Counter(
        {place: n for place, n in noted.executed.items() if names[place].startswith("call")}
    )
    assert reported.sites("calls", "count") == calls
    indirect = sum(n for place, n in calls.items() if names[place] == "call_indirect")
    outside = sum(n for (_, callee), n in noted.edges.items() if callee < imported)
    assert reported.total("calls", "indirect") == indirect
    assert reported.total("calls", "imported") == outside  # none of them indirectly, here
    assert reported.total("calls", "direct") == calls.total() - indirect - outside
    edges = Counter[tuple[int, int]]()
    for row in reported.entries("call-graph", "edges"):
        caller, _, callee, _ = row["key"].strip("()").split(", ")
        edges[int(caller), int(callee)] += int(row["value"])
    assert edges == noted.edges


def compare_memory(reported: Reported, noted: Noted, names: dict[Place, str]) -> None:
    counts = reported.sites("memory", "count")
    words = (".load", ".store", "memory.copy", "memory.fill")
    assert counts == Counter(
        {place: n for place, n in noted.executed.items() if any(w in names[place] for w in words)}
    )
    found = {
        name: reported.total("memory", f"bytes_{name}") for name in ("read", "written", "bulk")
    }
    expected = {"read": "read", "written": "written", "bulk": "moved"}
    assert found == {name: noted.touched[key] for name, key in expected.items()}


@pytest.mark.parametrize(
    "name", [n if n == "quicksort" else pytest.param(n, marks=pytest.mark.slow) for n in KERNELS]
)
def test_c_programs(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app, size = kernels.build(name), str(KERNELS[name])
    program = Program(app.read_bytes(), app.name, size)
    assert program.run() == 0
    reported = Reported(tmp_path, app, size, monitors=MONITORS)
    assert capfd.readouterr().out.encode() == program.output  # the interpreter is right, too
    compare(reported, program.interpreter.noted, program.interpreter.module)


def test_a_module_with_a_bit_of_everything(tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(EVERYTHING))
    interpreter = Interpreter(app.read_bytes())
    interpreter.run("_start")
    compare(Reported(tmp_path, app, monitors=MONITORS), interpreter.noted, interpreter.module)


def module_of(program: list[Statement], chosen: list[int]) -> bytes:
    """``_start`` executes the program; ``$choose`` gives the choices, then traps."""
    code = "\n".join(print_code(program))
    data = "".join(f"\\{choice:02x}" for choice in chosen)
    return wasmtime.wat2wasm(f"""(module
        (memory 1) (data (i32.const 0) "{data}") (global $next (mut i32) (i32.const 0))
        (func $choose (result i32)
            (if (i32.ge_u (global.get $next) (i32.const {len(chosen)})) (then unreachable))
            (global.set $next (i32.add (global.get $next) (i32.const 1)))
            (i32.load8_u (i32.sub (global.get $next) (i32.const 1))))
        (func (export "_start") {code}))""")


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(programs(), choices())
def test_random_programs(
    tmp_path_factory: pytest.TempPathFactory, program: list[Statement], chosen: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("random")
    app = folder / "app.wasm"
    app.write_bytes(module_of(program, chosen))
    interpreter = Interpreter(app.read_bytes(), limit=5000)
    try:
        interpreter.run("_start")
    except Stop:
        assume(False)
    compare(Reported(folder, app, monitors=MONITORS), interpreter.noted, interpreter.module)


@settings(max_examples=5 * EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_programs_that_throw_trap_and_call_in_their_place(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("throwing")
    app = folder / "app.wasm"
    app.write_bytes(throwing_module(seed))
    interpreter, status = Interpreter(app.read_bytes()), 0
    executed = interpreter.noted.executed
    try:
        interpreter.run("_start")
    except Thrown:
        status = TRAPPED
    except Stop:  # what runs together with an instruction that traps is counted
        status, (fid, opidx) = TRAPPED, interpreter.at
        (block,) = [b for (f, _), b in blocks_of(interpreter.module).items()
                    if f == fid and opidx in b]  # fmt: skip
        executed.update((fid, behind) for behind in range(opidx + 1, block.stop))
    monitors = ("hotness", "coverage", "icount", "imix")  # woven by kinds of instructions
    reported = Reported(folder, app, monitors=monitors, status=status)
    assert reported.sites("hotness", "count") == executed
    covered = {reported.place(r) for r in reported.entries("coverage", "covered")
               if r["value"] == "true"}  # fmt: skip
    assert covered == executed.keys()
    mix = sum(int(r["value"]) for r in reported.rows if r["script"] == "imix.mm")
    assert mix == executed.total()
    blocks = ("icount", "basic-blocks")  # woven function by function
    reported = Reported(folder, app, monitors=blocks, status=status)
    compare_blocks(reported, executed, interpreter.module)


def test_a_component_that_exits_is_counted_to_its_end(tmp_path: Path) -> None:
    reported = Reported(tmp_path, path_of("exit"), monitors=("flame", "icount"))
    assert stacks(reported).total() == reported.total("icount", "instructions") > 20
