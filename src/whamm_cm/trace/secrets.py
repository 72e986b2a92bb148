"""Secrets as values: what was seen in a secret place is masked wherever it appears again.

The twin of ``agent/secrets.h``, which does the same inside the guest, before anything leaves it;
tests hold them together.  Probes send the beginning of a secret value (``kept`` is ``SECRET``) so
that it can be known again.  Each byte of it becomes ``*``.

What is learned of a value: the value; what follows its scheme (``Bearer …``), for ``Basic`` also
what that decodes to and the password in it; the values of cookies; of URLs the password and secret
parameters.  Not learned: less than six bytes, control characters, and what could be a path, a host
name, an address, a number or a locale, for a guest could hide where it connects to by calling that
a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from dataclasses import field
from typing import Final

from whamm_cm.agent.layout import (
    BLOCK_HEADER,
    RECORD_HEADER,
    SECRET,
    SECRET_PARAMETERS,
    SECRET_SENT,
    NodeKind,
    Phase,
    RecordFlag,
    SiteKind,
)
from whamm_cm.agent.table import Node, Site, SiteTable
from whamm_cm.dataclass import dataclass

#: Of so many secrets what is known at most; the oldest is forgotten for a new one.
SLOTS: Final = 128
#: Bytes remembered of each; a longer one is masked to the end of the word it appears in.
KEEP: Final = 128
#: The least that is a secret, and how much of a longer one's beginning gives it away.
SHORTEST, HEAD = 6, 12
#: Secret places looked at in one text.
_PLACES: Final = 32
_MARK: Final = SECRET.to_bytes(4, "little")
_STAR: Final = 0x2A
_BACKSLASH: Final = 0x5C

_ATTRIBUTES: Final = (
    "path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "priority",
    "partitioned",
)  # fmt: skip
_SCHEMES: Final = (
    "bearer", "basic", "token", "digest", "negotiate", "dpop", "apikey", "api-key", "bot", "hmac",
    "aws4-hmac-sha256",
)  # fmt: skip
_WORD = frozenset(range(0x21, 0x7F)) - frozenset(b"\"&;,<>'`")
_NAME = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_USER = frozenset(range(0x21, 0x7F)) - frozenset(b'/?#"<>@')
_LOWER, _UPPER = frozenset(b"abcdefghijklmnopqrstuvwxyz"), frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset(b"0123456789")
_ALNUM = _LOWER | _UPPER | _DIGITS
_NUMBER = _DIGITS | frozenset(b".:,/-+ ")
_PATH = _ALNUM | frozenset(b"._-/:~+ ")
_HOST = _LOWER | _DIGITS | frozenset(b"-.")


def matches(pattern: str, name: bytes) -> bool:
    """Whether a name is meant by a pattern of ``SECRET_NAMES`` or ``SECRET_PARAMETERS``."""
    low = name.lower().replace(b"_", b"-")
    before, star, after = pattern.encode().partition(b"*")
    if not star:
        return low == before
    fits = len(low) >= len(before) + len(after)
    return fits and low.startswith(before) and low.endswith(after)


def is_parameter(name: bytes) -> bool:
    """Whether the value of this parameter of a URL is secret."""
    return 0 < len(name) <= 64 and any(matches(pattern, name) for pattern in SECRET_PARAMETERS)


def is_harmless(value: bytes) -> bool:
    """Whether this could be a number, an address, a path, a host name or a locale."""
    if all(c in _NUMBER for c in value) or value.endswith(b"UTF-8"):
        return True
    if value[0] in b"/." or b":/" in value:
        return all(c in _PATH for c in value) and all(map(_plain, re.split(rb"[/:]", value)))
    return _is_host(value)


def _plain(segment: bytes) -> bool:
    kinds = sum(any(c in kind for c in segment) for kind in (_LOWER, _UPPER, _DIGITS))
    return len(segment) <= 24 and kinds < 3


def _is_host(value: bytes) -> bool:
    host, colon, port = value.partition(b":")
    if colon and not (port and all(c in _DIGITS for c in port)):
        return False
    if host == b"localhost":
        return True
    labels = host.split(b".")
    good = all(0 < len(label) <= 24 and all(c in _HOST for c in label) for label in labels)
    return good and len(labels) > 1 and len(labels[-1]) > 1 and all(c in _LOWER for c in labels[-1])


@dataclass(slots=True)
class Secrets:
    """The secrets of one run.  ``slots``: (bytes, whether it goes on to the end of a word)."""

    slots: list[tuple[bytes, bool]] = field(default_factory=list)
    _next: int = 0
    _firsts: set[int] = field(default_factory=set)
    _heads: list[bytes] = field(default_factory=list)

    # Learning

    def learn(self, sent: bytes) -> None:
        """Take note of a secret value, or of its first ``SECRET_SENT`` bytes."""
        value = _narrowed(sent).strip(b" \t")
        if b"://" not in value:
            self._add(value, len(sent) >= SECRET_SENT)
            self._credentials(value, len(sent) >= SECRET_SENT)
        if b"=" in value and b"://" not in value:
            for part in value.split(b";"):
                name, is_pair, rest = part.strip(b" \t").partition(b"=")
                if is_pair and not any(matches(known, name) for known in _ATTRIBUTES):
                    self._add(rest.strip(b'"'), False)
        for start, end in _in_urls(value):
            self._add(value[start:end], False)

    def _credentials(self, value: bytes, cut: bool) -> None:
        scheme, space, rest = value.partition(b" ")
        rest = rest.strip(b" ")
        if not space or not any(matches(known, scheme) for known in _SCHEMES):
            return
        self._add(rest, cut)
        if scheme.lower() == b"basic":
            decoded = _base64(rest[:KEEP])
            _, colon, password = decoded.partition(b":")
            if colon:
                self._add(decoded, False)
                self._add(password, False)

    def _add(self, value: bytes, cut: bool) -> None:
        if len(value) < SHORTEST or any(c < 0x20 or c == 0x7F for c in value):
            return
        if is_harmless(value):
            return
        slot = (value[:KEEP], cut or len(value) > KEEP)
        if any(known == slot[0] for known, _ in self.slots):
            return
        if len(self.slots) < SLOTS:
            self.slots.append(slot)
        else:
            self.slots[self._next] = slot
            self._next = (self._next + 1) % SLOTS
        self._firsts = {known[0] for known, _ in self.slots}
        heads = dict.fromkeys(known[:HEAD] for known, _ in self.slots)
        self._heads = [
            *heads,
            *(b"\0".join(head[i : i + 1] for i in range(len(head))) for head in heads),
        ]

    # Masking

    def appear_in(self, text: bytes | bytearray, start: int, end: int) -> bool:
        """Whether the beginning of a secret is anywhere in ``text[start:end]``."""
        return any(text.find(head, start, end) >= 0 for head in self._heads)

    def scrub(self, text: bytearray, start: int, end: int) -> None:
        """Mask what is known in ``text[start:end]``, one string or list of bytes."""
        if not self.appear_in(text, start, end):
            return
        at = start
        while at < end:
            found = self._longest(text, at, end) if text[at] in self._firsts else (0, 1)
            size, step = found
            for i in range(at, at + size, step):
                text[i] = _STAR
            at += size or 1

    def _longest(self, text: bytearray, at: int, end: int) -> tuple[int, int]:
        """Bytes to mask at ``at``, and how far they are apart."""
        best = (0, 1)
        for known, cut in self.slots:
            for step in (1, 2):
                size = _match(known, cut, text, at, end, step)
                if size > best[0]:
                    best = (size, step)
        return best

    def urls(self, text: bytearray, start: int, end: int) -> None:
        """Learn and mask the passwords and secret parameters of URLs in ``text[start:end]``."""
        span = bytes(text[start:end])
        for first, last in _in_urls(span):
            self._add(bytes(text[start + first : start + last]), False)
            for i in range(start + first, start + last):
                text[i] = _STAR


def _match(known: bytes, cut: bool, text: bytearray, at: int, end: int, step: int) -> int:
    """How many bytes are the secret.  Where only the beginning is the same, what follows may be the
    rest of it, in a URL or in JSON."""
    size = 0
    while size < len(known) and at + step * size + step <= end:
        here = at + step * size
        if text[here] != known[size] or (step == 2 and text[here + 1]):
            break
        size += 1
    part = size < len(known)
    if part and size < HEAD:
        return 0
    at += step * size
    while (cut or part) and at + step <= end and not (step == 2 and text[at + 1]):
        if text[at] not in _WORD and text[at - step] != _BACKSLASH:
            break
        size, at = size + 1, at + step
    return step * size


def _narrowed(sent: bytes) -> bytes:
    """UTF-16 of plain characters as one byte each."""
    wide = len(sent) >= 2 and len(sent) % 2 == 0 and not any(sent[1::2]) and all(sent[::2])
    return sent[::2] if wide else sent


def _base64(text: bytes) -> bytes:
    body = text.rstrip(b"=")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _in_urls(text: bytes) -> list[tuple[int, int]]:
    """Where secrets are: values of parameters and passwords."""
    found = []
    at = text.find(b"=")
    while at >= 0:
        end = at + 1
        if _follows_parameter(text, at):
            while end < len(text) and text[end] in _WORD and text[end] != 0x23:
                end += 1
            found.append((at + 1, end))
        at = text.find(b"=", end)
    at = text.find(b"@")
    while at >= 0:
        start = _user(text, at)
        if start < at:
            found.append((start, at))
        at = text.find(b"@", at + 1)
    return found[:_PLACES]


def _follows_parameter(text: bytes, at: int) -> bool:
    """Whether the ``=`` at ``at`` follows the name of a secret parameter."""
    start = at
    while start > 0 and at - start <= 64 and text[start - 1] in _NAME:
        start -= 1
    return start > 0 and text[start - 1] in b"?&;#" and is_parameter(text[start:at])


def _user(text: bytes, at: int) -> int:
    """Where the password before the ``@`` at ``at`` begins, the user's name where there is none;
    ``at`` when this is no URL.  Without a scheme it takes both, from the text's start."""
    start = at
    colon = -1
    while start > 0 and text[start - 1] in _USER:
        start -= 1
        if text[start] == 0x3A:
            colon = start
    if start >= 3 and text[start - 3 : start] == b"://":
        return start if colon < 0 else colon + 1
    whole = start == 0 and colon > 0 and at + 1 < len(text)
    if not whole or text[:colon].lower() in (b"mailto", b"sip", b"acct", b"xmpp"):
        return at
    return colon + 1


