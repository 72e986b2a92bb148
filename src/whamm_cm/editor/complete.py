"""What may be written at a place of a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from whamm_cm.editor.component import functions_of, interfaces, signature
from whamm_cm.editor.scan import operand, word
from whamm_cm.editor.script import Script
from whamm_cm.editor.words import (
    Offer,
    builtins,
    cases,
    error_cases,
    explained,
    function_text,
    keywords,
    labels,
    library,
    members,
    shown,
    types,
    variable_text,
)
from whamm_cm.lang.events import PACKAGE_DOCS, PACKAGES
from whamm_cm.lang.look import View
from whamm_cm.lang.rules import SIDES, WIT_MODES

#: Offers, and the characters they stand for.
Found = tuple[list[Offer], int, int]

_IN_STRING = re.compile(r'(?P<fail>\bfail\s*\(\s*)"$|(?P<of>\bhas\s*|[=!]=\s*)"$')
_BEFORE_CASE = re.compile(r"\bis\s+%?[\w-]*$")
_BEFORE_TYPE = re.compile(r"(?:\bas|->|(?:^|[\w)])\s*:|\bmap\s*<|<[^;{}()=]*,)\s*\w*$")


def complete(script: Script, at: int) -> Found:
    """Nothing in comments, nor in strings that could hold anything."""
    found = script.scan
    inside = found.inside(at)
    if inside == "string":
        return _in_string(script, at)
    start, end = word(found.plain, at)
    if inside:
        return [], start, end
    head = script.head(at)
    if head is not None:
        return _of_rule(script, head, at)
    before = found.plain[:start]
    if before.endswith("."):
        return _members(script, start - 1), start, end
    if _BEFORE_CASE.search(found.plain[max(0, at - 200) : at]):
        return _cases(script, at)
    if _BEFORE_TYPE.search(found.plain[max(0, start - 200) : start]) and not _asks(before):
        return list(types()), start, end
    return _names(script, at), start, end


def _asks(before: str) -> bool:
    """Whether a ":" belongs to a "?" of the same statement."""
    return "?" in re.split(r"[;{}]", before)[-1]


# --- names ---------------------------------------------------------------------------------------


def _names(script: Script, at: int) -> list[Offer]:
    found: dict[str, Offer] = {}
    views = script.views(at)
    acts = tuple(dict.fromkeys(act for view in views for act in view.acts))
    for view in views:
        for offer in _of_view(script, view):
            found.setdefault(offer.label, offer)
    for offer in (*builtins(acts), *(Offer(one, "keyword") for one in (*keywords(), *_CONSTANTS))):
        found.setdefault(offer.label, offer)
    return list(found.values())


_CONSTANTS = ("true", "false")


def _of_view(script: Script, view: View) -> Iterator[Offer]:
    for name, variable in view.variables.items():
        yield Offer(name, "variable", variable_text(variable))
    docs = script.boundary | {name: one.doc for name, one in view.docs.items()}
    for name, type_ in view.bound.items():
        label = f"{name[:-1]}0" if name.endswith("N") else name
        yield Offer(label, "variable", shown(type_), explained(name, type_, docs))
    for name, function in view.functions.items():
        yield Offer(name, "function", function_text(function))
    for name in view.libraries:
        yield Offer(name, "library", "a library")


# --- behind something ----------------------------------------------------------------------------


def _members(script: Script, point: int) -> list[Offer]:
    start = operand(script.scan.plain, point)
    name = script.text.text[start:point]
    views = script.views(point, name)
    for view in views:
        if name in view.libraries and name not in view.variables:
            return list(library(view.libraries[name]))
    return _once(offer for view in views if view.type for offer in members(view.type))


def _cases(script: Script, at: int) -> Found:
    text = script.scan.plain
    start = at
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "-_%"):
        start -= 1
    before = text[:start].rstrip().removesuffix("is").rstrip()
    end = word(text, at)[1]
    return _by_type(script, len(before), cases), start, end


def _by_type(script: Script, end: int, of: object) -> list[Offer]:
    assert callable(of)
    start = operand(script.scan.plain, end)
    views = script.views(start, script.text.text[start:end])
    return _once(offer for view in views if view.type for offer in of(view.type))


def _in_string(script: Script, at: int) -> Found:
    opening = next((start for what, start, end in script.scan.hidden
                    if what == "string" and start < at <= end), at)  # fmt: skip
    text = script.text.text
    found = _IN_STRING.search(script.scan.plain[max(0, opening - 200) : opening] + '"')
    line_end = re.compile(r'["\n;]|$').search(text, at)
    end = at if line_end is None or text[line_end.start() : line_end.end()] != '"' else (
        line_end.start())  # fmt: skip
    if found is None:
        return [], at, at
    if found["fail"]:
        views = script.views(opening)
        offers = _once(offer for view in views for offer in error_cases(view.func))
    else:
        before = len(script.scan.plain[:opening].rstrip()) - len(found["of"].rstrip())
        offers = _by_type(script, len(script.scan.plain[:before].rstrip()), labels)
    return offers, opening + 1, end


def _once(offers: Iterable[Offer]) -> list[Offer]:
    return list({offer.label: offer for offer in offers}.values())


# --- rules ---------------------------------------------------------------------------------------


def _of_rule(script: Script, head: str, at: int) -> Found:
    text = head.removeprefix("?").lstrip()
    begun = re.split(r"[|{,!?]", re.split(r"[:#]", text)[-1] if "#" in text or
                     text.startswith(("wasm", "wit")) else text)[-1]  # fmt: skip
    start, end = at - len(begun), at
    while end < len(script.text.text) and re.match(r"[\w.-]", script.text.text[end]):
        end += 1
    if "#" in text:
        return _functions_or_modes(script, text), start, end
    if re.match(r"wasm\s*:", text):
        return _core(text), start, end
    if re.match(r"wit\s*:[^:]*$", text):
        return [Offer(side, "keyword", insert=f"{side}:") for side in SIDES], start, end
    offers = [
        Offer(name, "interface", where, _interface_doc(script, name), insert=f"{name}#")
        for name, where in interfaces(script.component).items()
    ]
    if text.startswith("wit"):
        begun = text.split(":", 2)[-1].split("|")[-1]
        return offers, at - len(begun), end
    return [*offers, *_beginnings()], at - len(begun), end


def _interface_doc(script: Script, name: str) -> str:
    return "" if script.component is None else script.component.doc(name)


def _beginnings() -> Iterator[Offer]:
    for name, doc in PACKAGE_DOCS.items():
        yield Offer(f"wasm:{name}", "event", "", doc)
    yield Offer("wit", "keyword", "a side of WIT boundaries", insert="wit:")
    for one in ("report var", "var", "const", "fn", "use"):
        yield Offer(one, "keyword", insert=f"{one} ")


def _core(text: str) -> list[Offer]:
    parts = [part.partition("(")[0].strip() for part in text.split(":")]
    if len(parts) == 2:
        return [Offer(name, "event", "", PACKAGE_DOCS.get(name, "")) for name in PACKAGES]
    package = parts[1].rpartition("|")[2] or parts[1]
    events = PACKAGES.get(package, ())
    if len(parts) == 3:
        return [Offer(e.name, "event", e.category) for e in events if e.name]
    named = [event for event in events if event.name == parts[2].rpartition("|")[2]]
    modes = (mode.text for event in named or events for mode in event.modes if mode.text)
    return [Offer(mode, "keyword") for mode in dict.fromkeys(modes)]


def _functions_or_modes(script: Script, text: str) -> list[Offer]:
    left, _, func = text.partition("#")
    if ":" in func:
        return [Offer(mode, "keyword") for mode in WIT_MODES]
    named = re.sub(r"^wit\s*:[^:]*:", "", left).rpartition("|")[2].partition("@")[0]
    found = []
    for name, site in functions_of(script.component, named).items():
        detail = "" if site is None else signature(name, site)
        doc = "" if script.component is None else script.component.doc(named, name)
        found.append(Offer(name, "function", detail, doc))
    return found
