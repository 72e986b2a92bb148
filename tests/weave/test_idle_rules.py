"""Rules that match no place: said of each kind of rule, with its place and the reason."""

from __future__ import annotations

import pytest
import wasmtime

from fixtures.build import path_of
from whamm_cm import load
from whamm_cm.errors import UsageError, WhammError

COMMAND = load(path_of("command"))
SCRIPT = """wasm:func:entry(arg0: f32) { report var a: u32; a++; }
wasm:opcode:i32.atomic.load:before { report var b: u32; b++; }
wasm:opcode:call:before / fname == "nothing" / { report var c: u32; c++; }
wasm:opcode:call(arg0: f32):before { report var d: u32; d++; }
wasm:task:end { }
wasm:stream:read { }
wasi:keyvalue/*#*:before { trace; }
wasi:random/*#*:before / func == "x" / { trace; }
wasi:keyvalue/store#bucket.get:before { trace; }
wasm:opcode:call:before { report var f: u32; f++; }
wasm:begin { }
wasi:random/*#*:before|after { trace; }
"""
TYPES = "no place has operands or locals of these types"
FALSE = "the predicate is false at every place"
NAMES = "no function of the component has that side, interface, version and name"
IDLE = {
    1: TYPES,
    2: "there is no such place in the core modules",
    3: FALSE,
    4: TYPES,
    5: "no asynchronous component",
    6: "no stream is copied like that",
    7: NAMES,
    8: FALSE,
    9: NAMES,
}


def idle(script: str, app: object = COMMAND, **more: object) -> list[str]:
    warnings = app.weave(trace="none", scripts=[("S.mm", script)], **more).warnings  # type: ignore[attr-defined]
    return [one for one in warnings if "no match" in one and "sites)" not in one]


def test_a_rule_that_matches_nothing_says_so_whatever_it_is() -> None:
    rules = [line.partition(" {")[0].partition(" /")[0] for line in SCRIPT.splitlines()]
    wanted = {f"no match: {rules[n - 1]} (S.mm:{n}:1): {why}" for n, why in IDLE.items()}
    assert set(idle(SCRIPT)) == wanted


def test_a_marked_rule_may_match_nothing() -> None:
    assert idle("".join(f"?{line}\n" for line in SCRIPT.splitlines())) == []


def test_in_plain_modules_too_but_not_as_whamm() -> None:
    module = load(bytes(wasmtime.wat2wasm('(module (func (export "_start") nop))')))
    text = "wasm:opcode:br:before { report var a: u32; a++; }\n?wasi:io/*#*:before { }"
    assert len(idle(text, module)) == 1
    assert idle(text, module, compat=True) == []
    with pytest.raises(WhammError, match="no WIT boundary"):
        idle("wasi:io/*#*:before { }", module)


def test_all_that_does_not_fit_the_component_is_said() -> None:
    with pytest.raises(UsageError) as caught:
        idle("""acme:shop/cart#add:before { }
wasi:random/random#get-random-bytes:before / len == "x" / { nothing++; }
wasi:random/random#*:before { lem++; }
""")
    said = str(caught.value)
    places = [said.find(f"S.mm:{at}") for at in ("1:1", "2:46", "2:61", "3:31")]
    assert -1 not in places and places == sorted(places)
