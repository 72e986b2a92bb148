"""Walks over the typed tree that do not care what the nodes mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from whamm_cm.lang import tree as t

Node: TypeAlias = t.Expr | t.Stmt

#: The fields of each node that hold a node, or a tuple of nodes, in order of evaluation.
PARTS: dict[type, tuple[str, ...]] = {
    t.Const: (), t.Static: (), t.Bound: (), t.Var: (),
    t.Unary: ("operand",), t.Binary: ("left", "right"), t.Cast: ("operand",),
    t.Ternary: ("condition", "then", "otherwise"),
    t.TupleMake: ("items",), t.TupleGet: ("operand",), t.MapGet: ("map", "key"),
    t.Call: ("args",), t.LibCall: ("args",), t.Builtin: ("args",),
    t.Field: ("operand",), t.Payload: ("operand",), t.IsCase: ("operand",),
    t.HasFlag: ("operand",), t.Element: ("operand", "index"), t.Length: ("operand",),
    t.Scalar: ("operand",), t.Text: ("operand",), t.WitConst: (), t.Src: (),
    t.Format: ("parts",), t.Shown: ("operand",),
    t.Declare: ("init",), t.Assign: ("target", "value"), t.Update: ("target", "value"),
    t.Sample: ("target", "value"), t.If: ("condition", "then", "otherwise"),
    t.While: ("condition", "body"), t.For: ("low", "high", "body"), t.Evaluate: ("value",),
    t.Entries: ("map", "body"), t.Delete: ("target",), t.Clear: ("target",),
    t.Draw: ("target", "limit"),
    t.Jump: (), t.Return: ("value",), t.Trace: (),
    t.Print: ("parts",), t.Act: ("args",),
}  # fmt: skip


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below ``node``."""
    for name in PARTS[type(node)]:
        part = getattr(node, name)
        if isinstance(part, tuple):
            yield from part
        elif part is not None:
            yield part


def walk(*nodes: Node) -> Iterator[Node]:
    """Every node of the trees, parents first, in source order."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(children(node))))


def code_of(scripts: t.Scripts) -> Iterator[Node]:
    """All code of scripts but rules at boundaries, which is for the functions that they match."""
    yield from scripts.globals
    for function in scripts.functions:
        yield from function.body
    for probe in scripts.probes:
        yield from () if probe.predicate is None else (probe.predicate,)
        yield from probe.body


def transform(node: Node, change: Callable[[Node], Node | None]) -> Any:
    """A copy of the tree in which ``change`` has replaced nodes, parents first; what it answers
    None for is copied.  Nodes below which nothing changes are kept as they are."""
    new = change(node)
    if new is not None:
        return new
    changed: dict[str, object] = {}
    for name in PARTS[type(node)]:
        part = getattr(node, name)
        if isinstance(part, tuple):
            copy: object = tuple(transform(child, change) for child in part)
            same = all(a is b for a, b in zip(part, copy, strict=True))  # type: ignore[call-overload]
        else:
            copy = None if part is None else transform(part, change)
            same = copy is part
        if not same:
            changed[name] = copy
    return replace(node, **changed) if changed else node  # type: ignore[arg-type]
