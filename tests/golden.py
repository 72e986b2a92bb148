"""Golden files: ``BLESS=1 pytest`` rewrites them, otherwise a difference is a failure."""

from __future__ import annotations

import os
from pathlib import Path


def check_golden(path: Path, actual: str) -> None:
    """Compare ``actual`` with the file; a missing file fails with the text it should hold."""
    if os.environ.get("BLESS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(actual, encoding="utf-8")
        return
    assert path.exists(), f"{path} is missing (BLESS=1 writes it); it should hold:\n{actual}"
    assert actual == path.read_text(encoding="utf-8"), f"{path} differs; BLESS=1 rewrites it"
