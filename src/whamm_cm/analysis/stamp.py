"""What a woven file says of itself: custom sections that inspect, gate and a second weave read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from whamm_cm.agent.layout import TABLE_SECTION
from whamm_cm.agent.table import SiteTable, unpacked_table
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component
from whamm_cm.errors import InputError

STAMP, SITES = "whamm-cm", TABLE_SECTION


def woven_table(data: bytes, what: str) -> tuple[str, SiteTable]:
    """Nonce ("" for sinks without) and site table of an instrumented component or core module.

    Raises InputError for any other file, and for a table that is damaged.
    """
    nonce, table = "", None
    for name, content in _custom_sections(data):
        if name == STAMP.encode():
            nonce = _nonce(content)
        elif name == SITES.encode():
            table = unpacked_table(content)
    if table is None:
        raise InputError(
            f"{what} has no table of sites; name the file that `whamm-cm instrument` wrote"
        )
    return nonce, SiteTable.parse(table)


def stamp_of(root: Component) -> dict[str, object] | None:
    """The ``whamm-cm`` custom section of an instrumented component, or None."""
    data = _section(root, STAMP)
    if data is None:
        return None
    try:
        stamp = json.loads(data)
    except (ValueError, RecursionError):
        stamp = None
    return stamp if isinstance(stamp, dict) else {}


def table_of(root: Component) -> bytes | None:
    """The site table kept in an instrumented component, or None."""
    data = _section(root, SITES)
    return None if data is None else unpacked_table(data)


def _section(root: Component, name: str) -> bytes | None:
    """The last custom section of that name, which the latest weave wrote."""
    for definition in reversed(root.definitions):
        node = definition.node
        if isinstance(node, n.Custom) and node.name == name:
            return bytes(node.data)
    return None


def _nonce(content: bytes) -> str:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    found = facts.get("nonce", "") if isinstance(facts, dict) else ""
    return found if isinstance(found, str) else ""


def _custom_sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the outermost custom sections, which all binaries frame alike."""
    at = 8 if data[:4] == b"\0asm" else len(data)
    while at < len(data):
        kind, (size, body) = data[at], _leb(data, at + 1)
        at = body + size
        if kind == 0:
            length, name = _leb(data, body)
            yield data[name : name + length], data[name + length : at]


def _leb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number and where it ends; of what is cut, as much as there is."""
    value = shift = 0
    while at < len(data) and shift < 35:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            break
    return value, at
