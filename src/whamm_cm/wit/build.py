"""Making types within limits: how deep they nest and how much work one component may cause.

The limits are about those of wasmtime, which refuses what we refuse.
"""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.errors import WhammError
from whamm_cm.wit.types import Named, ValType, children

#: Levels of value types in value types, not counting names.
MAX_TYPE_DEPTH = 100

#: Levels including names (a type used through a chain of interfaces is named once in each).
MAX_NAMED_DEPTH = 150

#: Levels of instances in instances, and of uses of instance types in instance types.
MAX_INSTANCE_DEPTH = 100

#: Declarations elaborated, types and entities made for one component; one more for each byte of
#: input. Components of two megabytes were seen to need 20 000.
MAX_WORK = 500_000


class Builder:
    """Counts work and depth; ``fail`` makes the error that says where."""

    def __init__(self, fail: Callable[[str], WhammError], size: int) -> None:
        self.fail = fail
        self._left = MAX_WORK + size
        # Keyed by id; the type is kept too, so that its id stays its own.
        self._depths: dict[int, tuple[int, int, ValType]] = {}

    def spend(self, work: int = 1) -> None:
        self._left -= work
        if self._left < 0:
            raise self.fail("the types of this component are too large")

    def enter(self, depth: int) -> int:
        if depth >= MAX_INSTANCE_DEPTH:
            raise self.fail(f"instances are nested deeper than {MAX_INSTANCE_DEPTH} levels")
        return depth + 1

    def made(self, t: ValType) -> ValType:
        """``t``, whose children must have come from here too, after a look at its depth."""
        if id(t) in self._depths:
            return t
        plain = named = 0
        inside = children(t)
        self.spend(1 + len(inside))
        for child in inside:
            known = self._depths.get(id(child))
            if known is not None:
                plain, named = max(plain, known[0]), max(named, known[1])
        plain += not isinstance(t, Named)
        named += 1
        if plain > MAX_TYPE_DEPTH or named > MAX_NAMED_DEPTH:
            raise self.fail(f"types are nested deeper than {MAX_TYPE_DEPTH} levels")
        self._depths[id(t)] = (plain, named, t)
        return t
