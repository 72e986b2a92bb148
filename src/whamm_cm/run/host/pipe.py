"""Bytes on their way between a guest and a thread of ours, and bodies made of them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.fields import Fields
from whamm_cm.run.host.streams import CHUNK, InputStream, closed, failed
from whamm_cm.run.host.world import Pollable, World


class Cancelled(Exception):
    """The other side does not want any more of it."""


class Pipe:
    """Bounded: who puts waits for who takes.  Either side rings the guest's bell."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = self._cancelled = self._unread = False
        self._error: Any = None
        self.trailers: Fields | None = None
        #: What becomes readable when more has come, where nobody puts it here.
        self.source: Any = None

    # --- who puts ---------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        with self._changed:
            return max(0, CHUNK - self._size)

    @property
    def cancelled(self) -> bool:
        with self._changed:
            return self._cancelled

    def put(self, data: bytes, wait: bool) -> None:
        """Raises Cancelled when nobody takes any more."""
        with self._changed:
            while wait and self._size >= CHUNK and not (self._cancelled or self._unread):
                self._changed.wait()
            if self._cancelled:
                raise Cancelled
            if data and not self._unread:
                self._parts.append(data)
                self._size += len(data)
            self._changed.notify_all()
        self.world.ring()

    def end(self, trailers: Fields | None = None) -> None:
        with self._changed:
            self._ended, self.trailers = True, trailers
            self._changed.notify_all()
        self.world.ring()

    def fail(self, error: Any) -> None:
        """``error``: an ``error-code`` of ``wasi:http``."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()
        self.world.ring()

    # --- who takes --------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether a take would say something."""
        with self._changed:
            return bool(self._parts) or self._ended or self._cancelled

    @property
    def over(self) -> bool:
        with self._changed:
            return self._ended

    @property
    def error(self) -> Any:
        with self._changed:
            return self._error

    def take(self, size: int, wait: bool = False) -> bytes | None:
        """Up to ``size`` bytes, ``b""`` when none are there yet, None at the end; Failure with the
        error."""
        with self._changed:
            while wait and not (self._parts or self._ended or self._cancelled):
                self._changed.wait()
            if not self._parts:
                if self._error is not None:
                    raise Failure(self._error)
                return None if self._ended or self._cancelled else b""
            part = self._parts.popleft()
            if len(part) > size:
                self._parts.appendleft(part[size:])
                part = part[:size]
            self._size -= len(part)
            self._changed.notify_all()
        self.world.ring()
        return part

    def skip(self) -> None:
        """Nothing more will be taken; what comes is thrown away until the end of it."""
        with self._changed:
            self._unread = True
            self._parts.clear()
            self._size = 0
            self._changed.notify_all()

    def cancel(self) -> None:
        """Nothing more will be taken, and nothing more need come."""
        with self._changed:
            self._cancelled = True
            self._parts.clear()
            self._size = 0
            self._changed.notify_all()
        self.world.ring()


class PipeInput(InputStream):
    """What a guest reads of a body."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def read(self, size: int) -> bytes:
        if not size:
            return b""
        try:
            data = self.pipe.take(size)
        except Failure as failure:
            raise failed("the body ended with an error", failure.payload) from None
        if data is None:
            raise closed()
        return data

    def pollable(self) -> Pollable:
        return Pollable(lambda: self.pipe.ready, reading=self.pipe.source)
