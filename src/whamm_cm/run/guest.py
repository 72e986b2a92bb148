"""One run of a guest, from bytes to outcome, on the thread that calls it."""

from __future__ import annotations

import ctypes
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from ctypes import byref
from dataclasses import field
from typing import Any

from wasmtime import Engine, ExitTrap, Store, WasiConfig, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Func, Instance

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.run.engine import compile_component, reason, run_engine
from whamm_cm.run.exports import Export, find_export
from whamm_cm.run.leftover import all_said, ask, leftover
from whamm_cm.run.linking import link, missing_import
from whamm_cm.run.memories import Memories, supported
from whamm_cm.run.network import allow_network
from whamm_cm.run.options import Dir, HostOptions
from whamm_cm.run.outcome import TRAP_STATUS, Outcome, parse_trap
from whamm_cm.run.values import free_all, lift, lower_all, unpassable
from whamm_cm.run.wave import Invocation, format_value, parse_arguments
from whamm_cm.wit.types import FuncT


@dataclass(frozen=True, slots=True)
class Job:
    """What to run and how."""

    wasm: bytes
    host: HostOptions
    invoke: Invocation | None
    emit: Callable[[str], int] | None
    stub_imports: bool
    cache: bool
    on_start: Callable[[], None] | None = None
    mark: int | None = None
    signals: bool = True
    timeout: float | None = None


@dataclass(slots=True)
class Gate:
    """Passes blocks to ``emit`` until closed, and keeps what ``emit`` raised.

    An exception cannot pass through wasm frames: the guest is trapped instead, and whoever ran it
    raises the exception afterwards.
    """

    emit: Callable[[str], int]
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False
    error: BaseException | None = None
    answer: int = 0

    def __call__(self, block: str) -> int:
        with self.lock:
            if self.closed:
                raise WasmtimeError("the run is over")
            try:
                answer = self.emit(block)
                if not isinstance(answer, int) or not 0 <= answer < 1 << 32:
                    raise TypeError(f"expected an instance id from the sink, not {answer!r}")
                self.answer = answer
                return answer
            except BaseException as error:
                self.error, self.closed = error, True
                raise WasmtimeError("the sink failed") from error

    def close(self) -> None:
        with self.lock:
            self.closed = True


