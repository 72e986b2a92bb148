"""What a weave leaves in a component, at any depth: the stamp, and what cannot be stripped.

The stamp is a custom section, which ``wasm-tools strip`` takes off.  Names between the parts that a
weave adds and the numbers its blocks and tables begin with stay: without them nothing would work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from whamm_cm.agent.layout import BLOCK_MAGIC, TABLE_MAGIC
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, walk
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.leb import signed
from whamm_cm.wasm.module import CoreModule

#: The section in which a weave notes what it did, as in ``weave.stamp``, which is slow to import.
STAMP = "whamm-cm"

#: Names of imports and exports between what a weave adds, of components and of core modules.
_OURS = re.compile(r"whamm(:cm/|-cm[-:.]|-cm$|_core$)")

#: The numbers that blocks begin with, of all versions of the format.
_BLOCKS = tuple(dict.fromkeys((BLOCK_MAGIC, 0x314D4357, 0x324D4357)))

#: What probes take from the agent, and what it gives.
_AGENT = frozenset(("memory", "room", "take", "sent"))
_FROM_AGENT = frozenset(("room", "take", "sent"))


def _pushed(number: int) -> bytes:
    """``i32.const number``."""
    return b"\x41" + signed(number)


_CODE = tuple((_pushed(number), "code that makes blocks of records") for number in _BLOCKS)
_TABLE = re.compile(re.escape(TABLE_MAGIC.to_bytes(4, "little")) + rb"[\x01-\x0f]\0\0\0")
_LINE = re.compile(rb"WCM[12][ .]")


def stamp(root: Component) -> tuple[tuple[str, str], ...] | None:
    """What the latest weave of the root noted, or else that of a component inside; () where only
    other marks are left, None for an original."""
    found = [one for path, one in stamps(root) if not path] or [one for _, one in stamps(root)]
    if found:
        return found[-1]
    return () if next(marks(root), None) is not None else None


def stamps(root: Component) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """(path of the component, what is noted); what is damaged or odd still is the mark of a
    weave."""
    for component in walk(root):
        for definition in component.definitions:
            node = definition.node
            if isinstance(node, n.Custom) and node.name == STAMP:
                yield component.path, _noted(bytes(node.data))


def _noted(data: bytes) -> tuple[tuple[str, str], ...]:
    try:
        noted = json.loads(data)
    except (ValueError, RecursionError):
        return ()
    pairs = noted.items() if isinstance(noted, dict) else ()
    return tuple((key, value) for key, value in pairs if isinstance(value, str))


def marks(root: Component) -> Iterator[tuple[str, str]]:
    """(path of a component or module, "" for the root; what is there), each once."""
    seen: set[tuple[str, str]] = set()
    for component in walk(root):
        for path, sign in (*_named(component), *_cores(component)):
            if (path, sign) not in seen:
                seen.add((path, sign))
                yield path, sign


def _named(component: Component) -> Iterator[tuple[str, str]]:
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, n.Custom) and (node.name == STAMP or node.name.startswith(f"{STAMP}.")):
            yield component.path, f'the section "{node.name}"'
        elif isinstance(node, n.Import | n.Export) and _OURS.match(node.name.name):
            what = "import" if isinstance(node, n.Import) else "export"
            yield component.path, f'the {what} "{node.name.name}"'
        elif isinstance(node, n.Instantiate | n.InlineExports):
            given = node.args if isinstance(node, n.Instantiate) else node.exports
            for name, _ in given:
                text = name if isinstance(name, str) else name.name
                if _OURS.match(text):
                    yield component.path, f'the argument "{text}"'


def _cores(component: Component) -> Iterator[tuple[str, str]]:
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, CoreModule):
            try:
                yield from ((node.path, sign) for sign in _signs(node))
            except DecodeError:
                continue  # what cannot be read is said of the code as a whole


def _signs(module: CoreModule) -> Iterator[str]:
    if any(section.name.startswith(STAMP) for section in module.custom_sections):
        yield f'a section "{STAMP}"'
    if any(_OURS.match(one.module) or _OURS.match(one.name) for one in module.imports):
        yield "code that calls what a weave adds"
    if any(_OURS.match(one.name) for one in module.exports):
        yield "code that was given exports of a weave"
    if {one.name for one in module.exports} >= _AGENT:
        yield "the agent"
    if any(one.module == "agent" and one.name in _FROM_AGENT for one in module.imports):
        yield "probes"
    yield from dict.fromkeys(_bytes(module))


def _bytes(module: CoreModule) -> Iterable[str]:
    for number, text in ((10, "code"), (11, "data")):
        section = module.section(number)
        if section is None:
            continue
        data = bytes(module.data[section.start : section.end])
        if text == "code":
            yield from (sign for needle, sign in _CODE if needle in data)
        elif _TABLE.search(data):
            yield "a table of probes"
        elif _LINE.search(data):
            yield "text that begins lines of records"
