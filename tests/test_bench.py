"""The benchmarks run; what they measure is nobody's test."""

from __future__ import annotations

import pytest
import wasmtime

from bench import boundary, weave


def test_boundary_prints_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for row in ("u32 -> u32", "string (64 bytes) -> u32"):
        part = text.split(row)[1].split("\n\n")[0]
        for variant in boundary.variants():
            assert f"\n{variant.name}" in part


def test_probes_see_every_call_of_the_benchmark() -> None:
    """Otherwise it would time nothing."""
    blocks: list[str] = []
    variant = boundary.Variant("probed", boundary.traced(sink="host").wasm)
    bench = boundary.Bench(wasmtime.Engine(), variant, blocks.append)
    bench.sample("texts", 100)
    text = "".join(blocks)
    assert text.count("0123456789abcdef" * 4) == 100


def test_weave_prints_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert weave.main(["--quick"]) == 0
    text = capsys.readouterr().out
    assert "wasmtime compiles the original" in text and "x file" in text
    assert "wall time of the command" in text and "--version" in text
