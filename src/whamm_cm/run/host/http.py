"""``wasi:http/types``: requests, responses and their bodies, whoever carries them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from whamm_cm.run.host.bridge import Failure, Interface, Resource
from whamm_cm.run.host.fields import Fields, is_token
from whamm_cm.run.host.pipe import Pipe, PipeInput
from whamm_cm.run.host.streams import CHUNK, IoError, OutputStream, closed
from whamm_cm.run.host.world import Pollable, World

TYPES = Interface("wasi:http/types")

#: The methods with a case of their own.
_METHODS = ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"]
_PATH = re.compile(r"[/*?][!$-;=?-Z\[\]^_a-z|~%{}\"\x80-\U0010ffff]*")
#: What the target of a request that comes has to spell by percent signs.
_NOT_IN_PATH, _NOT_IN_QUERY = re.compile(r"[<>`]"), re.compile(r'["<>]')
_AUTHORITY = re.compile(
    r"(?:[^@\[\]/?#\s]*@)?(?:\[[0-9A-Fa-f:.]+\]|[!$&-.0-9;=A-Z_a-z~%]+)(?::(\d{1,5}))?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


def method_of(text: str) -> dict[str, Any]:
    """A method of a request line as the variant."""
    name = text.lower()
    return {name: None} if text.isupper() and name in _METHODS else {"other": text}


def method_text(method: dict[str, Any]) -> str:
    ((case, payload),) = method.items()
    return payload if case == "other" else case.upper()


def target_of(method: str, text: str) -> tuple[str | None, str | None] | None:
    """Authority and path of a request's target, None for what is no target (RFC 9112, 3.2).  A
    fragment, which is the client's own, is left out."""
    text = text.partition("#")[0]
    path, _, query = text.partition("?")
    if _NOT_IN_PATH.search(path) or _NOT_IN_QUERY.search(query):
        return None
    if text.startswith("/") or (text == "*" and method == "OPTIONS"):
        return None, text
    if method == "CONNECT":
        return text, None
    scheme, colon, rest = text.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        return None
    cut = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    path = rest[cut:]
    return (rest[:cut], path if path.startswith("/") else f"/{path}") if cut else None


class Sink(Protocol):
    """Where the body of a message goes."""

    def room(self) -> int:
        """Raises Failure when nobody takes it any more."""

    def send(self, data: bytes) -> None:
        """Raises Failure when nobody takes it any more."""

    def end(self, trailers: Fields | None) -> None: ...

    def abort(self, error: Any) -> None: ...

    def pollable(self) -> Pollable: ...


class IncomingBody(Resource):
    """``pipe`` is given when the body is first asked for: who does not want it need not read it.
    ``unwanted`` is called when nobody will read what is left."""

    def __init__(
        self, pipe: Callable[[], Pipe], unwanted: Callable[[], None] = lambda: None
    ) -> None:
        self.open, self.unwanted = pipe, unwanted
        self.pipe: Pipe | None = None

    def dropped(self) -> None:
        if self.pipe is not None:
            self.pipe.cancel()
        self.unwanted()

    def opened(self) -> Pipe:
        if self.pipe is None:
            self.pipe = self.open()
        return self.pipe


class IncomingRequest(Resource):
    def __init__(
        self, method: str, scheme: str, authority: str | None, path: str | None, headers: Fields,
        body: IncomingBody,
    ) -> None:  # fmt: skip
        self.method, self.scheme, self.authority = method_of(method), scheme, authority
        self.path, self.headers = path, headers
        self.body: IncomingBody | None = body

    def dropped(self) -> None:
        if self.body is not None:
            self.body.dropped()


class IncomingResponse(Resource):
    def __init__(self, status: int, headers: Fields, body: IncomingBody) -> None:
        self.status, self.headers = status, headers
        self.body: IncomingBody | None = body

    def dropped(self) -> None:
        if self.body is not None:
            self.body.dropped()


class FutureTrailers(Resource):
    def __init__(self, body: IncomingBody) -> None:
        self.body, self.pipe, self.given = body, body.opened(), False
        self.pipe.skip()

    def dropped(self) -> None:
        self.body.dropped()


