"""What ``wasi:blobstore`` keeps, shared by all instances."""

from __future__ import annotations

import time
from dataclasses import field

from whamm_cm.dataclass import dataclass


def _seconds() -> int:
    return int(time.time())


@dataclass(slots=True)
class Blob:
    data: bytes
    created: int = field(default_factory=_seconds)


@dataclass(slots=True)
class Kept:
    """A container as all instances see it, by the names of its objects."""

    objects: dict[str, Blob] = field(default_factory=dict)
    created: int = field(default_factory=_seconds)
