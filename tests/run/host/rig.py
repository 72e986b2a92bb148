"""A handler served in this process, clients that say each byte themselves, and an origin."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wasmtime import wat2wasm

from tests.run.guests import ROOT
from whamm_cm.run.connection import Answered
from whamm_cm.run.host.world import Settings, World
from whamm_cm.run.options import HostOptions
from whamm_cm.run.server import Server
from whamm_cm.run.serving import Handler, Service

PATIENCE = 60.0
_ECHO = (ROOT / "fixtures" / "wat" / "http_echo.wat").read_text()
_TRAP = "(i32.const 33)) (then unreachable))"
_FOREVER = (
    f"{_TRAP} (if (i32.eq (i32.load8_u (i32.load (i32.const 20))) (i32.const 126)) "
    "(then (loop (br 0))))"
)


def echo() -> bytes:
    """``http_echo``, which also runs forever at a piece that begins with ``~``."""
    assert _ECHO.count(_TRAP) == 1
    return bytes(wat2wasm(_ECHO.replace(_TRAP, _FOREVER)))


@dataclass
class Served:
    server: Server
    handler: Handler
    done: list[Answered] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def client(self) -> Client:
        return Client(socket.create_connection(self.server.address, PATIENCE))

    def ask(self, request: bytes) -> bytes:
        """All that is answered on a connection of its own, until it is closed."""
        client = self.client()
        client.say(request)
        return client.rest()


class Client:
    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        made.settimeout(PATIENCE)

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Up to these bytes."""
        got = b""
        while not got.endswith(end):
            part = self.socket.recv(1)
            assert part, f"the connection ended after {got!r}"
            got += part
        return got

    def rest(self) -> bytes:
        with self.socket:
            return b"".join(iter(lambda: self.socket.recv(65536), b""))


@contextmanager
def served(
    wasm: bytes | None = None, *, timeout: float | None = None, most: int = 256, **service: Any
) -> Iterator[Served]:
    service.setdefault("settings", Settings(HostOptions(args=("app",))))
    handler = Handler(Service(echo() if wasm is None else wasm, **service))
    ended = threading.Event()
    found = Served(
        Server(handler, "127.0.0.1", 0, lambda one: found.done.append(one), timeout, most), handler
    )

    def run() -> None:
        try:
            found.server.run(ended.is_set)
        except BaseException as error:
            found.failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join()

    found.stop = stop
    try:
        yield found
    finally:
        stop()


def post(body: bytes, *more: str, close: bool = True) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *more]
    lines += ["Connection: close"] * close
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def origin(*answers: Callable[[Client], None]) -> Iterator[tuple[str, int]]:
    """Where the first connection is answered by the first function, and so on."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE)
    faults: list[BaseException] = []

    def run() -> None:
        try:
            for answer in answers:
                made, _ = listening.accept()
                with made:
                    answer(Client(made))
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.getsockname()
        thread.join()
    finally:
        listening.close()
    assert not faults, faults


def world(**options: Any) -> World:
    settings = {name: options.pop(name) for name in ("allow_hosts", "config") if name in options}
    return World(Settings(HostOptions(**options), **settings))
