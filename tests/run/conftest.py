from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.guests import ROOT, assemble


@pytest.fixture(scope="session")
def command() -> bytes:
    return assemble("run_command")


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a Python script in a process of its own, with its output in pipes."""

    def start(script: str, *args: str, **options: object) -> subprocess.Popen[bytes]:
        path = tmp_path / "script.py"
        path.write_text(script)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        child: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, str(path), *args],
            **{"env": environment, **pipes, **options},  # type: ignore[call-overload]
        )
        return child

    return start
