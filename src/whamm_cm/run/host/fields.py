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
            self.values.pop(key, None)

    def delete(self, name: str) -> None:
        self.values.pop(self._key(name), None)

    def _key(self, name: str, *values: bytes) -> str:
        if self.fixed:
            raise Failure({"immutable": None})
        if not is_token(name.encode()) or not all(map(_VALUE.fullmatch, values)):
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


def is_token(name: bytes) -> bool:
    return _TOKEN.fullmatch(name) is not None


def received(entries: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of a message that came, without those about the connection."""
    named = ((bytes(name).decode("ascii").lower(), bytes(value)) for name, value in entries)
    return Fields((pair for pair in named if pair[0] not in FORBIDDEN), fixed=True)
