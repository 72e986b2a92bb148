"""What spans are called and say, by OpenTelemetry's semantic conventions.

Names are those of the conventions as far as they have any (http, url, server, client, network, db,
messaging, faas, code, error); what only we know is ``whamm_cm.…``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, TypeAlias

from whamm_cm.trace.call import Call
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.failures import ANSWER_SET, STATUS_RETURNED, STATUS_SET
from whamm_cm.trace.secrets import is_parameter

Value: TypeAlias = str | int | float | bool | tuple[str, ...]
Attributes: TypeAlias = dict[str, Value]

#: Characters of a value at most, unless somebody says else.
LONGEST: Final = 1024
#: Methods that are told by name (RFC 9110, PATCH, QUERY); others are ``_OTHER``.
METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
OTHER: Final = "_OTHER"
_REDACTED = "REDACTED"
_NO_ERRORS = ("closed", "would-block")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_STORES = ("wasi:keyvalue/", "wasmcloud:keyvalue/")
_MESSAGES = ("wasmcloud:messaging/", "wasi:messaging/")


class Kind(IntEnum):
    """As in OTLP."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


# --- calls ----------------------------------------------------------------------------------------


def kind_of(call: Call) -> Kind:
    """Of a call as such: what goes to a service of the host is a client's."""
    site = call.site
    if site.edge == "export":
        return Kind.CONSUMER if site.interface.startswith(_MESSAGES) else Kind.SERVER
    if site.edge != "import":
        return Kind.INTERNAL
    if site.interface.startswith(_STORES) and not _is_handle_work(call):
        return Kind.CLIENT
    if site.interface.startswith(_MESSAGES) and not _is_handle_work(call):
        return Kind.PRODUCER
    return Kind.INTERNAL


def trigger_of(function: str, is_http: bool) -> str:
    """What brought an invocation about, as ``faas.trigger`` has it."""
    if is_http:
        return "http"
    return "pubsub" if function.startswith(_MESSAGES) else "other"


def name_of(call: Call) -> str:
    """``get cache`` of a store, ``publish subject`` of messages, else the function."""
    kind, operation = kind_of(call), _operation(call)
    if kind is Kind.CLIENT:
        return f"{operation} {_bucket(call)}".rstrip()
    if kind in (Kind.PRODUCER, Kind.CONSUMER):
        subject = _subject(call)
        return f"{operation} {subject}" if subject else operation
    return call.site.shown


def call_attributes(call: Call) -> Iterator[tuple[str, Value]]:
    """What is known of a call from its own records."""
    site = call.site
    yield "code.function.name", site.item
    yield "whamm_cm.edge", site.edge
    for name in ("component", "interface", "version"):
        if getattr(site, name):
            yield f"whamm_cm.{name}", getattr(site, name)
    yield "whamm_cm.instance", call.instance
    if call.task:
        yield "whamm_cm.task", call.task
    if call.self_handle is not None:
        yield "whamm_cm.self", call.self_handle
    yield from _of_services(call)
    for name, value in call.args.items():
        yield f"whamm_cm.args.{name}", _compact(value)
    if call.has_result:
        yield "whamm_cm.result", _compact(call.result)
    if call.waits:
        yield "whamm_cm.waiting_ns", sum(last - first for first, last in call.waits)
    if call.outcome is not Outcome.RETURNED:
        yield "whamm_cm.outcome", call.outcome.value


def _of_services(call: Call) -> Iterator[tuple[str, Value]]:
    kind = kind_of(call)
    if kind is Kind.CLIENT:
        yield "db.system.name", call.site.interface.partition("/")[0]
        yield "db.operation.name", _operation(call)
        if _bucket(call):
            yield "db.collection.name", _bucket(call)
    elif kind in (Kind.PRODUCER, Kind.CONSUMER):
        yield "messaging.system", call.site.interface.partition(":")[0]
        yield "messaging.operation.name", _operation(call)
        yield "messaging.operation.type", "process" if kind is Kind.CONSUMER else "send"
        subject = _subject(call)
        if subject:
            yield "messaging.destination.name", subject


def _operation(call: Call) -> str:
    """``get`` of ``bucket.get``."""
    return call.site.func.rpartition(".")[2]


def _bucket(call: Call) -> str:
    return call.about.strip('"') if call.site.func.startswith("bucket.") else ""


def _is_handle_work(call: Call) -> bool:
    """Whether the host only hears that a handle is gone."""
    return call.site.func.endswith(".drop")


def _subject(call: Call) -> str:
    for name in ("subject", "topic"):
        if isinstance(call.args.get(name), str):
            return str(call.args[name])
    for value in call.args.values():
        if isinstance(value, dict) and isinstance(value.get("subject"), str):
            return str(value["subject"])
    return ""


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- errors ---------------------------------------------------------------------------------------