class Run(ABC):
    """Runs a :class:`Job` once.  Another thread may call :meth:`interrupt` at any time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.gate = None if job.emit is None else Gate(job.emit)
        self.interrupted = threading.Event()
        self._engine: Engine | None = None
        #: Whether all that the guest had recorded has gone to ``emit``, however it ended.
        self.salvaged = False
        #: Whether what scripts had counted has, too.
        self.reported = False

    def interrupt(self) -> None:
        """Makes guest code trap as soon as it runs; a host call under way is not cut short."""
        self.interrupted.set()
        if self._engine is not None:
            self._engine.increment_epoch()

    def run(self) -> Outcome:
        """Raises RunError, UsageError (a bad invocation) and whatever ``emit`` raised."""
        outcome = self._run()
        if self.gate is not None and self.gate.error is not None:
            raise self.gate.error
        return outcome

    @abstractmethod
    def _run(self) -> Outcome: ...

    def ask(self) -> bool:
        """Ask for what scripts have counted, which comes within a moment if code with probes runs;
        False where there is nobody to ask."""
        return False

    def salvage(self) -> None:  # noqa: B027
        """Pass on what a guest that was stopped had recorded and not sent, where it can be had."""

    def _store(self, engine: Engine) -> Store:
        """A store with WASI in it that :meth:`interrupt` reaches from now on."""
        store = Store(engine)
        store.set_epoch_deadline(1)
        self._engine = engine
        if self.interrupted.is_set():  # it came while compiling, when there was no epoch to move
            engine.increment_epoch()
        store.set_wasi(wasi_config(self.job.host))
        return store


class GuestRun(Run):
    """A component."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._memories: Memories | None = None
        if job.mark is not None and job.emit is not None and supported():
            self._memories = Memories(job.mark)

    def ask(self) -> bool:
        return self._memories is not None and ask(self._memories)

    def salvage(self) -> None:
        gate = self.gate
        if self._memories is None or gate is None or self.salvaged or gate.closed:
            return
        for block in leftover(self._memories, gate.answer):
            gate(block.decode("latin-1"))
        self.salvaged = True
        self.reported = all_said(self._memories)

    def _run(self) -> Outcome:
        job = self.job
        engine = run_engine(cache=job.cache, memories=self._memories)
        component = compile_component(engine, job.wasm)
        # All that can be wrong with the request is found before any guest code runs.
        export = find_export(engine, component, None if job.invoke is None else job.invoke.name)
        values = arguments(export, job.invoke)
        store = self._store(engine)
        store.set_wasi_http()
        if job.on_start is not None:
            job.on_start()
        try:
            instance = link(engine, component, store, self.gate, stub_imports=job.stub_imports)
            func = function(instance, store, export)
            result = self._enter(store, func, export.type, values)
        except ExitTrap as exit_:
            return Outcome(exit_.code)
        except WasmtimeError as error:
            if missing_import(error) is not None:
                raise RunError(f"the stubs do not fit: {reason(error)}") from None
            self.salvage()
            return Outcome(
                TRAP_STATUS, trap=parse_trap(str(error)), salvaged=self.salvaged,
                reported=self.reported,
            )  # fmt: skip
        return success(export, job.invoke, result)

    def _enter(self, store: Store, func: Func, t: FuncT, values: Sequence[Any]) -> Any:
        array = lower_all(values, [param for _, param in t.params])
        out = (ffi.wasmtime_component_val_t * (t.result is not None))()
        call = self._call_async if t.is_async else call_sync
        try:
            error = call(store, func, array, out)
            if error:
                raise WasmtimeError._from_ptr(error)
            return None if t.result is None else lift(out[0], t.result)
        finally:
            free_all(array)
            free_all(out)

    def _call_async(self, store: Store, func: Func, array: Any, out: Any) -> Any:
        """Drives an ``async`` export; calling one the other way aborts the process."""
        error = ctypes.POINTER(ffi.wasmtime_error_t)()
        future = ffi.wasmtime_component_func_call_async(
            byref(func._func), store._context(), array, len(array), out, len(out), byref(error)
        )
        try:
            while not ffi.wasmtime_call_future_poll(future):
                if self.interrupted.is_set():
                    raise WasmtimeError("wasm trap: interrupt")
                time.sleep(0.001)  # there is no waker to wait for
        finally:
            ffi.wasmtime_call_future_delete(future)
        return error


def call_sync(store: Store, func: Func, array: Any, out: Any) -> Any:
    return ffi.wasmtime_component_func_call(
        byref(func._func), store._context(), array, len(array), out, len(out)
    )


def arguments(export: Export, invoke: Invocation | None) -> list[Any]:
    obstacle = unpassable(export.type)
    if obstacle is not None:
        raise RunError(
            f"{export.name} takes or returns {obstacle}: the embedded runner cannot call it"
        )
    return [] if invoke is None else parse_arguments(invoke, export.type.params)


def function(instance: Instance, store: Store, export: Export) -> Func:
    parent = None
    if export.interface is not None:
        parent = instance.get_export_index(store, export.interface)
    index = instance.get_export_index(store, export.name, parent)
    func = None if index is None else instance.get_func(store, index)
    if func is None:
        raise RunError(f"the embedded engine does not find its own export {export.name}")
    return func


def success(export: Export, invoke: Invocation | None, result: Any) -> Outcome:
    if invoke is None:
        return Outcome(0 if isinstance(result, dict) and "ok" in result else 1, value=result)
    t = export.type.result
    return Outcome(0, result=None if t is None else format_value(result, t), value=result)


def wasi_config(host: HostOptions) -> WasiConfig:
    """Raises RunError for a directory that cannot be opened or text WASI cannot carry."""
    host.check_text()
    config = WasiConfig()
    config.argv = list(host.args)
    config.env = list(host.env)
    for name in ("stdin", "stdout", "stderr"):
        path = getattr(host, f"{name}_file")
        if path is not None:
            setattr(config, f"{name}_file", path)
        elif getattr(host, f"inherit_{name}"):
            getattr(config, f"inherit_{name}")()
    for directory in host.dirs:
        _preopen(config, directory)
    if host.inherit_network:
        allow_network(config)
    return config


def _preopen(config: WasiConfig, directory: Dir) -> None:
    try:
        config.preopen_dir(directory.host, directory.guest, not directory.read_only)
    except (WasmtimeError, UnicodeEncodeError):
        raise RunError(f"directory {directory.host!r} cannot be opened for the guest") from None
