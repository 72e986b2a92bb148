"""Texts of whole WIT values: of any type, wherever they lie, and of garbage."""

from __future__ import annotations

import math
import os
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emit import canon
from tests.emit.canon import Guest, core_value
from tests.emit.paths_of import MAX_TEXT, Probe
from tests.emit.test_wit_values import ENCODINGS, PAGES, TOP, Reader, arguments, bound, wrapper
from tests.strategies import _FILE as FILE
from tests.strategies import values_of, wit_funcs
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.trace.floats import shortest32
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

U8, U16, U32, STRING = map(Prim, ("u8", "u16", "u32", "string"))
EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "100"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(ch: str) -> str:
    if ch in ESCAPES:
        return ESCAPES[ch]
    return f"\\u{{{ord(ch):x}}}" if ord(ch) < 32 or 127 <= ord(ch) < 160 else ch


def quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


class Oracle:
    """What a value is to look like.  ``hidden``: it is a secret; ``reps``: a borrow of a file is
    the representation."""

    def __init__(self, encoding: str, hidden: bool = False, reps: bool = False) -> None:
        self.encoding, self.hidden, self.reps = encoding, hidden, reps

    def whole(self, t: ValType, v: Any) -> str:
        node = strip(t)
        return str(v) if isinstance(node, EnumT | Prim) else self.part(node, v)

    def part(self, t: ValType, v: Any) -> str:
        t = strip(t)
        match t:
            case Prim(name):
                return self._prim(name, v)
            case Own() | Borrow():
                return f"file{'@' if self.reps and isinstance(t, Borrow) else '#'}{v}"
            case StreamT():
                return f"stream#{v}"
            case FutureT():
                return f"future#{v}"
            case ListT(element, length):
                if length is None and getattr(strip(element), "name", "") == "u8":
                    return self._bytes(bytes(v))
                return f"[{', '.join(self.part(element, x) for x in v)}]"
            case MapT(key, value):
                return self.part(ListT(TupleT((key, value))), v)
            case TupleT(types):
                return f"[{', '.join(self._members(types, v))}]"
            case FlagsT():
                return f"[{', '.join(map(quoted, v))}]"
            case EnumT():
                return quoted(v)
            case RecordT(((name, of),)):
                return self._case(name, of, v[name])
            case RecordT(fields):
                return f"{{{', '.join(f'{n}: {self.part(of, v[n])}' for n, of in fields)}}}"
            case OptionT(inner):
                if v is None:
                    return "none"
                if isinstance(strip(inner), OptionT):
                    return self._case("some", inner, v["some"])
                return self.part(inner, v)
            case VariantT() | ResultT():
                cases = dict(t.cases) if isinstance(t, VariantT) else {"ok": t.ok, "error": t.err}
                [(label, payload)] = v.items()
                of = cases[label]
                return label if of is None else self._case(label, of, payload)
        raise TypeError(t)

    def _case(self, name: str, of: ValType, v: Any) -> str:
        none = isinstance(strip(of), OptionT) and v is None
        return name if none else f"{name}({self.part(of, v)})"

    def _members(self, types: tuple[ValType, ...], v: Any) -> list[str]:
        parts = [self.part(of, x) for of, x in zip(types, v, strict=True)]
        if len(types) == 2 and getattr(strip(types[0]), "name", "") == "string":
            parts[0] = quoted(v[0])  # a name is no secret
        return parts

    def _prim(self, name: str, v: Any) -> str:
        if name == "bool":
            return "true" if v else "false"
        if name == "char":
            return quoted(v)
        if name == "string":
            if self.hidden:
                return f"<redacted {canon.encode_text(v, self.encoding)[1]}>"
            return quoted(v)
        if name in ("f32", "f64"):
            if math.isfinite(v):
                return repr(shortest32(v) if name == "f32" else v)
            return quoted("nan" if math.isnan(v) else "inf" if v > 0 else "-inf")
        return str(v)

    def _bytes(self, v: bytes) -> str:
        if self.hidden:
            return f"<redacted {len(v)}>"
        shown = (ESCAPES.get(chr(b)) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in v)
        return f'b"{"".join(shown)}"'


def text_at(t: ValType, i: int) -> Probe:
    return Probe(tree.Text(vt.STR, bound(t, i)), b"", "str")


def textual(t: ValType) -> bool:
    """Whether the value has a text of its own; others are shown as the script's."""
    node = strip(t)
    return not isinstance(node, Prim) or node.name == "char"


@SETTINGS
@given(st.data())
def test_every_value_has_the_text_it_should(data: st.DataObject) -> None:
    func = data.draw(wit_funcs(max_depth=3).filter(lambda func: func.params))
    guest = Guest(data.draw(st.sampled_from((4, 8))), data.draw(st.sampled_from(ENCODINGS)))
    types = [t for _, t in func.params]
    values = [data.draw(values_of(t)) for t in types]
    hidden, reps = data.draw(st.booleans()), data.draw(st.booleans())
    w = wrapper(types, guest)
    args = arguments(w, guest, values)
    chosen = [i for i, t in enumerate(types) if textual(t)]
    probes = [text_at(types[i], i) for i in chosen]
    reader = Reader(w, probes, data.draw(st.booleans()), frozenset({FILE} if reps else ()), hidden)
    reader.guest["m"].write(reader.store, bytes(guest.heap), guest.base)
    oracle = Oracle(guest.encoding, hidden, reps)
    for at, i in enumerate(chosen):
        found = reader.read(at, "str", args)
        assert isinstance(found, bytes)
        wanted = oracle.whole(types[i], values[i])
        if len(wanted.encode()) > MAX_TEXT:
            wanted = wanted.encode()[: MAX_TEXT - 3].decode(errors="ignore") + "..."
        assert found.decode() == wanted


