"""WIT paths in wrappers yield what the guest's values say, and nothing ever traps."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import replace
from typing import Any

import pytest
import wasmtime as wt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit.canon import Guest, core_value
from tests.emit.event_rig import runtime
from tests.emit.paths_of import MAX_TEXT, Probe, bits_of, paths
from tests.emit.rig import agent_module, engine, memory_module
from tests.strategies import values_of, wit_funcs
from whamm_cm.abi.flatten import core_signature
from whamm_cm.abi.layout import layouts
from whamm_cm.agent.layout import STATIC
from whamm_cm.emit.memory import Agent
from whamm_cm.emit.memory import Guest as GuestPlace
from whamm_cm.emit.model import Wrapper
from whamm_cm.emit.script.env import RUNTIME
from whamm_cm.emit.texts import State, Texts
from whamm_cm.emit.wit_texts import NEEDS, How, WitTexts
from whamm_cm.emit.wit_values import Place, Values, parameters
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import (
    FuncT,
    ListT,
    OptionT,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

ENCODINGS = ("utf8", "utf16", "latin1+utf16")
STRING, U32 = Prim("string"), Prim("u32")
EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "150"))
PAGES = 4
TOP = (1 << 32) - 1


class Reader:
    """A module with one function per path, ``q<i>``, that takes the wrapper's parameters."""

    def __init__(
        self,
        w: Wrapper,
        probes: list[Probe],
        multi_memory: bool,
        reps: frozenset[Resource] = frozenset(),
        hidden: bool = False,
    ) -> None:
        module = Module()
        self._strings: dict[str, tuple[int, int]] = {}
        self._data = bytearray()
        state = module.import_memory("script", "memory", MemoryType()) if multi_memory else None
        memory = module.import_memory("guest", "m", MemoryType(is64=w.ptr == 8))
        names = ("tmp", "st8", "st64", "ld8u", *NEEDS)
        found = {name: module.import_func("script", name, *RUNTIME[name]) for name in names}
        puts = {"put8": found["st8"], "put64": found["st64"]}
        guest = GuestPlace(memory, w.ptr == 8, 16)
        access = State(Agent(module, state, puts), state, found["ld8u"], found["tmp"])
        texts = Texts(module, guest, w.encoding, access)
        table = layouts(w.ptr)
        bindings = parameters(w, table)
        bindings = {name: replace(found, secret=hidden) for name, found in bindings.items()}
        whole = WitTexts(
            module, guest, table, lambda: texts, access, found.__getitem__, self._string
        )

        def text(f: Func, t: ValType, place: Place, hidden: bool) -> None:
            whole.push(f, t, place, How(hidden, reps))

        values = Values(guest, table, lambda: texts, push_index, bindings, text)
        for i, probe in enumerate(probes):
            results = ("i32", "i32") if probe.core == "str" else (probe.core,)
            f = module.func(w.signature.params, results)
            values.push(f, probe.expr)
            module.export_func(f"q{i}", f.index)
        raw = module.encode()
        self.size = len(raw)
        self._instantiate(raw, w, multi_memory)

    def _string(self, text: str) -> tuple[int, int]:
        if text not in self._strings:
            raw = text.encode()
            self._strings[text] = (STATIC + len(self._data), len(raw))
            self._data += raw
        return self._strings[text]

    def _instantiate(self, raw: bytes, w: Wrapper, multi_memory: bool) -> None:
        here = engine(multi_memory)
        self.store = wt.Store(here)
        agent = wt.Instance(self.store, agent_module(multi_memory), []).exports(self.store)
        self.unit = runtime(self.store, agent, multi_memory)
        self.unit["state_init"](self.store, STATIC + len(self._data))
        self.unit["memory"].write(self.store, bytes(self._data), STATIC)
        guest = wt.Module(here, memory_module(MemoryType(is64=w.ptr == 8), PAGES))
        self.guest = wt.Instance(self.store, guest, []).exports(self.store)
        module = wt.Module(here, raw)
        sources = {"script": self.unit, "guest": self.guest}
        externs = [sources[i.module][i.name] for i in module.imports]
        self.exports = wt.Instance(self.store, module, externs).exports(self.store)

    def read(self, i: int, core: str, args: list[int | float]) -> int | bytes:
        found: Any = self.exports[f"q{i}"](self.store, *args)
        if core != "str":
            return bits_of(core, found)
        at, size = found
        return bytes(self.unit["memory"].read(self.store, at, at + size))


