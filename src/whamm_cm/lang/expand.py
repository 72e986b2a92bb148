"""One probe of a script to one checked probe per event and mode it matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Env, Unknowable
from whamm_cm.lang.calls import invoke
from whamm_cm.lang.events import BOUNDABLE, BY_NAME, TASK_MODES, Event, Mode
from whamm_cm.lang.exprs import EXPR_RULES
from whamm_cm.lang.generics import choices, settled, with_types
from whamm_cm.lang.mistakes import mistakes
from whamm_cm.lang.paths import site_of, unknown_site
from whamm_cm.lang.places import SourceRule
from whamm_cm.lang.rules import CoreRule, events_of, parse_core_rule, parse_wit_rule
from whamm_cm.lang.source import ScriptError, WrittenRule, together
from whamm_cm.lang.source_rules import is_source_rule, parse_source_rule
from whamm_cm.lang.src_places import Surroundings
from whamm_cm.lang.src_use import reads_source, with_source
from whamm_cm.lang.stmts import STMT_RULES, block
from whamm_cm.lang.tree import Expr, Kind, Probe, Span, Stmt, Variable, WitRule, WitSite
from whamm_cm.lang.valtypes import BOOL, F32, F64, I32, I64, Prim, Type

RULES = {**EXPR_RULES, s.Invoke: invoke}


def body_of(env: Env, kind: str, **more: object) -> Body:
    return Body(env, RULES, STMT_RULES, kind, **more)  # type: ignore[arg-type]


@dataclass(slots=True)
class Numbering:
    """Numbers of expanded probes.

    Events that whamm 1.0 has are numbered as whamm numbers them, all others after them; ``later``
    holds the latter until the former are known.
    """

    known: int = 0
    later: list[int] = field(default_factory=list)  # positions in ``probes``
    probes: list[Probe | WitRule] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Checked:
    bounds: dict[str, Type]
    predicate: Expr | None
    body: tuple[Stmt, ...]


def expand(env: Env, probe: s.ProbeSyntax, numbering: Numbering) -> Iterator[Probe | WitRule]:
    """The probes of one rule; ``number`` of events beyond whamm's is -1 until ``finish``."""
    probe = _written(env, probe)
    if probe.is_wit:
        yield from _wit_rules(env, probe)
        return
    if is_source_rule(probe.rule):
        yield _source_probe(env, probe, parse_source_rule(env.source, probe))
        return
    rule = parse_core_rule(env.source, probe)
    found = events_of(env.source, rule)
    if found[0][0].package in BY_NAME:
        yield from _boundary_rules(env, probe, rule, [event for event, _ in found])
        return
    chosen = [_Choice.of(env, probe, types) for types in choices(env.source, rule.params)]
    any_known = any(event.known for event, _ in found)
    for event, modes in found:
        for mode in modes:
            checked = _check_each(env, rule, chosen, event, mode)
            number = -1
            if event.known:
                number = numbering.known
                numbering.known += 1
            if isinstance(checked, ScriptError):
                if event.known or rule.is_single or not any_known:
                    raise checked
                continue
            if reads_source(env, probe):
                made = _probe(env, probe, event, mode, number, checked[0], bool(rule.params))
                again = partial(_check_anew, env, rule, chosen, event, mode, {})
                yield with_source(env, probe, again, made)
                continue
            for each in checked:
                yield _probe(env, probe, event, mode, number, each, bool(rule.params))


@dataclass(frozen=True, slots=True)
class _Choice:
    """A probe with ``types`` for the type parameters of its rule, if it has any."""

    types: Mapping[str, Prim]
    probe: s.ProbeSyntax
    rule: CoreRule
    bounds: dict[str, Type]
    names: frozenset[str]
    cache: _Cache = field(default_factory=dict)

    @classmethod
    def of(cls, env: Env, probe: s.ProbeSyntax, types: Mapping[str, Prim]) -> _Choice:
        rule = parse_core_rule(env.source, probe, types)
        chosen = with_types(probe, types) if types else probe
        return cls(types, chosen, rule, _checked_bounds(env, rule), _names(chosen))


def _check_each(
    env: Env, rule: CoreRule, chosen: Sequence[_Choice], event: Event, mode: Mode
) -> list[_Checked] | ScriptError:
    found = [_check(env, c.probe, c.rule, c.bounds, event, mode, c.names, c.cache) for c in chosen]
    fits = settled(rule.params, [choice.types for choice in chosen], found)
    return fits if isinstance(fits, ScriptError) else [one for each in fits for one in each]


_Shared = dict[tuple[Span, Type, Kind], Variable]


