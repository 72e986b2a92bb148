"""Memory images from flat core values: what ``store`` would have written, without lifting.

A *plan* says where each core value goes.  The bits of a joined variant slot are the case's value in
its low bytes (CanonicalABI.md, "Flat Lifting"), so a store of the right width is all the coercion
there is, and cases that store the same bytes share one branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from whamm_cm.abi.layout import Layouts, children
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.memory import Agent
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: A flat value as the generated code has it: (local, core type).
Slot = tuple[int, str]

# Stores of a branch that are worth a function of their own when several branches nest.
_INLINE = 24

_STORES = {
    ("i32", 1): "i32.store8",
    ("i32", 2): "i32.store16",
    ("i32", 4): "i32.store",
    ("i64", 1): "i64.store8",
    ("i64", 2): "i64.store16",
    ("i64", 4): "i64.store32",
    ("i64", 8): "i64.store",
    ("f32", 4): "f32.store",
    ("f64", 8): "f64.store",
}


@dataclass(frozen=True, slots=True)
class Put:
    """Store ``width`` bytes of a slot.  ``cases``: a discriminant, out of range from there on."""

    offset: int
    slot: int
    width: int
    kind: Literal["raw", "bool", "disc"] = "raw"
    cases: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """Store the payload of the case that the discriminant in ``disc`` selects."""

    disc: int
    offset: int
    groups: tuple[tuple[tuple[int, ...], Plan], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How ``slots`` flat values become an image; ``weight`` counts the stores written out."""

    puts: tuple[Put, ...]
    branches: tuple[Branch, ...]
    slots: int
    weight: int


def _plan(puts: Iterable[Put], branches: Iterable[Branch], slots: int) -> Plan:
    puts, branches = tuple(puts), tuple(branches)
    nested = sum(2 + plan.weight for branch in branches for _, plan in branch.groups)
    return Plan(puts, branches, slots, len(puts) + nested)


def _moved(plan: Plan, offset: int, slot: int) -> tuple[list[Put], list[Branch]]:
    puts = [replace(p, offset=p.offset + offset, slot=p.slot + slot) for p in plan.puts]
    branches = [replace(b, disc=b.disc + slot, offset=b.offset + offset) for b in plan.branches]
    return puts, branches


