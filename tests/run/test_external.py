"""Any command as the runner; the commands are small Python scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.steps import no_endless_loop
from whamm_cm.run.external import CommandNotExecutable, CommandNotFound, run_external
from whamm_cm.run.replacing import find_wasm_argument

Start = Callable[..., subprocess.Popen[bytes]]
COMPONENT = b"\0asm\x0d\0\1\0"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place for temporary files; a test can see what is left there."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _host(tmp_path: Path, body: str) -> list[str]:
    """A command: ``python host.py app.wasm``."""
    script = tmp_path / "host.py"
    script.write_text("import os, signal, sys, time\n" + body)
    (tmp_path / "app.wasm").write_bytes(COMPONENT + b"original")
    return [sys.executable, str(script), "--flag", str(tmp_path / "app.wasm"), "tail"]


def _run(cmd: list[str], on_line: Callable[[str], None], fd: int = 2) -> int:
    def text(line: bytes) -> None:
        on_line(line.decode("utf-8", "replace"))

    return run_external(cmd, find_wasm_argument(cmd).index, b"woven", text, b"WCM1 {", stderr_fd=fd)


def test_the_command_gets_the_woven_file(
    tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cmd = _host(
        tmp_path,
        "path = sys.argv[2]\n"
        "print(open(path, 'rb').read(), os.path.basename(path), sys.argv[3], flush=True)\n"
        "print(oct(os.stat(os.path.dirname(path)).st_mode & 0o777), flush=True)\n"
        "sys.exit(7)\n",
    )
    assert _run(cmd, print) == 7
    assert capfd.readouterr().out == "b'woven' app.wasm tail\n0o700\n"
    assert list(temporary.iterdir()) == []
    assert (tmp_path / "app.wasm").read_bytes() == COMPONENT + b"original"


def test_stderr_is_split_live(tmp_path: Path, temporary: Path) -> None:
    """The host waits for each part to be seen before it goes on."""
    reader, writer = os.pipe()
    seen = tmp_path / "seen"
    cmd = _host(
        tmp_path,
        f"def wait(n):\n    while not os.path.exists({str(seen)!r} + n): time.sleep(0.01)\n"
        "os.write(2, b'hello\\nguest: WCM1 {\"a\":1}\\n'); wait('1')\n"
        "os.write(2, b'prompt> '); wait('2')\n"
        "os.write(2, b'WCM1 {\"b\"'); time.sleep(0.2); os.write(2, b':2}\\nbye'); \n",
    )
    records: list[str] = []

    def on_line(line: str) -> None:
        records.append(line)
        if len(records) == 1:
            assert os.read(reader, 100) == b"hello\n"
            Path(f"{seen}1").touch()
            pid = os.fork()
            if pid == 0:  # sees the prompt while this process is busy pumping
                ok = os.read(reader, 100) == b"prompt> "
                Path(f"{seen}2").touch()
                os._exit(0 if ok else 1)
            children.append(pid)

    children: list[int] = []
    assert _run(cmd, on_line, writer) == 0
    os.close(writer)
    assert records == ['WCM1 {"a":1}', 'WCM1 {"b":2}']
    assert os.read(reader, 100) == b"bye"
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_stdin_is_the_commands(
    tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cmd = _host(tmp_path, "print(sys.stdin.read().upper(), flush=True)")
    reader, writer = os.pipe()
    os.write(writer, b"typed")
    os.close(writer)
    saved = os.dup(0)
    try:
        os.dup2(reader, 0)
        assert _run(cmd, print) == 0
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)
    assert capfd.readouterr().out == "TYPED\n"


def test_death_by_a_signal(tmp_path: Path, temporary: Path) -> None:
    assert _run(_host(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)"), print) == 137


def test_not_found_and_not_executable(tmp_path: Path, temporary: Path) -> None:
    app = _host(tmp_path, "")[3]
    with pytest.raises(CommandNotFound, match="^no-such-command-x: command not found$") as found:
        _run(["no-such-command-x", app], print)
    assert found.value.exit_code == 127
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    with pytest.raises(CommandNotExecutable, match="permission denied") as denied:
        _run([str(plain), app], print)
    assert denied.value.exit_code == 126
    plain.chmod(0o755)
    with pytest.raises(CommandNotExecutable, match="Exec format error"):
        _run([str(plain), app], print)
    assert list(temporary.iterdir()) == []


def test_an_error_in_the_callback_stops_the_command(tmp_path: Path, temporary: Path) -> None:
    pid_file = tmp_path / "pid"
    cmd = _host(
        tmp_path,
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "os.write(2, b'WCM1 {}\\n'); time.sleep(600)\n",
    )

    def on_line(line: str) -> None:
        raise ValueError(line)

    with no_endless_loop(), pytest.raises(ValueError, match="WCM1 {}"):
        _run(cmd, on_line)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert list(temporary.iterdir()) == []


def test_a_process_left_in_the_background_does_not_hold_us(tmp_path: Path, temporary: Path) -> None:
    cmd = _host(
        tmp_path,
        f"pid = os.fork()\nif pid == 0:\n    os.close(1); time.sleep(600); os._exit(0)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(pid))\n"
        "os.write(2, b'WCM1 {}\\n'); os._exit(4)\n",
    )
    records: list[str] = []
    try:
        with no_endless_loop():
            assert _run(cmd, records.append) == 4
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert records == ["WCM1 {}"]


# Runs a host that reports each signal it gets; with a "terminal" the host stays in our group.
FORWARD = """
import sys, tempfile
from whamm_cm.run.external import run_external
tempfile.tempdir = sys.argv[2]
sys.exit(run_external([sys.executable, sys.argv[1], "app.wasm"], 2, b"woven",
                      lambda line: print(line.decode(), flush=True), b"WCM1 {"))
