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
    base, count, to, size = (Local(f.local("i32")) for _ in range(4))
    put(f, RESULT)
    f.call(listing)
    for offset, local in ((0, base), (4, count)):
        put(f, RESULT)
        f.memory_op("i32.load", offset, own)
        f.set(local)
    put(f, 0, 0, 4, count, _ITEM, "i32.mul")
    f.call(realloc)
    f.set(to)
    for offset, local in ((0, to), (4, count)):
        put(f, Local(0), local)
        f.memory_op("i32.store", offset, guest)
    with f.block() as done, f.loop() as again:
        put(f, count, "i32.eqz")
        f.br_if(done)
        put(f, base)
        f.memory_op("i32.load", 8, own)
        f.set(size)
        _copy_item(f, (own, base), (guest, to), size, realloc, encoding)
        for local, change in ((base, _ITEM), (to, _ITEM), (count, -1)):
            put(f, local, change, "i32.add")
            f.set(local)
        f.br(again)
    put(f, BEGIN)
    f.global_set(heap)
    module.export_func(LISTED, f.index)
    return module.encode()


def _copy_item(
    f: Func, source: tuple[int, Local], target: tuple[int, Local], size: Local, realloc: int,
    encoding: Encoding,
) -> None:  # fmt: skip
    """A handle and its name, from one memory and address to another; ``size``: of the name."""
    text = Local(f.local("i32"))
    (own, base), (guest, to) = source, target
    if encoding != "utf8":
        _in_bytes(f, size, encoding)
    put(f, 0, 0, 1 if encoding == "utf8" else 2, size)
    f.call(realloc)
    f.tee(text)
    put(f, base)
    f.memory_op("i32.load", 4, own)
    put(f, size)
    f.memory_copy(guest, own)
    for offset in (0, 8):
        put(f, to, base)
        f.memory_op("i32.load", offset, own)
        f.memory_op("i32.store", offset, guest)
    put(f, to, text)
    f.memory_op("i32.store", 4, guest)


def _in_bytes(f: Func, size: Local, encoding: Encoding) -> None:
    """A length in code units; of latin1+utf16, one of two bytes has the highest bit."""
    if encoding == "utf16":
        put(f, size, 1, "i32.shl")
    else:
        put(f, size, 1, "i32.shl", size, size, 0, "i32.lt_s", "select")
    f.set(size)
