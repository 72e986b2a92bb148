"""The kernel's module on wasmtime: compiled once a process, an instance for each call.

What the kernel reads is hostile.  It runs without imports, with fuel in proportion to its input and
a limit to its memory, and nothing it has seen outlives the call.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.kernel.messages import sentence

if TYPE_CHECKING:
    from wasmtime import Engine, Func, Memory, Module

_FAILURE = struct.Struct("<4I2Q")
#: More than any call needs: some thirty instructions for a byte, and for what is put in.
_FUEL_FIRST, _FUEL_EACH = 50_000_000, 5_000


@cache
def _engine() -> Engine:
    """The kernel's engine; compiled code is kept in wasmtime's own cache if that can be set up."""
    from wasmtime import Config, Engine, WasmtimeError

    for cached in (True, False):
        config = Config()
        config.consume_fuel = True
        if cached:
            try:
                config.cache = True
            except WasmtimeError:  # no home directory, no permission: it only saves time
                continue
        return Engine(config)
    raise InternalError("no engine for the kernel")


@cache
def _module() -> Module:
    from wasmtime import Module

    return Module(_engine(), (Path(__file__).parent / "kernel.wasm").read_bytes())


def words(values: Sequence[int] | array[int]) -> bytes:
    """32-bit words, little-endian."""
    found = values if isinstance(values, array) else array("I", values)
    if sys.byteorder == "big":
        found = found[:]
        found.byteswap()
    return found.tobytes()


class Kernel:
    """One instance, for one call.  ``table``: of ``layout.opcode_table``.

    Addresses are those of its memory; ``put`` and ``get`` move bytes in and out.
    """

    def __init__(self, table: bytes) -> None:
        from wasmtime import Instance, Store

        self._store = Store(_engine())
        self._store.set_fuel(_FUEL_FIRST)
        self._exports = Instance(self._store, _module(), []).exports(self._store)
        self._memory = cast("Memory", self._exports["memory"])
        self._fuel = _FUEL_FIRST
        self._write(self._call("table"), table)

    def _call(self, name: str, *arguments: int) -> int:
        found = cast("Func", self._exports[name])(self._store, *arguments)
        return cast(int, found) & 0xFFFFFFFF

    def _write(self, at: int, data: bytes | memoryview) -> None:
        size = len(data)
        if at + size > self._memory.data_len(self._store):
            raise InternalError("the kernel has too little memory")
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        if isinstance(data, bytes):
            ctypes.memmove(base + at, data, size)
        elif size:
            target = (ctypes.c_char * size).from_address(base + at)
            memoryview(target).cast("B")[:] = data

    def put(self, data: bytes | memoryview) -> int:
        """The address of a copy of ``data``."""
        self.fuel(len(data))
        at = self.take(len(data))
        self._write(at, data)
        return at

    def fuel(self, size: int) -> None:
        """Let the calls to come take as long as ``size`` bytes of input allow."""
        self._fuel += _FUEL_EACH * size
        self._store.set_fuel(self._fuel)

    def take(self, size: int) -> int:
        """The address of so many more bytes, which are zero; traps when there are none left."""
        return self._call("take", size)

    def poke(self, at: int, values: Sequence[int]) -> None:
        """Write words over what lies there."""
        self._write(at, words(values))

    def put_words(self, values: Sequence[int] | array[int]) -> int:
        return self.put(words(values))

    def _seen(self, at: int, size: int) -> memoryview:
        if at + size > self._memory.data_len(self._store):
            raise InternalError("the kernel tells of what is not there")
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        return memoryview((ctypes.c_char * size).from_address(base + at)).cast("B")

    def get(self, at: int, size: int) -> bytes:
        """A copy of what lies there."""
        return bytes(self._seen(at, size))

    def get_words(self, at: int, count: int) -> array[int]:
        found = array("I")
        found.frombytes(self._seen(at, 4 * count))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    def get_narrow(self, at: int, count: int) -> array[int]:
        """Words that lie there, each in as few bytes (1, 2 or 4) as hold them all; what lay there
        is gone."""
        width = self._call("narrow", at, count)
        found = array({1: "B", 2: "H", 4: "I"}[width])
        found.frombytes(self._seen(at, width * count))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    def struct(self, name: str, count: int) -> array[int]:
        """The first ``count`` words of a struct that the function ``name`` has the address of."""
        return self.get_words(self._call(name), count)

    def close(self) -> None:
        """Give its memory back; nothing may be asked of it any more."""
        self._store.close()

    def run(self, name: str, *arguments: int) -> bool:
        """Call an export; False when it says that the input is malformed (see ``failure``)."""
        from wasmtime import Trap, WasmtimeError

        try:
            return bool(self._call(name, *arguments))
        except (Trap, WasmtimeError) as trap:
            raise InternalError(f"the kernel's {name} ended early: {trap}") from trap

    def failure(self) -> tuple[int, int, str]:
        """(number of the span, address, sentence) of what was malformed."""
        raw = self.get(self._call("failure"), _FAILURE.size)
        message, what, span, pos, a, b = _FAILURE.unpack(raw)
        return span, pos, sentence(message, what, a, b)

    def error(self, moved: int, path: str | Sequence[str]) -> DecodeError:
        """What was malformed; ``moved`` is what is to be added to an address to make it an offset,
        ``path`` that of all spans or of each."""
        span, pos, message = self.failure()
        return self.fault(message, pos + moved, path if isinstance(path, str) else path[span])

    @staticmethod
    def fault(message: str, offset: int, path: str) -> DecodeError:
        return DecodeError(message, offset, path)
