"""One request without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.fields import Fields, is_token, received
from whamm_cm.run.host.http import (
    IncomingBody,
    IncomingRequest,
    OutgoingResponse,
    ResponseOutparam,
    target_of,
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
        good = is_token(method.encode()) and target.isprintable() and target
        if not good or _found(method, target) is None:
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
        self.failed: OSError | None = None
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
        try:
            self.out(data)
        except OSError as error:
            self.failed = error
            raise Failure({"connection-terminated": None}) from None

    def end(self, trailers: Fields | None) -> None:
        self.trailers = list(trailers or ())

    def abort(self, error: Any) -> None:
        self.error = error

    def pollable(self) -> Pollable:
        return at_once()


def ask(handler: Handler, request: Request, out: Callable[[bytes], object]) -> Answer:
    """Have the request answered, on this thread; raises what ``out`` does."""
    answer = Answer(out)
    authority, path = _where(request)
    entries = [(name.encode(), value.encode()) for name, value in request.headers]
    authority = dict(request.headers).get("host", authority)
    names = {name for name, _ in request.headers}
    if request.body and not names & {"content-length", "transfer-encoding"}:
        entries.append((b"content-length", str(len(request.body)).encode()))
    instance = handler.taken()
    body = IncomingBody(lambda: _filled(instance.world, request.body))
    incoming = IncomingRequest(request.method, "http", authority, path, received(entries), body)
    answer.ended = handler.handle(instance, incoming, ResponseOutparam(answer.give))
    if answer.failed is not None:
        raise answer.failed
    return answer


def _where(request: Request) -> tuple[str, str | None]:
    """Authority and path."""
    authority, path = _found(request.method, request.target) or (None, None)
    return authority or "localhost", path


def _found(method: str, target: str) -> tuple[str | None, str | None] | None:
    return target_of(method, target) or target_of(method, f"/{target}")


def _filled(world: World, body: bytes) -> Pipe:
    pipe = Pipe(world)
    pipe.put(body, wait=False)
    pipe.end()
    return pipe
