"""Analyses kept by the hash of the component and the version of the tool.

An entry decides a verdict, and caches are shared: it has a MAC over what it says, the component and
the build of the tool, with a key that is not in the cache.  It is JSON, written to a temporary file
and renamed.  What cannot be read, makes no sense or was not written here is as good as absent,
and what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.gate.model import (
    Claim,
    ExportRow,
    FunctionRow,
    ImportRow,
    NestedRow,
    Provider,
    Subject,
)
from whamm_cm.trace.tables import user_cache


def cache_dir() -> Path | None:
    """The folder of the user's cache; None without a home."""
    return user_cache("gate")


def key_path() -> Path | None:
    """``$XDG_STATE_HOME/whamm-cm/gate.key`` or below ``~/.local/state``; None without a home."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "whamm-cm" / "gate.key"
    try:
        return Path.home() / ".local" / "state" / "whamm-cm" / "gate.key"
    except RuntimeError:
        return None


class Cache:
    """``folder`` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._tool = ""

    @cached_property
    def _secret(self) -> bytes | None:
        return _secret(key_path())

    def get(self, sha256: str) -> Subject | None:
        if self.folder is None or self._secret is None:
            return None
        try:
            text = self._verified(self._path(sha256).read_bytes(), sha256)
            found = _subject(json.loads(text))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
            return None
        return found if found.sha256 == sha256 else None

    def _verified(self, raw: bytes, sha256: str) -> bytes:
        """What an entry says of a subject; ValueError where we did not write it."""
        head, text, tail = (
            raw[: len(_HEAD) + 64],
            raw[len(_HEAD) + 64 + len(_MIDDLE) : -1],
            raw[-1:],
        )
        mac = self._mac(sha256, text)
        written = _HEAD + mac + _MIDDLE
        if not hmac.compare_digest(written, head + raw[len(head) : len(written)]) or tail != b"}":
            raise ValueError
        return text

    def _mac(self, sha256: str, text: bytes) -> bytes:
        """Of an entry, for the component and the build of the tool that it is of."""
        assert self._secret is not None
        whole = b"\0".join((self._tool_key().encode(), sha256.encode(), text))
        return hmac.new(self._secret, whole, hashlib.sha256).hexdigest().encode()

    def put(self, subject: Subject) -> None:
        if self.folder is None or self._secret is None:
            return
        text = json.dumps(asdict(subject), separators=(",", ":")).encode()
        whole = _HEAD + self._mac(subject.sha256, text) + _MIDDLE + text + b"}"
        with suppress(OSError):
            target = self._path(subject.sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            name = _temporary(target.parent, whole)
            try:
                os.replace(name, target)
            except OSError:
                os.unlink(name)

    def _tool_key(self) -> str:
        self._tool = self._tool or _tool_key()
        return self._tool

    def _path(self, sha256: str) -> Path:
        assert self.folder is not None
        return self.folder / self._tool_key() / sha256[:2] / f"{sha256}.json"


#: An entry is JSON, with its MAC before it at a known place.
_HEAD, _MIDDLE = b'{"mac":"', b'","subject":'


def _temporary(folder: Path, data: bytes) -> str:
    import tempfile  # slow to import, and most runs find what they look for

    handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        os.unlink(name)
        raise
    return name


def _secret(path: Path | None) -> bytes | None:
    """The key of this user on this machine, made when it is first asked for; None where there can
    be none that others do not know."""
    if path is None:
        return None
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            name = _temporary(path.parent, secrets.token_bytes(_KEY_SIZE))
            try:
                with suppress(FileExistsError):
                    os.link(name, path)
            finally:
                os.unlink(name)
        if path.stat().st_mode & 0o077 == 0:
            found = path.read_bytes()
            return found if len(found) == _KEY_SIZE else None
    return None


_KEY_SIZE = 32

#: Rooms whose code says what an analysis is.
_ROOMS = ("wasm", "component", "wit", "analysis", "demangle", "weave")
_FILES = (
    "subject.py", "model.py", "capabilities.py", "readings.py", "marks.py", "guard_claim.py",
)  # fmt: skip


def _tool_key() -> str:
    """The version, and how the files look that the analysis is made by: a checkout changes without
    its version changing."""
    root = Path(str(files("whamm_cm")))
    stamp = hashlib.sha256()
    with suppress(OSError):
        for path in sorted(p for room in _ROOMS for p in (root / room).rglob("*.py")):
            state = path.stat()
            stamp.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        for name in _FILES:
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
        alone=raw["alone"] is True,
        ways={
            name: tuple((_text(kind), _text(step)) for kind, step in way)
            for name, way in raw["ways"].items()
        },
        guard=None if raw["guard"] is None else Claim(**raw["guard"]),
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
