"""Values a component may use: network, storage, environment.  The words are wassette's.

Denied beats allowed.  A section with ``allow`` allows nothing else; one with only ``deny`` allows
everything else; what has no section is not judged.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from whamm_cm.gate.hosts import Address, Host, parse_authority, parse_host
from whamm_cm.gate.model import Location
from whamm_cm.gate.yamldoc import Node

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Access: TypeAlias = Literal["read", "write"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Section(Generic[_T]):
    """``allow`` None: there is no such list."""

    location: Location
    allow: tuple[_T, ...] | None
    deny: tuple[_T, ...]
    #: Where the list of allowed things stands, for what is missing on it.
    allow_at: Location


@dataclass(frozen=True, slots=True)
class NetworkLine:
    """One of ``name`` (a leading ``*.`` is any subdomain) and ``network``; no ``ports``: any."""

    text: str
    location: Location
    name: str = ""
    network: Network | None = None
    ports: tuple[int, ...] = ()

    def covers(self, host: Host, names: Iterable[str] = ()) -> bool:
        """``names``: those that were looked up and gave this address."""
        return self._host(host, names) and (not self.ports or host.port in self.ports)

    def could_cover(self, host: Host, names: Iterable[str] = ()) -> bool:
        """As :meth:`covers`, where a port that nobody knows may be any."""
        return self._host(host, names) and (
            not self.ports or host.port is None or host.port in self.ports
        )

    def _host(self, host: Host, names: Iterable[str]) -> bool:
        if self.network is not None:
            return host.address is not None and _inside(host.address, self.network)
        if self.name == "*":
            return True
        given = (host.name,) if host.name else tuple(names)
        if self.name.startswith("*."):
            return any(name.endswith(self.name[1:]) for name in given)
        return self.name in given


def _inside(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


@dataclass(frozen=True, slots=True)
class StorageLine:
    text: str
    location: Location
    pattern: re.Pattern[str]
    access: tuple[Access, ...]

    def covers(self, path: str, access: Access) -> bool:
        return access in self.access and self.pattern.fullmatch(path) is not None

    def denies(self, path: str, access: Access) -> bool:
        """In any case and any form: file systems differ in what they take for the same."""
        folded = unicodedata.normalize("NFC", path).casefold()
        if access not in self.access:
            return False
        return self.covers(path, access) or (
            re.compile(_glob(unicodedata.normalize("NFC", self.text).casefold()), re.S).fullmatch(
                folded
            )
            is not None
        )


@dataclass(frozen=True, slots=True)
class KeyLine:
    key: str
    location: Location


@dataclass(frozen=True, slots=True)
class Permissions:
    network: Section[NetworkLine] | None = None
    storage: Section[StorageLine] | None = None
    environment: Section[KeyLine] | None = None

    @property
    def empty(self) -> bool:
        return self.network is None and self.storage is None and self.environment is None


def read_permissions(node: Node) -> Permissions:
    entries = node.mapping("permissions", ("network", "storage", "environment"))
    found: dict[str, Any] = {
        key: _section(section, f"permissions.{key}", _LINES[key])
        for key, section in entries.items()
    }
    return Permissions(**found)


def merged(base: Permissions, over: Permissions) -> Permissions:
    """Lists of a policy behind those of what it extends."""
    return Permissions(
        _both(base.network, over.network),
        _both(base.storage, over.storage),
        _both(base.environment, over.environment),
    )


def _both(base: Section[_T] | None, over: Section[_T] | None) -> Section[_T] | None:
    if base is None or over is None:
        return over or base
    allow = None
    if base.allow is not None or over.allow is not None:
        allow = (*(base.allow or ()), *(over.allow or ()))
    at = over.allow_at if over.allow is not None else base.allow_at
    return Section(over.location, allow, (*base.deny, *over.deny), at)


def _section(node: Node, what: str, read: Callable[[Node, str], _T]) -> Section[_T]:
    entries = node.mapping(what, ("allow", "deny"))
    allow = entries.get("allow")
    deny = entries.get("deny")
    allowed = None if allow is None else tuple(read(n, what) for n in allow.items(f"{what}.allow"))
    denied = () if deny is None else tuple(read(n, what) for n in deny.items(f"{what}.deny"))
    at = node.keys["allow"] if allow is not None else node.location
    return Section(node.location, allowed, denied, at)


def _network_line(node: Node, what: str) -> NetworkLine:
    entries = node.mapping(f"an entry of {what}", ("host", "cidr", "ports"))
    given = [key for key in ("host", "cidr") if key in entries]
    if len(given) != 1:
        raise node.fail(f'an entry of {what} has either "host" or "cidr"')
    target = entries[given[0]]
    text = target.string(given[0])
    ports: tuple[int, ...] = ()
    if "ports" in entries:
        numbers = [n.integer("a port", 1) for n in entries["ports"].items("ports")]
        if not numbers or max(numbers) > 65535:
            raise entries["ports"].fail("ports must be numbers from 1 to 65535")
        ports = tuple(numbers)
    if given[0] == "cidr":
        return NetworkLine(text, target.location, network=_cidr(target, text), ports=ports)
    return _host_line(target, text, ports)


def _cidr(node: Node, text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise node.fail(f"{error}; expected a network such as 10.0.0.0/8") from None
    mapped = network.network_address
    if isinstance(mapped, ipaddress.IPv6Address) and mapped.ipv4_mapped and network.prefixlen >= 96:
        return ipaddress.ip_network(f"{mapped.ipv4_mapped}/{network.prefixlen - 96}")
    return network


def _host_line(node: Node, text: str, ports: tuple[int, ...]) -> NetworkLine:
    if text == "*":
        return NetworkLine(text, node.location, name="*", ports=ports)
    body = text.removeprefix("*.")
    host = parse_host(body) if text != body else parse_authority(body)
    if host is None or "@" in body or "*" in body or (host.address and text != body):
        inside = text.partition("://")[2].partition("/")[0]
        hint = f'; write "{inside}"' if inside else ""
        raise node.fail(
            f'"{text}" is no host; expected a name, *.name for its subdomains, or an address{hint}'
        )
    if host.port is not None:
        ports = (*ports, host.port)
    if host.address is not None:
        return NetworkLine(text, node.location, network=_single(host.address), ports=ports)
    name = ("*." if text != body else "") + host.name
    return NetworkLine(text, node.location, name=name, ports=ports)


def _single(address: Address) -> Network:
    return ipaddress.ip_network(str(address))


def _storage_line(node: Node, what: str) -> StorageLine:
    entries = node.mapping(f"an entry of {what}", ("uri", "access"))
    for key in ("uri", "access"):
        if key not in entries:
            raise node.fail(f'an entry of {what}: "{key}" is missing')
    uri = entries["uri"].string("uri")
    if not uri.startswith("fs://"):
        raise entries["uri"].fail("uri must start with fs://, as in fs:///data/**")
    path = normal_path("/", uri.removeprefix("fs://"))
    access: list[Access] = []
    for one in entries["access"].items("access"):
        word = one.choice("access", ("read", "write"))
        access.append("write" if word == "write" else "read")
    pattern = re.compile(_glob(path), re.S)
    return StorageLine(path, entries["uri"].location, pattern, tuple(access))


def _glob(path: str) -> str:
    """``*`` and ``?`` stay within a part, ``**`` is any number of parts; ``/d/**`` has ``/d``."""
    out: list[str] = []
    at = 0
    while at < len(path):
        if path.startswith("/**", at) and path[at + 3 : at + 4] in ("", "/"):
            out.append("(?:/.*)?")
            at += 3
        elif path.startswith("**", at):
            out.append(".*")
            at += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(path[at], re.escape(path[at])))
            at += 1
    return "".join(out) or "/"


def normal_path(base: str, path: str) -> str:
    """``path`` seen from ``base``, absolute, without ``.``, ``..`` and empty parts."""
    whole = path if path.startswith("/") else f"{base}/{path}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _key_line(node: Node, what: str) -> KeyLine:
    entries = node.mapping(f"an entry of {what}", ("key",))
    if "key" not in entries:
        raise node.fail(f'an entry of {what}: "key" is missing')
    key = entries["key"].string("key")
    if "*" in key:
        raise entries["key"].fail("keys have no wildcards")
    return KeyLine(key, entries["key"].location)


_LINES: dict[str, Callable[[Node, str], Any]] = {
    "network": _network_line,
    "storage": _storage_line,
    "environment": _key_line,
}
