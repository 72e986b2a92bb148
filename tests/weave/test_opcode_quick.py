"""Two ways to the same: scanning and decoding; counting runs and counting instructions."""

from __future__ import annotations

import pytest
from wasmtime import Engine

from bench import kernels
from bench.opcodes import Program
from fixtures.build import path_of
from tests.weave.scripted import script_plan
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.binary.decode import decode
from whamm_cm.ir.component import walk
from whamm_cm.ir.core import CoreModule
from whamm_cm.weave.opcodes.emit import GuestWeaver
from whamm_cm.weave.opcodes.leftover import pure_counters
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.quick import Finder
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.scripting import everything
from whamm_cm.weave.unit import UnitBuilder

#: The first is quick everywhere, the second in some functions, the last nowhere.
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
    "deep": "wasm:opcode:i32.add:before / opidx > 3 / { report var n: u32; n++; }",
}


def modules() -> list[CoreModule]:
    found = [CoreModule(kernels.build("collatz").read_bytes())]
    root = decode(path_of("c_command").read_bytes(), "c_command")
    nodes = [d.node for component in walk(root) for d in component.definitions]
    return found + [node for node in nodes if isinstance(node, CoreModule)]


def weave(
    module: CoreModule, script: str, quickly: bool, beats: bool = False
) -> tuple[object, ...]:
    plan, builder = script_plan(script), SiteTableBuilder()
    unit = UnitBuilder(plan, builder)
    unit.unit.memories = unit.numbering(module)
    matcher = Matcher(plan.scripts.probes)
    weaver = GuestWeaver(
        module, matcher, unit, Rows(builder, plan.scripts.names, "m"),
        pure_counters(everything(plan.scripts)), quickly=quickly, beats=beats, last_words=beats,
    )  # fmt: skip
    return weaver.weave(), builder.to_bytes(), matcher.skipped


@pytest.mark.parametrize("beats", [False, True])
@pytest.mark.parametrize("name", SCRIPTS)
def test_scanning_gives_what_decoding_gives(name: str, beats: bool) -> None:
    for module in modules():
        quick, slow = (weave(module, SCRIPTS[name], way, beats) for way in (True, False))
        assert quick == slow


def test_the_quick_way_is_gone() -> None:
    """Otherwise the test above shows nothing."""
    module = modules()[0]
    shares = {}
    for name, script in SCRIPTS.items():
        plan = script_plan(script)
        counters = pure_counters(everything(plan.scripts))
        finder = Finder(Matcher(plan.scripts.probes), name in ("calls", "decided"), counters)
        quick, slow = finder.find(module, ())
        shares[name] = bool(quick), bool(slow)
    assert shares == {
        "branches": (True, False),
        "mixed": (True, True),
        "calls": (True, False),
        "decided": (True, False),
        "deep": (False, True),
    }


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
