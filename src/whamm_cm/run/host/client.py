"""``wasi:http/outgoing-handler``: a request is sent by a thread of its own, over HTTP/1.1.

The guest writes the body into a pipe, and the thread puts what comes back into another.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fnmatch
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import h11

from whamm_cm.dataclass import dataclass
from whamm_cm.run.host.bridge import Failure, Interface
from whamm_cm.run.host.fields import Fields, announced, received
from whamm_cm.run.host.http import (
    FutureResponse,
    IncomingBody,
    IncomingResponse,
    OutgoingRequest,
    RequestOptions,
    method_text,
)
from whamm_cm.run.host.pipe import Cancelled, Pipe
from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.wire import Wire
from whamm_cm.run.host.world import Pollable, World

HANDLER = Interface("wasi:http/outgoing-handler")

#: Seconds, where the guest says nothing.
_PATIENCE = 600.0
#: Bytes of the head of an answer.
_LARGEST_HEAD = 1 << 18
_PORTS = {"http": 80, "https": 443}


def _code(name: str, payload: Any = None) -> Failure:
    return Failure({name: payload})


@HANDLER.func("handle")
def _handle(
    world: World, request: OutgoingRequest, options: RequestOptions | None
) -> FutureResponse:
    future = FutureResponse()
    context = None if world.traceparent is None else world.traceparent()
    try:
        scheme, host, port = _target(request)
        allowed = world.settings.allow_hosts
        if allowed is not None and not any(_fits(host, port, pattern) for pattern in allowed):
            future.answer = _code("HTTP-request-denied")
    except Failure:
        request.dropped()
        raise
    if future.answer is not None:
        request.dropped()
        return future
    exchange = _Exchange(world, request, scheme, (host, port), options, future)
    exchange.context = context
    future.cancel = exchange.cancel
    threading.Thread(target=exchange.run, name="whamm-cm request", daemon=True).start()
    return future


def _target(request: OutgoingRequest) -> tuple[str, str, int]:
    """Scheme, host and port."""
    scheme = next(iter(request.scheme), "").lower() if request.scheme else "https"
    if scheme not in _PORTS:
        raise _code("HTTP-protocol-error")
    if not request.authority or request.path is None:
        raise _code("HTTP-request-URI-invalid")
    return scheme, *_split(request.authority, scheme)


def _split(authority: str, scheme: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(f"//{authority}")
    try:
        port = parts.port
    except ValueError:
        raise _code("HTTP-request-URI-invalid") from None
    return parts.hostname or "", _PORTS[scheme] if port is None else port


def _fits(host: str, port: int, pattern: str) -> bool:
    """``example.com``, ``*.example.com``, either with ``:PORT``."""
    if pattern.rpartition(":")[2].isdigit() and not pattern.endswith("]"):
        pattern, _, wanted = pattern.rpartition(":")
        if int(wanted) != port:
            return False
    return fnmatch.fnmatchcase(host.lower(), pattern.strip("[]").lower())


class _Out:
    """The body on its way to the thread: :class:`whamm_cm.run.host.http.Sink`."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def room(self) -> int:
        if self.pipe.cancelled:
            raise _code("connection-terminated")
        return self.pipe.room

    def send(self, data: bytes) -> None:
        try:
            self.pipe.put(data, wait=False)
        except Cancelled:
            raise _code("connection-terminated") from None

    def end(self, trailers: Fields | None) -> None:
        self.pipe.end(trailers)

    def abort(self, error: Any) -> None:
        self.pipe.fail(error)

    def pollable(self) -> Pollable:
        return Pollable(lambda: self.pipe.cancelled or self.pipe.room > 0)