def _check_anew(env: Env, rule: CoreRule, chosen: Sequence[_Choice], event: Event, mode: Mode,
                shared: _Shared, around: Surroundings) -> list[_Checked]:  # fmt: skip
    """The same where variables of the program's source are known; raises ScriptError."""

    def body(types: Mapping[str, Type]) -> Body:
        return body_of(env, "probe", event=event, mode=mode.text, bounds=dict(types),
                       many=not rule.is_single, shared=shared, around=around)  # fmt: skip

    found = [_by_types(body, choice.probe, choice.bounds) for choice in chosen]
    fits = settled(rule.params, [choice.types for choice in chosen], found)
    if isinstance(fits, ScriptError):
        raise fits
    return [one for each in fits for one in each]


def _written(env: Env, probe: s.ProbeSyntax) -> s.ProbeSyntax:
    """The probe without the mark of rules that may match nothing."""
    text = probe.rule.removeprefix("?").lstrip()
    at = probe.at + len(probe.rule) - len(text)
    line, column = env.source.place(at)
    place = f"{env.source.name}:{line}:{column}"
    span = Span(env.source.number, at, probe.end)
    env.written[span] = WrittenRule(text, place, env.source, text != probe.rule)
    return probe._replace(rule=text, at=at)


def _probe(env: Env, probe: s.ProbeSyntax, event: Event, mode: Mode, number: int,
           checked: _Checked, chosen: bool = False) -> Probe:  # fmt: skip
    words = ["wasm", event.package, event.name, mode.name]
    rule = ":".join(word for word in words if word)
    return Probe(number, rule, env.source.number, event.package, event.name, mode.text,
                 checked.bounds, checked.predicate, checked.body,
                 Span(env.source.number, probe.at, probe.end), chosen)  # fmt: skip


def _source_probe(env: Env, probe: s.ProbeSyntax, rule: SourceRule) -> Probe:
    event = rule.event
    body = body_of(env, "probe", event=event, mode=rule.mode)
    checked = check_probe(body, probe)
    found = _probe(env, probe, event, event.modes[0], -1, checked)
    found = replace(found, event=f"{rule.text}:{rule.mode}", source=rule)
    if not reads_source(env, probe):
        return found
    shared: _Shared = {}

    def again(around: Surroundings) -> list[_Checked]:
        body = body_of(env, "probe", event=event, mode=rule.mode, shared=shared, around=around)
        return [check_probe(body, probe)]

    return with_source(env, probe, again, found)


def _wit_rules(env: Env, probe: s.ProbeSyntax) -> Iterator[WitRule]:
    pattern = parse_wit_rule(env.source, probe)
    optional = env.written[Span(env.source.number, probe.at, probe.end)].optional

    def mistake(sites: Sequence[WitSite] | None) -> ScriptError | None:
        found = [] if optional else mistakes(env.source, pattern, sites)
        return together(found) if found else None

    reports = _declares_report(probe)
    for mode in pattern.modes:
        yield _wit_rule(env, probe, probe.rule, mode, reports, pattern.match, mistake)


def _wit_rule(
    env: Env,
    probe: s.ProbeSyntax,
    text: str,
    mode: str,
    reports: bool,
    matches: Callable[[WitSite], bool],
    mistake: Callable[[Sequence[WitSite] | None], ScriptError | None] = lambda sites: None,
    package: str = "",
) -> WitRule:
    """Its body is checked as far as that goes without the function, whether or not there is one."""
    span = Span(env.source.number, probe.at, probe.end)
    unknown = body_of(env, "probe", mode=mode, blank=True,
                      wit=unknown_site(mode, env.libraries))  # fmt: skip
    with env.going_on():
        check_probe(unknown, probe)

    def check(rule: WitRule, site: WitSite) -> Probe:
        body = body_of(env, "probe", mode=rule.mode, wit=site_of(site, rule.mode))
        found = check_probe(body, probe)
        return Probe(rule.number, rule.rule, rule.script, "wit", site.func, rule.mode, {},
                     found.predicate, found.body, rule.span)  # fmt: skip

    return WitRule(-1, text, env.source.number, mode, span, reports, matches, check, mistake,
                   package)  # fmt: skip


