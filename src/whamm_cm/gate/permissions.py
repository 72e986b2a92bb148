"""Values a component may use: network, storage, environment.  The words are wassette's.

Denied beats allowed.  A section with ``allow`` allows nothing else; one with only ``deny`` allows
everything else; what has no section is not judged.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, cut
from whamm_cm.gate.hosts import Address, Host, embedded, parse_authority, parse_host, plain
from whamm_cm.gate.model import Location
from whamm_cm.gate.yamldoc import Node
from whamm_cm.wit.glob import Glob, compile_path
from whamm_cm.wit.semver import PatternError

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
        """As :meth:`covers`, where a port that nobody knows may be any, and so may an address that
        has others in it."""
        if self.ports and host.port is not None and host.port not in self.ports:
            return False
        if self.network is not None and host.address is not None:
            return any(_inside(one, self.network) for one in embedded(host.address))
        return self._host(host, names)

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
    """``wide``: the same in any case and any form of letters."""

    text: str
    location: Location
    pattern: Glob
    wide: Glob
    access: tuple[Access, ...]

    def covers(self, path: str, access: Access) -> bool:
        return access in self.access and self.pattern.fullmatch(path)

    def denies(self, path: str, access: Access) -> bool:
        """In any case and any form: file systems differ in what they take for the same."""
        return access in self.access and (
            self.pattern.fullmatch(path) or self.wide.fullmatch(folded(path))
        )


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@dataclass(frozen=True, slots=True)
class KeyLine:
    """``replace``: what ``enforce`` shows instead of the value, None for nothing."""

    key: str
    location: Location
    replace: str | None = None


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
    about = found.get("environment")
    for line in () if about is None else about.allow or ():
        if line.replace is not None:
            raise UsageError(
                f"{line.location}: an allowed key is shown as it is; replace belongs to deny"
            )
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
    if network.version == 4:
        return network
    first, last = plain(network[0]), plain(network[-1])
    if isinstance(first, ipaddress.IPv4Address) and isinstance(last, ipaddress.IPv4Address):
        meant = next(ipaddress.summarize_address_range(first, last))
        raise node.fail(
            f'addresses of {network} stand for IPv4 ones, and are judged as those; write "{meant}"'
        )
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
    if uri != uri.strip():
        raise entries["uri"].fail(f"{cut(uri)!r} has a space around it; write {cut(uri.strip())!r}")
    path = normal_path("/", uri.removeprefix("fs://"))
    access: list[Access] = []
    for one in entries["access"].items("access"):
        word = one.choice("access", ("read", "write"))
        access.append("write" if word == "write" else "read")
    if not access:
        raise entries["access"].fail("access is empty, so that the entry is about nothing")
    try:
        pattern, wide = compile_path(path), compile_path(folded(path))
    except PatternError as error:
        raise entries["uri"].fail(str(error)) from None
    return StorageLine(path, entries["uri"].location, pattern, wide, tuple(access))


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
    entries = node.mapping(f"an entry of {what}", ("key", "replace"))
    if "key" not in entries:
        raise node.fail(f'an entry of {what}: "key" is missing')
    key = entries["key"].string("key")
    fault = key_fault(key)
    if fault is not None:
        raise entries["key"].fail(fault)
    instead = entries.get("replace")
    if instead is None:
        return KeyLine(key, entries["key"].location)
    if not isinstance(instead.value, str):
        raise instead.fail(f"replace must be text, not {instead.kind}; quote it")
    return KeyLine(key, entries["key"].location, instead.value)


def key_fault(key: str) -> str | None:
    """Why no variable or setting can be called so."""
    if "*" in key:
        return "keys have no wildcards"
    if key != key.strip() or not key.isprintable():
        return f"{cut(key)!r} has a space or something unprintable in it; no key has"
    odd = next((ch for ch in key if ch in '=,!%"$'), None)
    return None if odd is None else f'{cut(key)!r} has "{odd}" in it; write the name of one key'


_LINES: dict[str, Callable[[Node, str], Any]] = {
    "network": _network_line,
    "storage": _storage_line,
    "environment": _key_line,
}
