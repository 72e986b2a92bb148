"""A client of the OCI distribution API (v1.1).

TLS always, but for registries on this machine.  Credentials go to the registry and to the token
server it names, and to nobody a redirect leads to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlencode, urljoin, urlsplit

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError, WhammError
from whamm_cm.registry.credentials import Credentials
from whamm_cm.registry.deadline import Deadline
from whamm_cm.registry.reference import Reference
from whamm_cm.registry.transport import (
    Ask,
    Busy,
    Challenge,
    Failure,
    Redirect,
    Refusal,
    Reply,
    request,
)

_MAX_REDIRECTS = 5
_MAX_TOKEN = 1 << 20
#: How often a registry that is busy is asked again, if there is time.
_MAX_RETRIES = 8


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for one step of the network, and for the whole exchange: connections, tokens,
    redirects, waits and all answers."""

    step: float = 30.0
    whole: float = 600.0


@dataclass(slots=True)
class Client:
    """Talks to the registry of ``reference``.  Every failure is one sentence: an InputError, or a
    UsageError for a client that ``pushes``, as for any output that cannot be written.
    The time for the whole exchange begins when it is made; use it in ``with``."""

    reference: Reference
    credentials: Credentials = field(default_factory=Credentials)
    timeouts: Timeouts = field(default_factory=Timeouts)
    pushes: bool = False
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
        return self.ask(Ask("GET", path, what, accept, limit))

    def ask(self, ask: Ask) -> Reply:
        """The answer; who asks is said where the registry wants to know it."""
        try:
            return self._follow(ask)
        except Challenge as challenge:
            self._header = self._answer(challenge)
        try:
            return self._follow(ask)
        except Challenge as challenge:
            raise self.fail(self._refused(challenge.code)) from None

    def address(self, base: str, target: str, what: str) -> str:
        """Where ``target``, which the registry names ``what``, leads from ``base``."""
        try:
            url = urljoin(base, target)
        except ValueError:
            url = target
        self._check(url, what)
        return url

    def url(self, path: str) -> str:
        """The address of what is below the repository."""
        if "://" in path:
            return path
        scheme = "http" if self.reference.local else "https"
        return f"{scheme}://{self.reference.host}/v2/{self.reference.repository}/{path}"

    def fail(self, message: str) -> WhammError:
        kind = UsageError if self.pushes else InputError
        return kind(f"{self.reference}: {message}")

    def _refused(self, code: int) -> str:
        why = self.credentials.why
        if self.pushes:
            why = why or "the credentials are not accepted, or may only read"
            return f"the registry does not let you push ({code}); {why}"
        why = why or "the credentials are not accepted"
        return f"the registry refuses access ({code}); {why}"

    # authentication

    def _answer(self, challenge: Challenge) -> str:
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
        actions = "pull,push" if self.pushes else "pull"
        query = {
            "service": parameters.get("service", "").strip('"'),
            "scope": f"repository:{self.reference.repository}:{actions}",
        }
        url = f"{realm}{'&' if '?' in realm else '?'}" + urlencode(
            {key: value for key, value in query.items() if value}
        )
        header = self.credentials.header if self.credentials.basic else ""
        try:
            ask = Ask("GET", url, "the token", "application/json", _MAX_TOKEN)
            body = self._once(ask, url, header).body
        except Challenge as challenge:
            raise self.fail(self._refused(challenge.code)) from None
        except Redirect:
            raise self.fail("the token server redirects, which is not followed") from None
        try:
            answer = json.loads(body)
            token = answer.get("token") or answer.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise self.fail("the token server gives no token")
        return token

    # where answers come from

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

    def _follow(self, ask: Ask) -> Reply:
        home, url = _origin(self.url("")), self.url(ask.path)
        for _ in range(_MAX_REDIRECTS + 1):
            at_home = _origin(url) == home
            try:
                return self._once(ask, url, self._header if at_home else "")
            except Redirect as redirect:
                if ask.body is not None and redirect.code not in (307, 308):
                    text = f"the registry answers {redirect.code} for {ask.what}"
                    raise self.fail(text) from None
                url = self.address(url, redirect.target, "redirect")
            except Challenge as challenge:
                if at_home:
                    raise
                # Somebody else asks for the registry's credentials.
                text = f"a redirect for {ask.what} leads to {challenge.code}"
                raise self.fail(text) from None
        raise self.fail(f"more than {_MAX_REDIRECTS} redirects for {ask.what}")

    def _once(self, ask: Ask, url: str, header: str) -> Reply:
        """One answer; a registry that is busy is asked again when it says so."""
        for _ in range(_MAX_RETRIES):
            try:
                return request(ask, url, header, self._deadline)
            except Busy as busy:
                if not self._deadline.wait(busy.seconds):
                    raise self.fail(busy.message) from None
            except Failure as failure:
                raise self.fail(str(failure)) from None
            except Refusal as refusal:
                raise self.fail(self._sentence(ask, refusal)) from None
        raise self.fail(f"the registry is too busy for {ask.what}, after {_MAX_RETRIES} times")

    def _sentence(self, ask: Ask, refusal: Refusal) -> str:
        code = refusal.code
        if code == 403:
            return self._refused(code)
        if code == 404 and not self.pushes:
            return f"the registry does not have {ask.what}"
        said = f" ({refusal.said})" if refusal.said else ""
        if code == 404:
            return f"the registry has no such repository to push {ask.what} to{said}"
        if code == 405 and self.pushes:
            return f"the registry takes nothing (405): it is read-only, or a mirror{said}"
        return f"the registry answers {code} for {ask.what}{said}"


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
