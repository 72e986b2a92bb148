"""A list of handles with their names, copied from where the host put it to where it is wanted."""

from __future__ import annotations

from typing import Final

from whamm_cm.abi.strings import Encoding
from whamm_cm.emit.answers.code import HEAP, MEMORY, Local, put
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType

#: What the module imports, beside the memory of its own, and exports.
GUEST, REALLOC, LIST, LISTED = "guest", "realloc", "list", "listed"
#: Where the host puts the list's address and length, and its heap begins.
RESULT: Final = 8
BEGIN: Final = 64
_ITEM: Final = 12  # handle, address and length of the name


def build_listed(encoding: Encoding) -> bytes:
    """A function like a lowered ``func() -> list<tuple<own<T>, string>>``, that calls one which
    writes into a memory of its own, and copies what came into the guest's."""
    module = Module()
    listing = module.import_func(LIST, LIST, ("i32",))
    realloc = module.import_func(GUEST, REALLOC, ("i32",) * 4, ("i32",))
    own = module.import_memory(LIST, MEMORY, MemoryType(1))
    guest = module.import_memory(GUEST, MEMORY, MemoryType(0))
    heap = module.import_global(LIST, HEAP, "i32")
    f = module.func(("i32",))
    base, count, to, size, text, at = (Local(f.local("i32")) for _ in range(6))

    def load(address: Local, offset: int) -> None:
        f.get(address)
        f.memory_op("i32.load", offset, own)

    def allocate(align: int, amount: Local) -> None:
        put(f, 0, 0, align, amount)
        f.call(realloc)

    put(f, RESULT)
    f.call(listing)
    for offset, local in ((0, base), (4, count)):
        put(f, RESULT)
        f.memory_op("i32.load", offset, own)
        f.set(local)
    put(f, count, _ITEM, "i32.mul")
    f.set(size)
    allocate(4, size)
    f.set(to)
    f.get(Local(0))
    f.get(to)
    f.memory_op("i32.store", 0, guest)
    f.get(Local(0))
    f.get(count)
    f.memory_op("i32.store", 4, guest)
    f.get(to)
    f.set(at)
    with f.block() as done, f.loop() as again:
        put(f, count, "i32.eqz")
        f.br_if(done)
        load(base, 8)
        f.set(size)
        if encoding != "utf8":
            _in_bytes(f, size, encoding)
        allocate(1 if encoding == "utf8" else 2, size)
        f.set(text)
        f.get(text)
        load(base, 4)
        f.get(size)
        f.memory_copy(guest, own)
        for offset, value in ((0, None), (4, text), (8, None)):
            f.get(at)
            if value is None:
                load(base, offset)
            else:
                f.get(value)
            f.memory_op("i32.store", offset, guest)
        for local, change in ((base, _ITEM), (at, _ITEM), (count, -1)):
            put(f, local, change, "i32.add")
            f.set(local)
        f.br(again)
    put(f, BEGIN)
    f.global_set(heap)
    module.export_func(LISTED, f.index)
    return module.encode()


def _in_bytes(f: Func, size: int, encoding: Encoding) -> None:
    """A length in code units; of latin1+utf16, one of two bytes has the highest bit."""
    if encoding == "utf16":
        put(f, Local(size), 1, "i32.shl")
    else:
        put(f, Local(size), 1, "i32.shl", Local(size), Local(size), 0, "i32.lt_s", "select")
    f.set(size)
