"""The fewest faults of ``-m chaos`` with which a program fails: delta debugging over runs of it.

Every run begins the same: its directories are fresh copies, its standard input the same bytes.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, RunError, UsageError
from whamm_cm.front.run import Run
from whamm_cm.front.settings import Settings
from whamm_cm.front.tracing import Tracing
from whamm_cm.run.options import Dir, parse_dir

MONITOR = "chaos"
#: What it prints of a fault, and the parameter with which it makes chosen ones.
_FAULT = re.compile(r"fault (.+): (\S+: \S+)", re.S)
_CHOICE = "only"
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
    """What is run: ``data`` with ``settings``, the monitor among them, as ``tracing`` says.

    ``expected``: a run also fails that does not write it to standard output or error.  ``tell`` is
    called with each run's number, the numbers it was to have (None: by chance), and what came.
    """

    data: bytes
    settings: Settings
    tracing: Tracing
    name: str
    expected: bytes = b""
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
        with fresh(self.tracing.dirs) as dirs:
            found = replace(self.tracing, dirs=dirs).run(self.data, settings, self.name)
        prints = (r["text"] for r in found.records if r["phase"] == "print")
        faults = {m[1]: m[2] for m in map(_FAULT.fullmatch, prints) if m is not None}
        return Attempt(self._failure(found), faults)

    def _failure(self, found: Run) -> str:
        if found.interrupted:
            return f"it had not ended after {self.tracing.timeout:g} s"
        if found.trap is not None:
            return f"it trapped: {found.trap.message}"
        if found.status:
            return f"it ended with status {found.status}"
        said = (found.stdout or b"") + b"\n" + (found.stderr or b"")
        if self.expected not in said:
            return f"it did not write {self.expected.decode(errors='replace')!r}"
        return ""


def choosing(settings: Settings, only: Sequence[str]) -> Settings:
    """The same with these faults and no others.  Raises UsageError where faults are chosen."""
    given = settings.define
    pairs = [*given.items()] if isinstance(given, Mapping) else [*given]
    if any(name == _CHOICE for name, _ in pairs):
        raise UsageError(f"-D {_CHOICE} chooses faults, which --shrink does itself; leave it out")
    return replace(settings, define=[*pairs, (_CHOICE, ",".join(only))])


@contextmanager
def fresh(dirs: Sequence[str | Dir]) -> Iterator[Sequence[Dir]]:
    """Copies of directories, gone after the block.  Raises InputError for what cannot be copied."""
    with tempfile.TemporaryDirectory(prefix="whamm-cm-", ignore_cleanup_errors=True) as folder:
        copies = []
        for number, given in enumerate(dirs):
            one = given if isinstance(given, Dir) else parse_dir(given)
            copy = Path(folder) / str(number)
            try:
                shutil.copytree(one.host, copy, symlinks=True)
            except (OSError, shutil.Error) as error:
                raise InputError(f"--dir {one.host} cannot be copied for a run: {error}") from error
            copies.append(replace(one, host=str(copy)))
        yield copies
