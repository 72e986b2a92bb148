"""HTTP/1.1 for a handler: a thread for each connection, which runs the guest."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http.client import responses
from typing import Any

import h11

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.fields import Fields, received
from whamm_cm.run.host.http import (
    IncomingBody,
    IncomingRequest,
    OutgoingResponse,
    ResponseOutparam,
)
from whamm_cm.run.host.pipe import Cancelled, Pipe
from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.world import Pollable, World
from whamm_cm.run.serving import Ended, Handler

#: Seconds a client may take for the next part of a request, or of taking a response.
_PATIENCE = 60.0
#: Seconds between looks at what takes too long.
_TICK = 0.1
#: Seconds that requests under way have when we are to stop.
_GRACE = 1.0
#: Bytes of a request line with its fields.
_HEAD = 1 << 16
#: What a client sees where a guest answers with an error code.
_STATUSES = {"HTTP-request-body-size": 413, "HTTP-request-denied": 403}


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that is over: ``status`` 0 where the client had gone before there was one."""

    method: str
    path: str
    status: int
    seconds: float
    ended: Ended | None


class _Connection:
    """One client.  The sink of a response's body, too (:class:`whamm_cm.run.host.http.Sink`)."""

    def __init__(self, made: socket.socket, scheme: str) -> None:
        self.socket, self.scheme = made, scheme
        self.link = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        self.lock = threading.Lock()
        self.gone = self.bodiless = False
        self.status = 0
        made.settimeout(_PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- what comes -------------------------------------------------------------------------------

    def next(self) -> Any:
        """The next event; ``h11.ConnectionClosed`` also for a client that went."""
        while True:
            with self.lock:
                event = self.link.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.link.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                data = self.socket.recv(CHUNK)
            except OSError:
                return h11.ConnectionClosed()
            with self.lock:
                self.link.receive_data(data)

    def body(self, pipe: Pipe) -> None:
        """Read the request's body into the pipe, on a thread of its own."""
        try:
            while True:
                event = self.next()
                if isinstance(event, h11.Data):
                    pipe.put(bytes(event.data), wait=True)
                elif isinstance(event, h11.EndOfMessage):
                    return pipe.end(received(event.headers) if event.headers else None)
                else:
                    return pipe.fail({"connection-terminated": None})
        except Cancelled:
            pass
        except h11.RemoteProtocolError:
            pipe.fail({"HTTP-protocol-error": None})

    # --- what goes --------------------------------------------------------------------------------

    def _send(self, event: h11.Event) -> None:
        """Raises Failure when the client has gone, or what is sent does not fit what was said."""
        try:
            with self.lock:
                data = self.link.send(event) or b""
            if self.bodiless:
                data = data.replace(b"Transfer-Encoding: chunked\r\n", b"")
            self.socket.sendall(data)
        except h11.LocalProtocolError:
            self.gone = True
            raise Failure({"HTTP-protocol-error": None}) from None
        except OSError:
            self.gone = True
            raise Failure({"connection-terminated": None}) from None

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        names = {name for name, _ in headers}
        if self.link.their_state is not h11.DONE:  # the next request is behind a body nobody reads
            headers = [*headers, (b"connection", b"close")]
        if b"date" not in names:
            headers = [*headers, (b"date", formatdate(usegmt=True).encode())]
        self.status = status
        reason = responses.get(status, "").encode()
        self._send(h11.Response(status_code=status, headers=headers, reason=reason))

    def room(self) -> int:
        return CHUNK if self._writable() else 0

    def _writable(self) -> bool:
        return self.gone or bool(select.select([], [self.socket], [], 0)[1])

    def send(self, data: bytes) -> None:
        if not self.bodiless:
            self._send(h11.Data(data=data))

    def end(self, trailers: Fields | None) -> None:
        self._send(h11.EndOfMessage(headers=[] if trailers is None else trailers.sent()))

    def abort(self, error: Any) -> None:
        """The client sees that the body is not whole."""
        self.gone = True

    def pollable(self) -> Pollable:
        return Pollable(self._writable, writing=self.socket.fileno())

    # --- one request ------------------------------------------------------------------------------

    def serve(self, handler: Handler, done: Callable[[Answered], None]) -> bool:
        """Read a request and have it answered; False when there will not be another."""
        try:
            event = self.next()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)
            return False
        if not isinstance(event, h11.Request):
            return False
        began = time.monotonic()
        method, path = event.method.decode("ascii"), event.target.decode("latin-1")
        ended = self._answer(handler, event, method, path)
        done(Answered(method, path, self.status, time.monotonic() - began, ended))
        return self._again()

    def _refuse(self, status: int) -> None:
        """Of a request that cannot be read."""
        with suppress(Failure, h11.LocalProtocolError):
            self.head(status, [(b"content-length", b"0"), (b"connection", b"close")])
            self.end(None)

    def _answer(self, handler: Handler, event: Any, method: str, path: str) -> Ended | None:
        self.status, self.bodiless = 0, method == "HEAD"
        framed = (b"content-length", b"transfer-encoding")
        has_body = any(name in framed for name, _ in event.headers)
        if not has_body:
            self.next()  # its end, which is known without a look at the socket
        instance = handler.taken()
        body = IncomingBody(lambda: self._opened(instance.world, has_body))
        hosts = [value for name, value in event.headers if name == b"host"]
        request = IncomingRequest(
            method, self.scheme, hosts[0].decode("latin-1") if hosts else "", path,
            received(event.headers), body,
        )  # fmt: skip
        ended = handler.handle(instance, request, ResponseOutparam(self._respond))
        if not self.status and not self.gone:
            self._refuse(500)
        return ended

    def _opened(self, world: World, has_body: bool) -> Pipe:
        pipe = Pipe(world)
        if not has_body:
            pipe.end()
            return pipe
        threading.Thread(target=self.body, args=(pipe,), daemon=True).start()
        return pipe

    def _respond(self, response: OutgoingResponse | None, error: Any) -> None:
        if response is None:
            return self._refuse(_status_of(error))
        headers = response.headers.sent()
        body = response.body
        self.bodiless |= response.status in (204, 304)
        if body is None and not self.bodiless and "content-length" not in response.headers.values:
            headers.append((b"content-length", b"0"))
        with suppress(Failure):  # who went away is told nothing
            self.head(response.status, headers)
            if body is None:
                self.end(None)
            else:
                body.attach(self)
        return None

    def _again(self) -> bool:
        """Whether the connection is as it was before the request."""
        with self.lock:
            if self.gone or self.link.our_state is not h11.DONE:
                return False
            if self.link.their_state is h11.DONE:
                self.link.start_next_cycle()
                return True
        return False


