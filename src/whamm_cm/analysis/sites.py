"""The sites of a component: every canonical definition, with what a wrapper must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from whamm_cm.abi.flatten import CoreSig, core_signature, task_return_signature
from whamm_cm.abi.layout import layouts
from whamm_cm.abi.owned import owned
from whamm_cm.agent.layout import Edge, SiteKind
from whamm_cm.agent.sites import SiteSpec
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.reach.standing import standings
from whamm_cm.analysis.site import Encoding, Kind, Owned, Site
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import BY_OP, COPIES
from whamm_cm.component.ir import Component
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.canons import CanonInfo
from whamm_cm.wit.model import InstanceItem, TypeItem
from whamm_cm.wit.resolve import Resolved, resolve
from whamm_cm.wit.types import (
    Borrow,
    FutureT,
    ListT,
    Own,
    Prim,
    Resource,
    StreamT,
    ValType,
    strip,
)

_SITE_KINDS: dict[Kind, SiteKind] = {
    "lower": SiteKind.LOWER,
    "lift": SiteKind.LIFT,
    "resource.drop": SiteKind.RESOURCE_DROP,
    "resource.new": SiteKind.RESOURCE_NEW,
    "resource.rep": SiteKind.RESOURCE_REP,
    "task.return": SiteKind.TASK_RETURN,
    "builtin": SiteKind.BUILTIN,
}
_EDGES = {
    "import": Edge.IMPORT, "export": Edge.EXPORT, "inner": Edge.INNER, "builtin": Edge.BUILTIN,
}  # fmt: skip
_CORE = {"i32": Prim("u32"), "i64": Prim("u64"), "f32": Prim("f32"), "f64": Prim("f64")}


def find_sites(program: Program, resolved: Resolved | None = None) -> list[Site]:
    """Every canonical definition of the tree as a site, in order, woven or not (``reason``)."""
    resolved = resolved or resolve(program.root)
    known = standings(program.root, resolved)
    sites = []
    own = _own_resources(resolved)
    places = {c.component: c.name or c.component.path for c in resolved.components}
    for item, info in resolved.canons.items():
        component, definition = program.home[item]
        standing = known[item]
        name = standing.name
        base = Site(
            component=component,
            definition=definition,
            kind=_kind(info),
            edge=standing.edge,
            place=places[component],
            interface=name.interface,
            version=name.version,
            func=name.func,
            signature=CoreSig((), (), False, False),
            leave=BY_OP[info.op].leave,
            resources=own.get(component, frozenset()),
            standing=standing,
        )
        site = _complete(base, info, program)
        if site.kind == "lower" and (given := owned(t for _, t in site.params)):
            site = replace(site, owned=_types_of(given, site, resolved))
        reason = site.reason or program.extendable.reason(component)
        sites.append(replace(site, reason=reason) if reason != site.reason else site)
    return sites


def _own_resources(resolved: Resolved) -> dict[Component, frozenset[Resource]]:
    """By component: the resources it defines, for only the definer makes and opens handles."""
    found: dict[Component, set[Resource]] = {}
    for info in resolved.canons.values():
        if info.op in ("resource.new", "resource.rep") and info.resource is not None:
            found.setdefault(info.component, set()).add(info.resource)
    return {component: frozenset(resources) for component, resources in found.items()}


def _types_of(given: Sequence[Resource], site: Site, resolved: Resolved) -> tuple[Owned, ...]:
    """How the types of resources are had before the definition of ``site``, if all are."""
    found: dict[Resource, Owned] = {}
    for definition in site.component.definitions:
        if definition is site.definition or len(found) == len(given):
            break
        for item in definition.items:
            entity = resolved.entities.get(item)
            if isinstance(entity, TypeItem) and entity.type in given:
                assert isinstance(entity.type, Resource)
                found.setdefault(entity.type, Owned(entity.type, item))
            if isinstance(entity, InstanceItem):
                for name, inner in entity.exports.items():
                    if isinstance(inner, TypeItem) and inner.type in given:
                        assert isinstance(inner.type, Resource)
                        found.setdefault(inner.type, Owned(inner.type, item, name))
    return tuple(found.values()) if len(found) == len(given) else ()


def _kind(info: CanonInfo) -> Kind:
    kinds: tuple[Kind, ...] = (
        "lower", "lift", "resource.drop", "resource.new", "resource.rep", "task.return",
    )  # fmt: skip
    return next((kind for kind in kinds if kind == info.op), "builtin")


def _complete(site: Site, info: CanonInfo, program: Program) -> Site:
    options = info.canon.options
    if options.gc or options.core_type is not None:
        return replace(site, reason="it uses the gc canonical option")
    memory_item = options.memory or info.canon.memory
    ptr = 4
    if memory_item is not None:
        memory = program.memory(memory_item)
        if isinstance(memory, str):
            return replace(site, reason=memory)
        ptr = 8 if isinstance(memory, MemoryType) and memory.is64 else 4
    site = replace(site, memory=memory_item, ptr=ptr, encoding=cast(Encoding, options.encoding))
    if info.op in ("lift", "lower"):
        return _function(site, info)
    if info.op == "task.return":
        signature = task_return_signature(info.result, ptr)
        params = () if info.result is None else (("result", info.result),)
        return replace(site, signature=signature, params=params)
    return _builtin(site, info, program)


def _function(site: Site, info: CanonInfo) -> Site:
    assert info.func is not None
    options = info.canon.options
    context: Literal["lift", "lower"] = "lift" if info.op == "lift" else "lower"
    signature = core_signature(
        info.func, context, options.is_async, options.callback is not None, site.ptr
    )
    params = info.func.params
    first = strip(params[0][1]) if params else None
    return replace(
        site,
        signature=signature,
        params=params,
        result=info.func.result,
        is_async=options.is_async,
        may_wait=info.func.is_async,
        callback=options.callback,
        realloc=options.realloc,
        self_first=isinstance(first, Borrow) and params[0][0] == "self",
    )


def _builtin(site: Site, info: CanonInfo, program: Program) -> Site:
    row = BY_OP[info.op]
    if row.params is None:
        return replace(site, reason=f"canon {info.op} takes core references")
    letters = {
        "i": "i32",
        "I": "i64",
        "p": "i64" if site.ptr == 8 else "i32",
        "v": info.canon.core_type,
        "r": _representation(info, program),
        "s": _taken(info, program),
    }
    params = tuple(letters[c] for c in row.params)
    results = tuple(letters[c] for c in row.results)
    if any(core not in _CORE for core in (*params, *results)):
        return replace(site, reason=f"canon {info.op} passes a reference type")
    named: tuple[tuple[str, ValType], ...] = tuple(
        (name, _CORE[core]) for name, core in zip(row.names, params, strict=True)
    )
    resource = info.resource
    result: ValType | None = _CORE[results[0]] if results else None
    if site.kind == "resource.new" and resource is not None:
        result = Own(resource)
    if site.kind in ("resource.drop", "resource.rep"):
        # The argument is an index of the handle table, shown as `self`.
        named = (("self", Prim("u32") if resource is None else Own(resource)),)
    elements = _elements(info, site.ptr)
    # Other built-ins read nothing themselves, but for where the host puts an event.
    reads = info.op in ("waitable-set.wait", "waitable-set.poll") or elements is not None
    return replace(
        site,
        signature=CoreSig(params, results, False, False),
        params=named,
        result=result,
        self_first=site.kind in ("resource.drop", "resource.rep"),
        memory=site.memory if reads else None,
        elements=elements,
    )


def _elements(info: CanonInfo, ptr: int) -> ListT | None:
    """What a read or write of a stream or future copies."""
    holder = None if info.type is None else strip(info.type)
    if info.op not in COPIES or not isinstance(holder, StreamT | FutureT):
        return None
    element = holder.element
    if element is None or not layouts(ptr).info(element).size:
        return None
    return ListT(element)


def _taken(info: CanonInfo, program: Program) -> str:
    """The core type of what a new thread's function takes, "" if it is unknown."""
    if info.op != "thread.new-indirect" or info.canon.type is None:
        return ""
    item = program.follow(info.canon.type)
    definition = program.definition(item)
    if not isinstance(definition.node, n.CoreTypeDef):
        return ""
    member = definition.node.members[definition.items.index(item)]
    return member.params[0] if member is not None and len(member.params) == 1 else ""


