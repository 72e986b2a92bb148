"""What the probes of a wrapper mention, and one way to write what can be written in several."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from whamm_cm.emit.model import EventProbe, Wrapper
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.walk import PARTS, Node
from whamm_cm.lang.walk import walk as nodes
from whamm_cm.wit.types import ResultT, ValType, strip

Part: TypeAlias = tree.Expr | tree.Stmt | None | tuple["Part", ...]


def walk(part: Part) -> Iterator[Node]:
    """Every expression and statement in ``part``."""
    if isinstance(part, tuple):
        for item in part:
            yield from walk(item)
    elif part is not None:
        yield from nodes(part)


def rewrite(part: Any, change: Callable[[Any], Any]) -> Any:
    """``part`` with ``change`` applied to every expression and statement, innermost first; what
    nothing changes in stays the same object, as some are known by their identity."""
    if isinstance(part, tuple):
        items = tuple(rewrite(item, change) for item in part)
        return part if all(map(operator.is_, items, part)) else items
    if part is None:
        return None
    found = {name: rewrite(getattr(part, name), change) for name in PARTS[type(part)]}
    changed = {name: new for name, new in found.items() if new is not getattr(part, name)}
    return change(replace(part, **changed) if changed else part)


def mentions(node: Part, name: str) -> bool:
    return any(isinstance(part, tree.Bound) and part.name == name for part in walk(node))


def acts(node: Part, what: str) -> bool:
    """Whether an ``Act`` of that name is in ``node``."""
    return any(isinstance(part, tree.Act) and part.what == what for part in walk(node))


def answers(body: Iterable[tree.Stmt]) -> bool:
    """Whether a body may answer a call that it has not passed on."""
    for stmt in body:
        if isinstance(stmt, tree.Act) and stmt.what == "proceed":
            return False
        if acts(stmt, "fail") or any(isinstance(part, tree.Return) for part in walk(stmt)):
            return True
    return False


def traces(wrapper: Wrapper) -> bool:
    """Whether a probe of the wrapper may write records of it."""
    return any(map(has_trace, wrapper.probes))


def has_trace(probe: EventProbe) -> bool:
    """Whether a probe has a ``trace`` statement."""
    return any(isinstance(node, tree.Trace) for node in walk(probe.body))


def normal(node: Any, types: Mapping[str, ValType]) -> Any:
    """Paths and assignments in one form, for bound variables of these WIT types.

    A scalar variable by its name alone becomes a path, ``is_err`` a question about ``result``, an
    assignment to a WIT value the act ``assign`` (target, value).
    """

    def change(part: Any) -> Any:
        if isinstance(part, tree.Bound) and not isinstance(part.type, vt.WitT):
            return _variable(part, types)
        if isinstance(part, tree.Builtin) and part.name == "handle":
            return _scalar(part.args[0], part.type)
        if isinstance(part, (tree.Assign, tree.Update)):
            return _assignment(part)
        return part

    return rewrite(node, change)


def _variable(part: tree.Bound, types: Mapping[str, ValType]) -> tree.Expr:
    if part.name == "is_err" and part.name not in types:
        result = types.get("result")
        if result is None or not isinstance(strip(result), ResultT):
            return tree.Const(vt.BOOL, False)
        bound = tree.Bound(vt.WitT(result), "result")
        return tree.IsCase(vt.BOOL, bound, 1)
    if part.name in types:
        return tree.Scalar(part.type, tree.Bound(vt.WitT(types[part.name]), part.name))
    return part


def _scalar(part: tree.Expr, t: vt.Type) -> tree.Expr:
    return tree.Scalar(t, part) if isinstance(part.type, vt.WitT) else part


def _assignment(part: tree.Assign | tree.Update) -> tree.Stmt:
    target = _scalar(part.target, part.value.type)
    if not isinstance(target, tree.Scalar):
        return part
    value = part.value
    if isinstance(part, tree.Update):
        value = tree.Binary(target.type, part.op, target, value, part.span)
    return tree.Act("assign", (target, value), part.span)


def variables(w: Wrapper, probe: EventProbe) -> dict[str, ValType]:
    """The WIT types of what a probe sees: parameters by position and by name, then ``result``.
    ``task.return`` is where an async export returns: its parameter is the result."""
    if w.role == "copy":
        return {}  # its probes have names of their own
    params = w.params if probe.called is None else probe.called.params
    found = {f"arg{i}": t for i, (_, t) in enumerate(params)}
    found |= {name.replace("-", "_"): t for name, t in params}
    if probe.called is not None:
        found |= dict(w.params) if probe.mode == "after" else {}
    elif w.result is not None and probe.mode in ("after", "alt"):
        found["result"] = w.result
    return found


def normal_probes(w: Wrapper) -> list[EventProbe]:
    """The probes of a wrapper in normal form, see ``normal``."""
    return [
        replace(
            probe,
            predicate=normal(probe.predicate, variables(w, probe)),
            body=normal(probe.body, variables(w, probe)),
        )
        for probe in w.probes
    ]


def embedded(node: Part) -> Iterator[tree.Expr]:
    """The script expressions inside paths and acts, which the wrapper evaluates itself."""
    for part in walk(node):
        if isinstance(part, tree.Element):
            yield part.index
        elif isinstance(part, tree.Return) and part.value is not None:
            yield part.value
        elif isinstance(part, tree.Act):
            yield from part.args
