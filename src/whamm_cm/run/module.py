"""One run of a plain core module: WASI preview 1, our sink, and nothing else."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from wasmtime import (
    Caller,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Instance,
    Linker,
    Memory,
    Module,
    Store,
    Trap,
    ValType,
    WasmtimeError,
)

from whamm_cm.errors import RunError
from whamm_cm.run.engine import reason, run_engine
from whamm_cm.run.guest import Gate, Run
from whamm_cm.run.linking import SINK
from whamm_cm.run.outcome import TRAP_STATUS, Outcome, parse_trap
from whamm_cm.run.wave import Invocation, format_value, parse_arguments
from whamm_cm.wit.types import Prim
from whamm_cm.wit.types import ValType as WitType

#: The export of a woven module that blocks lie in.
SINK_MEMORY = "whamm:cm/sink#memory"
#: The export of a woven module that reports and sends.
FLUSH = "whamm:cm/report#flush"
_ENDLESS = 1 << 40  # epochs, one of which is a signal
#: Functions that start a program, the first that is there.
_INITIALIZE = "_initialize"
_ENTRIES = ("_start", "main")
_WAVE = {"i32": Prim("s32"), "i64": Prim("s64"), "f32": Prim("f32"), "f64": Prim("f64")}


class ModuleRun(Run):
    """A plain core module: its function ``invoke`` names, else ``_start`` or ``main``."""

    def _run(self) -> Outcome:
        job = self.job
        engine = run_engine(cache=job.cache)
        try:
            module = Module(engine, job.wasm)
        except WasmtimeError as error:
            raise RunError(f"the embedded engine refuses the module: {reason(error)}") from None
        name, arguments, types = _entry(module, job.invoke)
        store = self._store(engine)
        linker = self._linker(engine, module, store)
        if job.on_start is not None:
            job.on_start()
        instance = None
        try:
            instance = linker.instantiate(store, module)
            result = _call(instance, store, name, arguments)
        except ExitTrap as exit_:
            self._flush(store, instance)
            return Outcome(exit_.code)
        except (Trap, WasmtimeError) as error:
            self._flush(store, instance)
            trap = parse_trap(str(error))
            done = self.salvaged
            return Outcome(TRAP_STATUS, trap=trap, salvaged=done, reported=done)
        text = None if job.invoke is None or not types else _show(result, types)
        return Outcome(0, result=text, value=result)

    def _flush(self, store: Store, instance: Instance | None) -> None:
        """A module is not dead after a trap: let it report what it has counted."""
        gate = self.gate
        flush = None if instance is None else instance.exports(store).get(FLUSH)
        if gate is None or gate.closed or not isinstance(flush, Func):
            return
        store.set_epoch_deadline(_ENDLESS)
        try:
            flush(store)
        except (Trap, WasmtimeError):
            return  # what it was doing when it was stopped it cannot do again
        self.salvaged = self.reported = True

    def _linker(self, engine: Engine, module: Module, store: Store) -> Linker:
        linker = Linker(engine)
        linker.define_wasi()
        missing = []
        for import_ in module.imports:
            if import_.module == SINK and self.gate is not None:
                gate = self.gate
                type_ = FuncType([ValType.i32(), ValType.i32()], [ValType.i32()])

                def emit(caller: Caller, at: int, size: int, gate: Gate = gate) -> int:
                    return _signed(gate(_block(caller, at, size)))

                linker.define_func(SINK, "emit", type_, emit, access_caller=True)
            elif not import_.module.startswith("wasi_snapshot_preview1"):
                if not isinstance(import_.type, FuncType) or not self.job.stub_imports:
                    missing.append(f"{import_.module}.{import_.name}")
                    continue
                stub = _stub(f"{import_.module}.{import_.name}")
                linker.define(
                    store, import_.module, import_.name or "", Func(store, import_.type, stub)
                )
        if missing:
            raise RunError(
                f"the module imports what nobody here provides: {', '.join(missing[:12])};"
                " --stub-imports lets functions trap when they are called"
            )
        return linker


def _stub(name: str) -> Callable[..., None]:
    def trap(*args: object) -> None:
        raise WasmtimeError(f"{name} is a stub (--stub-imports)")

    return trap


def _block(caller: Caller, at: int, size: int) -> str:
    memory = caller.get(SINK_MEMORY)
    if not isinstance(memory, Memory):
        raise WasmtimeError(f"the module does not export {SINK_MEMORY}")
    return str(bytes(memory.read(caller, at & 0xFFFFFFFF, (at + size) & 0xFFFFFFFF)), "latin-1")


def _signed(value: int) -> int:
    return ctypes.c_int32(value).value


def _entry(
    module: Module, invoke: Invocation | None
) -> tuple[str | None, Sequence[Any], Sequence[WitType]]:
    """The function to call with its arguments and the types of its results."""
    exports = {e.name: e.type for e in module.exports if isinstance(e.type, FuncType)}
    if invoke is None:
        for name in _ENTRIES:
            type_ = exports.get(name)
            if type_ is not None and not type_.params:
                return name, (), ()
        return None, (), ()  # what it does it does when instantiated
    type_ = exports.get(invoke.name)
    if type_ is None:
        names = ", ".join(sorted(exports)) or "no function"
        raise RunError(f"the module exports no function {invoke.name!r} (it exports {names})")
    kinds = [str(t) for t in (*type_.params, *type_.results)]
    if any(kind not in _WAVE for kind in kinds):
        raise RunError(f"{invoke.name} takes or returns references or vectors; it cannot be called")
    params = [(f"p{i}", _WAVE[str(t)]) for i, t in enumerate(type_.params)]
    return (
        invoke.name,
        parse_arguments(invoke, params),
        [_WAVE[str(t)] for t in type_.results],
    )


def _call(instance: Instance, store: Store, name: str | None, arguments: Sequence[Any]) -> Any:
    """A reactor is initialised before anything else of it is called."""
    exports = instance.exports(store)
    first = exports.get(_INITIALIZE)
    if isinstance(first, Func) and name != _INITIALIZE and exports.get("_start") is None:
        first(store)
    if name is None:
        return None
    func = exports[name]
    assert isinstance(func, Func)
    return func(store, *arguments)


def _show(result: Any, types: Sequence[WitType]) -> str:
    values = result if len(types) > 1 else [result]
    shown = [format_value(value, t) for value, t in zip(values, types, strict=True)]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
