"""Outgoing requests by TLS and by proxies, and what holds them back."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.run.host.rig import Client, origin, world
from tests.run.host.test_client import (
    answer_of,
    body_of,
    code_of,
    handle,
    options,
    request_to,
    says,
)
from whamm_cm.run.host import http
from whamm_cm.run.host.world import World
from whamm_cm.run.host.world import at as after

#: A certificate for localhost and 127.0.0.1 until 2100, with its key; nobody trusts it.
CERTIFICATE = Path(__file__).parent / "data" / "tls.pem"
OK = b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    found = world()
    yield found
    found.close()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def by_tls(answer: Callable[[Client], None]) -> Callable[[Client], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    def one(client: Client) -> None:
        with context.wrap_socket(client.socket, server_side=True) as made:
            answer(Client(made))

    return one


def refused(client: Client) -> None:
    with pytest.raises(ssl.SSLError):
        by_tls(lambda inner: None)(client)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_request_by_tls(here: World, name: str) -> None:
    seen: list[bytes] = []
    with origin(by_tls(says(OK, seen))) as at:
        response = answer_of(here, handle(here, request_to((name, at[1]), scheme="HTTPS")))
        assert (response.status, body_of(here, response)) == (200, b"ok")
    assert seen == [f"GET /p?q HTTP/1.1\r\nhost: {name}:{at[1]}\r\nx-a: 1\r\n\r\n".encode()]


@pytest.mark.usefixtures("trusted")
def test_a_body_goes_and_comes_at_a_time_by_tls(here: World) -> None:
    size = 1_000_000

    def echo(client: Client) -> None:
        client.until(b"\r\n\r\n")
        client.say(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = client.socket.recv(65536)
            left -= len(data)
            client.say(data)

    with origin(by_tls(echo)) as at:
        request = request_to(at, scheme="HTTPS", method="post")
        request.headers.values["content-length"] = [b"%d" % size]
        body = request.new_body()
        future = handle(here, request)
        incoming = http.TYPES.functions["[method]incoming-response.consume"](
            here, answer_of(here, future)
        )
        stream = http.TYPES.functions["[method]incoming-body.stream"](here, incoming)
        out, got, left = http.BodyOutput(body), 0, size
        while got < size:
            here.wait([stream.pollable(), *([out.pollable()] if left else [])])
            if left and (room := out.check_write()):
                out.write(bytes(min(room, left)))
                left -= min(room, left)
            got += len(stream.read(65536))
        body.finish(None)


def test_a_certificate_nobody_trusts(here: World) -> None:
    with origin(refused) as at:
        assert code_of(here, request_to(at, scheme="HTTPS")) == {"TLS-certificate-error": None}


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another(here: World) -> None:
    with origin(refused) as at:
        code = code_of(here, request_to(("127.1", at[1]), scheme="HTTPS"))
    assert code == {"TLS-certificate-error": None}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_tunnel_by_a_proxy(here: World, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    seen: list[bytes] = []

    def proxy(client: Client) -> None:
        seen.append(client.until(b"\r\n\r\n"))
        client.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        by_tls(says(OK, seen))(client)

    with origin(proxy) as at:
        monkeypatch.setenv(variable, f"http://me:p%40ss@{at[0]}:{at[1]}/")
        response = answer_of(here, handle(here, request_to("localhost", scheme="HTTPS")))
        assert body_of(here, response) == b"ok"
    who = base64.b64encode(b"me:p@ss")
    assert seen[0] == (
        b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n"
        b"proxy-authorization: Basic " + who + b"\r\n\r\n"
    )
    assert seen[1].startswith(b"GET /p?q HTTP/1.1\r\nhost: localhost\r\n")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_without_a_scheme(
    here: World, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    seen: list[bytes] = []
    with origin(says(OK, seen)) as at:
        monkeypatch.setenv(variable, f"me@{at[0]}:{at[1]}")
        assert answer_of(here, handle(here, request_to("a.example:81"))).status == 200
    assert seen[0].startswith(b"GET http://a.example:81/p?q HTTP/1.1\r\nhost: a.example:81\r\n")
    assert b"proxy-authorization: Basic " + base64.b64encode(b"me:") in seen[0]


@pytest.mark.parametrize("known", ["127.0.0.1", "localhost,.0.0.1", "*"])
def test_hosts_that_no_proxy_is_for(
    here: World, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with origin(says(OK)) as at:
        monkeypatch.setenv("NO_PROXY", known)
        assert answer_of(here, handle(here, request_to(at))).status == 200
        monkeypatch.setenv("NO_PROXY", "other.example")
        assert code_of(here, request_to(at)) == {"connection-refused": None}


def test_a_proxy_that_speaks_no_http(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    assert code_of(here, request_to("a.example")) == {
        "internal-error": "the proxy socks5://127.0.0.1:1 is none that is spoken to by HTTP"
    }


def test_nobody_takes_the_connection(here: World) -> None:
    """Its queue is full: who connects is not answered at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        late = code_of(here, request_to(address), options(connect_timeout=2 * 10**8))
        for one in waiting:
            one.close()
    assert late == {"connection-timeout": None}


def test_an_origin_that_reads_nothing_holds_the_guest_back(here: World) -> None:
    with origin(lambda client: client.until(b"\r\n\r\n") and gone.recv(1) and None) as where:
        gone, release = socket.socketpair()
        request = request_to(where, method="post")
        body = request.new_body()
        future = handle(here, request)
        out, sent = http.BodyOutput(body), 0
        pieces = iter(range(4096))
        while (room := out.check_write()) or _comes(here, out):
            assert next(pieces, None) is not None, f"{sent} bytes were taken by nobody"
            out.write(bytes(room))
            sent += room
        assert out.check_write() == 0
        future.dropped()
        release.send(b"!")
    gone.close()
    release.close()


def _comes(here: World, out: http.BodyOutput) -> bool:
    """Whether there is room within a second."""

    late = after(time.monotonic_ns() + 10**9)
    return 0 in here.wait([out.pollable(), late])


def test_a_guest_that_reads_nothing_holds_the_origin_back(here: World) -> None:
    sent = 0

    def endless(client: Client) -> None:
        nonlocal sent
        client.until(b"\r\n\r\n")
        client.say(b"HTTP/1.1 200 X\r\nContent-Length: 999999999999\r\n\r\n")
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            while sent < 1 << 28:
                sent += client.socket.send(bytes(65536))

    with origin(endless) as at:
        response = answer_of(here, handle(here, request_to(at)))
        body = http.TYPES.functions["[method]incoming-response.consume"](here, response)
        stream = http.TYPES.functions["[method]incoming-body.stream"](here, body)
        here.wait([stream.pollable()])
    assert sent < 1 << 28
    body.dropped()
