"""Woven copies of our scripts and text fixtures behave as the originals, trap for trap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wast_driver import Hook, Sink, compare, run_script
from tests.wast_driver.runner import Transform
from tests.wast_driver.weaving import weaving

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE / "wast").glob("*.wast"))
FIXTURES = sorted((HERE.parent / "fixtures" / "wat").glob("*.wat"))
CASES = [*SCRIPTS, *(path for path in FIXTURES if ";;!" in path.read_text())]
TRANSFORMS: dict[str, Transform] = {
    "host": weaving("host"),
    "stderr": weaving("stderr"),
    "stderr-live": weaving("stderr", "live"),
    "logging": weaving("logging"),
    "logging-live": weaving("logging", "live"),
    "none": weaving("none"),
    "none-timed": weaving("none", "live"),
    "host-live": weaving("host", "live"),
    "host-each": weaving("host", "each"),
    "host-single-memory": weaving("host", multi_memory=False),
    "sampled": weaving("host", sample=2, sample_start=0),
    "sampled-drawn": weaving("stderr", "live", sample=3),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_woven_copy_behaves_as_the_original(path: Path, name: str) -> None:
    sink = Sink()
    assert compare(run_script(path), run_script(path, Hook(TRANSFORMS[name]), sink)) == []
    silent = name.startswith("none")
    if not name.startswith("sampled"):
        assert bool(sink.blocks) != silent, "nothing was recorded: the weave had no effect"


def test_each_record_is_out_before_a_trap() -> None:
    """Three notes and a trap: with every record sent at once, the last call is known."""
    path = HERE.parent / "fixtures" / "wat" / "trap.wat"
    lazy, eager = Sink(), Sink()
    run_script(path, Hook(weaving("host")), lazy)
    run_script(path, Hook(weaving("host", "each")), eager)
    assert len(eager.blocks) > len(lazy.blocks)