class Flats:
    """Plans of types for one pointer width, and the code that carries them out."""

    def __init__(self, module: Module, agent: Agent, layouts: Layouts) -> None:
        self._module, self._agent, self._layouts = module, agent, layouts
        self._plans: dict[ValType, Plan] = {}
        self._helpers: dict[tuple[Plan, tuple[str, ...]], int] = {}

    def record(self, types: Sequence[ValType]) -> Plan:
        """The plan of values stored as one record."""
        puts: list[Put] = []
        branches: list[Branch] = []
        slot = 0
        for t, offset in zip(types, self._layouts.record(types).offsets, strict=True):
            plan = self.plan(t)
            more_puts, more_branches = _moved(plan, offset, slot)
            puts += more_puts
            branches += more_branches
            slot += plan.slots
        return _plan(puts, branches, slot)

    def plan(self, t: ValType) -> Plan:
        node = strip(t)
        found = self._plans.get(node)
        if found is None:
            found = self._plans[node] = self._make(node)
        return found

    def _make(self, t: ValType) -> Plan:
        ptr = self._layouts.ptr
        match t:
            case Prim("string") | MapT() | ListT(length=None):
                return _plan((Put(0, 0, ptr), Put(ptr, 1, ptr)), (), 2)
            case Prim("bool"):
                return _plan((Put(0, 0, 1, "bool"),), (), 1)
            case ListT(element, int(length)):
                return self.record((element,) * length if self.plan(element).slots else ())
            case RecordT() | TupleT():
                return self.record(children(t))
            case FlagsT():
                info = self._layouts.info(t)
                width = info.size // max(info.flat, 1)
                return _plan((Put(4 * i, i, width) for i in range(info.flat)), (), info.flat)
            case VariantT() | EnumT() | OptionT() | ResultT():
                return self._variant(t)
        return _plan((Put(0, 0, self._layouts.info(t).size),), (), 1)

    def _variant(self, t: VariantT | EnumT | OptionT | ResultT) -> Plan:
        layout = self._layouts.variant(t)
        disc = Put(0, 0, layout.disc_size, "disc", len(layout.payloads))
        groups = self._groups(layout.payloads)
        if not groups:
            return _plan((disc,), (), 1)
        slots = 1 + max(plan.slots for _, plan in groups)
        if len(groups) == 1:  # storing the payload of an inactive case does no harm
            puts, branches = _moved(groups[0][1], layout.payload_offset, 1)
            return _plan((disc, *puts), branches, slots)
        return _plan((disc,), (Branch(0, layout.payload_offset, groups),), slots)

    def _groups(
        self, payloads: Sequence[ValType | None]
    ) -> tuple[tuple[tuple[int, ...], Plan], ...]:
        """Cases with a payload, together where their plans are the same."""
        found: dict[object, tuple[list[int], Plan]] = {}
        for case, payload in enumerate(payloads):
            if payload is not None:
                plan = self.plan(payload)
                key: object = plan if plan.branches else plan.puts
                found.setdefault(key, ([], plan))[0].append(case)
        return tuple((tuple(cases), plan) for cases, plan in found.values())

    def write(self, f: Func, plan: Plan, base: int, offset: int, slots: Sequence[Slot]) -> None:
        """Store ``slots`` by ``plan`` at agent address local ``base`` + ``offset``."""
        for put in plan.puts:
            local, have = slots[put.slot]
            self._agent.at(f, base, offset + put.offset)
            name = self._push(f, put, local, have)
            self._agent.store(f, name, offset + put.offset)
        for branch in plan.branches:
            disc, have = slots[branch.disc]
            for cases, payload in branch.groups:
                in_cases(f, cases, disc, have)
                with f.if_():
                    rest = slots[branch.disc + 1 : branch.disc + 1 + payload.slots]
                    self._payload(f, payload, base, offset + branch.offset, rest)

    def _push(self, f: Func, put: Put, local: int, have: str) -> str:
        """Push a slot's value and return the store instruction for it."""
        f.get(local)
        if put.kind == "raw":
            return _STORES[have, put.width]
        if have == "i64":
            f.op("i32.wrap_i64")
        if put.kind == "bool":  # lifting takes any flat value but 0 for true
            f.i32(0)
            f.op("i32.ne")
        elif put.width < 4:  # a number that is no case must not become one by being cut
            f.i32(-1)
            f.get(local)
            if have == "i64":
                f.op("i32.wrap_i64")
            f.i32(put.cases)
            f.op("i32.lt_u", "select")
        return _STORES["i32", put.width]

    def _payload(self, f: Func, plan: Plan, base: int, offset: int, slots: Sequence[Slot]) -> None:
        if plan.weight <= _INLINE:
            self.write(f, plan, base, offset, slots)
            return
        f.get(base)
        f.i32(offset)
        f.op("i32.add")
        for local, _ in slots:
            f.get(local)
        f.call(self._helper(plan, tuple(have for _, have in slots)))

    def _helper(self, plan: Plan, have: tuple[str, ...]) -> int:
        found = self._helpers.get((plan, have))
        if found is None:
            f = self._module.func(("i32", *have))
            found = self._helpers[plan, have] = f.index
            self.write(f, plan, 0, 0, [(i + 1, kind) for i, kind in enumerate(have)])
        return found


def in_cases(f: Func, cases: Sequence[int], disc: int, have: str = "i32") -> None:
    """Push whether local ``disc`` is one of the ascending ``cases``."""
    first = True
    for low, count in _ranges(cases):
        f.get(disc)
        if have == "i64":
            f.op("i32.wrap_i64")
        f.i32(low)
        if count == 1:
            f.op("i32.eq")
        else:
            f.op("i32.sub")
            f.i32(count)
            f.op("i32.lt_u")
        if not first:
            f.op("i32.or")
        first = False


def _ranges(cases: Sequence[int]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for case in cases:
        if out and case == out[-1][0] + out[-1][1]:
            out[-1] = (out[-1][0], out[-1][1] + 1)
        else:
            out.append((case, 1))
    return out
