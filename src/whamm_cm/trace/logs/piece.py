"""What an envelope holds, and the time stamps they share."""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache

from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of the host, or with ``partial`` a part of one whose rest comes later.

    ``source`` says where it is from (pod, container, host), as far as the envelope does; ``weak``:
    it may just as well be text of a guest.  ``stream`` tells apart what is cut and joined by
    itself; ``time_ns`` is the envelope's time stamp, nanoseconds since 1970.
    """

    text: str
    source: str = ""
    time_ns: int | None = None
    stream: str = ""
    partial: bool = False
    weak: bool = False


#: An RFC 3339 time stamp, as a part of a pattern; no groups.
RFC3339 = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)"
_PARTS = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)?")


def rfc3339(text: object) -> int | None:
    """Nanoseconds since 1970; None for what is no such time stamp."""
    match = _PARTS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    seconds = _seconds(f"{match[1]} {match[2]}")
    if seconds is None:
        return None
    return (seconds - _offset(match[4])) * 1_000_000_000 + int(f"{match[3] or '':0<9.9}")


@lru_cache(maxsize=256)
def _seconds(text: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def joined(*parts: object) -> str:
    """The texts among ``parts``, as a path; "" for none."""
    return "/".join(part for part in parts if isinstance(part, str) and part)
