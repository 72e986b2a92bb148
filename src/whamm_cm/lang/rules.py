"""Match rules: ``wasm:opcode:*if|br_table(arg0: i32):before`` and ``wasi:http/*#*:after``.

Parts of a ``wasm`` rule are case-insensitive globs, an empty part is ``*``; ``events_of`` expands
them.  Rules on WIT boundaries keep the case and the version rules of ``wit.names.ItemPattern``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import syntax as s
from whamm_cm.lang.events import BY_NAME, PACKAGE_DOCS, PACKAGES, Event, Mode
from whamm_cm.lang.generics import CLASSES, Param, params_of
from whamm_cm.lang.places import Part
from whamm_cm.lang.source import ScriptError, Source, listed, suggest
from whamm_cm.lang.tree import WitSite
from whamm_cm.lang.types import parse_type
from whamm_cm.lang.valtypes import Type
from whamm_cm.wit.glob import Glob, compile_glob, split_top
from whamm_cm.wit.names import ItemPattern
from whamm_cm.wit.semver import PatternError

SIDES = ("import", "export", "inner")
WIT_MODES = ("before", "after", "alt", "cancel")


@dataclass(frozen=True, slots=True)
class CoreRule:
    """Provider, package and what else there is; ``bounds`` and ``params`` are those of all
    parts."""

    parts: tuple[Part, ...]
    bounds: tuple[tuple[str, Type, int, int], ...]
    params: tuple[Param, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether the event is named outright."""
        return len(self.parts) < 3 or not re.search(r"[*?\[|{]", self.parts[2].text)


@dataclass(frozen=True, slots=True)
class WitPattern:
    """``side``: import, export, inner or ``*``; ``modes`` in the order of :data:`WIT_MODES`.
    ``at``: where the item stands in the script."""

    text: str
    sides: Glob
    side: str
    item: ItemPattern
    modes: tuple[str, ...]
    at: int = 0

    def match(self, site: WitSite) -> bool:
        if site.copies or not self.sides.fullmatch(site.direction):
            return False
        names = site.names or ((site.interface, site.version or None, site.func),)
        return any(self.item.matches(*name) for name in names)


# --- rules of provider wasm ----------------------------------------------------------------------

_PART = re.compile(
    r"\s*(?P<text>[^\s:()<>]*)\s*(?P<params><[^<>]*>)?\s*"
    r"(?P<bounds>\((?:[^()]|\([^()]*\))*\))?\s*"
)
_BOUND = re.compile(r"\s*([A-Za-z_]\w*)\s*:\s*([^,()]+|\([^()]*\))\s*")


def parse_core_rule(
    source: Source, probe: s.ProbeSyntax, types: Mapping[str, Type] | None = None
) -> CoreRule:
    """``types``: what its parameters stand for, the first that each may when there are none.

    Raises ScriptError when the rule is none of provider wasm.
    """
    parts: list[Part] = []
    bounds: list[tuple[str, Type, int, int]] = []
    params: list[Param] = []
    at = 0
    while at <= len(probe.rule):
        found = _PART.match(probe.rule, at)
        if found is None or found.end() < len(probe.rule) and probe.rule[found.end()] != ":":
            raise source.error("this is no match rule", probe.at, probe.end, _FORM)
        start = probe.at + found.start("text")
        parts.append(_part(source, found["text"], start))
        if found["params"]:
            params += params_of(source, found["params"], probe.at + found.start("params"))
        if found["bounds"]:
            given = types or {param.name: CLASSES[param.class_][0] for param in params}
            begin = probe.at + found.start("bounds")
            bounds.extend(_bounds(source, found["bounds"], begin, given))
        at = found.end() + 1
    if not 2 <= len(parts) <= 4:
        raise source.error(f"a match rule has 2 to 4 parts, this one has {len(parts)}",
                           probe.at, probe.end, _FORM)  # fmt: skip
    if not parts[0].matches("wasm"):
        raise _no_provider(source, parts)
    for param in params:
        if not re.search(rf"[(,]\s*\w+\s*:\s*{param.name}\s*[,)]", probe.rule):
            raise source.error(f"nothing says which type {param.name} is", param.at, param.end,
                               f"bound an operand by it: (arg0: {param.name})")  # fmt: skip
    return CoreRule(tuple(parts), tuple(bounds), tuple(params))


