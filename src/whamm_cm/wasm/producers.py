"""The ``producers`` custom section of modules and components: which tools made them.

tool-conventions, ProducersSection.md.
"""

from __future__ import annotations

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.cursor import Cursor


@dataclass(frozen=True, slots=True)
class Producer:
    """``field``: ``language``, ``processed-by``, ``sdk`` or another; ``version`` may be empty."""

    field: str
    name: str
    version: str


def read_producers(cur: Cursor) -> tuple[Producer, ...]:
    """The section's content, in order.  Raises DecodeError when it is malformed."""
    found: list[Producer] = []
    for _ in range(cur.count("fields")):
        field = cur.name("a field name")
        for _ in range(cur.count("values")):
            name = cur.name("a tool's name")
            found.append(Producer(field, name, cur.name("a version")))
    cur.finish("producers section")
    return tuple(found)
