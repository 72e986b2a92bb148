"""A connection that one thread reads while another writes, TLS or not."""

from __future__ import annotations

import socket
import ssl
import threading
import time

from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.world import readable, writable

#: So often, in seconds, who waits looks whether it still should.
_SLICE = 0.1


class Wire:
    """``made`` is connected; :meth:`close` closes it.  Waiting is done outside of the lock, which
    TLS needs: its state is one for both directions."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        made.setblocking(False)

    def send(self, data: bytes, patience: float) -> None:
        """Raises TimeoutError where nothing is taken for so many seconds, OSError."""
        left, until = memoryview(data), time.monotonic() + patience
        while left:
            self._check()
            reading = False
            try:
                with self._lock:
                    left = left[self.socket.send(left) :]
                until = time.monotonic() + patience
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            except ssl.SSLWantReadError:
                reading = True
            self._wait(until, reading)

    def receive(self, until: float) -> bytes:
        """What comes next, ``b""`` at the end.  Raises TimeoutError where that is nothing until a
        time of the monotonic clock, OSError."""
        while True:
            self._check()
            reading = True
            try:
                with self._lock:
                    return self.socket.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            except ssl.SSLWantWriteError:
                reading = False
            self._wait(until, reading)

    def _wait(self, until: float, reading: bool) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        (readable if reading else writable)(self.socket, min(left, _SLICE))

    def _check(self) -> None:
        if self.stopped.is_set():
            raise ConnectionAbortedError("nobody wants it any more")

    def stop(self) -> None:
        """Who sends or receives comes back soon, with an error."""
        self.stopped.set()

    def close(self) -> None:
        """When no thread uses it any more."""
        self.socket.close()
