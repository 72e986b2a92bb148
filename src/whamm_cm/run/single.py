"""One request without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.run.host.fields import Fields, is_token, received
from whamm_cm.run.host.http import (
    IncomingBody,
    IncomingRequest,
    OutgoingResponse,
    ResponseOutparam,
)
from whamm_cm.run.host.pipe import Pipe
from whamm_cm.run.host.streams import CHUNK
from whamm_cm.run.host.world import Pollable, World, at_once
from whamm_cm.run.serving import Ended, Handler


@dataclass(frozen=True, slots=True)
class Request:
    """``target``: a path, or a whole URL."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    @staticmethod
    def parse(text: str, headers: Sequence[str], body: bytes | None) -> Request:
        """``METHOD TARGET`` or just ``TARGET``; ``Name: value`` each.  Raises UsageError."""
        method, _, target = text.strip().rpartition(" ")
        method = method.strip() or ("GET" if body is None else "POST")
        if not is_token(method.encode()) or not target.isprintable() or not target:
            raise UsageError(f"--request {text!r}: expected 'METHOD /path', such as 'GET /'")
        pairs = []
        for header in headers:
            name, colon, value = header.partition(":")
            if not colon or not is_token(name.strip().encode()) or not value.isprintable():
                raise UsageError(f"-H {header!r}: expected 'Name: value'")
            pairs.append((name.strip().lower(), value.strip()))
        return Request(method, target, pairs, body or b"")


class Answer:
    """What came: ``status`` 0 when there was no response.  ``out`` gets the body as it comes."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self.out = out
        self.status = 0
        self.headers: list[tuple[str, bytes]] = []
        self.trailers: list[tuple[str, bytes]] = []
        self.error: Any = None
        self.ended: Ended | None = None

    def give(self, response: OutgoingResponse | None, error: Any) -> None:
        if response is None:
            self.error = error
            return
        self.status, self.headers = response.status, list(response.headers)
        if response.body is not None:
            response.body.attach(self)

    def room(self) -> int:
        return CHUNK

    def send(self, data: bytes) -> None:
        self.out(data)

    def end(self, trailers: Fields | None) -> None:
        self.trailers = list(trailers or ())

    def abort(self, error: Any) -> None:
        self.error = error

    def pollable(self) -> Pollable:
        return at_once()


def ask(handler: Handler, request: Request, out: Callable[[bytes], object]) -> Answer:
    """Have the request answered, on this thread."""
    answer = Answer(out)
    instance = handler.taken()
    authority, path = _split(request.target)
    entries = [(name.encode(), value.encode()) for name, value in request.headers]
    authority = dict(request.headers).get("host", authority)
    names = {name for name, _ in request.headers}
    if request.body and not names & {"content-length", "transfer-encoding"}:
        entries.append((b"content-length", str(len(request.body)).encode()))
    body = IncomingBody(lambda: _filled(instance.world, request.body))
    incoming = IncomingRequest(request.method, "http", authority, path, received(entries), body)
    answer.ended = handler.handle(instance, incoming, ResponseOutparam(answer.give))
    return answer


def _split(target: str) -> tuple[str, str]:
    """Authority and path of a target."""
    _, scheme, rest = target.partition("://")
    if not scheme:
        return "localhost", target if target.startswith(("/", "*")) else f"/{target}"
    authority, slash, path = rest.partition("/")
    return authority, slash + path or "/"


def _filled(world: World, body: bytes) -> Pipe:
    pipe = Pipe(world)
    pipe.put(body, wait=False)
    pipe.end()
    return pipe
