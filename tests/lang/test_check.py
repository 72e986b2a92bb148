"""What the checker makes of expressions and statements."""

from __future__ import annotations

import math
import re

import pytest

from tests.lang.samples import loaded
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import fold_expr
from whamm_cm.lang.source import ScriptError


def body(
    text: str, rule: str = "wasm:opcode:call(arg0: i32):before", top: str = ""
) -> tuple[t.Stmt, ...]:
    (probe,) = loaded(f"{top}\n{rule} {{ {text} }}").probes
    return probe.body


def value(text: str, type_: str = "i32", **more: str) -> t.Expr:
    *_, last = body(f"var x: {type_}; x = {text};", **more)
    assert isinstance(last, t.Assign)
    return last.value


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("-1 as u8", "u8", 255), ("0xFFFF0000", "i32", -65536), ("1_000", "u16", 1000),
        ("0b101", "i64", 5), ("300 as u8", "u8", 44), ("0xffffffffffffffff as i64", "i64", -1),
        ("255", "u8", 255), ("-128", "i8", -128), ("0xFFFFFFFF", "u32", 0xFFFFFFFF),
        ("-9223372036854775808", "i64", -(1 << 63)), ("1", "f32", 1.0), ("1.5e3", "f64", 1500.0),
        ("-inf", "f64", -math.inf), ("INFINITY", "f32", math.inf), ("1e999", "f32", math.inf),
        ("0.1", "f32", 0.10000000149011612), ("true", "bool", True),
        ('"a\\n\\x41\\u{1F600}\\0"', "str", "a\nA\U0001F600\0"),
    ],
)  # fmt: skip
def test_literals_take_their_type_from_the_context(text: str, type_: str, expected: object) -> None:
    found = value(text, type_)
    assert isinstance(found, t.Const) and found.value == expected
    assert str(found.type) == type_


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("var a: u8 = 99999;", "u8, which is 0 to 255"),
        ("var a: i8 = 256;", "i8, which is -128 to 127"),
        ("var a: i32 = 0x1FFFF0000;", "i32, which is -2147483648 to 2147483647"),
        ("var a: u16; a = 0x10000;", "u16, which is 0 to 65535"),
        ("var a: u16; a += 70000;", "u16, which is 0 to 65535"),
        ("var a: bool = fid == 4294967296;", "u32, which is 0 to 4294967295"),
        ("var a: bool = -2147483649 < pc;", "u32, which is 0 to 4294967295"),
        ("m[300]++;", "u8, which is 0 to 255"),
        ("pairs[(1, -129)] = 1;", "i8, which is -128 to 127"),
        ("var a: u8 = f(256);", "u8, which is 0 to 255"),
        ("var a: (u8, i8) = (1, 256);", "i8, which is -128 to 127"),
        ("var a: u8 = true ? 1 : 256;", "u8, which is 0 to 255"),
        ("var a: u8 = 1 + 256;", "u8, which is 0 to 255"),
        ("for i in 0..5000000000 { }", "i32, which is -2147483648 to 2147483647"),
    ],
)  # fmt: skip
def test_literals_that_do_not_fit_are_errors(text: str, range_: str) -> None:
    """whamm 2.0.1 refuses them, too; what arithmetic makes of them wraps in both."""
    top = """var m: map<u8, u32>; var pairs: map<(u32, i8), u32>;
             fn f(x: u8) -> u8 { return x; }"""
    with pytest.raises(ScriptError, match=re.escape(f" is no {range_}")):
        body(text, top=top)


def test_a_minus_where_there_is_none_is_worth_a_word() -> None:
    """whamm takes it for the bits, and so do we."""
    found = loaded("wasm:func:entry { var a: u8 = -1; var b: u32 = -2 as u32; var c: i8 = 255; }")
    (warning,) = found.warnings
    assert "-1 is no u8 and means 255 here; write -1 as u8" in warning
    a, b, c = found.probes[0].body
    assert [d.init.value for d in (a, b, c)] == [255, 4294967294, -1]  # type: ignore[union-attr]


