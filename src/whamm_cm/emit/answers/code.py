"""What functions that answer are written with: constants, memory and its ``realloc``.

What a function answers is read by its caller's canonical ABI as soon as it returns, so all that is
allocated for one call is given up at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from whamm_cm.abi.flatten import core_signature, flatten
from whamm_cm.abi.layout import align_to, layouts
from whamm_cm.abi.values import lower_flat, store
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func, FuncType, Module
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import FuncT, ValType

MEMORY, HOST = "memory", "host"
#: What the module with the memory exports.
REALLOC, HEAP = "cabi_realloc", "heap"
_PAGE: Final = 1 << 16
#: Constants begin here, so that no address is zero.
_FIRST: Final = 64


class Local(int):
    """A local as a part of :func:`put`."""


def put(f: Func, *parts: str | int | Local | tuple[str, int]) -> None:
    """Instructions one behind the other: by name, ``i32`` constants, locals that are read, and
    loads or stores with an offset."""
    for part in parts:
        if isinstance(part, Local):
            f.get(part)
        elif isinstance(part, int):
            f.i32(part)
        elif isinstance(part, str):
            f.op(part)
        else:
            f.memory_op(*part)


@dataclass(slots=True)
class Image:
    """Constants of the module, at absolute addresses."""

    data: bytearray = field(default_factory=bytearray)
    _texts: dict[bytes, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return _FIRST + len(self.data)

    def alloc(self, align: int, size: int) -> int:
        address = align_to(self.end, max(align, 1))
        self.data.extend(bytes(address + size - self.end))
        return address

    def write(self, address: int, data: bytes) -> None:
        self.data[address - _FIRST : address - _FIRST + len(data)] = data

    def text(self, raw: bytes) -> int:
        """Where these bytes are, once for all."""
        if raw not in self._texts:
            self._texts[raw] = self.alloc(1, len(raw))
            self.write(self._texts[raw], raw)
        return self._texts[raw]

    def value(self, t: ValType, value: object) -> int:
        """The address of the image of ``value``.  Raises AbiError when it is none of ``t``."""
        info = layouts().info(t)
        address = self.alloc(max(info.align, 8), info.size)
        store(t, value, self, address)
        return address


def build_memory(start: int) -> bytes:
    """The module with the memory, whose heap begins at ``start``."""
    module = Module()
    start = align_to(start, 16)
    memory = module.memory(MemoryType(start // _PAGE + 1))
    heap = module.global_("i32", start)
    module.export_memory(MEMORY, memory)
    module.export_global(HEAP, heap)
    f = module.func(("i32",) * 4, ("i32",))
    at, end, need = Local(f.local("i32")), Local(f.local("i64")), Local(f.local("i32"))
    # Addresses are added up in 64 bits, which no size makes wrap around.
    f.global_get(heap)
    put(f, Local(2), "i32.add", 1, "i32.sub", 0, Local(2), "i32.sub", "i32.and")
    f.tee(at)
    put(f, "i64.extend_i32_u", Local(3), "i64.extend_i32_u", "i64.add")
    f.tee(end)
    f.i64(_PAGE - 1)
    put(f, "i64.add")
    f.i64(16)
    put(f, "i64.shr_u", "i32.wrap_i64")
    f.memory_size(0)
    put(f, "i32.sub")
    f.tee(need)
    put(f, 0, "i32.gt_s")
    with f.if_():
        put(f, Local(need))
        f.memory_grow(0)
        put(f, 0, "i32.lt_s")
        with f.if_():
            put(f, "unreachable")
    put(f, Local(end), "i32.wrap_i64")
    f.global_set(heap)
    put(f, Local(at), Local(0), Local(1))
    f.memory_copy(0, 0)
    put(f, Local(at))
    module.export_func(REALLOC, f.index)
    return module.encode()


class Code:
    """The module with the functions while it is written; ``hosts``: core types of what it calls."""

    def __init__(self, hosts: Mapping[str, FuncType]) -> None:
        self.module = Module()
        self.image = Image()
        self.hosts = {name: self.module.import_func(HOST, name, *type_)
                      for name, type_ in hosts.items()}  # fmt: skip
        self.realloc = self.module.import_func(MEMORY, REALLOC, ("i32",) * 4, ("i32",))
        self.module.import_memory(MEMORY, MEMORY, MemoryType(1))
        self.heap = self.module.import_global(MEMORY, HEAP, "i32")
        self._base = -1

    def func(self, type_: FuncT) -> Func:
        """A function that answers for one of that type."""
        signature = core_signature(type_, "lift")
        return self.module.func(signature.params, signature.results)

    def fixed(self, f: Func, t: ValType, value: object) -> None:
        """Leave ``value`` as what is returned."""
        kinds = flatten(t)
        if len(kinds) == 1:
            [core] = lower_flat(t, value, self.image)
            f.const(kinds[0], core)
        else:
            f.i32(self.image.value(t, value))

    def forget(self, f: Func) -> None:
        """Give up what was allocated for this call."""
        f.global_get(self._start())
        f.global_set(self.heap)

    def _start(self) -> int:
        """The global that has what the heap began with: it is set when the module starts."""
        if self._base < 0:
            self._base = self.module.global_("i32", 0)
            f = self.module.func()
            f.global_get(self.heap)
            f.global_set(self._base)
            self.module.start(f.index)
        return self._base

    def encode(self) -> bytes:
        if self.image.data:
            self.module.data(0, _FIRST, bytes(self.image.data))
        return self.module.encode()
