"""An HTTP handler under the embedded engine: an instance for each request, or for a few."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from ctypes import addressof, byref
from dataclasses import replace
from typing import Any

from wasmtime import Store, WasmtimeError
from wasmtime import _bindings as bindings
from wasmtime import _ffi as ffi
from wasmtime.component import ComponentInstanceType, Func, Linker

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.run.engine import compile_component, reason, run_engine
from whamm_cm.run.guest import Gate
from whamm_cm.run.host.bridge import Exit, Handles, Watch, provide, running
from whamm_cm.run.host.http import IncomingRequest, ResponseOutparam
from whamm_cm.run.host.offers import HOST
from whamm_cm.run.host.world import Settings, World
from whamm_cm.run.leftover import leftover
from whamm_cm.run.linking import add_sink, imports_of, missing_import, stub
from whamm_cm.run.memories import Kept, Memories, supported
from whamm_cm.run.outcome import TRAP_STATUS, Trap, parse_trap
from whamm_cm.run.values import free_all, writer
from whamm_cm.wit.types import Own, Resource

INTERFACE = "wasi:http/incoming-handler@0.2."
_CONTINUE = 0  # WASMTIME_UPDATE_DEADLINE_CONTINUE
_RESOURCE = writer(Own(Resource()))
_Arguments = ffi.wasmtime_component_val_t * 2


@dataclass(frozen=True, slots=True)
class Service:
    """What to serve and how.  ``reuse``: how many requests an instance is for.  ``emit`` and
    ``mark`` as of :class:`whamm_cm.run.guest.Job`.  ``begun`` is told of each request and of who
    asks, on the thread that runs the guest, before it does; what it returns is the ``traceparent``
    of :class:`World`.  ``watch`` makes who is told of all that passes in an instance."""

    wasm: bytes
    settings: Settings
    emit: Callable[[str], int] | None = None
    stub_imports: bool = False
    cache: bool = True
    reuse: int = 1
    mark: int | None = None
    begun: Callable[[IncomingRequest, str], Callable[[], str] | None] = lambda request, peer: None
    watch: Callable[[], Watch] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A guest that did not return.  ``salvaged``: all that it had recorded went to ``emit``;
    ``status``: what a program ends with that ends so."""

    trap: Trap
    salvaged: bool = False
    status: int = TRAP_STATUS


class Taken:
    """An instance of the guest, for up to ``reuse`` requests one after the other.

    ``last_id`` is what the sink last answered to this one.
    """

    def __init__(self, handler: Handler) -> None:
        self.world = World(handler.service.settings)
        if handler.service.watch is not None:
            self.world.watch = handler.service.watch()
        self.store = Store(handler.engine)
        self.store.set_epoch_deadline(1)
        _worlds[id(self.world)] = self.world
        bindings.wasmtime_store_epoch_deadline_callback(
            self.store.ptr(), _GO_ON, id(self.world), _NOTHING
        )
        self.uses = self.last_id = 0
        self.began = time.monotonic()
        self.late: float | None = None
        self._func: Func | None = None
        self._kept: Kept | None = None

    def call(self, handler: Handler, request: IncomingRequest, out: ResponseOutparam) -> None:
        """Raises WasmtimeError when the guest traps, is stopped, or what it calls fails."""
        self.uses += 1
        self.began = time.monotonic()
        with running(self.world):
            _calling.taken = self
            if self._func is None:
                self._func = self._started(handler)
            context = self.store._context()
            handles = Handles(self.world, addressof(context.contents))
            images = _RESOURCE(request, handles) + _RESOURCE(out, handles)
            array = _Arguments.from_buffer_copy(images)
            if self.world.watch is not None:
                name = f"{handler.export}#handle"
                self.world.watch.entered(name, (request, out), handles.numbers)
            try:
                error = ffi.wasmtime_component_func_call(
                    byref(self._func._func), context, array, len(array), None, 0
                )
            finally:
                free_all(array)
            if error:
                raise WasmtimeError._from_ptr(error)
            if self.world.watch is not None:
                self.world.watch.returned(None, ())

    def _started(self, handler: Handler) -> Func:
        try:
            instance = handler.linker.instantiate(self.store, handler.component)
        finally:
            if handler.memories is not None:
                self._kept = handler.memories.claim()
        parent = instance.get_export_index(self.store, handler.export)
        index = instance.get_export_index(self.store, "handle", parent)
        found = None if index is None else instance.get_func(self.store, index)
        if found is None:
            raise RunError(f"the embedded engine does not find its own export {handler.export}")
        return found

    def salvage(self, gate: Gate) -> bool:
        """Pass on what a guest that trapped had recorded and not sent; False if nobody can."""
        if self._kept is None:
            return False
        for block in leftover(self._kept, self.last_id):
            gate(block.decode("latin-1"))
        return True

    def close(self) -> None:
        try:
            self.store.close()
        finally:
            del _worlds[id(self.world)]
            self.world.close()


# The instance whose guest this thread runs.
_calling = threading.local()
# Of the instances there are, by what their stores call us back with.
_worlds: dict[int, World] = {}


