"""Calls between components that could not start at once, and which call of an export each became.

They start in any order, so with several of them nobody knows which is which; but as many are begun
as have been made.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
#: A run and a function.
Key: TypeAlias = tuple[str, str, str]


class Held(Generic[T]):
    """Of calls ``T`` those that are not known to have started, and how many of them have."""

    def __init__(self) -> None:
        self._waiting: dict[Key, dict[T, None]] = {}
        self._begun: dict[Key, int] = {}

    def add(self, key: Key, call: T) -> None:
        self._waiting.setdefault(key, {})[call] = None

    def started(self, key: Key, call: T) -> None:
        """It has, as is said now: what began may have been it."""
        waiting = self._waiting.get(key, {})
        if call not in waiting:
            return
        del waiting[call]
        begun = self._begun.pop(key, 0)
        if begun > 1:
            self._begun[key] = begun - 1
        if not waiting:
            del self._waiting[key]

    def callers(self, key: Key) -> list[T]:
        """The calls of which what begins now may be one; none if as many have begun already.  One
        alone has started."""
        waiting = [*self._waiting.get(key, ())]
        begun = self._begun.get(key, 0)
        if begun >= len(waiting):
            return []
        if len(waiting) == 1:
            del self._waiting[key]
        else:
            self._begun[key] = begun + 1
        return waiting