def test_arithmetic_on_literals_wraps() -> None:
    for text, type_, expected in [
        ("1 << 40", "u32", 256), ("200 + 100", "u8", 44), ("~0", "u8", 255), ("-(5 - 0)", "u8", 251)
    ]:  # fmt: skip
        found = fold_expr(value(text, type_), {})
        assert isinstance(found, t.Const) and found.value == expected, text


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("fid == 1 || fid == 2 && true", "(|| (== fid 1) (&& (== fid 2) True))"),
        ("(fid & 1) == 0", "(== (& fid 1) 0)"),
        ("fid & 1 == 0 as u32", None),
        ("fid + 2 * pc << 1 == 8", "(== (<< (+ fid (* 2 pc)) 1) 8)"),
        ("!at_func_end", "(! at_func_end)"),
        ("1 < fid", "(< 1 fid)"),
        ('fname == "a"', "(str.eq fname a)"),
        ('fname != "a"', "(! (str.eq fname a))"),
        ("~fid == 1", "(== (~ fid) 1)"),
        ("(fid as i32) == -1", "(== (as i32 fid) -1)"),
        ("fid / 2 % 3 == 1", "(== (% (/ fid 2) 3) 1)"),
        ('fname.len() > 3 && fname.starts_with("a")',
         "(&& (> (str.len fname) 3) (str.starts_with fname a))"),
    ],
)  # fmt: skip
def test_precedence(text: str, shape: str | None) -> None:
    script = f"wasm:opcode:call:before / {text} / {{ }}"
    if shape is None:
        with pytest.raises(ScriptError):
            loaded(script)
        return
    (probe,) = loaded(script).probes
    assert probe.predicate is not None and show(probe.predicate) == shape


def show(node: t.Expr) -> str:
    match node:
        case t.Const(value=value):
            return str(value)
        case t.Static(name=name) | t.Bound(name=name):
            return name
        case t.Var(variable=variable):
            return variable.name
        case t.Unary(op=op, operand=operand):
            return f"({op} {show(operand)})"
        case t.Binary(op=op, left=left, right=right):
            return f"({op} {show(left)} {show(right)})"
        case t.Cast(type=type_, operand=operand):
            return f"(as {type_} {show(operand)})"
        case t.Builtin(name=name, args=args):
            return f"({' '.join((name, *map(show, args)))})"
        case t.Ternary(condition=condition, then=then, otherwise=otherwise):
            return f"(? {show(condition)} {show(then)} {show(otherwise)})"
    raise AssertionError(node)


def test_derived_variables_are_their_definitions() -> None:
    found = value("effective_addr", "u32", rule="wasm:opcode:i32.store:before")
    assert show(found) == "(+ arg1 (as u32 offset))"
    found = value("target", "u32", rule="wasm:opcode:br_table:before")
    assert show(found) == "(? (< arg0 num_targets) arg0 num_targets)"
    found = value("resolved_fid", rule="wasm:opcode:call_indirect:before")
    assert show(found) == "(resolve_funcref target_funcref arg0)"


def test_a_definition_does_not_see_the_names_of_the_script() -> None:
    found = value("effective_addr", "u32", rule="wasm:opcode:i32.load:before",
                  top="var offset: i32; var arg: i32;")  # fmt: skip
    assert show(found) == "(+ arg0 (as u32 offset))" and isinstance(found, t.Binary)
    assert isinstance(found.right, t.Cast) and isinstance(found.right.operand, t.Static)


def test_nested_ternaries() -> None:
    assert show(value("fid == 1 ? 1 : (fid == 2 ? 2 : 3)")) == "(? (== fid 1) 1 (? (== fid 2) 2 3))"
    assert show(value("fid == 1 ? 1 : fid == 2 ? 2 : 3")) == "(? (== fid 1) 1 (? (== fid 2) 2 3))"


def test_kinds_of_variables() -> None:
    scripts = loaded(
        "report var a: i32 = 3; wasm:opcode:call:before { report var b: u8 = 1; unshared var c:"
        " map<(i32, bool), u64>; var d: f32; a += 1; c[(1, true)]++; }"
    )
    (declared,) = scripts.globals
    assert isinstance(declared, t.Declare) and declared.variable.kind is t.Kind.GLOBAL
    first, second, third, fourth, *_ = scripts.probes[0].body
    kinds = [s.variable.kind for s in (first, second, third) if isinstance(s, t.Declare)]
    assert kinds == [t.Kind.CELL, t.Kind.CELL, t.Kind.LOCAL]
    assert isinstance(fourth, t.Update) and fourth.op == "+"
    assert isinstance(fourth.target, t.Var) and fourth.target.variable is declared.variable


