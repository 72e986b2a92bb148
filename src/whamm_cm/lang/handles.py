"""Maps keyed by handles: an entry goes when its handle is dropped or given away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whamm_cm.lang.body import Env
from whamm_cm.lang.paths import site_of
from whamm_cm.lang.source import WrittenRule
from whamm_cm.lang.tree import (
    Const,
    Delete,
    Element,
    Expr,
    Field,
    For,
    Kind,
    Length,
    MapGet,
    Payload,
    Probe,
    Scalar,
    Span,
    Stmt,
    Var,
    Variable,
    WitRule,
    WitSite,
)
from whamm_cm.lang.valtypes import U32, MapT, WitT
from whamm_cm.wit import types as w

_OWNED = w.Own | w.StreamT | w.FutureT


def rules(env: Env) -> Iterator[WitRule]:
    """Probes behind all others of a script that has such maps: before calls that take handles from
    the component, and after those of its exports that give some away."""
    found = [v for v in env.globals.values() if isinstance(v.type, MapT) and v.type.handles]
    for mode in ("before", "after") if found else ():
        span = Span(found[0].span.script, found[0].span.start, found[0].span.start + (mode != ""))
        env.written[span] = WrittenRule("map<handle, …>", "", True)
        yield _rule(found, mode, span)


def _rule(maps: Sequence[Variable], mode: str, span: Span) -> WitRule:
    def check(rule: WitRule, site: WitSite) -> Probe:
        body = tuple(_forgets(maps, site, mode, span))
        return Probe(rule.number, rule.rule, rule.script, "wit", site.func, mode, {}, None, body,
                     span)  # fmt: skip

    return WitRule(
        -1, f"map<handle>:{mode}", span.script, mode, span, False,
        lambda site: any(True for _ in _forgets(maps, site, mode, span)), check, lambda sites: None,
    )  # fmt: skip


def _forgets(maps: Sequence[Variable], site: WitSite, mode: str, span: Span) -> Iterator[Stmt]:
    if site.copies or site.enters is (mode == "before"):
        return
    names = site_of(site, mode).names
    if mode == "after":
        if site.type.result is not None and _owns(site.type.result):
            yield from _in_value(maps, names["result"](span), site.type.result, span)
        return
    for position, (_, type_) in enumerate(site.type.params):
        dropped = position == 0 and site.func.endswith(".drop")
        if dropped or _owns(type_):
            yield from _in_value(maps, names[f"arg{position}"](span), type_, span)


def _parts(type_: w.ValType) -> list[tuple[type, int, w.ValType]]:
    """Ways on in a value: the class of the path, the position, and the type there."""
    match w.strip(type_):
        case w.RecordT(fields):
            return [(Field, i, t) for i, (_, t) in enumerate(fields)]
        case w.TupleT(items):
            return [(Field, i, t) for i, t in enumerate(items)]
        case w.VariantT(cases):
            return [(Payload, i, t) for i, (_, t) in enumerate(cases) if t is not None]
        case w.OptionT(inner):
            return [(Payload, 1, inner)]
        case w.ResultT(ok, error):
            return [(Payload, i, t) for i, t in enumerate((ok, error)) if t is not None]
    return []


def _owns(type_: w.ValType) -> bool:
    """Whether handles go with a value of that type."""
    stripped = w.strip(type_)
    if isinstance(stripped, w.ListT):
        return _owns(stripped.element)
    return isinstance(stripped, _OWNED) or any(_owns(part) for *_, part in _parts(type_))


def _in_value(
    maps: Sequence[Variable], value: Expr, type_: w.ValType, span: Span
) -> Iterator[Stmt]:
    """A case that is not there reads 0, which is no handle."""
    stripped = w.strip(type_)
    if isinstance(stripped, _OWNED | w.Borrow | w.Prim):
        key = Scalar(U32, value, span) if isinstance(value.type, WitT) else value
        for variable in maps:
            assert isinstance(variable.type, MapT)
            entry = MapGet(variable.type.value, Var(variable.type, variable, span), key, span)
            yield Delete(entry, span)
    elif isinstance(stripped, w.ListT):
        position = Variable("", U32, Kind.LOCAL, False, span.script, span)
        element = Element(WitT(stripped.element), value, Var(U32, position, span), span)
        inner = tuple(_in_value(maps, element, stripped.element, span))
        yield For(position, Const(U32, 0, span), Length(U32, value, span), inner, span)
    else:
        for path, number, part in _parts(type_):
            if _owns(part):
                yield from _in_value(maps, path(WitT(part), value, number, span), part, span)