def _boundary_rules(
    env: Env, probe: s.ProbeSyntax, rule: CoreRule, events: list[Event]
) -> Iterator[WitRule]:
    if rule.bounds:
        _, _, at, end = rule.bounds[0]
        package = events[0].package
        raise env.source.error(f"events of wasm:{package} have no operands to bound", at, end)
    reports = _declares_report(probe)
    for event in events:
        package, text = event.package, f"wasm:{event.package}:{event.name}"
        if package == "task":
            mode = TASK_MODES[event.name]
            yield _wit_rule(env, probe, text, mode, reports, _is_entered, package=package)
        else:
            copies = _copies(f"{package}.{event.name}")
            yield _wit_rule(env, probe, text, "after", reports, copies, package=package)


def _is_entered(site: WitSite) -> bool:
    return site.enters


def _copies(func: str) -> Callable[[WitSite], bool]:
    return lambda site: site.copies and site.func == func


def _declares_report(node: object) -> bool:
    if isinstance(node, s.Decl) and node.report:
        return True
    return isinstance(node, tuple) and any(map(_declares_report, node))


# --- sharing of checked bodies -------------------------------------------------------------------


_Cache = dict[tuple[object, ...], "list[_Checked] | ScriptError"]


def _check(env: Env, probe: s.ProbeSyntax, rule: CoreRule, bounds: dict[str, Type],
           event: Event, mode: Mode, names: frozenset[str], cache: _Cache
           ) -> list[_Checked] | ScriptError:  # fmt: skip
    """A body means the same wherever its names mean the same: checked once for all of these."""
    meant = ((id(event.find(n)), n in event.functions) for n in _with_definitions(event, names))
    key = (mode.text, event.package, *meant)
    if key not in cache:
        shared: _Shared = {}

        def body(types: Mapping[str, Type]) -> Body:
            return body_of(env, "probe", event=event, mode=mode.text, bounds=dict(types),
                           many=not rule.is_single, shared=shared)  # fmt: skip

        cache[key] = _by_types(body, probe, bounds)
    return cache[key]


#: The types that operands have; a body is checked for each that they may have at a place.
_TYPES = (I32, I64, F32, F64)
#: Operands that may have any of them.
_MOST_UNTYPED = 3


def _by_types(
    body: Callable[[Mapping[str, Type]], Body],
    probe: s.ProbeSyntax,
    bounds: Mapping[str, Type],
    left: int = _MOST_UNTYPED,
) -> list[_Checked] | ScriptError:
    """The body once, or where nothing says what types its operands have, once for each they may
    have and it fits."""
    try:
        return [check_probe(body(bounds), probe)]
    except ScriptError as error:
        name = next((one.untyped for one in error.each if one.untyped), "")
        if not name or not left:
            return error
    tried = [_by_types(body, probe, {**bounds, name: type_}, left - 1) for type_ in _TYPES]
    fits = [one for each in tried if isinstance(each, list) for one in each]
    return fits or tried[0]


def _with_definitions(event: Event, names: frozenset[str]) -> list[str]:
    """``names`` and those their definitions are made of, in a settled order."""
    found = dict.fromkeys(sorted(names))
    waiting = list(found)
    while waiting:
        variable = event.find(waiting.pop())
        for name in re.findall(r"[A-Za-z_]\w*", variable.defined) if variable else ():
            if name not in found:
                found[name] = None
                waiting.append(name)
    return list(found)


def check_probe(body: Body, probe: s.ProbeSyntax) -> _Checked:
    """Predicate and body of a probe in the surroundings that ``body`` stands for."""
    predicate = None
    if probe.predicate is not None:
        try:
            predicate = body.typed(probe.predicate, BOOL, "a predicate")
        except ScriptError as error:
            body.errors.append(error)
        except Unknowable:
            pass  # it is checked where there is such a function
    statements = block(body, probe.body)
    body.finish()
    return _Checked(body.bounds, predicate, statements)


def _checked_bounds(env: Env, rule: CoreRule) -> dict[str, Type]:
    found: dict[str, Type] = {}
    for name, type_, at, end in rule.bounds:
        if not BOUNDABLE.fullmatch(name):
            raise env.source.error(f'"{name}" cannot have a type bound', at, end,
                                   "bounds are for argN, localN, paramN and resN")  # fmt: skip
        if found.get(name, type_) != type_:
            raise env.source.error(f'"{name}" has two bounds', at, end)
        found[name] = type_
    return found


def _names(probe: s.ProbeSyntax) -> frozenset[str]:
    """Every name in a probe that could mean something bound, and res0 where it returns."""
    found: set[str] = set()
    stack: list[object] = [probe.predicate, probe.body]
    while stack:
        node = stack.pop()
        if isinstance(node, s.Name | s.Invoke):
            found.add(node.name)
        elif isinstance(node, s.Leave):
            found.add("res0")
        if isinstance(node, tuple):
            stack.extend(node)
    return frozenset(found)
