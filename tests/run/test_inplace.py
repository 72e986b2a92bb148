"""A component woven where it lies: whatever happens, the original is back in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.guests import ROOT
from whamm_cm.errors import InputError, UsageError
from whamm_cm.run import inplace
from whamm_cm.run.inplace import settle, woven_in_place

ORIGINAL, WOVEN, REBUILT = b"\0asm original", b"\0asm woven", b"\0asm rebuilt"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.wasm"
    path.write_bytes(ORIGINAL)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 123))
    return path


def intact(app: Path, content: bytes = ORIGINAL) -> None:
    assert app.read_bytes() == content
    assert [path.name for path in app.parent.iterdir() if path.name[0] == "."] == []


def facts(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mode, found.st_mtime_ns, found.st_nlink


def test_it_is_woven_inside_and_original_outside(app: Path) -> None:
    before = facts(app), app.stat().st_ino
    with woven_in_place(app, WOVEN):
        assert app.read_bytes() == WOVEN
        assert facts(app) == before[0]
    intact(app)
    assert (facts(app), app.stat().st_ino) == before


def test_an_exception_inside_changes_nothing_about_that(app: Path) -> None:
    with pytest.raises(KeyboardInterrupt), woven_in_place(app, WOVEN):
        raise KeyboardInterrupt
    intact(app)


def test_links_stay_links(app: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "link.wasm"
    link.symlink_to(app)
    hard = tmp_path / "hard.wasm"
    os.link(app, hard)
    with woven_in_place(link, WOVEN):
        assert (link.read_bytes(), hard.read_bytes()) == (WOVEN, ORIGINAL)
    assert link.is_symlink()
    assert hard.samefile(app)
    intact(app)


def test_where_there_are_no_hard_links_it_is_copied(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    before = facts(app)
    with woven_in_place(app, WOVEN):
        assert app.read_bytes() == WOVEN
    intact(app)
    assert facts(app) == before


def test_a_build_meanwhile_is_kept(app: Path) -> None:
    with woven_in_place(app, WOVEN) as swap:
        app.write_bytes(REBUILT)
    intact(app, REBUILT)
    assert swap.outcome is not None and swap.outcome.rebuilt


def test_a_woven_file_that_was_edited_is_no_build(app: Path) -> None:
    woven, edited = WOVEN + inplace._STAMP, WOVEN + inplace._STAMP + b" stripped"
    with woven_in_place(app, woven) as swap:
        app.write_bytes(edited)
    intact(app)
    assert swap.outcome is not None and not swap.outcome.rebuilt
    assert swap.outcome.changed is not None and swap.outcome.changed.read_bytes() == edited
    assert "app.wasm.woven now, the original is back" in str(swap.outcome)


def test_the_build_of_what_is_woven_by_itself_is_one(app: Path) -> None:
    app.write_bytes(ORIGINAL + inplace._STAMP)
    with woven_in_place(app, WOVEN + inplace._STAMP) as swap:
        app.write_bytes(REBUILT + inplace._STAMP)
    intact(app, REBUILT + inplace._STAMP)
    assert swap.outcome is not None and swap.outcome.rebuilt


@pytest.mark.parametrize("left", [None, b"", b"half a fi", ORIGINAL])
def test_what_is_no_build_is_not(app: Path, left: bytes | None) -> None:
    with woven_in_place(app, WOVEN) as swap:
        app.unlink()
        if left is not None:
            app.write_bytes(left)
    intact(app)
    assert swap.outcome is not None and not swap.outcome.rebuilt


def test_two_at_once_are_refused(app: Path) -> None:
    with woven_in_place(app, WOVEN):
        with (
            pytest.raises(UsageError, match=rf"another whamm-cm trace \(process {os.getpid()}\)"),
            woven_in_place(app, WOVEN),
        ):
            pass
        with pytest.raises(InputError, match="wait until it ends"):
            settle(app)
        assert app.read_bytes() == WOVEN
    intact(app)


def test_nothing_is_left_where_it_cannot_be_done(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="there is no such file"),
        woven_in_place(tmp_path / "gone.wasm", WOVEN),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_not_woven_is_left_alone(app: Path) -> None:
    assert settle(app) is None
    intact(app)


#: Dies at the step with that number, counting all that is done to files of that name.
DYING = """
import os, signal, sys
from whamm_cm.run import inplace
path, step, links = sys.argv[1], int(sys.argv[2]), sys.argv[3]
seen = 0
def dying(event, args):
    global seen
    if event.split(".")[0] in ("open", "os", "shutil") and "app.wasm" in str(args):
        seen += 1
        if seen > step:
            os.kill(os.getpid(), signal.SIGKILL)
if links == "none":
    def link(*_):
        raise PermissionError(1, "no links")
    os.link = link
sys.addaudithook(dying)
with inplace.woven_in_place(path, b"\\0asm woven"):
    pass
"""


@pytest.mark.parametrize("links", ["hard", "none"])
@pytest.mark.parametrize("again", [False, True], ids=["settled", "woven again"])
def test_killed_at_any_step_it_is_put_back_by_the_next(
    app: Path, tmp_path: Path, again: bool, links: str
) -> None:
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    before = facts(app)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    kills = 0
    for step in range(60):
        command = [sys.executable, str(script), str(app), str(step), links]
        status = subprocess.run(command, env=environment, timeout=60).returncode
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
        # At no time is the original lost, and the name always holds something whole.
        assert app.read_bytes() in (ORIGINAL, WOVEN)
        if again:
            with woven_in_place(app, WOVEN):
                assert app.read_bytes() == WOVEN
        else:
            settle(app)
        assert app.read_bytes() == ORIGINAL
        assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]
        assert facts(app) == before
    else:
        raise AssertionError("it never got to its end")
    assert kills >= 12


def test_a_damaged_journal_does_not_decide(app: Path, tmp_path: Path) -> None:
    places = inplace._Places.of(app)
    places.journal.write_text("{")
    os.link(app, places.original)
    app.unlink()
    app.write_bytes(REBUILT)
    with pytest.raises(InputError, match="journal, which says what they are, is damaged"):
        settle(app)
    assert (app.read_bytes(), places.original.read_bytes()) == (REBUILT, ORIGINAL)
    app.write_bytes(WOVEN + inplace._STAMP)
    settle(app)
    intact(app)


def test_the_journal_says_who_and_what(app: Path) -> None:
    with woven_in_place(app, WOVEN):
        found = json.loads(inplace._Places.of(app).journal.read_bytes())
    assert found["process"] == os.getpid()
    assert set(found) == {"version", "process", "original", "woven"}
