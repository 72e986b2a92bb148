"""Many components: found, analysed in processes, kept by hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gate.making import component
from whamm_cm.errors import InputError
from whamm_cm.gate import cache
from whamm_cm.gate.batch import Job, find, subject, subjects
from whamm_cm.gate.model import Subject

DATA = component({"wasi:io/poll@0.2.3": ("poll", "other")}, calls="poll")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.wasm", "a.wasm", "sub/c.wasm", ".hidden/d.wasm", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(DATA)
    return tmp_path


def test_directories_globs_and_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    everything = [".hidden/d.wasm", "a.wasm", "b.wasm", "e.txt", "sub/c.wasm"]
    assert find(["."]) == everything
    left_out: list[str] = []
    assert find(["."], [".hidden", "*.txt"], left_out) == ["a.wasm", "b.wasm", "sub/c.wasm"]
    assert left_out == [".hidden/d.wasm", "e.txt"]
    assert find(["*.wasm", "sub/c.wasm", "b.wasm", "-"]) == ["a.wasm", "b.wasm", "sub/c.wasm", "-"]
    assert find(["**/c.wasm"]) == ["sub/c.wasm"]
    (folder / "[x].wasm").write_bytes(DATA)
    assert find(["[x].wasm"]) == ["[x].wasm"]
    for nothing in ("*.nothing", ".hidden/none*"):
        with pytest.raises(InputError, match="no file matches"):
            find([nothing])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="there is no .wasm file in this directory"):
        find(["empty"])


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_come_in_the_order_asked(folder: Path, workers: int) -> None:
    paths = [folder / "a.wasm", folder / "none.wasm", folder / "e.txt"] * 5
    (folder / "e.txt").write_text("no component")
    found = list(subjects([Job(str(path)) for path in paths], None, workers))
    assert [type(one) for one in found] == [Subject, InputError, InputError] * 5 or [
        isinstance(one, Subject) for one in found
    ] == [True, False, False] * 5
    assert "there is no such file" in str(found[1]) and "e.txt" in str(found[2])


def test_an_analysis_is_kept_and_found_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "cache"
    first = subject(Job("x", DATA), kept)
    monkeypatch.setattr("whamm_cm.gate.subject.analyse", None)
    assert subject(Job("y", DATA), kept) == first
    monkeypatch.undo()
    (entry,) = kept.rglob("*.json")
    good = entry.read_text()
    for damage in ("", "{}", "[]", good[:-9], good.replace('"reachable":true', '"reachable":7'),
                   good.replace(first.sha256, "0" * 64), "[" * 90_000):  # fmt: skip
        entry.write_text(damage)
        assert subject(Job("z", DATA), kept) == first
        assert json.loads(entry.read_text()) == json.loads(good)
    assert not list(kept.rglob(".new-*"))


def test_another_tool_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject(Job("x", DATA), tmp_path)
    monkeypatch.setattr(cache, "__version__", "9.9.9")
    assert cache.Cache(tmp_path).get(subject(Job("x", DATA), None).sha256) is None


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert subject(Job("x", DATA), tmp_path / "file" / "below").size == len(DATA)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / "whamm-cm" / "gate"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert "relative" not in str(cache.cache_dir())
