"""Which values among parameters are handed over with a call: handles, and ends of streams."""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.abi.layout import children
from whamm_cm.wit.types import (
    FutureT,
    ListT,
    MapT,
    Own,
    Resource,
    StreamT,
    ValType,
    strip,
)  # fmt: skip


def owned(types: Iterable[ValType]) -> tuple[Resource, ...] | None:
    """The resources of the own handles that values of these types can have, each once.

    None where not all that is handed over is one of a handful of handles: streams, futures, and
    handles in lists and maps.
    """
    found: dict[Resource, None] = {}
    stack: list[tuple[ValType, bool]] = [(t, False) for t in types]
    seen: set[tuple[ValType, bool]] = set()
    while stack:
        t, many = stack.pop()
        node = strip(t)
        if (node, many) in seen:
            continue
        seen.add((node, many))
        if isinstance(node, StreamT | FutureT) or (many and isinstance(node, Own)):
            return None
        if isinstance(node, Own):
            found[node.resource] = None
        many = many or isinstance(node, ListT | MapT)
        stack.extend((child, many) for child in children(node))
    return tuple(found)
