"""Resolved types written as definitions of another component."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item
from whamm_cm.errors import RunError
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: Types that imported and exported functions can only speak of by a name.
NAMED = (RecordT, VariantT, EnumT, FlagsT)


class Types:
    """Types of one component.  ``out`` gets their definitions; ``named``, what makes an import or
    an export of a type, so that functions that are imported or exported can speak of it;
    ``resources`` what stands for each."""

    def __init__(
        self, out: list[Definition], named: Callable[[ValType, Item], Item],
        resources: Mapping[Resource, Item],
    ) -> None:  # fmt: skip
        self._out, self._named, self._resources = out, named, resources
        self._known: dict[ValType, n.ValRef] = {}

    def func(self, t: FuncT) -> Item:
        params = [(name, self.of(of)) for name, of in t.params]
        return self._add(build.func_type(params, self._maybe(t.result), t.is_async))

    def item(self, t: ValType) -> Item:
        """A type that can be exported, which nobody has named yet unless it was met before."""
        t = strip(t)
        found = self._known.get(t)
        if isinstance(found, Item):
            return found
        return self._add(build.prim_type(t.name) if isinstance(t, Prim) else self._definition(t))

    def name(self, t: ValType, item: Item) -> None:
        """From here on ``t`` is what ``item`` is an import or export of."""
        self._known[strip(t)] = item

    @property
    def known(self) -> Mapping[ValType, n.ValRef]:
        return self._known

    def of(self, t: ValType) -> n.ValRef:
        t = strip(t)
        found = self._known.get(t)
        if found is None:
            found = self._known[t] = self._make(t)
        return found

    def _maybe(self, t: ValType | None) -> n.ValRef | None:
        return None if t is None else self.of(t)

    def _add(self, definition: Definition) -> Item:
        self._out.append(definition)
        return definition.item

    def _make(self, t: ValType) -> n.ValRef:
        if isinstance(t, Prim):
            return t.name
        made = self._add(self._definition(t))
        return self._named(t, made) if isinstance(t, NAMED) else made

    def _definition(self, t: ValType) -> Definition:
        match t:
            case ListT(element, length):
                return build.list_type(self.of(element), length)
            case MapT(key, value):
                return build.map_type(self.of(key), self.of(value))
            case RecordT(fields):
                return build.record_type([(name, self.of(of)) for name, of in fields])
            case TupleT(types):
                return build.tuple_type([self.of(one) for one in types])
            case VariantT(cases):
                return build.variant_type([(name, self._maybe(of)) for name, of in cases])
            case EnumT(labels):
                return build.enum_type(labels)
            case FlagsT(labels):
                return build.flags_type(labels)
            case OptionT(inner):
                return build.option_type(self.of(inner))
            case ResultT(ok, err):
                return build.result_type(self._maybe(ok), self._maybe(err))
            case StreamT(element) | FutureT(element):
                return build.end_type(self._maybe(element), isinstance(t, FutureT))
            case Own(resource):
                return build.own_type(self._resource(resource))
            case Borrow(resource):
                return build.borrow_type(self._resource(resource))
        raise AssertionError(f"{type(t).__name__} is no type of a value")

    def _resource(self, resource: Resource) -> Item:
        found = self._resources.get(resource)
        if found is None:
            raise RunError(
                f"an export that was called speaks of its own resource {resource.name},"
                " of which there can be nothing in a recording"
            )
        return found