def _go_on(context: Any, number: int, delta: Any, kind: Any) -> int:
    """At a new epoch: whether this is one of those that are to stop."""
    if _worlds[number].stopped.is_set():
        error = WasmtimeError("wasm trap: interrupt")._consume()
        return ctypes.cast(error, ctypes.c_void_p).value or 0
    delta[0], kind[0] = 1, _CONTINUE
    return 0


def _nothing(_: Any) -> None:
    """Nothing of ours is owned by a store."""


_GO_ON = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.POINTER(bindings.wasmtime_context_t),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(bindings.wasmtime_update_deadline_kind_t),
)(_go_on)
_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_nothing)


class Handler:
    """Made once; requests may come on many threads at a time."""

    def __init__(self, service: Service) -> None:
        """Raises RunError for what is no handler, or imports what this host does not have."""
        self.service = service
        self.gate = None if service.emit is None else Gate(service.emit)
        self.memories: Memories | None = None
        if service.mark is not None and self.gate is not None and supported():
            self.memories = Memories(service.mark)
        self.engine = run_engine(cache=service.cache, memories=self.memories, tasks=False)
        self.component = compile_component(self.engine, service.wasm)
        self.imports = imports_of(self.engine, self.component)
        self.export = self._export()
        self.linker = self._new_linker()
        stub(self.linker, self.engine, self.component, self._new_linker, service.stub_imports,
             told=service.watch is not None)  # fmt: skip
        self._idle: list[Taken] = []
        self._busy: set[Taken] = set()
        self._lock = threading.Lock()
        self._closed = False

    def _export(self) -> str:
        exports = self.component.type.exports(self.engine)
        for name, export in exports.items():
            if name.startswith(INTERFACE) and isinstance(export.ty, ComponentInstanceType):
                return name
        known = ", ".join(exports) or "nothing"
        raise RunError(f"the component is no HTTP handler: it exports {known}, not {INTERFACE}x")

    def _new_linker(self) -> Linker:
        linker = Linker(self.engine)
        provide(linker, self.engine, self.imports, HOST)
        add_sink(linker, self.imports, None if self.gate is None else self._emitted)
        return linker

    def _emitted(self, block: str) -> int:
        assert self.gate is not None
        answer = self.gate(block)
        taken: Taken = _calling.taken
        taken.last_id = answer
        return answer

    def handle(
        self, instance: Taken, request: IncomingRequest, out: ResponseOutparam, peer: str = ""
    ) -> Ended | None:
        """Run the guest in an instance that was taken, on this thread; how it trapped, if it did.
        ``peer``: who asks, ``host:port``.

        Raises RunError for stubs that do not fit and what else is wrong on our side, and what
        ``emit`` raised.
        """
        good = False
        instance.world.traceparent = self.service.begun(request, peer)
        try:
            instance.call(self, request, out)
            instance.world.table.leave()
            good = True
        except WasmtimeError as error:
            trap = self._trap(error, instance)
            if self.gate is not None:
                trap = replace(trap, salvaged=instance.salvage(self.gate))
            return trap
        finally:
            self._returned(instance, good)
        return None

    def taken(self) -> Taken:
        """An instance for one request."""
        with self._lock:
            instance = self._idle.pop() if self._idle else Taken(self)
            instance.began = time.monotonic()
            if self._closed:
                instance.world.stop()
                instance.store.set_epoch_deadline(0)
            self._busy.add(instance)
        return instance

    def _returned(self, instance: Taken, good: bool) -> None:
        """It waits for another request, or is closed."""
        with self._lock:
            self._busy.discard(instance)
            stopped = self._closed or instance.world.stopped.is_set()
            if good and not stopped and instance.uses < self.service.reuse:
                self._idle.append(instance)
                return
        instance.close()

    def _trap(self, error: WasmtimeError, instance: Taken) -> Ended:
        world = instance.world
        if self.gate is not None and self.gate.error is not None:
            raise self.gate.error
        if isinstance(world.error, Exit):
            return Ended(Trap(f"the guest exited with status {world.error.status}"))
        if world.error is not None:
            raise world.error
        if missing_import(error) is not None:
            raise RunError(f"the stubs do not fit: {reason(error)}") from None
        if instance.late is not None:
            return Ended(Trap(f"it had not answered after {instance.late:g} seconds"))
        if world.stopped.is_set():
            return Ended(Trap("it was stopped, as the server ends"))
        return Ended(parse_trap(str(error)))

    def stop_late(self, seconds: float) -> None:
        """Stop the guests that have not answered for so long."""
        now = time.monotonic()
        with self._lock:
            late = [one for one in self._busy if now - one.began > seconds]
            for one in late:
                one.late = seconds
            self._stop(late)

    def close(self) -> None:
        """Stop all guests, and let no more begin."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._stop(list(self._busy))
        for one in idle:
            one.close()

    def _stop(self, some: Sequence[Taken]) -> None:
        """Under the lock: one that has returned by now must not be stopped in its next request."""
        for one in some:
            one.world.stop()
        if some:
            self.engine.increment_epoch()