class _Exchange:
    def __init__(
        self, world: World, request: OutgoingRequest, scheme: str, address: tuple[str, int],
        options: RequestOptions | None, future: FutureResponse,
    ) -> None:  # fmt: skip
        self.world, self.request, self.scheme, self.address = world, request, scheme, address
        self.future, self.back = future, Pipe(world)
        self.times = options.times if options is not None else {}
        self.out: Pipe | None = None
        if request.body is not None:
            self.out = Pipe(world)
            request.body.attach(_Out(self.out))
        self.cancelled = threading.Event()
        self.wire: Wire | None = None
        self.sender: threading.Thread | None = None
        self.proxy: _Proxy | None = None
        self.context: str | None = None
        # Two threads use one connection: the body may go out while the answer comes.
        self.link = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self.lock = threading.Lock()

    def cancel(self) -> None:
        """The guest has dropped the future, or the body: nobody will ask."""
        self.cancelled.set()
        self.back.cancel()
        if self.wire is not None:
            self.wire.stop()

    def _patience(self, name: str) -> float:
        value = self.times.get(name)
        return _PATIENCE if value is None else value / 1e9

    def run(self) -> None:
        try:
            with _errors():
                self._exchange()
        except (Failure, Cancelled) as error:
            failure = error if isinstance(error, Failure) else _code("connection-terminated")
            if self.future.answer is None:
                self.future.answer = failure
            self.back.fail(failure.payload)
        finally:
            self._end()
            self.world.ring()

    def _end(self) -> None:
        """A descriptor is closed when no thread uses it: its number will be another's."""
        if self.out is not None:
            self.out.cancel()
        if self.wire is None:
            return
        self.wire.stop()
        if self.sender is not None:
            self.sender.join()
        self.wire.close()

    def _exchange(self) -> None:
        self.wire = Wire(self._connected())
        if self.cancelled.is_set():
            raise Cancelled
        self._head()
        if self.out is None:
            self._send(h11.EndOfMessage())
        else:
            self.sender = threading.Thread(target=self._body, args=(self.out,), daemon=True)
            self.sender.start()
        self._answer()

    # --- there ------------------------------------------------------------------------------------

    def _connected(self) -> socket.socket:
        patience = self._patience("connect-timeout")
        proxy = _proxy(self.scheme, self.address[0])
        self.proxy = proxy if self.scheme == "http" else None
        try:
            made = socket.create_connection(proxy.address if proxy else self.address, patience)
            try:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.scheme == "http":
                    return made
                if proxy is not None:
                    self._tunnel(made, proxy)
                context = ssl.create_default_context()
                return context.wrap_socket(made, server_hostname=self.address[0])
            except BaseException:
                made.close()
                raise
        except TimeoutError:
            raise _code("connection-timeout") from None

    def _tunnel(self, made: socket.socket, proxy: _Proxy) -> None:
        link = h11.Connection(h11.CLIENT)
        host, port = self.address
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        fields = [(b"host", target.encode()), *proxy.fields]
        head = h11.Request(method="CONNECT", target=target, headers=fields)
        made.sendall(link.send(head) or b"")
        while True:
            event = link.next_event()
            if event is h11.NEED_DATA:
                link.receive_data(made.recv(CHUNK))
            elif isinstance(event, h11.Response):
                if not 200 <= event.status_code < 300:
                    raise _code("destination-unavailable")
                return
            elif not isinstance(event, h11.InformationalResponse):
                raise _code("connection-terminated")

    def _head(self) -> None:
        request, authority = self.request, self.request.authority or ""
        entries = [(b"host", authority.encode()), *request.headers.sent()]
        names = {name for name, _ in entries}
        if self.out is not None and b"content-length" not in names:
            entries.append((b"transfer-encoding", b"chunked"))
        if self.context is not None and b"traceparent" not in names:
            entries.append((b"traceparent", self.context.encode()))
        target = request.path or "/"
        if self.proxy is not None:
            target = f"http://{authority}{target}"
            entries += self.proxy.fields
        method = method_text(request.method)
        if (
            self.out is None
            and method in ("POST", "PUT", "PATCH")
            and b"content-length" not in names
        ):
            entries.append((b"content-length", b"0"))
        self._send(h11.Request(method=method, target=target, headers=entries))

    def _send(self, event: h11.Event) -> None:
        with self.lock:
            data = self.link.send(event)
        assert self.wire is not None
        if data:
            self.wire.send(data, self._patience("between-bytes-timeout"))

    def _body(self, out: Pipe) -> None:
        try:
            while True:
                data = out.take(CHUNK, wait=True)
                if data is None:
                    break
                self._send(h11.Data(data=data))
            trailers = announced(out.trailers, self.request.headers)
            self._send(h11.EndOfMessage(headers=trailers))
        except (OSError, Failure, h11.LocalProtocolError) as error:
            out.cancel()
            if isinstance(error, Failure) and self.wire is not None:
                self.wire.stop()  # the guest gave it up: no answer will come

    # --- and back ---------------------------------------------------------------------------------

    def _next(self, patience: float) -> Any:
        assert self.wire is not None
        until = time.monotonic() + patience
        while True:
            with self.lock:
                event = self.link.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = self.wire.receive(until)
            with self.lock:
                self.link.receive_data(data)

    def _answer(self) -> None:
        event = self._next(self._patience("first-byte-timeout"))
        while isinstance(event, h11.InformationalResponse):
            event = self._next(self._patience("first-byte-timeout"))
        if not isinstance(event, h11.Response):
            raise _code("connection-terminated")
        body = IncomingBody(lambda: self.back, self.cancel)
        self.future.answer = IncomingResponse(event.status_code, received(event.headers), body)
        self.world.ring()
        patience = self._patience("between-bytes-timeout")
        while True:
            event = self._next(patience)
            if isinstance(event, h11.Data):
                self.back.put(bytes(event.data), wait=True)
            elif isinstance(event, h11.EndOfMessage):
                trailers = received(event.headers) if event.headers else None
                return self.back.end(trailers)
            else:
                raise _code("HTTP-response-incomplete")


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """What the system and the protocol say, as error codes."""
    try:
        yield
    except (Failure, Cancelled):
        raise
    except (socket.gaierror, UnicodeError):  # a label that is too long, or none
        # Guests pass it on to their clients: in the words of other hosts.
        payload = {"rcode": "address not available", "info-code": None}
        raise _code("DNS-error", payload) from None
    except ConnectionRefusedError:
        raise _code("connection-refused") from None
    except TimeoutError:
        raise _code("connection-read-timeout") from None
    except ssl.SSLCertVerificationError:
        raise _code("TLS-certificate-error") from None
    except ssl.SSLError:
        raise _code("TLS-protocol-error") from None
    except h11.RemoteProtocolError as error:
        incomplete = "incomplete" in str(error) or "closed" in str(error)
        raise _code("HTTP-response-incomplete" if incomplete else "HTTP-protocol-error") from None
    except h11.LocalProtocolError:
        raise _code("HTTP-protocol-error") from None
    except OSError as error:
        unreachable = error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
        raise _code("destination-unavailable" if unreachable else "connection-terminated") from None
    except Exception as error:
        raise _code("internal-error", f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Proxy:
    """``fields`` say who asks, where its URL does."""

    address: tuple[str, int]
    fields: Sequence[tuple[bytes, bytes]] = ()


def _proxy(scheme: str, host: str) -> _Proxy | None:
    """Of ``http_proxy`` and its like."""
    known = urllib.request.getproxies_environment()
    found = known.get(scheme) or known.get("all")
    if not found or urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]
        return None
    parts = urllib.parse.urlsplit(found if "//" in found else f"http://{found}")
    if parts.scheme != "http":
        raise _code("internal-error", f"the proxy {found} is none that is spoken to by HTTP")
    fields = []
    if parts.username is not None:
        who = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}").encode()
        fields.append((b"proxy-authorization", b"Basic " + base64.b64encode(who)))
    return _Proxy((parts.hostname or "", parts.port or 80), fields)
