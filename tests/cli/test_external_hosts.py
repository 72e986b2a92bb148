"""``trace -- COMMAND``: what the command is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.run.guests import assemble
from whamm_cm.cli.main import main

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


def test_jco_gets_modules_with_one_memory(given) -> None:
    single = given("host", "--no-multi-memory")
    assert given("host") != single
    assert given("jco") == single
