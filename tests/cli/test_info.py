"""`whamm-cm info`: what rules bind, where they match, what would be woven."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from fixtures.build import path_of
from whamm_cm.cli.main import main
from whamm_cm.lang.events import PACKAGES
from whamm_cm.monitors import monitors

COMMAND = str(path_of("command"))
MODULE = """(module
  (func $half (param i64) (result i64) local.get 0 i64.const 1 i64.shr_u)
  (func $twice (param i32) (result i32) local.get 0 i32.const 2 i32.mul)
  (func (export "_start")
    (drop (call $half (i64.const 4))) (drop (call $twice (i32.const 3))) nop))"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    path = tmp_path / "sample.wasm"
    path.write_bytes(wasmtime.wat2wasm(MODULE))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["info", *words]) == 0
    return capsys.readouterr().out


def facts(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, "--json", *words))
    assert found["v"] == 1
    return found


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["info", *words]) == 2
    return capsys.readouterr().err


# --- what a rule binds ---------------------------------------------------------------------------


def test_a_rule_binds_what_its_event_binds(capsys: pytest.CaptureFixture[str]) -> None:
    (event,) = facts(capsys, "wasm:opcode:br_if:before")["events"]
    assert (event["name"], event["modes"]) == ("wasm:opcode:br_if", ["before"])
    bound = {v["name"]: (v["type"], v["lifetime"]) for v in event["variables"]}
    assert bound["arg0"] == ("u32", "dynamic")
    assert bound["pc"] == ("u32", "static")
    text = said(capsys, "wasm:opcode:br_if:before")
    assert all(f"  {name} " in text for name in bound)


def test_modes_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    (event,) = facts(capsys, "wasm:opcode:br_if")["events"]
    assert event["modes"] == ["before", "after", "alt", "at_target"]


def test_every_instruction_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "wasm:opcode:*:before")
    words = set(text.split())
    assert {event.name for event in PACKAGES["opcode"]} <= words | {"delegate", "try", "pause"}
    assert "variables of all of them" in text and "category_id" in text
    assert "effective_addr" not in text


def test_boundaries_bind_what_docs_and_scripts_know(capsys: pytest.CaptureFixture[str]) -> None:
    names = [v["name"] for v in facts(capsys, "wasi:http/*#*:after")["variables"]]
    assert {"interface", "elapsed", "is_err", "result"} <= set(names)


# --- where it matches ----------------------------------------------------------------------------


def test_places_in_a_module(capsys: pytest.CaptureFixture[str], module: str) -> None:
    found = facts(capsys, "wasm:opcode:call(arg0: i64):before", module)
    (place,) = found["places"]
    assert (place["fid"], place["pc"], place["instruction"]) == (2, 3, "call 0")
    assert found["unmatched"] == [
        {"rule": "wasm:opcode:call:before", "reason": "arg0 is i32, not i64", "places": 1}
    ]


def test_predicates_are_told_from_bounds(capsys: pytest.CaptureFixture[str], module: str) -> None:
    found = facts(capsys, 'wasm:opcode:call:before / target_fn_name == "half" /', module)
    assert [place["instruction"] for place in found["places"]] == ["call 0"]
    (unmatched,) = found["unmatched"]
    assert (unmatched["reason"], unmatched["places"]) == ("the predicate is false there", 1)


def test_functions_at_boundaries_with_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "wasi:random/*#*:before", COMMAND)["boundaries"]
    assert {site["signature"] for site in found} == {
        "func() -> u64", "func(len: u64) -> list<u8>",
    }  # fmt: skip
    text = said(capsys, "wasi:random/*#*:before", COMMAND)
    assert "func(len: u64) -> list<u8>" in text


def test_a_rule_that_matches_nothing_says_why(
    capsys: pytest.CaptureFixture[str], module: str
) -> None:
    (unmatched,) = facts(capsys, "wasi:keyvalue/*#*:before", COMMAND)["unmatched"]
    assert "no function of the component" in unmatched["reason"]
    (unmatched,) = facts(capsys, "wasi:keyvalue/*#*:before", module)["unmatched"]
    assert "core module has no boundaries" in unmatched["reason"]
    assert "0 places in 0 functions" in said(capsys, "wasm:opcode:v128.load:before", module)


def test_tasks_and_streams_are_found_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    app = str(path_of("p3_command"))
    (write,) = facts(capsys, "wasm:stream:write", app)["boundaries"]
    assert write["signature"].endswith("-> list<u8>") and "stream.write" in write["title"]
    (run,) = facts(capsys, "wasm:task:end", app)["boundaries"]
    assert run["title"].startswith("export wasi:cli/run@0.3.0#run")
    (unmatched,) = facts(capsys, "wasm:stream:read", app)["unmatched"]
    assert unmatched["reason"] == "no stream is copied like that"
    (unmatched,) = facts(capsys, "wasm:task:end", COMMAND)["unmatched"]
    assert unmatched["reason"] == "no asynchronous component"
    text = said(capsys, "wasm:stream:read")
    assert "elements" in text and "what was copied" in text and "(not in whamm 1.0)" in text


