"""What the probes of a component are given where requests are sampled (``emit/sampling.py``):
random bits that the sink has already, and what other components of ours say of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from whamm_cm.agent.layout import SAMPLING, SKIPS, Skip
from whamm_cm.analysis.site import Site
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import Request, Sampling
from whamm_cm.emit.sampling import IMPORTS
from whamm_cm.emit.share import build_share
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.weave.plan import Plan

#: Under what names components get them.
SEED, SHARE = NAMES = tuple(IMPORTS)


@dataclass(frozen=True, slots=True)
class Ways:
    """Component functions, by the names in ``IMPORTS``, as far as there are any."""

    functions: Mapping[str, Item]

    def lowered(self, agent: Item) -> tuple[list[Definition], list[tuple[str, Item]]]:
        """The definitions that make core functions of them, and those by name."""
        if not self.functions:
            return [], []
        memory = build.alias_core_export(agent, "memory", Sort.CORE_MEMORY)
        lowers = {
            name: build.canon_lower(item, memory.item if name == SEED else None)
            for name, item in self.functions.items()
        }
        return [memory, *lowers.values()], [(name, d.item) for name, d in lowers.items()]

    def passed(self, names: Mapping[str, str]) -> list[tuple[str, Item]]:
        """The arguments of a component, by the names that it imports them under."""
        return [(names[name], item) for name, item in self.functions.items()]


def ways(wanted: Sampling | None, given: Iterable[tuple[str, Item]]) -> Ways:
    """Those of the functions ``given`` that are wanted."""
    if wanted is None:
        return Ways({})
    names = [name for name, has in ((SEED, wanted.seeded), (SHARE, wanted.shared)) if has]
    return Ways({name: item for name, item in given if name in names})


def threaded(wanted: Sampling, names: Mapping[str, str]) -> tuple[list[Definition], Ways]:
    """The imports of a nested component."""
    definitions, functions = list[Definition](), dict[str, Item]()
    if wanted.seeded:
        pair = build.tuple_type(("u64", "u64"))
        func = build.func_type((), pair.item)
        definitions += (pair, func)
        definitions.append(build.import_(names[SEED], "func", func.item))
        functions[SEED] = definitions[-1].item
    if wanted.shared:
        func = build.func_type((("what", "u32"),), "u32")
        definitions += (func, build.import_(names[SHARE], "func", func.item))
        functions[SHARE] = definitions[-1].item
    return definitions, Ways(functions)


def sharing() -> tuple[list[Definition], Item]:
    """The component that others tell what holds of a request, and ask; its function."""
    module = build.core_module(build_share())
    core = build.core_instantiate(module.item, ())
    code = build.alias_core_export(core.item, SHARE, Sort.CORE_FUNC)
    type_ = build.func_type((("what", "u32"),), "u32")
    lift = build.canon_lift(code.item, type_.item)
    exported = build.export_plain(SHARE, lift.item)
    nested = build.nested_component(Component((module, core, code, type_, lift, exported)))
    instance = build.instantiate(nested.item, ())
    alias = build.alias_export(instance.item, SHARE, Sort.FUNC)
    return [nested, instance, alias], alias.item


def sampling_of(plan: Plan, several: bool, seeded: bool) -> Sampling | None:
    """How the probes sample.  ``seeded``: the sink has random bits; else a clock is read, which
    says something where records have times as well."""
    if not plan.samples:
        return None
    return Sampling(
        plan.sample,
        plan.sample_start,
        seeded and plan.sample_start is None,
        (plan.timed or not seeded) and plan.sample_start is None,
        several,
    )


def prepare(agent: ModuleEdit) -> None:
    """Nothing has been drawn yet."""
    agent.add_data(0, SAMPLING + SKIPS, int(Skip.UNKNOWN).to_bytes(4, "little"))


def request_of(site: Site, ours: Set[Item]) -> Request:
    """The part of a site; ``ours`` are the exports that have wrappers."""
    if site.kind == "lift":
        return "root" if site.edge == "export" else "inner"
    lifts = site.standing.lifts
    crosses = site.kind == "lower" and site.leave and not site.reason and bool(lifts)
    return "crossing" if crosses and ours >= set(lifts) else ""
