"""Names and attributes of spans, by the semantic conventions."""

from __future__ import annotations

from typing import Any

import pytest

from whamm_cm.trace.semconv import (
    Kind,
    client_attributes,
    error_name,
    error_type,
    http_name,
    limited,
    masked_url,
    method_attributes,
    server_attributes,
    status_attributes,
)
from whamm_cm.trace.session import Session
from whamm_cm.trace.spans import Span, Spans

STORE = {"interface": "wasi:keyvalue/store", "version": "0.2.0-draft", "edge": "import"}


def call(number: int, func: str, result: Any = None, **more: Any) -> list[dict[str, Any]]:
    """A call of ``func`` and its return; ``edge`` and the like, ``self`` and ``args`` in more."""
    head = {"v": 2, "run": "r", "instance": 1, "call": number, "func": func, **more}
    opened = {**head, "phase": "call", "t_ns": 1000 * number}
    head.pop("args", None)
    closed = {**head, "phase": "return", "t_ns": 1000 * number + 700, "result": result}
    return [opened, closed]


def only(records: list[dict[str, Any]]) -> Span:
    session = Session.build(records)
    assert len(session.calls) == 1
    return Spans(session, 10**18, {}).of_call(0)


def test_a_store_is_a_database() -> None:
    records = call(1, "bucket.get", {"ok": None}, **STORE, self=3, args={"key": "k"})
    span = only(records)
    assert (span.name, span.kind, span.error) == ("get", Kind.CLIENT, None)
    found = span.attributes
    assert (found["db.system.name"], found["db.operation.name"]) == ("wasi:keyvalue", "get")
    assert found["code.function.name"] == "wasi:keyvalue/store#bucket.get"
    assert found["whamm_cm.args.key"] == '"k"' and "error.type" not in found


def test_the_end_of_a_handle_is_no_query() -> None:
    span = only(call(1, "bucket.drop", None, **STORE, args={"bucket": 3}))
    assert span.kind is Kind.INTERNAL and "db.system.name" not in span.attributes


def test_an_error_is_told_by_its_case() -> None:
    records = call(1, "open", {"error": {"other": "no route to 10.0.0.1"}}, **STORE)
    span = only(records)
    assert (span.error, span.attributes["error.type"]) == ("", "other")
    records = call(1, "open", {"error": "no-such-store"}, **STORE)
    assert only(records).attributes["error.type"] == "no-such-store"


@pytest.mark.parametrize(
    "payload, name",
    [
        ("access-denied", "access-denied"),
        ({"HTTP-protocol-error": None}, "HTTP-protocol-error"),
        ({"last-operation-failed": 7}, "last-operation-failed"),
        ({"~cut": 9, "~str": "x"}, "_OTHER"),
        ({"~redacted": 9}, "_OTHER"),
        ("cannot connect to db-7: password was hunter2", "_OTHER"),
        (None, "_OTHER"),
        (17, "_OTHER"),
    ],
)
def test_an_error_is_never_told_in_words(payload: object, name: str) -> None:
    assert error_name(payload) == name


def test_what_did_not_return_is_an_error() -> None:
    opened, _ = call(1, "run", edge="export", interface="wasi:cli/run")
    span = only([opened])
    assert span.error == "it never returned"
    assert span.attributes["error.type"] == "never-returned"
    session = Session.build([opened])
    assert error_type(session.calls[0]) == "never-returned"


def test_messages_are_sent_and_processed() -> None:
    name = "wasmcloud:messaging/consumer"
    message = {"subject": "orders", "body": {"~b64": ""}, "reply-to": None}
    sent = only(
        call(1, "publish", {"ok": None}, edge="import", interface=name, args={"msg": message})
    )
    assert (sent.name, sent.kind) == ("publish orders", Kind.PRODUCER)
    assert sent.attributes["messaging.system"] == "wasmcloud"
    assert sent.attributes["messaging.destination.name"] == "orders"
    assert sent.attributes["messaging.operation.type"] == "send"
    name = "wasmcloud:messaging/handler"
    taken = only(
        call(1, "handle-message", {"ok": None}, edge="export", interface=name,
             args={"msg": message})
    )  # fmt: skip
    assert (taken.name, taken.kind) == ("handle-message orders", Kind.CONSUMER)
    assert taken.attributes["messaging.operation.type"] == "process"


def test_names_of_http_never_have_a_path() -> None:
    assert http_name("GET", None) == "GET"
    assert http_name("GET", "/users/{n}") == "GET /users/{n}"
    assert http_name("BREW", "/pot") == "HTTP /pot"
    assert method_attributes("BREW") == {
        "http.request.method": "_OTHER",
        "http.request.method_original": "BREW",
    }
    assert method_attributes("get")["http.request.method"] == "_OTHER"  # case counts


def test_a_request_that_came_in() -> None:
    found = server_attributes("/a/b?x=1&token=abc&y", "HTTP", "shop.test:8000", "10.0.0.9:4711")
    assert found == {
        "url.path": "/a/b",
        "url.query": "x=1&token=REDACTED&y",
        "url.scheme": "http",
        "server.address": "shop.test",
        "server.port": 8000,
        "client.address": "10.0.0.9",
        "network.peer.address": "10.0.0.9",
        "network.peer.port": 4711,
    }
    assert server_attributes("?q=1", None, None)["url.path"] == "/"
    assert server_attributes(None, None, "[::1]:80") == {"server.address": "::1", "server.port": 80}
    assert server_attributes("/", "https", "::1")["server.address"] == "::1"


@pytest.mark.parametrize(
    "url, shown",
    [
        ("http://a/b", "http://a/b"),
        ("https://me:pass@a.test/x?y=1", "https://REDACTED:REDACTED@a.test/x?y=1"),
        ("https://me@a.test", "https://REDACTED@a.test"),
        ("https://a.test/@me:x?mail=a@b", "https://a.test/@me:x?mail=a@b"),
        ("https://a.test?sig=1&b=2#frag", "https://a.test?sig=REDACTED&b=2#frag"),
        ("https://a/?X-Amz-Signature=z&ok=1", "https://a/?X-Amz-Signature=REDACTED&ok=1"),
    ],
)
def test_urls_have_no_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_request_that_goes_out() -> None:
    assert client_attributes("https://api.test/x?key=k", "api.test:443") == {
        "url.full": "https://api.test/x?key=REDACTED",
        "server.address": "api.test",
        "server.port": 443,
    }


def test_a_status_is_an_error_by_who_looks() -> None:
    assert status_attributes(404, 500) == ({"http.response.status_code": 404}, None)
    assert status_attributes(404, 400) == ({"http.response.status_code": 404}, "404")
    assert status_attributes(None, 400) == ({}, None)


def test_values_have_an_end() -> None:
    assert limited({"a": "x" * 9, "b": 123456789}, 4) == {"a": "xxxx", "b": 123456789}
    records = call(1, "log", None, edge="import", interface="x:y/z", args={"m": "é" * 5000})
    span = Spans(Session.build(records), 0, {}, 100).of_call(0)
    assert span.attributes["whamm_cm.args.m"] == '"' + "é" * 99
