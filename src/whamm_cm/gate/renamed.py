"""What WASI 0.3 calls otherwise than 0.2 did: what a policy denies by one name is denied by the
other, too.

Only a line without a version, or with one that fits, means the other: ``wasi:sockets/tcp@0.2``
speaks of 0.2 alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

#: Interface of 0.2, interface of 0.3 that has taken its place, and how the functions there begin
#: that have not.  Of several the first is what 0.2's is taken for.  Without a network, which 0.2
#: hands around, there are neither sockets nor lookups.
_INTERFACES: tuple[tuple[str, str, str], ...] = (
    ("wasi:clocks/wall-clock", "wasi:clocks/system-clock", ""),
    ("wasi:http/outgoing-handler", "wasi:http/client", ""),
    ("wasi:http/outgoing-handler", "wasi:http/handler", ""),
    ("wasi:http/incoming-handler", "wasi:http/handler", ""),
    ("wasi:sockets/tcp", "wasi:sockets/types", "udp-"),
    ("wasi:sockets/tcp-create-socket", "wasi:sockets/types", "udp-"),
    ("wasi:sockets/udp", "wasi:sockets/types", "tcp-"),
    ("wasi:sockets/udp-create-socket", "wasi:sockets/types", "tcp-"),
    ("wasi:sockets/network", "wasi:sockets/types", ""),
    ("wasi:sockets/network", "wasi:sockets/ip-name-lookup", ""),
    ("wasi:sockets/instance-network", "wasi:sockets/types", ""),
    ("wasi:sockets/instance-network", "wasi:sockets/ip-name-lookup", ""),
)
#: Packages whose names are the same otherwise.
_PACKAGES = ("cli", "clocks", "filesystem", "http", "random", "sockets")

#: Functions with other names altogether: of 0.2, of 0.3.
_FUNCTIONS: tuple[tuple[str, str], ...] = (
    ("get-stdin", "read-via-stream"),
    ("get-stdout", "write-via-stream"),
    ("get-stderr", "write-via-stream"),
    ("subscribe-instant", "wait-until"),
    ("subscribe-duration", "wait-for"),
    ("display", "iana-id"),
    ("display", "to-debug-string"),
    ("handle", "send"),
    ("fields.entries", "fields.copy-all"),
    ("fields.delete", "fields.get-and-delete"),
    ("incoming-request.consume", "request.consume-body"),
    ("incoming-response.consume", "response.consume-body"),
    ("incoming-response.status", "response.get-status-code"),
    ("create-tcp-socket", "tcp-socket.create"),
    ("tcp-socket.accept", "tcp-socket.listen"),
    ("tcp-socket.shutdown", "tcp-socket.send"),
    ("tcp-socket.finish-connect", "tcp-socket.send"),
    ("tcp-socket.finish-connect", "tcp-socket.receive"),
    ("create-udp-socket", "udp-socket.create"),
    ("udp-socket.stream", "udp-socket.connect"),
    ("udp-socket.stream", "udp-socket.disconnect"),
    ("outgoing-datagram-stream.send", "udp-socket.send"),
    ("incoming-datagram-stream.receive", "udp-socket.receive"),
    ("resolve-address-stream.resolve-next-address", "resolve-addresses"),
    ("descriptor.read", "descriptor.read-via-stream"),
    ("descriptor.write", "descriptor.write-via-stream"),
    ("directory-entry-stream.read-directory-entry", "descriptor.read-directory"),
)
#: Resources: of 0.2, of 0.3.
_RESOURCES: tuple[tuple[str, str], ...] = (
    ("incoming-request", "request"),
    ("outgoing-request", "request"),
    ("incoming-response", "response"),
    ("outgoing-response", "response"),
)


def may_rename(interface: str) -> bool:
    """Whether functions of it have other names in the other release."""
    space, _, package = interface.partition("/")[0].partition(":")
    return space == "wasi" and package in _PACKAGES


@lru_cache(maxsize=4096)
def other_names(interface: str, version: str | None, func: str) -> tuple[tuple[str, str], ...]:
    """Interfaces and functions of the other release that a function has taken the place of, or
    that have taken its."""
    if not may_rename(interface):
        return ()
    found: dict[tuple[str, str], None] = {}
    if version is None or version.startswith("0.3."):
        before = tuple(_before(func))
        for old, new, others in _INTERFACES:
            if new == interface and not (others and func.startswith(others)):
                found |= {(old, name): None for name in before}
        found |= {(interface, name): None for name in before}
    if version is None or version.startswith("0.2."):
        after = tuple(_after(func))
        news = [new for old, new, _ in _INTERFACES if old == interface]
        found |= {(one, name): None for one in (*news[:1], interface) for name in after}
    found.pop((interface, func), None)
    return tuple(found)


def _before(func: str) -> Iterator[str]:
    """What 0.2 may have called a function of 0.3."""
    yield from (old for old, new in _FUNCTIONS if new == func)
    for name in (func, *_moved(func, 1, 0)):
        resource, dot, method = name.rpartition(".")
        yield name
        yield f"{resource}{dot}{method.removeprefix('get-')}"
        if method in ("bind", "connect", "listen"):
            yield from (f"{resource}{dot}{step}-{method}" for step in ("start", "finish"))


def _after(func: str) -> Iterator[str]:
    """What 0.3 may call a function of 0.2."""
    yield from (new for old, new in _FUNCTIONS if old == func)
    for name in (func, *_moved(func, 0, 1)):
        resource, dot, method = name.rpartition(".")
        yield name
        yield f"{resource}{dot}get-{method}"
        yield f"{resource}{dot}{method.removeprefix('start-').removeprefix('finish-')}"


def _moved(func: str, here: int, there: int) -> Iterator[str]:
    resource, dot, method = func.partition(".")
    for pair in _RESOURCES:
        if dot and pair[here] == resource:
            yield f"{pair[there]}.{method}"


def other_interfaces(interface: str) -> tuple[str, ...]:
    """Those that :func:`other_names` may name for a function of it."""
    found = [old for old, new, _ in _INTERFACES if new == interface]
    found += [new for old, new, _ in _INTERFACES if old == interface]
    return tuple(dict.fromkeys(found))
