"""What a component asks of an engine beyond the component model of WASI 0.2, and of which world it
is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit.model import interface_id, split_version
from whamm_cm.wit.semver import Version

#: Built-ins that wait when they are not asynchronous, which needs a feature of its own.
_TRANSFERS = frozenset(("stream.read", "stream.write", "future.read", "future.write"))


#: The packages of WASI 0.3.
_WASI = tuple(
    f"wasi:{one}/" for one in ["cli", "clocks", "filesystem", "http", "random", "sockets"]
)


@dataclass(frozen=True, slots=True)
class World:
    """``versions``: those of WASI 0.3 among the imports and the exports that hosts call.
    ``handler``: it answers HTTP requests; ``command``: it has a ``run``."""

    versions: tuple[str, ...]
    command: bool
    handler: bool


def world(root: Component) -> World:
    versions: dict[str, None] = {}
    exports: set[str] = set()
    for definition in root.definitions:
        node = definition.node
        if not isinstance(node, n.Import | n.Export):
            continue
        interface, version = split_version(interface_id(node.name))
        if isinstance(node, n.Export):
            exports.add(interface)
            if interface not in ("wasi:cli/run", "wasi:http/handler"):
                continue
        if interface.startswith(_WASI) and version is not None and _is_0_3(version):
            versions[version] = None
    handlers = {"wasi:http/handler", "wasi:http/incoming-handler"}
    return World(tuple(versions), "wasi:cli/run" in exports, not handlers.isdisjoint(exports))


def _is_0_3(version: str) -> bool:
    """Drafts of other packages have versions such as 0.3.0-draft."""
    found = Version.try_parse(version)
    return (
        found is not None
        and (found.major, found.minor) == (0, 3)
        and (not found.pre or found.pre[0].startswith("rc-"))
    )


def packages(root: Component) -> tuple[str, ...]:
    """Which packages it imports that hosts have only where they are asked for: ``config``,
    ``keyvalue``."""
    found: set[str] = set()
    for definition in root.definitions:
        if isinstance(definition.node, n.Import):
            found.add(interface_id(definition.node.name).partition("/")[0])
    return tuple(one for one in ("config", "keyvalue") if f"wasi:{one}" in found)


def features(root: Component) -> tuple[str, ...]:
    """What has to be switched on for it, sorted: ``async``, ``async-stackful``,
    ``more-async-builtins``, ``threading``, ``error-context``, ``gc``, ``map``,
    ``fixed-length-lists``, ``implements``, ``memory64``.  As wasmtime calls them, which asks for
    them where it validates; ``memory64`` also where the canonical ABI has nothing to do with such a
    memory."""
    found: set[str] = set()
    for component in walk(root):
        for definition in component.definitions:
            node = definition.node
            if isinstance(node, CoreModule):
                if any(memory.is64 for memory in node.memories):
                    found.add("memory64")
            elif not isinstance(node, Component):
                found.update(_of(node))
    return tuple(sorted(found))


def _of(node: n.Node) -> Iterator[str]:
    if isinstance(node, n.Canon):
        yield from _of_canon(node)
    elif isinstance(node, n.StreamDef | n.FutureDef):
        yield "async"
    elif isinstance(node, n.FuncDef):
        if node.is_async:
            yield "async"
    elif isinstance(node, n.MapDef):
        yield "map"
    elif isinstance(node, n.ListDef) and node.length is not None:
        yield "fixed-length-lists"
    elif isinstance(node, n.Import | n.Export | n.ExportDecl):
        if node.name.attribute("implements") is not None:
            yield "implements"
    elif isinstance(node, n.ComponentTypeDef | n.InstanceTypeDef):
        for decl in node.decls:
            yield from _of(decl.node)
    if "error-context" in _types(node):
        yield "error-context"


def _types(node: n.Node) -> Iterable[object]:
    """The types that stand in it by name, as far as an ``error-context`` may be one."""
    match node:
        case n.PrimDef(name):
            return (name,)
        case n.RecordDef(fields) | n.FuncDef(fields):
            result = (node.result,) if isinstance(node, n.FuncDef) else ()
            return (*(kind for _, kind in fields), *result)
        case n.VariantDef(cases):
            return [kind for _, kind in cases]
        case n.TupleDef(types):
            return types
        case n.ListDef(element) | n.StreamDef(element) | n.FutureDef(element):
            return (element,)
        case n.OptionDef(inner):
            return (inner,)
        case n.ResultDef(ok, err):
            return (ok, err)
    return ()


def _of_canon(node: n.Canon) -> Iterator[str]:
    family, _, action = node.op.partition(".")
    options = node.options
    if options.is_async or family in (
        "task", "subtask", "context", "stream", "future", "waitable-set", "waitable",
        "backpressure", "thread",
    ):  # fmt: skip
        yield "async"
    if node.op == "lift" and options.is_async and options.callback is None:
        yield "async-stackful"
    waits = node.op in _TRANSFERS and not options.is_async
    if waits or (node.flag and action.startswith("cancel")):
        yield "more-async-builtins"
    if (family == "thread" and action != "yield") or (family == "context" and node.slot):
        yield "threading"
    if family == "error-context":
        yield "error-context"
    if options.gc or options.core_type is not None:
        yield "gc"
    if family == "context" and node.core_type == "i64":
        yield "memory64"
