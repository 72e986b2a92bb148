"""One deadline for a whole exchange, whatever the other side does.

A timeout of a socket is about one step: who sends a byte now and then is never late.  So what is
open when time is up is shut, and whoever waits for it wakes.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass

Address = tuple[Any, ...]


@dataclass(slots=True)
class Deadline:
    """Starts when it is made.  ``step``: seconds that one address of a host may take to answer."""

    seconds: float
    step: float
    _until: float = field(init=False)
    _timer: threading.Timer = field(init=False, repr=False)
    _open: list[socket.socket] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds
        self._timer = threading.Timer(self.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    @property
    def left(self) -> float:
        """Seconds; zero when time is up."""
        return max(0.0, self._until - time.monotonic())

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            for twin in self._open:
                twin.close()
            self._open.clear()

    def wait(self, seconds: float) -> bool:
        """Whether there was time for that."""
        if seconds >= self.left:
            return False
        time.sleep(seconds)
        return True

    def connect(
        self, address: tuple[str, int], timeout: object = None, source: object = None
    ) -> socket.socket:
        """As ``socket.create_connection``, within the deadline."""
        fault: OSError = TimeoutError("no address")
        for family, kind, protocol, _, where in self._resolve(*address):
            left = min(self.step, self.left)
            if left <= 0:
                raise TimeoutError("out of time")
            try:
                return self._connected(socket.socket(family, kind, protocol), where, left)
            except OSError as error:
                fault = error
        raise fault

    def _connected(self, made: socket.socket, where: Address, left: float) -> socket.socket:
        try:
            made.settimeout(left)
            made.connect(where)
            # TLS takes the socket over; a twin shuts the connection all the same.
            twin = made.dup()
        except OSError:
            made.close()
            raise
        with self._lock:
            self._open.append(twin)
        made.settimeout(self.step)
        if not self.left:
            self._expire()
        return made

    def _resolve(self, host: str, port: int) -> list[Any]:
        """Name servers have timeouts of their own, which are longer."""
        found: list[Any] = []
        faults: list[Exception] = []

        def ask() -> None:
            try:
                found.extend(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
            except (OSError, ValueError) as error:
                faults.append(error)

        _within(ask, self.left)
        if faults:
            raise faults[0]
        if not found:
            raise TimeoutError("the name is not resolved in time")
        return found

    def _expire(self) -> None:
        with self._lock:
            for twin in self._open:
                with suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)


def _within(work: Callable[[], None], seconds: float) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
