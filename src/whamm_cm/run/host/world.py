"""What one instance of a guest sees of the world, and how it waits for it."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from wasmtime import WasmtimeError

from whamm_cm.dataclass import dataclass
from whamm_cm.run.host.bridge import Instance, Resource
from whamm_cm.run.options import HostOptions

#: So often, in seconds, a waiting guest looks whether it was interrupted.
_SLICE = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """What the instances of a component have in common.

    ``allow_hosts``: patterns of hosts that outgoing requests may go to, None: all.  ``config``:
    what ``wasi:config`` answers.  ``buckets``: what ``wasi:keyvalue`` keeps, by bucket, under
    ``lock``.
    """

    options: HostOptions = HostOptions()
    allow_hosts: Sequence[str] | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class World(Instance):
    """``stopped``: its guest is to end, and if it waits it is told so."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings, self.stopped = settings, threading.Event()
        self._bell: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Something a wait may be for has happened; to be called from any thread."""
        with self._lock:
            if self._bell is not None:
                os.write(self._bell[1], b"!")

    def wait(self, pollables: Sequence[Pollable]) -> list[int]:
        """The positions of those that are ready, when at least one is."""
        with self._lock:
            if self._bell is None:
                self._bell = os.pipe()
                os.set_blocking(self._bell[0], False)
                os.set_blocking(self._bell[1], False)
            bell = self._bell[0]
        while True:
            ready = [index for index, one in enumerate(pollables) if one.ready()]
            if ready:
                return ready
            if self.stopped.is_set():
                raise WasmtimeError("wasm trap: interrupt")
            reading = [one.reading for one in pollables if one.reading is not None]
            writing = [one.writing for one in pollables if one.writing is not None]
            ends = [one.deadline for one in pollables if one.deadline is not None]
            left = (min(ends) - time.monotonic_ns()) / 1e9 if ends else _SLICE
            found = select.select([bell, *reading], writing, [], max(0.0, min(left, _SLICE)))
            if bell in found[0]:
                os.read(bell, 4096)

    def close(self) -> None:
        self.table.close()
        with self._lock:
            for end in self._bell or ():
                os.close(end)
            self._bell = None


class Pollable(Resource):
    """``deadline`` in nanoseconds of the monotonic clock; ``reading`` and ``writing``: a file
    descriptor to wait for.  Whatever else makes it ready rings the instance's bell."""

    def __init__(
        self,
        ready: Callable[[], bool],
        *,
        deadline: int | None = None,
        reading: int | None = None,
        writing: int | None = None,
    ) -> None:
        self.ready, self.deadline = ready, deadline
        self.reading, self.writing = reading, writing


def at_once() -> Pollable:
    """One that is always ready."""
    return Pollable(lambda: True)


def at(deadline: int) -> Pollable:
    """Ready from a time of the monotonic clock on."""
    return Pollable(lambda: time.monotonic_ns() >= deadline, deadline=deadline)
