"""The component that answers: functions of ours, over those of the host that they ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from whamm_cm.abi.flatten import core_signature
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.answers.build import build_answers
from whamm_cm.emit.answers.code import HOST, MEMORY, REALLOC
from whamm_cm.emit.answers.model import Reply
from whamm_cm.errors import WeaveError
from whamm_cm.wit.types import (
    FuncT,
    ListT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)


@dataclass(slots=True)
class _Types:
    """Types in a component: records and variants have to be imported or exported themselves to be
    spoken of by what is."""

    definitions: list[Definition]
    resources: dict[Resource, Item] = field(default_factory=dict)
    _known: dict[ValType, n.ValRef] = field(default_factory=dict)
    _named: int = 0

    def ref(self, t: ValType) -> n.ValRef:
        node = strip(t)
        if isinstance(node, Prim):
            return node.name
        if node not in self._known:
            self._known[node] = self._define(node)
        return self._known[node]

    def _define(self, t: ValType) -> Item:
        match t:
            case ListT(element, None):
                return self._add(build.list_type(self.ref(element)))
            case OptionT(inner):
                return self._add(build.option_type(self.ref(inner)))
            case TupleT(types):
                return self._add(build.tuple_type([self.ref(one) for one in types]))
            case ResultT(ok, err):
                parts = [None if one is None else self.ref(one) for one in (ok, err)]
                return self._add(build.result_type(parts[0], parts[1]))
            case RecordT() | VariantT():
                return self._export(self._structure(t))
            case Own(resource):
                return self._add(build.own_type(self.resources[resource]))
        raise WeaveError(f"no answer has a type of this kind: {type(t).__name__}")

    def _structure(self, t: RecordT | VariantT) -> Definition:
        if isinstance(t, RecordT):
            return build.record_type([(k, self.ref(v)) for k, v in t.fields])
        return build.variant_type([(k, None if v is None else self.ref(v)) for k, v in t.cases])

    def _add(self, definition: Definition) -> Item:
        self.definitions.append(definition)
        return definition.item

    def _export(self, definition: Definition) -> Item:
        self._named += 1
        named = build.export_plain(f"named{self._named}", self._add(definition))
        return self._add(named)

    def taken(self, name: str, of: Resource | ValType) -> None:
        """Import a type as ``name``."""
        if isinstance(of, Resource):
            self.resources[of] = self._add(build.import_(name, "type", None))
            return
        node = strip(of)
        assert isinstance(node, RecordT | VariantT), "others need no name"
        made = self._structure(node)
        self._known[node] = self._add(build.import_(name, "type", self._add(made)))

    def named(self, name: str, t: ValType) -> None:
        """Export a type as ``name``."""
        ref = self.ref(t)
        item = self._add(build.primitive_type(ref)) if isinstance(ref, str) else ref
        self._add(build.export_plain(name, item))

    def func(self, t: FuncT) -> Item:
        result = None if t.result is None else self.ref(t.result)
        params = [(name, self.ref(one)) for name, one in t.params]
        return self._add(build.func_type(params, result))


@dataclass(frozen=True, slots=True)
class Provider:
    """What a component is made of that answers.

    ``replies`` and ``types`` are exported by the names that are given to them; ``hosts`` and
    ``taken`` imported.  ``step``: as of ``build_answers``.
    """

    replies: Sequence[tuple[str, FuncT, Reply]]
    types: Sequence[tuple[str, ValType]]
    hosts: Mapping[str, FuncT]
    taken: Mapping[str, Resource | ValType]
    step: int

    def component(self) -> Component:
        """Raises AbiError for a value that is none of its function's type."""
        definitions: list[Definition] = []
        types = _Types(definitions)
        for name, of in self.taken.items():
            types.taken(name, of)
        asked = {}
        for name, host in self.hosts.items():
            taken = build.import_(name, "func", types.func(host))
            definitions.append(taken)
            asked[name] = taken.item
        instance, memory, realloc = self._core(definitions, asked)
        for name, t in self.types:
            types.named(name, t)
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
