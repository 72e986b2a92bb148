"""By kinds or one by one, run by run or instruction by instruction: the same is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import Engine

from bench import kernels
from bench.opcodes import Program
from fixtures.build import path_of
from tests.lang.monitor_runs import rows
from tests.weave.scripted import script_plan
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.bulk import Bulk
from whamm_cm.weave.opcodes.emit import GuestWeaver
from whamm_cm.weave.opcodes.leftover import pure_counters
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.scripting import everything
from whamm_cm.weave.unit import UnitBuilder

#: All but the last two go by kinds; the last one never does.
SCRIPTS = {
    "branches": """
        wasm:opcode:br_if|if:before {
            report var taken: u32; report var other: u64 = 7;
            if (arg0 != 0) { taken++; } else { other++; }
        }
        wasm:opcode:if:before { report var n: u32; if (arg0 == 2) { n += 2; } }
    """,
    "mixed": """
        report var all: u64;
        wasm:opcode:*load*:before { report var small: u32; if (data_size < 4) { small++; } }
        wasm:opcode:f64.add(arg0: f64):before { report var big: f64; big = big + arg0; }
        wasm:opcode:local.tee:before { report var at: u32; at = pc; }
        wasm:opcode:br_table:before { report var n: bool; var x: u32 = arg0; n = x > 2; all++; }
    """,
    "calls": "wasm:opcode:call|call_indirect|return:before { report var n: u32; n++; }",
    "decided": """
        wasm:opcode:br|br_if:before / opname == "br_if" / { report var n: i64; n -= 37; }
        wasm:opcode:select(arg0: i32):before { report var first: u32; if (arg0 != 0) { first++; } }
    """,
    "maps": """
        report var by: map<u32, u64>;
        wasm:opcode:*load*|*store*:before { report var at: map<u32, u32>; at[offset as u32]++; }
        wasm:opcode:*load*:before { by[arg0 % 9]++; }
    """,
    "facts": """
        report var sum: u64; report var last: u32;
        wasm:opcode:call:before { sum += pc as u64; last = fid; report var n: u32; n = n + imm0; }
        wasm:opcode:i64.store:before { report var v: u64; v = v + (arg0 as u64); last = opidx; }
        wasm:opcode:i32.const:before / imm0 > 100 / { report var big: u32; big++; }
    """,
    "some": """
        wasm:opcode:loop:before / pc % 2 == 0 / { report var n: u32; n++; }
        wasm:opcode:local.get|unreachable:before { report var m: u32; m++; }
    """,
    "deep": "wasm:opcode:i32.add:before / opidx > 3 / { report var n: u32; n++; }",
}


def taken(module: CoreModule, script: str) -> tuple[int, int]:
    """How many functions are woven by kinds, and how many are looked at one by one."""
    plan, builder = script_plan(script), SiteTableBuilder()
    unit = UnitBuilder(plan, builder)
    unit.unit.memories = unit.numbering(module)
    weaver = GuestWeaver(
        module, Matcher(plan.scripts.probes), unit, Rows(builder, plan.scripts.names, "m"),
        pure_counters(everything(plan.scripts)),
    )  # fmt: skip
    bulk = Bulk.find(weaver, ())
    return (0, len(module.bodies)) if bulk is None else (len(bulk.indices), len(bulk.slow))


def test_where_bulk_is_taken() -> None:
    """Otherwise the tests below show nothing."""
    module = CoreModule(kernels.build("collatz").read_bytes())
    shares = {name: tuple(map(bool, taken(module, script))) for name, script in SCRIPTS.items()}
    assert shares == {
        "branches": (True, False),
        "mixed": (True, False),
        "calls": (True, False),
        "decided": (True, False),
        "maps": (True, False),
        "facts": (True, False),
        "some": (True, True),
        "deep": (False, True),
    }


@pytest.mark.parametrize("interval", [None, "1ms"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_bulk_reports_what_one_by_one_reports(
    name: str, interval: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["-e", SCRIPTS[name], *(["--interval", interval] if interval else [])]
    at_once = sorted(map(repr, rows(tmp_path, *options, app=path_of("c_command"))))
    monkeypatch.setattr(Bulk, "find", lambda weaver, skipped: None)
    one_by_one = sorted(map(repr, rows(tmp_path, *options, app=path_of("c_command"))))
    assert at_once == one_by_one
    assert one_by_one


def counted(kernel: str, script: str, names: list[str]) -> list[int]:
    """The values of a script's globals when a small run of the kernel is over."""
    plan = Plan(sink="none", scripts=script_plan(script))
    woven = weave_module(kernels.build(kernel).read_bytes(), plan).wasm
    program = Program(Engine(), woven, 6)
    return [program.run(name) for name in names]


@pytest.mark.parametrize("kernel", ["collatz", "quicksort", "text_search"])
def test_runs_are_counted_as_often_as_their_instructions(kernel: str) -> None:
    probes = {
        "all": "*",
        "calls": "call|call_indirect",
        "memory": "*load*|*store*",
        "local": "local.*",
        "ends": "end|else|return",
    }
    at_once, one_by_one = (
        "".join(f"var {name}: u64; " for name in probes)
        + "".join(
            f"wasm:opcode:{match}:before {{ {step.format(name)} }}"
            for name, match in probes.items()
        )
        for step in ("{0}++;", "{0} = {0} + 1;")
    )
    names = list(probes)
    found = counted(kernel, at_once, names)
    assert found == counted(kernel, one_by_one, names)
    assert min(found) > 0
