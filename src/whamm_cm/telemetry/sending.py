"""What is to be sent waits in bounded queues, and one thread sends it: nobody else waits for a
collector, unless it reads a file and has the time.

A batch that the collector could not take now is kept and tried again, for as long as there is room
for what comes meanwhile.  What it never takes is counted, with the reason.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from whamm_cm.dataclass import dataclass

#: Seconds between tries of a collector that cannot be reached, at first and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: Seconds that the end waits for one that could not be reached last.
_LAST_TRY = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch.  ``again``: it may go well later.  ``never``: nor will any other of
    this kind.  ``rejected``: so many of it were not wanted, though it arrived.  ``why`` is the
    reason of all of them, "" where all went well."""

    why: str = ""
    again: bool = False
    never: bool = False
    rejected: int = 0


class Sink(Protocol):
    """Where things of one kind go; ``send`` may take as long as its time-out."""

    def send(self, batch: Sequence[Any]) -> Answer: ...

    def stop(self) -> None:
        """A ``send`` that waits to try again ends, from any thread."""


@dataclass(slots=True)
class Tally:
    """Of one kind: how many were sent, and how many not, by reason."""

    sent: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    def lose(self, count: int, why: str) -> None:
        if count:
            self.lost[why] = self.lost.get(why, 0) + count


@dataclass(frozen=True, slots=True)
class Limits:
    """``capacity``: things of a kind that wait at most, unless ``of`` says else of it; ``batch``:
    those that go at once; ``delay``: seconds until fewer than that go.  ``patient``: whoever has
    more waits for room, and a collector that cannot be reached twice in a row is given up.
    ``grace``: seconds that the end waits for a collector from which nothing is heard."""

    capacity: int = 16384
    batch: int = 512
    delay: float = 1.0
    patient: bool = False
    grace: float = 10.0
    of: Mapping[str, int] = field(default_factory=dict)


def many(noun: str) -> str:
    """``spans``, ``sets of metrics``."""
    first, space, rest = noun.partition(" of ")
    return f"{first}s{space}{rest}"


OVERFLOW = "there were more than could be sent in time"


class Sender:
    """Owns the thread.  ``note`` gets a sentence when the collector first fails, and when it is
    there again; it is called on the thread."""

    def __init__(
        self, sinks: Mapping[str, Sink], limits: Limits, note: Callable[[str], None]
    ) -> None:
        self.tallies = {kind: Tally() for kind in sinks}
        self._sinks, self._limits, self._note = dict(sinks), limits, note
        self._queues: dict[str, deque[Any]] = {kind: deque() for kind in sinks}
        self._off: dict[str, str] = {}  # kinds that nobody wants, and why
        self._changed = threading.Condition()
        self._ending = self._over = False
        self._heard = time.monotonic()  # of the last answer that was none of failure
        self._failing, self._failures, self._pause = "", 0, _FIRST_PAUSE
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def put(self, kind: str, items: Sequence[Any]) -> None:
        """Leave ``items`` to be sent; those for which there is no room are lost."""
        queue, tally = self._queues[kind], self.tallies[kind]
        with self._changed:
            if kind in self._off:
                tally.lose(len(items), self._off[kind])
                return
            at = 0
            while at < len(items):
                room = self._room(kind)
                if room > 0:
                    queue.extend(items[at : at + room])
                    at += room
                    if len(queue) >= self._limits.batch:
                        self._changed.notify_all()
                elif not self._limits.patient or kind in self._off or self._over:
                    tally.lose(len(items) - at, self._off.get(kind) or self._failing or OVERFLOW)
                    return
                else:
                    self._changed.wait(0.5)

    def _room(self, kind: str) -> int:
        return self._limits.of.get(kind, self._limits.capacity) - len(self._queues[kind])

    def finish(self) -> None:
        """Sends what is left.  Returns when all is sent, or nothing has been heard for so long."""
        with self._changed:
            self._ending = True
            self._heard = time.monotonic()
            grace = min(self._limits.grace, _LAST_TRY) if self._failing else self._limits.grace
            self._changed.notify_all()
            while not self._over and (left := self._heard + grace - time.monotonic()) > 0:
                self._changed.wait(left)
            self._over = True
        for sink in self._sinks.values():
            sink.stop()
        self._thread.join(1.0)
        with self._changed:
            for kind, queue in self._queues.items():
                why = self._failing or "the collector was too slow"
                self.tallies[kind].lose(len(queue), why)
                queue.clear()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._await():
            for kind in self._queues:
                while not self._over and self._one(kind):
                    pass
                if self._failing:
                    break  # the others would fail, too, and take their time
            if self._failing and not self._rest():
                break
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _await(self) -> bool:
        """Waits until there is enough to send, or for the delay; False at the end of all."""
        with self._changed:
            if not self._ending and not self._failing:
                self._changed.wait_for(self._enough, self._limits.delay)
            return not self._over and (not self._ending or any(self._queues.values()))

    def _enough(self) -> bool:
        most = max(map(len, self._queues.values()))
        return self._ending or most >= self._limits.batch

    def _one(self, kind: str) -> bool:
        """Sends a batch; False where there is none, or it is to be tried again later."""
        queue = self._queues[kind]
        with self._changed:
            batch = [queue[at] for at in range(min(len(queue), self._limits.batch))]
        if not batch:
            return False
        answer = self._sinks[kind].send(batch)
        with self._changed:
            before = self._failing
            if self._over and answer.why and not answer.rejected:
                return False  # the end counts it
            if answer.again:
                self._failing, self._failures = answer.why, self._failures + 1
            else:
                self._settle(kind, batch, answer)
        if self._failing != before:
            self._note(
                f"{answer.why}; it is tried again"
                if self._failing
                else "the collector takes telemetry again"
            )
        return not answer.again

    def _settle(self, kind: str, batch: Sequence[Any], answer: Answer) -> None:
        """The batch needs not be tried again."""
        queue, tally = self._queues[kind], self.tallies[kind]
        for _ in batch:
            queue.popleft()
        whole = len(batch) if answer.why and not answer.rejected else answer.rejected
        tally.sent += len(batch) - whole
        tally.lose(whole, answer.why)
        if answer.never:
            self._off[kind] = answer.why
            tally.lose(len(queue), answer.why)
            queue.clear()
        self._heard = time.monotonic()
        self._failing, self._failures, self._pause = "", 0, _FIRST_PAUSE
        self._changed.notify_all()

    def _rest(self) -> bool:
        """A pause before the next try; False where there is none."""
        with self._changed:
            if self._ending or (self._limits.patient and self._failures > 1):
                return False
            self._changed.wait_for(lambda: self._ending or self._over, self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return True
