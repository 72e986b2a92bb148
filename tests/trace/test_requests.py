"""Which calls are part of which request, and what is known of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace.records import Log
from whamm_cm.trace import requests
from whamm_cm.trace.requests import Request, route_of
from whamm_cm.trace.session import Session
from whamm_cm.trace.traffic import Traffic

HANDLE = "wasi:http/incoming-handler#handle"
HANDLE3 = "wasi:http/handler#handle"
HTTP = "wasi:http/types#"
RANDOM = "wasi:random/random#get-random-u64"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PARENT64 = "MDAtNGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzYtMDBmMDY3YWEwYmE5MDJiNy0wMQ=="


def ask(log: Log, handle: int = 1, status: int = 200, **more: Any) -> int:
    """A request of 0.2 that asks for everything; the number of its call."""
    call = log.enter(HANDLE, edge="export", args={"request": handle, "response-out": 2}, **more)
    log.call(HTTP + "incoming-request.method", {"post": None}, handle)
    log.call(HTTP + "incoming-request.path-with-query", "/users/17?x=1", handle)
    log.call(HTTP + "incoming-request.scheme", {"HTTPS": None}, handle)
    log.call(HTTP + "incoming-request.authority", "shop.test", handle)
    log.call(HTTP + "incoming-request.headers", 5, handle)
    log.call(HTTP + "fields.get", [{"~b64": PARENT64}], 5, name="TraceParent")
    log.call(HTTP + "outgoing-response.new", 6, headers=9)
    if status != 200:
        log.call(HTTP + "outgoing-response.set-status-code", {"ok": None}, 6, status_code=status)
    log.call(HTTP + "response-outparam.set", param=2, response={"ok": 6})
    return call


def streamed(log: Log) -> list[Request]:
    traffic = Traffic()
    for record in log:
        traffic.feed(record)
    traffic.finish()
    return traffic.take_requests()


def test_methods_go_by_their_letters() -> None:
    log = Log()
    call = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    log.call(HTTP + "incoming-request.method", {"other": "Purge"}, 1)
    log.call(HTTP + "outgoing-request.new", 6, headers=5)
    method = {"method": {"other": "get"}}
    log.call(HTTP + "outgoing-request.set-method", {"ok": None}, 6, **method)
    log.call("wasi:http/outgoing-handler#handle", {"ok": 7}, request=6, options=None)
    log.leave(HANDLE, call)
    session = Session.build(log)
    assert [request.method for request in session.requests] == ["Purge"]
    assert [exchange.method for exchange in session.exchanges] == ["get"]


def test_what_the_guest_asks_for_is_what_is_known() -> None:
    log = Log()
    log.leave(HANDLE, ask(log, status=503))
    session = Session.build(log)
    (request,) = session.requests
    assert (request.method, request.path) == ("POST", "/users/17?x=1")
    assert (request.scheme, request.authority) == ("https", "shop.test")
    assert (request.status, request.error, request.failed) == (503, None, True)
    assert request.traceparent == PARENT
    assert request.route == "/users/{n}"
    assert (request.req, request.call, request.instance) == (1, 0, 1)
    assert request.start_ns == session.calls[0].start_ns
    assert request.dur_ns == session.calls[0].dur_ns
    assert request.answered_ns is not None and request.dur_ns is not None
    assert request.answered_ns < request.dur_ns
    assert {call.req for call in session.calls} == {1}
    assert streamed(log) == [request]


def test_the_default_status_is_200_and_an_error_code_is_told() -> None:
    log = Log()
    log.leave(HANDLE, ask(log))
    call = log.enter(HANDLE, edge="export", args={"request": 3, "response-out": 4})
    code = {"error": {"DNS-timeout": None}}
    log.call(HTTP + "response-outparam.set", param=4, response=code)
    log.leave(HANDLE, call)
    good, bad = Session.build(log).requests
    assert (good.status, good.error) == (200, None)
    assert (bad.status, bad.error, bad.failed) == (None, "DNS-timeout", True)
    assert (bad.method, bad.path, bad.route, bad.title) == (None, None, None, HANDLE)


def test_an_instance_serves_several_requests_one_after_the_other() -> None:
    log = Log()
    for number in (1, 2, 3):
        log.leave(HANDLE, ask(log, status=200 + number))
        log.call(RANDOM, 7)  # between requests
    session = Session.build(log)
    assert [r.status for r in session.requests] == [201, 202, 203]
    assert [r.req for r in session.requests] == [1, 2, 3]
    assert [c.req for c in session.calls if c.site.func.startswith("get-random")] == [0, 0, 0]


def test_instances_interleave() -> None:
    log = Log()
    first = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    second = log.enter(HANDLE, edge="export", instance=2, args={"request": 1, "response-out": 2})
    for instance, path in ((2, "/b"), (1, "/a")):
        call = log.enter(HTTP + "incoming-request.path-with-query", instance=instance, self=1)
        log.leave(HTTP + "incoming-request.path-with-query", call, result=path)
    log.leave(HANDLE, second)
    log.leave(HANDLE, first)
    session = Session.build(log)
    assert [(r.path, r.instance) for r in session.requests] == [("/a", 1), ("/b", 2)]
    assert [c.req for c in session.calls] == [1, 2, 2, 1]
    assert [r.req for r in streamed(log)] == [2, 1]


def test_tasks_of_one_instance_are_requests_at_the_same_time() -> None:
    log = Log()
    calls = {}
    for task, handle in ((1, 11), (2, 12)):
        args, told = {"request": handle}, {"args.request": "request"}
        calls[task] = log.enter(HANDLE3, edge="export", task=task, args=args, handles=told)
    for task, path in ((2, "/two"), (1, "/one")):
        item = HTTP + "request.get-path-with-query"
        number = log.enter(item, task=task, self=10 + task, handles={"self": "request"})
        log.leave(item, number, task=task, result=path)
    for task, status in ((1, 404), (2, 500)):
        made = log.enter(HTTP + "response.new", task=task, args={"headers": 1})
        told = {"result.0": "response", "result.1": "new:future"}
        log.leave(HTTP + "response.new", made, task=task, result=[20 + task, 30], handles=told)
        item = HTTP + "response.set-status-code"
        args, told = {"status-code": status}, {"self": "response"}
        number = log.enter(item, task=task, self=20 + task, args=args, handles=told)
        log.leave(item, number, task=task, result={"ok": None})
    told = {"result.ok": "response"}
    log.later("return", calls[2], result={"ok": 22}, handles=told)
    log.later("return", calls[1], result={"ok": 21}, handles=told)
    body = log.enter(RANDOM, task=1)
    log.leave(RANDOM, body, task=1, result=1)
    log.later("exit", calls[1])
    session = Session.build(log)
    one, two = session.requests
    assert (one.path, one.status, one.task) == ("/one", 404, 1)
    assert (two.path, two.status, two.task) == ("/two", 500, 2)
    assert one.dur_ns is not None and one.answered_ns is not None
    assert one.dur_ns > one.answered_ns
    assert all(call.req == call.task for call in session.calls)


def test_what_other_components_do_is_part_of_the_request() -> None:
    log = Log()
    call = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    lower = log.enter("a:b/c#d", edge="inner")
    lift = log.enter("a:b/c#d", edge="inner", instance=2)
    deep = log.enter(RANDOM, instance=2)
    log.leave(RANDOM, deep, result=1)
    log.leave("a:b/c#d", lift)
    log.leave("a:b/c#d", lower)
    log.leave(HANDLE, call)
    assert [c.req for c in Session.build(log).calls] == [1, 1, 1, 1]


def test_blocks_of_another_component_may_arrive_late() -> None:
    log = Log()
    call = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    lower = log.enter("a:b/c#d", edge="inner")
    lift = log.enter("a:b/c#d", edge="inner", instance=2)
    deep = log.enter(RANDOM, instance=2)
    log.leave(RANDOM, deep, result=1)
    log.leave("a:b/c#d", lift)
    log.leave("a:b/c#d", lower)
    log.leave(HANDLE, call)
    late = [r for r in log if r["instance"] == 1] + [r for r in log if r["instance"] == 2]
    session = Session.build(late)
    assert [c.req for c in session.calls] == [1, 1, 1, 1]
    assert len(session.requests) == 1


def test_a_request_that_never_returns_says_so() -> None:
    log = Log()
    ask(log, status=201)
    (request,) = Session.build(log).requests
    assert (request.status, request.error, request.dur_ns) == (201, requests.UNFINISHED, None)


def test_a_lost_beginning_is_no_reason_to_lose_the_rest() -> None:
    log = Log()
    log.leave(HANDLE, ask(log))
    session = Session.build(log.records[1:])
    (request,) = session.requests
    assert request.method is None and request.dur_ns is not None


def test_a_host_that_knows_is_believed() -> None:
    log = Log()
    told = {"method": "GET", "path": "/h", "authority": "h.test", "peer": "10.0.0.9:5"}
    log.records.append({"phase": "request", "req": 7, "instance": 1, "t_ns": 500, **told})
    call = ask(log, req=7)
    log.leave(HANDLE, call, req=7)
    over = {"status": 500, "error": "it trapped", "dur_ns": 9000}
    log.records.append({"phase": "answer", "req": 7, "instance": 1, **over})
    session = Session.build(log)
    (request,) = session.requests
    assert (request.req, request.method, request.path) == (7, "GET", "/h")
    assert (request.peer, request.scheme) == ("10.0.0.9:5", "https")  # that the guest asked for
    assert (request.status, request.error) == (500, "it trapped")
    assert (request.start_ns, request.dur_ns, request.call) == (500, 9000, 0)
    assert {c.req for c in session.calls} == {7}


def test_any_other_export_is_a_request_too() -> None:
    log = Log()
    log.leave("wasi:cli/run#run", log.enter("wasi:cli/run#run", edge="export"))
    (request,) = Session.build(log).requests
    assert (request.function, request.title) == ("wasi:cli/run#run", "wasi:cli/run#run")
    assert not request.is_http and not request.failed


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_OPEN", 4)
    log = Log()
    for instance in range(1, 20):
        log.enter(HANDLE, edge="export", instance=instance, args={"request": 1})
    traffic = Traffic()
    for record in log:
        traffic.feed(record)
        assert len(traffic.requests.under_way()) <= 4
    assert len(traffic.take_requests()) == 15


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("", "/"),
        ("/a/b", "/a/b"),
        ("/users/17?x=1", "/users/{n}"),
        ("/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/{uuid}/x"),
        ("/blob/9f86d081884c7d65", "/blob/{hex}"),
        ("/deadbeef/cafe", "/deadbeef/cafe"),
        ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/t/{id}"),
        ("/1/2/3/4/5/6/7/8/9", "/{n}/{n}/{n}/{n}/{n}/{n}/{n}/{n}/…"),
    ],
)
def test_a_route_is_the_path_without_what_varies(path: str, route: str) -> None:
    assert route_of(path) == route
