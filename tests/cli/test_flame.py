"""The flame graph is as wide as the terminal that it is on, and plain text elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from fixtures.build import path_of
from whamm_cm.cli.main import main

WIDTH = 67


def on_terminal(words: list[str], stream: str) -> str:
    """What the command writes on its ``stdout`` or ``stderr``, a terminal of 67 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
    command = subprocess.Popen(
        [sys.executable, "-m", "whamm_cm", *words], env={**env, "TERM": "xterm"}, **streams
    )
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # its end is closed
            break
        if not part:
            break
        found += part
    os.close(ours)
    assert command.wait() == 0
    return found.decode().replace("\r\n", "\n")


def test_a_terminal_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, log, drawn = str(path_of("command")), tmp_path / "run.jsonl", tmp_path / "run.flame"
    shown = on_terminal(["trace", "-q", "-m", "flame", app], "stderr")
    assert shown.startswith("\x1b[1minstructions: ")
    first = shown.splitlines()[1]
    assert first.startswith("\x1b[38;5;16;48;5;") and first.endswith("100.0%\x1b[0m")
    assert main(["trace", "-q", "-o", str(log), "-m", "flame", app]) == 0
    capsys.readouterr()
    again = on_terminal(["report", "-f", "flame", str(log)], "stdout")
    assert again.splitlines()[1] == first
    assert main(["report", "-o", str(drawn), str(log)]) == 0
    assert main(["report", "-f", "table", str(log)]) == 0
    plain = drawn.read_text("utf-8")
    assert capsys.readouterr().out == plain and "\x1b" not in plain
    assert len(plain.splitlines()[1]) == 80
