"""Probes that know of themselves, and of variables of the program's source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from whamm_cm.lang import src_values
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Env
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.src_places import Surroundings
from whamm_cm.lang.src_types import SourceUse
from whamm_cm.lang.tree import Const, Expr, Probe, Static, Stmt
from whamm_cm.lang.valtypes import I32, STR, Type
from whamm_cm.lang.walk import Node, transform, walk


class Checked(Protocol):
    """What there is of a probe once it is checked."""

    @property
    def bounds(self) -> Mapping[str, Type]: ...
    @property
    def predicate(self) -> Expr | None: ...
    @property
    def body(self) -> tuple[Stmt, ...]: ...


def knowing_itself(env: Env, probe: Probe) -> Probe:
    """A probe with the facts that are its own in the place of their names."""
    facts = {"probe_id": Const(I32, probe.number), "script": Const(STR, env.source.name)}

    def change(node: Node) -> Node | None:
        known = facts.get(node.name) if isinstance(node, Static) else None
        return None if known is None else replace(known, span=node.span)

    nodes = probe.body if probe.predicate is None else (probe.predicate, *probe.body)
    if not any(isinstance(node, Static) and node.name in facts for node in walk(*nodes)):
        return probe
    predicate = None if probe.predicate is None else transform(probe.predicate, change)
    body = tuple(transform(stmt, change) for stmt in probe.body)
    return replace(probe, predicate=predicate, body=body)


def reads_source(env: Env, probe: s.ProbeSyntax) -> bool:
    """Whether it reads variables of the program's source."""
    if src_values.WORD in env.globals or src_values.declares(probe.body):
        return False
    return any(src_values.names((probe.predicate, probe.body)))


def with_source(
    env: Env,
    probe: s.ProbeSyntax,
    check: Callable[[Surroundings], Sequence[Checked]],
    found: Probe,
) -> Probe:
    """A probe that reads variables of the program's source: ``check`` checks it where they are
    known."""
    named = dict(src_values.names((probe.predicate, probe.body)))

    def again(of: Probe, around: Surroundings) -> list[Probe]:
        return [
            knowing_itself(env, replace(of, bounds=one.bounds, predicate=one.predicate,
                                        body=one.body, reads=None))
            for one in check(around)
        ]  # fmt: skip

    def error(name: str, message: str, hint: str) -> ScriptError:
        return env.source.error(message, named[name].at, named[name].end, hint)

    return replace(found, reads=SourceUse(tuple(named), again, error))
