"""HTTP/1.1 for a handler: a thread for each connection, which runs the guest."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http.client import responses
from typing import Any, Literal

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
    target_of,
)
from whamm_cm.run.host.pipe import Cancelled, Pipe
from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.world import Pollable, World, readable, writable
from whamm_cm.run.serving import Ended, Handler

#: Seconds a client may take for the next part of a request, or of taking a response.
_PATIENCE = 60.0
#: Seconds between looks at what takes too long.
_TICK = 0.1
#: Seconds that requests under way have when we are to stop.
_GRACE = 1.0
#: Bytes of a request line with its fields.
_HEAD = 1 << 16
#: Seconds, and bytes, in which a client may end a request that was answered before it was read.
_LINGER, _LINGER_BYTES = 1.0, 1 << 20
#: What a client sees where a guest answers with an error code.
_STATUSES = {"HTTP-request-body-size": 413, "HTTP-request-denied": 403}


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that is over: ``status`` 0 where the client had gone before there was one;
    ``error``: the code that the guest answered by instead."""

    method: str
    path: str
    status: int
    seconds: float
    ended: Ended | None
    error: str | None = None


class _Connection:
    """One client.  The sink of a response's body, too (:class:`whamm_cm.run.host.http.Sink`)."""

    def __init__(self, made: socket.socket, scheme: str) -> None:
        self.socket, self.scheme = made, scheme
        self.link = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        # Of the state of the protocol, and of what goes out: a thread reads while another writes.
        self.lock, self.sending = threading.Lock(), threading.RLock()
        self.gone = self.bodiless = self.trailing = False
        self.status = 0
        self.error: str | None = None
        self.until = math.inf
        self.pipe: Pipe | None = None
        self.reader: threading.Thread | None = None
        self.peer = _shown(made.getpeername())
        made.settimeout(_PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- what comes -------------------------------------------------------------------------------

    def next(self) -> Any:
        """The next event; ``h11.ConnectionClosed`` also for a client that went, or is too slow."""
        while True:
            with self.lock:
                event = self.link.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = self._received()
            if data is None:
                return h11.ConnectionClosed()
            with self.lock:
                self.link.receive_data(data)

    def _received(self) -> bytes | None:
        try:
            with self.sending:
                if self.link.they_are_waiting_for_100_continue:
                    self._send(lambda: h11.InformationalResponse(status_code=100, headers=[]))
            until = time.monotonic() + _PATIENCE
            while not readable(self.socket, _PATIENCE if self.pipe is None else _TICK):
                if time.monotonic() > min(until, self.until):
                    return None
            return self.socket.recv(CHUNK)
        except (OSError, Failure):
            return None

    def _read(self, pipe: Pipe) -> None:
        """Read the request's body into the pipe, on a thread of its own."""
        skipped = 0
        try:
            while skipped <= _LINGER_BYTES:
                event = self.next()
                if isinstance(event, h11.Data):
                    try:
                        pipe.put(bytes(event.data), wait=True)
                    except Cancelled:
                        skipped += len(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return pipe.end(received(event.headers) if event.headers else None)
                else:
                    return pipe.fail({"connection-terminated": None})
        except h11.RemoteProtocolError:
            pipe.fail({"HTTP-protocol-error": None})

    def opened(self, world: World, has_body: bool) -> Pipe:
        """The body of the request, of which nothing is read before."""
        self.pipe = pipe = Pipe(world)
        if has_body:
            self.reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
            self.reader.start()
        else:
            pipe.end()
        return pipe

    # --- what goes --------------------------------------------------------------------------------

    def _send(self, make: Callable[[], h11.Event]) -> None:
        """Raises Failure when the client has gone, or what is sent does not fit what was said."""
        try:
            with self.sending:
                with self.lock:
                    data = self.link.send(make()) or b""
                if self.bodiless:
                    data = data.replace(b"Transfer-Encoding: chunked\r\n", b"")
                self.socket.sendall(data)
        except h11.LocalProtocolError:
            self.gone = True
            raise Failure({"HTTP-protocol-error": None}) from None
        except OSError:
            self.gone = True
            raise Failure({"connection-terminated": None}) from None

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        names = {name for name, _ in headers}
        self.trailing = not self.bodiless and b"content-length" not in names
        if self.reader is None and self.link.their_state is h11.SEND_BODY:
            headers = [*headers, (b"connection", b"close")]  # behind a body nobody reads
        if b"date" not in names:
            headers = [*headers, (b"date", formatdate(usegmt=True).encode())]
        reason = responses.get(status, "").encode()
        self._send(lambda: h11.Response(status_code=status, headers=headers, reason=reason))
        self.status = status

    def refuse(self, status: int) -> None:
        """In place of a response, of which nothing has gone out."""
        lines = (
            f"HTTP/1.1 {status} {responses.get(status, '')}", "content-length: 0",
            f"date: {formatdate(usegmt=True)}", "connection: close", "", "",
        )  # fmt: skip
        self.status = status
        with suppress(OSError), self.sending:
            self.socket.sendall("\r\n".join(lines).encode())

    def room(self) -> int:
        return CHUNK if self._writable() else 0

    def _writable(self) -> bool:
        return self.gone or writable(self.socket)

    def send(self, data: bytes) -> None:
        if not self.bodiless:
            self._send(lambda: h11.Data(data=data))

    def end(self, trailers: Fields | None) -> None:
        chunked = self.trailing and self.link.their_http_version == b"1.1"
        sent = trailers.sent() if trailers is not None and chunked else []
        self._send(lambda: h11.EndOfMessage(headers=sent))

    def abort(self, error: Any) -> None:
        """The client sees that the body is not whole."""
        self.gone = True

    def pollable(self) -> Pollable:
        return Pollable(self._writable, writing=self.socket)

    # --- one request ------------------------------------------------------------------------------

    def serve(self, handler: Handler, done: Callable[[Answered], None]) -> bool:
        """Read a request and have it answered; False when there will not be another."""
        try:
            event = self.next()
        except h11.RemoteProtocolError as error:
            self.refuse(error.error_status_hint)
            return self._linger()
        if not isinstance(event, h11.Request):
            return False
        began = time.monotonic()
        method, target = event.method.decode("ascii"), event.target.decode("latin-1")
        where = target_of(method, target)
        if where is None:
            self.refuse(400)
            return self._linger()
        ended = self._answer(handler, event, method, *where)
        took = time.monotonic() - began
        done(Answered(method, target, self.status, took, ended, self.error))
        return self._settled()

    def _answer(
        self, handler: Handler, event: Any, method: str, authority: str | None, path: str | None
    ) -> Ended | None:
        self.status, self.error, self.bodiless = 0, None, method == "HEAD"
        framed = (b"content-length", b"transfer-encoding")
        has_body = any(name in framed for name, _ in event.headers)
        if not has_body:
            self.next()  # its end, which is known without a look at the socket
        if authority is None:
            hosts = [value for name, value in event.headers if name == b"host"]
            authority = hosts[0].decode("latin-1") if hosts else None
        headers = received(event.headers)
        instance = handler.taken()
        body = IncomingBody(lambda: self.opened(instance.world, has_body))
        request = IncomingRequest(method, self.scheme, authority, path, headers, body)
        ended = handler.handle(instance, request, ResponseOutparam(self._respond), self.peer)
        if not self.status and not self.gone:
            self.refuse(500)
        return ended

    def _respond(self, response: OutgoingResponse | None, error: Any) -> None:
        if response is None:
            self.error = next(iter(error))
            return self.refuse(_status_of(error))
        headers, body = response.headers.sent(), response.body
        self.bodiless |= response.status in (204, 304)
        if body is None and not self.bodiless and "content-length" not in response.headers.values:
            headers.append((b"content-length", b"0"))
        try:
            if not 200 <= response.status < 1000:
                raise Failure({"HTTP-protocol-error": None})
            self._head(response.status, headers)
            if body is None:
                self.end(None)
            else:
                body.attach(self)
        except Failure as failure:  # who went away is told nothing
            if "HTTP-protocol-error" in failure.payload and not self.status:
                self.refuse(500)
            if body is not None:
                body.lost()
        return None

    def _settled(self) -> bool:
        """Whether the connection is as it was before the request, now that it is over."""
        if self.pipe is not None:
            self.pipe.cancel()
        if self.gone:
            self.shut()
        elif self.link.their_state is h11.SEND_BODY:
            self.until = time.monotonic() + _LINGER
            if self.reader is None:
                return self._linger()
        if self.reader is not None:
            self.reader.join()
        self.pipe = self.reader = None
        self.until = math.inf
        if self.gone or self.link.our_state is not h11.DONE:
            return False
        if self.link.their_state is not h11.DONE:
            return False
        self.link.start_next_cycle()
        return True

    def _linger(self) -> Literal[False]:
        """The client was told that this is the end; it may send what it was sending: who closes
        before takes the answer away from it."""
        until, left = time.monotonic() + _LINGER, _LINGER_BYTES
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while left > 0 and readable(self.socket, until - time.monotonic()):
                data = self.socket.recv(CHUNK)
                if not data:
                    break
                left -= len(data)
        return False

    def shut(self) -> None:
        """Whoever sends or receives comes back."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def _status_of(error: Any) -> int:
    """What a client is told of an ``error-code`` in place of a response."""
    ((name, _),) = error.items()
    return _STATUSES.get(name, 500)


def _shown(address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self.socket = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            number = error.errno or 0  # that of a name nobody knows is negative
            why = os.strerror(number) if number > 0 else str(error.strerror)
            raise UsageError(
                f"cannot listen on {host}:{port}: {why}; choose another --addr"
            ) from None
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self._room = threading.Semaphore(most)
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._open: set[_Connection] = set()
        self._changed = threading.Condition()

    def run(self, ended: Callable[[], bool]) -> None:
        """Serve until ``ended``; raises what went wrong on our side meanwhile."""
        self.socket.settimeout(_TICK)
        try:
            while not ended() and not self._stop.is_set():
                if self.timeout is not None:
                    self.handler.stop_late(self.timeout)
                if self._room.acquire(timeout=_TICK):
                    self._accept()
        finally:
            self._stop.set()
            self._close()
        if self._failed is not None:
            raise self._failed

    def _accept(self) -> None:
        try:
            made, _ = self.socket.accept()
        except TimeoutError:
            self._room.release()
        except OSError:  # too many files are open, or the client has gone
            self._room.release()
            self._stop.wait(_TICK)
        else:
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        connection = None
        try:
            with suppress(OSError):  # the client has gone already
                connection = _Connection(made, "http")
            if connection is not None:
                self._changes(self._open.add, connection)
                while not self._stop.is_set() and connection.serve(self.handler, self.done):
                    pass
        except BaseException as error:
            self._failed = self._failed or error
            self._stop.set()
        finally:
            made.close()
            self._room.release()
            self._changes(self._open.discard, connection)

    def _changes(self, how: Callable[[Any], None], connection: _Connection | None) -> None:
        with self._changed:
            how(connection)
            self._changed.notify_all()

    def _close(self) -> None:
        """No more requests; those under way have a moment to end."""
        self.socket.close()
        with self._changed:
            idle = [one for one in self._open if one.link.our_state is h11.IDLE]
        for one in idle:
            one.shut()
        self._emptied()
        self.handler.close()
        if not self._emptied():
            with self._changed:
                late = [*self._open]
            for one in late:
                one.shut()
            self._emptied()

    def _emptied(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, _GRACE)
