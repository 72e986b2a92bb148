"""What a word of a script means, where it was declared, and what a script consists of."""

from __future__ import annotations

import re

from whamm_cm.dataclass import dataclass
from whamm_cm.editor.component import functions_of, signature
from whamm_cm.editor.scan import Item, operand, rule_of, word
from whamm_cm.editor.script import Script
from whamm_cm.editor.words import (
    builtin_named,
    explained,
    function_text,
    members,
    named_types,
    shown,
    variable_text,
)
from whamm_cm.lang.events import PACKAGE_DOCS, PACKAGES
from whamm_cm.lang.look import View
from whamm_cm.lang.tree import Span, WitSite
from whamm_cm.lang.valtypes import Type, WitT

#: Declarations of types that are shown with a function.
_MOST = 12


@dataclass(frozen=True, slots=True)
class Explanation:
    """``code`` in language ``of`` (``wit`` or ``whamm``), ``doc`` as Markdown, of the characters
    ``start`` to ``end``."""

    code: str
    doc: str
    start: int
    end: int
    of: str = "whamm"


def explain(script: Script, at: int) -> Explanation | None:
    if script.scan.inside(at):
        return None
    item = script.scan.item(at)
    rule = rule_of(script.scan.plain[item.start : item.body if item.body >= 0 else item.end])
    if rule and item.start <= at < item.start + len(rule.rstrip()):
        return _rule(script, rule.rstrip(), item.start, at)
    start, end = word(script.text.text, at)
    if start == end:
        return None
    name = script.text.text[start:end]
    if script.text.text[max(0, start - 1) : start] == ".":
        return _member(script, name, start, end)
    return _name(script, name, start, end)


# --- bodies --------------------------------------------------------------------------------------


def _name(script: Script, name: str, start: int, end: int) -> Explanation | None:
    view = _view(script, name, start)
    if view is not None:
        if view.variable is not None:
            return Explanation(variable_text(view.variable), "", start, end)
        if name in view.functions:
            return Explanation(function_text(view.functions[name]), "", start, end)
        docs = script.boundary | {known: one.doc for known, one in view.docs.items()}
        doc = explained(name, view.type, docs)
        if name in view.bound or doc:
            type_ = view.type or view.bound.get(name)
            declared = _declarations(script, type_)
            code = f"{name}: {shown(type_)}" if type_ is not None else name
            of = "wit" if declared else "whamm"
            return Explanation("\n".join([code, *declared]), doc, start, end, of)
    builtin = builtin_named(name)
    if builtin is None:
        return None
    return Explanation(builtin.detail or name, builtin.doc, start, end)


def _view(script: Script, name: str, start: int) -> View | None:
    """Behind the statement, for the name may be declared in it, or else before it."""
    behind = [view for view in script.views(start) if name in view.variables]
    views = script.views(start, name)
    if views and (views[0].variable is not None or not behind):
        return views[0]
    if not behind:
        return None
    return _with_variable(behind[0], name)


def _with_variable(view: View, name: str) -> View:
    from dataclasses import replace

    return replace(view, variable=view.variables[name])


def _member(script: Script, name: str, start: int, end: int) -> Explanation | None:
    first = operand(script.scan.plain, start - 1)
    before = script.text.text[first : start - 1]
    for view in script.views(first, before):
        if view.type is not None:
            for offer in members(view.type):
                if offer.label == name:
                    code = offer.detail if offer.kind == "method" else f"{name}: {offer.detail}"
                    return Explanation(code, offer.doc, start, end)
    return None


def _declarations(script: Script, *types: Type | None) -> list[str]:
    """What the types that WIT values consist of are, as the component declares them."""
    if script.component is None:
        return []
    found: dict[str, str] = {}
    for type_ in types:
        for named in named_types(type_.type) if isinstance(type_, WitT) else ():
            if named.owner and len(found) < _MOST:
                text = script.component.declared(named.owner.partition("@")[0], named.name)
                found |= {text: named.name} if text else {}
    return list(found)


# --- rules ---------------------------------------------------------------------------------------


def _rule(script: Script, rule: str, start: int, at: int) -> Explanation | None:
    text = rule.removeprefix("?")
    start += len(rule) - len(text)
    if re.match(r"\s*wasm\s*:", text):
        return _core(text, start, at)
    interface, hash_, func = text.partition("#")
    interface = re.sub(r"^wit\s*:[^:]*:", "", interface)
    first = start + text.index(interface)
    bare = interface.partition("@")[0]
    known = functions_of(script.component, bare)
    name = func.rpartition(":")[0]
    if not hash_ or at < first + len(interface):
        lines = [signature(n, s) if s else n for n, s in known.items()]
        doc = "" if script.component is None else script.component.doc(bare)
        if not lines:
            return None
        return Explanation("\n".join([f"interface {bare}", *(f"  {line}" for line in lines)]), doc,
                           first, first + len(interface), "wit")  # fmt: skip
    place = first + len(interface) + 1
    if at > place + len(name) or name not in known:
        return None
    return _function(script, bare, name, known[name], place)


