"""state.wasm against Python: strings, maps, aggregations, what is reported and printed."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.harness import State
from tests.agent.scripted import Script, flat
from tests.strategies import floats, texts
from whamm_cm.agent import layout
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import SiteTable
from whamm_cm.agent.variables import Cells, VariableSpec
from whamm_cm.emit.script.env import MAPS, RUNTIME, TEXTS
from whamm_cm.emit.script.types import leaves
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.valtypes import BOOL, F32, F64, I8, I16, I32, I64, STR, U8, U16, U32, U64
from whamm_cm.render.whamm import float_text, value_text
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.floats import shortest32
from whamm_cm.trace.reports import Reports
from whamm_cm.wit.types import Prim

T = vt.TupleT
AGGS = [
    *map(vt.AggT, ("hist", "min", "max", "avg", "stats", "quantize")),
    *(vt.AggT("lhist", bounds) for bounds in ((0, 100, 10), (-50, 7, 13), (0, 1 << 62, 1 << 61))),
]
INTS = {
    kind: (-(1 << bits - 1) * signed, (1 << bits - signed) - 1)
    for bits, signed, kind in (
        *((8, 0, U8), (8, 1, I8), (16, 0, U16), (16, 1, I16)),
        *((32, 0, U32), (32, 1, I32), (64, 0, U64), (64, 1, I64)),
    )
}


def values(t: vt.Type) -> st.SearchStrategy[Any]:
    match t:
        case vt.TupleT(items):
            return st.tuples(*map(values, items))
        case vt.MapT(key, value):
            return st.dictionaries(values(key), values(value), max_size=5)
        case vt.AggT():
            return st.lists(st.integers(-(1 << 40), 1 << 62), max_size=5)
    if t in INTS:
        return st.integers(*INTS[t])
    if t in (F32, F64):
        return st.sampled_from([0.0, -1.5, 0.25, 1e10, 3.0])
    return st.booleans() if t == BOOL else texts()


def types(key: bool = False) -> st.SearchStrategy[vt.Type]:
    scalars = st.sampled_from([*INTS, F32, F64, BOOL, STR])
    if key:
        inner = st.lists(scalars, min_size=2, max_size=3).map(lambda ts: T(tuple(ts)))
        pairs = st.tuples(scalars, inner).map(T)
        return scalars | inner | pairs
    aggs = st.sampled_from(AGGS)
    maps = st.tuples(types(key=True), scalars | aggs).map(lambda kv: vt.MapT(*kv))
    return types(key=True) | aggs | maps


def bucket(t: vt.AggT, x: int) -> int:
    """The least sample of a bucket; of powers below zero the greatest."""
    if t.name == "lhist":
        low, high, step = t.bounds
        return -(1 << 63) if x < low else high if x >= high else x - (x - low) % step
    if x <= 0 and (t.name == "hist" or not x):
        return 0
    return (1 << abs(x).bit_length() - 1) * (-1 if x < 0 else 1)


def shown(t: vt.Type, value: Any) -> Any:
    """A value as a report has it."""
    match t:
        case vt.TupleT(items):
            return [shown(*each) for each in zip(items, value, strict=True)]
        case vt.MapT(key, inner):
            return [[shown(key, k), shown(inner, v)] for k, v in value.items()]
        case vt.AggT("hist" | "lhist" | "quantize"):
            lows = [bucket(t, x) for x in value]
            return [[low, lows.count(low)] for low in sorted({*lows})]
        case vt.AggT("avg" | "stats"):
            wrapped = (sum(value) + (1 << 63)) % (1 << 64) - (1 << 63)  # sums wrap like any i64
            return [len(value), shown(I64, wrapped)]
        case vt.AggT(name):
            chosen = min(value) if name == "min" and value else max(value, default=None)
            return None if chosen is None else shown(I64, chosen)
    return value


# --- what it is made of --------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["", "-texts", "-maps", "-all"])
def test_exports_are_those_that_scripts_call(variant: str) -> None:
    state = State(wasm=f"state{variant}.wasm")
    left_out = {"": {**TEXTS, **MAPS}, "-texts": MAPS, "-maps": TEXTS}.get(variant, {})
    heap_base = state.exports["__heap_base"].value(state.store)
    assert 8192 < heap_base <= 16384
    for name, (params, results) in RUNTIME.items():
        if name in left_out:
            assert name not in state.exports
            continue
        kind = state.exports[name].type(state.store)
        assert (tuple(map(str, kind.params)), tuple(map(str, kind.results))) == (params, results)
    assert state.memory.size(state.store) == layout.STATE_PAGES


def test_addresses_are_those_of_the_layout() -> None:
    script = Script()
    heap_base = script.exports["__heap_base"].value(script.store)
    assert layout.KEY + 8 * layout.KEY_FIELDS == layout.ZEROS
    assert layout.ZEROS + 16 * layout.VALUE_FIELDS <= 8192 < heap_base <= 16384
    assert script.map_get(script.map_new(1, 0, 8)) == layout.ZEROS
    assert script.read(layout.ZEROS, 8 * layout.VALUE_FIELDS) == bytes(8 * layout.VALUE_FIELDS)
    assert script.alloc(1) >= layout.STATIC


@pytest.mark.parametrize("number", [0, 1, -1, 0x0123456789ABCDEF])
def test_loads_and_stores(number: int) -> None:
    state, at = State(), layout.STATIC
    for name, bits in (("8u", 8), ("16u", 16), ("32", 32), ("64", 64)):
        mask = (1 << bits) - 1
        state.exports[f"st{name.rstrip('u')}"](state.store, at, number)
        assert state.exports[f"ld{name}"](state.store, at) & mask == number & mask
        assert int.from_bytes(state.read(at, bits // 8), "little") == number & mask
    state.stf32(at, 1.5)
    state.stf64(at + 8, -0.1)
    assert (state.ldf32(at), state.ldf64(at + 8)) == (1.5, -0.1)


# --- strings and memory --------------------------------------------------------------------------


@given(st.text("ab", max_size=20), st.text("ab", max_size=4))
def test_comparing_strings(a: str, b: str) -> None:
    script = Script()
    for one, other in ((a, b), (a, a[:9]), (a, a[2:]), (b, a)):
        given = (*script.text(one), *script.text(other))
        assert script.str_eq(*given) == (one == other)
        assert script.str_starts(*given) == one.startswith(other)
        assert script.str_ends(*given) == one.endswith(other)
        assert script.str_contains(*given) == (other in one)


def test_kept_strings_are_one_and_outlive_the_ring() -> None:
    script = Script()
    words = [f"word {i}" * (i % 7) for i in range(3000)]
    kept = {word: script.str_keep(*script.text(word)) for word in words}
    for word, at in kept.items():
        assert script.read(at, len(word)) == word.encode()
        assert script.str_keep(*script.text(word)) == at
    assert len(set(kept.values())) == len(kept)


def test_the_ring_is_a_ring() -> None:
    state = State()
    seen = [state.tmp(layout.MAX_TMP) for _ in range(8)]
    assert seen[:4] == seen[4:] and len(set(seen)) == 4
    assert all(at + layout.MAX_TMP <= layout.STATIC for at in seen)
    assert state.tmp(1 << 30) in seen, "longer than a string may be: only so much is given"


def test_what_is_freed_is_given_again() -> None:
    state = State()
    given = [state.alloc(100) for _ in range(10)]
    assert all(at % 8 == 0 for at in given) and len({at // 100 for at in given}) == 10
    for at in given:
        state.free(at)
    state.free(0)
    assert sorted(state.alloc(100) for _ in range(10)) == sorted(given)


def test_without_memory_everything_goes_on_and_is_counted() -> None:
    script = Script(vt.MapT(U32, U32), U32)
    id = script.map_new(1, 0, 8)
    while script.alloc(1 << 20):
        pass
    while script.alloc(16):
        pass
    script.write(layout.KEY, struct.pack("<Q", 7))
    before = script.agent.get(layout.DROPPED)
    assert script.map_new(1, 0, 8) == 0 and script.agg_new(0) == 0
    at = script.map_at(id)
    script.st64(at, 99)
    assert script.map_at(id) == at and script.ld64(at) == 0 and script.map_size(id) == 0
    assert script.map_at(0) == at and script.map_get(0) == layout.ZEROS
    for none in (id, 0):
        script.map_add_one(none, 7, 99)
        assert script.map_at_one(none, 7) == at and script.ld64(at) == 0
    p, size = script.text("lost")
    assert script.str_keep(p, size) == p
    assert script.agent.get(layout.DROPPED) == before + 10
    script.agg_add(0, 5)
    script.map_report(0, id, vt.MapT(U32, U32))
    script.report_agg(0, 0, 0)
    for _ in range(3):  # it cannot be remembered what was sent
        script.report_cell(1, 0, 0, 4, 8)
    assert [record["value"] for record in script.records() if record["phase"] == "report"] == [
        8
    ] * 3


# --- maps ----------------------------------------------------------------------------------------


@given(st.data(), types(key=True), st.sampled_from([U64, T((U32, STR))]))
def test_a_map_is_a_dictionary(data: st.DataObject, key: vt.Type, value: vt.Type) -> None:
    t = vt.MapT(key, value)
    script = Script(t)
    id, expected = script.new(t), {}
    for _ in range(data.draw(st.integers(0, 8))):
        some = data.draw(values(t))
        script.fill(id, t, some)
        expected |= some
    assert script.map_size(id) == len(expected)
    for each, wanted in expected.items():
        script.key(key, each)
        at = script.map_get(id)
        assert at != layout.ZEROS
        for i, (leaf, part) in enumerate(zip(leaves(value), flat(value, wanted), strict=True)):
            if leaf == STR:
                p, size = struct.unpack("<II", script.read(at + 8 * i, 8))
                assert script.read(p, size) == part.encode()
            else:
                assert script.read(at + 8 * i, 8) == script.leaf(leaf, part)
    script.key(key, data.draw(values(key).filter(lambda each: each not in expected)))
    assert script.map_get(id) == layout.ZEROS


def test_a_large_map_keeps_addresses_and_the_order_of_arrival() -> None:
    t = vt.MapT(U32, U32)
    script = Script(t)
    id = script.new(t)
    addresses = {}
    for i in range(8000):
        script.st64(layout.KEY, i * 7919 % 65537)
        addresses[i * 7919 % 65537] = at = script.map_at(id)
        script.st64(at, i)
    for key, at in list(addresses.items())[::41]:
        script.st64(layout.KEY, key)
        assert script.map_get(id) == at
    reports = Reports()
    script.map_report(0, id, t)
    for record in script.records():
        assert len(record["value"]) <= layout.MAX_RECORD / 8
        reports.feed(record)
    (cell,) = reports.cells()
    assert cell.value == [[i * 7919 % 65537, i] for i in range(8000)]


WORDS = st.integers(0, 40).map(lambda n: n << 12) | st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(WORDS, WORDS, st.booleans()), max_size=60))
def test_what_is_counted_by_an_integer(events: list[tuple[int, int, bool]]) -> None:
    """In one call, or in several by the address of the value or the key's."""
    t = vt.MapT(U64, U64)
    script = Script(t)
    id, expected = script.new(t), dict[int, int]()
    for key, amount, at_once in events:
        if at_once:
            script.map_add_one(id, key, amount)
        else:
            at = script.map_at_one(id, key)
            script.st64(at, script.ld64(at) + amount)
        expected[key] = (expected.get(key, 0) + amount) % 2**64
    assert script.map_size(id) == len(expected)
    for key, value in expected.items():
        script.st64(layout.KEY, key)
        assert int.from_bytes(script.read(script.map_get(id), 8), "little") == value
    reports = Reports()
    script.map_report(0, id, t)
    for record in script.records():
        reports.feed(record)
    assert [cell.value for cell in reports.cells()] == [[*map(list, expected.items())]] * bool(
        expected
    )


