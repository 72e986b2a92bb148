"""The components that hosts are given, one file for each test to do with as it likes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import build


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """The handler of ``fixtures/wat/http_echo.wat``."""
    return Path(shutil.copy(build.path_of("http_echo"), tmp_path / "echo.wasm"))
