"""What ``enforce`` answers in the host's place: the section ``virtual`` of a policy.

The gate reads it and judges nothing by it; what is not said is left to the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import cut
from whamm_cm.gate.model import Location
from whamm_cm.gate.permissions import key_fault
from whamm_cm.gate.yamldoc import Node

_NS = 1_000_000_000
#: A second before seconds and nanoseconds no longer fit one number of 64 bits.
_LAST = (1 << 64) // _NS - 1


@dataclass(frozen=True, slots=True)
class Clocks:
    """``start``: nanoseconds since 1970; ``step``: those that pass with each reading."""

    start: int
    step: int


@dataclass(frozen=True, slots=True)
class Virtual:
    """None: left to the host.  ``files``: those that there are, so far always none."""

    environment: Mapping[str, str] | None = None
    arguments: tuple[str, ...] | None = None
    directory: str | None = None
    config: Mapping[str, str] | None = None
    clocks: Clocks | None = None
    random: int | None = None
    files: tuple[str, ...] | None = None
    location: Location = Location("", 1, 1)

    def over(self, base: Virtual) -> Virtual:
        """What is not said here stays as it was; a part that is said is said whole."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        kept = {name: value if value is not None else getattr(base, name)
                for name, value in own.items()}  # fmt: skip
        return Virtual(**kept)


def read_virtual(node: Node, at: Location) -> Virtual:
    found: dict[str, Any] = {
        key: _PARTS[key](section) for key, section in node.mapping("virtual", tuple(_PARTS)).items()
    }
    return Virtual(**found, location=at)


def _pairs(node: Node, what: str) -> Mapping[str, str]:
    found = {}
    for key, value in node.mapping(what).items():
        fault = key_fault(key) if key else "a key is empty"
        if fault is not None:
            raise Node(key, node.keys[key], {}).fail(fault)
        found[key] = _text(value, f"the value of {cut(key)}")
    return found


def _text(node: Node, what: str) -> str:
    """Any text, also none; no host hands over zero bytes."""
    if not isinstance(node.value, str):
        hint = "" if isinstance(node.value, dict | list) else "; quote it"
        raise node.fail(f"{what} must be text, not {node.kind}{hint}")
    if "\0" in node.value:
        raise node.fail(f"{what} has a zero byte in it")
    return node.value


def _environment(node: Node) -> Mapping[str, str]:
    return _pairs(node, "virtual.environment")


def _config(node: Node) -> Mapping[str, str]:
    return _pairs(node, "virtual.config")


def _arguments(node: Node) -> tuple[str, ...]:
    items = node.items("virtual.arguments")
    return tuple(_text(one, "an argument, the first is the program's name,") for one in items)


def _directory(node: Node) -> str:
    text = node.string("virtual.directory")
    if not text.startswith("/"):
        raise node.fail("virtual.directory is a path from the root on, such as /data")
    return text


def _clocks(node: Node) -> Clocks:
    entries = node.mapping("virtual.clocks", ("start", "step_ms"))
    if "start" not in entries:
        raise node.fail('virtual.clocks needs "start", a time such as 2026-01-01T00:00:00Z')
    step = entries["step_ms"].number("step_ms") if "step_ms" in entries else 0
    if step > 1e9:
        raise entries["step_ms"].fail("step_ms is more than eleven days")
    return Clocks(_time(entries["start"]), round(step * 1_000_000))


def _time(node: Node) -> int:
    value = node.value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date):
        raise node.fail(f"start must be a time such as 2026-01-01T00:00:00Z, not {node.kind}")
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    passed = value - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = passed.days * 86400 + passed.seconds
    if not 0 <= seconds <= _LAST:
        raise node.fail("start must be a time from 1970 to 2554")
    return seconds * _NS + passed.microseconds * 1000


def _random(node: Node) -> int:
    entries = node.mapping("virtual.random", ("seed",))
    if "seed" not in entries:
        raise node.fail('virtual.random needs "seed", a whole number')
    return entries["seed"].integer("seed")


def _files(node: Node) -> tuple[str, ...]:
    if node.mapping("virtual.files"):
        raise node.fail("virtual.files is {}, no files at all; there are no others yet")
    return ()


_PARTS = {
    "environment": _environment,
    "arguments": _arguments,
    "directory": _directory,
    "config": _config,
    "clocks": _clocks,
    "random": _random,
    "files": _files,
}