def test_growing_loses_no_count() -> None:
    t = vt.MapT(U64, U64)
    script = Script(t)
    id = script.new(t)
    for turn in range(3):
        for key in range(0, 5000 << 12, 1 << 12):
            script.map_add_one(id, key, key + turn)
    for key in range(0, 5000 << 12, 1 << 12):
        assert script.ld64(script.map_at_one(id, key)) == 3 * key + 3
    assert script.map_size(id) == 5000


def test_only_entries_asked_for_since_are_reported_again() -> None:
    t = vt.MapT(STR, U32)
    script = Script(t)
    id = script.new(t)
    script.fill(id, t, {"a": 1, "b": 2, "c": 3})
    script.map_report(0, id, t)
    script.map_report(0, id, t)
    script.fill(id, t, {"b": 5})
    script.map_report(0, id, t)
    assert [r["value"] for r in script.records()] == [[["a", 1], ["b", 2], ["c", 3]], [["b", 5]]]


def test_a_string_that_fills_a_record_is_cut() -> None:
    t = vt.MapT(STR, STR)
    script = Script(t)
    id = script.new(t)
    script.fill(id, t, {"k" * 9000: "v" * 9000, "short": "x"})
    script.map_report(0, id, t)
    first, second = script.records()
    ((key, value),) = first["value"]
    assert key == "k" * 9000 and value["~cut"] == 9000 and len(value["~str"]) > 7000
    assert second["value"] == [["short", "x"]]