def push_index(f: Func, expr: tree.Expr) -> None:
    assert isinstance(expr, tree.Const) and isinstance(expr.value, int)
    f.const("i64" if expr.type in (vt.I64, vt.U64) else "i32", expr.value)


def wrapper(types: list[ValType], guest: Guest) -> Wrapper:
    func = FuncT(tuple((f"p-{i}", t) for i, t in enumerate(types)), None)
    sig = core_signature(func, "lower", ptr=guest.ptr)
    return Wrapper(
        1, "lower", "none", sig, func.params, memory=0, ptr=guest.ptr, encoding=guest.encoding
    )


def arguments(w: Wrapper, guest: Guest, values: list[Any]) -> list[int | float]:
    types = [t for _, t in w.params]
    if w.signature.params_spilled:
        return [guest.store_all(types, values)]
    flat = [core for t, v in zip(types, values, strict=True) for core in guest.lower(t, v)]
    return [core_value(core) for core in flat]


def nan(core: str, bits: int | bytes) -> bool:
    if core not in ("f32", "f64") or isinstance(bits, bytes):
        return False
    code = "<If" if core == "f32" else "<Qd"
    raw = struct.pack(code[:2], bits)
    return math.isnan(struct.unpack("<" + code[2], raw)[0])


def check(
    types: list[ValType], values: list[Any], probes: list[Probe], guest: Guest, multi: bool
) -> None:
    w = wrapper(types, guest)
    args = arguments(w, guest, values)
    reader = Reader(w, probes, multi)
    reader.guest["m"].write(reader.store, bytes(guest.heap), guest.base)
    for i, probe in enumerate(probes):
        found = reader.read(i, probe.core, args)
        both = nan(probe.core, found) and nan(probe.core, probe.expected)
        assert both or found == probe.expected, probe.expr


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_paths_yield_what_the_guest_says(data: st.DataObject) -> None:
    func = data.draw(wit_funcs(max_depth=3).filter(lambda func: func.params))
    guest = Guest(data.draw(st.sampled_from((4, 8))), data.draw(st.sampled_from(ENCODINGS)))
    types = [t for _, t in func.params]
    values = [data.draw(values_of(t)) for t in types]
    probes = []
    for _ in range(8):
        i = data.draw(st.integers(0, len(types) - 1))
        name = data.draw(st.sampled_from((f"p_{i}", f"arg{i}")))
        probes.append(data.draw(paths(name, types[i], values[i], guest.encoding)))
    check(types, values, probes, guest, data.draw(st.booleans()))


def bound(t: ValType, i: int = 0) -> tree.Bound:
    return tree.Bound(vt.WitT(t), f"arg{i}")