@SETTINGS
@given(st.data())
def test_garbage_has_some_text_and_never_traps(data: st.DataObject) -> None:
    func = data.draw(wit_funcs(max_depth=3).filter(lambda func: func.params))
    guest = Guest(data.draw(st.sampled_from((4, 8))), data.draw(st.sampled_from(ENCODINGS)))
    types = [t for _, t in func.params]
    chosen = [i for i, t in enumerate(types) if textual(t)]
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
    reader = Reader(w, [text_at(types[i], i) for i in chosen], data.draw(st.booleans()))
    words = data.draw(st.lists(number, max_size=64))
    reader.guest["m"].write(reader.store, struct.pack(f"<{len(words)}Q", *words), 0)
    args = [data.draw(kinds[kind]) for kind in w.signature.params]
    for at in range(len(chosen)):
        found = reader.read(at, "str", args)
        assert isinstance(found, bytes) and len(found) <= MAX_TEXT


V4 = RecordT((("port", U16), ("address", TupleT((U8,) * 4))))
V6 = RecordT(
    (("port", U16), ("flow-info", U32), ("address", TupleT((U16,) * 8)), ("scope-id", U32))
)
ADDRESS = VariantT((("ipv4", V4), ("ipv6", V6)))
IP = VariantT((("ipv4", TupleT((U8,) * 4)), ("ipv6", TupleT((U16,) * 8)), ("any", None)))


def v6(*parts: int) -> Any:
    return {"ipv6": {"port": 80, "flow-info": 0, "address": list(parts), "scope-id": 1}}


@pytest.mark.parametrize(
    ("t", "value", "wanted"),
    [
        (ADDRESS, {"ipv4": {"port": 80, "address": [1, 2, 3, 255]}}, "1.2.3.255:80"),
        (ADDRESS, v6(0, 0, 0, 0, 0, 0, 0, 1), "[::1]:80"),
        (ADDRESS, v6(0x2001, 0xDB8, 0, 0, 1, 0, 0, 0), "[2001:db8:0:0:1::]:80"),
        (ADDRESS, v6(0, 0, 1, 0, 0, 1, 0, 0), "[::1:0:0:1:0:0]:80"),
        (ADDRESS, v6(1, 0, 3, 4, 5, 6, 7, 8), "[1:0:3:4:5:6:7:8]:80"),
        (ADDRESS, v6(*(0,) * 8), "[::]:80"),
        (ListT(IP), [{"ipv4": [10, 0, 0, 1]}, {"any": None}], "[10.0.0.1, any]"),
        (IP, {"ipv6": [0xFFFF, 0, 0, 0, 0, 0, 0, 0]}, "ffff::"),
    ],
)  # fmt: skip
def test_addresses_are_written_as_such(t: ValType, value: Any, wanted: str) -> None:
    guest = Guest()
    w = wrapper([t], guest)
    args = arguments(w, guest, [value])
    reader = Reader(w, [text_at(t, 0)], True)
    reader.guest["m"].write(reader.store, bytes(guest.heap), guest.base)
    assert reader.read(0, "str", args) == wanted.encode()


def test_what_is_bad_is_told() -> None:
    t = RecordT((("a", Prim("bool")), ("b", Prim("char")), ("c", EnumT(("x", "y"))),
                 ("d", OptionT(U8)), ("e", ListT(U32)), ("f", STRING)))  # fmt: skip
    reader = Reader(wrapper([ListT(t)], Guest()), [text_at(ListT(t), 0)], True)
    image = struct.pack("<B3xIBBB1xIIII", 2, 0xD800, 7, 9, 0, TOP - 7, 3, 0x40000, 1)
    reader.guest["m"].write(reader.store, image, 1024)
    wanted = ("[{a: <bad 0x2>, b: <bad 0xd800>, c: <bad 0x7>, d: <bad 0x9>, e: <bad 0xfffffff8>,"
              " f: <bad 0x40000>}]")  # fmt: skip
    assert reader.read(0, "str", [1024, 1]) == wanted.encode()
    assert reader.read(0, "str", [PAGES * 65536 - 4, 1]) == b"<bad 0x3fffc>"


@pytest.mark.parametrize("multi", [True, False])
def test_long_lists_are_left_when_the_text_is_full(multi: bool) -> None:
    """A list of 16 million numbers costs no more than what fits."""
    types: list[ValType] = [ListT(U8), ListT(U16), ListT(ListT(STRING))]
    probes = [text_at(t, i) for i, t in enumerate(types)]
    reader = Reader(wrapper(types, Guest()), probes, multi)
    size = PAGES * 65536
    args: list[int | float] = [0, size, 0, size // 2, 0, size // 8]
    wanted = ["b" + '"' + "\\x00" * 5000, "[" + "0, " * 6000, "[" + "[], " * 5000]
    for i, text in enumerate(wanted):
        found = reader.read(i, "str", args)
        assert isinstance(found, bytes) and len(found) == MAX_TEXT
        assert found.decode() == text[: MAX_TEXT - 3] + "..."


def test_types_that_share_their_parts_cost_one_function_each() -> None:
    """A chain of pairs stands for a tree with a million leaves."""
    t: ValType = ListT(STRING)
    for _ in range(20):
        t = ListT(TupleT((t, t)))
    reader = Reader(wrapper([t], Guest()), [text_at(t, 0)], True)
    assert reader.size < 20_000
    assert reader.read(0, "str", [1024, 0]) == b"[]"
