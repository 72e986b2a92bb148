"""A script that is being written, with what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from whamm_cm.editor.component import Component
from whamm_cm.editor.scan import Item, Scan, probed, rule_of, scan
from whamm_cm.editor.text import Text
from whamm_cm.errors import WhammError
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.look import View, look


class Script:
    """``boundary``: what probes at WIT boundaries bind, and what that is."""

    def __init__(
        self,
        text: Text,
        component: Component | None = None,
        libraries: Mapping[str, LibSignature] | None = None,
        boundary: Mapping[str, str] | None = None,
    ) -> None:
        self.text, self.component = text, component
        self.libraries, self.boundary = libraries or {}, dict(boundary or {})

    @cached_property
    def scan(self) -> Scan:
        return scan(self.text.text)

    def views(self, at: int, expression: str = "") -> list[View]:
        """What is known at a place; the first way to put the cursor in that can be read counts."""
        sites = () if self.component is None else self.component.sites
        for text in probed(self.scan, at, expression):
            try:
                found = look(text, self.libraries, sites)
            except WhammError:
                continue  # it cannot even be looked at: a string that never ends, a million braces
            if found:
                return sorted(found, key=_tells_little)
        return []

    def head(self, at: int) -> str | None:
        """What stands of a match rule before a place in one, None elsewhere."""
        item = self.scan.item(at)
        if item.body >= 0 and at > item.body:
            return None
        before = self.scan.plain[item.start : at]
        return None if _is_over(before, item, self.scan) else before.lstrip()


def _tells_little(view: View) -> tuple[bool, bool]:
    return view.type is None, view.func is None


#: What begins items that are no probes.
_OTHERS = frozenset(("report", "unshared", "task", "var", "const", "param", "use", "fn", "if",
                     "while", "for", "elif", "else", "return"))  # fmt: skip


def _is_over(before: str, item: Item, found: Scan) -> bool:
    """Whether the rule of an item ends before a place: its predicate has begun, or it has none."""
    words = before.split()
    if words and words[0] in _OTHERS and (len(words) > 1 or before[-1:].isspace()):
        return True
    rule = rule_of(before)
    rest = before[len(rule) :].lstrip()
    if not rest.startswith("/"):
        return bool(rest) and bool(rule)
    return rule[-1:].isspace() or "#" in rule or rule.lstrip("?").startswith("wasm")
