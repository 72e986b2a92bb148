"""Threads that run guests, of which one at a time has the turn.

Guests call the host for next to everything, and the host is Python: threads that do so side by
side only take the interpreter from each other, several times for each call.  So a job begins when
it has the turn, and gives it up while it waits.  One that keeps it for long (it computes, or sits
in a call of the system) loses it and goes on beside the others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds after which a turn is long.
LONG = 0.01

Job = Callable[[], None]


def _nothing() -> None:
    """Nobody need be told."""


class _Worker:
    """``turn``: the last one it had; its thread waits at ``gate`` for another.  ``lost`` is called
    when the turn is taken from it."""

    def __init__(self) -> None:
        self.turn: object = None
        self.lost: Job = _nothing
        self.gate = threading.Lock()
        self.gate.acquire()


class Workers:
    """Threads are made as they are needed, up to ``most``; further jobs wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._jobs: deque[tuple[Job, Job]] = deque()
        self._idle: list[_Worker] = []
        # Those that had waited and want to go on.
        self._back: deque[_Worker] = deque()
        self._threads = 0
        self._turn: object = None
        self._holder = _Worker()
        self._seen: object = None
        self._local = threading.local()
        self._closed = False

    @property
    def busy(self) -> bool:
        return self._turn is not None

    @property
    def behind(self) -> bool:
        """Whether there is more to do than one job."""
        return len(self._jobs) > 1

    def submit(self, job: Job, lost: Job = _nothing) -> None:
        """Have it run; ``lost`` is called, on another thread, when the turn is taken from it.
        Neither raises anything."""
        with self._lock:
            self._jobs.append((job, lost))
            if self._turn is None:
                self._pass_on()

    def look(self) -> None:
        """To be called about every :data:`LONG` seconds while :attr:`busy`."""
        lost = _nothing
        with self._lock:
            if self._turn is not None and self._turn is self._seen:
                lost = self._holder.lost
                self._pass_on()
            self._seen = self._turn
        lost()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Around what a job waits in."""
        worker: _Worker = self._local.worker
        with self._lock:
            if self._turn is worker.turn:
                self._pass_on()
        try:
            yield
        finally:
            with self._lock:
                free = self._turn is None
                if free:
                    self._give(worker)
                else:
                    self._back.append(worker)
            if not free:
                worker.gate.acquire()

    def close(self) -> None:
        """Idle threads end, others when their jobs do; what has not begun never will."""
        with self._lock:
            self._closed = True
            self._jobs.clear()
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.gate.release()

    def _pass_on(self) -> None:
        """Under the lock: the turn is free, or taken away."""
        self._turn = None
        if self._back:
            self._give(self._back.popleft()).gate.release()
        elif self._jobs and self._idle:
            self._give(self._idle.pop()).gate.release()
        elif self._jobs and self._threads < self._most:
            self._threads += 1
            worker = self._give(_Worker())
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()

    def _give(self, worker: _Worker) -> _Worker:
        self._turn = worker.turn = object()
        self._holder = worker
        return worker

    def _work(self, worker: _Worker) -> None:
        self._local.worker = worker
        while True:
            job = None
            with self._lock:
                if self._closed:
                    return
                if self._turn is worker.turn or self._turn is None:
                    if self._jobs and not self._back:
                        job, worker.lost = self._jobs.popleft()
                        self._give(worker)
                    else:
                        self._pass_on()
                if job is None:
                    self._idle.append(worker)
            if job is None:
                worker.gate.acquire()
            else:
                job()
