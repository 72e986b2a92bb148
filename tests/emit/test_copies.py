"""What a read or write that is over has copied: as many as it says, from where it was told to."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.emit.records import Body
from tests.emit.rig import PAGES, Rig
from whamm_cm.abi.flatten import CoreSig
from whamm_cm.emit.model import ProbeOptions, Redact, Wrapper
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import ListT, Prim, TupleT, ValType

U8, U32, STRING = Prim("u8"), Prim("u32"), Prim("string")
SIZE = PAGES * 65536
BLOCKED, CANCELLED = -1, 2

modes = pytest.mark.parametrize("multi_memory", [True, False])
widths = pytest.mark.parametrize("ptr", [4, 8])


def copy(
    element: ValType,
    at: int,
    returned: int,
    ptr: int = 4,
    heap: bytes = b"",
    future: bool = False,
    redact: Redact | None = None,
    **options: Any,
) -> Any:
    """The result and the elements that a copy to or from ``at`` has recorded."""
    address = "i64" if ptr == 8 else "i32"
    params = ("i32", address) if future else ("i32", address, address)
    result = "i32" if future else address
    wrapper = Wrapper(
        1,
        "builtin",
        "record",
        CoreSig(params, (result,), False, False),
        tuple(
            (name, U32 if core == "i32" else Prim("u64"))
            for name, core in zip("abc", params, strict=False)
        ),
        U32 if result == "i32" else Prim("u64"),
        memory=0,
        ptr=ptr,
        redact=redact,
        elements=ListT(element),
    )
    rig = Rig([wrapper], [lambda *_: returned], ProbeOptions(**options), MemoryType(is64=ptr == 8))
    rig.poke(1024, heap)
    at -= 1 << 32 if ptr == 4 and at >= 1 << 31 else 0
    assert rig.call(*(7, at, 100)[: len(params)]) == returned
    call, back = rig.buffered()
    assert call.phase == 0
    if back.phase == 4:
        return back.body
    assert wrapper.result is not None and wrapper.elements is not None
    return Body(back.body, ptr, "utf8").values([wrapper.result, wrapper.elements])


@modes
@widths
def test_a_copy_has_as_many_elements_as_it_says(ptr: int, multi_memory: bool) -> None:
    heap = struct.pack("<4I", 5, 6, 7, 8)
    for count, how in ((3, 0), (2, CANCELLED), (1, 1), (0, 0)):
        packed = count << 4 | how
        found = copy(U32, 1024, packed, ptr, heap, multi_memory=multi_memory)
        assert found == [packed, ("list", count, [5, 6, 7][:count])]


@modes
@widths
def test_a_future_has_one_value_or_none(ptr: int, multi_memory: bool) -> None:
    heap = struct.pack("<2I", 5, 6)
    options = {"future": True, "multi_memory": multi_memory}
    assert copy(U32, 1024, 0, ptr, heap, **options) == [0, ("list", 1, [5])]
    for how in (1, CANCELLED):
        assert copy(U32, 1024, how, ptr, heap, **options) == [how, ("list", 0, [])]


@widths
def test_nothing_is_read_before_it_is_over(ptr: int) -> None:
    assert copy(U8, 1024, BLOCKED, ptr) == b"\xff\xff\xff\xff"
    assert copy(U8, 1024, BLOCKED, ptr, future=True) == b"\xff\xff\xff\xff"


@modes
@widths
def test_bad_pointers(ptr: int, multi_memory: bool) -> None:
    """The host has refused them; a probe does not trap whatever it is told."""
    for at in (SIZE - 11, SIZE, SIZE + 1, (1 << 8 * ptr) - 4 if ptr == 4 else SIZE << 20):
        found = copy(U32, at, 3 << 4, ptr, multi_memory=multi_memory)
        assert found == [3 << 4, "bad"]
    assert copy(U32, SIZE - 12, 3 << 4, ptr)[1] == ("list", 3, [0, 0, 0])


def test_caps() -> None:
    heap = bytes(range(200))
    assert copy(U8, 1024, 200 << 4, heap=heap, max_string=9)[1] == ("list", 200, [*range(9)])
    assert copy(U32, 1024, 50 << 4, heap=heap, max_list=1)[1] == ("list", 50, [0x03020100])


def test_secrets() -> None:
    text = struct.pack("<II", 1032, 5) + b"hello"
    pair = TupleT((U32, STRING))
    rule = Redact(result="values")
    assert copy(U8, 1024, 5 << 4, heap=b"hello", redact=rule)[1] == "redacted"
    shown = copy(STRING, 1024, 1 << 4, heap=text)
    assert "hello" in str(shown)
    found = copy(STRING, 1024, 1 << 4, heap=text, redact=rule)
    assert found[1] == ("list", 1, ["redacted"])
    assert copy(pair, 1024, 0, redact=rule)[1] == ("list", 0, [])
