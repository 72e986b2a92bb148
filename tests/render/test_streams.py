"""Logs with what streams carry, in every form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.render.shown import shown
from tests.trace.records import Log
from tests.trace.test_ends import drop, many, new, stdin
from whamm_cm.cli.main import main
from whamm_cm.render.registry import RENDERERS


def log() -> Log:
    found = Log()
    stdin(found)
    new(found, 5, 6)
    many(found, 3)
    drop(found, 2)
    return found


@pytest.mark.parametrize("name", RENDERERS)
def test_ends_and_elements_are_in_nobodys_way(name: str) -> None:
    """Records of ends are no calls."""
    with_ends, without = log(), log()
    without.records = [one for one in without.records if one["phase"] != "handle"]
    texts = [shown(name, each) for each in (with_ends, without)]
    if name == "jsonl":
        lines = [json.loads(line) for line in texts[0].splitlines()]
        assert lines == with_ends.records
        (first, *_) = (line for line in texts[0].splitlines() if '"data"' in line)
        assert '"result":64,"data":{"~b64":"YWJjZA=="},' in first
    elif name not in ("strace", "html"):  # these name handles, and ends tell of them
        # Spans are called by where their calls are in the log.
        first, second = (re.sub('"[0-9a-f]{16,32}"', '"id"', text) for text in texts)
        assert first == second


@pytest.mark.parametrize(("flags", "lines"), [((), 4), (("-v",), 5)])
def test_each_is_shown_with_v(
    flags: tuple[str, ...], lines: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "run.jsonl"
    saved.write_text("".join(json.dumps(one) + "\n" for one in log()))
    assert main([*flags, "report", "-f", "strace", str(saved)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == lines
    assert ("(2 calls)" in "".join(shown)) == (not flags)
