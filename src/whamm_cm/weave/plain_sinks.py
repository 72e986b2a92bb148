"""Where the blocks of a woven core module go: a host function, or stderr as JSON."""

from __future__ import annotations

from whamm_cm.agent.layout import SCRATCH, load_wasm, sink_pages, sink_settings
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.link import Part
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.sinks import add_stubs
from whamm_cm.weave.wiring import SinkOptions, heap_base
from whamm_cm.wit.preview1 import MODULES, PREVIEW1

#: What the unit imports ``emit`` of.
OUT = "out"
#: What it imports the clocks of.
TIME = "time"
_SINK, _WRITE = "preview1-sink", "preview1-out"
_IOV, _NWRITTEN, _TEXT = 0, 8, 16
_CHUNK = 4096
_SEED = 16  # bytes
_STDERR = 2
_REALTIME, _MONOTONIC = 0, 1


def sink_parts(guest: CoreModule, sink: str, options: SinkOptions, wasi: str) -> list[Part]:
    """The parts that provide ``out``; WeaveError for a sink that only components have.  ``wasi``:
    the name by which it is imported (:func:`wasi_name`)."""
    if sink == "host":
        return [Part("out", _host(), OUT)]
    if sink != "stderr":
        raise WeaveError(f"--sink {sink} is for components; a core module has stderr, host or none")
    borrowed = _borrows(guest)
    if wasi and not borrowed:
        raise WeaveError(
            "--sink stderr needs a memory that is exported as memory, and the module exports none:"
            " what it calls of WASI would work on the sink's; use --sink host"
        )
    return [
        Part("sink", _sink(options), _SINK, None if borrowed else {"memory": "memory"}),
        Part("out", _copying(), OUT),
        Part("write", _borrowing(wasi, options.timed) if borrowed else _writing(wasi), _WRITE),
    ]


def uses_wasi(data: bytes) -> bool:
    """Whether a core module imports something of WASI preview 1, or of what came before."""
    return any(each.module.startswith("wasi_") for each in CoreModule(data).imports)


def wasi_name(guest: CoreModule) -> str:
    """By which name a core module imports WASI, "" where it does not."""
    used = {each.module for each in guest.imports}
    return next((name for name in MODULES if name in used), "")


def can_lend(guest: CoreModule) -> bool:
    """Whether WASI can be asked by way of the guest's memory."""
    try:
        return _borrows(guest)
    except WeaveError:
        return False


def add_clock(module: Module, time: int, memory: int) -> int:
    """A function that asks ``clock_time_get`` for the clock of that number, in nanoseconds, by way
    of the first bytes of the guest's memory, which look the same afterwards; 0 for no answer."""
    f = module.func(("i32",), ("i64",))
    kept, found = f.local("i64"), f.local("i64")
    f.memory_size(memory)
    with f.if_():
        f.i32(0)
        f.memory_op("i64.load", 0, memory)
        f.set(kept)
        f.get(0)
        f.i64(0)
        f.i32(0)
        f.call(time)
        f.op("i32.eqz")
        with f.if_():
            f.i32(0)
            f.memory_op("i64.load", 0, memory)
            f.set(found)
        f.i32(0)
        f.get(kept)
        f.memory_op("i64.store", 0, memory)
    f.get(found)
    return f.index


def time_part(wasi: str, wall: bool) -> Part:
    """``now`` for scripts, and ``wall``, in nanoseconds, asked for by way of the guest's memory."""
    module = Module()
    memory = module.import_memory("guest", "memory", MemoryType())
    clock = add_clock(module, import_time(module, wasi), memory)
    for name, number in (("now", _MONOTONIC), *((("wall", _REALTIME),) if wall else ())):
        f = module.func((), ("i64",))
        f.i32(number)
        f.call(clock)
        module.export_func(name, f.index)
    return Part(TIME, module.encode(), TIME)


def import_time(module: Module, wasi: str) -> int:
    return module.import_func(wasi, "clock_time_get", ("i32", "i64", "i32"), ("i32",))


