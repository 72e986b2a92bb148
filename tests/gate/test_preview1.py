"""Core modules before the gate: what WASI preview 1 gives them is judged as what 0.2 gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

import whamm_cm
from fixtures.build import build
from tests.gate.making import TODAY, judge, policy, said
from whamm_cm.cli.main import main
from whamm_cm.gate.lint import lint
from whamm_cm.gate.subject import analyse

WASI = "wasi_snapshot_preview1"


def module(*functions: str, more: str = "") -> bytes:
    """A command that imports these functions, all without parameters, and calls the first."""
    imports = " ".join(f'(import "{WASI}" "{name}" (func))' for name in functions)
    return bytes(wasmtime.wat2wasm(f'(module {imports} {more} (func (export "_start") (call 0)))'))


def test_what_is_declared_and_what_is_reachable() -> None:
    subject = analyse(module("fd_write", "sock_send"), "m").subject
    (row,) = subject.imports
    assert (row.interface, row.kind, row.form) == (WASI, "instance", "plain")
    assert {one.name: one.reachable for one in row.functions} == {
        "fd_write": True, "sock_send": False,
    }  # fmt: skip
    assert [one.name for one in subject.exports] == ["_start"] and subject.alone


def test_what_tables_lead_to_is_reachable() -> None:
    more = """(type $none (func)) (table (export "t") 1 funcref) (elem (i32.const 0) $go)
      (func $go (call 1)) (func (export "other") (call_indirect (type $none) (i32.const 0)))"""
    (row,) = analyse(module("fd_write", "sock_send", more=more), "m").subject.imports
    assert all(one.reachable for one in row.functions)


#: How the host of a module gets at function 1, which no exported function calls.
SHARED = {
    "an exported table": '(table (export "t") 1 funcref) (elem (i32.const 0) func 1)',
    "an imported table": '(import "env" "t" (table 1 funcref)) (elem (i32.const 0) func 1)',
    "a table that is filled later": """(table (export "t") 1 funcref) (elem declare func 1)
      (func (export "fill") (table.set (i32.const 0) (ref.func 1)))""",
    "an exported global": '(global (export "g") funcref (ref.func 1))',
    "a result": '(elem declare func 1) (func (export "give") (result funcref) (ref.func 1))',
    "an argument": """(import "env" "take" (func (param funcref))) (elem declare func 1)
      (func (export "give") (call 2 (ref.func 1)))""",
    "an imported global": """(import "env" "g" (global (mut funcref))) (elem declare func 1)
      (func (export "give") (global.set 0 (ref.func 1)))""",
    "an exception": """(tag (export "e") (param funcref)) (elem declare func 1)
      (func (export "give") (throw 0 (ref.func 1)))""",
}
KEPT = {
    "a table of its own": "(table 1 funcref) (elem (i32.const 0) func 1)",
    "a global of its own": "(global funcref (ref.func 1))",
    "an exported table of others": """(table 1 funcref) (elem (i32.const 0) func 1)
      (table (export "t") 1 funcref)""",
}


@pytest.mark.parametrize("how", [*SHARED, *KEPT])
def test_what_the_host_can_get_at_is_reachable(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = module("fd_write", "sock_send", more=(SHARED | KEPT)[how])
    (row,) = [one for one in analyse(data, "m").subject.imports if one.interface == WASI]
    reached = {one.name: one.reachable for one in row.functions}
    assert reached == {"fd_write": True, "sock_send": how in SHARED}
    (tmp_path / "m.wasm").write_bytes(data)
    assert main(["inspect", "--why", f"{WASI}#sock_send", str(tmp_path / "m.wasm")]) == 0
    shown = capsys.readouterr().out
    assert ("the host" in shown) == (how in SHARED) and ("cannot be reached" in shown) == (
        how in KEPT
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("extends: [wasi-preview1]", []),
        ("extends: [wasmtime-cli]", []),
        ("extends: [wasi-0.2]", [("WCM012", WASI)]),
        ("imports: {default: deny}", [("WCM010", WASI)]),
        (f"imports: {{default: deny, allow: ['{WASI}']}}", []),
        ("imports: {default: deny, allow: ['%fs']}", [("WCM014", f"{WASI}#sock_send")]),
        ("imports: {default: allow, deny: ['%net']}", [("WCM014", f"{WASI}#sock_send")]),
        ("exports: {require: ['#_start']}", []),
        ("exports: {forbid: ['#_start']}", [("WCM031", "_start")]),
    ],
)  # fmt: skip
def test_rules_about_imports_and_exports(text: str, expected: list[tuple[str, str]]) -> None:
    found = judge(module("fd_write", "sock_send"), text)
    assert [one for one in said(found) if one[0] != "WCM020"] == expected


def test_look_alikes_are_bad_names() -> None:
    data = bytes(wasmtime.wat2wasm('(module (import "w\u0430si" "f" (func)))'))
    assert "WCM017" in [rule for rule, _ in said(judge(data))]
    shown = [one.message for one in judge(data).all() if one.rule == "WCM017"]
    assert len(shown) == 1 and "U+0430" in shown[0]


@pytest.mark.parametrize("odd", [0, 7, 27, 127])
def test_names_that_end_early_for_some_hosts_are_bad(odd: int) -> None:
    """In C a name is over at a zero byte: what is WASI's name before it is WASI."""
    for names in (f'"{WASI}\\{odd:02x}" "path_open"', f'"{WASI}" "path_open\\{odd:02x}x"'):
        data = bytes(wasmtime.wat2wasm(f"(module (import {names} (func)))"))
        found = judge(data, "imports: {default: allow, deny: ['%fs']}").all()
        (shown,) = [one.message for one in found if one.rule == "WCM017"]
        assert f"U+{odd:04X}" in shown