def test_n_and_v_say_how_many(capsys: pytest.CaptureFixture[str], module: str) -> None:
    rule = "wasm:opcode:*:before"
    few = said(capsys, "-n", "2", rule, module)
    assert "… 14 more (-v shows all)" in few and "nop" not in few.partition("places in")[2]
    assert "nop" in said(capsys, "-v", rule, module).partition("places in")[2]


def test_standard_input_and_a_file(
    capsys: pytest.CaptureFixture[str], module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(module).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    output = tmp_path / "info.txt"
    assert said(capsys, "-o", str(output), "wasm:func:entry", "-") == ""
    assert "3 places in 3 functions" in output.read_text()


# --- what would be woven -------------------------------------------------------------------------


def test_the_code_is_listed(capsys: pytest.CaptureFixture[str], module: str) -> None:
    script = "wasm:opcode:i32.mul:before { report var big: u32; if (arg0 > 1) { big++; } }"
    (snippet,) = facts(capsys, "--dry-run", "-e", script, module)["code"]
    assert (snippet["function"], snippet["where"], snippet["instruction"]) == (
        "twice", "before", "i32.mul",
    )  # fmt: skip
    code = [line.split("(;")[0].strip() for line in snippet["code"]]
    assert code == [
        "local.set 1", "local.get 1", "i32.const 1", "i32.gt_s", "if", "global.get 0",
        "i32.const 1", "i32.add", "global.set 0", "end", "local.get 1",
    ]  # fmt: skip


def test_code_after_and_instead(capsys: pytest.CaptureFixture[str], module: str) -> None:
    after = "wasm:opcode:call(res0: i32):after { report var last: i32; last = res0; }"
    (snippet,) = facts(capsys, "--dry-run", "-e", after, module)["code"]
    assert (snippet["where"], snippet["instruction"]) in (("after", "call 1"), ("before", "drop"))
    instead = "wasm:opcode:i32.mul:alt { return arg0; }"
    (snippet,) = facts(capsys, "--dry-run", "-e", instead, module)["code"]
    assert (snippet["where"], snippet["instruction"]) == ("for", "i32.mul")


def test_functions_that_are_called_are_listed(
    capsys: pytest.CaptureFixture[str], module: str
) -> None:
    script = "var n: u32; fn note(x: u32) { n += x; } wasm:opcode:call:before { note(imm0); }"
    found = facts(capsys, "--dry-run", "-e", script, module)
    called = {
        line.partition("whamm-cm.")[2].rstrip(";)") for s in found["code"] for line in s["code"]
    }
    names = {function["name"] for function in found["functions"]}
    assert called & names
    assert "of the script" in said(capsys, "--dry-run", "-e", script, module)


def test_dry_runs_find_what_weaving_would(capsys: pytest.CaptureFixture[str], module: str) -> None:
    script = "wasm:opcode:i32.mul:alt { } wasm:opcode:i32.mul:alt { drop_args(); }"
    assert "two alt probes" in complaint(capsys, "--dry-run", "-e", script, module)
    script = "wasi:random/*#get-random-bytes:before / len.x / { }"
    assert "len" in complaint(capsys, "--dry-run", "-e", script, COMMAND)


@pytest.mark.parametrize("name", sorted(set(monitors()) - {"cache-sim", "hotness", "coverage"}))
def test_every_monitor_matches_something(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "-m", name, COMMAND)
    assert found["places"] or found["boundaries"] or name == "http"


# --- monitors and mistakes -----------------------------------------------------------------------


def test_monitors_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--monitors").splitlines()
    assert [line.split()[0] for line in lines] == list(monitors())
    listed = facts(capsys, "--monitors")["monitors"]
    assert all(
        row["shows"] and row["shows"] in line for row, line in zip(listed, lines, strict=True)
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "name a match rule"),
        (("wasm:opcode:brif:before",), 'did you mean "br_if"?'),
        (("wasm:opcode:br_if:befor",), 'did you mean "before"?'),
        (("wasm:func:entry", "a.wasm", "b.wasm"), "unexpected argument b.wasm"),
        (("-e", "wasm:func:entry { }", "a.wasm", "b.wasm"), "unexpected argument b.wasm"),
        (("-e", "wasm:func:entry { }"), "name the APP.wasm"),
        (("--dry-run", "wasm:func:entry", "a.wasm"), "--dry-run needs scripts"),
        (("--monitors", "wasm:func:entry"), "leave out the rest"),
        (("-n", "-1", "wasm:func:entry"), "expected a number"),
        (("-m", "hotnes", "a.wasm"), "did you mean hotness?"),
    ],
)
def test_mistakes(words: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in complaint(capsys, *words)


def test_what_is_no_module_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "text.wasm"
    path.write_text("no module")
    assert main(["info", "wasm:func:entry", str(path)]) == 3
    assert main(["info", "wasm:func:entry", str(tmp_path / "missing.wasm")]) == 3


def test_pc_counts_from_the_declaration_of_locals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """02 01 7f 01 7e are two groups of locals, so the first instruction is at 5."""
    path = tmp_path / "locals.wasm"
    text = '(module (func (export "f") (local i32 i64) nop) (func (export "g") nop))'
    path.write_bytes(wasmtime.wat2wasm(text))
    places = facts(capsys, "wasm:opcode:nop:before", str(path))["places"]
    assert [place["pc"] for place in places] == [5, 1]