def test_equal_bodies_are_checked_once() -> None:
    add, sub = loaded("wasm:opcode:i32.add|i32.sub:before { var x: i32 = arg0; }").probes
    assert add.body is sub.body


def test_blocks_loops_and_names_that_come_back() -> None:
    found = body(
        "var i: i64; for i in 0..10 { if (i == 3) { var j: i32 = i; } } i = 4;"
        " while (i > 0) { i--; }"
        " if (fid == 1) { i = 1; } else if (fid == 2) { i = 2; } else { i = 3; }"
    )
    _, loop, assign, _, branch = found
    assert isinstance(loop, t.For) and loop.variable.type == vt.I32
    assert isinstance(assign, t.Assign) and assign.value.type == vt.I64
    assert isinstance(branch, t.If) and isinstance(branch.otherwise[0], t.If)


def test_functions_may_call_each_other() -> None:
    scripts = loaded(
        "fn even(n: u32) -> bool { if (n == 0) { return true; } return odd(n - 1); }"
        " fn odd(n: u32) -> bool { if (n == 0) { return false; } else { return even(n - 1); } }"
        " wasm:func:entry / even(fid) / { }"
    )
    even, odd = scripts.functions
    last = even.body[-1]
    assert isinstance(last, t.Return) and isinstance(last.value, t.Call)
    assert last.value.function is odd


def test_aggregations() -> None:
    first, second = body("h[fname] = hist(arg0); low = min(fid);",
                         top="report var h: map<str, hist>; report var low: min;")  # fmt: skip
    assert isinstance(first, t.Sample) and isinstance(first.target, t.MapGet)
    assert first.value.type == vt.I64 and isinstance(second, t.Sample)


def test_print() -> None:
    (found,) = body('print("{{{}}} at {}", fid, pc);')
    assert isinstance(found, t.Print)
    assert [show(part) for part in found.parts] == ["{", "fid", "} at ", "pc"]


def test_libraries() -> None:
    scripts = loaded(
        "use lib; use mem; use whamm_core; var p: i32 = whamm_core.mem_alloc(4); @static lib.go();"
        " wasm:func:entry / @static lib.check(fid as i32) == 1 / { @init lib.go(); var m: u32 ="
        " memid(mem); whamm_core.puts(p, 4); }"
    )
    assert scripts.libraries == ("lib", "mem", "whamm_core")
    init, *_ = scripts.probes[0].body
    assert isinstance(init, t.Evaluate) and isinstance(init.value, t.LibCall)
    assert init.value.annotation == "init"


def test_acts_of_opcodes() -> None:
    drop, call = body('drop_args(); alt_call_by_name("f");', rule="wasm:opcode:call:alt")
    assert isinstance(drop, t.Act) and drop.what == "drop_args"
    assert isinstance(call, t.Act) and show(call.args[0]) == "f"


def test_words_of_new_statements_stay_names() -> None:
    names = re.findall(r"\w+", "print trace2 min max hist is has for in const local ref map2 fail")
    top = "".join(f"var {name}: i32; " for name in names)
    found = body("min = max + 1; for = in; print = is; is++; const++;", top=top)
    assert len(found) == 5


def test_a_result_before_there_is_one_reads_zero_and_is_warned_about() -> None:
    scripts = loaded("wasm:opcode:i32.load:before { var x: i32 = res0; }")
    (declared,) = scripts.probes[0].body
    assert isinstance(declared, t.Declare) and declared.init is not None
    assert show(declared.init) == "0"
    warnings = scripts.warnings
    assert isinstance(warnings, tuple) and len(warnings) == 1
    assert "use it in an after probe" in warnings[0]


def test_each_script_has_its_own_names() -> None:
    from whamm_cm.lang.load import load

    text = "var n: i32; wasm:func:entry { n++; }"
    scripts = load([("a", text), ("b", text)])
    one, two = scripts.probes
    assert (one.script, two.script, one.number, two.number) == (0, 1, 0, 0)
    assert len({d.variable for d in scripts.globals if isinstance(d, t.Declare)}) == 2
