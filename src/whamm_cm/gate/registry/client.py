"""A read-only client of the OCI distribution API (v1.1), over urllib.

TLS always, but for registries on this machine.  Credentials go to the registry and to the token
server it names, and to nobody a redirect leads to.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import urlencode, urljoin, urlsplit

from whamm_cm._version import __version__
from whamm_cm.errors import InputError
from whamm_cm.gate.registry.credentials import Credentials
from whamm_cm.gate.registry.reference import Reference

_MAX_REDIRECTS = 5
_MAX_TOKEN = 1 << 20
_CHUNK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for one step of the network, and for a whole answer."""

    step: float = 30.0
    whole: float = 600.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed here, where it is known what may be sent along."""

    def http_error_302(self, *_: object) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]


@dataclass(slots=True)
class Client:
    """Talks to the registry of ``reference``; every failure is an InputError of one sentence."""

    reference: Reference
    credentials: Credentials = field(default_factory=Credentials)
    timeouts: Timeouts = field(default_factory=Timeouts)
    _header: str = field(default="", repr=False)

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
        request = urllib.request.Request(url)
        request.add_header("Accept", accept)
        request.add_header("User-Agent", f"whamm-cm/{__version__}")
        if header:
            request.add_unredirected_header("Authorization", header)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if url.startswith("http:"):
            # Whatever proxy there is, it is not for this machine itself.
            handlers.append(urllib.request.ProxyHandler({}))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=self.timeouts.step) as answer:
                return Reply(self._read(answer, limit, what), dict(_lower(answer.headers)))
        except urllib.error.HTTPError as error:
            with error:
                raise self._status(error, what) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.fail(f"{what} cannot be fetched: {_reason(error)}") from None

    def _read(self, answer: http.client.HTTPResponse, limit: int, what: str) -> bytes:
        until = time.monotonic() + self.timeouts.whole
        announced = answer.headers.get("Content-Length", "")
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise self.fail(f"{what} is larger than {limit:,} bytes")
            if time.monotonic() > until:
                raise self.fail(f"{what} takes more than {self.timeouts.whole:g} s")
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
        if code == 429:
            after = error.headers.get("Retry-After", "")
            when = f"in {after} seconds" if after.isdigit() and len(after) < 9 else "later"
            return self.fail(f"the registry has had too many requests (429); try again {when}")
        return self.fail(f"the registry answers {code} for {what}")


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