def text_of(t: ValType, i: int = 0) -> Probe:
    return Probe(tree.Scalar(vt.STR, bound(t, i)), b"", "str")


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ptr", [4, 8])
def test_long_strings_are_cut_between_characters(ptr: int, encoding: str, multi: bool) -> None:
    guest = Guest(ptr, encoding)
    values = ["é" * 20000, "x" + "é" * 20000, "xy" + "日" * 9000, "😀" * 5000, "x" * MAX_TEXT]
    types: list[ValType] = [STRING] * len(values)
    probes = []
    for i, value in enumerate(values):
        expected = value.encode()[:MAX_TEXT].decode(errors="ignore").encode()
        probes.append(Probe(tree.Scalar(vt.STR, bound(STRING, i)), expected, "str"))
    check(types, values, probes, guest, multi)


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    guest = Guest(4, "utf16")
    w = wrapper([STRING], guest)
    reader = Reader(w, [text_of(STRING)], True)
    for units, expected in (
        ((0xD800,), "\ufffd"),
        ((0xDC00, 0x41), "\ufffdA"),
        ((0xD83D, 0x41), "\ufffdA"),
        ((0xD83D, 0xD83D, 0xDE00), "\ufffd😀"),
    ):
        raw = struct.pack(f"<{len(units)}H", *units)
        reader.guest["m"].write(reader.store, raw, 1024)
        assert reader.read(0, "str", [1024, len(units)]) == expected.encode()


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_leaves_memory_is_empty(encoding: Any, multi: bool) -> None:
    end = PAGES * 65536
    lists = ListT(U32)
    w = wrapper([STRING, lists], Guest(4, encoding))
    element = tree.Element(vt.WitT(U32), bound(lists, 1), tree.Const(vt.U32, 1))
    probes = [
        text_of(STRING),
        Probe(tree.Length(vt.U32, bound(STRING)), 0, "i32"),
        Probe(tree.Length(vt.U32, bound(lists, 1)), 0, "i32"),
        Probe(tree.Scalar(vt.U32, element), 0, "i32"),
    ]
    reader = Reader(w, probes, multi)
    for at, count in ((end - 7, 8), (end, 1), (TOP, 2), (4, (1 << 31) - 1), (8, 1 << 30)):
        args: list[int | float] = [core_value(("i32", n)) for n in (at, count, at, count)]
        found = [reader.read(i, p.core, args) for i, p in enumerate(probes)]
        assert found[:3] == [b"", 0, 0]
        if at + 8 > end:
            assert found[3] == 0


def test_a_bad_pointer_to_the_parameters_reads_zero() -> None:
    types: list[ValType] = [STRING] * 8 + [U32]
    w = wrapper(types, Guest())
    assert w.signature.params_spilled
    number = Probe(tree.Scalar(vt.U32, bound(U32, 8)), 0, "i32")
    reader = Reader(w, [text_of(STRING), number], True)
    end = PAGES * 65536
    reader.guest["m"].write(reader.store, b"\1" * 68, end - 68)
    assert reader.read(1, "i32", [end - 68]) == 0x01010101
    for at in (end - 67, end, TOP):
        args: list[int | float] = [core_value(("i32", at))]
        assert [reader.read(0, "str", args), reader.read(1, "i32", args)] == [b"", 0]


def test_fixed_lists_in_flat_slots_take_a_computed_index() -> None:
    """The slots of a joined list differ in type from element to element."""
    pair = ListT(Prim("f32"), 3)
    t = VariantT((("a", pair), ("b", TupleT((Prim("f32"), Prim("u64"), Prim("u32"))))))
    payload = tree.Payload(vt.WitT(pair), bound(t), 0)
    index = tree.Scalar(vt.U32, bound(U32, 1))
    element = tree.Element(vt.WitT(Prim("f32")), payload, index)
    w = wrapper([t, U32], Guest())
    probe = Probe(tree.Scalar(vt.F32, element), 0, "f32")

    module_values: list[Values] = []

    def evaluate(f: Func, expr: tree.Expr) -> None:
        assert isinstance(expr, tree.Scalar)
        module_values[0].push(f, expr)

    module = Module()
    table = layouts(4)
    guest = GuestPlace(module.memory(MemoryType(1)), False, 16)
    values = Values(guest, table, lambda: None, evaluate, parameters(w, table))  # type: ignore[arg-type,return-value]
    module_values.append(values)
    f = module.func(w.signature.params, ("f32",))
    values.push(f, probe.expr)
    module.export_func("q", f.index)
    store = wt.Store(engine())
    exports = wt.Instance(store, wt.Module(engine(), module.encode()), []).exports(store)
    flat = [core_value(core) for core in Guest().lower(t, {"a": [1.5, 2.5, -3.5]})]
    found = [exports["q"](store, *flat, at) for at in (0, 1, 2, 3, -1)]
    assert found == [1.5, 2.5, -3.5, 0, 0]
    other = [core_value(core) for core in Guest().lower(t, {"b": [1.5, 7, 9]})]
    assert exports["q"](store, *other, 0) == 0


