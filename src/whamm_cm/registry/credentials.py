"""User names and passwords from Docker's ``config.json``."""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import field
from pathlib import Path
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.registry.reference import DOCKER_HUB


@dataclass(frozen=True, slots=True)
class Credentials:
    """``basic``: ``user:password``, "" for none.  ``why``: why there is none, for error messages.
    The password stays out of ``repr``."""

    basic: str = field(default="", repr=False)
    why: str = ""

    @property
    def header(self) -> str:
        return "Basic " + base64.b64encode(self.basic.encode()).decode("ascii")


def config_path() -> Path | None:
    """``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``; None without a home."""
    folder = os.environ.get("DOCKER_CONFIG")
    if folder:
        return Path(folder) / "config.json"
    try:
        return Path.home() / ".docker" / "config.json"
    except RuntimeError:
        return None


def credentials(registry: str, path: Path | None) -> Credentials:
    """Those for ``registry``; none where the file is missing, damaged or knows only a helper
    program, which is not run."""
    try:
        config: Any = json.loads(path.read_bytes()) if path is not None else {}
    except FileNotFoundError:
        return Credentials(why="there are no credentials; log in with a tool that writes auths")
    except (OSError, ValueError, RecursionError):
        return Credentials(why=f"{path} cannot be read as JSON")
    auths = _mapping(config, "auths")
    keys = [registry, *(f"https://{registry}{end}" for end in ("", "/", "/v2/"))]
    for key in ["https://index.docker.io/v1/"] * (registry in DOCKER_HUB) + keys:
        entry = auths.get(key)
        if isinstance(entry, dict) and entry:
            return _entry(entry)
    if registry in _mapping(config, "credHelpers") or _text(config, "credsStore"):
        return Credentials(why=f"{path} names a credential helper, which is not run")
    return Credentials(why=f"{path} has no auths for {registry}")


def _entry(entry: dict[str, Any]) -> Credentials:
    user, password = _text(entry, "username"), _text(entry, "password")
    if user and password:
        return Credentials(f"{user}:{password}")
    try:
        basic = base64.b64decode(_text(entry, "auth"), validate=True).decode()
    except (binascii.Error, ValueError):
        return Credentials(why="its auth is not Base64")
    if ":" not in basic:
        return Credentials(why="there is only a helper or an identity token, which are not used")
    return Credentials(basic)


def _mapping(config: Any, key: str) -> dict[str, Any]:
    found = config.get(key) if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}


def _text(config: Any, key: str) -> str:
    found = config.get(key) if isinstance(config, dict) else None
    return found if isinstance(found, str) else ""
