"""The temporary directory of a woven file: none stays for good, whatever ended its users."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from whamm_cm.run.woven_file import LOCK, PREFIX, sweep, woven_file

DEADLINE = 60


def abandoned(root: Path, name: str = "a") -> Path:
    folder = root / f"{PREFIX}{name}"
    folder.mkdir()
    (folder / LOCK).touch()
    (folder / "app.wasm").write_bytes(b"x")
    return folder


def test_it_goes_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with woven_file("app.wasm", b"woven") as (path, _):
        assert Path(path).read_bytes() == b"woven" and Path(path).name == "app.wasm"
        sweep(str(tmp_path))
        assert Path(path).exists()
    assert list(tmp_path.iterdir()) == []


def test_the_next_one_takes_away_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = abandoned(tmp_path)
    with woven_file("app.wasm", b"woven"):
        assert not gone.exists()


def test_one_in_use_stays(tmp_path: Path) -> None:
    folder = abandoned(tmp_path)
    with (folder / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(str(tmp_path))
        assert (folder / "app.wasm").exists()
    sweep(str(tmp_path))
    assert not folder.exists()


def test_what_is_not_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    # A link to a directory that looks like one, a link for a lock, a link and a directory inside.
    (root / f"{PREFIX}link").symlink_to(abandoned(elsewhere))
    target = elsewhere / "target"
    target.touch()
    lock = abandoned(root, "lock") / LOCK
    lock.unlink()
    lock.symlink_to(target)
    (abandoned(root, "inside") / "link").symlink_to(target)
    (abandoned(root, "deep") / "folder").mkdir()
    (root / f"{PREFIX}plain").mkdir()
    (root / f"{PREFIX}file").touch()
    (root / "other").mkdir()
    before = sorted(root.rglob("*")) + sorted(elsewhere.rglob("*"))
    sweep(str(root))
    assert sorted(root.rglob("*")) + sorted(elsewhere.rglob("*")) == before
    user = os.getuid()
    another = abandoned(root, "another")
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    sweep(str(root))
    assert another.exists()


def test_after_sigkill_it_stays_while_the_command_lives(tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wat2wasm("(component)"))
    root, release = tmp_path / "tmp", tmp_path / "release"
    root.mkdir()
    os.mkfifo(release)
    code = f"print('up', flush=True); open({str(release)!r}).read()"
    words = (sys.executable, "-c", code)
    command = [sys.executable, "-m", "whamm_cm", "trace", "--", *words, str(app)]
    trace = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(root)}
    )
    assert trace.stdout is not None
    assert trace.stdout.readline() == b"up\n"
    trace.send_signal(signal.SIGKILL)
    trace.wait(DEADLINE)
    [folder] = root.iterdir()
    sweep(str(root))
    assert (folder / "app.wasm").exists()
    release.write_text("")
    deadline = time.monotonic() + DEADLINE
    while folder.exists() and time.monotonic() < deadline:
        sweep(str(root))
    assert not folder.exists()