def error_type(call: Call) -> str | None:
    """A word for the kind of error the call ended with, of few there are; None for none, and for
    what is only said in that way: that a stream has ended, or that there is nothing yet."""
    if call.cancelled:
        return "cancelled"
    if call.outcome is Outcome.UNFINISHED:
        return "never-returned"
    if not call.failed:
        return None
    item = call.site.item
    found = _error_case(call.result)
    if found is None and item in STATUS_RETURNED:
        found = str(call.result)
    elif found is None and item in STATUS_SET:
        found = str(call.args.get(STATUS_SET[item]))
    elif found is None and item in ANSWER_SET:
        found = _error_case(call.args.get(ANSWER_SET[item]))
    return None if found in _NO_ERRORS else found or OTHER


def _error_case(result: object) -> str | None:
    """The case of the error in a result, be it inside another."""
    while isinstance(result, dict) and len(result) == 1:
        ((name, payload),) = result.items()
        if name == "error":
            return error_name(payload)
        if name not in ("ok", "some"):
            return None
        result = payload
    return None


def error_name(payload: object) -> str:
    """What an error is called: its label or case.  What is said in words may be anything."""
    if isinstance(payload, dict) and len(payload) == 1:
        name = next(iter(payload))
        return OTHER if name.startswith("~") else str(name)
    fits = isinstance(payload, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]{0,63}", payload)
    return str(payload) if fits else OTHER


# --- HTTP -----------------------------------------------------------------------------------------


def method_attributes(method: str | None) -> Attributes:
    """``http.request.method``, and the original where it is none that everybody knows."""
    if method is None:
        return {}
    if method in METHODS:
        return {"http.request.method": method}
    return {"http.request.method": OTHER, "http.request.method_original": method}


def http_name(method: str | None, target: str | None) -> str:
    """``GET /route``; a path as such is no target, for there are too many."""
    word = method if method in METHODS else "HTTP"
    return f"{word} {target}" if target else str(word)


def server_attributes(
    path_with_query: str | None, scheme: str | None, authority: str | None, peer: str | None = None
) -> Attributes:
    """Of a request that came in."""
    found: Attributes = {}
    if path_with_query is not None:
        path, mark, query = path_with_query.partition("?")
        found["url.path"] = path or "/"
        if mark:
            found["url.query"] = masked_query(query)
    if scheme:
        found["url.scheme"] = scheme.lower()
    host, port = _split(authority, scheme)
    if host:
        found["server.address"] = host
        if port is not None:
            found["server.port"] = port
    address, peer_port = _split(peer, None)
    if address:
        found["client.address"] = found["network.peer.address"] = address
        if peer_port is not None:
            found["network.peer.port"] = peer_port
    return found


def client_attributes(url: str | None, peer: str | None) -> Attributes:
    """Of a request that goes out; ``peer`` is ``host:port``."""
    found: Attributes = {}
    if url:
        found["url.full"] = masked_url(url)
    host, port = _split(peer, (url or "").partition(":")[0])
    if host:
        found["server.address"] = host
        if port is not None:
            found["server.port"] = port
    return found


def status_attributes(status: int | None, least_error: int) -> tuple[Attributes, str | None]:
    """What a status says, and the ``error.type`` that it is."""
    if status is None:
        return {}, None
    return {"http.response.status_code": status}, str(status) if status >= least_error else None


def masked_url(url: str) -> str:
    """Without credentials, and without the values of parameters that are secret."""
    start, mark, rest = url.partition("://")
    if mark:
        authority, slash, more = _cut_at(rest, "/?#")
        user, at, host = authority.rpartition("@")
        if at:
            hidden = f"{_REDACTED}:{_REDACTED}" if ":" in user else _REDACTED
            authority = f"{hidden}@{host}"
        url = f"{start}://{authority}{slash}{more}"
    before, mark, query = url.partition("?")
    if not mark:
        return url
    query, sharp, fragment = query.partition("#")
    return f"{before}?{masked_query(query)}{sharp}{fragment}"


def _cut_at(text: str, marks: str) -> tuple[str, str, str]:
    found = re.search(f"[{re.escape(marks)}]", text)
    if found is None:
        return text, "", ""
    return text[: found.start()], found[0], text[found.end() :]


def masked_query(query: str) -> str:
    """The same with REDACTED for the values of parameters that are secret."""
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        secret = equals and is_parameter(name.encode("utf-8", "replace"))
        parts.append(f"{name}={_REDACTED}" if secret else part)
    return "&".join(parts)


def _split(authority: str | None, scheme: str | None) -> tuple[str, int | None]:
    """Host and port; the port is the usual one of the scheme where none is given."""
    if not authority:
        return "", None
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":"):
        return host.strip("[]"), int(port)
    return authority.strip("[]"), _PORTS.get((scheme or "").lower())


def limited(attributes: Mapping[str, Value], longest: int = LONGEST) -> Attributes:
    """The same with texts of so many characters at most."""
    return {
        name: value[:longest] if isinstance(value, str) else value
        for name, value in attributes.items()
    }