class OutgoingBody(Resource):
    """``sink`` is there when the message is on its way; what was written before waits here."""

    def __init__(self, kind: str, length: int | None) -> None:
        self.kind, self.length = kind, length
        self.sent = 0
        self.written = self.done = False
        self.waiting: list[bytes] = []
        self.outcome: tuple[str, Any] | None = None
        self.sink: Sink | None = None

    def attach(self, sink: Sink) -> None:
        self.sink = sink
        for data in self.waiting:
            sink.send(data)
        self.waiting.clear()
        if self.outcome is not None:
            self._conclude(*self.outcome)

    def room(self) -> int:
        if self.sink is not None:
            return self.sink.room()
        return max(0, CHUNK - sum(map(len, self.waiting)))

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        if self.length is not None and self.sent > self.length:
            self.abort(self.size())
            raise Failure(self.size())
        if self.sink is None:
            self.waiting.append(data)
        else:
            self.sink.send(data)

    def finish(self, trailers: Fields | None) -> None:
        if self.length is not None and self.sent != self.length:
            self.abort(self.size())
            raise Failure(self.size())
        self._conclude("end", trailers)

    def size(self) -> dict[str, Any]:
        return {f"HTTP-{self.kind}-body-size": self.sent}

    def abort(self, error: Any) -> None:
        self._conclude("abort", error)

    def _conclude(self, how: str, what: Any) -> None:
        if self.sink is None:
            self.outcome = how, what
        elif not self.done:
            self.done = True
            getattr(self.sink, how)(what)

    def dropped(self) -> None:
        self.abort({"HTTP-protocol-error": None})

    def returned(self) -> None:
        """Whole, as on other hosts: engines of other languages return without a word about it."""
        if self.sink is not None and not self.done:
            with suppress(Failure):  # nobody takes it, or it is less than was said: it is cut off
                self.finish(None)

    def lost(self) -> None:
        """The message will not be sent: writes fail from now on."""
        self.done = True
        self.waiting.clear()


class BodyOutput(OutputStream):
    permit = 0

    def __init__(self, body: OutgoingBody) -> None:
        self.body = body

    def check_write(self) -> int:
        if self.body.done:
            raise closed()
        try:
            return self.body.room()
        except Failure:
            raise closed() from None

    def write(self, data: bytes) -> None:
        if self.body.done:
            raise closed()
        try:
            self.body.write(data)
        except Failure as failure:
            if failure.payload != self.body.size():
                raise closed() from None  # nobody takes it any more
            text = "the body cannot be sent"
            raise Failure({"last-operation-failed": IoError(text, failure.payload)}) from None

    def pollable(self) -> Pollable:
        body = self.body
        if body.sink is not None:
            return body.sink.pollable()
        return Pollable(lambda: body.done or body.room() > 0)


class OutgoingMessage(Resource):
    KIND_OF_BODY = ""

    def __init__(self, headers: Fields) -> None:
        self.headers = headers
        headers.fixed = True
        self.body: OutgoingBody | None = None

    def dropped(self) -> None:
        if self.body is not None:
            self.body.lost()

    def new_body(self) -> OutgoingBody:
        if self.body is not None:
            raise Failure
        try:
            self.body = OutgoingBody(self.KIND_OF_BODY, self.headers.length)
        except ValueError:
            raise Failure from None
        return self.body


class OutgoingRequest(OutgoingMessage):
    KIND_OF_BODY = "request"

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.method: dict[str, Any] = {"get": None}
        self.path: str | None = None
        self.scheme: dict[str, Any] | None = None
        self.authority: str | None = None


class OutgoingResponse(OutgoingMessage):
    KIND_OF_BODY = "response"

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.status = 200


class RequestOptions(Resource):
    """Times in nanoseconds."""

    def __init__(self) -> None:
        self.times: dict[str, int | None] = {}


class ResponseOutparam(Resource):
    """``give`` gets the response, or an ``error-code``."""

    def __init__(self, give: Callable[[OutgoingResponse | None, Any], None]) -> None:
        self.give = give


class FutureResponse(Resource):
    """``answer``: an :class:`IncomingResponse` or a Failure, when there is one."""

    def __init__(self) -> None:
        self.answer: IncomingResponse | Failure | None = None
        self.given = False
        self.cancel: Callable[[], None] = lambda: None

    def dropped(self) -> None:
        if not self.given:
            self.cancel()
            if isinstance(self.answer, IncomingResponse):
                self.answer.dropped()


