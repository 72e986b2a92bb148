"""What ``info`` says: as text for people, and as one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from whamm_cm.demangle.name import demangle
from whamm_cm.lang.describe import EventRow, FunctionRow, VariableRow, describe, row
from whamm_cm.lang.load import load
from whamm_cm.lang.source_rules import is_source_rule
from whamm_cm.lang.tree import Scripts
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:  # the weave is slow to import, and a rule alone needs none
    from whamm_cm.weave.listing import BoundarySite, Listing, OpcodeSite, Snippet

#: Events whose variables are all shown without -v.
_FEW = 4

#: What probes at WIT boundaries bind, beside the parameters under their own names.
BOUNDARY: tuple[VariableRow, ...] = tuple(
    VariableRow(*row, "")
    for row in (
        ("interface", "str", "static", "interface of the function, without its version"),
        ("version", "str", "static", "version of the interface, empty if it has none"),
        ("func", "str", "static", "name of the function: func, resource.method, resource.new"),
        ("resource", "str", "static", "resource of a method, constructor or drop"),
        ("direction", "str", "static", '"import", "export" or "inner"'),
        ("component", "str", "static", "name or place of the component with the function"),
        ("module", "str", "static", "its core module that calls or is called, empty if not known"),
        ("is_async", "bool", "static", "whether the function is async"),
        ("argN", "", "dynamic", "parameter N; self is 0 of a method"),
        ("task", "u32", "dynamic", "number of the task that calls, or that an export is"),
        ("call_id", "u64", "dynamic", "number of the call"),
        ("result", "", "dynamic", "what the function returned (after)"),
        ("is_err", "bool", "dynamic", "whether that is the case error (after)"),
        ("elapsed", "u64", "dynamic", "nanoseconds the call took (after, cancel)"),
    )
)


def described(rule: str) -> tuple[list[EventRow], Scripts | None]:
    """The events of a rule of provider wasm, or the checked script of one on WIT boundaries.

    Raises ScriptError.
    """
    if is_source_rule(rule):
        (probe,) = load([("rule", f"{rule} {{ }}")]).probes
        assert probe.source is not None
        return [row(probe.source.event)], None
    if "#" not in rule and not rule.lstrip().startswith("wit"):
        return describe(rule.partition("/")[0]), None
    scripts = load([("rule", f"{rule} {{ }}")])
    for error in filter(None, (one.mistake(None) for one in scripts.wit_rules)):
        raise error
    return [], scripts


# --- text ----------------------------------------------------------------------------------------


def lines(rule: str | None, listing: Listing | None, first: int | None, all_: bool) -> str:
    """``first``: how many places to show, None for all; ``all_``: also all variables."""
    found: list[str] = []
    if rule is not None:
        events, wit = described(rule)
        found += _events(events, all_) if wit is None else _boundary_rule(wit)
    if listing is not None:
        found += ([""] if found else []) + list(_listing(listing, first))
    return "".join(f"{line}".rstrip() + "\n" for line in found)


def _boundary_rule(scripts: Scripts) -> Iterator[str]:
    for rule in scripts.wit_rules:
        yield f"{rule.rule}  a function at a WIT boundary is called"
    yield "  parameters by their WIT names, with _ for -"
    yield from _variables(BOUNDARY)


def _events(events: Sequence[EventRow], all_: bool) -> Iterator[str]:
    if len(events) > _FEW and not all_:
        yield from _many(events)
        return
    for number, event in enumerate(events):
        yield from [""] if number else []
        yield _head(event)
        yield from _variables(event.variables)
        yield from _functions(event.functions)


def _head(event: EventRow) -> str:
    modes = f"  modes {', '.join(event.modes)}" if event.modes else ""
    category = f"  category {event.category}" if event.category else ""
    more = "" if event.known else "  (not in whamm 1.0)"
    return f"{event.name}{category}{modes}{more}"


def _many(events: Sequence[EventRow]) -> Iterator[str]:
    """What all events bind, and which there are."""
    by_head: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for event in events:
        names = by_head.setdefault((event.category or event.package, event.modes), [])
        names.append(event.name.rpartition(":")[2])
    yield counted(len(events), "event")
    for (category, modes), names in by_head.items():
        yield f"  {category}  {', '.join(modes)}".rstrip()
        yield from _wrapped(names)
    shared = [v for v in events[0].variables if all(v in event.variables for event in events)]
    yield "variables of all of them (-v shows those of each)"
    yield from _variables(shared)


def _wrapped(names: Sequence[str]) -> Iterator[str]:
    line = "   "
    for name in names:
        if len(line) + len(name) > 98:
            yield line
            line = "   "
        line += f" {name}"
    yield line


def _variables(variables: Iterable[VariableRow]) -> list[str]:
    rows = []
    for v in variables:
        defined = f" ({v.defined})" if v.defined else ""
        rows.append((v.name, v.type or "?", v.lifetime, v.doc + defined))
    return _columns(rows)


def _functions(functions: Iterable[FunctionRow]) -> list[str]:
    rows = [
        (f"{f.name}({', '.join(f.params)})", "" if f.result == "()" else f.result, "", f.doc)
        for f in functions
    ]
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _listing(listing: Listing, first: int | None) -> Iterator[str]:
    if listing.opcodes or not listing.boundaries:
        yield from _opcodes(listing.opcodes, first)
    if listing.boundaries:
        yield f"{counted(len(listing.boundaries), 'function')} at WIT boundaries"
        for site in listing.boundaries[:first]:
            yield from _boundary(site)
        yield from _more(len(listing.boundaries), first)
    if listing.unmatched or listing.left_alone:
        yield "no match"
    for rule, reason, count in listing.unmatched:
        where = f"  {counted(count, 'place')}: " if rule == "" or count else "  "
        yield f"{where}{f'{rule}: ' if rule else ''}{reason}"
    for place, reason in listing.left_alone:
        yield f"  core module {printable(place)}: {reason}"
    yield from _code(listing, first)


def _opcodes(sites: Sequence[OpcodeSite], first: int | None) -> Iterator[str]:
    modules = Counter(site.module for site in sites)
    functions = {(site.module, site.fid) for site in sites}
    yield f"{counted(len(sites), 'place')} in {counted(len(functions), 'function')}"
    for module, count in modules.items():
        if module:
            yield f"  core module {printable(module)}: {counted(count, 'place')}"
    rows = [
        (_function(site.function, site.fid), f"pc {site.pc}", printable(site.instruction),
         printable(site.rule))
        for site in sites[:first]
    ]  # fmt: skip
    yield from _columns(rows) if rows else []
    yield from _more(len(sites), first)


def _more(count: int, first: int | None) -> Iterator[str]:
    if first is not None and count > first:
        yield f"  … {count - first} more (-v shows all)"


def _function(name: str, fid: int) -> str:
    return printable(demangle(name)) or f"#{fid}"


def _boundary(site: BoundarySite) -> Iterator[str]:
    yield f"  {printable(site.title)}"
    yield f"    {printable(site.signature)}"
    if site.reason:
        yield f"    cannot be probed: {printable(site.reason)}"


def _code(listing: Listing, first: int | None) -> Iterator[str]:
    for snippet in listing.snippets[:first]:
        yield ""
        module = f"{printable(snippet.module)}: " if snippet.module else ""
        name = _function(snippet.function, snippet.fid)
        yield f"{module}{name}, pc {snippet.pc}: {snippet.where} {snippet.instruction}"
        yield from _listed(snippet)
    yield from _more(len(listing.snippets), first)
    for name, code in listing.functions:
        yield ""
        yield f"function {name} of the script"
        yield from (f"    {printable(line)}" for line in code)


def _listed(snippet: Snippet) -> list[str]:
    return [f"    {printable(line)}" for line in snippet.code]


# --- JSON ----------------------------------------------------------------------------------------


def document(rule: str | None, listing: Listing | None, first: int | None, all_: bool) -> str:
    """Keys are added, never renamed or taken away while ``v`` is 1."""
    found: dict[str, Any] = {"v": 1}
    if rule is not None:
        events, wit = described(rule)
        found["rule"] = rule
        found["events"] = [asdict(event) for event in events]
        if wit is not None:
            found["variables"] = [asdict(variable) for variable in BOUNDARY]
    if listing is not None:
        found |= _facts(listing)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _facts(listing: Listing) -> dict[str, Any]:
    return {
        "places": [asdict(site) for site in listing.opcodes],
        "boundaries": [asdict(site) for site in listing.boundaries],
        "unmatched": [
            {"rule": rule, "reason": reason, "places": count}
            for rule, reason, count in listing.unmatched
        ],
        "left_alone": [
            {"module": module, "reason": reason} for module, reason in listing.left_alone
        ],
        "code": [asdict(snippet) for snippet in listing.snippets],
        "functions": [{"name": name, "code": code} for name, code in listing.functions],
    }