# --- reports -------------------------------------------------------------------------------------


@given(st.data(), types())
def test_any_value_is_reported(data: st.DataObject, t: vt.Type) -> None:
    script, value = Script(t), data.draw(values(t))
    if isinstance(t, vt.MapT | vt.AggT):
        id = script.new(t)
        script.fill(id, t, value)
        if isinstance(t, vt.MapT):
            script.map_report(0, id, t)
        else:
            script.report_agg(0, 0, id)
    else:
        record(script, t, value)
    reports = Reports()
    for each in script.records():
        assert (each["phase"], each["var"], each["type"]) == ("report", "v0", str(t))
        reports.feed(each)
    found = [cell.value for cell in reports.cells()]
    assert found == [shown(t, value)] or (not found and not any(flat(t, value)))


def record(script: Script, t: vt.Type, value: Any) -> None:
    """What generated code does for a value that is neither scalar nor a map."""
    from whamm_cm.emit.script.types import image_offsets

    offsets, size = image_offsets(t)
    script.rec_begin(0, 0)
    for leaf, part, at in zip(leaves(t), flat(t, value), offsets, strict=True):
        word = script.leaf(leaf, part)
        wide = {"bool": 1, "str": 8, "f32": 4, "f64": 8}.get(leaf.name) or int(leaf.name[1:]) // 8
        script.rec_put(at, wide, int.from_bytes(word, "little"))
        if leaf == STR:
            script.rec_str(*struct.unpack("<II", word))
    script.rec_end(size)