for _label, _kind in (
    ("fields", Fields),
    ("incoming-request", IncomingRequest),
    ("outgoing-request", OutgoingRequest),
    ("request-options", RequestOptions),
    ("response-outparam", ResponseOutparam),
    ("incoming-response", IncomingResponse),
    ("incoming-body", IncomingBody),
    ("future-trailers", FutureTrailers),
    ("outgoing-response", OutgoingResponse),
    ("outgoing-body", OutgoingBody),
    ("future-incoming-response", FutureResponse),
):
    TYPES.resource(_label, _kind)


# --- fields ---------------------------------------------------------------------------------------


@TYPES.func("[constructor]fields")
def _fields(world: World) -> Fields:
    return Fields()


@TYPES.func("[static]fields.from-list")
def _from_list(world: World, entries: list[tuple[str, bytes]]) -> Fields:
    found = Fields()
    for name, value in entries:
        found.append(name, value)
    return found


@TYPES.func("[method]fields.get")
def _get(world: World, fields: Fields, name: str) -> list[bytes]:
    return fields.get(name)


@TYPES.func("[method]fields.has")
def _has(world: World, fields: Fields, name: str) -> bool:
    return name.lower() in fields.values


@TYPES.func("[method]fields.set")
def _set(world: World, fields: Fields, name: str, values: list[bytes]) -> None:
    fields.set(name, values)


@TYPES.func("[method]fields.delete")
def _delete(world: World, fields: Fields, name: str) -> None:
    fields.delete(name)


@TYPES.func("[method]fields.append")
def _append(world: World, fields: Fields, name: str, value: bytes) -> None:
    fields.append(name, value)


@TYPES.func("[method]fields.entries")
def _entries(world: World, fields: Fields) -> list[tuple[str, bytes]]:
    return list(fields)


@TYPES.func("[method]fields.clone")
def _clone(world: World, fields: Fields) -> Fields:
    return fields.copy(fixed=False)


# --- what comes -----------------------------------------------------------------------------------


@TYPES.func("[method]incoming-request.method")
def _method(world: World, request: IncomingRequest) -> dict[str, Any]:
    return request.method


@TYPES.func("[method]incoming-request.path-with-query")
def _path(world: World, request: IncomingRequest) -> str | None:
    return request.path


@TYPES.func("[method]incoming-request.scheme")
def _scheme(world: World, request: IncomingRequest) -> dict[str, Any]:
    return {request.scheme.upper(): None}


@TYPES.func("[method]incoming-request.authority")
def _authority(world: World, request: IncomingRequest) -> str | None:
    return request.authority


@TYPES.func("[method]incoming-response.status")
def _status(world: World, response: IncomingResponse) -> int:
    return response.status


@TYPES.func("[method]incoming-request.headers")
@TYPES.func("[method]incoming-response.headers")
@TYPES.func("[method]outgoing-request.headers")
@TYPES.func("[method]outgoing-response.headers")
def _headers(world: World, message: IncomingRequest | OutgoingMessage) -> Fields:
    return message.headers.copy(fixed=True)


@TYPES.func("[method]incoming-request.consume")
@TYPES.func("[method]incoming-response.consume")
def _consume(world: World, message: IncomingRequest | IncomingResponse) -> IncomingBody:
    body, message.body = message.body, None
    if body is None:
        raise Failure
    return body


@TYPES.func("[method]incoming-body.stream")
def _stream(world: World, body: IncomingBody) -> PipeInput:
    if body.pipe is not None:
        raise Failure
    return PipeInput(body.opened())


@TYPES.func("[static]incoming-body.finish")
def _finish_incoming(world: World, body: IncomingBody) -> FutureTrailers:
    return FutureTrailers(body)


@TYPES.func("[method]future-trailers.subscribe")
def _subscribe_trailers(world: World, future: FutureTrailers) -> Pollable:
    return Pollable(lambda: future.pipe.over, reading=future.pipe.source)


@TYPES.func("[method]future-trailers.get")
def _trailers(world: World, future: FutureTrailers) -> dict[str, Any] | None:
    if not future.pipe.over:
        return None
    if future.given:
        return {"error": None}
    future.given = True
    if future.pipe.error is not None:
        return {"ok": {"error": future.pipe.error}}
    return {"ok": {"ok": future.pipe.trailers}}


# --- what goes ------------------------------------------------------------------------------------


@TYPES.func("[constructor]outgoing-request")
def _outgoing_request(world: World, headers: Fields) -> OutgoingRequest:
    return OutgoingRequest(headers)


