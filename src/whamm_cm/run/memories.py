"""Linear memories the host allocates itself, so that it can still read them when the guest is dead.

After a trap no component can be entered any more, and its memories are nobody's exports.  But an
engine lets its embedder allocate memories (``wasmtime_config_host_memory_creator_set``): what
probes had recorded and not yet sent is read from there.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
from collections.abc import Iterator, Sequence
from ctypes import byref, c_size_t, c_void_p
from dataclasses import field
from itertools import count
from typing import Any

from wasmtime import Config
from wasmtime import _bindings as bindings
from wasmtime import _ffi as ffi

from whamm_cm.dataclass import dataclass

_SET = "wasmtime_config_host_memory_creator_set"
_NONE, _READ_WRITE = 0, 3  # PROT_NONE, PROT_READ | PROT_WRITE
_PRIVATE, _NORESERVE = 0x02, {"linux": 0x4000}.get(sys.platform, 0)
_ANONYMOUS = {"linux": 0x20, "darwin": 0x1000}.get(sys.platform)
_FAILED = c_void_p(-1).value
# An engine calls back for as long as it lives, whoever made it may be gone by then.  What it calls
# is held here until its last finalizer has run.
_HELD: dict[int, Memories] = {}


def supported() -> bool:
    """Whether this wasmtime and this system let us allocate memories."""
    return _ANONYMOUS is not None and hasattr(bindings, _SET)


@dataclass(slots=True)
class Linear:
    """One linear memory: ``limit`` is the maximum of its type in pages, None where it has none;
    ``maker`` the thread that asked for it."""

    limit: int | None
    address: int
    size: int
    reserved: int
    guard: int
    maker: int = 0
    callbacks: tuple[Any, ...] = ()

    def read(self, start: int, size: int) -> bytes:
        """Bytes from ``start``, fewer where the memory ends."""
        size = max(0, min(size, self.size - start))
        return ctypes.string_at(self.address + start, size)

    def write(self, start: int, raw: bytes) -> None:
        """Bytes at ``start``, which the memory must have."""
        if 0 <= start <= self.size - len(raw):
            ctypes.memmove(self.address + start, raw, len(raw))


@dataclass(frozen=True, slots=True)
class Kept:
    """Memories whose type has the maximum ``mark``, or one more, for reading."""

    mark: int
    memories: Sequence[Linear]

    def marked(self, more: int) -> Iterator[Linear]:
        """Those with the maximum ``mark + more``, in the order in which they were made."""
        return (memory for memory in self.memories if memory.limit == self.mark + more)


@dataclass(slots=True)
class Memories:
    """Makes the memories of an engine; those whose type has the maximum ``mark`` (agents), or one
    more (the relay), are kept for reading until :meth:`close`."""

    mark: int
    kept: list[Linear] = field(default_factory=list)
    _alive: dict[int, Linear] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _installed: bool = False
    _callbacks: tuple[Any, ...] = ()

    def install(self, config: Config) -> None:
        """Let engines of ``config`` take their memories from here."""
        new = bindings.wasmtime_new_memory_callback_t(self._new)
        done = _finalizer(lambda env: self._gone())
        self._callbacks = new, done
        self._installed = True
        _HELD[id(self)] = self
        # Images of a memory's first content are mapped into memories of wasmtime's own only.
        bindings.wasmtime_config_memory_init_cow_set(config.ptr(), False)
        creator = bindings.wasmtime_memory_creator(None, new, done)
        getattr(bindings, _SET)(config.ptr(), byref(creator))

    def marked(self, more: int) -> Iterator[Linear]:
        """The memories with the maximum ``mark + more``, in the order in which they were made."""
        return Kept(self.mark, self.kept).marked(more)

    def claim(self) -> Kept:
        """Those this thread has made since it last asked; they are for reading as long as their
        store is open."""
        me = threading.get_ident()
        with self._lock:
            found = [memory for memory in self.kept if memory.maker == me]
            self.kept = [memory for memory in self.kept if memory.maker != me]
        return Kept(self.mark, found)

    def close(self) -> None:
        """Give back what was kept; to be called when the store is gone."""
        for memory in self.kept:
            _unmap(memory)
        self.kept = []

    def _new(
        self,
        env: Any,
        kind: Any,
        minimum: int,
        maximum: int,
        reserved: int,
        guard: int,
        out: Any,
    ) -> int:
        limit = ctypes.c_uint64()
        has = ffi.wasmtime_memorytype_maximum(kind, byref(limit))
        reserved = _pages(max(reserved, minimum))
        address = _map(reserved + guard)
        if address is None or not _open(address, minimum):
            return _error(f"no room for a memory of {minimum} bytes")
        memory = Linear(
            limit.value if has else None, address, minimum, reserved, guard, threading.get_ident()
        )
        number = next(self._numbers)
        self._alive[number] = memory
        get = bindings.wasmtime_memory_get_callback_t(_getter(memory))
        grow = bindings.wasmtime_memory_grow_callback_t(_grower(memory))
        done = _finalizer(lambda env: self._done(number))
        memory.callbacks = get, grow, done
        out[0] = bindings.wasmtime_linear_memory(None, get, grow, done)
        if memory.limit in (self.mark, self.mark + 1):
            with self._lock:
                self.kept.append(memory)
        return 0

    def _done(self, number: int) -> None:
        memory = self._alive.pop(number)
        if not any(memory is kept for kept in self.kept):
            _unmap(memory)
        self._let_go()

    def _gone(self) -> None:
        self._installed = False
        self._let_go()

    def _let_go(self) -> None:
        if not self._installed and not self._alive:
            _HELD.pop(id(self), None)


_finalizer = ctypes.CFUNCTYPE(None, c_void_p)


def _getter(memory: Linear) -> Any:
    def get(env: Any, size: Any, capacity: Any) -> int:
        size[0], capacity[0] = memory.size, memory.reserved
        return memory.address

    return get


def _grower(memory: Linear) -> Any:
    def grow(env: Any, size: int) -> int:
        if size > memory.reserved and not _move(memory, size):
            return _error(f"no room for a memory of {size} bytes")
        if not _open(memory.address, size):
            return _error(f"no room for a memory of {size} bytes")
        memory.size = size
        return 0

    return grow


def _move(memory: Linear, size: int) -> bool:
    """To where ``size`` bytes, and as many for later, have room."""
    reserved = _pages(2 * size)
    address = _map(reserved + memory.guard)
    if address is None or not _open(address, memory.size):
        return False
    ctypes.memmove(address, memory.address, memory.size)
    _unmap(memory)
    memory.address, memory.reserved = address, reserved
    return True


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _error(text: str) -> int:
    error = bindings.wasmtime_error_new(text.encode())
    return int(ctypes.cast(error, c_void_p).value or 0)


# --- the system's part ---------------------------------------------------------------------------


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = c_void_p
    libc.mmap.argtypes = (
        c_void_p,
        c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    libc.mprotect.argtypes = (c_void_p, c_size_t, ctypes.c_int)
    libc.munmap.argtypes = (c_void_p, c_size_t)
    return libc


def _map(size: int) -> int | None:
    """Address space nobody may touch yet."""
    flags = _PRIVATE | _NORESERVE | (_ANONYMOUS or 0)
    found = _libc().mmap(None, size, _NONE, flags, -1, 0)
    return None if found in (None, _FAILED) else int(found)


def _open(address: int, size: int) -> bool:
    """Make the first bytes readable and writable; new ones are zero."""
    return size == 0 or _libc().mprotect(address, _pages(size), _READ_WRITE) == 0


def _unmap(memory: Linear) -> None:
    _libc().munmap(memory.address, memory.reserved + memory.guard)
