"""Every log in data/ rendered in every way; expected texts stand beside the logs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.golden import check_golden
from whamm_cm.render.jsonl import line
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import RENDERERS
from whamm_cm.trace.reader import open_log

DATA = Path(__file__).parent / "data"
PLAIN = RenderOptions()
FULL = RenderOptions(stamps="start", durations=True, names=True, base_ns=0)

#: ending of the expected file → (format, options)
WAYS = {
    "strace": ("strace", PLAIN),
    "full.strace": ("strace", FULL),
    "delta.strace": ("strace", replace(FULL, stamps="delta", durations=False, max_string=4)),
    "summary": ("summary", PLAIN),
    "calls.summary": ("summary", replace(PLAIN, sort="calls")),
    "chrome.json": ("chrome", PLAIN),
    "speedscope.json": ("speedscope", PLAIN),
    "folded": ("folded", PLAIN),
    "flame": ("flame", PLAIN),
    "otlp.json": ("otlp", PLAIN),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("log", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_golden(log, way):
    name, options = WAYS[way]
    if (name, log.stem) == ("otlp", "untimed"):
        pytest.skip("spans have times")
    with open_log(log) as reader:
        text = "".join(RENDERERS[name].render(reader, options))
    check_golden(log.with_suffix(f".{way}"), text)


@pytest.mark.parametrize("log", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_jsonl_gives_the_log_back(log):
    """But for what it adds: of which request a record is, and about whom."""
    with open_log(log) as reader:
        lines = "".join(RENDERERS["jsonl"].render(reader, PLAIN)).splitlines()
    given = []
    for text in lines:
        record = json.loads(text)
        added = {key: record.pop(key) for key in ("req", "url", "peer") if key in record}
        assert line({**record, **added}) == text + "\n"
        given.append(line(record))
    assert "".join(given) == log.read_text("utf-8")
