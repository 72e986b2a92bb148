"""Fields behind a body, both ways, and fields in the order of other hosts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.run.host.rig import Client, origin, world
from tests.run.host.test_client import answer_of, handle, request_to
from whamm_cm.run.host.bridge import Failure, Fault
from whamm_cm.run.host.fields import Fields, received
from whamm_cm.run.host.http import (
    TYPES,
    BodyOutput,
    FutureTrailers,
    IncomingRequest,
    OutgoingResponse,
    ResponseOutparam,
)
from whamm_cm.run.host.streams import STREAMS
from whamm_cm.run.server import Server


class Guest:
    """In the place of a handler: sends back the trailers it gets, and one that it makes."""

    def __init__(self, *announced: str) -> None:
        self.announced = [("trailer", name.encode()) for name in announced]
        self.got: list[tuple[str, bytes]] = []

    def taken(self) -> Any:
        self.world = world()
        return self

    def handle(
        self, instance: Any, request: IncomingRequest, out: ResponseOutparam, peer: str
    ) -> None:
        assert request.body is not None
        future = FutureTrailers(request.body)
        self.world.wait([TYPES.functions["[method]future-trailers.subscribe"](self.world, future)])
        self.got = list(future.pipe.trailers or ())
        response = OutgoingResponse(Fields(self.announced))
        body = response.new_body()
        out.give(response, None)
        body.write(b"abc")
        body.finish(Fields([*self.got, ("x-sum", b"1"), ("content-type", b"a/b")]))
        self.world.close()

    def close(self) -> None:
        pass


@contextmanager
def serving(guest: Guest) -> Iterator[tuple[str, int]]:
    server = Server(guest, "127.0.0.1", 0, lambda answered: None)  # type: ignore[arg-type]
    ended = threading.Event()
    thread = threading.Thread(target=server.run, args=(ended.is_set,))
    thread.start()
    try:
        yield server.address
    finally:
        ended.set()
        thread.join()


def ask(guest: Guest, *fields: str) -> bytes:
    with serving(guest) as address:
        client = Client(socket.create_connection(address, 60))
        lines = ["POST / HTTP/1.1", "Host: a", "Connection: close", "Transfer-Encoding: chunked"]
        head = "\r\n".join([*lines, *fields, "", ""]).encode()
        client.say(head + b"1\r\n!\r\n0\r\nX-T: yes\r\n\r\n")
        return client.rest().partition(b"\r\n\r\n")[2]


def test_trailers_go_to_who_asks_for_them() -> None:
    guest = Guest("X-Sum", "x-t , content-type")
    assert ask(guest, "TE: trailers") == b"3\r\nabc\r\n0\r\nx-t: yes\r\nx-sum: 1\r\n\r\n"
    assert guest.got == [("x-t", b"yes")]
    assert ask(guest, "TE: deflate") == b"3\r\nabc\r\n0\r\n\r\n"
    assert ask(guest) == b"3\r\nabc\r\n0\r\n\r\n"


def test_trailers_that_nobody_announced_stay() -> None:
    assert ask(Guest("x-sum"), "TE: trailers") == b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"
    assert ask(Guest(), "TE: trailers") == b"3\r\nabc\r\n0\r\n\r\n"


def test_trailers_of_a_request_are_announced_too() -> None:
    here, seen = world(), []

    def echo(client: Client) -> None:
        client.until(b"\r\n\r\n")
        seen.append(client.until(b"\r\n\r\n"))
        client.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with origin(echo, echo) as at:
        for announced in ("x-s", "x-other"):
            request = request_to(at, method="post")
            request.headers.values["trailer"] = [announced.encode()]
            body = request.new_body()
            future = handle(here, request)
            body.finish(Fields([("x-s", b"2")]))
            assert answer_of(here, future).status == 200
    here.close()
    assert seen == [b"0\r\nx-s: 2\r\n\r\n", b"0\r\n\r\n"]


def test_the_last_field_takes_the_place_of_one_that_goes() -> None:
    came = received([(b"Host", b"a"), (b"A", b"1"), (b"B", b"2"), (b"A", b"3"), (b"C", b"4")])
    assert list(came) == [("c", b"4"), ("a", b"1"), ("a", b"3"), ("b", b"2")]
    mine = came.copy(fixed=False)
    mine.delete("A")
    assert list(mine) == [("c", b"4"), ("b", b"2")]
    mine.set("B", [])
    mine.delete("never")
    assert list(mine) == [("c", b"4")]
    with pytest.raises(Failure):
        came.delete("a")


def test_who_never_asks_for_room_may_write_while_there_is_some() -> None:
    """As the engine of JavaScript components does with its message for what went wrong."""
    here = world()
    body = OutgoingResponse(Fields()).new_body()
    stream = BodyOutput(body)
    write = STREAMS.functions["[method]output-stream.write"]
    write(here, stream, bytes(60))
    write(here, stream, bytes(1 << 17))
    with pytest.raises(Fault, match="a write of 1 bytes where 0 were allowed"):
        write(here, stream, b"x")
    here.close()
