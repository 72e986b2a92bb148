"""Which canonical definitions have a part in tasks, and which part (``emit/tasks.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whamm_cm.analysis.site import Site
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import COPIES
from whamm_cm.emit.model import Role

_BUILTINS: dict[str, Role] = {
    "task.return": "return",
    "task.cancel": "cancel",
    **dict.fromkeys(COPIES, "copy"),
    "waitable-set.wait": "wait",
    "waitable-set.poll": "poll",
    "subtask.cancel": "ask",
    "stream.cancel-read": "ask",
    "stream.cancel-write": "ask",
    "future.cancel-read": "ask",
    "future.cancel-write": "ask",
}
_CONTEXT: dict[str, Role] = {"context.get": "get", "context.set": "set"}


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


def roles(own: Sequence[Site], wanted: Mapping[Site, bool]) -> tuple[dict[Site, Role], str]:
    """The parts of a component's sites, and the core type of slot 0 of its context; nothing where
    none of its calls is asynchronous or recorded.

    All that gets at the context must be woven, or what the guest keeps there would be lost.
    """
    found = {site: role for site in own if (role := _role(site))}
    asynchronous = any(s.is_async or r not in ("enter", "get", "set") for s, r in found.items())
    if not asynchronous or not any(wanted.values()):
        return {}, ""
    context = [site for site, role in found.items() if role in ("get", "set")]
    if any(site.reason for site in context):
        return {}, ""
    wide = any((*s.signature.params, *s.signature.results) == ("i64",) for s in context)
    return {s: r for s, r in found.items() if not s.reason}, "i64" if wide else "i32"
