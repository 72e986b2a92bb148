"""The facts about a component as a tree for people, without colour: ``inspect`` adds that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.analysis.facts import (
    ComponentFacts,
    ExternFacts,
    Facts,
    FunctionFacts,
    ModuleFacts,
    SiteFacts,
)
from whamm_cm.dataclass import dataclass
from whamm_cm.render.safe import printable
from whamm_cm.wit.names import both_names


@dataclass(frozen=True, slots=True)
class Twig:
    """One line: ``label`` is what it is about, ``note`` what there is to say."""

    label: str
    note: str = ""
    twigs: tuple[Twig, ...] = ()
    warning: bool = False


def plain(tree: Twig) -> Iterator[str]:
    """The lines of the tree."""
    yield _text(tree)
    stack = [("", iter(tree.twigs), len(tree.twigs))]
    while stack:
        indent, rest, left = stack.pop()
        twig = next(rest, None)
        if twig is None:
            continue
        stack.append((indent, rest, left - 1))
        last = left == 1
        yield f"{indent}{'└─' if last else '├─'} {_text(twig)}"
        stack.append((indent + ("   " if last else "│  "), iter(twig.twigs), len(twig.twigs)))


def _text(twig: Twig) -> str:
    return f"{twig.label}  {twig.note}" if twig.note else twig.label


def grow(facts: Facts, name: str, verbose: bool) -> Twig:
    """The tree; ``verbose`` names every function and not only those a probe cannot watch."""
    stamp = _stamp(facts.root)
    branches = [
        Twig("instrumented", stamp, warning=True) if stamp else None,
        _group("made by", _makers(facts)),
        _group("contents", _contents(facts)),
        _group("imports", [_extern(e, verbose, "called") for e in facts.imports], True),
        _group("exports", [_extern(e, verbose, "implemented") for e in facts.exports], True),
        _group("inside", _inside(facts)),
        _group("faults", [Twig(printable(fault), warning=True) for fault in facts.faults]),
    ]
    note = f"{'core module' if facts.alone else 'component'}, {facts.size:,} bytes"
    return Twig(printable(name), note, tuple(branch for branch in branches if branch))


def _group(label: str, twigs: list[Twig], counted: bool = False) -> Twig | None:
    note = (str(len(twigs)) if twigs else "none") if counted else ""
    return Twig(label, note, tuple(twigs)) if twigs or counted else None


def _stamp(component: ComponentFacts) -> str:
    if component.stamp is None:
        return ""
    known = ((key, component.stamp.get(key)) for key in ("tool", "version", "sink"))
    text = ", ".join(f"{key} {printable(value)}" for key, value in known if value)
    return text or "by an unreadable stamp"


def _parts(facts: Facts) -> list[ComponentFacts | ModuleFacts]:
    """The root first."""
    return [*facts.components, *facts.modules]


def _makers(facts: Facts) -> list[Twig]:
    """What the producers sections say, all parts together, each maker once."""
    fields: dict[str, dict[str, None]] = {}
    for part in _parts(facts):
        for made in part.producers:
            tool = f"{printable(made.name)} {printable(made.version)}".rstrip()
            fields.setdefault(printable(made.field), {})[tool] = None
    return [Twig(field, "", tuple(map(Twig, tools))) for field, tools in fields.items()]


def _contents(facts: Facts) -> list[Twig]:
    """Components and modules nested as they are, in the order of the input."""
    inner: dict[str, list[ComponentFacts | ModuleFacts]] = {}
    for part in sorted(_parts(facts)[1:], key=lambda part: part.offset):
        inner.setdefault(part.path.rpartition(".")[0], []).append(part)
    # Innermost first: what a part holds starts behind it.
    grown: dict[str, Twig] = {}
    for component in reversed(facts.components[1:]):
        twigs = tuple(_part(part, facts, grown) for part in inner.get(component.path, ()))
        label, note = _title(component, facts)
        more = (*twigs, *_customs(component, facts))
        grown[component.path] = Twig(label, note, more, bool(component.stamp))
    return [
        *(_part(part, facts, grown) for part in inner.get("", ())),
        *_customs(facts.root, facts),
    ]


def _part(part: ComponentFacts | ModuleFacts, facts: Facts, grown: dict[str, Twig]) -> Twig:
    if isinstance(part, ComponentFacts):
        return grown[part.path]
    label, note = _title(part, facts)
    if part.fault:
        return Twig(label, note, (Twig(printable(part.fault), warning=True),))
    counts = (
        _count(part.imports, "import"),
        _count(part.exports, "export"),
        _count(part.functions, "function"),
    )
    return Twig(label, f"{note}; {', '.join(counts)}", (Twig(_largest(part)),))


def _title(part: ComponentFacts | ModuleFacts, facts: Facts) -> tuple[str, str]:
    name = f' "{printable(part.name)}"' if part.name else ""
    note = _share(part.size, facts)
    if isinstance(part, ComponentFacts):
        note += "" if part.instantiated else ", never instantiated"
        note += f", instrumented: {_stamp(part)}" if part.stamp is not None else ""
    return part.path + name, note


def _share(size: int, facts: Facts) -> str:
    return f"{size:,} bytes, {100 * size / max(facts.size, 1):.1f}%"


def _largest(module: ModuleFacts) -> str:
    """Its sections of at least a percent, largest first."""
    sizes = sorted(module.sections, key=lambda section: -section[1])
    shown = [(name, size) for name, size in sizes if size * 100 >= module.size][:8]
    return ", ".join(f"{printable(name)} {size:,}" for name, size in shown) or "no sections"


def _customs(component: ComponentFacts, facts: Facts) -> Iterator[Twig]:
    for name, size in component.sections:
        yield Twig(f'custom "{printable(name)}"', _share(size, facts))


def _extern(extern: ExternFacts, verbose: bool, verb: str) -> Twig:
    name = printable(both_names(extern.name, extern.interface, extern.version))
    if not extern.functions:
        return Twig(name, "types only" if extern.kind == "instance" else extern.kind)
    notes = [extern.kind] if extern.kind != "instance" else []
    declared = sum(function.declared for function in extern.functions)
    if extern.kind == "instance" and declared:
        notes.append(_count(declared, "function"))
    if len(extern.functions) > declared:
        notes.append(_count(len(extern.functions) - declared, "drop"))
    tally: dict[str, int] = {}
    for function in extern.functions:
        state = _state(function)
        tally[state] = tally.get(state, 0) + 1
    if list(tally) == ["can be probed"]:
        notes.append("all can be probed")
    else:
        words = {"unused": f"not {verb} in here"}
        notes += (f"{number} {words.get(state, state)}" for state, number in tally.items())
    shut = [function for function in extern.functions if function.reasons]
    shown = extern.functions if verbose else shut
    return Twig(name, ", ".join(notes), tuple(_function(f, verb) for f in shown))


def _state(function: FunctionFacts) -> str:
    if not function.sites:
        return "unused"
    if not function.probes:
        return "cannot be probed"
    return "can be probed" if function.probes == function.sites else "only in part"


def _function(function: FunctionFacts, verb: str) -> Twig:
    label = printable(function.name)
    if not function.sites:
        return Twig(label, f"not {verb} in here")
    if not function.reasons:
        return Twig(label, _count(function.sites, "site"))
    reasons = "; ".join(map(printable, function.reasons))
    return Twig(
        label, f"{function.probes} of {_count(function.sites, 'site')}: {reasons}", (), True
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _inside(facts: Facts) -> list[Twig]:
    """Calls between components and built-ins, by component, with what cannot be probed."""
    names = {c.path: f' "{printable(c.name)}"' if c.name else "" for c in facts.components}
    by_component: dict[str, list[SiteFacts]] = {}
    for site in facts.sites:
        if site.edge in ("inner", "builtin"):
            by_component.setdefault(site.component, []).append(site)
    twigs = []
    for path, sites in by_component.items():
        inner = sum(site.edge == "inner" for site in sites)
        notes = []
        if inner:
            notes.append(_count(inner, "site") + " of calls between components")
        if len(sites) > inner:
            notes.append(_count(len(sites) - inner, "built-in"))
        label = (path or "root") + names[path]
        twigs.append(Twig(label, ", ".join(notes), tuple(_shut(sites))))
    return twigs


def _shut(sites: Iterable[SiteFacts]) -> Iterator[Twig]:
    for (interface, func, reason), number in _tally(sites).items():
        place = f"{printable(interface)}#" if interface else ""
        times = f" ({number} sites)" if number > 1 else ""
        yield Twig(place + printable(func), f"cannot be probed: {reason}{times}", (), True)


def _tally(sites: Iterable[SiteFacts]) -> dict[tuple[str, str, str], int]:
    found: dict[tuple[str, str, str], int] = {}
    for site in sites:
        if site.reason:
            key = site.interface, site.func, printable(site.reason)
            found[key] = found.get(key, 0) + 1
    return found
