"""Outgoing requests, by the functions a guest calls."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.run.host.rig import Client, origin, world
from whamm_cm.run.host import client, http
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.fields import Fields
from whamm_cm.run.host.http import FutureResponse, IncomingResponse, OutgoingRequest, RequestOptions
from whamm_cm.run.host.streams import STREAMS
from whamm_cm.run.host.world import World


def handle(world: World, request: OutgoingRequest, options: Any = None) -> FutureResponse:
    answer: FutureResponse = client.HANDLER.functions["handle"](world, request, options)
    return answer


def request_to(address: tuple[str, int] | str, scheme: str = "HTTP", method: str = "get") -> Any:
    request = OutgoingRequest(Fields([("x-a", b"1")]))
    request.authority = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
    request.scheme, request.method, request.path = {scheme: None}, {method: None}, "/p?q"
    return request


def answer_of(world: World, future: FutureResponse) -> IncomingResponse:
    world.wait([http.TYPES.functions["[method]future-incoming-response.subscribe"](world, future)])
    answer = http.TYPES.functions["[method]future-incoming-response.get"](world, future)["ok"]
    if "error" in answer:
        raise Failure(answer["error"])
    found: IncomingResponse = answer["ok"]
    return found


def code_of(world: World, request: OutgoingRequest, options: Any = None) -> dict[str, Any]:
    with pytest.raises(Failure) as caught:
        answer_of(world, handle(world, request, options))
    payload: dict[str, Any] = caught.value.payload
    return payload


def body_of(world: World, response: IncomingResponse) -> bytes:
    body = http.TYPES.functions["[method]incoming-response.consume"](world, response)
    stream = http.TYPES.functions["[method]incoming-body.stream"](world, body)
    got = b""
    try:
        while True:
            got += STREAMS.functions["[method]input-stream.blocking-read"](world, stream, 1000)
    except Failure as failure:
        if "closed" not in failure.payload:
            raise
    return got


@pytest.fixture
def here() -> Iterator[World]:
    found = world()
    yield found
    found.close()


def says(answer: bytes, seen: list[bytes] | None = None) -> Callable[[Client], None]:
    def one(client: Client) -> None:
        head = client.until(b"\r\n\r\n")
        if seen is not None:
            seen.append(head)
        client.say(answer)

    return one


def test_a_request_and_its_answer(here: World) -> None:
    seen: list[bytes] = []
    with origin(says(b"HTTP/1.1 201 X\r\nX-B: 2\r\nContent-Length: 3\r\n\r\nabc", seen)) as at:
        response = answer_of(here, handle(here, request_to(at)))
        assert (response.status, response.headers.get("x-b")) == (201, [b"2"])
        assert body_of(here, response) == b"abc"
    text = f"GET /p?q HTTP/1.1\r\nhost: {at[0]}:{at[1]}\r\nx-a: 1\r\n\r\n".encode()
    assert seen == [text]


def test_a_body_with_trailers_there_and_back(here: World) -> None:
    seen: list[bytes] = []

    def echo(client: Client) -> None:
        client.until(b"\r\n\r\n")
        seen.append(client.until(b"\r\n\r\n"))
        client.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n\r\n"
        )

    with origin(echo) as at:
        request = request_to(at, method="post")
        request.headers.values["trailer"] = [b"x-s"]
        body = request.new_body()
        future = handle(here, request)
        body.write(b"hello")
        body.finish(Fields([("x-s", b"2")]))
        response = answer_of(here, future)
        incoming = http.TYPES.functions["[method]incoming-response.consume"](here, response)
        trailers = http.TYPES.functions["[static]incoming-body.finish"](here, incoming)
        subscribe = http.TYPES.functions["[method]future-trailers.subscribe"]
        here.wait([subscribe(here, trailers)])
        got = http.TYPES.functions["[method]future-trailers.get"](here, trailers)
        assert list(got["ok"]["ok"]) == [("x-t", b"1")]
        assert http.TYPES.functions["[method]future-trailers.get"](here, trailers) == {
            "error": None
        }
    assert seen == [b"5\r\nhello\r\n0\r\nx-s: 2\r\n\r\n"]


def test_redirects_are_the_guests_to_follow(here: World) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with origin(says(answer)) as at:
        assert answer_of(here, handle(here, request_to(at))).status == 302


def test_a_name_nobody_has(here: World) -> None:
    unknown = {"DNS-error": {"rcode": "address not available", "info-code": None}}
    assert code_of(here, request_to("no-such-host.invalid")) == unknown
    assert code_of(here, request_to("a" * 70 + ".invalid")) == unknown


def test_nobody_listens(here: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as made:
        address = made.getsockname()
    assert code_of(here, request_to(address)) == {"connection-refused": None}


def test_schemes_and_authorities(here: World) -> None:
    with pytest.raises(Failure) as caught:
        handle(here, request_to("a", scheme="other"))
    assert caught.value.payload == {"HTTP-protocol-error": None}
    with pytest.raises(Failure) as caught:
        handle(here, request_to(""))
    assert caught.value.payload == {"HTTP-request-URI-invalid": None}
    request = request_to("a")
    request.path = None
    with pytest.raises(Failure) as caught:
        handle(here, request)
    assert caught.value.payload == {"HTTP-request-URI-invalid": None}


def test_what_nobody_sends_takes_no_body(here: World) -> None:
    """A guest that writes on is told, and does not wait forever."""
    denied = world(allow_hosts=["other"])
    request = request_to("127.0.0.1:1")
    body = request.new_body()
    assert code_of(denied, request) == {"HTTP-request-denied": None}
    with pytest.raises(Failure) as caught:
        http.BodyOutput(body).check_write()
    assert caught.value.payload == {"closed": None}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("127.0.0.1", True), ("127.0.0.1:{port}", True), ("127.0.0.1:1", False),
        ("*.0.0.1", True), ("localhost", False), ("*", True),
    ],
)  # fmt: skip
def test_hosts_that_are_allowed(pattern: str, fits: bool) -> None:
    with origin(*[says(b"HTTP/1.1 204 X\r\n\r\n")] * fits) as at:
        here = world(allow_hosts=[pattern.replace("{port}", str(at[1]))])
        if fits:
            assert answer_of(here, handle(here, request_to(at))).status == 204
        else:
            assert code_of(here, request_to(at)) == {"HTTP-request-denied": None}
        here.close()


def test_credentials_in_an_authority_are_no_host() -> None:
    here = world(allow_hosts=["good.example"])
    assert code_of(here, request_to("good.example@127.0.0.1:1")) == {"HTTP-request-denied": None}


def options(**times: int) -> RequestOptions:
    found = RequestOptions()
    found.times = {name.replace("_", "-"): value for name, value in times.items()}
    return found


def test_the_first_byte_comes_too_late(here: World) -> None:
    with origin(lambda client: client.rest() and None) as at:
        late = code_of(here, request_to(at), options(first_byte_timeout=10**8))
    assert late == {"connection-read-timeout": None}


def test_the_next_bytes_come_too_late(here: World) -> None:
    def half(client: Client) -> None:
        client.until(b"\r\n\r\n")
        client.say(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc")
        client.rest()

    with origin(half) as at:
        future = handle(here, request_to(at), options(between_bytes_timeout=10**8))
        with pytest.raises(Failure) as caught:
            body_of(here, answer_of(here, future))
    assert caught.value.payload["last-operation-failed"].code == {"connection-read-timeout": None}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"nonsense\r\n\r\n", "HTTP-protocol-error"),
        (b"", "HTTP-protocol-error"),
        (b"HTTP/1.1 200", "HTTP-response-incomplete"),
    ],
)
def test_answers_that_are_none(here: World, answer: bytes, code: str) -> None:
    with origin(says(answer)) as at:
        assert code in code_of(here, request_to(at))


def test_a_body_that_ends_early(here: World) -> None:
    answer = b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc"
    with origin(says(answer)) as at, pytest.raises(Failure) as caught:
        body_of(here, answer_of(here, handle(here, request_to(at))))
    code = caught.value.payload["last-operation-failed"].code
    assert code == {"HTTP-response-incomplete": None}


def test_who_speaks_no_tls(here: World) -> None:
    def plain(client: Client) -> None:
        client.socket.recv(100)
        client.say(b"HTTP/1.1 400 what\r\n\r\n")

    with origin(plain) as at:
        assert code_of(here, request_to(at, scheme="HTTPS")) == {"TLS-protocol-error": None}


def test_a_proxy_is_asked(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    with origin(says(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n", seen)) as at:
        monkeypatch.setenv("http_proxy", f"http://{at[0]}:{at[1]}")
        monkeypatch.setenv("no_proxy", "")
        assert answer_of(here, handle(here, request_to("example.com"))).status == 200
    assert seen[0].startswith(b"GET http://example.com/p?q HTTP/1.1\r\nhost: example.com\r\n")


def test_a_proxy_that_makes_no_tunnel(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    with origin(says(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n", seen)) as at:
        monkeypatch.setenv("https_proxy", f"http://{at[0]}:{at[1]}")
        monkeypatch.setenv("no_proxy", "")
        code = code_of(here, request_to("example.com", scheme="HTTPS"))
    assert code == {"destination-unavailable": None}
    assert seen == [b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n"]


def test_a_future_that_is_dropped_ends_the_exchange(here: World) -> None:
    """The origin sees the end of the connection, though it never answered."""
    with origin(lambda client: client.rest() and None) as at:
        handle(here, request_to(at)).dropped()


def test_a_response_that_is_dropped_ends_the_exchange(here: World) -> None:
    def endless(client: Client) -> None:
        client.until(b"\r\n\r\n")
        client.say(b"HTTP/1.1 200 X\r\nContent-Length: 999999999999\r\n\r\n")
        with pytest.raises(OSError):
            while True:
                client.say(bytes(65536))

    with origin(endless) as at:
        answer_of(here, handle(here, request_to(at))).dropped()


def test_an_instance_that_ends_ends_its_exchanges() -> None:
    here = world()
    with origin(lambda client: client.rest() and None) as at:
        here.table.add(handle(here, request_to(at)))
        here.close()


def test_much_comes_while_much_goes(here: World) -> None:
    """The origin sends back as it reads: neither side may wait for the other to end."""

    def echo(client: Client) -> None:
        client.until(b"\r\n\r\n")
        client.say(b"HTTP/1.1 200 X\r\nContent-Length: 4000000\r\n\r\n")
        left = 4_000_000
        while left:
            data = client.socket.recv(65536)
            left -= len(data)
            client.say(data)

    with origin(echo) as at:
        request = request_to(at, method="post")
        request.headers.values["content-length"] = [b"4000000"]
        body = request.new_body()
        future = handle(here, request)
        incoming = http.TYPES.functions["[method]incoming-response.consume"](
            here, answer_of(here, future)
        )
        stream = http.TYPES.functions["[method]incoming-body.stream"](here, incoming)
        out, got, left = http.BodyOutput(body), 0, 4_000_000
        while got < 4_000_000:
            here.wait([stream.pollable(), *([out.pollable()] if left else [])])
            if left and (room := out.check_write()):
                out.write(bytes(min(room, left)))
                left -= min(room, left)
            got += len(stream.read(65536))
        body.finish(None)
    assert got == 4_000_000


def test_a_body_that_nobody_takes_is_closed(here: World) -> None:
    """As on other hosts: guests know that, and take any other failure for a fault of theirs."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        address = made.getsockname()
    request = request_to(address, method="post")
    body = request.new_body()
    future = handle(here, request)
    with pytest.raises(Failure):
        answer_of(here, future)
    out = http.BodyOutput(body)
    here.wait([out.pollable()])
    with pytest.raises(Failure) as caught:
        while True:
            out.write(b"x")
            out.check_write()
    assert caught.value.payload == {"closed": None}
    with pytest.raises(Failure) as caught:
        out.check_write()
    assert caught.value.payload == {"closed": None}


def test_more_than_was_said_is_a_failure_that_says_so(here: World) -> None:
    request = request_to("127.0.0.1:1", method="post")
    request.headers.values["content-length"] = [b"1"]
    out = http.BodyOutput(request.new_body())
    with pytest.raises(Failure) as caught:
        out.write(b"xy")
    code = caught.value.payload["last-operation-failed"].code
    assert code == {"HTTP-request-body-size": 2}
