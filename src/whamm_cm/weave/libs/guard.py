"""Where a component may not call out: in its allocators and post-return functions.

The canonical ABI calls those with ``may_leave`` off (CanonicalABI.md), and calling a library that
is a component would trap then.  So they are wrapped: a flag, a global of the agent, says that one
of them runs, and what stands before the library (``libglue.build_adapters``) answers zero as long
as it is set.  All that can be wrapped at a time is wrapped by one module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from whamm_cm.component import build
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.libglue import GUARD, INSIDE
from whamm_cm.wasm.asm import Module


@dataclass(frozen=True, slots=True)
class Guarded:
    """A core function that is to be wrapped, with its type."""

    func: Item
    params: tuple[str, ...]
    results: tuple[str, ...]


def _wrappers(functions: Sequence[Guarded]) -> bytes:
    module = Module()
    inner = [
        module.import_func("guest", f"f{k}", each.params, each.results)
        for k, each in enumerate(functions)
    ]
    inside = module.import_global(GUARD, INSIDE, "i32")
    for k, each in enumerate(functions):
        f = module.func(each.params, each.results)
        f.i32(1)
        f.global_set(inside)
        for local in range(len(each.params)):
            f.get(local)
        f.call(inner[k])
        f.i32(0)
        f.global_set(inside)
        module.export_func(f"f{k}", f.index)
    return module.encode()


@dataclass(slots=True)
class Guard:
    """The functions of one component that set the flag."""

    wrapped: dict[Item, Item] = field(default_factory=dict)

    def wrap(
        self, functions: Sequence[Guarded], targets: Sequence[Item], agent: Item
    ) -> list[Definition]:
        """What makes ``wrapped[f.func]`` for each of ``functions``: one that calls the target with
        the flag of the ``agent`` set."""
        module = build.core_module(_wrappers(functions))
        bag = build.core_inline_exports([(f"f{k}", target) for k, target in enumerate(targets)])
        instance = build.core_instantiate(module.item, (("guest", bag.item), (GUARD, agent)))
        made = [
            build.alias_core_export(instance.item, f"f{k}", Sort.CORE_FUNC)
            for k in range(len(functions))
        ]
        self.wrapped |= {f.func: alias.item for f, alias in zip(functions, made, strict=True)}
        return [module, bag, instance, *made]
