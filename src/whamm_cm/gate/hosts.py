"""Host names and addresses in one spelling, so that another spelling does not slip through.

Numbers are read as browsers and ``inet_aton`` do (``0x7f.1``, ``2130706433``, ``0177.0.0.1``),
IPv6 addresses that stand for IPv4 ones as those, names in lower case, without a trailing dot, in
their ASCII (IDNA) form.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
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
    _, _, rest = text.rpartition("@")
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
    if host is None or (port and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        return None
    return Host(host.name, host.address, int(port) if port else None)


def parse_host(text: str) -> Host | None:
    """A name or an address without port; None when it is neither."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if ":" in text:
        try:
            return Host(address=plain(ipaddress.IPv6Address(text.partition("%")[0])))
        except ValueError:
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
    if address in _NAT64 or compatible:
        return ipaddress.IPv4Address(low)
    if address.sixtofour is not None:
        return address.sixtofour
    return ipaddress.IPv6Address(int(address))


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
        if _LABEL.fullmatch(label) is None:
            return None
        found.append(label)
    return ".".join(found) if found else None


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
