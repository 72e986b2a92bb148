"""HTTP/1.1 as clients of all kinds speak it."""

from __future__ import annotations

import re
import socket
import struct
import threading

import pytest
from wasmtime import wat2wasm

from tests.run.guests import ROOT
from tests.run.host.rig import Client, post, served
from whamm_cm.errors import UsageError
from whamm_cm.run.host.bridge import Fault
from whamm_cm.run.host.http import target_of
from whamm_cm.run.host.streams import STREAMS
from whamm_cm.run.server import Server

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def head_of(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body


def test_a_body_goes_there_and_back() -> None:
    with served() as found:
        status, headers, body = head_of(found.ask(post(b"hello")))
    assert (status, body) == (200, HELLO)
    assert headers["transfer-encoding"] == "chunked"
    assert headers["date"].endswith("GMT")
    assert [(one.method, one.path, one.status, one.ended) for one in found.done] == [
        ("POST", "/", 200, None)
    ]


def test_a_chunked_request_and_its_trailers_are_read() -> None:
    with served() as found:
        request = (
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        status, _, body = head_of(found.ask(request))
    assert (status, re.sub(rb"\d\r\n|\r\n", b"", body)) == (200, b"hello")


def test_a_connection_is_kept_and_requests_may_come_at_once() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello", close=False) + post(b"hello", close=False) + post(b"hello"))
        assert client.rest().count(HELLO) == 3
    assert len(found.done) == 3


def test_pieces_come_back_as_they_are_sent() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"ab", "X: y").replace(b"Content-Length: 2", b"Content-Length: 4"))
        assert client.until(b"2\r\nab\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        client.say(b"cd")
        assert client.rest() == b"2\r\ncd\r\n0\r\n\r\n"


def test_who_waits_for_100_gets_it_when_the_guest_reads() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello", "Expect: 100-continue")[:-5])
        # The echo answers before it reads: the final status is all that is left to say.
        head = client.until(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 100", b"HTTP/1.1 200"))
        client.say(b"hello")
        assert client.rest().endswith(HELLO)


def test_http_1_0_gets_a_body_that_ends_with_the_connection() -> None:
    with served() as found:
        answer = found.ask(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    status, headers, body = head_of(answer)
    assert (status, body) == (200, b"hello")
    assert "transfer-encoding" not in headers


def test_head_gets_no_body() -> None:
    with served() as found:
        client = found.client()
        client.say(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + LAST)
        first, second = client.rest().split(b"HTTP/1.1 ")[1:]
    assert first.endswith(b"\r\n\r\n")
    assert b"chunked" not in first
    assert second.endswith(b"\r\n\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\x1b[1m\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: \xe2\x80\xae\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x1b[31m\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x7f\r\n\r\n", 400),
        (b"GET /`a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b'GET /?"a" HTTP/1.1\r\nHost: a\r\n\r\n', 400),
        (b"GET /<script> HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /" + b"a" * 65534 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 17), 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(request_: bytes, status: int) -> None:
    with served() as found:
        answer = head_of(found.ask(request_))
        assert (answer[0], answer[2]) == (status, b"")
        assert answer[1]["connection"] == "close"
        assert head_of(found.ask(post(b"hello")))[2] == HELLO
    assert len(found.done) == 1


def test_targets() -> None:
    assert target_of("GET", "/a?b") == (None, "/a?b")
    assert target_of("OPTIONS", "*") == (None, "*")
    assert target_of("CONNECT", "a:1") == ("a:1", None)
    assert target_of("GET", "http://a:1/b/?c") == ("a:1", "/b/?c")
    assert target_of("GET", "HTTP://a?c/d") == ("a", "/?c/d")
    assert target_of("GET", "http://a") == ("a", "/")
    assert target_of("GET", "/a?b#c?d") == (None, "/a?b")
    assert target_of("GET", "http://a#b") == ("a", "/")
    assert target_of("GET", "/a{b}|\\^?c`{d}") == (None, "/a{b}|\\^?c`{d}")
    assert [target_of("GET", text) for text in ("", "a", "*", "http:///a", "ws://a/")] == [None] * 5


def test_a_broken_chunk_is_the_guests_to_see() -> None:
    with served() as found:
        client = found.client()
        client.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nzz\r\n"
        )
        assert b"2\r\nhe\r\n" in client.rest()
    assert [one.ended for one in found.done] == [None]


def test_a_client_that_goes_in_its_request_harms_nobody() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        client.socket.close()
        assert head_of(found.ask(post(b"hello")))[2] == HELLO
    assert [one.ended for one in found.done] == [None, None]


def test_a_response_that_is_not_whole_has_its_reason() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        reset = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.socket.close()
        assert head_of(found.ask(post(b"hello")))[2] == HELLO
    told = {(one.status, one.error) for one in found.done}
    assert told == {(200, "connection-terminated"), (200, None)}


def test_a_client_that_takes_nothing_stops_the_guest_and_no_more_is_read() -> None:
    """Whatever is on its way fits the buffers of the system and one of ours."""
    with served() as found:
        client = found.client()
        client.socket.settimeout(0.5)
        client.say(post(b"")[:-4].replace(b"Length: 0", b"Length: 1073741824") + b"\r\n\r\n")
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.socket.send(bytes(65536))
        assert sent < 64 << 20
        client.socket.close()
        assert head_of(found.ask(post(b"hello")))[2] == HELLO


def test_a_trap_is_a_500_and_others_go_on() -> None:
    with served() as found:
        slow = found.client()
        slow.say(post(b"hello")[:-3])
        slow.until(b"he\r\n")
        # The echo has answered before it traps, so its body is cut.
        assert not found.ask(post(b"!")).endswith(b"0\r\n\r\n")
        slow.say(b"llo")
        assert slow.rest() == b"3\r\nllo\r\n0\r\n\r\n"
    trapped = [one.ended for one in found.done if one.ended is not None]
    assert ["unreachable" in str(one.trap) for one in trapped] == [True]
    assert len(found.done) == 2


def test_a_fault_of_the_guest_is_its_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "[method]input-stream.blocking-read"

    def bad(*_: object) -> bytes:
        raise Fault("that is not done")

    monkeypatch.setitem(STREAMS.functions, name, bad)
    with served() as found:
        found.ask(post(b"x"))
    (one,) = found.done
    assert one.ended is not None
    assert str(one.ended.trap) == f"wasi:io/streams@0.2.0#{name}: that is not done"


@pytest.mark.parametrize("reuse", [1, 3])
def test_a_body_that_is_left_ends_when_the_guest_returns(reuse: int) -> None:
    """As JavaScript's does; what a guest traps in is cut off."""
    finish = "(call $finish (local.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 64))"
    text = (ROOT / "fixtures" / "wat" / "http_echo.wat").read_text()
    assert text.count(finish) == 1
    with served(bytes(wat2wasm(text.replace(finish, ""))), reuse=reuse) as found:
        assert found.ask(post(b"hello")).endswith(HELLO)
        assert found.ask(post(b"hello")).endswith(HELLO)
        assert not found.ask(post(b"!")).endswith(b"0\r\n\r\n")


def test_an_error_of_the_host_is_one_guests_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "[method]input-stream.blocking-read"

    def bad(*_: object) -> bytes:
        raise LookupError("lost")

    monkeypatch.setitem(STREAMS.functions, name, bad)
    with served() as found:
        found.ask(post(b"x"))
    (one,) = found.done
    assert one.ended is not None
    text = f"the host failed in wasi:io/streams@0.2.0#{name}: LookupError: lost"
    assert str(one.ended.trap) == text


def test_a_guest_that_never_answers_is_stopped() -> None:
    with served(timeout=0.3) as found:
        answer = found.ask(post(b"~"))
        assert answer.startswith(b"HTTP/1.1 200")
        assert not answer.endswith(b"0\r\n\r\n")
    (one,) = found.done
    assert one.ended is not None
    assert str(one.ended.trap) == "it had not answered after 0.3 seconds"


def test_a_guest_that_waits_is_stopped_too() -> None:
    with served(timeout=0.3) as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.rest()
    (one,) = found.done
    assert one.ended is not None
    assert "had not answered" in str(one.ended.trap)


def test_the_server_ends_with_guests_under_way() -> None:
    with served() as found:
        waiting, running = found.client(), found.client()
        waiting.say(post(b"hello")[:-3])
        waiting.until(b"he\r\n")
        running.say(post(b"~"))
        running.until(b"\r\n\r\n")
        idle = found.client()
        found.stop()
        for client in (waiting, running, idle):
            client.rest()
    assert (
        sorted(str(one.ended and one.ended.trap) for one in found.done)
        == ["it was stopped, as the server ends"] * 2
    )
    assert not found.failed


def test_a_request_under_way_may_end_within_the_grace() -> None:
    with served() as found:
        client = found.client()
        client.say(post(b"hello")[:-3])
        client.until(b"he\r\n")
        stopping = threading.Thread(target=found.stop)
        stopping.start()
        client.say(b"llo")
        assert client.rest() == b"3\r\nllo\r\n0\r\n\r\n"
        stopping.join()
    assert [one.ended for one in found.done] == [None]


def test_many_at_a_time() -> None:
    """All wait for their last byte until all have begun."""
    with served(reuse=3) as found:
        for _ in range(3):
            clients = [found.client() for _ in range(16)]
            for client in clients:
                client.say(post(b"hello")[:-3])
            for client in clients:
                client.until(b"he\r\n")
            for client in clients:
                client.say(b"llo")
            assert {client.rest() for client in clients} == {b"3\r\nllo\r\n0\r\n\r\n"}
    assert [one.ended for one in found.done] == [None] * 48


def test_more_connections_than_there_is_room_for_wait() -> None:
    with served(most=1) as found:
        first, second = found.client(), found.client()
        second.say(post(b"hello"))
        first.say(post(b"hello"))
        assert first.rest().endswith(HELLO)
        assert second.rest().endswith(HELLO)


def test_a_port_in_use() -> None:
    with served() as found:
        host, port = found.server.address
        with pytest.raises(UsageError) as caught:
            Server(found.handler, host, port, lambda one: None)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --addr"
    )


def test_what_done_raises_ends_it_all() -> None:
    with served() as found:
        found.server.done = lambda one: [][one.status]
        found.ask(post(b"hello"))
        found.stop()
    assert [type(error) for error in found.failed] == [IndexError]


def test_nothing_stays_open() -> None:
    """Descriptors and threads after some requests, good and bad, are those of before."""
    import os

    with served() as found:
        found.ask(post(b"hello"))

        def state() -> tuple[int, int]:
            return len(os.listdir("/proc/self/fd")), threading.active_count()

        before = state()
        for _ in range(20):
            found.ask(post(b"hello"))
            found.ask(post(b"!"))
            client = found.client()
            client.say(post(b"hello")[:-3])
            client.until(b"he\r\n")
            client.socket.close()
        found.ask(post(b"hello"))
        with found.server._changed:
            assert found.server._changed.wait_for(lambda: not found.server._open, 60)
        after = state()
        assert after[0] <= before[0]
    assert not found.handler._busy


def test_a_large_body_in_little_memory() -> None:
    """8 MiB go through; Python's share of the memory does not grow with them."""
    import tracemalloc

    with served() as found:
        client = found.client()
        size = 8 << 20
        head = post(b"").replace(b"Length: 0", b"Length: %d" % size)
        got = 0

        def take(client: Client) -> None:
            nonlocal got
            while part := client.socket.recv(1 << 16):
                got += len(part)

        taking = threading.Thread(target=take, args=(client,))
        tracemalloc.start()
        try:
            client.say(head)
            taking.start()
            for _ in range(size >> 16):
                client.say(bytes(65536))
            taking.join()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        client.socket.close()
    assert got > size
    assert peak < 4 << 20
