"""What one instance of a guest sees of the world, and how it waits for it."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import field
from typing import Any

from wasmtime import WasmtimeError

from whamm_cm.dataclass import dataclass
from whamm_cm.run.host.bridge import Instance, Resource
from whamm_cm.run.host.kept import Kept
from whamm_cm.run.options import HostOptions

#: So often, in seconds, a waiting guest looks whether it was interrupted.
_SLICE = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """What the instances of a component have in common.

    ``allow_hosts``: patterns of hosts that outgoing requests may go to, None: all.  ``config``:
    what ``wasi:config`` answers, ``keys`` what each bucket of ``wasi:keyvalue`` begins with.  Under
    ``lock``: ``buckets``, what ``wasi:keyvalue`` keeps, and ``containers``, what ``wasi:blobstore``
    does, by their names.
    """

    options: HostOptions = HostOptions()
    allow_hosts: Sequence[str] | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    containers: dict[str, Kept] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class World(Instance):
    """``stopped``: its guest is to end, and if it waits it is told so."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings, self.stopped = settings, threading.Event()
        #: Asked once for each request that goes out: the header that it gets, if it has none.
        self.traceparent: Callable[[], str] | None = None
        #: Around what it waits in.
        self.away: Callable[[], AbstractContextManager[None]] = nullcontext
        self._bell: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Something a wait may be for has happened; to be called from any thread."""
        with self._lock:
            if self._bell is not None:
                with suppress(BlockingIOError):  # full: it rings anyway
                    os.write(self._bell[1], b"!")

    def stop(self) -> None:
        """Have the guest end; from any thread."""
        if self.watch is not None:
            self.watch.stopped()
        self.stopped.set()
        self.ring()

    def wait(self, pollables: Sequence[Pollable]) -> list[int]:
        """The positions of those that are ready, when at least one is."""
        bell = -1
        while True:
            ready = [index for index, one in enumerate(pollables) if one.ready()]
            if ready:
                return ready
            if bell < 0:  # what happens from now on rings, and it is looked once more
                bell = self._hung()
                continue
            if self.stopped.is_set():
                raise WasmtimeError("wasm trap: interrupt")
            reading = [one.reading for one in pollables if one.reading is not None]
            writing = [one.writing for one in pollables if one.writing is not None]
            ends = [one.deadline for one in pollables if one.deadline is not None]
            left = (min(ends) - time.monotonic_ns()) / 1e9 if ends else _SLICE
            with self.away():
                told = _watched([bell, *reading], writing, min(left, _SLICE))
            if bell in told:
                os.read(bell, 4096)

    def _hung(self) -> int:
        """The end of the bell to listen at."""
        with self._lock:
            if self._bell is None:
                self._bell = os.pipe()
                for end in self._bell:
                    os.set_blocking(end, False)
            return self._bell[0]

    def close(self) -> None:
        """Drop all that the guest has left."""
        try:
            self.table.close()
        finally:
            with self._lock:
                for end in self._bell or ():
                    os.close(end)
                self._bell = None


def _watched(reading: Sequence[Any], writing: Sequence[Any], seconds: float) -> set[int]:
    """Which of these there is something to say of: file descriptors, or what has one.

    Not ``select``, which knows no descriptor above 1023.
    """
    wanted: dict[int, int] = {}
    for some, mask in ((reading, select.POLLIN), (writing, select.POLLOUT)):
        for one in some:
            fd = one if isinstance(one, int) else one.fileno()
            if fd >= 0:  # what is closed is never waited for
                wanted[fd] = wanted.get(fd, 0) | mask
    poll = select.poll()
    for fd, mask in wanted.items():
        poll.register(fd, mask)
    return {fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)}


def readable(one: Any, seconds: float = 0.0) -> bool:
    """Whether a read would not wait; also of what is closed, to which it would say so."""
    return _now(one, (one,), (), seconds)


def writable(one: Any, seconds: float = 0.0) -> bool:
    return _now(one, (), (one,), seconds)


def _now(one: Any, reading: Sequence[Any], writing: Sequence[Any], seconds: float) -> bool:
    fd = one if isinstance(one, int) else one.fileno()
    return fd < 0 or bool(_watched(reading, writing, seconds))


class Pollable(Resource):
    """``deadline`` in nanoseconds of the monotonic clock; ``reading`` and ``writing``: a file
    descriptor to wait for, or what has one.  Whatever else makes it ready rings the instance's
    bell."""

    def __init__(
        self,
        ready: Callable[[], bool],
        *,
        deadline: int | None = None,
        reading: Any = None,
        writing: Any = None,
    ) -> None:
        self.ready, self.deadline = ready, deadline
        self.reading, self.writing = reading, writing


def at_once() -> Pollable:
    """One that is always ready."""
    return Pollable(lambda: True)


def at(deadline: int) -> Pollable:
    """Ready from a time of the monotonic clock on."""
    return Pollable(lambda: time.monotonic_ns() >= deadline, deadline=deadline)