# --- blocks --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Masker:
    """Masks the payloads of the blocks of one run."""

    table: SiteTable
    secrets: Secrets = field(default_factory=Secrets)

    def mask(self, block: bytes, start: int = BLOCK_HEADER) -> bytes:
        """The same bytes with every secret in the texts from ``start`` on masked, those that this
        block is the first to tell, too.  Costs a few searches where there is none."""
        telling = _suspicious(block, start)
        if not telling and not self.secrets.appear_in(block, start, len(block)):
            return block
        data = bytearray(block)
        walk = _Walk(self.table, data, self.secrets)
        if telling:
            walk.run(start, learning=True)
        if self.secrets.appear_in(data, start, len(data)):
            walk.run(start, learning=False)
        return bytes(data)

    def text(self, text: str) -> str:
        """The same of a text that is in no block."""
        data = bytearray(text.encode("utf-8", "replace"))
        self.secrets.urls(data, 0, len(data))
        self.secrets.scrub(data, 0, len(data))
        return data.decode()


def _suspicious(block: bytes, start: int) -> bool:
    """Whether there may be a secret to learn, at the price of a few searches."""
    if block.find(_MARK, start) >= 0:
        return True
    if _USERS.search(block, start):
        return True
    at = block.find(b"=", start)
    while at >= 0:
        if _follows_parameter(block, at):
            return True
        at = block.find(b"=", at + 1)
    return False