def test_a_scalar_is_reported_when_it_has_changed() -> None:
    script = Script(U32, I64)
    for value in (0, 5, 5, 0, 6):
        script.report_cell(0, 0, 0, 4, value)
        script.report_cell(1, 0, 100_000, 8, -value)
    found = [(r["var"], r["value"]) for r in script.records()]
    assert found == [(v, s * x) for x in (5, 0, 6) for v, s in (("v0", 1), ("v1", -1))]


def test_a_tuple_is_reported_when_it_has_changed() -> None:
    t = T((U8, STR))
    script = Script(t)
    for value in ((0, ""), (1, "a"), (1, "a"), (0, ""), (0, "b")):
        script.rec_begin(0, 0)
        script.rec_put(0, 1, value[0])
        script.rec_put(8, 4, len(value[1]))
        script.rec_str(*script.text(value[1]))
        script.rec_end(12)
    assert [r["value"] for r in script.records()] == [[1, "a"], [0, ""], [0, "b"]]


def lengthy(script: Script, cells: int) -> None:
    at = script.alloc(10_000)
    for cell in range(cells):
        script.rec_begin(0, cell)
        script.rec_put(4, 4, 10_000 + cell)
        script.rec_str(at, 10_000)
        script.rec_end(8)


@pytest.mark.parametrize("draining", [True, False])
def test_a_long_report_drains_the_buffer_or_counts_what_is_lost(draining: bool) -> None:
    builder, cells = SiteTableBuilder(), Cells()
    cells.extend(range(300), range(300), [""] * 300)
    builder.add_variable(VariableSpec("s", "v", "str", Prim("string")), cells)
    receiver, script = Receiver(SiteTable.parse(builder.to_bytes())), Script(draining=draining)
    lengthy(script, 300)
    records = [r for block in script.sent() for r in receiver.receive(block).records]
    dropped = sum(r["lost"] for r in records if r["phase"] == "lost")
    kept = [r["fid"] for r in records if r["phase"] == "report"]
    assert kept == list(range(len(kept))) and len(kept) + dropped == 300
    assert bool(dropped) != draining
    lengthy(script, 300)
    again = [r for block in script.sent() for r in receiver.receive(block).records]
    found = [r["fid"] for r in again if r["phase"] == "report"]
    assert found == list(range(len(kept), len(kept) + len(found))), "what found no room, now does"
    assert len(found) == (0 if draining else len(kept))


