"""Registries that take their time: one deadline for all of an exchange."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.gate.making import component
from tests.registry.fake import Image, registry
from whamm_cm.errors import InputError
from whamm_cm.registry.deadline import Deadline
from whamm_cm.registry.pull import Timeouts, pull
from whamm_cm.registry.transport import _seconds

WASM = component({})
#: No step of it takes as long; only all of them together do.
SOON = Timeouts(step=30, whole=0.8)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def dripping(*starts: bytes, drop: bytes = b" ") -> Iterator[str]:
    """A server that answers one connection with each of ``starts``, and then with a drop now and
    then until the client is gone.  Drops never end: without a deadline, this would not either."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        for start in starts:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(4096)
                    connection.sendall(start.replace(b"PORT", str(port).encode()))
                    # A whole answer ends with its connection.
                    while b"\r\n\r\n." not in start and not over.wait(0.02):
                        connection.sendall(drop)
                except OSError:
                    pass

    port = server.getsockname()[1]
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"localhost:{port}"
    finally:
        over.set()
        server.close()
        # It may wait in accept, which a closed socket does not end everywhere.
        thread.join(0.1)


HEAD = b"HTTP/1.1 200 OK\r\n"
REDIRECT = b"HTTP/1.1 307 Go\r\nLocation: http://localhost:PORT/x\r\nConnection: close\r\n\r\n."
CHALLENGE = (
    b"HTTP/1.1 401 No\r\nConnection: close\r\n"
    b'WWW-Authenticate: Bearer realm="http://localhost:PORT/token"\r\n\r\n.'
)
SLOW = {
    "nothing at all": (b"",),
    "the status line": (b"HTTP/1.",),
    "a header": (HEAD + b"X-",),
    "headers without end": (HEAD,),
    "a body of known size": (HEAD + b"Content-Length: 100000\r\n\r\n",),
    "a body of unknown size": (HEAD + b"\r\n",),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1",),
    "the body of an error": (b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n",),
    "behind a redirect": (REDIRECT, HEAD + b"X-"),
    "behind redirects": (REDIRECT, REDIRECT, REDIRECT, HEAD + b"\r\n"),
    "the token": (CHALLENGE, HEAD + b"Content-Length: 100000\r\n\r\n"),
    "the header of a token": (CHALLENGE, HEAD + b"X-"),
    "informational answers": (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 1",),
}


@pytest.mark.parametrize("case", SLOW)
def test_slow_answers_come_to_an_end(case: str) -> None:
    drop = b"X" if b"\r\n\r\n" not in SLOW[case][-1] else b" "
    with dripping(*SLOW[case], drop=drop) as where, pytest.raises(InputError) as caught:
        pull(f"oci://{where}/a/b:1", timeouts=SOON)
    said = str(caught.value)
    # Some ends are found before the time is up: a line that is too long, a bad chunk.
    assert said.startswith(f"oci://{where}/a/b:1: ") and "\n" not in said
    if case not in ("chunks", "the body of an error"):
        assert "takes too long: the registry had 0.8 s in all" in said


def test_a_server_that_never_accepts() -> None:
    """Its backlog is full, or it takes the connection and nothing else."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        where = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(InputError, match="takes too long|in time"):
            pull(f"oci://{where}/a/b:1", timeouts=SOON)


def test_names_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(60) and [])
    try:
        with pytest.raises(InputError, match="takes too long"):
            pull("oci://registry.example/a/b:1", timeouts=SOON)
    finally:
        over.set()


def busy(times: int, status: int, header: str, image: Image):
    left = [times]

    def manner(_):
        left[0] -= 1
        return (status, {"Retry-After": header} if header else {}, b"") if left[0] >= 0 else None

    return manner


def dated(after: str | int) -> str:
    """A number of seconds as a date; made when a test runs, for its name must not change."""
    return after if isinstance(after, str) else late(after)


def late(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["0", -100, 1])  # a text as it is, or seconds from now
def test_a_busy_registry_is_asked_again(status: int, after: str | int) -> None:
    one = Image(WASM)
    with registry(one, busy(2, status, dated(after), one)) as found:
        path = f"oci://{found.where}/shop/cart:1.0"
        assert pull(path, timeouts=Timeouts(step=60, whole=60))[0] == WASM


@pytest.mark.parametrize(
    ("status", "after", "said"),
    [
        (429, "100", "has had too many requests (429); try again in 100 seconds"),
        (503, "99999999", "is not available (503); try again in 99999999 seconds"),
        (503, 3600, "is not available (503); try again in 3"),
        (429, "", "has had too many requests (429); try again later"),
        (503, "soon", "is not available (503); try again later"),
        (503, "-1", "is not available (503); try again later"),
        (503, "1e9", "is not available (503); try again later"),
        (503, "9" * 400, "is not available (503); try again later"),
        (500, "0", "the registry answers 500"),
        (429, "0", "the registry is too busy for the manifest 1.0, after 8 times"),
    ],
)
def test_a_registry_that_stays_busy(status: int, after: str | int, said: str) -> None:
    one = Image(WASM)
    patient = Timeouts(step=60, whole=60)
    with (
        registry(one, busy(1000, status, dated(after), one)) as found,
        pytest.raises(InputError) as caught,
    ):
        pull(f"oci://{found.where}/shop/cart:1.0", timeouts=patient)
    assert said in str(caught.value)


def test_dates_of_all_kinds() -> None:
    assert _seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    assert _seconds("Sun, 06 Nov 1994 08:49:37") == 0
    assert _seconds("31 Feb") is None and _seconds("") is None
    assert _seconds("Sun, 06 Nov 99999 08:49:37 GMT") is None


def test_a_deadline_that_is_closed_leaves_connections_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        deadline = Deadline(60, 60)
        client = deadline.connect(server.getsockname())
        accepted, _ = server.accept()
        deadline.close()
        client.sendall(b"a")
        assert accepted.recv(1) == b"a"
        client.close()
        accepted.close()