def _borrows(guest: CoreModule) -> bool:
    """Whether WASI reads from a memory of the guest; WeaveError where it could not."""
    export = guest.export("memory")
    if export is None:
        return False
    if export.kind != "memory":
        raise WeaveError(
            f"--sink stderr needs a memory that is exported as memory, but that is a {export.kind};"
            " use --sink host"
        )
    memory = guest.exported_memory("memory")
    kinds = {"64-bit": memory.is64, "shared": memory.shared}
    reasons = [f"a {kind} memory" for kind, is_so in kinds.items() if is_so]
    if memory.page_size_log2 != 16:
        reasons.append("a memory with pages of another size than 64 KiB")
    if reasons:
        raise WeaveError(
            f"--sink stderr cannot write from a module with {reasons[0]}; use --sink host"
        )
    return True


def _host() -> bytes:
    module = Module()
    emit = module.import_func("whamm:cm/sink", "emit", ("i32", "i32"), ("i32",))
    module.export_func("emit", emit)
    return module.encode()


def _sink(options: SinkOptions) -> bytes:
    """sink-preview1.wasm with settings and site table in a memory large enough for all."""
    module = CoreModule(load_wasm("sink-preview1.wasm"))
    base = heap_base(module)
    pages = sink_pages(base, len(options.table))
    memory = next(i for i, s in enumerate(module.sections) if s.id == 5)
    larger = CoreModule(module.encode({memory: b"\1\0" + unsigned(pages)}))
    edit = ModuleEdit(larger)
    edit.add_data(0, sink_settings(base), options.image())
    return edit.encode()


def _copying() -> bytes:
    """``emit``: a block of the agent's memory, copied to where the sink reads it."""
    module = Module()
    agent = module.import_memory("agent", "memory", MemoryType())
    sink = module.import_memory(_SINK, "memory", MemoryType())
    place = module.import_func(_SINK, "input", (), ("i32",))
    emit = module.import_func(_SINK, "emit", ("i32", "i32"), ("i32",))
    f = module.func(("i32", "i32"), ("i32",))
    f.call(place)
    f.get(0)
    f.get(1)
    f.memory_copy(sink, agent)
    f.call(place)
    f.get(1)
    f.call(emit)
    module.export_func("emit", f.index)
    return module.encode()


def _fd_write(module: Module, wasi: str) -> int:
    return module.import_func(wasi or PREVIEW1, "fd_write", ("i32",) * 4, ("i32",))


def _call_fd_write(f: Func, fd_write: int) -> None:
    for value in (_STDERR, _IOV, 1, _NWRITTEN):
        f.i32(value)
    f.call(fd_write)
    f.op("drop")


def _random_get(module: Module, wasi: str) -> int | None:
    if not wasi:
        return None
    return module.import_func(wasi, "random_get", ("i32", "i32"), ("i32",))


def _writing(wasi: str) -> bytes:
    """``write`` where the sink's memory is the exported one: WASI reads the text in place."""
    module = Module()
    memory = module.import_memory(_SINK, "memory", MemoryType())
    fd_write, random_get = _fd_write(module, wasi), _random_get(module, wasi)
    f = module.func(("i32", "i32"))
    for offset, local in ((_IOV, 0), (_IOV + 4, 1)):
        f.i32(offset)
        f.get(local)
        f.memory_op("i32.store", 0, memory)
    _call_fd_write(f, fd_write)
    module.export_func("write", f.index)
    if random_get is not None:
        seed = module.func(("i32",))
        seed.get(0)
        seed.i32(_SEED)
        seed.call(random_get)
        seed.op("drop")
        module.export_func("seed", seed.index)
    add_stubs(module, ("wall", "now") if wasi else ("seed", "wall", "now"))
    return module.encode()


