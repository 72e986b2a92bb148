"""Weaving what is woven already: names that are free, and what stays of the first weave."""

from __future__ import annotations

from typing import Any

import pytest
from wasmtime import WasiConfig

from tests.weave import guests
from tests.weave.host import Guest, Sink, everything, text
from tests.weave.test_sinks import log_host
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.errors import WeaveError
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.supply import Names, import_names


def exported(edge: str, interface: str, version: str | None, func: str) -> bool:
    return edge == "export"


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("first", ["stderr", "logging", "none"])
def test_force_weaves_again(first: Any, timed: bool) -> None:
    """The second weave finds names for its own imports beside those of the first."""
    once = weave(guests.INNER_TICKER, Plan(trace=everything, sink=first, timed=timed))
    woven = weave(once.wasm, Plan(trace=exported, sink="host", timed=timed, force=True))
    sink = Sink(woven)
    guest = Guest(woven.wasm, log_host([]), sink, WasiConfig())
    assert guest.call("go", 3) == 3
    assert [(r["func"], r["phase"]) for r in sink.records] == [("go", "call"), ("go", "return")]


@pytest.mark.parametrize("sink", ["stderr", "logging"])
def test_force_weaves_a_third_time(sink: Any) -> None:
    wasm = guests.INNER_TICKER
    for number in ("", "2", "3"):
        wasm = weave(wasm, Plan(trace=everything, sink=sink, timed=True, force=True)).wasm
        names = {name for part in walk(decode(wasm)) for name in import_names(part)}
        assert {f"whamm-cm-emit{number}", f"whamm-cm-now{number}"} <= names
    assert Guest(wasm, log_host([]), None, WasiConfig()).call("go", 3) == 3


def test_names_that_differ_in_case_only_are_taken() -> None:
    inner = '(component (import "whamm-CM-emit" (func)) (import "whamm-cm-now2" (func)))'
    root = decode(text(f"(component (component) {inner})"))
    sampling = {"seed": "whamm-cm-seed", "share": "whamm-cm-share"}
    assert Names.free(root) == Names("whamm-cm-emit2", "whamm-cm-now", sampling=sampling)


def test_the_hosts_sink_can_be_there_once() -> None:
    once = weave(guests.INNER_TICKER, Plan(trace=everything, sink="host"))
    with pytest.raises(WeaveError, match="again.wasm imports whamm:cm/sink already"):
        weave(once.wasm, Plan(trace=everything, sink="host", force=True), "again.wasm")
    # Nothing to send: nothing in the way, and the records of the first weave can be read.
    again = weave(once.wasm, Plan(sink="host", force=True))
    assert again.table == once.table
    sink = Sink(again)
    assert Guest(again.wasm, None, sink).call("go", 1) == 1
    assert len(sink.records) == 6
