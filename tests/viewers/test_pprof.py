"""`-f pprof`, read by `go tool pprof`, says what the log does."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.render.test_pprof import KINDS, expected, profile
from tests.viewers.logs import LOGS, log_of
from whamm_cm.trace.session import Session

GO = shutil.which("go")
_SAMPLE = re.compile(r"\s*([\d ]+): ([\d ]*?)\s*")
_PLACE = re.compile(r"\s*(\d+): 0x0 M=(\d+) (.*) :0:0 s=0\(\)")


def go_pprof(*args: str) -> str:
    assert GO is not None
    done = subprocess.run(
        [GO, "tool", "pprof", *args], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.oracle
@pytest.mark.skipif(GO is None, reason="no go, whose pprof reads what we write")
@pytest.mark.parametrize("name", LOGS)
def test_pprof_reads_it(name: str, tmp_path: Path) -> None:
    """Its own dump, sample by sample, and its table of functions."""
    records = log_of(name)
    (tmp_path / "run.pprof").write_bytes(profile(records))
    session = Session.build(records)
    lines = go_pprof("-raw", str(tmp_path / "run.pprof")).splitlines()
    start, places, maps = (lines.index(name) for name in ("Samples:", "Locations", "Mappings"))
    assert lines[start + 1].replace("[dflt]", "").split() == KINDS[: 4 if session.timed else 2]
    names = {m[1]: m[3] for text in lines[places:maps] if (m := _PLACE.fullmatch(text))}
    found = Counter[tuple[tuple[str, ...], str]]()
    for text in lines[start + 2 : places]:
        match = _SAMPLE.fullmatch(text)
        assert match, text
        stack = tuple(names[number] for number in reversed(match[2].split()))
        for kind, value in zip(KINDS, map(int, match[1].split()), strict=False):
            found[stack, kind] += value
    assert +found == expected(session)
    top = go_pprof("-top", "-nodecount=100000", "-nodefraction=0", "-sample_index=calls",
                   str(tmp_path / "run.pprof"))  # fmt: skip
    calls = Counter[str]()
    for (stack, kind), value in expected(session).items():
        calls[stack[-1]] += value if kind == "calls/count" else 0
    rows = (text.split(maxsplit=5) for text in top.partition("cum%\n")[2].splitlines())
    assert {text: int(flat) for flat, *_, text in rows if flat != "0"} == dict(calls)
