"""The key of an analysis that is kept: it is another when the code that makes analyses is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from tests.gate.making import component
from whamm_cm.gate import cache
from whamm_cm.gate.subject import analyse


def test_the_rooms_that_make_an_analysis_are_there() -> None:
    root = Path(str(files("whamm_cm")))
    assert all(any((root / room).rglob("*.py")) for room in cache._ROOMS)


@pytest.mark.parametrize("room", ["analysis", "component"])
def test_a_change_of_the_code_is_another_key(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache._tool_key()
    monkeypatch.setattr(cache, "_ROOMS", tuple(one for one in cache._ROOMS if one != room))
    assert cache._tool_key() != before


def test_paths_are_kept_with_the_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    subject = analyse(component({"a:b/c@1.0.0": ("d", "e")}, calls="d"), "app.wasm").subject
    assert subject.ways.keys() == {"a:b/c@1.0.0#d"}
    kept = cache.Cache(tmp_path / "cache")
    kept.put(subject)
    assert kept.get(subject.sha256) == subject