def test_a_woven_module_says_so() -> None:
    woven = whamm_cm.load(build("preview1")).weave(trace="*").bytes
    assert "WCM041" in [rule for rule, _ in said(judge(woven, ""))]


def test_permissions_and_what_is_suggested(tmp_path: Path) -> None:
    """A policy that is made of a run lets that pass, and says what is missing of a tighter one."""
    app = whamm_cm.load(build("preview1"), "app.wasm")
    (tmp_path / "data").mkdir()
    run = app.trace(dirs=[f"{tmp_path / 'data'}::/data"], env={"TOKEN": "s3cret-word"})
    assert isinstance(app, whamm_cm.CoreModule)
    files = {
        "WCM061": "permissions: {storage: {allow: [{uri: 'fs:///data/**', access: [read]}]}}",
        "WCM062": "permissions: {environment: {allow: [{key: LANG}]}}",
        "": "permissions: {storage: {allow: [{uri: 'fs:///data/**', access: [read, write]},"
            " {uri: 'fs:///data', access: [read]}]}, environment: {allow: [{key: TOKEN}]},"
            " network: {allow: []}}",
    }  # fmt: skip
    for rule, text in files.items():
        (tmp_path / "p.yaml").write_text(f"version: 1\n{text}\n")
        verdict = app.gate(tmp_path / "p.yaml", observed=run)
        rules = {one.rule for one in verdict.findings if one.severity == "error"}
        assert rules == ({rule} if rule else set()), rules


def test_names_of_core_modules_in_policies() -> None:
    """They may have underscores; words of interfaces are joined by dashes all the same."""
    for text in (
        WASI,
        f"{WASI}#fd_write",
        "env#a_b",
        "#_start",
        "wasi_{snapshot_preview1,unstable}",
    ):
        found = policy(f"imports: {{allow: ['{text}']}}")
        assert [*lint(found, TODAY)] == []
    for text in ("wasi:clocks/wall_clock", "wasi_http", f"{WASI}s"):
        with pytest.raises(whamm_cm.UsageError, match="no import or export can match"):
            policy(f"imports: {{allow: ['{text}']}}")
