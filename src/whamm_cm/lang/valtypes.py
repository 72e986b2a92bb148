"""The types of the script language, as the checked script (``tree.py``) holds them."""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.src_types import SourceType
from whamm_cm.wit.types import ValType


@dataclass(frozen=True, slots=True)
class Prim:
    """``u8 i8 u16 i16 u32 i32 f32 u64 i64 f64 bool str funcref``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class TupleT:
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True, slots=True)
class MapT:
    """``handles``: its keys are handles, with which the entries go (``lang/handles.py``)."""

    key: Type
    value: Type
    handles: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class AggT:
    """An aggregation of samples that are i64: ``min``, ``max``, ``avg``, ``stats``, ``hist``
    (powers of 2), ``quantize`` (also below 0), ``lhist`` (``bounds``: low, high, step)."""

    name: str
    bounds: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.bounds))})" if self.bounds else self.name


#: Of an ``lhist``, besides those at its ends.
MAX_BUCKETS = 1000
HISTOGRAMS = ("hist", "quantize", "lhist")


def is_histogram(type_: Type) -> bool:
    return isinstance(type_, AggT) and type_.name in HISTOGRAMS


@dataclass(frozen=True, slots=True)
class WitT:
    """A WIT value that is no script value yet: only paths lead out of it."""

    type: ValType

    def __str__(self) -> str:
        return f"a WIT {type(self.type).__name__.lower()}"


@dataclass(frozen=True, slots=True)
class SrcT:
    """A value of the program's source that is no script value yet, as with :class:`WitT`."""

    type: SourceType

    def __str__(self) -> str:
        return self.type.name or "pointer"


Type: TypeAlias = Prim | TupleT | MapT | AggT | WitT | SrcT

U8, I8, U16, I16, U32, I32 = map(Prim, ("u8", "i8", "u16", "i16", "u32", "i32"))
U64, I64, F32, F64 = map(Prim, ("u64", "i64", "f32", "f64"))
BOOL, STR, FUNCREF = Prim("bool"), Prim("str"), Prim("funcref")
UNIT = TupleT(())
