"""Texts of values, as Python's ``format`` makes them: in the guest, and where they are known."""

from __future__ import annotations

import math
import os
from ctypes import c_float
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.script.rig import Machine
from whamm_cm.agent import layout as agent
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.layout import MOST_BYTES, PLAIN, Layout, fields, layout_of
from whamm_cm.lang.numbers import INTS
from whamm_cm.trace.floats import shortest32

EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "150"))
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TYPES = {"u8": vt.U8, "i8": vt.I8, "u16": vt.U16, "i16": vt.I16, "u32": vt.U32, "i32": vt.I32,
         "u64": vt.U64, "i64": vt.I64, "f32": vt.F32, "f64": vt.F64, "bool": vt.BOOL,
         "str": vt.STR}  # fmt: skip
BOUND = {f"v{name}": kind for name, kind in TYPES.items()}
ZEROS = {**dict.fromkeys(BOUND, 0), "vf32": 0.0, "vf64": 0.0, "vstr": "", "vbool": False}
WORDS = st.text(st.sampled_from('aé€😀 \n\x1b"{}'), max_size=12)


def words(name: str) -> st.SearchStrategy[Any]:
    if name in INTS and name != "bool":
        low, high = INTS[name].low, INTS[name].high
        return st.sampled_from((low, high, 0, 1)) | st.integers(low, high)
    if name == "str":
        return WORDS
    if name == "bool":
        return st.booleans()
    bits = 32 if name == "f32" else 64
    large = c_float(1e22).value if bits == 32 else 1e22
    some = st.sampled_from((0.0, -0.0, math.inf, -math.inf, math.nan, 0.5, 2.5, 9.5, large, 0.125))
    return some | st.floats(width=bits)  # type: ignore[arg-type]


@st.composite
def specs(draw: st.DrawFn, name: str) -> str:
    """A layout as it is written that fits the type."""
    what = "integer" if name in INTS and name != "bool" else "float" if name[0] == "f" else name
    kinds = {"integer": "dxXobcs", "float": "fes", "str": "s", "bool": "s"}[what]
    kind = draw(st.sampled_from(("", *kinds)))
    fill = draw(st.sampled_from(("", "*", "é", "😀", "}", "<")))
    align = draw(st.sampled_from(("", "<", ">", "^")))
    number = what in ("integer", "float") and kind not in ("c", "s")
    plus = "+" if number and draw(st.booleans()) else ""
    prefix = "#" if kind in ("x", "X", "o", "b") and draw(st.booleans()) else ""
    zero = "0" if number and draw(st.booleans()) else ""
    width = draw(st.sampled_from(("", "1", "7", "20", "300")))
    precise = what == "str" or (what == "float" and number)
    precision = draw(st.sampled_from(("", ".0", ".1", ".5", ".30"))) if precise else ""
    return f"{fill if align else ''}{align}{plus}{prefix}{zero}{width}{precision}{kind}"


def expected(name: str, value: Any, spec: str) -> str:
    """What Python says."""
    kind = spec[-1] if spec[-1:] in tuple("dxXobcefs") else ""
    if name == "bool":
        return format("true" if value else "false", spec)
    if name == "str":
        return format(value, spec)
    if name[0] == "f":
        plain = repr(shortest32(value) if name == "f32" and math.isfinite(value) else value)
        if kind == "s":
            return format(plain, spec)
        if "." in spec and not kind:
            spec += "f"
        elif not kind:  # "1e22" is what repr says, too
            return format(shortest32(value) if name == "f32" and math.isfinite(value) else value,
                          spec)  # fmt: skip
        return format(abs(value) if math.isnan(value) else value, spec)
    if kind in ("x", "X", "o", "b"):
        return format(value % (1 << INTS[name].bits), spec)
    if kind == "c":
        valid = 0 <= value < 0xD800 or 0xE000 <= value < 0x110000
        return format(chr(value) if valid else "\ufffd", spec[:-1])
    return format(str(value) if kind == "s" else value, spec)


@st.composite
def shown(draw: st.DrawFn) -> tuple[str, Any, str]:
    name = draw(st.sampled_from(sorted(TYPES)))
    return name, draw(words(name)), draw(specs(name))


def part(name: str, value: t.Expr, spec: str) -> t.Expr:
    kind = TYPES[name]
    made = layout_of(spec)
    assert not made.misfit(kind_of(name)), spec
    return value if made == PLAIN else t.Shown(kind, value, made)


def kind_of(name: str) -> str:
    return name if name in ("bool", "str") else "float" if name[0] == "f" else "integer"


@SETTINGS
@given(st.lists(shown(), min_size=1, max_size=4))
def test_what_is_formatted_is_what_python_formats(some: list[tuple[str, Any, str]]) -> None:
    """A format with the values one after the other, which stand in variables or are known."""
    first = {row[0]: row for row in reversed(some)}
    given_ = ZEROS | {f"v{name}": value for name, value, _ in first.values()}
    parts = [part(n, t.Bound(TYPES[n], f"v{n}"), spec) for n, _, spec in first.values()]
    wanted = "".join(expected(*row) for row in first.values())
    machine = Machine([t.Print(tuple(parts))], t.Format(vt.STR, tuple(parts)), bound=BOUND)
    assert machine.run(*given_.values()) == wanted
    assert machine.state.texts() == [wanted]


