"""WIT values where paths end: as which script value one is used, and the ways on from it."""

from __future__ import annotations

from whamm_cm.lang.source import listed
from whamm_cm.lang.valtypes import (
    BOOL,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    STR,
    U8,
    U16,
    U32,
    U64,
    Type,
)
from whamm_cm.wit import types as w

#: Script types of WIT's primitive types.
PRIMS: dict[str, Type] = {
    "bool": BOOL, "s8": I8, "u8": U8, "s16": I16, "u16": U16, "s32": I32, "u32": U32, "s64": I64,
    "u64": U64, "f32": F32, "f64": F64, "char": U32, "string": STR, "error-context": U32,
}  # fmt: skip


def script_name(label: str) -> str:
    """``remote-address`` as scripts write it."""
    return label.replace("-", "_")


def scalar_type(type_: w.ValType) -> Type | None:
    """The script type of a WIT scalar, string or handle; None for everything else."""
    match w.strip(type_):
        case w.Prim(name):
            return PRIMS[name]
        case w.Own() | w.Borrow() | w.StreamT() | w.FutureT() | w.EnumT():
            return U32
        case w.FlagsT(labels) if len(labels) <= 32:
            return U32
    return None


def is_plain(type_: w.ValType) -> bool:
    """Whether a value is shown as the script value it stands for: a number, bool or string."""
    node = w.strip(type_)
    return isinstance(node, w.Prim) and node.name != "char"


def cases_of(type_: w.ValType) -> tuple[tuple[str, w.ValType | None], ...]:
    """Cases with their payloads; empty for types without cases."""
    match w.strip(type_):
        case w.VariantT(cases):
            return cases
        case w.EnumT(labels):
            return tuple((label, None) for label in labels)
        case w.OptionT(inner):
            return (("none", None), ("some", inner))
        case w.ResultT(ok, err):
            return (("ok", ok), ("error", err))
    return ()


def ways_on(type_: w.ValType) -> str:
    """Which paths lead on from a value of that type."""
    match w.strip(type_):
        case w.RecordT(fields):
            return f"take a field: {listed('.' + script_name(label) for label, _ in fields)}"
        case w.TupleT(types):
            return f"take a member: .0 to .{len(types) - 1}"
        case w.ListT() | w.MapT():
            return "take an element, [i], or len(…)"
        case w.FlagsT(labels):
            return f'test a flag: has "{labels[0]}"' if labels else ""
        case found:
            tests = ["is " + label for label, _ in cases_of(found)]
            return f"test its case: {listed(tests)}" if tests else ""
