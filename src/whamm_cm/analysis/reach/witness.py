"""A path through the call graph as frames for people and programs."""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.analysis.reach.model import Frame, ItemReach
from whamm_cm.analysis.reach.values import Builtin, Code, Entrance, Lift, Node, Unknown
from whamm_cm.analysis.reach.walk import Step
from whamm_cm.demangle.name import demangle
from whamm_cm.wit.canons import CanonInfo
from whamm_cm.wit.names import func_label
from whamm_cm.wit.resolve import Resolved


def frames(
    steps: Mapping[Node, Step], node: Node, item: ItemReach, resolved: Resolved
) -> tuple[Frame, ...]:
    """The way to ``node``, which uses ``item``, and ``item`` at its end."""
    nodes: list[tuple[Node, str]] = []
    at: Node | None = node
    while at is not None:
        step = steps[at]
        nodes.append((at, step.via))
        at = step.caller
    found = [_frame(one, via, resolved) for one, via in reversed(nodes)]
    return (*found, Frame("import", "", spelled((*item.path[:-1], item.label)), "import"))


def spelled(path: tuple[str, ...]) -> str:
    """``wasi:cli/run@0.2.0#run``; the function is written as records have it."""
    *before, last = path
    return "#".join((*before, func_label(last)))


def pretty(name: str) -> str:
    """A name of the name section for people."""
    return demangle(name)


def described(frame: Frame) -> str:
    """What a step is, on one line; names are as they stand in the file."""
    if frame.kind != "core":
        return f"{frame.name}  in {frame.component}" if frame.component else frame.name
    title = f' "{frame.module_name}"' if frame.module_name else ""
    name = "" if frame.name == str(frame.index) else f" {frame.name}"
    via = "" if frame.via in ("call", "lift") else f"  by {frame.via}"
    return f"{frame.module}{title} func {frame.index}{name}{via}"


def _frame(node: Node, via: str, resolved: Resolved) -> Frame:
    if isinstance(node, Code):
        graph, component = node.instance.graph, node.instance.place.component.path
        name = graph.name(node.index)
        module = graph.module
        return Frame(
            "core", component, pretty(name) if name else f"func[{node.index}]", via,
            module.path, module.names.module or "", node.index,
        )  # fmt: skip
    if isinstance(node, Entrance):
        name = spelled(node.path) if node.path else "the component's start function"
        return Frame(node.kind, node.place.component.path, name)
    if isinstance(node, Lift):
        return Frame("lift", node.place.component.path, _canon(resolved.canons[node.item]), via)
    if isinstance(node, Builtin):
        kind = "lower" if node.canon.op == "lower" else "builtin"
        name = _canon(resolved.canons[node.item])
        return Frame(kind, node.place.component.path, name, via)
    if isinstance(node, Unknown):
        return Frame("outside", node.place.component.path, node.name, via)
    return Frame("import", "", spelled(node.path), via)


def _canon(info: CanonInfo) -> str:
    interface = f"{info.interface}@{info.version}" if info.version else info.interface
    return f"{interface}#{info.label}" if interface else info.label
