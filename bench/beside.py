"""Another checkout of this project, to measure beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(checkout: Path, *arguments: str) -> str:
    """What ``python ARGUMENTS`` prints with the packages of that folder."""
    path = os.pathsep.join((str(checkout / "src"), str(checkout)))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout
