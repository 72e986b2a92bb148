"""``inspect --capabilities`` and ``--why``: what is declared, reachable and observed.

The document of ``--capabilities --json``; keys are added, never renamed, while ``v`` is 1:

    {"v": 1, "file": "app.wasm", "declared", "reachable", "observed": counts of the root's functions
         (observed is null without logs),
     "components": [{"path": "" for the root, "name", "instances": count,
         "imports": [{"name", "kind", "interface", "version", "declared", "reachable", "observed",
             "functions": [{"name": "tcp-socket.bind", "raw": "[method]tcp-socket.bind",
                 "kind": func or drop, "reachable": bool, "observed": calls or null,
                 "providers": [{"kind": host component outside, "component": path, "item"}]}]}]}],
     "strangers": [{"component", "interface", "version", "func"}] in the logs, but no import here}

and of ``--why ITEM --json``:

    {"v": 1, "file", "why": [{"component", "item", "reachable": bool,
        "path": [{"kind", "component", "name", "via", "module", "module_name", "index"}] or null}]}
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from whamm_cm.analysis.reach.analysis import Reachability, reach
from whamm_cm.analysis.reach.model import ComponentReach, Frame, ImportReach, ItemReach, Provider
from whamm_cm.analysis.reach.witness import described, spelled
from whamm_cm.cli.common import display, say, write_output
from whamm_cm.component.ir import Component
from whamm_cm.errors import UsageError
from whamm_cm.gate.capabilities import Capabilities, ComponentUse, ImportUse, Observed, capabilities
from whamm_cm.render.safe import printable
from whamm_cm.wit.names import both_names

if TYPE_CHECKING:
    from whamm_cm.wit.names import ItemPattern

_Json = dict[str, Any]
_Found = tuple[ComponentReach, ImportReach, ItemReach]


def show(args: argparse.Namespace, root: Component, alone: bool) -> None:
    """``--capabilities``.  ``alone``: as of :func:`reach`."""
    from whamm_cm.cli.logs import read_logs

    found = reach(root, alone=alone)
    observed = Observed.of(read_logs(args, args.trace_log)) if args.trace_log else None
    known = capabilities(found, observed)
    _warn(args, known)
    if args.json:
        text = json.dumps(_document(known, args.app), indent=2) + "\n"
    else:
        lines = _table(known, display(args.app), args.verbose > 0)
        text = "".join(f"{line}\n" for line in lines)
    write_output(args.output, text)


def _warn(args: argparse.Namespace, known: Capabilities) -> None:
    if known.strangers:
        site = known.strangers[0]
        more = len(known.strangers) - 1
        rest = f" and {more} more" if more else ""
        say(args, f"the logs have calls of {printable(site.item)}{rest}, which this component does"
            " not import; are they of another one?")  # fmt: skip
    for _, one, use in known.contradictions:
        name = printable(_item(one.found, use.item))
        say(args, f"{name} was called, but cannot be reached; is the log of another component?")


# The table


def _table(known: Capabilities, name: str, verbose: bool) -> Iterator[str]:
    yield f"{printable(name)}: functions it imports"
    yield "declared  reachable  observed  import"
    given = {
        one.found.name: both_names(one.found.name, one.found.interface, one.found.version)
        for one in known.root.imports
    }
    yield from _rows(known.root, True, verbose, given)
    yield _row(*_totals(known.root), "total")
    for component in known.components[1:]:
        if not component.imports:
            continue
        found = component.found
        title = f' "{printable(found.name)}"' if found.name else ""
        note = "" if found.instances else ", never instantiated"
        yield ""
        yield f"{found.path}{title}{note}"
        yield from _rows(component, verbose, verbose, given)
        yield _row(*_totals(component), "total")


def _rows(
    component: ComponentUse, functions: bool, verbose: bool, given: Mapping[str, str]
) -> Iterator[str]:
    """``given``: the imports of the root by name, as they are shown."""
    for one in component.imports:
        found = one.found
        name = printable(both_names(found.name, found.interface, found.version))
        if not one.items and not (functions or verbose):
            continue
        if not one.items:
            note = "types only" if one.found.kind == "instance" else one.found.kind
            yield _row("-", "n/a", "-", f"{name}  ({note})")
            continue
        single = one.found.kind == "func"
        if not single:
            yield _row(one.declared, one.reachable, one.observed, name + _given(one, given))
        for use in one.items if functions or single else ():
            if use.item.kind == "drop" and not verbose:
                continue
            seen = "-" if use.observed is None else f"{use.observed:,}"
            declared = "1" if single else ""
            indent = "" if single else "  "
            label = f"{indent}{printable(use.item.label)}"
            yield _row(declared, "yes" if use.item.reachable else "no", seen, label)


def _row(declared: object, reachable: object, observed: object, name: str) -> str:
    shown = "-" if observed is None else observed
    return f"{declared!s:>8}  {reachable!s:>9}  {shown!s:>8}  {name}"


def _totals(component: ComponentUse) -> tuple[int, int, int | None]:
    imports = component.imports
    seen = [one.observed for one in imports]
    observed = None if None in seen else sum(count or 0 for count in seen)
    return sum(one.declared for one in imports), sum(one.reachable for one in imports), observed


def _given(one: ImportUse, given: Mapping[str, str]) -> str:
    """Who provides the functions of a nested component's import."""
    providers = dict.fromkeys(
        (p.kind, p.component, p.path[0] if p.path else "")
        for use in one.items
        for p in use.item.providers
    )
    words = []
    for kind, component, name in providers:
        if kind == "host":
            same = name == one.found.name and given[name] == name
            words.append("the host" if same else f"the host's {printable(given[name])}")
        else:
            words.append((component or "the root") if kind == "component" else "outside")
    return f"  (from {', '.join(words)})" if words else ""


# JSON


def _document(known: Capabilities, path: str) -> _Json:
    declared, reachable, observed = _totals(known.root)
    return {
        "v": 1,
        "file": path,
        "declared": declared,
        "reachable": reachable,
        "observed": observed,
        "components": [_component(component) for component in known.components],
        "strangers": [
            {
                "component": site.component,
                "interface": site.interface or None,
                "version": site.version or None,
                "func": site.func,
            }
            for site in known.strangers
        ],
    }


def _component(component: ComponentUse) -> _Json:
    return {
        "path": component.found.path,
        "name": component.found.name,
        "instances": component.found.instances,
        "imports": [_import(one) for one in component.imports],
    }


def _import(one: ImportUse) -> _Json:
    return {
        "name": one.found.name,
        "kind": one.found.kind,
        "interface": one.found.interface or None,
        "version": one.found.version,
        "declared": one.declared,
        "reachable": one.reachable if one.items else None,
        "observed": one.observed if one.items else None,
        "functions": [
            {
                "name": use.item.label,
                "raw": use.item.raw,
                "kind": use.item.kind,
                "reachable": use.item.reachable,
                "observed": use.observed,
                "providers": [_provider(provider) for provider in use.item.providers],
            }
            for use in one.items
        ],
    }


def _provider(provider: Provider) -> _Json:
    item = spelled(provider.path) if provider.path else None
    return {"kind": provider.kind, "component": provider.component, "item": item}


# --why


def explain(args: argparse.Namespace, root: Component, alone: bool) -> None:
    """``--why ITEM``.  Raises UsageError when no import is meant."""
    from whamm_cm.wit.classes import patterns_of

    patterns = patterns_of(args.why)
    found = reach(root, alone=alone)
    chosen = _chosen(found, patterns)
    if not chosen:
        raise UsageError(
            f"{display(args.app)} imports nothing that {args.why!r} matches; `inspect"
            " --capabilities` lists what it imports"
        )
    paths = [(one, found.why(one[0], one[2])) for one in chosen]
    if args.json:
        document = {"v": 1, "file": args.app, "why": [_why_json(*path) for path in paths]}
        text = json.dumps(document, indent=2) + "\n"
    else:
        text = "\n".join("".join(f"{line}\n" for line in _why(*path)) for path in paths)
    write_output(args.output, text)


def _chosen(found: Reachability, patterns: tuple[ItemPattern, ...]) -> list[_Found]:
    """Imports of the root; those of components inside where the root has none."""
    chosen: list[_Found] = []
    for component in found.components:
        for one, item in component.items():
            names = {(one.interface, one.version)}
            if ":" not in one.name:  # a label
                names.add((one.name, None))
            if any(p.matches(*name, item.label) for p in patterns for name in names):
                chosen.append((component, one, item))
        if chosen and component is found.root:
            break
    return chosen


def _item(one: ImportReach, item: ItemReach) -> str:
    name = both_names(one.name, one.interface, one.version)
    return f"{name}#{item.label}" if one.kind == "instance" else item.label


def _why_json(found: _Found, path: tuple[Frame, ...] | None) -> _Json:
    component, one, item = found
    return {
        "component": component.path,
        "item": _item(one, item),
        "reachable": item.reachable,
        "path": None if path is None else [_frame_json(frame) for frame in path],
    }


def _frame_json(frame: Frame) -> _Json:
    return {
        "kind": frame.kind,
        "component": frame.component,
        "name": frame.name,
        "via": frame.via,
        "module": frame.module or None,
        "module_name": frame.module_name or None,
        "index": frame.index,
    }


def _why(found: _Found, path: tuple[Frame, ...] | None) -> Iterator[str]:
    component, one, item = found
    place = f", as {component.path} imports it" if component.path else ""
    name = printable(_item(one, item)) + place
    if path is None:
        yield f"{name}: cannot be reached"
        return
    yield f"{name}: reachable"
    for frame in path:
        yield f"  {frame.kind:<8}{printable(described(frame))}"