def _status_of(error: Any) -> int:
    """What a client is told of an ``error-code`` in place of a response."""
    ((name, _),) = error.items()
    return _STATUSES.get(name, 500)


class Server:
    """Listens from the moment it is made; ``address`` is where, with the port that was found."""

    def __init__(
        self, handler: Handler, host: str, port: int, done: Callable[[Answered], None],
        timeout: float | None = None, most: int = 256,
    ) -> None:  # fmt: skip
        """``done`` is told of each request, on the thread that ran it.  ``timeout``: seconds a
        guest has for an answer; ``most``: connections at a time, more wait.

        Raises UsageError when nobody can listen there.
        """
        self.handler, self.done, self.timeout = handler, done, timeout
        try:
            self.socket = socket.create_server((host, port), backlog=1024)
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(
                f"cannot listen on {host}:{port}: {why}; choose another --addr"
            ) from None
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self._room = threading.Semaphore(most)
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._open: set[_Connection] = set()
        self._lock = threading.Lock()

    def run(self, ended: Callable[[], bool]) -> None:
        """Serve until ``ended``; raises what went wrong on our side meanwhile."""
        self.socket.settimeout(_TICK)
        while not ended() and not self._stop.is_set():
            if self.timeout is not None:
                self.handler.stop_late(self.timeout)
            if not self._room.acquire(timeout=_TICK):
                continue
            try:
                made, _ = self.socket.accept()
            except OSError:
                self._room.release()
                continue
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()
        self._stop.set()
        self._close()
        if self._failed is not None:
            raise self._failed

    def _serve(self, made: socket.socket) -> None:
        connection = _Connection(made, "http")
        with self._lock:
            self._open.add(connection)
        try:
            while not self._stop.is_set() and connection.serve(self.handler, self.done):
                pass
        except BaseException as error:
            self._failed = self._failed or error
            self._stop.set()
        finally:
            with self._lock:
                self._open.discard(connection)
            made.close()
            self._room.release()

    def _close(self) -> None:
        """No more requests; those under way have a moment to end."""
        self.socket.close()
        with self._lock:
            idle = [one for one in self._open if one.link.our_state is h11.IDLE]
        for one in idle:
            with suppress(OSError):
                one.socket.shutdown(socket.SHUT_RDWR)
        until = time.monotonic() + _GRACE
        while self._open and time.monotonic() < until:
            time.sleep(_TICK / 10)
        self.handler.close()
        while self._open and time.monotonic() < until + _GRACE:
            time.sleep(_TICK / 10)
