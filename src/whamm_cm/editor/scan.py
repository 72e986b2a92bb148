"""Where in a script a place is, however broken the script: in which item, in which part of it, and
behind which words.

This looks at brackets, quotes and comments only; what anything means is asked of the checker
(``lang/look.py``).
"""

from __future__ import annotations

import re

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.calls import CURSOR
from whamm_cm.lang.tables import rules

#: What hides brackets: comments, and strings as far as their line goes, for one that is not closed
#: must not hide the rest.  ``/*`` in a rule begins no comment.
_HIDDEN = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*(?:"|$|(?=\n)))|(?P<comment>//[^\n]*)'
    r"|(?P<rule>(?<![\w./:*#@-])[A-Za-z0-9_.*?|!\[\]-]+:[^\s\"#{}();]*#[^\s\"{}();:]*)"
    r"|(?P<block>/\*)",
    re.M,
)
_BLOCK_PART = re.compile(r"/\*|\*/")
_GLOB_BRACES = re.compile(r"\{[^\s{};:\"()]*,[^\s{};:\"()]*\}")
_BRACKET = re.compile(r"[{};()\[\]]")
#: What begins an item at the very beginning of a line, even where a brace before it is open.
_ITEM = re.compile(
    r"^(?:(?:report|unshared|task|var|const|param|use|fn)\s|\??(?:wasm|wit|[a-z][\w-]*):[\w*?|:])",
    re.M,
)
_ELSE = re.compile(r"\s*(?:else|elif)\b")
_WORD = re.compile(r"[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Item:
    """Characters ``start`` to ``end``; ``body``: where its first brace is, -1 without one."""

    start: int
    end: int
    body: int = -1


@dataclass(frozen=True, slots=True)
class Scan:
    """``plain``: the text with blanks for comments and what stands in strings."""

    text: str
    plain: str
    hidden: tuple[tuple[str, int, int], ...]
    items: tuple[Item, ...]

    def inside(self, at: int) -> str:
        """``string`` or ``comment`` where a place is in one."""
        for what, start, end in self.hidden:
            closed = self.text[end - 1 : end] == '"' and end - start > 1
            if start < at < end or (at == end and what == "string" and not closed):
                return what
            if at == end and self.text.startswith("//", start):
                return what
        return ""

    def item(self, at: int) -> Item:
        """The one a place is in, or the empty one between two."""
        for item in self.items:
            if item.start <= at <= item.end:
                if at == item.end and self.plain[at - 1 : at] in ("}", ";"):
                    continue
                return item
        return Item(at, at)


def scan(text: str) -> Scan:
    plain, hidden = _without_hidden(text)
    return Scan(text, plain, hidden, tuple(_items(plain)))


def _without_hidden(text: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    parts: list[str] = []
    hidden: list[tuple[str, int, int]] = []
    at = 0
    while found := _HIDDEN.search(text, at):
        start, end, what = found.start(), found.end(), found.lastgroup or ""
        if what == "block":
            end, what = _block_end(text, start), "comment"
        parts.append(text[at:start])
        if what == "rule":
            parts.append(text[start:end])
        else:
            hidden.append((what, start, end))
            parts.append(_blank(text[start:end], what))
        at = end
    parts.append(text[at:])
    return "".join(parts), tuple(hidden)


def _blank(text: str, what: str) -> str:
    if what == "string" and len(text) > 1 and text.endswith('"'):
        return f'"{" " * (len(text) - 2)}"'
    return re.sub(r"[^\n]", " ", text)


def _block_end(text: str, start: int) -> int:
    depth = 0
    for found in _BLOCK_PART.finditer(text, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _items(plain: str) -> list[Item]:
    found: list[Item] = []
    first = 0
    breaks = [match.start() for match in _ITEM.finditer(plain)]
    for start, end in zip([0, *breaks], [*breaks, len(plain)], strict=True):
        if start == end:
            continue
        found += _items_of(plain, max(start, first), end)
        first = end
    return found


def _items_of(plain: str, start: int, end: int) -> list[Item]:
    """The items of a stretch at whose end all braces are closed, or should be."""
    found: list[Item] = []
    depth, body = 0, -1
    globs = {at for match in _GLOB_BRACES.finditer(plain, start, end)
             for at in (match.start(), match.end() - 1)}  # fmt: skip
    for match in _BRACKET.finditer(plain, start, end):
        at, char = match.start(), match[0]
        if at in globs or char in "()[]":
            continue
        if char == "{":
            body = at if depth == 0 and body < 0 else body
            depth += 1
        elif char == "}":
            depth = max(0, depth - 1)
        if depth == 0 and char in "};" and not _ELSE.match(plain, at + 1, end):
            found.append(Item(_skipped(plain, start, at), at + 1, body))
            start, body = at + 1, -1
    if plain[start:end].strip():
        found.append(Item(_skipped(plain, start, end), end, body))
    return found


def _skipped(plain: str, start: int, end: int) -> int:
    """Behind the blanks."""
    while start < end and plain[start].isspace():
        start += 1
    return start


# --- around a place ------------------------------------------------------------------------------


def word(text: str, at: int) -> tuple[int, int]:
    """The word a place is in or at the end of."""
    start = end = at
    while start > 0 and _WORD.match(text[start - 1]):
        start -= 1
    while end < len(text) and _WORD.match(text[end]):
        end += 1
    return start, end


def operand(plain: str, end: int) -> int:
    """Where the operand begins that ends at ``end``: names, members, calls and indices."""
    at = end
    while at > 0:
        char = plain[at - 1]
        if _WORD.match(char) or char == ".":
            at -= 1
        elif char in ")]":
            opened = _opening(plain, at - 1)
            if opened < 0:
                return at
            at = opened
        else:
            return at
    return at


def _opening(plain: str, at: int) -> int:
    """The bracket that the one at ``at`` closes; -1 without one."""
    depth = 0
    while at >= 0 and plain[at] not in "{};":
        depth += plain[at] in ")]"
        depth -= plain[at] in "(["
        if depth == 0:
            return at
        at -= 1
    return -1


def probed(found: Scan, at: int, expression: str = "") -> list[str]:
    """The script with the call of the cursor put in, in the ways that may leave it readable: behind
    the statement at ``at``, or in the place of it and of the rest of its item."""
    item, plain = found.item(at), found.plain
    call = f"{CURSOR}({expression});"
    if item.body < 0 or at <= item.body:
        return [_in_head(found, item, call)]
    texts: list[str] = []
    cuts = [item.body + m.end() for m in re.finditer(r"[;{}]", plain[item.body : at])][:-5:-1]
    if not expression:
        after = re.compile(r"[;{}]").search(plain, at, item.end)
        if after:
            where = after.start() if after[0] == "}" else after.end()
            texts.append(found.text[:where] + call + found.text[where:])
            cuts.insert(0, where)
    for cut in cuts:
        depth = plain.count("{", item.body, cut) - plain.count("}", item.body, cut)
        closing = "}" * max(1, depth)
        texts.append(found.text[:cut] + call + closing + found.text[item.end :])
    return texts


def _in_head(found: Scan, item: Item, call: str) -> str:
    """In a predicate, or at the top."""
    head = found.plain[item.start : item.body if item.body >= 0 else item.end]
    rule = rule_of(head)
    if not rule:
        return found.text[: item.start] + call + found.text[item.start :]
    return f"{found.text[: item.start]}{rule} {{ {call} }}{found.text[item.end :]}"


def rule_of(head: str) -> str:
    """The match rule that an item begins with, "" for one that is none."""
    for pattern in rules():
        found = re.match(pattern, head)
        if found and found[0].strip():
            return found[0]
    return ""
