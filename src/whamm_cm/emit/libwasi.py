"""The little of WASI preview 1 that a library gets: where it can write, and nothing else.

What a Rust, Zig or C library says (``fd_write`` to 1 and 2) becomes text that the script prints.
There is no environment, no argument, no file; the clock moves one millisecond each time it is read
and random bytes are the same in every run, so what a script counts does not change between runs.
``proc_exit`` traps: there is nothing else a function that must not return can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whamm_cm.wasm.asm import Func, FuncType, Module
from whamm_cm.wasm.types import MemoryType

WASI = "wasi_snapshot_preview1"
PROVIDER = "library"
"""The module name under which the library itself is imported for its memory."""
#: What the shim imports of the script runtime (``emit.script.env.RUNTIME``).
TEXT_FUNCTIONS: dict[str, FuncType] = {
    "tmp": (("i32",), ("i32",)),
    "st8": (("i32", "i32"), ()),
    "st64": (("i32", "i64"), ()),
    "raw_print": (("i32", "i32", "i32"), ()),
}

_EBADF, _ENOSYS, _ESPIPE = 8, 52, 70
_STDERR = 2
_CHUNK = 8192  # bytes of text handed on at once
_FDSTAT_SIZE, _CHARACTER_DEVICE = 24, 2
_RIGHT_FD_WRITE = 1 << 6
_MILLISECOND = 1_000_000
_SEED = 0x9E3779B97F4A7C15


class _Shim:
    """The module under construction; ``runtime``: indices of TEXT_FUNCTIONS."""

    def __init__(self, module: Module, runtime: Mapping[str, int], site: int) -> None:
        self.module, self.runtime, self.site = module, runtime, site
        self._globals: dict[str, int] = {}

    def number(self, name: str, start: int) -> int:
        """A mutable i64 of the shim's own."""
        if name not in self._globals:
            self._globals[name] = self.module.global_("i64", start)
        return self._globals[name]


def build_libwasi(
    imports: Mapping[str, FuncType], memory: str | None, runtime: str, site: int
) -> bytes:
    """A module that exports ``imports`` (functions of preview 1 by name, with the type they are
    imported with).

    ``memory``: the name of the library's exported memory (None when it has none and calls nothing
    that needs one).  ``runtime``: the module name to import TEXT_FUNCTIONS under, if
    text can come; ``site``: the number of the print site that the text belongs to.
    """
    module = Module()
    used: dict[str, int] = {}
    if prints(imports):
        used = {
            name: module.import_func(runtime, name, *type_)
            for name, type_ in TEXT_FUNCTIONS.items()
        }
    if memory is not None:
        module.import_memory(PROVIDER, memory, MemoryType())
    shim = _Shim(module, used, site)
    for name, (params, results) in imports.items():
        f = module.func(params, results)
        _FUNCTIONS.get(name, _unknown)(shim, f)
        module.export_func(name, f.index)
    return module.encode()


def prints(imports: Mapping[str, FuncType]) -> bool:
    return "fd_write" in imports


def misfit(name: str, type_: FuncType) -> str | None:
    """Why a function cannot be had with that type; None when it can."""
    expected = _TYPES.get(name)
    if expected is not None and type_ != expected:
        return f"imports {name} of {WASI} with a type that is not the one it has there"
    if expected is None and type_[1] != _ERRNO:
        return f"imports {name} of {WASI}, which has no such function"
    return None


# --- the functions --------------------------------------------------------------------------------


def _unknown(shim: _Shim, f: Func) -> None:
    """Not there: ENOSYS."""
    f.i32(_ENOSYS)


def _answer(errno: int) -> Callable[[_Shim, Func], None]:
    def emit(shim: _Shim, f: Func) -> None:
        f.i32(errno)

    return emit


def _none_of_it(shim: _Shim, f: Func) -> None:
    """``*_sizes_get``: no items, no bytes."""
    for param in range(2):
        f.get(param)
        f.i32(0)
        f.memory_op("i32.store")
    f.i32(0)


def _exit(shim: _Shim, f: Func) -> None:
    f.op("unreachable")


def _clock(shim: _Shim, f: Func) -> None:
    now = shim.number("clock", 0)
    f.get(2)
    f.global_get(now)
    f.memory_op("i64.store")
    f.global_get(now)
    f.i64(_MILLISECOND)
    f.op("i64.add")
    f.global_set(now)
    f.i32(0)


def _resolution(shim: _Shim, f: Func) -> None:
    f.get(1)
    f.i64(_MILLISECOND)
    f.memory_op("i64.store")
    f.i32(0)


def _random(shim: _Shim, f: Func) -> None:
    """xorshift64, a byte a round."""
    state = shim.number("random", _SEED)
    with f.block() as done, f.loop() as again:
        f.get(1)
        f.op("i32.eqz")
        f.br_if(done)
        for shift, op in ((13, "i64.shl"), (7, "i64.shr_u"), (17, "i64.shl")):
            f.global_get(state)
            f.global_get(state)
            f.i64(shift)
            f.op(op, "i64.xor")
            f.global_set(state)
        f.get(0)
        f.global_get(state)
        f.memory_op("i64.store8")
        _add(f, 0, 1)
        _add(f, 1, -1)
        f.br(again)
    f.i32(0)


