"""Host names and addresses in one spelling, so that another spelling does not slip through.

Numbers are read as browsers and ``inet_aton`` do (``0x7f.1``, ``2130706433``, ``0177.0.0.1``),
IPv6 addresses that stand for IPv4 ones as those, names in lower case, without a trailing dot, in
their ASCII (IDNA) form.  What parsers read in different ways is no host here: it cannot be judged.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TypeAlias

from whamm_cm.dataclass import dataclass

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 networks whose last 32 bits are an IPv4 address: NAT64, translated (RFC 2765), compatible.
_LAST_32 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96")))
#: NAT64 of a network of one's own (RFC 8215), most of all with prefixes of 96 bits.
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_TEREDO = ipaddress.ip_network("2001::/32")
#: What an authority is written with; some clients take a backslash for a slash, some decode "%".
_AUTHORITY = re.compile(r"[^\s\x00-\x20\x7f\\/?#<>\"{}|^`]*")
_USER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:%@-]*")
_PORT = re.compile(r"[0-9]{1,5}")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
#: Letters for which the two standards of IDNA give different names.
_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Host:
    """``name`` or ``address``, never both; ``port`` None where nobody says."""

    name: str = ""
    address: Address | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = self.name or str(self.address)
        if isinstance(self.address, ipaddress.IPv6Address) and self.port is not None:
            host = f"[{host}]"
        return host if self.port is None else f"{host}:{self.port}"


def parse_authority(text: str) -> Host | None:
    """``user@host:port`` as in a URL; None when it is no authority at all."""
    user, _, rest = text.rpartition("@")
    if _AUTHORITY.fullmatch(text) is None or _USER.fullmatch(user) is None:
        return None
    if rest.startswith("["):
        inside, closed, after = rest[1:].partition("]")
        if not closed:
            return None
        host, port = parse_host(f"[{inside}]"), after.removeprefix(":")
        if after and not after.startswith(":"):
            return None
    else:
        if rest.count(":") > 1:
            return parse_host(rest)
        name, _, port = rest.partition(":")
        host = parse_host(name)
    if host is None or (port and not (_PORT.fullmatch(port) and int(port) < 65536)):
        return None
    return Host(host.name, host.address, int(port) if port else None)


def parse_host(text: str) -> Host | None:
    """A name or an address without port; None when it is neither."""
    bracketed = text.startswith("[") and text.endswith("]")
    if bracketed:
        text = text[1:-1]
    if ":" in text:
        numbers, zoned, zone = text.partition("%")
        if zoned and _ZONE.fullmatch(zone.removeprefix("25")) is None:
            return None
        try:
            return Host(address=plain(ipaddress.IPv6Address(numbers)))
        except ValueError:
            return None
    if bracketed:
        return None
    ascii_ = _ascii(text)
    if ascii_ is None:
        return None
    last = ascii_.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        number = _inet_aton(ascii_)
        return None if number is None else Host(address=ipaddress.IPv4Address(number))
    return Host(ascii_)


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    low = int(address) & 0xFFFFFFFF
    compatible = int(address) >> 32 == 0 and low > 0xFFFF
    if compatible or any(address in network for network in _LAST_32):
        return ipaddress.IPv4Address(low)
    if address.sixtofour is not None:
        return address.sixtofour
    return ipaddress.IPv6Address(int(address))


def embedded(address: Address) -> tuple[Address, ...]:
    """``address``, and the IPv4 addresses that a tunnel or translator may take it to: what denies
    one of them denies it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    found: list[Address] = [address]
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _TEREDO and address.teredo is not None:
        found += address.teredo
    if address in _LOCAL_NAT64:
        # RFC 6052: after 48 or 56 bits the address goes around the bits 64 to 71, which are zero.
        found += [last, *(ipaddress.IPv4Address(_around(number, start)) for start in (48, 56, 64))]
    if number >> 32 & 0xFCFFFFFF == 0x00005EFE:  # ISATAP (RFC 5214)
        found.append(last)
    return tuple(dict.fromkeys(found))


def _around(number: int, start: int) -> int:
    bits = f"{number:0128b}"
    return int((bits[start:64] + bits[72:])[:32], 2)


def _ascii(text: str) -> str | None:
    """In lower case, without trailing dot, every label in its ASCII form."""
    labels = _DOTS.split(unicodedata.normalize("NFKC", text).lower())
    if labels and not labels[-1]:
        labels.pop()
    found: list[str] = []
    for label in labels:
        if _DEVIATIONS.search(label):
            return None
        if not label.isascii():
            try:
                label = label.encode("idna").decode("ascii").lower()
            except UnicodeError:
                return None
        if _LABEL.fullmatch(label) is None or not _honest(label):
            return None
        found.append(label)
    return ".".join(found) if found else None


def _honest(label: str) -> bool:
    """Whether what is in Punycode is what nobody could write otherwise."""
    if not label.startswith("xn--"):
        return True
    try:
        name = label[4:].encode("ascii").decode("punycode")
        again = name.encode("punycode").decode("ascii") == label[4:]
        return again and name.isprintable() and not name.isascii()
    except UnicodeError:
        return False


def _inet_aton(text: str) -> int | None:
    parts = text.split(".")
    if len(parts) > 4:
        return None
    numbers = [_number(part) for part in parts]
    value = 0
    for position, number in enumerate(numbers):
        last = position == len(numbers) - 1
        limit = 1 << 8 * (5 - len(numbers)) if last else 256
        if number is None or number >= limit:
            return None
        value = value << 8 * (5 - len(numbers)) | number if last else value << 8 | number
    return value


def _number(text: str) -> int | None:
    try:
        if text.startswith("0x"):
            return int(text[2:] or "0", 16)
        return int(text, 8) if text.startswith("0") and len(text) > 1 else int(text)
    except ValueError:
        return None
