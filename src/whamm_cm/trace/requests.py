"""What a component was asked for: its requests, as far as a log shows them.

A request is a call of an export that nobody inside has made, most of them of HTTP.  What was asked
for is known from what the guest asks for itself, or from the records of phase ``request`` and
``answer`` of a host that knows (``front/serving.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import LiveCall, Outcome
from whamm_cm.trace.contents import code_of, field_of, method_of, text_of
from whamm_cm.trace.failures import FAILURE, STATUS_SET, is_error
from whamm_cm.trace.records import Record

#: Exports that handle HTTP; of the second kind the task goes on when it has answered.
HANDLERS = ("wasi:http/incoming-handler#handle", "wasi:http/handler#handle")
#: Requests under way that are remembered; of more, the oldest is given up.
MAX_OPEN = 1 << 14
#: How a request ended of which no more came.
UNFINISHED = "never returned"

_HTTP = "wasi:http/types#"
#: What asks for a part of an incoming request, by function.
_PARTS = {
    _HTTP + "incoming-request.method": "method",
    _HTTP + "incoming-request.path-with-query": "path",
    _HTTP + "incoming-request.scheme": "scheme",
    _HTTP + "incoming-request.authority": "authority",
    _HTTP + "request.get-method": "method",
    _HTTP + "request.get-path-with-query": "path",
    _HTTP + "request.get-scheme": "scheme",
    _HTTP + "request.get-authority": "authority",
}
#: Parts of a path that tell one thing from another, not one kind of request from another.
_VARIABLE = (
    (re.compile(r"\d+"), "{n}"),
    (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "{uuid}"),
    (re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}"), "{hex}"),
    (re.compile(r"(?=.*\d)[\w.~=+-]{25,}"), "{id}"),
)
_MAX_ROUTE = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One request.  ``req`` counts from 1 in the order in which they began; ``call`` is the index
    of the export's call among the calls of the log (-1: none was recorded), ``function`` what was
    called.  Fields of HTTP are None where nobody asked for them.

    ``route``: the path without what varies.  ``error``: the ``error-code`` it was answered by, the
    trap, ``never returned``; None for none.  Times are nanoseconds: ``dur_ns`` until the guest was
    done with it, ``answered_ns`` until it had a response.  ``peer``: who asked, ``host:port``.
    ``hosted``: its number is the host's, who has told of it.
    """

    req: int
    call: int
    function: str
    method: str | None
    path: str | None
    authority: str | None
    scheme: str | None
    status: int | None
    error: str | None
    traceparent: str | None
    start_ns: int | None
    dur_ns: int | None
    answered_ns: int | None
    instance: int
    task: int
    peer: str | None = None
    hosted: bool = False
    run: str = ""

    @property
    def is_http(self) -> bool:
        return self.function in HANDLERS or self.method is not None

    @property
    def route(self) -> str | None:
        return None if self.path is None else route_of(self.path)

    @property
    def failed(self) -> bool:
        return self.error is not None or (self.status or 0) >= FAILURE

    @property
    def title(self) -> str:
        """``GET /x?y``, or the function that was called."""
        if self.method is None and self.path is None:
            return self.function or "?"
        return f"{self.method or '?'} {self.path or '?'}"


def route_of(path: str) -> str:
    """``/users/{n}`` for ``/users/17?x=1``: paths of one kind of request are the same."""
    steps = path.partition("?")[0].split("/")
    shown = [_step(step) for step in steps[: _MAX_ROUTE + 1]]
    return "/".join((*shown, "…") if len(steps) > len(shown) else shown) or "/"


def _step(step: str) -> str:
    for pattern, name in _VARIABLE:
        if pattern.fullmatch(step):
            return name
    return step if len(step) <= 64 else step[:64] + "…"


class Reply:
    """A response that the guest makes; ``status`` is what it says it is."""

    def __init__(self, status: int) -> None:
        self.status = status


class OpenRequest:
    """A request under way; fields as of :class:`Request`."""

    def __init__(self, req: int, instance: int) -> None:
        self.req, self.instance = req, instance
        self.call, self.task, self.function = -1, 0, ""
        self.known: dict[str, Any] = {}
        self.status: int | None = None
        self.error: str | None = None
        self.start_ns: int | None = None
        self.dur_ns: int | None = None
        self.answered_ns: int | None = None
        #: Whether a host has said that it began, and will say that it is over.
        self.hosted = False

    def frozen(self) -> Request:
        """What is known of it now."""
        part = self.known.get
        return Request(
            self.req, self.call, self.function, part("method"), part("path"), part("authority"),
            part("scheme"), self.status, self.error, part("traceparent"), self.start_ns,
            self.dur_ns, self.answered_ns, self.instance, self.task, part("peer"), self.hosted,
            part("run", ""),
        )  # fmt: skip


