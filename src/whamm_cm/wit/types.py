"""Resolved WIT types: what a canonical definition's values are, with every index resolved.

Types form a DAG (one node may be shared by many parents, and a chain of shared nodes can stand for
an exponentially large tree), so walk them with a memo keyed on ``id(node)`` and never expand them.
All nodes are immutable; compare with ``is`` or with :func:`same_type`.  ``Named`` is transparent
for layout and values: it only remembers under which name a type was imported or exported.
Explainer.md, "Type Definitions".
"""

from __future__ import annotations

from typing import TypeAlias

from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Prim:
    """bool s8 u8 s16 u16 s32 u32 s64 u64 f32 f64 char string error-context."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ListT:
    """``list<element>``; with ``length`` set, the fixed-length ``list<element, length>``."""

    element: ValType
    length: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MapT:
    key: ValType
    value: ValType


@dataclass(frozen=True, slots=True, eq=False)
class RecordT:
    fields: tuple[tuple[str, ValType], ...]


@dataclass(frozen=True, slots=True, eq=False)
class TupleT:
    types: tuple[ValType, ...]


@dataclass(frozen=True, slots=True, eq=False)
class VariantT:
    """``cases``: (label, payload or None)."""

    cases: tuple[tuple[str, ValType | None], ...]


@dataclass(frozen=True, slots=True, eq=False)
class EnumT:
    """``size``: bytes in memory where that is not what the canonical ABI says; 0: that."""

    labels: tuple[str, ...]
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FlagsT:
    """``size`` as of enums; flags of 8 bytes are one ``i64``."""

    labels: tuple[str, ...]
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class OptionT:
    inner: ValType


@dataclass(frozen=True, slots=True, eq=False)
class ResultT:
    ok: ValType | None
    err: ValType | None


@dataclass(slots=True, eq=False)
class Resource:
    """A resource type; identity is the object.  ``owner`` is the interface that names it
    (``wasi:io/streams@0.2.0``) or None for a resource of the world or an anonymous one."""

    name: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """``alias``: the name the handle was written with, where that is not the resource's own."""

    resource: Resource
    alias: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Borrow:
    resource: Resource
    alias: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StreamT:
    element: ValType | None


@dataclass(frozen=True, slots=True, eq=False)
class FutureT:
    element: ValType | None


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """``type name = target`` as exported by interface ``owner`` (None: the world itself)."""

    name: str
    owner: str | None
    target: ValType


ValType: TypeAlias = (
    Prim | ListT | MapT | RecordT | TupleT | VariantT | EnumT | FlagsT | OptionT | ResultT
    | Own | Borrow | StreamT | FutureT | Named
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class FuncT:
    """A component function type; ``params`` are (label, type)."""

    params: tuple[tuple[str, ValType], ...]
    result: ValType | None
    is_async: bool = False


def strip(t: ValType) -> ValType:
    """The structural type under any number of ``Named`` wrappers."""
    while isinstance(t, Named):
        t = t.target
    return t


def children(t: ValType) -> tuple[ValType, ...]:
    """The types directly inside ``t``, in order; of handles none (a resource is no value type)."""
    found: tuple[ValType | None, ...]
    match t:
        case Named(target=target):
            found = (target,)
        case ListT(element=element) | StreamT(element=element) | FutureT(element=element):
            found = (element,)
        case OptionT(inner=inner):
            found = (inner,)
        case MapT(key=key, value=value):
            found = (key, value)
        case RecordT(fields=fields):
            found = tuple(field for _, field in fields)
        case TupleT(types=types):
            found = types
        case VariantT(cases=cases):
            found = tuple(payload for _, payload in cases)
        case ResultT(ok=ok, err=err):
            found = (ok, err)
        case _:
            found = ()
    return tuple(child for child in found if child is not None)


def same_type(a: ValType, b: ValType) -> bool:
    """Structural equality, names set aside; resources are the same if they are one object."""
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[ValType, ValType]] = [(a, b)]
    while stack:
        left, right = (strip(t) for t in stack.pop())
        if left is right or (id(left), id(right)) in seen:
            continue
        seen.add((id(left), id(right)))
        if _shape(left) != _shape(right):
            return False
        stack.extend(zip(children(left), children(right), strict=True))
    return True


def _shape(t: ValType) -> tuple[object, ...]:
    """All of ``t`` but its children; equal shapes have equally many children."""
    detail: object = None
    match t:
        case Prim(name=name):
            detail = name
        case ListT(length=length):
            detail = length
        case RecordT(fields=fields):
            detail = tuple(label for label, _ in fields)
        case VariantT(cases=cases):
            detail = tuple((label, payload is None) for label, payload in cases)
        case EnumT(labels=labels) | FlagsT(labels=labels):
            detail = labels
        case ResultT(ok=ok, err=err):
            detail = (ok is None, err is None)
        case StreamT(element=element) | FutureT(element=element):
            detail = element is None
        case Own(resource=resource) | Borrow(resource=resource):
            detail = id(resource)
        case TupleT(types=types):
            detail = len(types)
    return type(t), detail
