"""Linear memories the host allocates itself, so that it can still read them when the guest is dead.

After a trap no component can be entered any more, and its memories are nobody's exports.  But an
engine lets its embedder allocate memories (``wasmtime_config_host_memory_creator_set``): what
probes had recorded and not yet sent is read from there.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from ctypes import byref, c_size_t, c_void_p
from dataclasses import field
from itertools import count
from typing import Any

from wasmtime import Config
from wasmtime import _bindings as bindings

from whamm_cm.dataclass import dataclass
from whamm_cm.run import calls

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
    ``maker`` the thread that asked for it.  ``kept``: also when its store is gone."""

    limit: int | None
    address: int
    size: int
    reserved: int
    guard: int
    maker: int = 0
    kept: bool = False

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
    _alive: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _installed: bool = False
    _callbacks: tuple[Any, ...] = ()

    def install(self, config: Config) -> None:
        """Let engines of ``config`` take their memories from here."""
        new, done = _creator(self._new), _finalizer(lambda env: self._gone())
        self._callbacks = new, done
        self._installed = True
        _HELD[id(self)] = self
        # Images of a memory's first content are mapped into memories of wasmtime's own only.
        bindings.wasmtime_config_memory_init_cow_set(config.ptr(), False)
        creator = bindings.wasmtime_memory_creator(
            None,
            ctypes.cast(new, bindings.wasmtime_new_memory_callback_t),
            ctypes.cast(done, ctypes.CFUNCTYPE(None, c_void_p)),
        )
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
        for memory in found:
            memory.kept = False
        return Kept(self.mark, found)

    def close(self) -> None:
        """Give back what was kept; to be called when the store is gone."""
        for memory in self.kept:
            _unmap(memory)
        self.kept = []

    def _new(
        self, _: int, kind: int, minimum: int, maximum: int, reserved: int, guard: int, out: int
    ) -> int:
        limit = ctypes.c_uint64()
        has = calls.memory_maximum(kind, byref(limit))
        reserved = _pages(max(reserved, minimum))
        address = _map(reserved + guard)
        if address is None or not _open(address, minimum):
            return _error(f"no room for a memory of {minimum} bytes")
        memory = Linear(
            limit.value if has else None, address, minimum, reserved, guard, threading.get_ident()
        )
        number = next(_numbers)
        self._alive.add(number)
        _alive[number] = memory, self
        ctypes.memmove(out, _CREATED(number, *_CALLBACKS), _CREATED_SIZE)
        if memory.limit in (self.mark, self.mark + 1):
            memory.kept = True
            with self._lock:
                self.kept.append(memory)
        return 0

    def done(self, number: int, memory: Linear) -> None:
        """The engine does not need the memory any more."""
        self._alive.discard(number)
        if not memory.kept:
            _unmap(memory)
        self._let_go()

    def _gone(self) -> None:
        self._installed = False
        self._let_go()

    def _let_go(self) -> None:
        if not self._installed and not self._alive:
            _HELD.pop(id(self), None)


# What engines know by number: a memory, and whose it is.
_alive: dict[int, tuple[Linear, Memories]] = {}
_numbers = count(1)


def _get(number: int, size: int, capacity: int) -> int:
    memory, _ = _alive[number]
    ctypes.c_size_t.from_address(size).value = memory.size
    ctypes.c_size_t.from_address(capacity).value = memory.reserved
    return memory.address


def _grow(number: int, size: int) -> int:
    memory, _ = _alive[number]
    if size > memory.reserved and not _move(memory, size):
        return _error(f"no room for a memory of {size} bytes")
    if not _open(memory.address, size):
        return _error(f"no room for a memory of {size} bytes")
    memory.size = size
    return 0


def _done(number: int) -> None:
    memory, owner = _alive.pop(number)
    owner.done(number, memory)


# Addresses and sizes are integers: ctypes makes an object of each pointer.
_finalizer = ctypes.CFUNCTYPE(None, c_size_t)
_creator = ctypes.CFUNCTYPE(c_size_t, *[c_size_t] * 7)
_getter = ctypes.CFUNCTYPE(c_size_t, c_size_t, c_size_t, c_size_t)
_grower = ctypes.CFUNCTYPE(c_size_t, c_size_t, c_size_t)
_FUNCTIONS = _getter(_get), _grower(_grow), _finalizer(_done)
_CALLBACKS = [ctypes.cast(function, c_void_p).value or 0 for function in _FUNCTIONS]
#: Of a ``wasmtime_linear_memory_t``: its number, and the callbacks.
_CREATED, _CREATED_SIZE = struct.Struct("<4Q").pack, 32


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


def _system(library_of: Any, name: str, result: Any, *params: Any) -> Any:
    """A function of the C library, which is there where :func:`supported` says so."""
    library = None if _ANONYMOUS is None else library_of(None)
    found = getattr(library, name, None)
    if found is not None:
        found.restype, found.argtypes = result, params
    return found


# Those that only note something are over at once (see ``calls``); to give back what a guest had
# written to may take a while, in which others run.
_mmap = _system(
    ctypes.PyDLL,
    "mmap",
    c_void_p,
    c_void_p,
    c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_mprotect = _system(ctypes.PyDLL, "mprotect", ctypes.c_int, c_void_p, c_size_t, ctypes.c_int)
_munmap = _system(ctypes.CDLL, "munmap", ctypes.c_int, c_void_p, c_size_t)


def _map(size: int) -> int | None:
    """Address space nobody may touch yet."""
    flags = _PRIVATE | _NORESERVE | (_ANONYMOUS or 0)
    found = _mmap(None, size, _NONE, flags, -1, 0)
    return None if found in (None, _FAILED) else int(found)


def _open(address: int, size: int) -> bool:
    """Make the first bytes readable and writable; new ones are zero."""
    return size == 0 or _mprotect(address, _pages(size), _READ_WRITE) == 0


def _unmap(memory: Linear) -> None:
    _munmap(memory.address, memory.reserved + memory.guard)