def _function(
    script: Script, interface: str, name: str, site: WitSite | None, at: int
) -> Explanation:
    end = at + len(name)
    if site is None:
        return Explanation(name, f"a function of {interface}", at, end, "wit")
    types = [WitT(type_) for _, type_ in site.type.params]
    types += [] if site.type.result is None else [WitT(site.type.result)]
    lines = [signature(name, site), *_declarations(script, *types)]
    doc = "" if script.component is None else script.component.doc(interface, name)
    return Explanation("\n".join(lines), doc, at, end, "wit")


def _core(text: str, start: int, at: int) -> Explanation | None:
    place = start
    parts = text.split(":")
    for number, part in enumerate(parts):
        bare = part.partition("(")[0]
        if place <= at <= place + len(bare):
            name, end = bare.strip(), place + len(bare)
            if number == 1 and name in PACKAGE_DOCS:
                return Explanation(f"wasm:{name}", PACKAGE_DOCS[name], place, end)
            package = parts[1].strip() if len(parts) > 1 else ""
            if number == 2:
                return _event(package, name, place, end)
            return None
        place += len(part) + 1
    return None


def _event(package: str, name: str, start: int, end: int) -> Explanation | None:
    for event in PACKAGES.get(package, ()):
        if event.name == name:
            modes = ", ".join(mode.text for mode in event.modes if mode.text)
            binds = ", ".join(f"`{one}`" for one in event.variables)
            doc = f"{PACKAGE_DOCS[package]}\n\nmodes: {modes or 'none'}\n\nbinds: {binds}"
            return Explanation(f"wasm:{package}:{name}", doc, start, end)
    return None


# --- declarations and symbols --------------------------------------------------------------------


def definition(script: Script, at: int) -> tuple[int, int] | None:
    """Where the variable or function is declared that a place names."""
    start, end = word(script.text.text, at)
    name = script.text.text[start:end]
    if start == end or script.scan.inside(at):
        return None
    view = _view(script, name, start)
    if view is None:
        return None
    span: Span | None = None
    if view.variable is not None:
        span = view.variable.span
    elif name in view.functions:
        span = view.functions[name].span
    if span is None:
        return None
    return _declared(script, name, span.start, start)


def _declared(script: Script, name: str, guess: int, used: int) -> tuple[int, int] | None:
    """The word itself: what stands behind the cursor has moved where the script was cut."""
    text = script.scan.plain
    places = [m.start() for m in re.finditer(rf"\b{re.escape(name)}\b", text)]
    if not places:
        return None
    at = guess if guess in places else None
    if at is None:
        pattern = rf"\b(?:var|const|param|fn|for)\s+\(?(?:\w+\s*,\s*)?({re.escape(name)})\b"
        found = [m.start(1) for m in re.finditer(pattern, text)]
        at = min(found, key=lambda place: abs(place - guess)) if found else None
    return None if at is None else (at, at + len(name))


@dataclass(frozen=True, slots=True)
class Symbol:
    """``kind``: event, function, variable or library; ``start`` to ``end`` is all of it,
    ``named`` where its name stands."""

    name: str
    kind: str
    start: int
    end: int
    named: tuple[int, int]


_DECLARED = re.compile(
    r"(?P<kind>fn|use|var|const|param)\s+(?P<name>[A-Za-z_]\w*)|(?P<word>report|unshared|task)\s+"
)


def symbols(script: Script) -> list[Symbol]:
    found = (_symbol(script, item) for item in script.scan.items)
    return [symbol for symbol in found if symbol is not None]


def _symbol(script: Script, item: Item) -> Symbol | None:
    plain, at = script.scan.plain, item.start
    declared = _DECLARED.match(plain, at, item.end)
    while declared and declared["word"]:
        declared = _DECLARED.match(plain, declared.end(), item.end)
    if declared:
        kind = {"fn": "function", "use": "library"}.get(declared["kind"], "variable")
        return Symbol(declared["name"], kind, item.start, item.end, declared.span("name"))
    if item.body < 0:
        return None
    rule = rule_of(plain[item.start : item.body]).rstrip()
    if not rule:
        return None
    return Symbol(rule, "event", item.start, item.end, (item.start, item.start + len(rule)))
