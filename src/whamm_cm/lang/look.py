"""What a script that is being written knows at a place: names with their types, the type of an
expression.  Mistakes elsewhere do not matter; an editor asks for this at every key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Env, Unknowable
from whamm_cm.lang.builtins import WHAMM_CORE
from whamm_cm.lang.events import BoundVariable
from whamm_cm.lang.expand import Numbering, expand
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.load import check_functions, declare_all, keep_track
from whamm_cm.lang.parse import recovered
from whamm_cm.lang.source import ScriptError, Source
from whamm_cm.lang.tree import NOWHERE, Function, Variable, WitRule, WitSite
from whamm_cm.lang.valtypes import Type
from whamm_cm.wit.types import FuncT


@dataclass(frozen=True, slots=True)
class View:
    """``variables``: what the script declares; ``bound``: what the event or boundary binds, None
    where the type depends on the place; ``type``: of the expression that was asked for, if it has
    one.  ``func``: the type of the boundary function, None elsewhere and where none is known."""

    kind: str
    mode: str
    variables: Mapping[str, Variable]
    bound: Mapping[str, Type | None]
    docs: Mapping[str, BoundVariable]
    functions: Mapping[str, Function]
    acts: tuple[str, ...]
    libraries: Mapping[str, LibSignature]
    type: Type | None
    variable: Variable | None
    func: FuncT | None


def look(
    text: str,
    libraries: Mapping[str, LibSignature],
    sites: Sequence[WitSite],
    given: Mapping[str, str] | None = None,
) -> list[View]:
    """What is known where ``text`` calls ``calls.CURSOR``, with an expression or without: once for
    each way the body around it is checked.  ``sites``: the functions of the component, if any;
    ``given``: as for ``load.load``."""
    found: list[View] = []

    def watch(body: Body, call: s.Invoke) -> None:
        found.append(_view(body, call.args[0] if call.args else None))

    known = {WHAMM_CORE.name: WHAMM_CORE, **libraries}
    env = Env(Source(0, "script", text), known_libraries=known, watch=watch, given=given or {})
    script = s.Script(())
    with env.going_on():
        script, _ = recovered(env.source)
    keep_track(env, script, {}, 1)
    declare_all(env, script, 0)
    check_functions(env, script)
    for item in script.items:
        if isinstance(item, s.ProbeSyntax):
            with env.going_on():
                for rule in expand(env, item, Numbering()):
                    _at_sites(env, rule, sites)
    return found


def _at_sites(env: Env, rule: object, sites: Sequence[WitSite]) -> None:
    """A rule on boundaries is checked anew for each function that it matches."""
    if isinstance(rule, WitRule):
        for site in sites:
            if rule.matches(site):
                with env.going_on():
                    rule.at(site)


def _view(body: Body, node: s.ExprSyntax | None) -> View:
    type_: Type | None = None
    with suppress(ScriptError, Unknowable):  # then it has none, and that is all there is to say
        type_ = None if node is None else body.expr(node).type
    variable = body.variable(node.name) if isinstance(node, s.Name) else None
    bound: dict[str, Type | None] = {}
    docs: dict[str, BoundVariable] = {}
    if body.event is not None:
        docs = dict(body.event.variables)
        bound = {name: body.bounds.get(name, v.type) for name, v in docs.items()}
    if body.wit is not None:
        bound |= {name: make(NOWHERE).type for name, make in body.wit.names.items()}
    func = None if body.wit is None or body.blank else body.wit.site.type
    acts: tuple[str, ...] = () if body.event is None else body.event.functions
    if body.wit is not None:
        acts = ("proceed", "fail", "delay")
    return View(body.kind, body.mode, {**body.env.globals, **body.locals}, bound, docs,
                dict(body.env.functions), acts, dict(body.env.libraries), type_, variable,
                func)  # fmt: skip