@TYPES.func("[method]outgoing-request.method")
def _outgoing_method(world: World, request: OutgoingRequest) -> dict[str, Any]:
    return request.method


@TYPES.func("[method]outgoing-request.set-method")
def _set_method(world: World, request: OutgoingRequest, method: dict[str, Any]) -> None:
    if not is_token(method_text(method).encode()):
        raise Failure
    request.method = method


@TYPES.func("[method]outgoing-request.path-with-query")
def _outgoing_path(world: World, request: OutgoingRequest) -> str | None:
    return request.path


@TYPES.func("[method]outgoing-request.set-path-with-query")
def _set_path(world: World, request: OutgoingRequest, path: str | None) -> None:
    if path and not _PATH.fullmatch(path):
        raise Failure
    request.path = path


@TYPES.func("[method]outgoing-request.scheme")
def _outgoing_scheme(world: World, request: OutgoingRequest) -> dict[str, Any] | None:
    return request.scheme


@TYPES.func("[method]outgoing-request.set-scheme")
def _set_scheme(world: World, request: OutgoingRequest, scheme: dict[str, Any] | None) -> None:
    if scheme and "other" in scheme and not _SCHEME.fullmatch(scheme["other"]):
        raise Failure
    request.scheme = scheme


@TYPES.func("[method]outgoing-request.authority")
def _outgoing_authority(world: World, request: OutgoingRequest) -> str | None:
    return request.authority


@TYPES.func("[method]outgoing-request.set-authority")
def _set_authority(world: World, request: OutgoingRequest, authority: str | None) -> None:
    if authority is not None:
        match = _AUTHORITY.fullmatch(authority)
        if match is None or (match[1] is not None and int(match[1]) > 0xFFFF):
            raise Failure
    request.authority = authority


@TYPES.func("[constructor]outgoing-response")
def _outgoing_response(world: World, headers: Fields) -> OutgoingResponse:
    return OutgoingResponse(headers)


@TYPES.func("[method]outgoing-response.status-code")
def _outgoing_status(world: World, response: OutgoingResponse) -> int:
    return response.status


@TYPES.func("[method]outgoing-response.set-status-code")
def _set_status(world: World, response: OutgoingResponse, status: int) -> None:
    if not 100 <= status < 1000:
        raise Failure
    response.status = status


@TYPES.func("[method]outgoing-request.body")
@TYPES.func("[method]outgoing-response.body")
def _body(world: World, message: OutgoingMessage) -> OutgoingBody:
    return message.new_body()


@TYPES.func("[method]outgoing-body.write")
def _write(world: World, body: OutgoingBody) -> BodyOutput:
    if body.written:
        raise Failure
    body.written = True
    return BodyOutput(body)


@TYPES.func("[static]outgoing-body.finish")
def _finish_outgoing(world: World, body: OutgoingBody, trailers: Fields | None) -> None:
    body.finish(trailers)


@TYPES.func("[static]response-outparam.set")
def _respond(world: World, out: ResponseOutparam, response: dict[str, Any]) -> None:
    out.give(response.get("ok"), response.get("error"))


# --- options, futures, errors ---------------------------------------------------------------------


@TYPES.func("[constructor]request-options")
def _options(world: World) -> RequestOptions:
    return RequestOptions()


def _time(name: str) -> None:
    @TYPES.func(f"[method]request-options.{name}")
    def get(world: World, options: RequestOptions) -> int | None:
        return options.times.get(name)

    @TYPES.func(f"[method]request-options.set-{name}")
    def put(world: World, options: RequestOptions, value: int | None) -> None:
        options.times[name] = value


for _name in ("connect-timeout", "first-byte-timeout", "between-bytes-timeout"):
    _time(_name)


@TYPES.func("[method]future-incoming-response.subscribe")
def _subscribe_response(world: World, future: FutureResponse) -> Pollable:
    return Pollable(lambda: future.answer is not None)


@TYPES.func("[method]future-incoming-response.get")
def _response(world: World, future: FutureResponse) -> dict[str, Any] | None:
    if future.answer is None:
        return None
    if future.given:
        return {"error": None}
    future.given = True
    if isinstance(future.answer, Failure):
        return {"ok": {"error": future.answer.payload}}
    return {"ok": {"ok": future.answer}}


@TYPES.func("http-error-code")
def _error_code(world: World, error: IoError) -> Any:
    return error.code