def test_wrong_cases_and_discriminants_are_no_case() -> None:
    t = ResultT(OptionT(U32), RecordT((("code", U32),)))
    ok = tree.Payload(vt.WitT(OptionT(U32)), bound(t), 0)
    some = tree.Payload(vt.WitT(U32), ok, 1)
    probes = [
        Probe(tree.Scalar(vt.U32, some), 0, "i32"),
        Probe(tree.IsCase(vt.BOOL, bound(t), 0), 0, "i32"),
        Probe(tree.IsCase(vt.BOOL, ok, 1), 0, "i32"),
    ]
    reader = Reader(wrapper([t], Guest()), probes, True)
    for flat, expected in (
        ([0, 1, 9], [9, 1, 1]),
        ([0, 0, 9], [0, 1, 0]),
        ([1, 1, 9], [0, 0, 0]),
        ([7, 1, 9], [0, 0, 0]),
        ([0, 257, 9], [0, 1, 0]),
    ):
        assert [reader.read(i, "i32", list(flat)) for i in range(3)] == expected


def test_flat_numbers_are_read_as_lifting_reads_them() -> None:
    """High bits of narrow integers mean nothing, any number but 0 is true."""
    names = ("bool", "u8", "s8", "u16", "s16")
    types: list[ValType] = [Prim(name) for name in names]
    probes = [Probe(tree.Scalar(vt.U32, bound(t, i)), 0, "i32") for i, t in enumerate(types)]
    reader = Reader(wrapper(types, Guest()), probes, True)
    args: list[int | float] = [0x100, 0x1FF, 0x1FF, 0x1FFFF, 0x1FFFF]
    found = [reader.read(i, "i32", args) for i in range(len(types))]
    assert found == [1, 0xFF, TOP, 0xFFFF, TOP]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_never_traps(data: st.DataObject) -> None:
    """Random bytes in memory, random flats, any path."""
    func = data.draw(wit_funcs(max_depth=3).filter(lambda func: func.params))
    guest = Guest(data.draw(st.sampled_from((4, 8))), data.draw(st.sampled_from(ENCODINGS)))
    types = [t for _, t in func.params]
    probes = []
    for _ in range(6):
        i = data.draw(st.integers(0, len(types) - 1))
        value = data.draw(values_of(types[i]))
        probes.append(data.draw(paths(f"arg{i}", types[i], value, guest.encoding)))
    w = wrapper(types, guest)
    size = PAGES * 65536
    near = st.sampled_from((0, 1, 2, 16, size - 9, size, 1 << 31, TOP, (1 << 64) - 1, 1 << 63))
    number = near | st.integers(0, size) | st.integers(0, (1 << 64) - 1)
    kinds: dict[str, Any] = {
        "i32": number.map(lambda n: core_value(("i32", n & TOP))),
        "i64": number.map(lambda n: core_value(("i64", n))),
        "f32": st.just(1.5),
        "f64": st.just(2.5),
    }
    reader = Reader(w, probes, data.draw(st.booleans()))
    words = data.draw(st.lists(number, max_size=64))
    reader.guest["m"].write(reader.store, struct.pack(f"<{len(words)}Q", *words), 0)
    args = [data.draw(kinds[kind]) for kind in w.signature.params]
    for i, probe in enumerate(probes):
        found = reader.read(i, probe.core, args)
        assert not isinstance(found, bytes) or len(found) <= MAX_TEXT
