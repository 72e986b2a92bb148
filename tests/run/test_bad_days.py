"""A server whose clients, guests and machine do what they should not."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.run.host.rig import Client, echo, post, served
from whamm_cm.errors import UsageError
from whamm_cm.run import connection, server
from whamm_cm.run.host.world import Settings
from whamm_cm.run.options import HostOptions
from whamm_cm.run.server import Server
from whamm_cm.run.serving import Handler, Service

HELLO = b"5\r\nhello\r\n0\r\n\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    found = Handler(Service(echo(), Settings(HostOptions(args=("app",)))))
    yield found
    found.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# --- clients --------------------------------------------------------------------------------------


def test_a_client_that_goes_while_it_is_answered_harms_nobody() -> None:
    """More is on its way than the system holds for somebody who takes nothing."""
    with served() as found:
        client = found.client()
        client.say(post(b"").replace(b"Length: 0", b"Length: %d" % (64 * MIB)))

        def feed() -> None:
            try:
                for _ in range(64):
                    client.say(bytes(MIB))
            except OSError:
                pass  # it went

        feeding = threading.Thread(target=feed)
        feeding.start()
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        client.socket.shutdown(socket.SHUT_RDWR)
        feeding.join()
        client.socket.close()
        assert found.ask(post(b"hello")).endswith(HELLO)
    assert [one.ended for one in found.done] == [None, None]
    assert not found.handler._busy


def test_who_never_ends_a_head_keeps_nobody_from_being_answered() -> None:
    """Slow loris: more of them than there are threads."""
    with served(most=2) as found:
        slow = [found.client() for _ in range(50)]
        for client in slow:
            client.say(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
        assert found.ask(post(b"hello")).endswith(HELLO)
        for client in slow:
            client.say(b"b\r\nConnection: close\r\n\r\n")
        assert {status(client.rest()) for client in slow} == {200}


def test_a_head_that_takes_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as found:
        begun, silent = found.client(), found.client()
        begun.say(b"GET / HTTP/1.1\r\nHo")
        assert found.ask(post(b"hello")).endswith(HELLO)
        monkeypatch.setattr(server, "PATIENCE", 0.0)
        assert status(begun.rest()) == 408
        assert silent.rest() == b""
    assert len(found.done) == 1


def test_a_head_that_comes_byte_by_byte_has_no_more_time_for_it() -> None:
    with served() as found:
        client = found.client()
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\n":
            client.say(bytes((byte,)))
        changed, waiting = found.server._changed, found.server._waiting
        with changed:
            assert changed.wait_for(lambda: any(one.begun for one in waiting), 60)
        ((one, since),) = [(one, one.since) for one in found.server._open]
        client.say(b"X-A: b\r\n")
        assert found.ask(post(b"hello")).endswith(HELLO)
        with changed:
            assert changed.wait_for(lambda: one in waiting, 60)
        assert one.since == since


def test_a_body_that_stops_coming_is_the_guests_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        monkeypatch.setattr(connection, "PATIENCE", 0.0)
        assert client.rest().endswith(b"0\r\n\r\n")  # the echo ends where its input does
    assert [one.ended for one in found.done] == [None]


def test_a_thousand_idle_connections_cost_no_threads() -> None:
    with served(most=4) as found:
        before = threading.active_count()
        idle = [found.client() for _ in range(1000)]
        assert found.ask(post(b"hello")).endswith(HELLO)
        assert threading.active_count() <= before + 4
        idle[0].say(post(b"hello"))
        assert idle[0].rest().endswith(HELLO)
        for client in idle:
            client.socket.close()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
         b"HTTP2-Settings: AAMAAABk\r\n\r\n", 200),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
    ],
)  # fmt: skip
def test_who_wants_another_protocol_is_answered_in_this_one(request_: bytes, expected: int) -> None:
    with served() as found:
        client = found.client()
        client.say(request_)
        assert status(client.until(b"\r\n\r\n")) == expected


def test_pipelined_requests_behind_a_large_one_are_answered_in_order() -> None:
    with served() as found:
        client = found.client()
        bodies = [b"a" * 3, b"b" * 5000, b"c" * 3]
        client.say(b"".join(post(body, close=body[:1] == b"c") for body in bodies))
        got = client.rest()
    at = [got.index(letter * 3) for letter in (b"a", b"b", b"c")]
    assert at == sorted(at)
    assert got.count(b"HTTP/1.1 200 OK") == 3


# --- guests ---------------------------------------------------------------------------------------


def test_a_guest_that_computes_keeps_no_other_from_its_turn() -> None:
    with served() as found:
        busy = found.client()
        busy.say(post(b"~"))
        # What it had written goes out, although it does nothing else any more.
        assert busy.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert found.ask(post(b"hello")).endswith(HELLO)
        assert len(found.done) == 3


def test_sixty_four_guests_at_a_time_get_what_is_theirs() -> None:
    """Each has two pieces, and all are in the midst of their first one at some time."""
    with served() as found:
        for _ in range(3):
            clients = [found.client() for _ in range(64)]
            for number, client in enumerate(clients):
                client.say(post(b"%02d%02d" % (number, number))[:-2])
            for number, client in enumerate(clients):
                client.until(b"2\r\n%02d\r\n" % number)
            threads = [
                threading.Thread(target=client.say, args=(b"%02d" % number,))
                for number, client in enumerate(clients)
            ]
            for thread in threads:
                thread.start()
            for number, client in enumerate(clients):
                assert client.rest() == b"2\r\n%02d\r\n0\r\n\r\n" % number
            for thread in threads:
                thread.join()
    assert [one.ended for one in found.done] == [None] * 192


# --- the machine ----------------------------------------------------------------------------------


def test_a_port_one_may_not_use(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(UsageError) as caught:
        Server(handler, "127.0.0.1", 80, lambda one: None)
    text = "cannot listen on 127.0.0.1:80: Permission denied; choose another --addr"
    assert str(caught.value) == text


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(handler: Handler, host: str) -> None:
    with pytest.raises(UsageError, match=rf"^cannot listen on {host}:0: .*; choose another --addr"):
        Server(handler, host, 0, lambda one: None)


def test_where_no_more_files_can_be_open_the_oldest_idle_client_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served() as found:
        oldest, younger = found.client(), found.client()
        with found.server._changed:
            assert found.server._changed.wait_for(lambda: len(found.server._waiting) == 2, 60)
        accept, failed = found.server.socket.accept, threading.Event()

        class Full:
            """Fails once."""

            def accept(self) -> tuple[socket.socket, object]:
                if not failed.is_set():
                    failed.set()
                    raise OSError(errno.EMFILE, "Too many open files")
                return accept()

            def __getattr__(self, name: str) -> object:
                return getattr(listening, name)

        listening = found.server.socket
        monkeypatch.setattr(found.server, "socket", Full())
        third = found.client()
        third.say(post(b"hello"))
        assert third.rest().endswith(HELLO)
        assert failed.is_set()
        assert oldest.rest() == b""
        younger.say(post(b"hello"))
        assert younger.rest().endswith(HELLO)


def test_an_ipv6_address() -> None:
    with served() as found:
        try:
            made = Server(found.handler, "::1", 0, found.server.done)
        except UsageError as error:
            pytest.skip(f"NOT run: {error}")
        ended = threading.Event()
        thread = threading.Thread(target=made.run, args=(ended.is_set,))
        thread.start()
        try:
            client = Client(socket.create_connection(made.address, 60))
            client.say(post(b"hello"))
            assert client.rest().endswith(HELLO)
        finally:
            ended.set()
            thread.join()
