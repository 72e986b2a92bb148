"""A component's exports on a host in Python, which sees every value that passes.

The engine's own WASI passes nothing through Python: who is to record all of it, or to answer in its
place, runs the guest here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import addressof
from typing import Any

from wasmtime import Engine, Store, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.run.engine import compile_component, reason, run_engine
from whamm_cm.run.exports import Export, find_export
from whamm_cm.run.guest import Job, Run, arguments, call_sync, function, success
from whamm_cm.run.host.bridge import Exit, Handles, Instance, Watch, provide, running
from whamm_cm.run.host.offers import HOST
from whamm_cm.run.host.world import Settings, World
from whamm_cm.run.linking import imports_of, missing_import, stub
from whamm_cm.run.memories import Memories
from whamm_cm.run.outcome import TRAP_STATUS, Outcome, parse_trap
from whamm_cm.run.values import free_all, reader, writer

#: ``(linker, what the component imports)``: defines all of it.
Provide = Callable[[Linker, dict[str, Any]], None]


class Hosted:
    """A component, compiled and linked; :meth:`start` makes instances."""

    def __init__(self, engine: Engine, component: Component, linker: Linker) -> None:
        self.engine, self.component, self.linker = engine, component, linker

    def start(self, world: Instance) -> Started:
        """An instance, whose start functions run here.  Raises WasmtimeError."""
        store = Store(self.engine)
        store.set_epoch_deadline(1)
        with running(world):
            return Started(world, store, self.linker.instantiate(store, self.component))


@dataclass(frozen=True, slots=True)
class Started:
    """An instance of the guest, whose handles ``world`` has."""

    world: Instance
    store: Store
    instance: Any

    def call(self, export: Export, values: Sequence[Any]) -> Any:
        """Call an export; its result, None for none.  Resources are those of the host.  Raises
        WasmtimeError when the guest traps, or what it calls fails."""
        world, name, t = self.world, full_name(export), export.type
        func = function(self.instance, self.store, export)
        handles = Handles(world, addressof(self.store._context().contents))
        images = [writer(p)(v, handles) for (_, p), v in zip(t.params, values, strict=True)]
        array = (ffi.wasmtime_component_val_t * len(images)).from_buffer_copy(b"".join(images))
        out = (ffi.wasmtime_component_val_t * (t.result is not None))()
        if world.watch is not None:
            world.watch.entered(name, values, handles.numbers)
        handles.numbers.clear()
        try:
            with running(world):
                error = call_sync(self.store, func, array, out)
            if error:
                raise WasmtimeError._from_ptr(error)
            result = None if t.result is None else reader(t.result)(bytes(out[0]), 0, handles)
        finally:
            free_all(array)
            free_all(out)
        if world.watch is not None:
            world.watch.returned(result, handles.numbers)
        return result


def full_name(export: Export) -> str:
    """As :class:`whamm_cm.run.host.bridge.Watch` has it."""
    return export.name if export.interface is None else f"{export.interface}#{export.name}"


def hosted(
    wasm: bytes, cache: bool, define: Provide, stub_imports: bool = False,
    memories: Memories | None = None,
) -> Hosted:  # fmt: skip
    """Compile and link; what ``define`` leaves open is stubbed, if that is wanted.  ``memories``:
    who makes those of instances.  Raises RunError for what the engine refuses and what is
    missing."""
    engine = run_engine(cache=cache, memories=memories, tasks=False)
    component = compile_component(engine, wasm)
    imports = imports_of(engine, component)

    def make() -> Linker:
        linker = Linker(engine)
        define(linker, imports)
        return linker

    linker = make()
    stub(linker, engine, component, make, stub_imports, told=True)
    return Hosted(engine, component, linker)


class HostedRun(Run):
    """A command, or the export to invoke, with ``watch`` told of all that passes."""

    def __init__(self, job: Job, watch: Callable[[], Watch]) -> None:
        super().__init__(job)
        self._watch = watch
        self._world: World | None = None

    def interrupt(self) -> None:
        super().interrupt()
        if self._world is not None:
            self._world.stop()

    def _run(self) -> Outcome:
        job = self.job

        def define(linker: Linker, imports: dict[str, Any]) -> None:
            provide(linker, linker.engine, imports, HOST)

        guest = hosted(job.wasm, job.cache, define, job.stub_imports)
        wanted = None if job.invoke is None else job.invoke.name
        export = find_export(guest.engine, guest.component, wanted)
        values = arguments(export, job.invoke)
        self._engine = guest.engine
        world = self._world = World(Settings(job.host))
        world.watch = self._watch()
        if self.interrupted.is_set():
            self.interrupt()
        if job.on_start is not None:
            job.on_start()
        try:
            result = guest.start(world).call(export, values)
        except WasmtimeError as error:
            return ended(world, error)
        finally:
            world.watch = None
            world.close()
        return success(export, job.invoke, result)


def ended(world: Instance, error: WasmtimeError) -> Outcome:
    """What became of a guest that did not return.  Raises what went wrong on our side."""
    if isinstance(world.error, Exit):
        return Outcome(world.error.status)
    if world.error is not None:
        raise world.error
    if missing_import(error) is not None:
        raise RunError(f"the stubs do not fit: {reason(error)}") from None
    return Outcome(TRAP_STATUS, trap=parse_trap(str(error)))