@SETTINGS
@given(shown())
def test_what_is_known_before_is_the_same(row: tuple[str, Any, str]) -> None:
    name, value, spec = row
    whole = t.Format(vt.STR, (part(name, t.Const(TYPES[name], value), spec), t.Const(vt.STR, "!")))
    folded = fold_expr(whole, {})
    if name[0] == "f":
        assert folded is whole
        made = layout_of(spec)
        if not math.isnan(value) or math.copysign(1, value) > 0:
            assert made.float(value, _short(name, value)) == expected(name, value, spec)
        return
    assert isinstance(folded, t.Const) and folded.value == expected(name, value, spec) + "!"


def _short(name: str, value: float) -> str:
    return repr(shortest32(value) if name == "f32" and math.isfinite(value) else value)


EXACT = [(0.5, 0), (1.5, 0), (2.5, 0), (0.05, 1), (0.25, 1), (1e300, 3), (5e-324, 100), (9.995, 2),
         (99999.5, 0), (0.0, 3), (1.7976931348623157e308, 100), (0.001, 2), (0.005, 2), (0.6, 0),
         (123456.0, 2), (9.5e-7, 6)]  # fmt: skip


@pytest.mark.parametrize("kind", ["f", "e"])
def test_floats_are_rounded_exactly(kind: str) -> None:
    value = t.Bound(vt.F64, "x")
    for number, precision in EXACT:
        made = t.Shown(vt.F64, value, Layout(precision=precision, kind=kind))
        machine = Machine(result=t.Format(vt.STR, (made,)), bound={"x": vt.F64})
        for x in (number, -number):
            assert machine.run(x) == f"{x:.{precision}{kind}}"


@pytest.mark.parametrize("direct", [True, False])
def test_a_text_that_is_too_long_says_so(direct: bool) -> None:
    """It ends with dots, and no character is cut in two."""
    word = t.Bound(vt.STR, "s")
    whole = t.Format(vt.STR, (word,) * 5)
    machine = Machine(result=whole, bound={"s": vt.STR}, direct=direct)
    assert agent.MAX_TMP == MOST_BYTES
    for text in ("a" * 4000, "é" * 2000, "😀" * 1001, "€" * 1366, "x" + "€" * 1367):
        raw = (text * 5).encode()
        kept = raw[: MOST_BYTES - 3].decode(errors="ignore") + "..."
        assert machine.run(text) == (kept if len(raw) > MOST_BYTES else text * 5)


def test_what_is_no_text_yet_may_make_texts_itself() -> None:
    """Functions that print and format are called before the text around them begins."""
    name = t.Variable("n", vt.U32, t.Kind.LOCAL)
    inner = t.Format(vt.STR, (t.Const(vt.STR, "<"), t.Var(vt.U32, name), t.Const(vt.STR, ">")))
    body = (t.Print((t.Const(vt.STR, "in"), inner)), t.Return(inner))
    f = t.Function("f", (name,), vt.STR, body)
    calls = [t.Call(vt.STR, f, (t.Const(vt.U32, n),)) for n in (1, 22)]
    layout = Layout(width=6, align="^", fill="-")
    parts = (calls[0], t.Shown(vt.STR, calls[1], layout), t.Bound(vt.U32, "x"))
    machine = Machine([t.Print(parts)], t.Format(vt.STR, parts), bound={"x": vt.U32}, functions=[f])
    assert machine.run(7) == "<1>-<22>-7"
    assert machine.state.texts() == ["in<1>", "in<22>", "<1>-<22>-7", "in<1>", "in<22>"]


@pytest.mark.parametrize("direct", [True, False])
def test_appending_to_variables_of_all_kinds(direct: bool) -> None:
    local = t.Variable("l", vt.STR, t.Kind.LOCAL)
    global_ = t.Variable("g", vt.STR, t.Kind.GLOBAL)
    table = t.Variable("m", vt.MapT(vt.U32, vt.STR), t.Kind.GLOBAL)
    entry = t.MapGet(vt.STR, t.Var(table.type, table), t.Bound(vt.U32, "k"))
    targets = (t.Var(vt.STR, local), t.Var(vt.STR, global_), entry)
    word = t.Bound(vt.STR, "s")
    stmts = [t.Declare(local), *(t.Update(target, "+", word) for target in targets)]
    kinds = vt.TupleT((vt.STR,) * 3)
    machine = Machine(stmts, t.TupleMake(kinds, targets), bound={"s": vt.STR, "k": vt.U32},
                      direct=direct)  # fmt: skip
    assert machine.run("ab", 1) == ("ab", "ab", "ab")
    assert machine.run("c", 2) == ("c", "abc", "c")
    assert machine.run("d", 1) == ("d", "abcd", "abd")


def test_tuples_are_written_as_reports_show_them() -> None:
    kind = vt.TupleT((vt.U32, vt.TupleT((vt.STR, vt.BOOL)), vt.F64))
    made = t.TupleMake(
        kind,
        (t.Bound(vt.U32, "a"), t.TupleMake(kind.items[1], (t.Bound(vt.STR, "s"),
         t.Const(vt.BOOL, True))), t.Const(vt.F64, 1.5)),
    )  # fmt: skip
    machine = Machine(result=t.Format(vt.STR, (made,)), bound={"a": vt.U32, "s": vt.STR})
    assert machine.run(3, "x y") == "(3, (x y, true), 1.5)"


def test_fields_of_a_text() -> None:
    found = list(fields("a{{}}{}{:>5}{:}<7}{:*^+#010.3x}z"))
    plain = [piece if isinstance(piece, str) else piece[0] for piece in found]
    assert plain == ["a{}", PLAIN, Layout(align=">", width=5), Layout("}", "<", width=7),
                     Layout("*", "^", True, True, 10, 3, "x"), "z"]  # fmt: skip
