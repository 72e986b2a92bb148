"""Calls of WASI preview 1, whatever pointers and lengths they have: what is recorded is what a
reader of the guest's memory finds there, and nothing traps."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.agree import both
from tests.emit.preview1_model import MAX_LIST, MAX_STRING, Bad, Model
from tests.emit.rig import PAGES, Rig
from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent import layout
from whamm_cm.agent.layout import Edge, SiteKind
from whamm_cm.agent.sites import SiteSpec, SiteTableBuilder
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.wit.preview1 import MODULES, PREVIEW1, Function, function, functions

SIZE = PAGES * layout.PAGE
#: The functions, and what the witx file calls their parameters in core values.
ALL = dict(functions(PREVIEW1))
#: Where guests point: into their memory, to its ends, beyond, and anywhere.
POINTERS = st.one_of(
    st.integers(0, 4096),
    st.integers(SIZE - 80, SIZE + 8),
    st.integers(0, (1 << 32) - 1),
    st.sampled_from([0, SIZE, (1 << 32) - 1, (1 << 31) - 1, (1 << 32) - 8]),
)
NUMBERS = st.one_of(st.integers(0, 40), POINTERS)


class Traced:
    """Functions behind probes.  ``host`` is called with the arguments and answers a number."""

    def __init__(self, *names: str, module: str = PREVIEW1, **options: Any) -> None:
        self.functions = [found for name in names if (found := function(module, name)) is not None]
        assert len(self.functions) == len(names)
        builder, wrappers = SiteTableBuilder(), []
        for each in self.functions:
            spec = SiteSpec(
                SiteKind.LOWER, Edge.IMPORT, "", module, "", each.name, each.shown, each.result
            )
            number = builder.add_site(spec)
            wrappers.append(
                Wrapper(
                    number,
                    "lower",
                    "record",
                    CoreSig(*each.flat),
                    each.shown,
                    each.result,
                    memory=0,
                    known=each,
                )  # fmt: skip
            )
        self.table = builder.to_bytes()
        chosen = ProbeOptions(max_string=MAX_STRING, max_list=MAX_LIST, emit=False, **options)
        self.host: Any = lambda *args: 0
        callees = [lambda *args: self.host(*args)] * len(wrappers)
        self.rig = Rig(wrappers, callees, chosen)

    def memory(self) -> bytes:
        return bytes(self.rig.memory.read(self.rig.store, 0, SIZE))

    def records(self) -> list[dict[str, Any]]:
        """All records so far, as every reader of blocks has them; the buffer is empty then."""
        end = self.rig.state(layout.POS)
        memory = self.rig.agent["memory"]
        raw = bytes(memory.read(self.rig.store, layout.BUFFER, end))
        self.rig.set_state(layout.POS, layout.BUFFER)
        return both(self.table, encode.block(raw))

    def call(self, number: int, *args: int) -> Any:
        core = [_signed(value, 32 if kind == "i" else 64)
                for value, kind in zip(args, self.functions[number].core, strict=True)]  # fmt: skip
        return self.rig.call(*core, k=number)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def shape(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in ("args", "result", "bad")}


def expected_call(model: Model, memory: bytes) -> dict[str, Any]:
    try:
        args = model.call(memory)
    except Bad:
        return {"bad": True}
    return {"args": args} if args else {}


def expected_return(
    model: Model, memory: bytes, errno: int, counts: dict[str, int]
) -> dict[str, Any]:
    if model.function.result is None:
        return {}
    try:
        return {"result": model.result(memory, errno, counts)}
    except Bad:
        return {"bad": True}


def filled(seed: int) -> bytes:
    """Memory with small numbers in it, so that what is found there points somewhere, and text."""
    source = random.Random(seed)
    words = [
        source.choice((0, 1, 3, 8, 24, 4000, SIZE - 9, SIZE, source.getrandbits(32),
                       source.randrange(SIZE), source.randrange(64), 0x003D4141))
        for _ in range(1100)
    ]  # fmt: skip
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("name", sorted(ALL))
def test_any_pointers(name: str, multi_memory: bool) -> None:
    known: Function = ALL[name]
    traced = Traced(name, multi_memory=multi_memory)
    kinds = [NUMBERS if kind == "i" else st.integers(0, (1 << 64) - 1) for kind in known.core]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.tuples(*kinds), st.integers(0, 1 << 20), st.sampled_from([0, 0, 0, 8, 76, 77, 70000]))
    def run(args: tuple[int, ...], seed: int, errno: int) -> None:
        low = filled(seed)
        traced.rig.poke(0, low)
        traced.rig.poke(SIZE - len(low), filled(seed + 1))
        before = traced.memory()
        model = Model(known, args)

        def host(*given: int) -> int | None:
            traced.rig.poke(seed % 3000, filled(seed + 2)[:200])
            return errno if known.fails else None

        traced.host = host
        assert traced.call(0, *args) == (errno if known.fails else None)
        after = traced.memory()
        called, returned = traced.records()
        assert shape(called) == expected_call(model, before)
        counts: dict[str, int] = {}
        assert shape(returned) == expected_return(model, after, errno, counts)

    run()


@given(st.integers(0, 30), st.integers(0, 1 << 20), st.booleans(), st.booleans())
@example(count=0, seed=0, told=True, environment=False)
def test_strings_of_any_number(count: int, seed: int, told: bool, environment: bool) -> None:
    """As many as the host says; without that as many as stand one behind the other."""
    name = "environ_get" if environment else "args_get"
    sizes = name.replace("_get", "_sizes_get")
    traced = Traced(name, sizes)
    source = random.Random(seed)
    texts = [
        "".join(source.choice("ab=/é ") for _ in range(source.randrange(60))) for _ in range(count)
    ]
    raw = b"".join(text.encode() + b"\0" for text in texts)
    starts = [1000 + len("\0".join(texts[:k]).encode()) + (k > 0) for k in range(count)]
    traced.rig.poke(0, struct.pack("<II", count, len(raw)))
    if told:
        traced.call(1, 0, 4)
    traced.rig.poke(500, struct.pack(f"<{count + 1}I", *starts, 0))
    traced.rig.poke(1000, raw)
    traced.call(0, 500, 1000)
    returned = traced.records()[-1]
    kept: list[Any] = [cut(text) for text in texts[:MAX_LIST]]
    if environment:
        kept = [[cut(part) for part in halves(text)] for text in texts[:MAX_LIST]]
    want = kept if count <= MAX_LIST else {"~cut": count, "~list": kept}
    assert returned["result"] == {"ok": want}


def halves(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def cut(text: str) -> Any:
    raw = text.encode()
    if len(raw) <= MAX_STRING:
        return text
    return {"~cut": len(raw), "~str": raw[:MAX_STRING].decode(errors="ignore")}


def test_a_count_is_not_believed_when_the_call_fails() -> None:
    traced = Traced("args_get", "args_sizes_get")
    traced.rig.poke(0, struct.pack("<II", 7, 7))
    traced.host = lambda *args: 21
    traced.call(1, 0, 4)
    traced.host = lambda *args: 0
    traced.rig.poke(500, struct.pack("<II", 1000, 0))
    traced.rig.poke(1000, b"one\0")
    traced.call(0, 500, 1000)
    assert traced.records()[-1]["result"] == {"ok": ["one"]}


def test_buffers_that_overlap() -> None:
    """Each is what it is, also where one is the array itself."""
    traced = Traced("fd_write")
    array = struct.pack("<6I", 100, 5, 102, 5, 0, 4)
    traced.rig.poke(0, array)
    traced.rig.poke(100, b"abcdefgh")
    traced.host = lambda *args: 0
    traced.call(0, 1, 0, 3, 900)
    called, _ = traced.records()
    assert called["args"]["iovs"] == Model.bytes(b"abcdecdefg" + array[:4], 14)


def test_a_host_that_fills_the_array_itself() -> None:
    """What is read back is read as it is then, and checked as it is then."""
    traced = Traced("fd_read")
    traced.rig.poke(0, struct.pack("<2I", 0, 8))

    def host(*args: int) -> int:
        traced.rig.poke(0, struct.pack("<2I", 0xFFFFFFF0, 8))
        traced.rig.poke(64, struct.pack("<I", 8))
        return 0

    traced.host = host
    traced.call(0, 4, 0, 1, 64)
    called, returned = traced.records()
    assert called["args"] == {"fd": 4, "len": 8}
    assert returned["result"] == {"ok": {"~bad": "0xfffffff0"}}


@pytest.mark.parametrize("count", [0, 1, 1 << 12, (1 << 29) - 1, (1 << 32) - 1])
def test_huge_counts(count: int) -> None:
    """No more than there is memory for is looked at."""
    traced = Traced("fd_write", "poll_oneoff", "fd_pread")
    traced.host = lambda *args: 28
    traced.call(0, 1, 0, count, 8)
    traced.call(1, 0, 0, count, 8)
    traced.call(2, 1, 0, count, 0, 8)
    wrote, _, polled, _, read, _ = traced.records()
    fits = 8 * count <= SIZE
    assert wrote["args"]["iovs"] == ({"~b64": ""} if fits else {"~bad": "0x0"})
    assert ("~bad" in polled["args"]["in"]) == (48 * count > SIZE)
    assert ("bad" in read) != fits


def test_every_function_is_known_in_both_modules() -> None:
    """46 of them; what the one before did not have yet does no harm."""
    assert len(ALL) == 46
    for module in MODULES:
        assert functions(module).keys() == ALL.keys()
    assert function("env", "fd_write") is None


def test_what_differs_in_the_module_before() -> None:
    traced = Traced("fd_seek", "path_filestat_get", module="wasi_unstable")
    stat = struct.pack("<QQB3xIQQQQ", 1, 2, 4, 3, 5, 6, 7, 8)
    traced.rig.poke(200, stat)
    traced.call(0, 4, 9, 2, 64)
    traced.call(1, 3, 1, 300, 0, 200)
    sought, _, _, found = traced.records()
    assert sought["args"]["whence"] == "set"
    assert found["result"]["ok"] == {
        "dev": 1, "ino": 2, "filetype": "regular_file", "nlink": 3, "size": 5, "atim": 6, "mtim": 7,
        "ctim": 8,
    }  # fmt: skip
