"""Core values that a component-level value becomes, and the core signatures built from them.

CanonicalABI.md, "Flattening" and "Flat Lifting" (for the joined slots of variants).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from whamm_cm.abi.faults import AbiError, show
from whamm_cm.abi.layout import Layouts, children, flags_words, layouts, postorder, variant_cases
from whamm_cm.dataclass import dataclass
from whamm_cm.wit.types import (
    Borrow,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    Own,
    Prim,
    RecordT,
    StreamT,
    TupleT,
    ValType,
    strip,
)

MAX_FLAT_PARAMS = 16
MAX_FLAT_ASYNC_PARAMS = 4
MAX_FLAT_RESULTS = 1

MAX_FLAT = 1000
"""Most core values :func:`flatten` spells out: core WebAssembly functions take no more."""

_PRIM_FLAT = {"s64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}


@dataclass(frozen=True, slots=True)
class CoreSig:
    """A core function type.

    ``params_spilled``: the parameters are one pointer to a tuple in memory.  ``results_spilled``:
    the result lies in memory, at the pointer returned (lift) or passed as last parameter (lower).
    """

    params: tuple[str, ...]
    results: tuple[str, ...]
    params_spilled: bool = False
    results_spilled: bool = False


@dataclass(frozen=True, slots=True)
class SlotCast:
    """One slot of a variant: the case has a ``flat`` value where the core signature has the
    ``joined`` one."""

    joined: str
    flat: str


def join(a: str, b: str) -> str:
    """The tightest core type that carries the bits of both."""
    if a == b:
        return a
    return "i32" if {a, b} == {"i32", "f32"} else "i64"


def flatten(t: ValType, ptr: int = 4) -> tuple[str, ...]:
    """Core types of ``t``.  Raises AbiError when there are more than MAX_FLAT."""
    return _flatten(layouts(ptr), t)


def flatten_types(
    types: Iterable[ValType], ptr: int = 4, limit: int = MAX_FLAT_PARAMS
) -> tuple[str, ...] | None:
    """Core types of several values in a row; None when there are more than ``limit``."""
    table, chosen = layouts(ptr), tuple(types)
    total = 0
    for t in chosen:
        total += table.info(t).flat
        if total > limit:
            return None
    return tuple(core for t in chosen for core in _flatten(table, t))


def flatten_variant_joined(t: ValType, ptr: int = 4) -> tuple[str, ...]:
    """The payload slots of a variant, enum, option or result, joined over its cases.  The ``i32``
    discriminant in front of them is not included."""
    variant_cases(t)
    return flatten(t, ptr)[1:]


def case_flat(t: ValType, case: int, ptr: int = 4) -> tuple[SlotCast, ...]:
    """How case number ``case`` uses the payload slots of variant ``t``, slot by slot.  Slots past
    the end of the answer are zero when lowered and ignored when lifted."""
    cases = variant_cases(t)
    if not 0 <= case < len(cases):
        raise AbiError(f"case {show(case)} of a variant that has {len(cases)} cases")
    payload = cases[case][1]
    if payload is None:
        return ()
    joined = flatten_variant_joined(t, ptr)
    return tuple(SlotCast(j, f) for j, f in zip(joined, flatten(payload, ptr), strict=False))


def core_signature(
    func: FuncT,
    context: Literal["lift", "lower"],
    is_async: bool = False,
    callback: bool = False,
    ptr: int = 4,
) -> CoreSig:
    """The core type of the function given to ``canon lift`` or made by ``canon lower``
    ("flatten_functype").  ``is_async`` and ``callback`` are canon options, not the function type's
    effect: an async function may be lifted or lowered synchronously."""
    pointer = _pointer(ptr)
    few = is_async and context == "lower"
    flat = flatten_types(
        (t for _, t in func.params), ptr, MAX_FLAT_ASYNC_PARAMS if few else MAX_FLAT_PARAMS
    )
    params = (pointer,) if flat is None else flat
    if is_async and context == "lift":
        return CoreSig(params, ("i32",) if callback else (), flat is None)
    result = () if func.result is None else (func.result,)
    results = flatten_types(result, ptr, 0 if few else MAX_FLAT_RESULTS)
    spilled = results is None
    if context == "lower" and spilled:
        params += (pointer,)
    if few:
        core_results: tuple[str, ...] = ("i32",)
    elif results is None:
        core_results = (pointer,) if context == "lift" else ()
    else:
        core_results = results
    return CoreSig(params, core_results, flat is None, spilled)


def task_return_signature(result: ValType | None, ptr: int = 4) -> CoreSig:
    """The core type of ``canon task.return`` for a function with that result: the result value is
    its parameter."""
    params = () if result is None else (("result", result),)
    return core_signature(FuncT(params, None), "lower", ptr=ptr)


def _pointer(ptr: int) -> str:
    return "i64" if ptr == 8 else "i32"


def _flatten(table: Layouts, t: ValType) -> tuple[str, ...]:
    node = strip(t)
    if table.info(node).flat > MAX_FLAT:
        raise AbiError(f"a type flattens to more than {MAX_FLAT} core values")
    for part in postorder(node, table.flats, _flat_children):
        table.flats[part] = _node_flat(table, part)
    return table.flats[node]


def _flat_children(t: ValType) -> tuple[ValType, ...]:
    """Children whose core values are among those of ``t``; elements behind a pointer are not, and
    may be larger than MAX_FLAT."""
    if isinstance(t, MapT) or (isinstance(t, ListT) and not t.length):
        return ()
    return children(t)


def _node_flat(table: Layouts, t: ValType) -> tuple[str, ...]:
    """``t`` is stripped and the core types of its flat children are known."""
    match t:
        case Prim("string") | MapT() | ListT(length=None):
            return (_pointer(table.ptr),) * 2
        case Prim(name):
            return (_PRIM_FLAT.get(name, "i32"),)
        case ListT(element, int(length)):
            once = table.flats[strip(element)] if length else ()
            return once * length if once else ()
        case RecordT() | TupleT():
            return tuple(core for child in children(t) for core in table.flats[strip(child)])
        case FlagsT(_, 8):
            return ("i64",)
        case FlagsT(labels):
            return ("i32",) * flags_words(len(labels))
    if isinstance(t, (Own, Borrow, StreamT, FutureT)):
        return ("i32",)
    below = [table.flats[strip(child)] for child in children(t)]
    return "i32", *(_join_slot(below, slot) for slot in range(table.info(t).flat - 1))


def _join_slot(flats: Sequence[tuple[str, ...]], slot: int) -> str:
    joined = ""
    for flat in flats:
        if slot < len(flat):
            joined = join(joined, flat[slot]) if joined else flat[slot]
    return joined
