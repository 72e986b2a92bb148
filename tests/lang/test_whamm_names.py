"""Words that are ours and not whamm's are names like any others in a script that declares them."""

from __future__ import annotations

import re

import pytest

from whamm_cm.lang.builtins import ACTS, EVENT_FUNCTIONS, FUNCTIONS
from whamm_cm.lang.calls import WORDS
from whamm_cm.lang.events import PACKAGES
from whamm_cm.lang.load import load
from whamm_cm.lang.tables import GRAMMAR
from whamm_cm.lang.tree import Call
from whamm_cm.lang.types import AGGREGATIONS
from whamm_cm.lang.walk import walk

#: whamm has these as well.
_RESERVED = {"if", "while", "return"}
_NUMBERED = re.compile(r"(?:arg|res|imm|local|param)\d*N?")
_KEYWORDS = re.findall(r"^[A-Z_]+(?:\.\d)?: /([a-z]+)", GRAMMAR.read_text("utf-8"), re.M)
_BOUND = {name for events in PACKAGES.values() for event in events for name in event.variables}
_OTHERS = "frame shared numeric int float any map else true_ component file line stack static init"
NAMES = sorted(
    name
    for name in {
        *_KEYWORDS,
        *FUNCTIONS,
        *ACTS,
        *EVENT_FUNCTIONS,
        *AGGREGATIONS,
        *WORDS,
        *_BOUND,
        *_OTHERS.split(),
    }  # fmt: skip
    if name.isidentifier() and name not in _RESERVED and not _NUMBERED.fullmatch(name)
)
AS_VARIABLE = """var NAME: i32; report var m: map<i32, i32>;
wasm:opcode:call:before / NAME < 5 / {
    NAME++; NAME = NAME + 1; NAME--;
    if (NAME > 3) { NAME = 0; } elif (NAME == 1 && !(NAME == 2)) { m[NAME] = NAME; }
    var x: i32 = NAME; x = NAME * 2 - NAME; x = NAME > 2 ? NAME : 3; x = (NAME as u32) as i32;
}
wasm:opcode:br:before {
    var NAME: u32; NAME = 3; var y: u32 = NAME % 2; report var z: bool; z = y == NAME;
}
wasm:opcode:br_if:before { unshared var NAME: u32; NAME++; }"""
AS_FUNCTION = """fn NAME(NAME: i32) -> i32 { return NAME + 1; }
wasm:opcode:call:before { var q: i32 = NAME(3); NAME(4); }"""


def test_there_are_many() -> None:
    assert {"in", "fn", "trace", "print", "delete", "const", "task", "fid", "use"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_may_have_that_name(name: str) -> None:
    assert len(load([("s", AS_VARIABLE.replace("NAME", name))]).probes) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_function_may_have_that_name_and_is_the_one_that_is_called(name: str) -> None:
    found = load([("s", AS_FUNCTION.replace("NAME", name))])
    (probe,) = found.probes
    called = [node.function for node in walk(*probe.body) if isinstance(node, Call)]
    assert called == [found.functions[0]] * 2