_FORM = "write for instance wasm:opcode:call:before, wasm:func:entry or wasi:http/*#*:after"


def _no_provider(source: Source, parts: list[Part]) -> ScriptError:
    part = parts[0]
    if part.text == "wit":
        return source.error("this rule names no side and interface", part.at, parts[-1].end,
                            "write for instance wit:import:wasi:http/*#*:after")  # fmt: skip
    hint = 'a rule on a WIT interface has a "#" before the function: wasi:http/*#*:after'
    if part.text != "wasi":
        hint = suggest(part.text, ("wasm", "wit")) or hint
    return source.error(f'there is no provider "{part.text}"', part.at, part.end, hint)


def _part(source: Source, text: str, at: int) -> Part:
    try:
        glob = compile_glob((text or "*").lower())
    except PatternError as error:
        place = at + error.position
        raise source.error(f"in this match rule {error.message}", place) from None
    return Part(text or "*", glob, at, at + max(1, len(text)))


def _bounds(
    source: Source, text: str, at: int, types: Mapping[str, Type]
) -> Iterator[tuple[str, Type, int, int]]:
    position = 1
    while position < len(text) - 1:
        found = _BOUND.match(text, position)
        if found is None or found.end() > len(text) or text[found.end()] not in ",)":
            raise source.error("this is no type bound", at + position, at + len(text) - 1,
                               "write for instance (arg0: i32, local1: i64)")  # fmt: skip
        start = at + found.start(1)
        word = found[2].strip()
        type_ = types.get(word) or parse_type(source, word, at + found.start(2))
        yield found[1], type_, start, start + len(found[1])
        position = found.end() + 1


def events_of(source: Source, rule: CoreRule) -> list[tuple[Event, tuple[Mode, ...]]]:
    """Events with their matching modes, in the order that numbers them; never empty."""
    packages = [
        name
        for name in PACKAGES
        if rule.parts[1].matches(name)
        and (name not in BY_NAME or name in rule.parts[1].text.lower())
    ]
    if not packages:
        raise _nothing(source, rule.parts[1], "package", PACKAGE_DOCS)
    _all_there(source, rule.parts[1], "package", PACKAGES)
    found: list[tuple[Event, tuple[Mode, ...]]] = []
    for package in packages:
        for event in PACKAGES[package]:
            modes = _matching(rule, event)
            if modes:
                found.append((event, modes))
    if not found:
        raise _no_event(source, rule, packages)
    named = [event for package in packages for event in PACKAGES[package]]
    if len(rule.parts) > 2:
        _all_there(source, rule.parts[2], "event", [event.name for event in named])
    if len(rule.parts) > 3:
        texts = dict.fromkeys(mode.text for event in named for mode in event.modes)
        _all_there(source, rule.parts[3], "mode", texts)
    return found


def _all_there(source: Source, part: Part, what: str, known: Iterable[str]) -> None:
    """Each alternative that is a name has to be one: beside others it would go unnoticed."""
    names = list(known)
    for at, text in split_top(part.text, "|"):
        if text and not re.search(r"[*?\[{]", text) and text.lower() not in names:
            start = part.at + at
            raise _nothing(source, Part(text, part.glob, start, start + len(text)), what, names)


def _matching(rule: CoreRule, event: Event) -> tuple[Mode, ...]:
    """The modes of ``event`` that ``rule`` means; a rule has as many parts as its event needs."""
    has_modes = event.modes[0].text != ""
    needed = 2 + (event.name != "") + has_modes
    if len(rule.parts) != needed or (event.name and not rule.parts[2].matches(event.name)):
        return ()
    if not has_modes:
        return event.modes
    return tuple(mode for mode in event.modes if rule.parts[3].matches(mode.text))


