"""The fewest faults of ``-m chaos`` with which a program fails: delta debugging over runs of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError, UsageError
from whamm_cm.front.settings import Settings
from whamm_cm.trace.records import Record

MONITOR = "chaos"
#: What it prints of a fault, and the parameter with which it makes chosen ones.
_FAULT = re.compile(r"fault (.+): (\S+: \S+)", re.S)
_CHOICE = "only"
#: One run.
Once: TypeAlias = "Callable[[Settings], tuple[str, Sequence[Record]]]"
#: The number of no fault, for chances are counted from 1 on.
_NONE = "0"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run: what came of it is ``failure``, "" where it ended well; ``faults`` that it had are
    numbers, as the monitor tells them, with the function and the kind."""

    failure: str
    faults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """``failure`` with all the faults of a seed, which were ``at_first``, and with ``fewest`` the
    same: without any one of these it does not come.  Both are empty where nothing failed, and
    ``fewest`` then has what faults there were."""

    failure: str
    at_first: int
    fewest: Mapping[str, str]
    runs: int


def smallest(items: Sequence[str], fails: Callable[[Sequence[str]], Sequence[str]]) -> list[str]:
    """A subset of ``items`` that fails, and does not without any one of them.

    ``fails`` says which of those that it is given have to do with the failure, none where there was
    none; it is not asked twice for the same ones.
    """
    known: dict[tuple[str, ...], Sequence[str]] = {}

    def asked(some: Sequence[str]) -> Sequence[str]:
        key = tuple(some)
        if key not in known:
            known[key] = fails(some) if some else ()
        return known[key]

    left, pieces = list(items), 2
    while len(left) > 1:
        size = -(-len(left) // pieces)
        parts = [left[k : k + size] for k in range(0, len(left), size)]
        without = [[x for x in left if x not in set(part)] for part in parts]
        candidates = [*parts, *without] if len(parts) > 2 else parts
        hit = next((found for one in candidates if (found := asked(one))), None)
        if hit is not None:
            left = [x for x in left if x in set(hit)]
            pieces = 2 if len(hit) <= size else max(len(parts) - 1, 2)
        elif size == 1:
            break
        else:
            pieces = min(2 * pieces, len(left))
    return left


@dataclass(frozen=True, slots=True)
class Shrinking:
    """``settings``, with the monitor among them, are what ``once`` weaves, runs and tells of: why
    it failed, "" where it ended well, and the records.  ``name`` is for messages.

    ``tell`` is called with each run's number, the numbers it was to have (None: by chance), and
    what came.
    """

    settings: Settings
    once: Once
    name: str
    tell: Callable[[int, Sequence[str] | None, Attempt], None] | None = None

    def run(self) -> Found:
        """Raises what a weave and a run raise, and RunError where the program fails without faults,
        or not each time with the same ones."""
        runs = 0

        def attempt(only: Sequence[str] | None) -> Attempt:
            nonlocal runs
            runs += 1
            found = self._attempt(only)
            if self.tell is not None:
                self.tell(runs, only, found)
            return found

        clean = attempt([_NONE])
        if clean.failure:
            raise RunError(f"{self.name} fails without any fault, too: {clean.failure}")
        first = attempt(None)
        if not first.failure:
            return Found("", len(first.faults), first.faults, runs)
        faults = dict(first.faults)
        again = attempt(list(faults))
        if again.failure != first.failure or set(again.faults) != set(faults):
            raise RunError(
                f"{self.name} does not do the same each time with the same faults: first"
                f" {first.failure}, then {again.failure or 'it ended well'}; what it does by time"
                " or by chance has to be fixed first, with alt probes of a script for instance"
            )

        def fails(some: Sequence[str]) -> Sequence[str]:
            found = attempt(some)
            if found.failure != first.failure:
                return ()
            faults.update(found.faults)
            return list(found.faults)

        fewest = smallest(list(faults), fails)
        return Found(first.failure, len(first.faults), {x: faults[x] for x in fewest}, runs)

    def _attempt(self, only: Sequence[str] | None) -> Attempt:
        settings = self.settings if only is None else choosing(self.settings, only)
        failure, records = self.once(settings)
        prints = (record["text"] for record in records if record["phase"] == "print")
        faults = {m[1]: m[2] for m in map(_FAULT.fullmatch, prints) if m is not None}
        return Attempt(failure, faults)


def choosing(settings: Settings, only: Sequence[str]) -> Settings:
    """The same with these faults and no others.  Raises UsageError where faults are chosen."""
    given = settings.define
    pairs = [*given.items()] if isinstance(given, Mapping) else [*given]
    if any(name == _CHOICE for name, _ in pairs):
        raise UsageError(f"-D {_CHOICE} chooses faults, which --shrink does itself; leave it out")
    return replace(settings, define=[*pairs, (_CHOICE, ",".join(only))])
