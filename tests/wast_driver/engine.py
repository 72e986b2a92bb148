"""wasmtime with every component-model feature it has, called through the raw bindings.

The raw calls are needed twice over: async exports can only be called by ``*_async`` functions, and
the high-level values lose which case of a variant was meant.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wc

from tests.wast_driver import values

_FEATURES = (
    "wasm_component_model_accessors",
    "wasm_component_model_async",
    "wasm_component_model_async_stackful",
    "wasm_component_model_canonical_names",
    "wasm_component_model_implements",
    "wasm_component_model_map",
    "wasm_component_model_more_async_builtins",
    "wasm_compact_imports",
    "wasm_memory64",
    "wasm_multi_memory",
    "wasm_function_references",
    "wasm_gc",
    "wasm_exceptions",
    "wasm_tail_call",
    "wasm_custom_page_sizes",
    "wasm_wide_arithmetic",
)
DEADLINE_SECONDS = 10.0


class Stuck(Exception):
    """A call neither returned nor trapped in time."""


def new_engine() -> wasmtime.Engine:
    """An engine with optimisation off (scripts compile much and run little)."""
    config = wasmtime.Config()
    config.cranelift_opt_level = "none"
    config.wasm_threads = True
    for feature in _FEATURES:
        getattr(ffi, f"wasmtime_config_{feature}_set")(config.ptr(), True)
    return wasmtime.Engine(config)


@dataclass(frozen=True, slots=True)
class Live:
    """A component instance in a store of its own: a trap poisons the whole store."""

    store: wasmtime.Store
    linker: wc.Linker
    component: wc.Component
    instance: Any


def _await(future: Any, error: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while not ffi.wasmtime_call_future_poll(future):
            if time.monotonic() > deadline:
                raise Stuck(f"still pending after {DEADLINE_SECONDS:g} s")
            time.sleep(0.0002)
    finally:
        ffi.wasmtime_call_future_delete(future)
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)


def instantiate(
    linker: wc.Linker, component: wc.Component, wasi: wasmtime.WasiConfig | None = None
) -> Live:
    """Instantiate in a new store, with ``wasi``; raises ``WasmtimeError`` on a trap or a bad
    import."""
    store = wasmtime.Store(linker.engine)
    if wasi is not None:
        store.set_wasi(wasi)
    raw = ffi.wasmtime_component_instance_t()
    error = ctypes.POINTER(ffi.wasmtime_error_t)()
    future = ffi.wasmtime_component_linker_instantiate_async(
        linker.ptr(), store._context(), component.ptr(), ctypes.byref(raw), ctypes.byref(error)
    )
    _await(future, error)
    return Live(store, linker, component, wc.Instance._from_raw(raw))


def call(live: Live, name: str, args: Sequence[values.Plain]) -> values.Plain | None:
    """Call the exported function ``name``; raises ``KeyError`` where there is none."""
    func = live.instance.get_func(live.store, name)
    if func is None:
        raise KeyError(name)
    has_result = func.type(live.store).result is not None
    params = (ffi.wasmtime_component_val_t * len(args))()
    results = (ffi.wasmtime_component_val_t * 1)()
    for slot, value in zip(params, args, strict=True):
        values.to_c(value, slot)
    error = ctypes.POINTER(ffi.wasmtime_error_t)()
    future = ffi.wasmtime_component_func_call_async(
        ctypes.byref(func._func),
        live.store._context(),
        params,
        len(args),
        results,
        int(has_result),
        ctypes.byref(error),
    )
    try:
        _await(future, error)
        return values.from_c(results[0]) if has_result else None
    finally:
        for slot in (*params, *results):
            ffi.wasmtime_component_val_delete(ctypes.byref(slot))
