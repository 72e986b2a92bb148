"""The tables of events, and that every variable of every event can be read."""

from __future__ import annotations

import pytest

from tests.lang.samples import loaded
from tests.steps import growth
from whamm_cm.lang.describe import describe
from whamm_cm.lang.events import (
    OPCODE_EVENTS,
    PACKAGES,
    BoundVariable,
    Event,
    event_name,
    opcodes_of,
)
from whamm_cm.lang.source import ScriptError
from whamm_cm.wasm.opcodes import OPCODES


def test_every_opcode_is_an_event_and_every_event_an_opcode() -> None:
    assert {event_name(opcode) for opcode in OPCODES} == set(OPCODE_EVENTS)
    assert sum(len(opcodes_of(name)) for name in OPCODE_EVENTS) == len(OPCODES)


def test_whamm_has_310_of_them_and_they_come_first() -> None:
    known = [event.known for event in PACKAGES["opcode"]]
    assert known.count(True) == 310 and all(known[:310])


@pytest.mark.parametrize(
    ("name", "category", "bytecode"),
    [("nop", "misc", 1), ("typed_select", "control", 0x1C), ("try_table", "table", 0x1F),
     ("memory.copy", "memory", 0xFC0A), ("ref.test_null", "gc", 0xFB15),
     ("i32.atomic.rmw.add", "atomic", 0xFE1E), ("v128.load", "simd", 0xFD00),
     ("i8x16.relaxed_swizzle", "simd", 0xF100), ("try", "exn", 6)],
)  # fmt: skip
def test_constants_of_an_event(name: str, category: str, bytecode: int) -> None:
    assert OPCODE_EVENTS[name].category == category
    constants = OPCODE_EVENTS[name].constants
    assert (constants["opname"], constants["bytecode"]) == (name, bytecode)


@pytest.mark.parametrize(
    ("name", "size", "is_write"),
    [("i32.load", 4, False), ("i64.store8", 1, True), ("v128.load8x8_s", 8, False),
     ("v128.store", 16, True), ("v128.load32_lane", 4, False), ("v128.load64_zero", 8, False),
     ("i64.atomic.rmw16.cmpxchg_u", 2, True)],
)  # fmt: skip
def test_memory_accesses(name: str, size: int, is_write: bool) -> None:
    constants = OPCODE_EVENTS[name].constants
    assert (constants["data_size"], constants["is_write"]) == (size, is_write)
    assert OPCODE_EVENTS[name].find("effective_addr") is not None


def _read(index: int, variable: BoundVariable) -> str:
    name = variable.name[:-1] + "0" if variable.name.endswith("N") else variable.name
    return f"var v{index}: {variable.type or 'i32'} = {name};"


def _probe(event: Event, mode: str) -> str:
    reads = [
        _read(index, variable)
        for index, variable in enumerate(event.variables.values())
        if mode == "after" or not variable.after
    ]
    rule = ":".join(word for word in ("wasm", event.package, event.name, mode) if word)
    return f"{rule} {{ {' '.join(reads)} }}"


def test_every_variable_of_every_event_in_every_mode() -> None:
    """As many probes as whamm's own generated script has, in time that grows with the text."""
    known = [
        _probe(event, mode.text)
        for events in PACKAGES.values()
        for event in events
        for mode in event.modes
        if event.known
    ]
    probes = loaded("\n".join(known)).probes
    assert growth(lambda count: loaded("\n".join(known[:count])), 150) < 2.5
    assert len(probes) == 948
    assert [probe.number for probe in probes] == list(range(948))


def test_every_variable_of_the_other_events() -> None:
    texts = [_probe(event, mode.text) for event in PACKAGES["opcode"] for mode in event.modes
             if not event.known]  # fmt: skip
    assert len(loaded("\n".join(texts)).probes) == len(texts)


def test_describe() -> None:
    (row,) = describe("wasm:opcode:i32.load")
    assert row.name == "wasm:opcode:i32.load" and row.modes == ("before", "after", "alt")
    assert row.encodings == ((0, 0x28),) and row.category == "load" and row.known
    addresses = {v.name: (v.type, v.lifetime, v.defined) for v in row.variables}
    assert addresses["effective_addr"] == ("u32", "dynamic", "addr + offset as u32")
    assert addresses["localN"] == ("", "dynamic", "")
    assert [f.name for f in row.functions] == ["drop_args", "alt_call_by_id", "alt_call_by_name"]
    assert [row.name for row in describe("wasm:func:*")] == ["wasm:func:entry", "wasm:func:exit"]
    with pytest.raises(ScriptError, match="did you mean"):
        describe("wasm:opcode:i32.laod")
