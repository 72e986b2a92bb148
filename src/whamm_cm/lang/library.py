"""What scripts know of a library."""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.valtypes import Type


@dataclass(frozen=True, slots=True)
class LibFunction:
    """A library function as scripts may call it: script types in, one script type or unit out."""

    params: tuple[Type, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class LibSignature:
    """``functions`` by name; ``has_memory``: ``memid(lib)`` and memcpy may name it."""

    name: str
    functions: Mapping[str, LibFunction]
    has_memory: bool = False
