"""Maps that shrink, against dictionaries: what deletes, clears and goes through them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.agree import all_say
from tests.agent.scripted import Script, flat
from tests.agent.test_state import shown
from whamm_cm.agent import layout
from whamm_cm.agent.describe import wit_type
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.variables import VariableSpec
from whamm_cm.emit.script.types import is_handle, leaves
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.valtypes import STR, U32, U64
from whamm_cm.trace.reports import Reports

T = vt.TupleT
HIST, INNER = vt.AggT("hist"), vt.MapT(STR, U32)
KEYS: dict[vt.Type, st.SearchStrategy[Any]] = {
    U64: st.integers(0, 30).map(lambda n: n << 12) | st.integers(0, 2**64 - 1),
    STR: st.text("ab", max_size=3) | st.text(min_size=20, max_size=40),
    T((U32, STR)): st.tuples(st.integers(0, 5), st.text("xyz", max_size=2)),
}
VALUES: dict[vt.Type, st.SearchStrategy[Any]] = {
    U32: st.integers(0, 9),
    STR: st.text(max_size=5),
    HIST: st.lists(st.integers(-5, 500), max_size=4),
    T((U32, HIST)): st.tuples(st.integers(0, 9), st.lists(st.integers(-5, 500), max_size=4)),
    INNER: st.dictionaries(st.text("ab", max_size=2), st.integers(0, 9), max_size=4),
}
TYPES = [vt.MapT(key, value) for key in KEYS for value in VALUES]


def leaf_at(script: Script, at: int, t: vt.Type) -> Any:
    """A scalar, string or id as it lies in the state's memory."""
    if t == STR:
        p, size = struct.unpack("<II", script.read(at, 8))
        return script.read(p, size).decode()
    raw = int.from_bytes(script.read(at, 8), "little")
    return raw & 0xFFFFFFFF if is_handle(t) else raw


def key_at(script: Script, at: int, t: vt.Type) -> Any:
    found = [leaf_at(script, at + 8 * i, leaf) for i, leaf in enumerate(leaves(t))]
    return tuple(found) if isinstance(t, vt.TupleT) else found[0]


class Pair:
    """A map of the runtime, what it ought to be, and what a reader knows of it."""

    def __init__(self, t: vt.MapT) -> None:
        self.t, self.script, self.expected = t, Script(t), dict[Any, Any]()
        self.id = self.script.new(t)
        inner = any(map(is_handle, leaves(t.value)))
        self.inner = self.script._descriptions[t.value] if inner else 0
        self.known = Reports()

    def put(self, key: Any, value: Any) -> None:
        self.script.fill(self.id, self.t, {key: value})
        self.expected[key] = combined(self.t.value, self.expected.get(key), value)

    def delete(self, key: Any) -> None:
        self.script.key(self.t.key, key)
        self.script.map_delete(self.id, self.inner)
        self.expected.pop(key, None)

    def clear(self) -> None:
        self.script.map_clear(self.id, self.inner)
        self.expected.clear()

    def loop(self, doing: Any) -> list[Any]:
        """The keys that a loop meets; ``doing`` is called at each with the key."""
        loop, met = self.script.loop_new(self.id), []
        while at := self.script.loop_next(loop):
            met.append(key_at(self.script, at, self.t.key))
            doing(met[-1])
            assert key_at(self.script, at, self.t.key) == met[-1], "readable when it is gone"
        self.script.loop_end(loop)
        return met

    def report(self) -> None:
        self.script.map_report(0, self.id, self.t)
        builder = SiteTableBuilder()
        builder.add_variable(VariableSpec("script0", "v0", str(self.t), wit_type(self.t)))
        for block in self.script.sent():
            for record in all_say(builder.to_bytes(), block):
                self.known.feed(record)

    def check(self) -> None:
        assert self.script.map_size(self.id) == len(self.expected)
        for key in self.expected:
            self.script.key(self.t.key, key)
            assert self.script.map_get(self.id) != layout.ZEROS
        assert self.loop(lambda key: None) == list(self.expected)

    def check_reports(self) -> None:
        cells = [*self.known.cells()]
        assert len(cells) <= 1
        value = cells[0].value if cells else []
        assert sorted(map(repr, value)) == sorted(map(repr, shown(self.t, self.expected)))


def combined(t: vt.Type, old: Any, new: Any) -> Any:
    """What a value is when another is put where one is: aggregations and maps take it in."""
    if old is None:
        return new
    if isinstance(t, vt.TupleT):
        parts = zip(t.items, flat(t, old), flat(t, new), strict=True)
        return tuple(combined(*part) for part in parts)
    if isinstance(t, vt.AggT):
        return [*old, *new]
    return {**old, **new} if isinstance(t, vt.MapT) else new