#: What a handle stands for, as far as ``Traffic`` follows it; None for anything else.
Subject: TypeAlias = object


class Requests:
    """Told by ``Traffic`` of calls and what they are about; ``over`` collects the requests that
    have ended, for the owner to take."""

    def __init__(self) -> None:
        self.over: list[Request] = []
        self._open: dict[int, OpenRequest] = {}

    def open(self, req: int) -> OpenRequest | None:
        return self._open.get(req)

    def under_way(self) -> tuple[OpenRequest, ...]:
        """In the order in which they began."""
        return tuple(self._open.values())

    def told(self, record: Record) -> OpenRequest:
        """A host says that a request begins (phase ``request``) or is over (``answer``)."""
        request = self._begun(record["req"], record.get("instance", 0))
        for key in ("method", "path", "authority", "scheme", "traceparent", "peer", "run"):
            if key in record:
                request.known[key] = record[key]
        request.hosted = True
        if record["phase"] == "request":
            request.start_ns = record.get("t_ns")
            return request
        request.status = record.get("status", request.status)
        request.error = record.get("error", request.error)
        request.dur_ns = record.get("dur_ns", request.dur_ns)
        self._end(request)
        return request

    def began(self, call: LiveCall) -> OpenRequest:
        """An export is called that nobody inside has called."""
        request = self._begun(call.req, call.instance)
        if request.call < 0:
            request.call, request.function = call.index, call.site.shown
            request.instance, request.task = call.instance, task_of(call)
            if request.start_ns is None:
                request.start_ns = call.start_ns
        return request

    def returned(self, call: LiveCall, subject: Subject) -> None:
        """That export has returned; ``subject``: what its result stands for."""
        request = self._open.get(call.req)
        if request is None or request.call != call.index:
            return
        if request.answered_ns is None:
            request.answered_ns = call.dur_ns
        if not request.hosted:
            request.dur_ns = call.dur_ns
        if is_error(call.result) and request.error is None:
            request.error = code_of(call.result)
        elif request.status is None:
            request.status = getattr(subject, "status", None)
        if not request.hosted and not goes_on(call):
            self._end(request)

    def exited(self, call: LiveCall, dur_ns: int | None) -> None:
        """The task of that export is over."""
        request = self._open.get(call.req)
        if request is not None and request.call == call.index and not request.hosted:
            request.dur_ns = dur_ns if dur_ns is not None else request.dur_ns
            if call.outcome is not Outcome.RETURNED and request.error is None:
                request.error = UNFINISHED
            self._end(request)

    def asked(self, request: OpenRequest, item: str, result: Any) -> None:
        """The guest has asked for a part of the request."""
        part = _PARTS.get(item)
        text = method_of(result) if part == "method" else text_of(result)
        if part is not None and text is not None:
            request.known.setdefault(part, text.lower() if part == "scheme" else text)

    def fields(self, request: OpenRequest, call: LiveCall) -> None:
        """The guest has read header fields of the request."""
        found = field_of("traceparent", call.site.func, call.args, call.result)
        if found is not None:
            request.known.setdefault("traceparent", found)

    def answered(self, call: LiveCall, reply: Subject) -> None:
        """``response-outparam.set`` has returned; ``reply``: what the response stands for."""
        request = self._open.get(call.req)
        if request is None:
            return
        response = call.args.get("response")
        if is_error(response):
            request.error = code_of(response)
        else:
            request.status = getattr(reply, "status", request.status)
        if request.start_ns is not None and call.start_ns is not None:
            request.answered_ns = max(0, call.start_ns - request.start_ns)

    def finish(self) -> None:
        """No more records come: what is open has not returned."""
        for request in self.under_way():
            if request.dur_ns is None and request.error is None:
                request.error = UNFINISHED
            self._end(request)

    def _begun(self, req: int, instance: int) -> OpenRequest:
        request = self._open.get(req)
        if request is None:
            if len(self._open) >= MAX_OPEN:
                self._end(next(iter(self._open.values())))
            request = self._open[req] = OpenRequest(req, instance)
        return request

    def _end(self, request: OpenRequest) -> None:
        del self._open[request.req]
        self.over.append(request.frozen())


def status_set(item: str, args: Mapping[str, Any]) -> int | None:
    """The status that a call sets, if it does."""
    value = args.get(STATUS_SET[item]) if item in STATUS_SET else None
    return value if type(value) is int else None


def goes_on(call: LiveCall) -> bool:
    """Whether its task is to be waited for, which says itself when it is over."""
    return call.is_task and call.site.item == HANDLERS[1]


def task_of(call: LiveCall) -> int:
    record = call.opened or call.closed or {}
    task: int = record.get("task", 0)
    return task
