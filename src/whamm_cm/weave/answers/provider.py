"""The component that answers: functions of ours, over those of the host that they ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from whamm_cm.abi.flatten import core_signature
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.answers.build import build_answers
from whamm_cm.emit.answers.code import HOST, MEMORY, REALLOC
from whamm_cm.emit.answers.model import Reply
from whamm_cm.weave.provider.types import Types
from whamm_cm.wit.types import FuncT, Resource, ValType


@dataclass(frozen=True, slots=True)
class Provider:
    """What a component is made of that answers.

    ``replies`` are exported by the names that are given to them, ``hosts`` and ``taken`` imported.
    ``step``: as of ``build_answers``.
    """

    replies: Sequence[tuple[str, FuncT, Reply]]
    hosts: Mapping[str, FuncT]
    taken: Mapping[str, Resource | ValType]
    step: int

    def component(self) -> Component:
        """Raises AbiError for a value that is none of its function's type."""
        definitions: list[Definition] = []
        resources: dict[Resource, Item] = {}
        types = Types(definitions, partial(_exported, definitions), resources)
        for name, of in self.taken.items():
            bound = None if isinstance(of, Resource) else types.item(of)
            imported = build.import_(name, "type", bound)
            definitions.append(imported)
            if isinstance(of, Resource):
                resources[of] = imported.item
            else:
                types.name(of, imported.item)
        asked = {}
        for name, host in self.hosts.items():
            taken = build.import_(name, "func", types.func(host))
            definitions.append(taken)
            asked[name] = taken.item
        instance, memory, realloc = self._core(definitions, asked)
        for name, func, _ in self.replies:
            core = build.alias_core_export(instance, name, Sort.CORE_FUNC)
            lift = build.canon_lift(core.item, types.func(func), memory, realloc)
            definitions += (core, lift, build.export_plain(name, lift.item))
        return Component(tuple(definitions))

    def _core(
        self, definitions: list[Definition], asked: Mapping[str, Item]
    ) -> tuple[Item, Item, Item]:
        """The instance with the functions, its memory and ``realloc``."""
        signatures = {name: core_signature(t, "lower") for name, t in self.hosts.items()}
        hosts = {name: (found.params, found.results) for name, found in signatures.items()}
        memory_code, code = map(build.core_module, build_answers(self.replies, hosts, self.step))
        kept = build.core_instantiate(memory_code.item, ())
        memory = build.alias_core_export(kept.item, MEMORY, Sort.CORE_MEMORY)
        realloc = build.alias_core_export(kept.item, REALLOC, Sort.CORE_FUNC)
        lowers = {name: build.canon_lower(item, memory.item, realloc=realloc.item)
                  for name, item in asked.items()}  # fmt: skip
        bag = build.core_inline_exports([(name, one.item) for name, one in lowers.items()])
        instance = build.core_instantiate(code.item, ((MEMORY, kept.item), (HOST, bag.item)))
        definitions += (
            memory_code, code, kept, memory, realloc, *lowers.values(), bag, instance,
        )  # fmt: skip
        return instance.item, memory.item, realloc.item


def _exported(definitions: list[Definition], t: ValType, item: Item) -> Item:
    """A name for a type, which exports need to speak of it."""
    named = build.export_plain(f"named{len(definitions)}", item)
    definitions.append(named)
    return named.item
