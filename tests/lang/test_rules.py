"""Which events and functions a match rule means."""

from __future__ import annotations

import pytest

from tests.lang.samples import loaded, site
from whamm_cm.lang.tree import Probe
from whamm_cm.lang.valtypes import F32, I32, I64


def rules(text: str) -> list[str]:
    return [probe.rule for probe in loaded(text).probes]


def probe(text: str) -> Probe:
    (found,) = loaded(text).probes
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("wasm:begin", ["wasm:begin:<no-mode>"]),
        ("wasm:report", ["wasm:report:<no-mode>"]),
        ("wasm:func:entry", ["wasm:func:entry:<no-mode>"]),
        ("wasm:func:*", ["wasm:func:entry:<no-mode>", "wasm:func:exit:<no-mode>"]),
        ("WASM:Opcode:CALL:Before", ["wasm:opcode:call:before"]),
        ("wasm::*if:before", ["wasm:opcode:if:before", "wasm:opcode:br_if:before"]),
        (":opcode:br:alt", ["wasm:opcode:br:alt"]),
        ("wasm:opcode:{br,br_if}:at_target",
         ["wasm:opcode:br:semantic_after", "wasm:opcode:br_if:semantic_after"]),
        ("wasm:opcode:br_table|nop:before",
         ["wasm:opcode:nop:before", "wasm:opcode:br_table:before"]),
        ("wasm:opcode:unreachable:*",
         ["wasm:opcode:unreachable:alt", "wasm:opcode:unreachable:before"]),
        ("wasm:opcode:loop:after|alt",
         ["wasm:opcode:loop:semantic_after", "wasm:opcode:loop:block_alt"]),
        ("wasm:opcode:i32.eq[z]:before", ["wasm:opcode:i32.eqz:before"]),
        ("wasm : opcode : call : before", ["wasm:opcode:call:before"]),
    ],
)  # fmt: skip
def test_expansion(rule: str, expected: list[str]) -> None:
    assert rules(rule + " { }") == expected


def test_modes_keep_the_word_of_the_rule() -> None:
    found = loaded("wasm:opcode:loop:* { }").probes
    assert [p.mode for p in found] == ["before", "after", "alt", "entry", "exit"]


def test_numbers_count_expanded_probes_of_whamm_first() -> None:
    found = loaded("wasm:opcode:*:before { } wasm:func:entry { } wasm:opcode:nop:before { }")
    by_rule = {(p.rule, p.number) for p in found.probes}
    assert ("wasm:opcode:call:before", 14) in by_rule
    assert ("wasm:opcode:i32.const:before", 51) in by_rule
    assert ("wasm:func:entry:<no-mode>", 310) in by_rule
    assert ("wasm:opcode:nop:before", 311) in by_rule
    numbers = [p.number for p in found.probes]
    assert sorted(numbers) == list(range(len(numbers)))
    assert min(p.number for p in found.probes if p.event.startswith("v128")) > 311


def test_bounds_of_all_parts_are_one() -> None:
    found = probe("wasm(local0: i32):opcode:call(arg0: f32, arg2: i64):before { }")
    assert dict(found.bounds) == {"local0": I32, "arg0": F32, "arg2": I64}


def test_the_body_implies_bounds() -> None:
    found = probe("wasm:opcode:call:before { var v: i64 = arg1; local3 = 2 + fid as i32; }")
    assert dict(found.bounds) == {"arg1": I64, "local3": I32}


def test_events_beyond_whamm_drop_out_of_globs_they_do_not_fit() -> None:
    names = {p.event for p in loaded("wasm:opcode:*load:before / data_size == 4 / { }").probes}
    assert "i32.load" in names and "v128.load" in names
    names = {p.event for p in loaded("wasm:opcode:*.const:before / imm0 == 1 / { }").probes}
    assert "i32.const" in names and "v128.const" not in names


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("wasi:sockets/tcp#tcp-socket.start-connect:before", True),
        ("wasi:sockets/tcp@0.2#tcp-socket.start-connect:before", True),
        ("wasi:sockets/tcp@0.2.1#tcp-socket.start-connect:before", False),
        ("wasi:sockets/tcp@=0.2.0#tcp-socket.start-connect:before", True),
        ("wasi:sockets/tcp@=0.2.3#tcp-socket.start-connect:before", False),
        ("wasi:sockets/tcp#[method]tcp-socket.start-connect:before", True),
        ("wasi:sockets/*#*:before", True),
        ("wasi:*#*connect:before", True),
        ("wasi:{http,sockets}/*#*:before", True),
        ("wasi:http/*#*:before", False),
        ("WASI:sockets/tcp#*:before", False),
        ("wit:import:wasi:sockets/tcp#*:before", True),
        ("wit:export:wasi:sockets/tcp#*:before", False),
        ("wit:*:*#*:before", True),
        ("wit:import:*:before", True),
        ("wit:import|export:wasi:*/tcp#*:before", True),
        ("wit:export:#run:before", False),
    ],
)
def test_wit_rules(rule: str, matches: bool) -> None:
    (found,) = loaded(rule + " { }").wit_rules
    assert found.matches(site()) is matches


def test_a_star_in_a_wit_rule_begins_no_comment() -> None:
    scripts = loaded("wasi:*/*#*:after { /* a comment with #x:before */ } // wasi:*/*#*:before")
    assert [rule.mode for rule in scripts.wit_rules] == ["after"]


def test_all_modes_of_a_boundary() -> None:
    scripts = loaded("wit:import:wasi:*#*:* { }")
    assert [(rule.mode, rule.number) for rule in scripts.wit_rules] == [
        ("before", 0), ("after", 1), ("alt", 2)
    ]  # fmt: skip


def test_a_predicate_may_stand_right_behind_the_mode() -> None:
    assert probe("wasm:opcode:call:before/fid / 2 == 1/{ }").predicate is not None
