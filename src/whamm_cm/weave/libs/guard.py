"""Where a component may not call out: in its allocators and post-return functions.

The canonical ABI calls those with ``may_leave`` off (CanonicalABI.md), and calling a library that
is a component would trap then.  So they are wrapped: a flag says that one of them runs, and what
stands before the library (``libglue.build_adapters``) answers zero as long as it is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from whamm_cm.binary import build
from whamm_cm.codegen.asm import Module
from whamm_cm.codegen.libglue import GUARD, INSIDE
from whamm_cm.ir.component import Definition
from whamm_cm.ir.items import Item, Sort


def _flag() -> bytes:
    module = Module()
    module.export_global(INSIDE, module.global_("i32", 0))
    return module.encode()


def _wrapper(params: Sequence[str], results: Sequence[str]) -> bytes:
    module = Module()
    inner = module.import_func("guest", "f", params, results)
    inside = module.import_global(GUARD, INSIDE, "i32")
    f = module.func(params, results)
    f.i32(1)
    f.global_set(inside)
    for local in range(len(params)):
        f.get(local)
    f.call(inner)
    f.i32(0)
    f.global_set(inside)
    module.export_func("f", f.index)
    return module.encode()


@dataclass(slots=True)
class Guard:
    """The flag of one component, and the functions that set it; ``front`` goes first."""

    front: tuple[Definition, ...] = ()
    wrapped: dict[Item, Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module = build.core_module(_flag())
        self.front = (module, build.core_instantiate(module.item, ()))

    @property
    def instance(self) -> Item:
        """The core instance that exports the flag."""
        return self.front[1].item

    def wrap(
        self, func: Item, target: Item, params: Sequence[str], results: Sequence[str]
    ) -> list[Definition]:
        """What makes ``wrapped[func]``, a function that calls ``target`` with the flag set; nothing
        when that is there already."""
        if func in self.wrapped:
            return []
        module = build.core_module(_wrapper(params, results))
        bag = build.core_inline_exports([("f", target)])
        args = (("guest", bag.item), (GUARD, self.instance))
        instance = build.core_instantiate(module.item, args)
        alias = build.alias_core_export(instance.item, "f", Sort.CORE_FUNC)
        self.wrapped[func] = alias.item
        return [module, bag, instance, alias]
