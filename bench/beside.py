"""Another checkout of this project, to measure beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def environment(checkout: Path) -> dict[str, str]:
    """In which Python finds the packages of that folder."""
    if not (checkout / "src" / "whamm_cm").is_dir():
        raise SystemExit(f"--beside {checkout}: there is no checkout of this project")
    path = os.pathsep.join((str(checkout / "src"), str(checkout)))
    return {**os.environ, "PYTHONPATH": path}


def run(checkout: Path, *arguments: str) -> str:
    """What ``python ARGUMENTS`` prints with the packages of that folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=environment(checkout),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout
