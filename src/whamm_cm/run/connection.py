"""HTTP/1.1 with one client, whose requests a handler answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from email.utils import formatdate
from enum import Enum
from functools import lru_cache
from http.client import responses
from typing import Any

import h11

from whamm_cm.dataclass import dataclass
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.fields import Fields, announced, is_value, received
from whamm_cm.run.host.http import (
    IncomingBody,
    IncomingRequest,
    OutgoingResponse,
    ResponseOutparam,
    target_of,
)
from whamm_cm.run.host.pipe import Pipe
from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.world import Pollable, World, readable, writable
from whamm_cm.run.serving import Ended, Handler

#: Seconds a client may take for the head of a request, for more of its body, or of taking a
#: response.
PATIENCE = 60.0
#: Bytes of a request line with its fields.
_HEAD = 1 << 16
#: Most fields, and characters of a target, as in other hosts.
_FIELDS, _TARGET = 100, 65534
#: Seconds, and bytes, in which a client may end a request that was answered before it was read.
_LINGER, _LINGER_BYTES = 1.0, 1 << 20
#: Bytes that are sent even if more may follow at once.
_MUCH = 1 << 14
#: What a client sees where a guest answers with an error code.
_STATUSES = {"HTTP-request-body-size": 413, "HTTP-request-denied": 403}

#: Around what waits for the client.
Away = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that is over: ``status`` 0 where the client had gone before there was one;
    ``error``: the code that the guest answered by instead, or why the response is not whole."""

    method: str
    path: str
    status: int
    seconds: float
    ended: Ended | None
    error: str | None = None


class Next(Enum):
    """What becomes of a connection: more has to ``COME``, a request is there to ``SERVE``, it is
    ``OVER``."""

    COME, SERVE, OVER = range(3)


class _Body(Pipe):
    """The body of a request, read when the guest asks for it."""

    def __init__(self, world: World, connection: Connection) -> None:
        super().__init__(world)
        self._connection, self._heard = connection, time.monotonic()
        self.source = connection.socket

    def _pull(self) -> None:
        """Take what has come, as far as there is room."""
        while not self._ended and (self._unread or self._cancelled or self._size < CHUNK):
            try:
                event = self._connection.event()
            except h11.RemoteProtocolError:
                return self.fail({"HTTP-protocol-error": None})
            if event is None:
                if time.monotonic() - self._heard > PATIENCE:
                    self.fail({"connection-terminated": None})
                return None
            self._heard = time.monotonic()
            if isinstance(event, h11.Data):
                if not self._cancelled:
                    self.put(bytes(event.data), wait=False)
            elif isinstance(event, h11.EndOfMessage):
                return self.end(received(event.headers) if event.headers else None)
            else:
                return self.fail({"connection-terminated": None})
        return None

    @property
    def ready(self) -> bool:
        if not self._parts:
            self._pull()
        return super().ready

    @property
    def over(self) -> bool:
        self._pull()
        return super().over

    def take(self, size: int, wait: bool = False) -> bytes | None:
        if not self._parts:
            self._pull()
        return super().take(size)

    def drain(self, until: float) -> bool:
        """Read what the guest did not want, for a while; whether that was the end of it."""
        self.cancel()
        connection, left = self._connection, _LINGER_BYTES
        while True:
            try:
                event = connection.event()
            except h11.RemoteProtocolError:
                return False
            if isinstance(event, h11.EndOfMessage):
                return True
            if isinstance(event, h11.Data):
                left -= len(event.data)
            elif event is not None or not connection.comes(until - time.monotonic()):
                return False
            if left < 0:
                return False


class Connection:
    """One client.  The sink of a response's body, too (:class:`whamm_cm.run.host.http.Sink`)."""

    def __init__(self, made: socket.socket, scheme: str, away: Away) -> None:
        """Raises OSError when the client has gone already."""
        self.socket, self.scheme, self._away = made, scheme, away
        self.link = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        self.gone = self.bodiless = self.trailing = self._hurried = False
        self.headers = Fields()
        self._unsent, self._lock = bytearray(), threading.Lock()
        self.status = 0
        self.error: str | None = None
        self.body: _Body | None = None
        self.peer = _shown(made.getpeername())
        #: Since when it waits for a request, or for the rest of one.
        self.since = time.monotonic()
        self.begun = False
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- what comes -------------------------------------------------------------------------------

    def event(self) -> Any:
        """The next event, None when more has to come for one; ``h11.ConnectionClosed`` also for a
        client that went."""
        while True:
            event = self.link.next_event()
            if event is not h11.NEED_DATA:
                return event
            try:
                if self.link.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                data = self.socket.recv(CHUNK)
            except BlockingIOError:
                return None
            except (OSError, Failure):
                return h11.ConnectionClosed()
            self.begun = True
            self.link.receive_data(data)

    def comes(self, seconds: float) -> bool:
        """Whether the client says more within that time."""
        with self._away():
            return seconds > 0 and readable(self.socket, seconds)

    def opened(self, world: World, has_body: bool) -> Pipe:
        """The body of the request, of which nothing is read before."""
        if has_body:
            self.body = _Body(world, self)
            return self.body
        pipe = Pipe(world)
        pipe.end()
        return pipe

    # --- what goes --------------------------------------------------------------------------------

    def _send(self, event: h11.Event) -> None:
        """Raises Failure when the client has gone, or what is sent does not fit what was said."""
        try:
            data = self.link.send(event) or b""
            if self.bodiless:
                data = data.replace(b"Transfer-Encoding: chunked\r\n", b"")
            self._out(data)
        except h11.LocalProtocolError:
            raise self._lost("HTTP-protocol-error") from None
        except OSError:
            raise self._lost("connection-terminated") from None

    def _lost(self, error: str) -> Failure:
        """The client does not get the response, or not whole, and why."""
        self.gone, self.error = True, self.error or error
        return Failure({error: None})

    def _out(self, data: bytes) -> None:
        """What is little goes out with what follows, unless that takes long: to send costs more
        than to make what is sent."""
        with self._lock:
            self._unsent += data
        if self._hurried or len(self._unsent) >= _MUCH:
            self.flush()

    def flush(self) -> None:
        """Raises OSError when the client has gone, or takes nothing."""
        while self._unsent:
            if not self._sent() and self._unsent:
                with self._away():
                    if not writable(self.socket, PATIENCE):
                        raise TimeoutError

    def _sent(self) -> bool:
        """Send what there is; False when the client has to take some of it before."""
        with self._lock, suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        return not self._unsent

    def hurry(self) -> None:
        """The guest does something else for long; called on another thread."""
        self._hurried = True
        with suppress(OSError):  # which the guest is told when it sends more
            self._sent()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Around what the guest waits in."""
        with suppress(OSError):
            self.flush()
        with self._away():
            yield

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        names = {name for name, _ in headers}
        self.trailing &= not self.bodiless and b"content-length" not in names
        if self.body is None and self.link.their_state is h11.SEND_BODY:
            headers = [*headers, (b"connection", b"close")]  # behind a body nobody reads
        if b"date" not in names:
            headers = [*headers, (b"date", _date(int(time.time())))]
        reason = responses.get(status, "").encode()
        self._send(h11.Response(status_code=status, headers=headers, reason=reason))
        self.status = status

    def refuse(self, status: int) -> None:
        """In place of a response, of which nothing has gone out."""
        lines = (
            f"HTTP/1.1 {status} {responses.get(status, '')}".encode(), b"content-length: 0",
            b"date: " + _date(int(time.time())), b"connection: close", b"", b"",
        )  # fmt: skip
        self.status = status
        with suppress(OSError):
            self._out(b"\r\n".join(lines))
            self.flush()

    def room(self) -> int:
        if self.gone:
            raise Failure({"connection-terminated": None})
        return CHUNK if self._writable() else 0

    def _writable(self) -> bool:
        return self.gone or writable(self.socket)

    def send(self, data: bytes) -> None:
        if not self.bodiless:
            self._send(h11.Data(data=data))

    def end(self, trailers: Fields | None) -> None:
        chunked = self.trailing and self.link.their_http_version == b"1.1"
        sent = announced(trailers, self.headers) if chunked else []
        self._send(h11.EndOfMessage(headers=sent))

    def abort(self, error: Any) -> None:
        """The client sees that the body is not whole."""
        self._lost(next(iter(error)))

    def pollable(self) -> Pollable:
        return Pollable(self._writable, writing=self.socket)

    # --- one request ------------------------------------------------------------------------------

    def serve(self, handler: Handler, done: Callable[[Answered], None]) -> Next:
        """Have a request answered, if all of its head is there."""
        began = time.monotonic()
        try:
            event = self.event()
        except h11.RemoteProtocolError as error:
            return self._refused(error.error_status_hint)
        if event is None:
            return Next.COME
        if not isinstance(event, h11.Request):
            return Next.OVER
        method, target = event.method.decode("ascii"), event.target.decode("latin-1")
        where = target_of(method, target)
        status = _fault(event) or (400 if where is None else 0)
        if where is None or status:
            return self._refused(status)
        ended = self._answer(handler, event, method, *where)
        took = time.monotonic() - began
        done(Answered(method, target, self.status, took, ended, self.error))
        return self._settled()

    def late(self) -> None:
        """The head of a request has not come in time."""
        if self.begun:
            self.refuse(408)

    def _answer(
        self, handler: Handler, event: Any, method: str, authority: str | None, path: str | None
    ) -> Ended | None:
        self.status, self.bodiless, self.body = 0, method == "HEAD", None
        self.error, self._hurried = None, False
        framed = (b"content-length", b"transfer-encoding")
        has_body = any(name in framed for name, _ in event.headers)
        if not has_body:
            self.event()  # its end, which is known without a look at the socket
        if authority is None:
            hosts = [value for name, value in event.headers if name == b"host"]
            authority = hosts[0].decode("latin-1") if hosts else None
        headers = received(event.headers)
        # Who does not say so may not look for any.
        self.trailing = any(b"trailers" in value.lower() for value in headers.get("te"))
        instance = handler.taken()
        instance.world.away = self._waiting
        body = IncomingBody(lambda: self.opened(instance.world, has_body))
        request = IncomingRequest(method, self.scheme, authority, path, headers, body)
        ended = handler.handle(instance, request, ResponseOutparam(self._respond), self.peer)
        if not self.status and not self.gone:
            self.refuse(500)
        try:
            self.flush()
        except OSError:
            self._lost("connection-terminated")
        return ended

    def _respond(self, response: OutgoingResponse | None, error: Any) -> None:
        if response is None:
            self.error = next(iter(error))
            return self.refuse(_status_of(error))
        self.headers, body = response.headers, response.body
        headers = self.headers.sent()
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

    def _settled(self) -> Next:
        """Whether the connection is as it was before the request, now that it is over."""
        if self.gone:
            self.shut()
        elif self.link.their_state is h11.SEND_BODY:
            if self.body is None:
                return self._linger()
            self.body.drain(time.monotonic() + _LINGER)
        if self.gone or self.link.our_state is not h11.DONE:
            return Next.OVER
        if self.link.their_state is not h11.DONE:
            return Next.OVER
        self.link.start_next_cycle()
        self.begun = bool(self.link.trailing_data[0])
        return Next.SERVE if self.begun else Next.COME

    def _refused(self, status: int) -> Next:
        self.refuse(status)
        return self._linger()

    def _linger(self) -> Next:
        """The client was told that this is the end; it may send what it was sending: who closes
        before takes the answer away from it."""
        until, left = time.monotonic() + _LINGER, _LINGER_BYTES
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while left > 0 and self.comes(until - time.monotonic()):
                data = self.socket.recv(CHUNK)
                if not data:
                    break
                left -= len(data)
        return Next.OVER

    def shut(self) -> None:
        """Whoever waits for the client comes back."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _shown(address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _fault(request: h11.Request) -> int:
    """The status for a head that h11 lets pass and no other host does, 0 for none."""
    if len(request.target) > _TARGET:
        return 414
    if len(request.headers) > _FIELDS:
        return 431
    known = request.http_version in (b"1.0", b"1.1")
    hosts = (value for name, value in request.headers if name == b"host")
    good = all(is_value(value) for _, value in request.headers) and all(map(bytes.isascii, hosts))
    return 0 if known and good else 400


def _status_of(error: Any) -> int:
    """What a client is told of an ``error-code`` in place of a response."""
    ((name, _),) = error.items()
    return _STATUSES.get(name, 500)
