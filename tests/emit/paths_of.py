"""Random WIT paths into a value, with what they must yield."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.emit import canon
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wit.types import EnumT, FlagsT, ListT, Prim, ValType, strip

MAX_TEXT = 16384


class _Missing:
    """Where a path leads nowhere."""


MISSING = _Missing()


@dataclass(frozen=True)
class Probe:
    """An expression and its value: an int of so many bits, a float's bits, or bytes."""

    expr: Any
    expected: int | bytes
    core: str


@st.composite
def paths(draw: st.DrawFn, name: str, t: ValType, value: Any, encoding: str) -> Probe:
    """A path from the variable ``name`` of type ``t`` and that value."""
    expr: Any = tree.Bound(vt.WitT(t), name)
    while True:
        node = strip(t)
        steps = _steps(node)
        leaf = _leaf_kinds(node)
        if leaf and (not steps or draw(st.booleans())):
            return draw(_leaf(expr, node, value, encoding, draw(st.sampled_from(leaf))))
        expr, t, value = draw(_step(expr, node, value))


def _steps(t: ValType) -> bool:
    cases = canon.cases_of(t)
    if cases is not None:
        return any(payload is not None for _, payload in cases)
    return canon.parts_of(t) is not None or canon.element_of(t) is not None


def _leaf_kinds(t: ValType) -> list[str]:
    if canon.cases_of(t) is not None:
        return ["case", "scalar"] if isinstance(t, EnumT) else ["case"]
    if isinstance(t, FlagsT):
        return ["flag", "scalar"]
    if isinstance(t, Prim):
        return ["length", "scalar"] if t.name == "string" else ["scalar"]
    if canon.element_of(t) is not None or isinstance(t, ListT):
        return ["length"]
    return [] if canon.parts_of(t) is not None else ["scalar"]


@st.composite
def _step(draw: st.DrawFn, expr: Any, t: ValType, value: Any) -> tuple[Any, ValType, Any]:
    cases = canon.cases_of(t)
    if cases is not None:
        found, payload = (-1, None) if value is MISSING else canon.pick(t, cases, value)
        able = [i for i, (_, p) in enumerate(cases) if p is not None]
        likely = [found] if found in able else able
        case = draw(st.sampled_from(likely) | st.sampled_from(able))
        inner = cases[case][1]
        assert inner is not None
        there = payload if case == found else MISSING
        return tree.Payload(vt.WitT(inner), expr, case), inner, there
    element = canon.element_of(t)
    parts = canon.parts_of(t)
    if element is None and not isinstance(t, ListT):
        assert parts is not None
        index = draw(st.integers(0, len(parts) - 1))
        there = MISSING if value is MISSING else canon.items_of(t, value)[index]
        return tree.Field(vt.WitT(parts[index]), expr, index), parts[index], there
    if element is None:
        element = t.element  # type: ignore[union-attr]
    have = [] if value is MISSING else list(value)
    at = draw(st.integers(0, max(len(have) - 1, 0)) | st.sampled_from((-1, len(have), 1 << 31)))
    kinds = [vt.I32, vt.I64] if at < 1 << 31 else [vt.I64]
    kinds += [] if at < 0 else [vt.U32, vt.U64]
    index_expr = tree.Const(draw(st.sampled_from(kinds)), at)
    there = have[at] if 0 <= at < len(have) else MISSING
    return tree.Element(vt.WitT(element), expr, index_expr), element, there


@st.composite
def _leaf(draw: st.DrawFn, expr: Any, t: ValType, value: Any, encoding: str, kind: str) -> Probe:
    missing = value is MISSING
    if kind == "case":
        cases = canon.cases_of(t)
        assert cases is not None
        found = -1 if missing else canon.pick(t, cases, value)[0]
        case = draw(st.sampled_from([max(found, 0), len(cases) - 1]))
        return Probe(tree.IsCase(vt.BOOL, expr, case), int(case == found), "i32")
    if kind == "flag":
        assert isinstance(t, FlagsT)
        index = draw(st.integers(0, len(t.labels) - 1))
        has = not missing and t.labels[index] in value
        return Probe(tree.HasFlag(vt.BOOL, expr, index), int(has), "i32")
    if kind == "length":
        if not missing and isinstance(t, Prim):
            length = len(canon.encode_text(value, encoding)[0])
        elif isinstance(t, ListT) and t.length is not None:
            length = 0 if missing else t.length
        else:
            length = 0 if missing else len(value)
        return Probe(tree.Length(vt.U32, expr), length, "i32")
    return _scalar(expr, t, value, missing)


def _scalar(expr: Any, t: ValType, value: Any, missing: bool) -> Probe:
    if isinstance(t, Prim) and t.name == "string":
        text = b"" if missing else value.encode()
        assert len(text) <= MAX_TEXT
        return Probe(tree.Scalar(vt.STR, expr), text, "str")
    script, core = _types(t)
    if missing:
        return Probe(tree.Scalar(script, expr), 0, core)
    if isinstance(t, EnumT):
        bits = t.labels.index(value)
    elif isinstance(t, Prim) and t.name in canon.INTS:
        bits = int(value) & ((1 << (64 if core == "i64" else 32)) - 1)
    else:
        bits = canon.scalar_bits(t, value)[0] & ((1 << (64 if core == "f64" else 32)) - 1)
    return Probe(tree.Scalar(script, expr), bits, core)


def _types(t: ValType) -> tuple[vt.Type, str]:
    name = t.name if isinstance(t, Prim) else "u32"
    table: dict[str, tuple[vt.Type, str]] = {
        "bool": (vt.BOOL, "i32"), "s8": (vt.I8, "i32"), "u8": (vt.U8, "i32"),
        "s16": (vt.I16, "i32"), "u16": (vt.U16, "i32"), "s32": (vt.I32, "i32"),
        "s64": (vt.I64, "i64"), "u64": (vt.U64, "i64"), "f32": (vt.F32, "f32"),
        "f64": (vt.F64, "f64"),
    }  # fmt: skip
    return table.get(name, (vt.U32, "i32"))


def bits_of(core: str, value: float) -> int:
    """The bits of a core value as wasmtime's bindings give it."""
    if core in ("f32", "f64"):
        raw = struct.pack("<f" if core == "f32" else "<d", value)
        return int.from_bytes(raw, "little")
    return int(value) & ((1 << (64 if core == "i64" else 32)) - 1)
