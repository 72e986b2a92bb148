"""The wast driver: its parser, its values, and our own scripts run through it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import wasmtime
from wasmtime import _ffi as ffi

from tests.wast_driver import Hook, compare, definitions, run_script, values
from tests.wast_driver.__main__ import main
from tests.wast_driver.examine import examine_apart
from tests.wast_driver.runner import FAILED, NOT_RUN, PASSED
from tests.wast_driver.script import commands
from tests.wast_driver.sexpr import SyntaxFault, parse, unescape

SCRIPTS = sorted((Path(__file__).parent / "wast").glob("*.wast"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_command_of_our_scripts_passes(path: Path) -> None:
    outcomes = run_script(path)
    assert outcomes
    assert [outcome for outcome in outcomes if outcome.status != PASSED] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_identity_transform_changes_nothing(path: Path) -> None:
    assert compare(run_script(path), run_script(path, Hook(bytes))) == []


def test_definitions_tell_what_the_script_expects() -> None:
    found = list(definitions(Path(__file__).parent / "wast" / "forms.wast"))
    assert [one.expect for one in found] == [
        *["valid"] * 4,
        *["malformed"] * 2,
        "invalid",
        "unlinkable",
        "trap",
        "valid",
    ]
    assert [one.name for one in found if one.name] == ["$adder", "$counter"]
    unassembled = [one for one in found if one.data is None]
    assert [one.expect for one in unassembled] == ["malformed"]
    assert "expected valid component field" in unassembled[0].fault


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "case.wast"
    path.write_text(text)
    return path


ONE = """(component
  (core module $m (func (export "f") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
"""


@pytest.mark.parametrize(
    ("command", "status", "detail"),
    [
        ('(assert_return (invoke "f") (u32.const 1))', PASSED, ""),
        ('(assert_return (invoke "f") (u32.const 2))', FAILED, "returned ('u32', 1)"),
        ('(assert_return (invoke "f") (u64.const 1))', FAILED, "returned ('u32', 1)"),
        ('(assert_return (invoke "f"))', FAILED, "returned ('u32', 1)"),
        ('(assert_trap (invoke "f") "unreachable")', FAILED, "no fault"),
        ('(assert_invalid (component) "never")', FAILED, "accepted"),
        ('(assert_return (invoke "g"))', NOT_RUN, "no exported function 'g'"),
        ('(assert_return (invoke $x "f"))', NOT_RUN, "no such instance"),
        ('(register "f")', NOT_RUN, "(register …)"),
        ("(component instance $x $nowhere)", NOT_RUN, "no such component"),
        ('(assert_return (invoke "f") (ref.const 1))', NOT_RUN, "unknown value form"),
    ],
)
def test_a_wrong_expectation_is_told_from_one_that_cannot_be_tried(
    tmp_path: Path, command: str, status: str, detail: str
) -> None:
    outcome = run_script(script(tmp_path, ONE + command))[-1]
    assert (outcome.status, outcome.line) == (status, 5)
    assert outcome.detail.startswith(detail)


def test_compare_sees_a_changed_result_and_a_broken_transform(tmp_path: Path) -> None:
    path = script(tmp_path, ONE + '(assert_return (invoke "f") (u32.const 1))')
    original = run_script(path)
    changed = run_script(path, Hook(lambda data: data.replace(b"\x41\x01\x0b", b"\x41\x02\x0b")))
    assert compare(original, changed) == [
        "line 5: passed; woven: failed returned ('u32', 2), not (('u32', 1),)"
    ]

    def broken(data: bytes) -> bytes:
        raise ValueError("no")

    found = compare(original, run_script(path, Hook(broken)))
    assert found[0].startswith(
        "line 1: passed instantiated; woven: failed assembled transform: Val"
    )


def test_a_crash_of_the_process_costs_one_file(tmp_path: Path) -> None:
    path = script(tmp_path, ONE)
    assert examine_apart(path, bytes).fault == ""
    report = examine_apart(path, exit_hard)
    assert "exit code 7" in report.fault


def exit_hard(_data: bytes) -> bytes:
    import os

    os._exit(7)


def test_the_command_line_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, ONE + '(assert_return (invoke "f") (u32.const 2))')
    assert main([str(path), "-v", "--transform", "builtins:bytes"]) == 0
    printed = capsys.readouterr().out
    assert "case.wast:5: failed: returned ('u32', 1)" in printed
    assert "assertions failed      1" in printed
    assert "differences            0" in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(a", "never ends"),
        ("a", "outside a list"),
        (")", "outside a list"),
        ("(; (; ;)", "block comment"),
        ('(a "b)', "unexpected character"),
    ],
)
def test_unbalanced_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(SyntaxFault, match=said):
        parse(text)


def test_comments_and_strings_hide_parentheses() -> None:
    text = '(; ( (; ( ;) ;) (a "(" ;; (\n b) ; (c)'.replace("; (c)", "(c)")
    assert [(command.head, command.line) for command in commands(text)] == [("a", 1), ("c", 2)]


def test_escapes() -> None:
    assert unescape(r"a\n\t\\\"\00\ff\u{2603}é") == b'a\n\t\\"\x00\xff\xe2\x98\x83\xc3\xa9'


@pytest.mark.parametrize(
    "text",
    [
        '(record.const (field "a" (list.const (u8.const 1))) (field "b" (str.const "x")))',
        '(variant.const "c" (tuple.const (f64.const nan) (f32.const -0.0)))',
        "(option.some (option.none))",
        "(result.err)",
        '(result.ok (flags.const "b" "a"))',
        "(flags.const)",
        '(list.const (enum.const "e"))',
        '(char.const "\\u{1f600}")',
    ],
)
def test_values_survive_the_trip_through_c(text: str) -> None:
    plain = values.from_form(parse(text)[0])
    raw = ffi.wasmtime_component_val_t()
    values.to_c(plain, raw)
    assert values.from_c(raw) == plain
    ffi.wasmtime_component_val_delete(ctypes.byref(raw))


def test_the_assembler_is_the_one_wasmtime_brings() -> None:
    assert bytes(wasmtime.wat2wasm("(component)")) == b"\0asm\x0d\0\x01\0"
