"""``alt_call_by_id`` and ``alt_call_by_name`` stand for any instruction, of the same type."""

from __future__ import annotations

import pytest
import wasmtime

from tests.weave.test_validity import woven
from whamm_cm.errors import WeaveError

MODULE = """(module (memory (export "memory") 1) (type $s (struct (field i32)))
  (func $sub (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func $ten (param i32) (result i32) (i32.const 10))
  (func $wide (param i64 i32) (result i64) (local.get 0))
  (func $either (param i64 i64 i32) (result i64) (local.get 1))
  (func $seven (result i32) (i32.const 7))
  (func $made (param i32) (result (ref $s)) (struct.new_default $s))
  (func $nothing)
  (global $steps (mut i32) (i32.const 0))
  (func $note (param i32) (global.set $steps (i32.add (global.get $steps) (local.get 0))))
  (func (export "f") (result i32) {code}))"""

#: The function that stands for an instruction, the rule, what is executed, what comes out.
STANDS = [
    ("sub", "i32.add", "(i32.add (i32.const 10) (i32.const 3))", 7),
    ("ten", "i32.eqz", "(i32.eqz (i32.const 10))", 10),
    ("ten", "i32.load", "(i32.load (i32.const 0))", 10),
    ("ten", "memory.grow", "(memory.grow (i32.const 1))", 10),
    ("ten", "local.tee", "(local i32) (local.tee 0 (i32.const 1)) (i32.add (local.get 0))", 10),
    ("seven", "i32.const", "(i32.const 3)", 7),
    ("seven", "memory.size", "(memory.size)", 7),
    ("either", "select", "(i32.wrap_i64 (select (i64.const 1) (i64.const 2) (i32.const 1)))", 2),
    ("nothing", "unreachable", "(block (unreachable)) (i32.const 4)", 4),
    ("nothing", "block", "(block (unreachable)) (i32.const 4)", 4),
    ("note", "drop", "(drop (i32.const 5)) (global.get $steps)", 5),
    ("ten", "if", "(if (result i32) (i32.const 1) (then (i32.const 1)) (else (i32.const 2)))", 10),
]


def text(code: str) -> bytes:
    return bytes(wasmtime.wat2wasm(MODULE.replace("{code}", code)))


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize(("name", "event", "code", "result"), STANDS)
def test_a_function_stands_for_an_instruction(
    name: str, event: str, code: str, result: int, by_id: bool
) -> None:
    wasm = text(code)
    names = [line.split("$")[1].split()[0].rstrip(")") for line in MODULE.splitlines()
             if line.startswith("  (func $")]  # fmt: skip
    call = f"alt_call_by_id({names.index(name)})" if by_id else f'alt_call_by_name("{name}")'
    found = woven(wasm, f"wasm:opcode:{event}:alt / fid == {len(names)} / {{ {call}; }}")
    config = wasmtime.Config()
    config.wasm_gc = config.wasm_function_references = True
    store = wasmtime.Store(wasmtime.Engine(config))
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, found.wasm), [])
    f = instance.exports(store)["f"]
    assert isinstance(f, wasmtime.Func) and f(store) == result


@pytest.mark.parametrize(
    ("name", "event", "code", "reason"),
    [
        ("seven", "i32.add", "(i32.add (i32.const 1) (i32.const 2))", "does not take i32, i32"),
        ("wide", "select", "(i32.wrap_i64 (select (i64.const 1) (i64.const 2) (i32.const 1)))",
         "does not take i64, i64, i32"),
        ("nothing", "i32.const", "(i32.const 1)", "i32.const leaves i32"),
        ("mine", "i32.const", "(i32.const 1)", "no function has that name"),
        ("made", "struct.new", "(struct.get $s 0 (struct.new $s (i32.const 1)))",
         "leaves a reference that a script cannot hold"),
    ],
)  # fmt: skip
def test_a_function_of_another_type_does_not(name: str, event: str, code: str, reason: str) -> None:
    rule = f'wasm:opcode:{event}:alt / fname == "" / {{ alt_call_by_name("{name}"); }}'
    with pytest.raises(WeaveError, match=reason):
        woven(text(code), rule)


@pytest.mark.parametrize(
    "body",
    [
        "n++;",
        "drop_args(); n++;",
        "if (arg0 == 0) { return 1; }",
        "if (arg0 == 0) { return 1; } else { n++; }",
        'if (arg0 == 0) { return; } alt_call_by_name("sub");',
        "while (n < 9) { n++; return 1; }",
        'alt_call_by_name(target);',
    ],
)  # fmt: skip
def test_no_value_is_made_up_for_a_result(body: str) -> None:
    script = f'var n: u32; wasm:opcode:i32.add:alt {{ const target = ""; {body} }}'
    with pytest.raises(WeaveError, match="may come to its end, but i32.add leaves i32: return"):
        woven(text("(i32.add (i32.const 1) (i32.const 2))"), script)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("drop_args(); n++; return arg1;", 5),
        ("if (arg0 == 0) { return 1; } else { return arg0 + n as i32; }", 7),
        ("if (arg0 == 7 && true) { return 2; } n++; return 4;", 2),
        ('alt_call_by_name("sub"); n++;', -2),
        ('if (fname == "") { return 3; } else { n++; }', 3),
    ],
)
def test_every_way_ends_in_a_value(body: str, result: int) -> None:
    script = f'var n: u32; wasm:opcode:i32.add:alt / fname == "" / {{ {body} }}'
    store = wasmtime.Store()
    code = text("(i32.add (i32.const 5) (i32.const 7))")
    module = wasmtime.Module(store.engine, woven(code, script).wasm)
    f = wasmtime.Instance(store, module, []).exports(store)["f"]
    assert isinstance(f, wasmtime.Func) and f(store) == result