def _fdstat(shim: _Shim, f: Func) -> None:
    """0, 1 and 2 are devices that can be written to."""
    f.get(0)
    f.i32(_STDERR)
    f.op("i32.gt_u")
    with f.if_("i32"):
        f.i32(_EBADF)
        f.else_()
        for offset in range(0, _FDSTAT_SIZE, 8):
            f.get(1)
            f.i64({0: _CHARACTER_DEVICE, 8: _RIGHT_FD_WRITE}.get(offset, 0))
            f.memory_op("i64.store", offset)
        f.i32(0)


def _write(shim: _Shim, f: Func) -> None:
    """(fd, iovs, count, written): each (address, length) of ``iovs`` is printed."""
    total, at, left, size, to = (f.local("i32") for _ in range(5))
    f.get(0)
    f.i32(1)
    f.op("i32.sub")
    f.i32(1)
    f.op("i32.gt_u")
    with f.if_():
        f.i32(_EBADF)
        f.op("return")
    with f.block() as done, f.loop() as again:
        f.get(2)
        f.op("i32.eqz")
        f.br_if(done)
        for offset, local in ((0, at), (4, left)):
            f.get(1)
            f.memory_op("i32.load", offset)
            f.set(local)
        f.get(total)
        f.get(left)
        f.op("i32.add")
        f.set(total)
        _print(shim, f, at, left, size, to)
        _add(f, 1, 8)
        _add(f, 2, -1)
        f.br(again)
    f.get(3)
    f.get(total)
    f.memory_op("i32.store")
    f.i32(0)


def _print(shim: _Shim, f: Func, at: int, left: int, size: int, to: int) -> None:
    """Hand on ``left`` bytes at ``at``, in chunks that end between characters."""
    start = f.local("i32")
    with f.block() as done, f.loop() as again:
        f.get(left)
        f.op("i32.eqz")
        f.br_if(done)
        _chunk(f, at, left, size)
        f.get(size)
        f.call(shim.runtime["tmp"])
        f.tee(to)
        f.set(start)
        f.get(left)
        f.get(size)
        f.op("i32.sub")
        f.set(left)
        f.i32(shim.site)
        f.get(start)
        f.get(size)
        _copy(shim, f, at, size, to)
        f.call(shim.runtime["raw_print"])
        f.br(again)


def _chunk(f: Func, at: int, left: int, size: int) -> None:
    """``size`` = ``left`` or what goes of it at once; a continuation byte never comes first."""
    f.get(left)
    f.set(size)
    f.get(left)
    f.i32(_CHUNK)
    f.op("i32.gt_u")
    with f.if_():
        f.i32(_CHUNK)
        f.set(size)
        with f.block() as found, f.loop() as back:
            f.get(at)
            f.get(size)
            f.op("i32.add")
            f.memory_op("i32.load8_u")
            f.i32(0xC0)
            f.op("i32.and")
            f.i32(0x80)
            f.op("i32.ne")
            f.br_if(found)
            _add(f, size, -1)
            f.get(size)
            f.i32(_CHUNK - 3)
            f.op("i32.gt_u")
            f.br_if(back)


def _copy(shim: _Shim, f: Func, at: int, size: int, to: int) -> None:
    """Copy ``size`` bytes from the library to the state; moves all three to their ends."""
    for step, load, put in ((8, "i64.load", "st64"), (1, "i32.load8_u", "st8")):
        with f.block() as done, f.loop() as again:
            f.get(size)
            f.i32(step)
            f.op("i32.lt_u")
            f.br_if(done)
            f.get(to)
            f.get(at)
            f.memory_op(load)
            f.call(shim.runtime[put])
            _add(f, at, step)
            _add(f, to, step)
            _add(f, size, -step)
            f.br(again)


def _add(f: Func, local: int, value: int) -> None:
    f.get(local)
    f.i32(value)
    f.op("i32.add")
    f.set(local)


_FUNCTIONS: dict[str, Callable[[_Shim, Func], None]] = {
    "args_get": _answer(0),
    "args_sizes_get": _none_of_it,
    "environ_get": _answer(0),
    "environ_sizes_get": _none_of_it,
    "clock_res_get": _resolution,
    "clock_time_get": _clock,
    "fd_close": _answer(0),
    "fd_fdstat_get": _fdstat,
    "fd_prestat_get": _answer(_EBADF),
    "fd_prestat_dir_name": _answer(_EBADF),
    "fd_read": _answer(_EBADF),
    "fd_seek": _answer(_ESPIPE),
    "fd_write": _write,
    "proc_exit": _exit,
    "random_get": _random,
    "sched_yield": _answer(0),
}
_TWO, _ERRNO = ("i32", "i32"), ("i32",)
#: The functions above that read their parameters.
_TYPES: dict[str, FuncType] = {
    **dict.fromkeys(("args_sizes_get", "environ_sizes_get"), (_TWO, _ERRNO)),
    **dict.fromkeys(("clock_res_get", "fd_fdstat_get", "random_get"), (_TWO, _ERRNO)),
    "clock_time_get": (("i32", "i64", "i32"), _ERRNO),
    "fd_write": (("i32",) * 4, _ERRNO),
    "proc_exit": (("i32",), ()),
}
#: Functions that do without the library's memory.
MEMORYLESS = frozenset({"proc_exit", "sched_yield", "fd_close", "fd_seek"})
