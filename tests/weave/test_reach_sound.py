"""Whatever runs must be said reachable: random components, run on wasmtime, against the analysis.

``WHAMM_EXAMPLES=100`` runs a hundred times as many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import wasmtime

from tests.weave import reach_runs
from tests.weave.reach_programs import Composition, Program
from whamm_cm.analysis.callgraph import CallGraph
from whamm_cm.analysis.reach import cores, walk

EXAMPLES = max(1, int(150 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))


@cache
def case(seed: int) -> tuple[bytes, frozenset[str]]:
    """A component and the imports that it calls when it is run."""
    program = Composition(seed) if seed % 4 == 3 else Program(seed)
    data = bytes(wasmtime.wat2wasm(program.text))
    return data, frozenset(reach_runs.called(data, program))


def missed(seed: int) -> frozenset[str]:
    data, called = case(seed)
    return called - reach_runs.reachable(data)


def test_what_runs_is_reachable():
    wrong = {seed: sorted(lost) for seed in range(EXAMPLES) if (lost := missed(seed))}
    assert wrong == {}


def test_the_programs_call_and_the_analysis_tells_apart():
    """Half of the imports are called, and not everything is said to be reachable."""
    known = [(case(seed)[1], reach_runs.reachable(case(seed)[0])) for seed in range(100)]
    assert sum(len(called) for called, _ in known) > 150
    assert sum(len(found) for _, found in known) < 300


def _no_copy_within(patch: pytest.MonkeyPatch) -> None:
    flow = walk.Walk._flow
    patch.setattr(walk.Walk, "_flow", lambda s, a, b: None if a is b else flow(s, a, b))


def _one_function_in_an_item(patch: pytest.MonkeyPatch) -> None:
    item = CallGraph.item
    patch.setattr(CallGraph, "item", lambda self, expr: replace(item(self, expr), refs=()))


def _no_globals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CallGraph, "initial_refs", ())


def _no_segments_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(walk.Walk, "_init", lambda *_: None)


def _slots_are_kept(patch: pytest.MonkeyPatch) -> None:
    fill = cores.fill
    patch.setattr(walk, "fill", lambda i, s, c, _: fill(i, s, c, 0))
    patch.setattr(walk, "Entry", lambda node, signature, slot=0: cores.Entry(node, signature, slot))


def _tables_are_not_read(patch: pytest.MonkeyPatch) -> None:
    move = walk.Walk._move
    patch.setattr(
        walk.Walk, "_move", lambda s, n, i, m: None if m.op == "table.get" else move(s, n, i, m)
    )


@pytest.mark.parametrize(
    "breakage",
    [_no_copy_within, _one_function_in_an_item, _no_globals, _no_segments_taken, _slots_are_kept,
     _tables_are_not_read],
)  # fmt: skip
def test_a_broken_analysis_is_caught(
    breakage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
):
    breakage(monkeypatch)
    assert any(missed(seed) for seed in range(300))
