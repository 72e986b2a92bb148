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


@pytest.fixture(autouse=True)
def key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key of the cache is."""
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    return state / "whamm-cm" / "gate.key"


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
    with monkeypatch.context() as patch:
        patch.setattr("whamm_cm.gate.subject.analyse", None)
        assert subject(Job("y", DATA), kept) == first
    (entry,) = kept.rglob("*.json")
    good = entry.read_text()
    for damage in ("", "{}", "[]", good[:-9], good.replace('"reachable":true', '"reachable":7'),
                   good.replace(first.sha256, "0" * 64), "[" * 90_000):  # fmt: skip
        entry.write_text(damage)
        assert subject(Job("z", DATA), kept) == first
        assert json.loads(entry.read_text()) == json.loads(good)
    assert not list(kept.rglob(".new-*"))


#: What somebody might make of an entry: text before, text after.
EDITS = {
    "unreachable": ('"reachable":true', '"reachable":false'),
    "another interface": ("wasi:io/poll", "wasi:io/nope"),
    "no imports": ('"imports":[', '"imports":[],"more":['),
    "a function less": ('"name":"poll"', '"name":"pall"'),
    "a fault gone": ('"fault":""', '"fault":" "'),
    "a stamp": ('"stamp":null', '"stamp":[]'),
    "white space": ('"size":', '"size": '),
    "white space outside": ('{"mac":', '{ "mac":'),
    "another mac": ('"mac":"', '"mac":"0'),
    "twice": ('{"mac":', '{"subject":{},"mac":'),
    "more behind": ("}}", "}} "),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_entry_is_no_entry(edit: str, tmp_path: Path) -> None:
    first = subject(Job("x", DATA), tmp_path)
    (entry,) = tmp_path.rglob("*.json")
    before, after = EDITS[edit]
    good = entry.read_text()
    assert before in good
    entry.write_text(good.replace(before, after, 1))
    assert cache.Cache(tmp_path).get(first.sha256) is None
    assert subject(Job("y", DATA), tmp_path) == first
    assert entry.read_text() == good


def test_any_byte_that_differs_makes_it_none(tmp_path: Path) -> None:
    first = subject(Job("x", DATA), tmp_path)
    (entry,) = tmp_path.rglob("*.json")
    good = entry.read_bytes()
    kept = cache.Cache(tmp_path)
    assert kept.get(first.sha256) == first
    for at in range(len(good)):
        entry.write_bytes(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
        assert kept.get(first.sha256) is None, at
    for size in range(len(good)):
        entry.write_bytes(good[:size])
        assert kept.get(first.sha256) is None, size


def test_an_entry_of_another_component_or_key_is_none(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = subject(Job("x", DATA), tmp_path)
    (entry,) = tmp_path.rglob("*.json")
    other = component({})
    second = subject(Job("y", other), tmp_path)
    (theirs,) = (one for one in tmp_path.rglob("*.json") if one != entry)
    theirs.write_bytes(entry.read_bytes())
    assert cache.Cache(tmp_path).get(second.sha256) is None
    assert key.stat().st_mode & 0o777 == 0o600
    assert cache.Cache(tmp_path).get(first.sha256) == first
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert cache.Cache(tmp_path).get(first.sha256) is None
    assert subject(Job("x", DATA), tmp_path) == first


@pytest.mark.parametrize("fault", ["open to others", "too short", "a directory", "no place"])
def test_without_a_key_nothing_is_kept(fault: str, tmp_path: Path, key: Path) -> None:
    key.parent.mkdir(parents=True)
    if fault == "a directory":
        key.mkdir()
    elif fault == "no place":
        key.parent.rmdir()
        key.parent.write_text("")
    else:
        key.write_bytes(bytes(32 if fault == "open to others" else 31))
        key.chmod(0o644 if fault == "open to others" else 0o600)
    assert subject(Job("x", DATA), tmp_path).size == len(DATA)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(("value", "kept"), [(None, 1), ("", 1), ("false", 1), ("0", 1),
                                             ("true", 0), ("1", 0), ("woodpecker", 0)])  # fmt: skip
def test_nothing_is_kept_in_ci(
    value: str | None, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from whamm_cm.cli.main import main

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    if value is not None:
        monkeypatch.setenv("CI", value)
    for name in ("a.wasm", "b.wasm"):
        (tmp_path / name).write_bytes(DATA)
    assert main(["gate", "-v", str(tmp_path / "a.wasm"), str(tmp_path / "b.wasm")]) == 0
    assert len(list((tmp_path / "cache").rglob("*.json"))) == kept
    assert capsys.readouterr().err.count("CI is set") == (0 if kept else 1)


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
