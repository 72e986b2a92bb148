"""Socket addresses as they are written: the ``ip-address`` and ``ip-socket-address`` variants."""

from __future__ import annotations

import ipaddress


def address_text(value: object) -> str | None:
    """``1.2.3.4:80``, ``[::1]:80``, ``1.2.3.4`` or ``::1``; None if ``value`` is no address.

    ``value`` is a value as JSON, such as ``{"ipv4": {"port": 80, "address": [1, 2, 3, 4]}}``.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((family, payload),) = value.items()
    parts, bits = {"ipv4": (4, 8), "ipv6": (8, 16)}.get(family, (0, 0))
    if not parts:
        return None
    if not isinstance(payload, dict):
        return _ip(payload, parts, bits)
    ip, port = _ip(payload.get("address"), parts, bits), payload.get("port")
    if ip is None or type(port) is not int:
        return None
    return f"{ip}:{port}" if family == "ipv4" else f"[{ip}]:{port}"


def _ip(value: object, parts: int, bits: int) -> str | None:
    if not isinstance(value, list) or len(value) != parts:
        return None
    number = 0
    for part in value:
        if type(part) is not int or not 0 <= part < 1 << bits:
            return None
        number = number << bits | part
    if parts == 4:
        return str(ipaddress.IPv4Address(number))
    return str(ipaddress.IPv6Address(number))
