"""A server of one page on this machine, for who knows its address: the page, and what it is told.

It listens on loopback addresses only, and answers what has the token, the right ``Host``, and no
``Origin`` but its own: neither other users' programs nor pages of other servers that a browser has
open can read what a guest does.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from whamm_cm.errors import UsageError

#: Pages at a time, connections at a time, and seconds that one may keep us waiting.
PAGES, _CONNECTIONS, _PATIENCE = 8, 32, 10.0
#: Seconds between texts at least, and how many times as long as making one took a processor.
_PAUSE, _SHARE = 1.0, 3
#: Seconds between signs of life, by which we see that a page is gone.
_BEAT = 5.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class LiveServer:
    """``page()`` makes the page, ``text()`` what it is told, whenever ``version()`` is another.

    All pages are told the same text: the last one, when they are ready for it.  So a page that is
    slow misses some, and memory does not grow with them.  Raises UsageError where it cannot listen.
    """

    def __init__(
        self,
        host: str,
        port: int,
        page: Callable[[], str],
        text: Callable[[], str],
        version: Callable[[], object],
    ) -> None:
        self.page, self._text, self._version = page, text, version
        self.token = secrets.token_urlsafe(24)
        self._changed = threading.Condition()
        self._making = threading.Lock()  # texts are told in the order in which they were made
        self._number = 0
        self._event = b""
        self._told: object = None
        self._over = threading.Event()
        self._wanted = threading.Event()
        self._pages = 0
        try:
            self._server = _Server(self, (host, port))
        except OSError as error:
            raise UsageError(
                f"--live cannot listen on {host}:{port}: {error.strerror or error}"
            ) from None
        shown = f"[{host}]" if ":" in host else host
        port = self._server.server_address[1]
        self.names = {f"{each}:{port}" for each in (shown, "localhost")}
        self.url = f"http://{shown}:{port}/{self.token}/"
        for target in (self._server.serve_forever, self._tell):
            threading.Thread(target=target, daemon=True).start()

    def _tell(self) -> None:
        """Makes texts while somebody listens."""
        while not self._over.is_set():
            self._wanted.wait()
            began = time.thread_time()
            self._make()
            self._over.wait(max(_PAUSE, _SHARE * (time.thread_time() - began)))

    def _make(self) -> None:
        with self._making:
            version = self._version()
            if version == self._told:
                return
            event = f"data: {self._text()}\n\n".encode("ascii")
            with self._changed:
                self._told, self._event = version, event
                self._number += 1
                self._changed.notify_all()

    def joined(self, by: int) -> bool:
        """A page comes (1) or goes (-1); whether there is room for it."""
        with self._changed:
            if by > 0 and self._pages >= PAGES:
                return False
            self._pages += by
            (self._wanted.set if self._pages else self._wanted.clear)()
            self._changed.notify_all()
        return True

    def next(self, number: int) -> tuple[int, bytes] | None:
        """The text after that number, as an event, and its number: as soon as there is one, or a
        sign of life; None when all has been told."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self._over.is_set(), _BEAT)
            if self._number > number:
                return self._number, self._event
            return None if self._over.is_set() else (number, b": here\n\n")

    def finish(self, stay: Callable[[], None] | None = None) -> None:
        """Tells all pages the last text; ``stay`` returns when nobody wants to look any more."""
        if stay is not None:
            stay()
        if self._pages:
            self._make()
        self._over.set()
        self._wanted.set()
        with self._changed:
            self._changed.notify_all()
        end = time.monotonic() + _PATIENCE
        while self._pages and time.monotonic() < end:
            with self._changed:
                self._changed.wait_for(lambda: not self._pages, _PATIENCE)
        self._server.shutdown()
        self._server.server_close()


def loopback(host: str) -> str:
    """The address that a host is known by.  Raises UsageError for what others could reach, too."""
    text = "127.0.0.1" if host == "localhost" else host
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or not found.is_loopback:
        raise UsageError(
            f"--live-at {host}: what a guest does is shown on this machine only; listen on"
            " 127.0.0.1, and forward that port (ssh -L) to look from elsewhere"
        )
    return text


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, live: LiveServer, address: tuple[str, int]) -> None:
        self.live = live
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or is too slow, is nobody's concern."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE
    server_version, sys_version = "whamm-cm", ""

    def log_message(self, format: str, *args: object) -> None:
        """The log is the guest's."""

    def do_GET(self) -> None:
        live = self.server.live
        token, slash, rest = self.path.removeprefix("/").partition("/")
        origin = self.headers.get("Origin")
        host = self.headers.get("Host", "")
        own = origin is None or origin in {f"http://{name}" for name in live.names}
        known = hmac.compare_digest(token.encode(), live.token.encode())
        if host not in live.names or not own:
            self._answer(403, b"This is not the address of the page.\n")
        elif known and slash and not rest:
            self._answer(200, live.page().encode(), "text/html; charset=utf-8")
        elif known and rest == "events":
            self._events()
        else:
            self._answer(404, b"There is nothing here: the address has a token.\n")

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self._begin(status, kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in _HEADERS.items():
            self.send_header(name, value)

    def _events(self) -> None:
        live = self.server.live
        if not live.joined(1):
            self._answer(503, b"Too many pages look at this run.\n")
            return
        try:
            self._begin(200, "text/event-stream")
            self.end_headers()
            number = 0
            while (found := live.next(number)) is not None:
                number, event = found
                self.wfile.write(event)
            self.wfile.write(b"event: over\ndata: \n\n")
        except OSError:
            pass  # the page is closed, or does not read what it is told
        finally:
            live.joined(-1)
