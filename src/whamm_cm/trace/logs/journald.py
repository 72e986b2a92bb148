"""The journal of systemd: ``journalctl -o json``, and its texts ``short``, ``short-iso`` …

A message that is no plain text is an array of bytes.  Docker's ``journald`` driver marks the parts
of a line it has cut; the journal itself says ``_LINE_BREAK=line-max``.
"""

from __future__ import annotations

import re
import time
from typing import Any

from whamm_cm.trace.logs.piece import RFC3339, Piece, joined, rfc3339

_UNIT = r"(\S+) ([^\s:\[]+(?:\[\d+\])?): ?(.*)"
_ISO = re.compile(rf"({RFC3339}) {_UNIT}", re.DOTALL)
_FULL = re.compile(
    rf"[A-Z][a-z]{{2}} (\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC {_UNIT}", re.S
)
_SHORT = re.compile(rf"([A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d)(?:\.(\d+))? {_UNIT}", re.DOTALL)
_DAY = 86_400


def of_text(text: str) -> Piece | None:
    match = _ISO.fullmatch(text) or _FULL.fullmatch(text)
    if match is not None:
        return Piece(match[4], f"{match[2]}/{match[3]}", rfc3339(match[1]))
    match = _SHORT.fullmatch(text)
    if match is None:
        return None
    return Piece(match[5], f"{match[3]}/{match[4]}", _without_year(match[1], match[2] or ""))


def _without_year(text: str, fraction: str) -> int | None:
    """Such stamps are of the last twelve months, in the local time of the host: taken as UTC."""
    now = time.time()
    for year in (time.gmtime(now + _DAY).tm_year, time.gmtime(now).tm_year - 1):
        try:
            parsed = time.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S")
        except ValueError:
            continue
        stamp = rfc3339(time.strftime("%Y-%m-%dT%H:%M:%S", parsed) + f".{fraction or 0}Z")
        if stamp is not None and stamp <= (now + _DAY) * 1_000_000_000:
            return stamp
    return None


def of_object(value: dict[str, Any]) -> list[Piece] | None:
    if "MESSAGE" not in value or not any(key.startswith("_") for key in value):
        return None
    text = _message(value["MESSAGE"])
    if text is None:
        return None
    name = value.get("CONTAINER_NAME") or value.get("_SYSTEMD_UNIT")
    identifier = name or value.get("SYSLOG_IDENTIFIER")
    source = joined(value.get("_HOSTNAME"), identifier, value.get("_PID") if not name else None)
    partial = value.get("CONTAINER_PARTIAL_MESSAGE") == "true"
    partial = partial and value.get("CONTAINER_PARTIAL_LAST") != "true"
    partial = partial or value.get("_LINE_BREAK") == "line-max"
    return [Piece(text, source, _micros(value.get("__REALTIME_TIMESTAMP")), "", partial)]


def _message(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(type(b) is int and 0 <= b < 256 for b in value):
        return None
    return bytes(value).decode("utf-8", "replace")


def _micros(value: object) -> int | None:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,18}", value):
        return None
    return int(value) * 1000