#: What there is where a password or a user of a URL stands before an ``@``.
_USERS = re.compile(rb":(?://)?[%s]*@" % re.escape(bytes(sorted(_USER))))

_NO_TEXT = int(RecordFlag.BAD | RecordFlag.BIG)
_LISTS = (NodeKind.LIST, NodeKind.MAP)
_PARTS = (NodeKind.RECORD, NodeKind.TUPLE)
_CASES = (NodeKind.VARIANT, NodeKind.ENUM, NodeKind.OPTION, NodeKind.RESULT)


class _Broken(Exception):
    """The record contradicts its types: what is left of it has no texts."""


@dataclass(slots=True)
class _Walk:
    """Finds the texts of records.  Damaged records are left to the decoder."""

    table: SiteTable
    data: bytearray
    secrets: Secrets
    learning: bool = True
    pos: int = 0
    end: int = 0
    latin1: bool = False
    wide: bool = False

    def run(self, start: int, learning: bool) -> None:
        self.learning = learning
        at = start
        while at + RECORD_HEADER <= len(self.data):
            size = self._u32(at)
            if size < RECORD_HEADER or at + size > len(self.data):
                return
            with suppress(_Broken):  # the decoder says so
                self._record(at, at + size)
            at += size

    def _record(self, at: int, end: int) -> None:
        word = self._u32(at + 4)
        phase, flags, number = word & 15, word >> 4 & 15, word >> 8
        if phase not in (Phase.CALL, Phase.RETURN, Phase.REPORT, Phase.PRINT) or flags & _NO_TEXT:
            return
        if number >= len(self.table.sites):
            return
        site = self.table.sites[number]
        node = self._node(site, phase)
        if node is None:
            return
        timed = 8 * bool(flags & RecordFlag.TIMED) * (2 if phase == Phase.RETURN else 1)
        tasked = 4 * (bool(flags & RecordFlag.TASK) and phase in (Phase.CALL, Phase.RETURN))
        image = at + RECORD_HEADER + timed + tasked
        self.pos, self.end = image + node.size, end
        if self.pos > end:
            return
        self.latin1, self.wide = site.encoding == "latin1+utf16", site.encoding == "utf16"
        self._value(node, image, 1)

    def _node(self, site: Site, phase: int) -> Node | None:
        script = site.kind in (SiteKind.VARIABLE, SiteKind.PRINT)
        if script != (phase in (Phase.REPORT, Phase.PRINT)):
            return None
        number = site.params if phase == Phase.CALL else site.result
        return None if number is None else self.table.nodes[number]

    def _u32(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "little")

    def _kept(self) -> int:
        if self.pos + 4 > self.end:
            self.pos = self.end
            return 0
        self.pos += 4
        return self._u32(self.pos - 4)

    def _take(self, size: int) -> int:
        at = self.pos
        if at + size > self.end:
            raise _Broken
        self.pos = at + size
        return at

    def _value(self, node: Node, image: int, depth: int) -> None:
        if not node.has_tail:
            return
        if depth > 64:
            self.pos = self.end
            return
        if node.kind is NodeKind.STRING:
            self._text()
        elif node.kind in _LISTS:
            self._list(node, depth)
        elif node.kind is NodeKind.FIXED_LIST:
            self._elements(self.table.nodes[node.a], image, node.count, depth)
        elif node.kind in _PARTS:
            for each in node.fields:
                assert each.type is not None, "checked when the table was parsed"
                self._value(self.table.nodes[each.type], image + each.offset, depth + 1)
        elif node.kind in _CASES:
            case = int.from_bytes(self.data[image : image + node.a], "little")
            if case >= len(node.fields):
                return
            inner = node.fields[case].type
            if inner is not None:
                self._value(self.table.nodes[inner], image + node.b, depth + 1)

    def _list(self, node: Node, depth: int) -> None:
        element = self.table.nodes[node.a]
        if node.kind is NodeKind.LIST and element.kind is NodeKind.U8:
            self._text()
            return
        kept = self._kept()
        if kept >= SECRET:
            return
        self._elements(element, self._take(kept * element.size), kept, depth)

    def _elements(self, element: Node, image: int, count: int, depth: int) -> None:
        for i in range(count if element.has_tail else 0):
            self._value(element, image + i * element.size, depth + 1)

    def _text(self) -> None:
        kept = self._kept()
        if kept > SECRET:
            return
        if kept == SECRET:
            size = self._kept()
            at = self._take(size)
            if self.learning:
                self.secrets.learn(bytes(self.data[at : at + size]))
                self.data[at : at + size] = b"*" * size
            return
        at = self._take(kept)
        if self.learning:
            self.secrets.urls(self.data, at, at + kept)
        else:
            self.secrets.scrub(self.data, at, at + kept)
