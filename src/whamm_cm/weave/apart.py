"""Lists of preopened directories that come into a memory of ours before the guest's own.

A host writes a list where the guest's ``realloc`` says, and calls it for each name: what is read
behind the call may be anything that the guest wrote meanwhile.  So the function is lowered to a
memory that the guest has not, where probes read it, and copied from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site
from whamm_cm.analysis.sites import find_sites
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.nodes import Canon
from whamm_cm.emit import apart
from whamm_cm.emit.answers.code import HEAP, MEMORY, build_memory
from whamm_cm.emit.answers.code import REALLOC as OWN_REALLOC
from whamm_cm.errors import WeaveError

_LISTING = ("wasi:filesystem/preopens", "get-directories")


def listed_apart(root: Component) -> Component | None:
    """``root`` with its lists of directories taken apart; None where it asks for none.

    Raises WeaveError where that cannot be done.
    """
    found = {site.definition: site for site in find_sites(Program.of(root)) if _lists(site)}
    for site in found.values():
        if site.ptr != 4 or site.is_async or site.memory is None or site.realloc is None:
            raise WeaveError(f"{site.title}: it is lowered for a memory of 64 bits, or as async")
    return _edited(root, found) if found else None


def _lists(site: Site) -> bool:
    return site.kind == "lower" and site.edge == "import" and any(
        (one.interface, one.func) == _LISTING for group in site.standing.roots for one in group
    )  # fmt: skip


def _edited(component: Component, found: Mapping[Definition, Site]) -> Component:
    changed: dict[Item, Item] = {}
    edited: list[Definition] = []
    for one in component.definitions:
        if isinstance(one.node, Component):
            edited.append(replace(one, node=_edited(one.node, found)))
        elif one in found:
            made = _listed(found[one])
            changed[one.item] = made[-1].item
            edited += made
        else:
            edited.append(one.substitute(changed))
    return component.with_definitions(tuple(edited))


def _listed(site: Site) -> list[Definition]:
    """What stands in the place of a lowered function; the last one is called instead."""
    node = site.definition.node
    assert isinstance(node, Canon) and node.func is not None
    assert site.memory is not None and site.realloc is not None, "checked before"
    own = build.core_module(build_memory(apart.BEGIN))
    code = build.core_module(apart.build_listed(site.encoding))
    kept = build.core_instantiate(own.item, ())
    memory = build.alias_core_export(kept.item, MEMORY, Sort.CORE_MEMORY)
    realloc = build.alias_core_export(kept.item, OWN_REALLOC, Sort.CORE_FUNC)
    heap = build.alias_core_export(kept.item, HEAP, Sort.CORE_GLOBAL)
    lower = build.canon_lower(node.func, memory.item, site.encoding, realloc.item)
    ours = build.core_inline_exports(
        [(MEMORY, memory.item), (HEAP, heap.item), (apart.LIST, lower.item)]
    )
    guests = build.core_inline_exports([(MEMORY, site.memory), (apart.REALLOC, site.realloc)])
    instance = build.core_instantiate(
        code.item, ((apart.LIST, ours.item), (apart.GUEST, guests.item))
    )
    called = build.alias_core_export(instance.item, apart.LISTED, Sort.CORE_FUNC)
    return [own, code, kept, memory, realloc, heap, lower, ours, guests, instance, called]
