"""A read-only client of the OCI distribution API (v1.1), over urllib.

TLS always, but for registries on this machine.  Credentials go to the registry and to the token
server it names, and to nobody a redirect leads to.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from whamm_cm._version import __version__
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.gate.registry.credentials import Credentials
from whamm_cm.gate.registry.deadline import Deadline
from whamm_cm.gate.registry.reference import Reference

_MAX_REDIRECTS = 5
_MAX_TOKEN = 1 << 20
_CHUNK = 1 << 18
#: How often a registry that is busy is asked again, if there is time.
_MAX_RETRIES = 8
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for one step of the network, and for the whole exchange: connections, tokens,
    redirects, waits and all answers."""

    step: float = 30.0
    whole: float = 600.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed here, where it is known what may be sent along."""

    def http_error_302(self, *_: object) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]


@dataclass(slots=True)
class Client:
    """Talks to the registry of ``reference``; every failure is an InputError of one sentence.
    The time for the whole exchange begins when it is made; use it in ``with``."""

    reference: Reference
    credentials: Credentials = field(default_factory=Credentials)
    timeouts: Timeouts = field(default_factory=Timeouts)
    _header: str = field(default="", repr=False)
    _deadline: Deadline = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._deadline = Deadline(self.timeouts.whole, self.timeouts.step)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.close()

    def get(self, path: str, accept: str, limit: int, what: str) -> Reply:
        """``path`` below the repository; ``what`` names it in errors; at most ``limit`` bytes."""
        scheme = "http" if self.reference.local else "https"
        url = f"{scheme}://{self.reference.registry}/v2/{self.reference.repository}/{path}"
        try:
            return self._follow(url, accept, limit, what)
        except _Challenge as challenge:
            self._header = self._answer(challenge)
        try:
            return self._follow(url, accept, limit, what)
        except _Challenge as challenge:
            raise self.fail(self._refused(challenge.code)) from None

    def _refused(self, code: int) -> str:
        why = self.credentials.why or "the credentials are not accepted"
        return f"the registry refuses access ({code}); {why}"

    def fail(self, message: str) -> InputError:
        return InputError(f"{self.reference}: {message}")

    # authentication

    def _answer(self, challenge: _Challenge) -> str:
        """The Authorization header that a challenge asks for (RFC 9110, 11.6.1)."""
        for scheme, rest in _schemes(challenge.header):
            if scheme == "bearer":
                return "Bearer " + self._token(dict(_PARAMETER.findall(rest)))
            if scheme == "basic" and self.credentials.basic:
                return self.credentials.header
        raise self.fail(self._refused(challenge.code))

    def _token(self, parameters: Mapping[str, str]) -> str:
        realm = parameters.get("realm", "").strip('"')
        self._check(realm, "token server")
        query = {
            "service": parameters.get("service", "").strip('"'),
            "scope": f"repository:{self.reference.repository}:pull",
        }
        url = f"{realm}{'&' if '?' in realm else '?'}" + urlencode(
            {key: value for key, value in query.items() if value}
        )
        header = self.credentials.header if self.credentials.basic else ""
        try:
            body = self._once(url, "application/json", _MAX_TOKEN, "the token", header).body
        except _Challenge as challenge:
            raise self.fail(self._refused(challenge.code)) from None
        except _Redirect:
            raise self.fail("the token server redirects, which is not followed") from None
        try:
            answer = json.loads(body)
            token = answer.get("token") or answer.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise self.fail("the token server gives no token")
        return token

    # transport

    def _check(self, url: str, what: str) -> None:
        """TLS, or this machine talking to itself; no user in the address."""
        try:
            parts = urlsplit(url)
            local = parts.hostname in ("localhost", "127.0.0.1", "::1") and self.reference.local
            fine = parts.scheme == "https" or (parts.scheme == "http" and local)
            fine = fine and bool(parts.hostname) and "@" not in parts.netloc
        except ValueError:
            fine = False
        if not fine or not url.isascii() or not url.isprintable() or " " in url:
            raise self.fail(f"the registry names a {what} that is not used: {url[:200]!r}")

    def _follow(self, url: str, accept: str, limit: int, what: str) -> Reply:
        home = _origin(url)
        for _ in range(_MAX_REDIRECTS + 1):
            at_home = _origin(url) == home
            try:
                return self._once(url, accept, limit, what, self._header if at_home else "")
            except _Redirect as redirect:
                url = self._next(url, redirect.target)
            except _Challenge as challenge:
                if at_home:
                    raise
                # Somebody else asks for the registry's credentials.
                raise self.fail(f"a redirect for {what} leads to {challenge.code}") from None
        raise self.fail(f"more than {_MAX_REDIRECTS} redirects for {what}")

    def _next(self, url: str, target: str) -> str:
        try:
            url = urljoin(url, target)
        except ValueError:
            url = target
        self._check(url, "redirect")
        return url

    def _once(self, url: str, accept: str, limit: int, what: str, header: str) -> Reply:
        """One answer; a registry that is busy is asked again when it says so."""
        for _ in range(_MAX_RETRIES):
            try:
                return self._request(url, accept, limit, what, header)
            except _Busy as busy:
                if not self._deadline.wait(busy.seconds):
                    raise self.fail(busy.message) from None
        raise self.fail(f"the registry is too busy for {what}, after {_MAX_RETRIES} times")

    def _request(self, url: str, accept: str, limit: int, what: str, header: str) -> Reply:
        request = urllib.request.Request(url)
        request.add_header("Accept", accept)
        request.add_header("User-Agent", f"whamm-cm/{__version__}")
        if header:
            request.add_unredirected_header("Authorization", header)
        if not self._deadline.left:
            raise self._late(what)
        try:
            with self._opener(url).open(request, timeout=self.timeouts.step) as answer:
                body = self._read(answer, limit, what)
                return Reply(body, self._headers(answer.headers, what))
        except urllib.error.HTTPError as error:
            with error:
                raise self._status(error, what) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self._deadline.left:
                raise self._late(what) from None
            raise self.fail(f"{what} cannot be fetched: {_reason(error)}") from None

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [
            _NoRedirect(), _Http(self._deadline), _Https(self._deadline)
        ]  # fmt: skip
        if url.startswith("http:"):
            # Whatever proxy there is, it is not for this machine itself.
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)

    def _late(self, what: str) -> InputError:
        return self.fail(
            f"{what} takes too long: the registry had {self.timeouts.whole:g} s in all"
        )

    def _headers(self, headers: Message, what: str) -> dict[str, str]:
        for name in ("Content-Type", "Docker-Content-Digest"):
            if len(set(headers.get_all(name) or ())) > 1:
                raise self.fail(f"the answer for {what} has {name} twice")
        return dict(_lower(headers))

    def _read(self, answer: http.client.HTTPResponse, limit: int, what: str) -> bytes:
        announced = answer.headers.get("Content-Length", "")
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise self.fail(f"{what} is larger than {limit:,} bytes")
        if not self._deadline.left:
            raise self._late(what)
        if announced.isdigit() and int(announced) != size:
            raise self.fail(f"{what} breaks off after {size:,} of {int(announced):,} bytes")
        return b"".join(pieces)

    def _status(self, error: urllib.error.HTTPError, what: str) -> Exception:
        code = error.code
        if code in _REDIRECTS and error.headers.get("Location"):
            return _Redirect(error.headers["Location"])
        if code == 401:
            return _Challenge(code, ", ".join(error.headers.get_all("WWW-Authenticate") or ()))
        if code == 403:
            return self.fail(self._refused(code))
        if code == 404:
            return self.fail(f"the registry does not have {what}")
        said = _SAID.get(code)
        if said is None:
            return self.fail(f"the registry answers {code} for {what}")
        after = _seconds(error.headers.get("Retry-After", ""))
        if after is None:
            return self.fail(f"the registry {said} ({code}); try again later")
        when = f"in {after:.0f} seconds"
        return _Busy(after, f"the registry {said} ({code}); try again {when}")


#: Answers after which a registry may be asked again, and what they mean.
_SAID = {429: "has had too many requests", 503: "is not available"}


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


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_maker(http.client.HTTPConnection, self.deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_maker(http.client.HTTPSConnection, self.deadline), req)


def _maker(kind: type[http.client.HTTPConnection], deadline: Deadline) -> Any:
    """Makes connections whose socket is under the deadline."""

    def made(host: str, **options: Any) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        connection._create_connection = deadline.connect  # type: ignore[attr-defined]
        return connection

    return made


class _Busy(Exception):
    def __init__(self, seconds: float, message: str) -> None:
        self.seconds, self.message = seconds, message


class _Redirect(Exception):
    def __init__(self, target: str) -> None:
        self.target = target


class _Challenge(Exception):
    def __init__(self, code: int, header: str) -> None:
        self.code, self.header = code, header


_PARAMETER = re.compile(r'([A-Za-z_-]+)\s*=\s*("[^"]*"|[^\s,"]+)')
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z]+)(?=\s+[A-Za-z_-]+\s*=|\s*(?:,|$))")


def _schemes(header: str) -> list[tuple[str, str]]:
    """``Bearer realm="…",service="…", Basic realm="…"`` → each scheme with its parameters; what
    stands in quotes is no scheme."""
    masked = re.sub(r'"[^"]*"', lambda found: '"' + "_" * (len(found[0]) - 2) + '"', header)
    starts = list(_SCHEME.finditer(masked))
    ends = [*(one.start() for one in starts[1:]), len(header)]
    return [
        (one[1].lower(), header[one.end() : end])
        for one, end in zip(starts, ends[: len(starts)], strict=True)
    ]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _lower(headers: Message) -> list[tuple[str, str]]:
    return [(key.lower(), value) for key, value in headers.items()]


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
