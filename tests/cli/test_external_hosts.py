"""``trace -- COMMAND``: what the command is given."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.guests import assemble
from whamm_cm.cli.main import main
from whamm_cm.run.inplace import woven_in_place

_HOST = f"""#!{sys.executable}
import shutil, sys
shutil.copy(sys.argv[1], sys.argv[0] + ".got")
"""


@pytest.fixture
def given(tmp_path: Path):
    """Runs a host of that name and says what file it was given."""
    (tmp_path / "app.wasm").write_bytes(assemble("strings"))

    def run(name: str, *options: str) -> bytes:
        host = tmp_path / name
        host.write_text(_HOST)
        host.chmod(0o755)
        words = [str(host), str(tmp_path / "app.wasm")]
        assert main(["trace", *options, "--", *words]) == 0
        return (tmp_path / f"{name}.got").read_bytes()

    return run


def test_jco_gets_modules_with_one_memory(given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whamm_cm.weave.plan.fresh_nonce", lambda: "a" * 12)
    single = given("host", "--no-multi-memory")
    assert given("host") != single
    assert given("jco") == single


def test_what_is_replaced_is_said_where_it_could_be_another(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = program(tmp_path, "import sys, shutil; shutil.copy(sys.argv[3], sys.argv[0] + '.got')")
    app, other = (tmp_path / name for name in ("app.wasm", "other.wasm"))
    for path in (app, other):
        path.write_bytes(assemble("strings"))
    words = ["--", str(host), "--plugin", str(other), str(app)]
    assert main(["trace", *words]) == 0
    assert f"{app} is traced, not {other}; --component names another" in capfd.readouterr().err
    assert (tmp_path / "host.got").read_bytes() != app.read_bytes()
    # Named, it is that one and no other, and nothing needs saying.
    assert main(["trace", "--component", str(other), *words]) == 0
    assert (tmp_path / "host.got").read_bytes() == app.read_bytes()
    assert "is traced, not" not in capfd.readouterr().err


def program(folder: Path, body: str) -> Path:
    host = folder / "host"
    host.write_text(f"#!{sys.executable}\n{body}\n")
    host.chmod(0o755)
    return host


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.wasm"
    path.write_bytes(assemble("strings"))
    return path


def test_a_component_of_the_configuration_is_woven_where_it_lies(app: Path, tmp_path: Path) -> None:
    original, found = app.read_bytes(), app.stat()
    host = program(tmp_path, f"import shutil; shutil.copy({str(app)!r}, {str(app)!r} + '.seen')")
    assert main(["trace", "--component", str(app), "--", str(host)]) == 0
    seen = (tmp_path / "app.wasm.seen").read_bytes()
    assert seen != original and b"whamm-cm" in seen
    assert (app.read_bytes(), app.stat().st_mtime_ns) == (original, found.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


@pytest.mark.parametrize("body", ["import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_it_is_put_back_however_the_command_ends(app: Path, tmp_path: Path, body: str) -> None:
    original = app.read_bytes()
    host = program(tmp_path, body)
    assert main(["trace", "--component", str(app), "--", str(host)]) in (3, 137)
    assert main(["trace", "--component", str(app), "--", str(tmp_path / "none")]) == 127
    assert app.read_bytes() == original
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_is_put_back_after_a_signal(
    app: Path, tmp_path: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL, by the next command that reads it."""
    original = app.read_bytes()
    ready, fifo = tmp_path / "ready", tmp_path / "wait"
    os.mkfifo(ready)
    os.mkfifo(fifo)
    host = program(tmp_path, f"open({str(ready)!r}, 'w').close(); open({str(fifo)!r}).read()")
    command = [sys.executable, "-m", "whamm_cm", "trace", "--component", str(app), "--", str(host)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        ready.open().close()
        assert app.read_bytes() != original
        if number != signal.SIGKILL:
            # While it is woven, nobody else takes it for what it is not.
            assert main(["inspect", str(app)]) == 3
            assert main(["trace", "--component", str(app), "--", str(host)]) == 3
            assert f"process {process.pid}" in capfd.readouterr().err
        process.send_signal(number)
        process.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if number == signal.SIGKILL:
        assert app.read_bytes() != original
        assert main(["inspect", str(app)]) == 0
        assert "was left woven by a run that was killed" in capfd.readouterr().err
    assert app.read_bytes() == original
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


def test_a_build_by_the_command_stays_and_is_said(
    app: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = assemble("trap")
    (tmp_path / "new").write_bytes(new)
    host = program(tmp_path, f"import shutil; shutil.copy({str(tmp_path / 'new')!r}, {str(app)!r})")
    assert main(["trace", "--component", str(app), "--", str(host)]) == 0
    assert app.read_bytes() == new
    assert "has been written anew meanwhile, and stays" in capfd.readouterr().err


def test_the_embedded_engine_needs_no_component(app: Path) -> None:
    assert main(["trace", "--component", str(app), str(app)]) == 2


@pytest.mark.parametrize(
    "words",
    [("gate", "."), ("gate", "app.wasm"), ("gate", "app.wasm", "other.wasm"), ("inspect", "link"),
     ("diff", "app.wasm", "other.wasm"), ("info", "wasm:func:entry", "app.wasm")],
    ids=" ".join,
)  # fmt: skip
def test_what_was_left_woven_is_put_back_by_whoever_reads_it(
    app: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    original, left = app.read_bytes(), tmp_path / "left"
    with woven_in_place(app, b"\0asm woven"):
        shutil.copytree(tmp_path, left)  # as a killed process leaves it: nobody has the lock
    (left / "other.wasm").write_bytes(original)
    (left / "link").symlink_to(app.name)
    monkeypatch.chdir(left)
    assert main(words) in (0, 1)
    assert "app.wasm was left woven by a run that was killed" in capfd.readouterr().err.replace(
        "link was", "app.wasm was"
    )
    assert (left / app.name).read_bytes() == original
    assert [path.name for path in left.iterdir() if path.name[0] == "."] == []