@given(st.data(), st.sampled_from(TYPES))
def test_a_map_that_shrinks_is_a_dictionary(data: st.DataObject, t: vt.MapT) -> None:
    pair = Pair(t)
    keys = data.draw(st.lists(KEYS[t.key], min_size=1, max_size=8, unique=True))

    def step(key: Any) -> None:
        match data.draw(st.sampled_from(["put", "put", "put", "delete", "delete", "clear", "no"])):
            case "put":
                pair.put(key, data.draw(VALUES[t.value]))
            case "delete":
                pair.delete(key)
            case "clear":
                if data.draw(st.integers(0, 3)) == 0:
                    pair.clear()

    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["step", "step", "step", "step", "loop", "report"])):
            case "step":
                step(data.draw(st.sampled_from(keys)))
            case "loop":
                there = list(pair.expected)
                gone: set[Any] = set()
                met: list[Any] = []

                def at_each(key: Any, met: list[Any] = met, gone: set[Any] = gone) -> None:
                    met.append(key)
                    before = {*pair.expected}
                    step(data.draw(st.sampled_from(keys)))
                    gone |= before - {*pair.expected}

                assert pair.loop(at_each) == met
                untouched = [key for key in there if key not in gone]
                assert [key for key in met if key not in gone] == untouched
                assert len({*met}) == len(met) and {*met} <= {*there}
            case "report":
                pair.report()
                pair.check_reports()
        pair.check()
    pair.report()
    pair.check_reports()


def test_loops_in_loops_and_an_inner_map_whose_entry_goes() -> None:
    t = vt.MapT(U64, INNER)
    pair = Pair(t)
    pair.put(1, {"a": 1, "b": 2})
    pair.put(2, {"c": 3})
    pair.script.st64(layout.KEY, 1)
    inner = pair.script.ld32(pair.script.map_get(pair.id))
    loop, met = pair.script.loop_new(inner), []
    while at := pair.script.loop_next(loop):
        met.append(leaf_at(pair.script, at, STR))
        pair.delete(1)
        pair.put(1, {"z": 9})
    pair.script.loop_end(loop)
    assert met == ["a"]
    pair.check()
    pair.report()
    pair.check_reports()


HEAP_STEPS = 40_000


@pytest.mark.parametrize("t", [vt.MapT(STR, HIST), vt.MapT(U64, U64), vt.MapT(U64, INNER)], ids=str)
@pytest.mark.parametrize("live", [0, 50])
def test_memory_stays_bounded_however_much_comes_and_goes(t: vt.MapT, live: int) -> None:
    """``live`` keys stay all the time; the others live for eight steps."""
    pair = Pair(t)
    script, pages = pair.script, 0
    value: Any = {HIST: [5], U64: 5, INNER: {"a": 1}}[t.value]

    def key(n: int) -> Any:
        return n if t.key == U64 else f"a path that is never seen twice/{n}"

    for n in range(live):
        script.fill(pair.id, t, {key(1_000_000 + n): value})
    for n in range(HEAP_STEPS if t.value == U64 else HEAP_STEPS // 8):
        script.fill(pair.id, t, {key(n): value})
        if n >= 8:
            script.key(t.key, key(n - 8))
            script.map_delete(pair.id, pair.inner)
        if n == 1000:
            pages = script.memory.size(script.store)
    assert script.map_size(pair.id) == live + 8
    assert script.memory.size(script.store) == pages <= layout.STATE_PAGES + 6


def test_what_was_never_told_is_not_taken_back() -> None:
    """A script that only reports at the end says each entry once, whatever came and went before."""
    pair = Pair(vt.MapT(STR, U32))
    pair.put("a", 1)
    pair.put("b", 2)
    pair.delete("a")
    pair.script.map_report(0, pair.id, pair.t)
    (first,) = pair.script.records()
    assert "anew" not in first and first["value"] == [["b", 2]]
    pair.delete("b")
    pair.script.map_report(0, pair.id, pair.t)
    pair.script.map_report(0, pair.id, pair.t)
    (second,) = pair.script.records()
    assert second["anew"] is True and second["value"] == []


def test_a_large_map_is_told_anew_in_several_records_of_which_the_first_says_so() -> None:
    pair = Pair(vt.MapT(U64, U64))
    for n in range(5000):
        pair.put(n, n)
    pair.report()
    pair.delete(17)
    pair.script.map_report(0, pair.id, pair.t)
    records = pair.script.records()
    assert [r.get("anew", False) for r in records] == [True] + [False] * (len(records) - 1)
    assert len(records) > 3
    for record in records:
        pair.known.feed(record)
    pair.check_reports()


def test_an_aggregation_that_is_cleared_begins_anew() -> None:
    for name in ("hist", "min", "max", "avg"):
        t = vt.AggT(name)
        script = Script(t)
        id = script.new(t)
        script.fill(id, t, [3, 70])
        script.agg_clear(id)
        script.report_agg(0, 0, id)
        script.fill(id, t, [5])
        script.report_agg(0, 0, id)
        assert [r["value"] for r in script.records()] == [shown(t, []), shown(t, [5])]
    script.agg_clear(0)
