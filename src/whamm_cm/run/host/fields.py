"""HTTP fields as guests see them: names in lower case, values as bytes, in the order they came.

RFC 9110, 5; ``wasi:http/types`` ``fields``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from whamm_cm.run.host.bridge import Failure, Resource

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
#: Fields about one connection, which is the host's, and ``host``, which is the authority.
FORBIDDEN = frozenset(
    (
        "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "transfer-encoding", "upgrade",
    )
)  # fmt: skip
#: No other host sends these behind a body (RFC 9110, 6.5.1).
_NO_TRAILERS = frozenset(
    (
        "authorization", "cache-control", "content-encoding", "content-length", "content-range",
        "content-type", "host", "max-forwards", "set-cookie", "te", "trailer", "transfer-encoding",
    )
)  # fmt: skip


class Fields(Resource):
    """``fixed``: of a message that was received, or is being sent."""

    def __init__(self, entries: Iterable[tuple[str, bytes]] = (), fixed: bool = False) -> None:
        self.values: dict[str, list[bytes]] = {}
        self.fixed = fixed
        for name, value in entries:
            self.values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return ((name, value) for name, values in self.values.items() for value in values)

    def copy(self, fixed: bool) -> Fields:
        return Fields(self, fixed)

    def get(self, name: str) -> list[bytes]:
        return list(self.values.get(name.lower(), ()))

    def append(self, name: str, value: bytes) -> None:
        self._key(name, value)
        self.values.setdefault(name.lower(), []).append(value)

    def set(self, name: str, values: list[bytes]) -> None:
        key = self._key(name, *values)
        if values:
            self.values[key] = list(values)
        else:
            self._drop(key)

    def delete(self, name: str) -> None:
        self._drop(self._key(name))

    def _drop(self, key: str) -> None:
        """The last field takes the place of the one that goes: so do other hosts, and guests that
        repeat all they got answer the same on this one."""
        if key not in self.values:
            return
        last, values = self.values.popitem()
        if last != key:
            found = self.values.items()
            self.values = dict((last, values) if one == key else (one, kept) for one, kept in found)

    def _key(self, name: str, *values: bytes) -> str:
        if self.fixed:
            raise Failure({"immutable": None})
        if not is_token(name.encode()) or not all(map(is_value, values)):
            raise Failure({"invalid-syntax": None})
        if name.lower() in FORBIDDEN:
            raise Failure({"forbidden": None})
        return name.lower()

    @property
    def length(self) -> int | None:
        """The ``content-length``, None without one.  Raises ValueError where that is no number."""
        found = self.values.get("content-length")
        if not found:
            return None
        if not found[0].isdigit():
            raise ValueError("a content-length that is no number")
        return int(found[0])

    def sent(self) -> list[tuple[bytes, bytes]]:
        """As they go over the wire."""
        return [(name.encode(), value) for name, value in self]


def is_value(value: bytes) -> bool:
    return _VALUE.fullmatch(value) is not None


def is_token(name: bytes) -> bool:
    return _TOKEN.fullmatch(name) is not None


def received(entries: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of a message that came, without those about the connection."""
    named = ((bytes(name).decode("ascii").lower(), bytes(value)) for name, value in entries)
    found = Fields(named, fixed=True)
    for name in [name for name in found.values if name in FORBIDDEN]:
        found._drop(name)
    return found


def announced(trailers: Fields | None, headers: Fields) -> list[tuple[bytes, bytes]]:
    """The trailers that go over the wire: those that the ``trailer`` field of the message names, as
    in other hosts."""
    if trailers is None:
        return []
    names = b",".join(headers.get("trailer")).decode("latin-1").lower().split(",")
    known = {name.strip() for name in names} - _NO_TRAILERS
    return [(name, value) for name, value in trailers.sent() if name.decode() in known]