def _representation(info: CanonInfo, program: Program) -> str:
    """The core type of a resource's representation; only its definer has ``new`` and ``rep``."""
    item = info.canon.type
    while item is not None and item in program.home:
        node = program.definition(item).node
        if isinstance(node, n.ResourceDef):
            return node.rep
        if isinstance(node, (n.AliasOuter, n.Export)):
            item = node.item
        else:
            break
    return "i32"


def site_spec(site: Site, ends: bool = False) -> SiteSpec:
    """The row of the site table; ``ends`` as in :class:`SiteSpec`."""
    return SiteSpec(
        kind=_SITE_KINDS[site.kind],
        edge=_EDGES[site.edge],
        component=site.place,
        interface=site.interface,
        version=site.version or "",
        func=site.func,
        params=site.params,
        result=site.result,
        has_self=site.self_first,
        is_async=site.is_async,
        ptr=site.ptr,
        encoding=site.encoding,
        inner=_inner(site),
        reps=site.resources if site.kind == "lift" else frozenset(),
        elements=site.elements,
        ends=ends,
    )


def _inner(site: Site) -> tuple[str, str, str]:
    """The label at the root, by which the host tells instances of an interface apart; else the name
    its component uses, where that is another."""
    if label := site.standing.label:
        return label, "", site.func
    if site.inner is None:
        return "", "", ""
    interface, version, func = site.inner
    return interface, version or "", func