# --- prints --------------------------------------------------------------------------------------


def printed(script: Script) -> list[str]:
    return [record["text"] for record in script.records()]


def test_a_print_is_one_record() -> None:
    script = Script()
    script.print_begin(script.print_site)
    script.print_str(*script.text("é: "))
    for name, value in (("i64", -(1 << 63)), ("u64", -1), ("bool", 1), ("bool", 0)):
        script.exports[f"print_{name}"](script.store, value)
    for char in ("A", "é", "€", "😀"):
        script.print_char(ord(char))
    script.print_char(0xD800)
    script.print_end()
    text = "é: -922337203685477580818446744073709551615truefalseAé€😀\ufffd"
    (found,) = script.records()
    assert (found["phase"], found["text"], found["script"]) == ("print", text, "script0")
    assert "raw" not in found


@given(st.lists(floats(64), max_size=20))
def test_floats_print_as_repr_and_as_whamm_does(numbers: list[float]) -> None:
    script = Script()
    for number in numbers:
        for name in ("f64", "exp64", "f32", "exp32"):
            script.print_begin(script.print_site)
            value = number if "64" in name else single(number)
            script.exports[f"print_{name}"](script.store, value)
            script.print_end()
    expected = []
    for number in numbers:
        small = single(number)
        short = shortest32(small) if math.isfinite(small) else small
        for each in (number, short):
            word = str(each) if not math.isfinite(each) else None
            expected += [repr(each), float_text(word if word else each)]
    assert printed(script) == expected


def single(number: float) -> float:
    try:
        found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return math.inf
    return found


def test_a_print_that_is_too_long_is_cut() -> None:
    script = Script()
    script.print_begin(script.print_site)
    for _ in range(3):
        script.print_str(*script.text("x" * 10_000))
    script.print_end()
    (found,) = script.records()
    assert found["text"]["~cut"] == 30_000 and len(found["text"]["~str"]) > 16_000


def test_raw_text_of_any_length_comes_whole() -> None:
    script = Script()
    text = "né€😀" * 20_000
    data = text.encode()
    at = script.alloc(len(data))
    script.write(at, data)
    script.raw_print(script.print_site, at, len(data))
    script.raw_print(script.print_site, at, 0)
    records = script.records()
    assert "".join(record["text"] for record in records) == text
    assert all(record["raw"] is True for record in records) and len(records) > 1


@given(st.data(), types(key=True).filter(lambda t: not {F32, F64} & {*leaves(t)}))
def test_a_map_is_printed_in_the_order_of_its_keys(data: st.DataObject, key: vt.Type) -> None:
    t = vt.MapT(key, I32)
    script = Script(t)
    id, value = script.new(t), data.draw(values(t))
    script.fill(id, t, value)
    text = script.map_print(id, t, rows=False)
    pairs = [[shown(key, k), v] for k, v in value.items()]
    assert text == value_text(t, pairs)
    rows = script.map_print(id, t, rows=True)
    assert rows == (text.replace("->", ", ").replace(";", "\n") + "\n" if value else text) or any(
        isinstance(part, str) for k in value for part in flat(key, k)
    )
