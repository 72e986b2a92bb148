"""Analyses kept by the hash of the component and the version of the tool.

An entry is JSON, written to a temporary file and renamed.  What cannot be read or makes no sense is
as good as absent, and what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.gate.model import ExportRow, FunctionRow, ImportRow, NestedRow, Provider, Subject
from whamm_cm.trace.tables import user_cache


def cache_dir() -> Path | None:
    """The folder of the user's cache; None without a home."""
    return user_cache("gate")


class Cache:
    """``folder`` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._key = ""

    def get(self, sha256: str) -> Subject | None:
        if self.folder is None:
            return None
        try:
            raw = json.loads(self._path(sha256).read_bytes())
            found = _subject(raw)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
            return None
        return found if found.sha256 == sha256 else None

    def put(self, subject: Subject) -> None:
        if self.folder is None:
            return
        text = json.dumps(asdict(subject), separators=(",", ":"))
        import tempfile  # slow to import, and most runs find what they look for

        with suppress(OSError):
            target = self._path(subject.sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, target)
            except OSError:
                os.unlink(name)

    def _path(self, sha256: str) -> Path:
        assert self.folder is not None
        self._key = self._key or _tool_key()
        return self.folder / self._key / sha256[:2] / f"{sha256}.json"


#: Rooms whose code says what an analysis is.
_ROOMS = ("binary", "ir", "wit", "weave")


def _tool_key() -> str:
    """The version, and how the files look that the analysis is made by: a checkout changes without
    its version changing."""
    root = Path(str(files("whamm_cm")))
    stamp = hashlib.sha256()
    with suppress(OSError):
        for path in sorted(p for room in _ROOMS for p in (root / room).rglob("*.py")):
            state = path.stat()
            stamp.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        for name in ("subject.py", "model.py", "capabilities.py", "readings.py", "marks.py"):
            state = (root / "gate" / name).stat()
            stamp.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return f"{__version__}-{stamp.hexdigest()[:12]}"


def _subject(raw: dict[str, Any]) -> Subject:
    stamp = raw["stamp"]
    return Subject(
        sha256=_text(raw["sha256"]),
        size=int(raw["size"]),
        modules=int(raw["modules"]),
        producers=tuple((a, b, c) for a, b, c in raw["producers"]),
        stamp=None if stamp is None else tuple((k, v) for k, v in stamp),
        imports=tuple(_import(one) for one in raw["imports"]),
        exports=tuple(
            ExportRow(**{**one, **_names(one), "functions": tuple(one["functions"])})
            for one in raw["exports"]
        ),
        nested=tuple(
            NestedRow(**{**one, "imports": tuple(_import(row) for row in one["imports"])})
            for one in raw["nested"]
        ),
        fault=_text(raw["fault"]),
        marks=tuple((_text(path), _text(sign)) for path, sign in raw["marks"]),
    )


def _names(raw: dict[str, Any]) -> dict[str, Any]:
    """What lists in JSON are tuples of."""
    return {
        "readings": tuple((name, version) for name, version in raw["readings"]),
        "hands": tuple(raw["hands"]),
    }


def _import(raw: dict[str, Any]) -> ImportRow:
    functions = tuple(_function(one) for one in raw["functions"])
    return ImportRow(**{**raw, **_names(raw), "functions": functions})


def _function(raw: dict[str, Any]) -> FunctionRow:
    if not isinstance(raw["reachable"], bool):
        raise TypeError
    providers = tuple(Provider(**one) for one in raw["providers"])
    return FunctionRow(**{**raw, "providers": providers})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
