"""What a component says of its guard, in the custom section ``whamm-cm:guard`` at its end.

The section holds what is claimed as one line of JSON, and behind that, where it is signed, another
line with the key and the signature.  Signed is all that the component is: every byte of the file
before the section, and the line.  A section ``signature`` at the very beginning is left out, which
is where WebAssembly's own signatures are kept: they mean nothing to a host, and one can be added or
taken off without harm to ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.gate.model import Claim
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import name_bytes, unsigned

#: The custom section that says which policy a component is held to.
SECTION = "whamm-cm:guard"
_PREAMBLE = 8
_SIGNATURE = "signature"
#: What is signed begins so: a signature of something else, by the same key, is none of a guard.
_DOMAIN = b"whamm-cm:guard 1\0"


def message(body: str, facts: str) -> bytes:
    """What is signed.  ``body``: the sha256 of the bytes before the section, in hex."""
    return _DOMAIN + bytes.fromhex(body) + facts.encode()


def body_of(data: bytes, end: int | None = None) -> str:
    """The sha256 of a component as far as ``end``, without a signature at its beginning, in hex."""
    first = next(_sections(data), None)
    after = first.end if first and (first.start, first.name) == (_PREAMBLE, _SIGNATURE) else None
    found = hashlib.sha256(data[:_PREAMBLE])
    found.update(memoryview(data)[after or _PREAMBLE : end])
    return found.hexdigest()


def facts_text(facts: Mapping[str, object]) -> str:
    """As they stand in the section: one line."""
    return json.dumps(facts, separators=(",", ":"))


def section(facts: str, sealed: tuple[str, str] | None) -> bytes:
    """The section; ``sealed``: public key and signature in hex."""
    content = name_bytes(SECTION) + facts.encode()
    if sealed is not None:
        key, signature = sealed
        content += b"\n" + facts_text({"ed25519": key, "signature": signature}).encode()
    return b"\0" + unsigned(len(content)) + content


def claim_of(data: bytes, root: Component) -> Claim | None:
    """What ``data``, decoded as ``root``, claims; None where nothing in it does."""
    inside = sum(
        isinstance(one.node, n.Custom) and one.node.name == SECTION
        for part in walk(root)
        for one in part.definitions
        if part is not root
    )
    found = [one for one in _sections(data) if one.name == SECTION]
    if not found:
        return Claim(0, inside) if inside else None
    last = found[-1]
    facts, _, rest = data[last.content : last.end].partition(b"\n")
    key, signature = _sealed(rest)
    return Claim(
        len(found), inside, last.end == len(data), body_of(data, last.start),
        facts.decode("utf-8", "replace"), key, signature,
    )  # fmt: skip


def _sealed(text: bytes) -> tuple[str, str]:
    """Key and signature in hex, "" for what makes no sense."""
    try:
        found = json.loads(text) if text else {}
        pair = (bytes.fromhex(found["ed25519"]), bytes.fromhex(found["signature"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    return pair[0].hex(), pair[1].hex()


@dataclass(frozen=True, slots=True)
class _Custom:
    """A custom section of the outermost component: where it, its content and what follows begin."""

    name: str
    start: int
    content: int
    end: int


def _sections(data: bytes) -> Iterator[_Custom]:
    """Of a component that can be decoded."""
    cur = Cursor(data, _PREAMBLE, len(data))
    while cur.left:
        start, kind = cur.pos, cur.u8()
        inner = cur.inner(cur.u32(), "a section")
        if kind == 0:
            yield _Custom(inner.name(), start, inner.pos, inner.end)
