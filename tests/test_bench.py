"""The benchmarks run; what they measure is nobody's test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import wasmtime

from bench import boundary, gate, guard, opcodes, reader, tasks, weave
from fixtures.build import path_of
from whamm_cm.agent.table import SiteTable
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component
from whamm_cm.component.nodes import Export
from whamm_cm.gate.subject import analyse
from whamm_cm.trace.decode import Receiver
from whamm_cm.weave.api import weave as weave_bytes
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import DEFAULT, SiteSet


def test_boundary_prints_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for row in ("u32 -> u32", "string (64 bytes) -> u32"):
        part = text.split(row)[1].split("\n\n")[0]
        for variant in boundary.variants():
            assert f"\n{variant.name}" in part


def test_guard_prints_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them calls the host as often as the caller does: what is denied would fail."""
    assert guard.main(["--rounds", "1", "--calls", "10"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row[:20].strip() for row in rows] == [name for name, _, _ in guard.ROWS]


def test_another_checkout_is_measured_beside(capsys: pytest.CaptureFixture[str]) -> None:
    """This one, too, whose figures fill the column."""
    root = str(Path(__file__).parents[1])
    assert boundary.main(["--quick", "--beside", root]) == 0
    for row in capsys.readouterr().out.split("string (64 bytes) -> u32")[1].splitlines()[2:-2]:
        assert len(re.findall(r" [+-]\d+\.\d", row)) == 2, row
    assert reader.main(["--calls", "200", "--rounds", "1", "--beside", root]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.endswith("before") and all(len(row.split()) >= 4 for row in rows[:-1])


def test_the_layout_with_the_sink_inside_is_the_one_measured() -> None:
    """Its calls reach the sink's code in the component that makes them, which no other has."""
    component = decode(boundary.in_one())
    nested = [d.node for d in component.definitions if isinstance(d.node, Component)]
    exports = {
        e.node.name.name for c in nested for e in c.definitions if isinstance(e.node, Export)
    }
    assert "emit" not in exports and "numbers" in exports


def test_probes_see_every_call_of_the_benchmark() -> None:
    """Otherwise it would time nothing."""
    blocks: list[str] = []
    variant = boundary.Variant("probed", boundary.traced(sink="host").wasm)
    bench = boundary.Bench(wasmtime.Engine(), variant, blocks.append)
    bench.sample("texts", 100)
    text = "".join(blocks)
    assert text.count("0123456789abcdef" * 4) == 100


def test_tasks_prints_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    assert tasks.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for _, title in tasks.ROWS:
        part = text.split(title)[1].split("\n\n")[0]
        for variant in tasks.variants():
            assert f"\n{variant.name} " in part


@pytest.mark.parametrize(
    ("name", "func", "ends"),
    [("at-once", "quick", 40), ("by-event", "slow", 40), ("reads", "stream.read", 20)],
)
def test_probes_see_every_asynchronous_call_of_the_benchmark(
    name: str, func: str, ends: int
) -> None:
    """Both sides of a call; otherwise it would time nothing."""
    blocks: list[str] = []
    woven = weave_bytes(tasks.original(), Plan(trace=SiteSet.parse(DEFAULT), sink="host"))
    variant = tasks.Variant("probed", woven.wasm)
    tasks.Bench(tasks.new_engine(), variant, blocks.append).sample(name, 20)
    receiver = Receiver(SiteTable.parse(woven.table))
    found = [record for block in blocks for record in receiver.receive(block).records]
    over = [r for r in found if r["phase"] == "return" and not r.get("pending")]
    assert len([r for r in over if r["func"] == func]) == ends


def test_weave_prints_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert weave.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for row in ("instrument -m calls", "trace", "--trace '*'", "-m branches", "callback at each"):
        assert re.search(rf"^{re.escape(row)}.* \d+\.\d\d s +\d+ MB", text, re.M), row
    assert "aims: " in text


def test_gate_prints_what_start_up_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for row in ("typical, cold", "typical, cached", "-j 1, cold", "-j 2, cold", "-j 2, cached"):
        (line,) = [one for one in text.splitlines() if one.startswith(f"{row} ")]
        assert line.count("%") == 1
    assert "components per second by -j 2" in text and "wall time of typical" in text


def test_padding_makes_another_component_that_does_the_same() -> None:
    data = path_of("exit").read_bytes()
    found = [analyse(gate.padded(data, number), "x") for number in (1, 2)]
    assert found[0].subject.sha256 != found[1].subject.sha256
    original = analyse(data, "x").subject
    assert found[0].subject.imports == found[1].subject.imports == original.imports


def test_opcodes_prints_every_monitor(capsys: pytest.CaptureFixture[str]) -> None:
    assert opcodes.main(["--quick"]) == 0
    head, aims = capsys.readouterr().out.split("median", 1)
    assert "\ncollatz " in head and "\nquicksort " in head
    for variant in opcodes.VARIANTS:
        assert f"\n{variant.name} " in aims


def test_probes_of_the_benchmark_fire() -> None:
    """Otherwise it would time nothing."""
    row = opcodes.measure("gemm", [v for v in opcodes.VARIANTS if v.per_event], 1, 8)
    assert row.events > 8**3


def test_reading_a_log_counts_every_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert reader.main(["--calls", "200", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    assert "packed lines" in text and "json.loads alone" in text
