"""Formats by name.  A new one is a file with ``render`` and a row here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from whamm_cm.errors import UsageError, nearest

if TYPE_CHECKING:
    from whamm_cm.gate.model import Report

#: name → what it is for; the module of that name has ``render(report) -> str``.
FORMATS: dict[str, str] = {
    "table": "for people",
    "json": "the whole report as one document",
    "jsonl": "a line per component as it is done, then the verdict",
    "sarif": "SARIF 2.1.0, for code scanning",
    "junit": "JUnit XML, for CI systems",
    "github": "annotations of GitHub Actions",
    "markdown": "for step summaries and comments on pull requests",
    "html": "a page to look at, in one file",
    "intoto": "in-toto statements, a line per component, to sign",
}


def renderer(name: str) -> Callable[[Report], str]:
    """Raises UsageError for an unknown format, with the nearest."""
    if name not in FORMATS:
        near = nearest(name, FORMATS)
        hint = f'; did you mean "{near}"?' if near else f"; known: {', '.join(FORMATS)}"
        raise UsageError(f'unknown format "{name}"{hint}')
    module = importlib.import_module(f"whamm_cm.gate.outputs.{name}")
    return cast("Callable[[Report], str]", module.render)