"""
HOST = """
import os, signal, sys, time
def note(number, frame):
    os.write(2, b'WCM1 {"signal":%d}\\n' % number)
    sys.exit(40 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, note)
os.write(2, b"WCM1 {}\\n")
time.sleep(30)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_the_command(python: Start, tmp_path: Path, number: signal.Signals) -> None:
    host, folder = tmp_path / "host.py", tmp_path / "tmp"
    host.write_text(HOST)
    folder.mkdir()
    child = python(FORWARD, str(host), str(folder))
    assert child.stdout is not None
    assert child.stdout.readline() == b"WCM1 {}\n"
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert (out, err) == (b'WCM1 {"signal":%d}\n' % number, b"")
    assert child.returncode == 40 + number
    assert list(folder.iterdir()) == []


def test_the_default_action_of_a_forwarded_signal_is_passed_on(
    python: Start, tmp_path: Path
) -> None:
    host = tmp_path / "host.py"
    host.write_text("import os, time\nos.write(2, b'WCM1 {}\\n')\ntime.sleep(30)\n")
    child = python(FORWARD, str(host), str(tmp_path))
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == 143


def test_ctrl_c_on_a_terminal_arrives_once(tmp_path: Path) -> None:
    """On a pseudo-terminal, the kernel itself sends SIGINT to the whole foreground group."""
    import pty

    host = tmp_path / "host.py"
    host.write_text(
        "import os, signal, sys, time\n"
        "count = 0\n"
        "def note(number, frame):\n    global count\n    count += 1\n"
        "signal.signal(signal.SIGINT, note)\n"
        "print('ready', flush=True)\n"
        "began = time.monotonic()\n"
        "while time.monotonic() < began + 1.5: time.sleep(0.05)\n"
        "sys.exit(10 + count)\n"
    )
    (tmp_path / "forward.py").write_text(FORWARD)
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        words = [sys.executable, str(tmp_path / "forward.py"), str(host), str(tmp_path)]
        os.execv(sys.executable, words)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(fd, 1000)
    os.write(fd, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    assert status == 11
