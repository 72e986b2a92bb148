"""Every assertion of our scripts and fixtures comes out the same on original and woven copies."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from tests.wast_driver import Hook, Outcome, compare, run_script
from tests.wast_driver.host import Sink
from tests.wast_driver.runner import PASSED
from tests.weave.host import everything
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    *sorted((ROOT / "tests" / "wast").glob("*.wast")),
    *sorted(p for p in (ROOT / "fixtures" / "wat").glob("*.wat") if ";;!" in p.read_text()),
]
PLANS = {
    "host": Plan(trace=everything, sink="host"),
    "none": Plan(trace=everything, sink="none"),
    "counted": Plan(count=everything, sink="host"),
    "each, one memory": Plan(trace=everything, sink="host", flush_each=True, multi_memory=False),
}


@lru_cache
def original(path: Path) -> list[Outcome]:
    return run_script(path)


def weaver(plan: Plan) -> Callable[[bytes], bytes]:
    return lambda data: weave(data, plan).wasm


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_no_assertion_notices_the_weave(path: Path, plan: str) -> None:
    before = original(path)
    assert any(outcome.status == PASSED for outcome in before)
    sink = Sink()
    assert compare(before, run_script(path, Hook(weaver(PLANS[plan])), sink)) == []
    assert bool(sink.blocks) == (plan != "none")
