"""Which canonical definitions have a part in tasks, and which part (``emit/tasks.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import COPIES
from whamm_cm.component.items import Item
from whamm_cm.emit.model import Role
from whamm_cm.lang import tree as t
from whamm_cm.wit.types import ValType, strip

_BUILTINS: dict[str, Role] = {
    "task.return": "return",
    "task.cancel": "cancel",
    **dict.fromkeys(COPIES, "copy"),
    "waitable-set.wait": "wait",
    "waitable-set.poll": "poll",
    "subtask.cancel": "ask",
    "thread.new-indirect": "spawn",
    "stream.cancel-read": "ask",
    "stream.cancel-write": "ask",
    "future.cancel-read": "ask",
    "future.cancel-write": "ask",
}
_CONTEXT: dict[str, Role] = {"context.get": "get", "context.set": "set"}


#: Why nothing is known of tasks where calls of exports are all there is.
CALLS_ONLY = "nothing in its component is asynchronous"


def asks_for_task(node: t.Stmt | t.Expr) -> bool:
    """Whether a part of a script is the number of the task, or a variable of it."""
    if isinstance(node, t.Builtin | t.Bound):
        return node.name == "task"
    return isinstance(node, t.Var) and node.variable.kind is t.Kind.TASK


def _role(site: Site) -> Role:
    node = site.definition.node
    assert isinstance(node, n.Canon)
    if node.op == "lift":
        return "enter"
    if node.op == "lower":
        return "start" if site.is_async else ""
    if node.op in _CONTEXT:
        return _CONTEXT[node.op] if node.slot == 0 else ""
    return _BUILTINS.get(node.op, "")


def no_tasks(own: Iterable[Site]) -> str:
    """Why nothing is known of tasks in the component with these sites; "" where it is.

    All that gets at the context must be woven, or what the guest keeps there would be lost.
    """
    found = [(site, role) for site in own if (role := _role(site))]
    if not any(s.is_async or role not in ("enter", "get", "set") for s, role in found):
        return CALLS_ONLY
    reasons = [site.reason for site, role in found if role in ("get", "set") and site.reason]
    return f"its component keeps its tasks apart by itself: {reasons[0]}" if reasons else ""


def roles(own: Sequence[Site]) -> tuple[dict[Site, Role], str]:
    """The parts of a component's sites, and the core type of slot 0 of its context; nothing where
    nothing is known of tasks."""
    if no_tasks(own):
        return {}, ""
    found: dict[Site, Role] = {s: part for s in own if not s.reason and (part := _role(s))}
    context = (s.signature for s, role in found.items() if role in ("get", "set"))
    wide = any((*signature.params, *signature.results) == ("i64",) for signature in context)
    return found, "i64" if wide else "i32"


def exports(own: Iterable[Site]) -> dict[Site, int]:
    """The numbers of a component's exports in the entries of their tasks."""
    return {site: k for k, site in enumerate((s for s in own if s.kind == "lift"), 1)}


def may_return(lift: Site, site: Site) -> bool:
    """Whether the tasks of ``lift``, if it is an async export, may return at ``site``."""
    if lift.kind != "lift" or not lift.is_async or lift.component is not site.component:
        return False
    results = () if lift.result is None else (lift.result,)
    return [shape(r) for r in results] == [shape(r) for _, r in site.params]


def answering(program: Program, lift: Site, own: Iterable[Site]) -> Site | None:
    """The ``task.return`` by which a probe can answer for an async export: it is there before."""
    for site in own:
        if site is lift:
            break
        if site.kind == "task.return" and may_return(lift, site) and not site.reason:
            same = (site.encoding, site.ptr) == (lift.encoding, lift.ptr)
            if same and _same_memory(program, lift.memory, site.memory):
                return site
    return None


def _same_memory(program: Program, one: Item | None, other: Item | None) -> bool:
    """Whether what lies in the ``other`` memory, if anything does, can be put there."""
    if other is None:
        return True
    return one is not None and program.memory_of(one) == program.memory_of(other)


def shape(value: object) -> object:
    """A type without the names it goes by, to compare."""
    if isinstance(value, tuple):
        return tuple(map(shape, value))
    if isinstance(value, ValType):
        node = strip(value)
        return type(node), *(shape(getattr(node, f.name)) for f in fields(node))
    return value
