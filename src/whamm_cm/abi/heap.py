"""Where lowered values are put: what a store needs of guest memory, and a plain one for tests."""

from __future__ import annotations

from typing import Protocol

from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.layout import align_to


class Heap(Protocol):
    """Guest memory that values are stored into: ``alloc`` is the guest's ``realloc``."""

    def alloc(self, align: int, size: int) -> int:
        """The address of ``size`` fresh bytes, a multiple of ``align``."""

    def write(self, address: int, data: bytes) -> None:
        """Raises AbiError when the range is not inside memory."""


class ByteHeap:
    """A growing ``bytearray``, allocated from low addresses up and never freed.

    Address 0 is never given out, so that a forgotten pointer shows.
    """

    __slots__ = ("limit", "memory")

    def __init__(self, limit: int = 1 << 28) -> None:
        self.limit = limit
        self.memory = bytearray(16)

    def alloc(self, align: int, size: int) -> int:
        address = align_to(len(self.memory), align)
        if size < 0 or address + size > self.limit:
            raise AbiError(f"no room for {size:#x} more bytes in a heap of {self.limit:#x}")
        self.memory.extend(bytes(address + size - len(self.memory)))
        return address

    def write(self, address: int, data: bytes) -> None:
        end = address + len(data)
        if address < 0 or end > len(self.memory):
            raise AbiError(f"a store to 0x{address:x}..0x{end:x} is outside memory")
        self.memory[address:end] = data
