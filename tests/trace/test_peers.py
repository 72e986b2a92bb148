"""Whom a component talked to, joined over handles: a backend of 40 ms shows 40 ms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace.records import Log
from whamm_cm.trace import peers
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.session import Session
from whamm_cm.trace.traffic import Traffic

HTTP = "wasi:http/types#"
IN, OUT = "wasi:io/streams#input-stream.", "wasi:io/streams#output-stream."
POLL = "wasi:io/poll#"
SOCKETS = "wasi:sockets/"
TCP = SOCKETS + "tcp#tcp-socket."
HANDLE = "wasi:http/outgoing-handler#handle"
MS = 1_000_000
BYTES = {"~b64": "aGVsbG8="}
V4 = {"ipv4": {"port": 5432, "address": [10, 0, 0, 7]}}


def request(log: Log, handle: int = 6, path: str = "/v1?x", **more: Any) -> None:
    """An outgoing request that is complete, and on its way: its future is ``handle`` + 1."""
    log.call(HTTP + "fields.new", 5)
    log.call(HTTP + "outgoing-request.new", handle, headers=5)
    log.call(HTTP + "outgoing-request.set-method", {"ok": None}, handle, method={"put": None})
    log.call(HTTP + "outgoing-request.set-scheme", {"ok": None}, handle, scheme={"HTTPS": None})
    authority = {"authority": "api.test"}
    log.call(HTTP + "outgoing-request.set-authority", {"ok": None}, handle, **authority)
    set_path = HTTP + "outgoing-request.set-path-with-query"
    log.call(set_path, {"ok": None}, handle, path_with_query=path)
    log.call(HTTP + "outgoing-request.body", {"ok": 8}, handle)
    log.call(HTTP + "outgoing-body.write", {"ok": 9}, 8)
    log.call(HANDLE, {"ok": handle + 1}, request=handle, options=None)
    log.call(OUT + "blocking-write-and-flush", {"ok": None}, 9, contents=BYTES)
    log.call(OUT + "drop", ..., 9)
    log.call(HTTP + "outgoing-body.finish", {"ok": None}, this=8, trailers=None)


def waited(log: Log, future: int = 7, ms: int = 40) -> None:
    """In ``poll``, which is not of the future."""
    log.call(HTTP + "future-incoming-response.get", None, future)
    log.call(HTTP + "future-incoming-response.subscribe", 20, future)
    call = log.enter(POLL + "poll", args={"in": [31, 20]})
    log.now += ms * MS
    log.leave(POLL + "poll", call, result=[1])


def answered(log: Log, future: int = 7, status: int = 200) -> None:
    log.call(HTTP + "future-incoming-response.get", {"ok": {"ok": 10}}, future)
    log.call(POLL + "pollable.drop", ..., 20)
    log.call(HTTP + "future-incoming-response.drop", ..., future)
    log.call(HTTP + "incoming-response.status", status, 10)
    log.call(HTTP + "incoming-response.consume", {"ok": 11}, 10)
    log.call(HTTP + "incoming-body.stream", {"ok": 12}, 11)
    log.call(IN + "blocking-read", {"ok": BYTES}, 12, len=100)
    log.call(IN + "skip", {"ok": 3}, 12, len=100)
    log.call(IN + "read", {"error": {"closed": None}}, 12, len=100)
    log.call(IN + "drop", ..., 12)
    log.call(HTTP + "incoming-body.drop", ..., 11)


def streamed(log: Log) -> list[Exchange]:
    traffic = Traffic()
    found = []
    for record in log:
        traffic.feed(record)
        found += traffic.take_exchanges()
    return found


def only(log: Log) -> Exchange:
    (exchange,) = Session.build(log).exchanges
    return exchange


def test_a_backend_of_40_ms_shows_40_ms() -> None:
    log = Log()
    request(log)
    waited(log)
    log.now += 500 * MS  # the guest does something else before it asks
    answered(log)
    log.call(HTTP + "incoming-response.drop", ..., 10)
    found = only(log)
    assert found.dur_ns is not None and 40 * MS <= found.dur_ns < 41 * MS
    assert found.body_ns is not None and found.body_ns > 540 * MS
    assert (found.peer, found.url) == ("api.test:443", "https://api.test/v1?x")
    assert (found.method, found.status, found.error) == ("PUT", 200, None)
    assert (found.kind, found.sent, found.received) == ("http", 5, 8)
    session = Session.build(log)
    assert session.calls[found.call].site.item == HANDLE


def test_an_exchange_is_over_with_its_last_handle() -> None:
    log = Log()
    request(log)
    waited(log)
    answered(log)
    assert streamed(log) == []
    log.call(HTTP + "incoming-response.drop", ..., 10)
    assert len(streamed(log)) == 1


def test_several_requests_interleave() -> None:
    log = Log()
    request(log, 6, "/a")
    request(log, 40, "/b")
    waited(log, 41, 5)
    answered(log, 41, 503)
    log.call(HTTP + "incoming-response.drop", ..., 10)
    waited(log, 7, 50)
    answered(log, 7)
    a, b = Session.build(log).exchanges
    assert [a.url, b.url] == ["https://api.test/a", "https://api.test/b"]
    assert (a.status, b.status, b.failed) == (200, 503, True)
    assert a.dur_ns is not None and b.dur_ns is not None
    assert a.dur_ns > 50 * MS > b.dur_ns > 5 * MS


@pytest.mark.parametrize("early", [True, False])
def test_errors_are_told(early: bool) -> None:
    log = Log()
    error = {"error": {"connection-refused": None}}
    if early:
        log.call(HTTP + "outgoing-request.new", 6, headers=5)
        log.call(HANDLE, error, request=6, options=None)
    else:
        request(log)
        log.call(HTTP + "future-incoming-response.get", {"ok": error}, 7)
    found = only(log)
    assert (found.status, found.error, found.failed) == (None, "connection-refused", True)
    assert found.dur_ns is not None


def test_nobody_waits_for_the_answer() -> None:
    log = Log()
    request(log)
    log.call(HTTP + "future-incoming-response.drop", ..., 7)
    (found,) = streamed(log)
    assert (found.error, found.dur_ns) == (peers.CANCELLED, None)


def test_no_answer_came() -> None:
    log = Log()
    request(log)
    assert only(log).error == peers.UNFINISHED


def test_a_request_that_is_not_sent_is_none() -> None:
    log = Log()
    log.call(HTTP + "outgoing-request.new", 6, headers=5)
    log.call(HTTP + "outgoing-request.drop", ..., 6)
    assert Session.build(log).exchanges == ()


def test_it_belongs_to_the_request_and_ends_with_it() -> None:
    log = Log()
    handle = "wasi:http/incoming-handler#handle"
    call = log.enter(handle, edge="export", args={"request": 1, "response-out": 2})
    request(log)
    waited(log)
    answered(log)
    log.leave(handle, call)
    (found,) = streamed(log)
    assert (found.req, found.status) == (1, 200)


def test_the_body_may_be_read_while_the_request_is_being_sent() -> None:
    """A pollable of a stream says nothing of the response."""
    log = Log()
    log.call(HTTP + "outgoing-request.new", 6, headers=5)
    log.call(HTTP + "outgoing-request.body", {"ok": 8}, 6)
    log.call(HTTP + "outgoing-body.write", {"ok": 9}, 8)
    log.call(HANDLE, {"ok": 7}, request=6, options=None)
    log.call(OUT + "subscribe", 33, 9)
    log.call(POLL + "pollable.block", ..., 33)
    waited(log)
    answered(log)
    found = only(log)
    assert found.dur_ns is not None and found.dur_ns >= 40 * MS


def test_send_of_0_3() -> None:
    log = Log()
    told = {"result": "new:stream"}
    log.add("handle", "stream.new", 0, edge="builtin", result=4 << 32 | 3, handles=told)
    args = {"headers": 2, "contents": 3, "trailers": 7}
    gone = {"args.contents": "gone:stream", "args.trailers": "gone:future"}
    new = log.enter(HTTP + "request.new", args=args, handles=gone)
    told = {"result.0": "request", "result.1": "new:future"}
    log.leave(HTTP + "request.new", new, result=[5, 8], handles=told)
    for part, value in (("scheme", {"HTTP": None}), ("authority", "h.test:8080")):
        item = f"{HTTP}request.set-{part}"
        told = {"self": "request"}
        log.leave(item, log.enter(item, self=5, args={part: value}, handles=told))
    send = "wasi:http/client#send"
    sent = log.enter(send, args={"request": 5}, handles={"args.request": "request"})
    log.leave(send, sent, pending=True, status=81)
    copied = {"edge": "builtin", "args": {"stream": 4}, "handles": {"args.stream": "stream"}}
    write = log.enter("stream.write", **copied)
    log.leave("stream.write", write, result=5 << 4, data=BYTES)
    log.now += 40 * MS
    log.later("return", sent, result={"ok": 6}, handles={"result.ok": "response"})
    item = HTTP + "response.get-status-code"
    log.leave(item, log.enter(item, self=6, handles={"self": "response"}), result=404)
    body = HTTP + "response.consume-body"
    gone = {"args.this": "response", "args.res": "gone:future"}
    consume = log.enter(body, args={"this": 6, "res": 9}, handles=gone)
    told = {"result.0": "new:stream", "result.1": "new:future"}
    log.leave(body, consume, result=[10, 11], handles=told)
    copied = {"edge": "builtin", "args": {"stream": 10}, "handles": {"args.stream": "stream"}}
    read = log.enter("stream.read", **copied)
    log.leave("stream.read", read, result=5 << 4 | 1, data=BYTES)
    found = only(log)
    assert (found.peer, found.url, found.method) == ("h.test:8080", "http://h.test:8080/", "GET")
    assert (found.status, found.sent, found.received) == (404, 5, 5)
    assert found.dur_ns is not None and 40 * MS <= found.dur_ns < 41 * MS
    assert found.body_ns is not None and found.body_ns > found.dur_ns


def test_a_request_that_came_is_sent_on_as_it_is() -> None:
    log = Log()
    handle = "wasi:http/handler#handle"
    told = {"args.request": "request"}
    call = log.enter(handle, edge="export", task=1, args={"request": 1}, handles=told)
    path = HTTP + "request.get-path-with-query"
    number = log.enter(path, task=1, self=1, handles={"self": "request"})
    log.leave(path, number, task=1, result="/p")
    sent = log.enter(handle, task=1, args={"request": 1}, handles=told)
    back = {"result.ok": "response"}
    log.leave(handle, sent, task=1, result={"ok": 2}, handles=back)
    log.later("return", call, result={"ok": 2}, handles=back)
    log.later("exit", call)
    session = Session.build(log)
    (found,), (asked,) = session.exchanges, session.requests
    assert (found.url, found.req, asked.path) == ("/p", 1, "/p")


def test_what_goes_through_another_component_is_the_same_exchange() -> None:
    """The app makes the request, a component beneath sends it, by handles of its own."""
    log = Log()
    log.call(HTTP + "outgoing-request.new", 6, headers=5)
    authority = {"authority": "api.test"}
    log.call(HTTP + "outgoing-request.set-authority", {"ok": None}, 6, **authority)
    upper = log.enter(HANDLE, edge="inner", args={"request": 6, "options": None})
    lower = {"edge": "inner", "instance": 2}
    lift = log.enter(HANDLE, **lower, args={"request": 2, "options": None})
    sent = log.enter(HANDLE, instance=2, args={"request": 2, "options": None})
    log.leave(HANDLE, sent, result={"ok": 3})
    log.leave(HANDLE, lift, result={"ok": 3})
    log.leave(HANDLE, upper, result={"ok": 17})
    log.now += 40 * MS
    log.call(HTTP + "future-incoming-response.get", {"ok": {"ok": 18}}, 17)
    log.call(HTTP + "incoming-response.status", 204, 18)
    found = only(log)
    assert (found.peer, found.status) == ("api.test", 204)
    assert found.dur_ns is not None and found.dur_ns >= 40 * MS


def test_tcp() -> None:
    log = Log()
    names = SOCKETS + "ip-name-lookup#"
    log.call(names + "resolve-addresses", {"ok": 30}, network=1, name="db.test")
    item = names + "resolve-address-stream.resolve-next-address"
    log.call(item, {"ok": {"ipv4": [10, 0, 0, 7]}}, 30)
    log.call(SOCKETS + "tcp-create-socket#create-tcp-socket", {"ok": 3}, address_family="ipv4")
    log.call(TCP + "start-connect", {"ok": None}, 3, network=1, remote_address=V4)
    log.call(TCP + "finish-connect", {"error": "would-block"}, 3)
    log.now += 7 * MS
    log.call(TCP + "finish-connect", {"ok": [4, 5]}, 3)
    log.call(OUT + "write", {"ok": None}, 5, contents=BYTES)
    log.call(IN + "read", {"ok": {"~cut": 4000, "~b64": "aGVs"}}, 4, len=9000)
    for item, handle in ((IN, 4), (OUT, 5), (TCP, 3)):
        log.call(item + "drop", ..., handle)
    (found,) = streamed(log)
    assert (found.kind, found.peer, found.url) == ("tcp", "db.test:5432", None)
    assert (found.sent, found.received, found.error) == (5, 4000, None)
    assert found.dur_ns is not None and 7 * MS <= found.dur_ns < 8 * MS


def test_tcp_that_is_refused() -> None:
    log = Log()
    log.call(SOCKETS + "tcp-create-socket#create-tcp-socket", {"ok": 3}, address_family="ipv4")
    log.call(TCP + "start-connect", {"ok": None}, 3, network=1, remote_address=V4)
    log.call(TCP + "finish-connect", {"error": "connection-refused"}, 3)
    log.call(TCP + "drop", ..., 3)
    (found,) = streamed(log)
    assert (found.peer, found.error) == ("10.0.0.7:5432", "connection-refused")


def test_udp_is_told_by_address() -> None:
    log = Log()
    log.call(SOCKETS + "udp-create-socket#create-udp-socket", {"ok": 3}, address_family="ipv4")
    log.call(SOCKETS + "udp#udp-socket.stream", {"ok": [4, 5]}, 3, remote_address=None)
    other = {"ipv4": {"port": 53, "address": [10, 0, 0, 9]}}
    sent = [{"data": BYTES, "remote-address": V4}, {"data": BYTES, "remote-address": other}]
    udp = SOCKETS + "udp#"
    log.call(udp + "outgoing-datagram-stream.send", {"ok": 2}, 5, datagrams=sent)
    got = [{"data": BYTES, "remote-address": other}]
    log.call(udp + "incoming-datagram-stream.receive", {"ok": got}, 4, max_results=9)
    one, two = Session.build(log).exchanges
    assert [(x.peer, x.sent, x.received) for x in (one, two)] == [
        ("10.0.0.7:5432", 5, 0),
        ("10.0.0.9:53", 5, 5),
    ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_OPEN", 4)
    log = Log()
    for number in range(20):
        request(log, 100 + 2 * number)
    traffic = Traffic()
    for record in log:
        traffic.feed(record)
        assert len(traffic.peers.under_way()) <= 4
    assert len(traffic.take_exchanges()) == 16
