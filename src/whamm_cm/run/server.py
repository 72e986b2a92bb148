"""A server for a handler: connections wait in one place, requests are answered on threads."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from whamm_cm.errors import UsageError
from whamm_cm.run.connection import PATIENCE, Answered, Connection, Next
from whamm_cm.run.ready import ready
from whamm_cm.run.serving import Handler
from whamm_cm.run.workers import LONG, Workers

#: Seconds between looks at what takes too long.
_TICK = 0.1
#: Seconds that requests under way have when we are to stop.
_GRACE = 1.0
#: Clients that are let in before others are looked at.
_AT_ONCE = 64
#: Seconds in which more clients may say something, where there is enough to do.
_PAUSE = 0.001


class Server:
    """Listens from the moment it is made; ``address`` is where, with the port that was found."""

    def __init__(
        self, handler: Handler, host: str, port: int, done: Callable[[Answered], None],
        timeout: float | None = None, most: int = 256,
    ) -> None:  # fmt: skip
        """``done`` is told of each request, on the thread that ran it.  ``timeout``: seconds a
        guest has for an answer; ``most``: requests at a time, more wait.  Connections without a
        request cost next to nothing.

        Raises UsageError when nobody can listen there.
        """
        self.handler, self.done, self.timeout = handler, done, timeout
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self.socket = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            number = error.errno or 0  # that of a name nobody knows is negative
            why = os.strerror(number) if number > 0 else str(error.strerror)
            shown = f"[{host}]" if ":" in host else host
            raise UsageError(
                f"cannot listen on {shown}:{port}: {why}; choose another --addr"
            ) from None
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.socket.setblocking(False)
        self._workers = Workers(most)
        self._ready = ready()
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._open: set[Connection] = set()
        # Those that wait for the client, the one that has waited longest first.
        self._waiting: dict[Connection, None] = {}
        self._by_fd: dict[int, Connection] = {}
        self._changed = threading.Condition()

    def run(self, ended: Callable[[], bool]) -> None:
        """Serve until ``ended``; raises what went wrong on our side meanwhile."""
        _many_files()
        gc.freeze()  # what there is will stay: it need not be looked at again and again
        listening = self.socket.fileno()
        self._ready.ask(listening)
        looked = time.monotonic()
        try:
            while not ended() and not self._stop.is_set():
                busy = self._workers.busy
                if self._workers.behind:
                    time.sleep(_PAUSE)
                for fd in self._ready.wait(LONG if busy else _TICK):
                    if fd == listening:
                        self._let_in()
                    elif (one := self._by_fd.get(fd)) is not None and self._taken(one):
                        self._submit(one)
                now = time.monotonic()
                if busy:
                    self._workers.look()
                if now - looked > _TICK:
                    looked = now
                    self._late(now)
        finally:
            self._stop.set()
            self._close()
        if self._failed is not None:
            raise self._failed

    def _let_in(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._accept():
                break
        self._ready.ask(self.socket.fileno())

    def _submit(self, connection: Connection) -> None:
        self._workers.submit(partial(self._serve, connection), connection.hurry)

    def _accept(self) -> bool:
        try:
            made, _ = self.socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:  # too many files are open, or the client has gone
            if error.errno in (errno.EMFILE, errno.ENFILE) and not self._make_room():
                self._stop.wait(_TICK)
            return False
        try:
            connection = Connection(made, "http", self._workers.away)
        except OSError:  # the client has gone already
            made.close()
            return True
        with self._changed:
            self._open.add(connection)
            self._by_fd[made.fileno()] = connection
        self._wait(connection)
        return True

    def _make_room(self) -> bool:
        """Give up the client that has waited longest for nothing."""
        with self._changed:
            oldest = next(iter(self._waiting), None)
        if oldest is not None and self._taken(oldest):
            self._over(oldest)
        return oldest is not None

    def _late(self, now: float) -> None:
        if self.timeout is not None:
            self.handler.stop_late(self.timeout)
        with self._changed:
            late = [one for one in self._waiting if now - one.since > PATIENCE]
        for one in late:
            if self._taken(one):
                self._workers.submit(partial(self._give_up, one))

    def _give_up(self, connection: Connection) -> None:
        connection.late()
        self._over(connection)

    # --- where a connection is --------------------------------------------------------------------

    def _wait(self, connection: Connection) -> None:
        """It waits for the client."""
        with self._changed:
            stopped = self._stop.is_set()
            if not stopped:
                self._waiting[connection] = None
                self._ready.ask(connection.socket.fileno())
                self._changed.notify_all()
        if stopped:
            self._over(connection)

    def _taken(self, connection: Connection) -> bool:
        """It waits no more; False if it did not."""
        with self._changed:
            if connection not in self._waiting:
                return False
            del self._waiting[connection]
            return True

    def _over(self, connection: Connection) -> None:
        with self._changed:
            fd = connection.socket.fileno()
            self._by_fd.pop(fd, None)
            self._ready.forget(fd)
            connection.socket.close()
            self._open.discard(connection)
            self._changed.notify_all()

    def _serve(self, connection: Connection) -> None:
        """On a thread that has the turn."""
        then = Next.OVER
        try:
            if not self._stop.is_set():
                begun = connection.begun
                then = connection.serve(self.handler, self.done)
                if not (begun and connection.begun and then is Next.COME):
                    connection.since = time.monotonic()
        except BaseException as error:
            self._failed = self._failed or error
            self._stop.set()
        if then is Next.COME:
            self._wait(connection)
        elif then is Next.SERVE:
            self._submit(connection)
        else:
            self._over(connection)

    def _close(self) -> None:
        """No more requests; those under way have a moment to end."""
        while self._accept():  # who has come already is not to be cut off
            pass
        self.socket.close()
        with self._changed:
            idle = [*self._waiting]
        for one in idle:
            if self._taken(one):
                self._over(one)
        self._emptied()
        self.handler.close()
        if not self._emptied():
            with self._changed:
                late = [*self._open]
            for one in late:
                one.shut()
            self._emptied()
        self._workers.close()
        self._ready.close()

    def _emptied(self) -> bool:
        """Whether all are gone, within the grace."""
        until = time.monotonic() + _GRACE
        with self._changed:
            while self._open and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, LONG))
                self._workers.look()
            return not self._open


def _many_files() -> None:
    """Let this process have as many files, and so connections, as it may."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