def _no_event(source: Source, rule: CoreRule, packages: list[str]) -> ScriptError:
    events = [event for package in packages for event in PACKAGES[package]]
    if len(rule.parts) == 2:
        part = rule.parts[1]
        return source.error(f"package {packages[0]} needs an event", part.at, part.end,
                            f"write for instance {_example(events[0])}")  # fmt: skip
    part = rule.parts[2]
    named = [event for event in events if event.name and part.matches(event.name)]
    if not named:
        return _nothing(source, part, "event", (event.name for event in events))
    event = named[0]
    if len(rule.parts) == 4 and event.modes[0].text:
        texts = [mode.text for mode in event.modes]
        return source.error(f'{event.name} has no mode "{rule.parts[3].text}"', rule.parts[3].at,
                            rule.parts[3].end,
                            suggest(rule.parts[3].text, texts) or f"its modes are {listed(texts)}"
                            )  # fmt: skip
    what = "has no modes" if len(rule.parts) == 4 else "needs a mode"
    return source.error(f"{event.package}:{event.name} {what}", part.at, rule.parts[-1].end,
                        f"write {_example(event)}")  # fmt: skip


def _example(event: Event) -> str:
    words = ("wasm", event.package, event.name, event.modes[0].text)
    return ":".join(word for word in words if word)


def _nothing(source: Source, part: Part, what: str, known: object) -> ScriptError:
    names = [name for name in known if name] if isinstance(known, dict) else list(known)  # type: ignore[call-overload]
    hint = 'it is called "opcode"' if part.text == "bytecode" else suggest(part.text, names)
    if not hint:
        hint = f"there are {listed(names)}" if len(names) < 10 else "see whamm-cm info for all"
    return source.error(f'no {what} matches "{part.text}"', part.at, part.end, hint)


# --- rules on WIT boundaries ---------------------------------------------------------------------


def parse_wit_rule(source: Source, probe: s.ProbeSyntax) -> WitPattern:
    """Raises ScriptError at the part that is wrong."""
    head, _, mode = probe.rule.rpartition(":")
    side, item = "*", head
    shift = 0
    found = re.match(r"wit\s*:\s*([^:]*):", head)
    if found:
        side, item, shift = found[1].strip() or "*", head[found.end() :], found.end()
    elif head.startswith("wit:"):
        raise source.error("this rule names no side and interface", probe.at, probe.end,
                           "write for instance wit:import:wasi:http/*#*:after")  # fmt: skip
    if "#" not in item and item.count("/") == 0 and item not in ("*", ""):
        raise source.error("this rule names no function", probe.at, probe.end,
                           'write the function after a "#", or #* for all of them')  # fmt: skip
    sides = _wit_part(source, side, probe.at + head.find(side), SIDES, "side")
    modes = _wit_part(source, mode or "*", probe.at + len(head) + 1, WIT_MODES, "mode")
    try:
        pattern = ItemPattern.parse(item)
    except PatternError as error:
        place = probe.at + shift + error.position
        raise source.error(f"in this match rule {error.message}", place) from None
    named = "cancel" in mode  # what means all modes does not mean that one
    matched = tuple(m for m in WIT_MODES if modes.fullmatch(m) and (named or m != "cancel"))
    those = [s_ for s_ in SIDES if sides.fullmatch(s_)]
    side = those[0] if len(those) == 1 else "*"
    return WitPattern(probe.rule, sides, side, pattern, matched, probe.at + shift)


def _wit_part(source: Source, text: str, at: int, known: tuple[str, ...], what: str) -> Glob:
    try:
        glob = compile_glob(text)
    except PatternError as error:
        raise source.error(f"in this match rule {error.message}", at + error.position) from None
    if not any(glob.fullmatch(name) for name in known):
        hint = suggest(text, known) or f"there are {listed(known)}"
        raise source.error(f'there is no {what} "{text}"', at, at + len(text), hint)
    return glob