def _borrowing(wasi: str, timed: bool) -> bytes:
    """``write`` where WASI reads the guest's memory: its first bytes are lent for each chunk.

    Nothing of the guest runs in between, so it never sees them.
    """
    module = Module()
    guest = module.import_memory("guest", "memory", MemoryType())
    sink = module.import_memory(_SINK, "memory", MemoryType())
    agent = module.import_memory("agent", "memory", MemoryType())
    fd_write, random_get = _fd_write(module, wasi), _random_get(module, wasi)
    time = import_time(module, wasi) if timed and wasi else None
    f = _lent_write(module, fd_write, (guest, sink, agent))
    module.export_func("write", f.index)
    if random_get is not None:
        _borrow_seed(module, random_get, (guest, sink, agent))
    else:
        add_stubs(module, ("seed",))
    if time is not None:
        _add_clocks(module, time, guest, sink)
    else:
        add_stubs(module, ("wall", "now"))
    return module.encode()


def _lent_write(module: Module, fd_write: int, memories: tuple[int, int, int]) -> Func:
    guest, sink, agent = memories
    f = module.func(("i32", "i32"))
    size = f.local("i32")
    with f.block() as done, f.loop() as again:
        f.get(1)
        f.op("i32.eqz")
        f.br_if(done)
        f.memory_size(guest)
        f.op("i32.eqz")
        f.br_if(done)
        f.get(1)
        f.i32(_CHUNK)
        f.get(1)
        f.i32(_CHUNK)
        f.op("i32.lt_u", "select")
        f.set(size)
        _copy(f, (agent, SCRATCH), (guest, 0), size)
        f.i32(_TEXT)
        f.get(0)
        f.get(size)
        f.memory_copy(guest, sink)
        for offset, local in ((_IOV, None), (_IOV + 4, size)):
            f.i32(offset)
            f.i32(_TEXT) if local is None else f.get(local)
            f.memory_op("i32.store", 0, guest)
        _call_fd_write(f, fd_write)
        _copy(f, (guest, 0), (agent, SCRATCH), size)
        for local, op in ((0, "i32.add"), (1, "i32.sub")):
            f.get(local)
            f.get(size)
            f.op(op)
            f.set(local)
        f.br(again)
    return f


def _add_clocks(module: Module, time: int, guest: int, sink: int) -> None:
    """``now``, and ``wall``: seconds and nanoseconds, each of 64 bits, at an address of the
    sink's."""
    clock = add_clock(module, time, guest)
    f = module.func((), ("i64",))
    f.i32(_MONOTONIC)
    f.call(clock)
    module.export_func("now", f.index)
    f = module.func(("i32",))
    found = f.local("i64")
    f.i32(_REALTIME)
    f.call(clock)
    f.set(found)
    for offset, op in ((0, "i64.div_u"), (8, "i64.rem_u")):
        f.get(0)
        f.get(found)
        f.i64(10**9)
        f.op(op)
        f.memory_op("i64.store", offset, sink)
    module.export_func("wall", f.index)


def _borrow_seed(module: Module, random_get: int, memories: tuple[int, int, int]) -> None:
    """``seed``: random bits by way of the guest's memory, which looks the same afterwards."""
    guest, sink, agent = memories
    f = module.func(("i32",))
    f.memory_size(guest)
    with f.if_():
        f.i32(_SEED)
        f.set(size := f.local("i32"))
        _copy(f, (agent, SCRATCH), (guest, 0), size)
        f.i32(_TEXT)
        f.i32(_SEED)
        f.call(random_get)
        f.op("drop")
        f.get(0)
        f.i32(_TEXT)
        f.get(size)
        f.memory_copy(sink, guest)
        _copy(f, (guest, 0), (agent, SCRATCH), size)
    module.export_func("seed", f.index)


def _copy(f: Func, to: tuple[int, int], source: tuple[int, int], size: int) -> None:
    """``size`` bytes of text and what is in front of it."""
    f.i32(to[1])
    f.i32(source[1])
    f.get(size)
    f.i32(_TEXT)
    f.op("i32.add")
    f.memory_copy(to[0], source[0])
