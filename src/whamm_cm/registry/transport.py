"""One question to a registry and one answer, over urllib and within a deadline."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from whamm_cm._version import __version__
from whamm_cm.dataclass import dataclass
from whamm_cm.registry.deadline import Deadline

_CHUNK = 1 << 18
#: Of what a registry says beside its status, so much is read.
_MAX_SAID = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
#: Answers after which a registry may be asked again, and what they mean.
_BUSY = {429: "has had too many requests", 503: "is not available"}

Pieces: TypeAlias = "Sequence[bytes | memoryview]"


@dataclass(frozen=True, slots=True)
class Ask:
    """``path``: below the repository, or a whole address that the registry gave.  ``what`` names
    the thing in errors.  ``limit``: of the answer's body, in bytes.  ``body`` None: nothing is
    sent.  ``fine``: statuses that are answers, too, and no errors."""

    method: str
    path: str
    what: str
    accept: str = "*/*"
    limit: int = _MAX_SAID
    body: Pieces | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fine: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """``headers`` by their names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Busy(Exception):
    """Ask again after so many seconds."""

    def __init__(self, seconds: float, message: str) -> None:
        self.seconds, self.message = seconds, message


class Redirect(Exception):
    def __init__(self, code: int, target: str) -> None:
        self.code, self.target = code, target


class Challenge(Exception):
    """The registry wants to know who asks."""

    def __init__(self, code: int, header: str) -> None:
        self.code, self.header = code, header


class Refusal(Exception):
    """Any other status that is no answer; ``said``: what the registry says about it, or ""."""

    def __init__(self, code: int, said: str) -> None:
        self.code, self.said = code, said


class Failure(Exception):
    """There is no answer, or not a whole one: a sentence without the name of the image."""


def request(ask: Ask, url: str, authorization: str, deadline: Deadline) -> Reply:
    """Raises one of the classes above."""
    headers = {"Accept": ask.accept, "User-Agent": f"whamm-cm/{__version__}", **ask.headers}
    data: Any = None
    if ask.body is not None:
        headers["Content-Length"] = str(sum(map(len, ask.body)))
        headers.setdefault("Content-Type", "application/octet-stream")
        data = _cut(ask.body)
    made = urllib.request.Request(url, data, headers, method=ask.method)
    if authorization:
        made.add_unredirected_header("Authorization", authorization)
    if not deadline.left:
        raise _late(ask, deadline)
    try:
        with _opener(url, deadline).open(made, timeout=deadline.step) as answer:
            return _reply(ask, answer, deadline)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(ask, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if not deadline.left:
            raise _late(ask, deadline) from None
        verb = "fetched" if ask.body is None else "sent"
        raise Failure(f"{ask.what} cannot be {verb}: {_reason(error)}") from None


def _cut(pieces: Pieces) -> Iterator[memoryview]:
    """In pieces of which each has a step's time to be sent."""
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _CHUNK):
            yield view[start : start + _CHUNK]


def _late(ask: Ask, deadline: Deadline) -> Failure:
    return Failure(f"{ask.what} takes too long: the registry had {deadline.seconds:g} s in all")


def _reply(ask: Ask, answer: http.client.HTTPResponse, deadline: Deadline) -> Reply:
    body = b"" if ask.method == "HEAD" else _read(ask, answer, deadline)
    return Reply(answer.status, body, _headers(answer.headers, ask.what))


def _read(ask: Ask, answer: http.client.HTTPResponse, deadline: Deadline) -> bytes:
    announced = answer.headers.get("Content-Length", "")
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > ask.limit:
            raise Failure(f"{ask.what} is larger than {ask.limit:,} bytes")
    if not deadline.left:
        raise _late(ask, deadline)
    if announced.isdigit() and int(announced) != size:
        raise Failure(f"{ask.what} breaks off after {size:,} of {int(announced):,} bytes")
    return b"".join(pieces)


def _refused(ask: Ask, error: urllib.error.HTTPError) -> Reply:
    """What any status but 200 to 299 means."""
    code = error.code
    if code in ask.fine:
        return Reply(code, b"", _headers(error.headers, ask.what))
    if code in _REDIRECTS and error.headers.get("Location"):
        raise Redirect(code, error.headers["Location"])
    if code == 401:
        raise Challenge(code, ", ".join(error.headers.get_all("WWW-Authenticate") or ()))
    if code not in _BUSY:
        raise Refusal(code, _said(error))
    after = _seconds(error.headers.get("Retry-After", ""))
    if after is None:
        raise Failure(f"the registry {_BUSY[code]} ({code}); try again later")
    when = f"in {after:.0f} seconds"
    raise Busy(after, f"the registry {_BUSY[code]} ({code}); try again {when}")


def _said(error: urllib.error.HTTPError) -> str:
    """The first of the errors that a registry lists in its answer."""
    try:
        first = json.loads(error.read(_MAX_SAID))["errors"][0]
        words = [first.get(key) for key in ("code", "message")]
    except (OSError, http.client.HTTPException, ValueError, RecursionError, LookupError, TypeError,
            AttributeError):  # fmt: skip
        return ""  # it is free to say nothing, or something for people
    text = ": ".join(word for word in words if isinstance(word, str) and word)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _seconds(header: str) -> float | None:
    """Of a Retry-After: a number or a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,8}", header):
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by the client, which knows what may be sent along."""

    def http_error_302(self, *_: object) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_maker(_Plain, self.deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_maker(_Secure, self.deadline), req)


class _Patient(http.client.HTTPConnection):
    """Who is not wanted may be told so before all is sent, and the line is cut: the answer counts,
    and not that the rest could not be sent."""

    def request(self, *args: Any, **options: Any) -> None:
        try:
            super().request(*args, **options)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:
                raise


class _Plain(_Patient):
    pass


class _Secure(_Patient, http.client.HTTPSConnection):
    pass


def _maker(kind: type[http.client.HTTPConnection], deadline: Deadline) -> Any:
    """Makes connections whose socket is under the deadline."""

    def made(host: str, **options: Any) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        connection._create_connection = deadline.connect  # type: ignore[attr-defined]
        return connection

    return made


def _opener(url: str, deadline: Deadline) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _NoRedirect(), _Http(deadline), _Https(deadline)
    ]  # fmt: skip
    if url.startswith("http:"):
        # Whatever proxy there is, it is not for this machine itself.
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _headers(headers: Message, what: str) -> dict[str, str]:
    for name in ("Content-Type", "Docker-Content-Digest"):
        if len(set(headers.get_all(name) or ())) > 1:
            raise Failure(f"the answer for {what} has {name} twice")
    return {key.lower(): value for key, value in headers.items()}


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "the registry does not answer in time"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({inner.verify_message})"
    if isinstance(inner, http.client.IncompleteRead):
        return "the answer breaks off"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return " ".join(str(inner).split()) or type(inner).__name__
