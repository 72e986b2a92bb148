"""Runs components, woven or not, with Python host functions and keeps the records they send.

Values go through ``whamm_cm.run.values``: the classes of wasmtime-py lose the cases of variants.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from ctypes import byref
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError, wat2wasm
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker

from tests.agent.agree import plain
from whamm_cm.agent.table import SiteTable
from whamm_cm.run.values import free_all, func_type, lift, lower_all
from whamm_cm.trace.decode import Receiver, Record
from whamm_cm.weave.api import Woven, weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import FuncT

FIXTURES = Path(__file__).parents[2] / "fixtures" / "wat"
DEADLINE = 20.0
_FEATURES = ("component_model_async", "component_model_more_async_builtins",
             "component_model_async_stackful", "component_model_map", "memory64")  # fmt: skip


def everything(edge: str, interface: str, version: str | None, func: str) -> bool:
    return True


def text(source: str) -> bytes:
    return bytes(wat2wasm(source))


def fixture(name: str) -> bytes:
    return text((FIXTURES / f"{name}.wat").read_text())


@lru_cache(maxsize=2)
def engine(multi_memory: bool = True) -> Engine:
    """Compiles fast; without multi-memory as Node 20 and cautious embedders have it."""
    config = Config()
    config.cranelift_opt_level = "none"
    for feature in _FEATURES:
        getattr(ffi, f"wasmtime_config_wasm_{feature}_set")(config.ptr(), True)
    config.wasm_multi_memory = multi_memory
    return Engine(config)


@dataclass(slots=True)
class Sink:
    """The receiving end of ``whamm:cm/sink``."""

    woven: Woven
    records: list[Record] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    finals: list[bool] = field(default_factory=list)
    keep: bool = True
    count: int = 0
    receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        self.receiver = Receiver(SiteTable.parse(self.woven.table))

    def emit(self, _store: object, block: str) -> int:
        received = self.receiver.receive(block)
        records = plain(received.records)
        if self.keep:
            self.blocks.append(block.encode("latin-1"))
        if self.keep:
            self.records += [{**r, "seq": r["seq"] + self.count} for r in records]
        self.count += len(records)
        self.finals.append(received.final)
        return received.instance


Implementation = Callable[..., Any]


class Functions:
    """Host functions by (interface or "", name); ``calls`` are the arguments they were given."""

    def __init__(self, functions: Mapping[tuple[str, str], tuple[FuncT, Implementation]]) -> None:
        self.functions = functions
        self._alive: list[Any] = []
        self.calls: list[tuple[str, list[Any]]] = []
        self.error: BaseException | None = None

    def define(self, linker: Linker) -> None:
        for interface in dict.fromkeys(interface for interface, _ in self.functions):
            with linker.root() as root:
                if not interface:
                    self._add(root, interface)
                    continue
                with root.add_instance(interface) as instance:
                    self._add(instance, interface)

    def _add(self, instance: Any, interface: str) -> None:
        for (owner, name), (t, implementation) in self.functions.items():
            if owner != interface:
                continue
            callback = ffi.wasmtime_component_func_callback_t(
                self._callback(name, t, implementation)
            )
            self._alive.append(callback)
            raw = name.encode()
            error = ffi.wasmtime_component_linker_instance_add_func(
                instance.ptr(), ctypes.create_string_buffer(raw), len(raw), callback, None,
                _no_finalizer,
            )  # fmt: skip
            if error:
                raise WasmtimeError._from_ptr(error)

    def _callback(self, name: str, t: FuncT, implementation: Implementation) -> Callable[..., int]:
        def call(
            _env: Any, _ctx: Any, _type: Any, args: Any, nargs: int, results: Any, _n: int
        ) -> int:
            try:
                values = [lift(args[i], param) for i, (_, param) in enumerate(t.params)]
                self.calls.append((name, values))
                result = implementation(*values)
                if t.result is not None:
                    results[0] = lower_all([result], [t.result])[0]
                return 0
            except BaseException as error:  # an exception cannot pass through wasm frames
                self.error = error
                raised = WasmtimeError("the host function failed")
                return ctypes.cast(raised._consume(), ctypes.c_void_p).value or 0

        return call


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _no_finalizer(_env: Any) -> None:
    """The callbacks belong to the :class:`Functions`."""


class Guest:
    """An instance of a component in a store of its own."""

    def __init__(
        self,
        wasm: bytes,
        functions: Functions | None = None,
        sink: Sink | None = None,
        wasi: WasiConfig | None = None,
        multi_memory: bool = True,
    ) -> None:
        self.functions, self.engine = functions, engine(multi_memory)
        component, linker = Component(self.engine, wasm), Linker(self.engine)
        self.store = Store(self.engine)
        if wasi is not None:
            linker.add_wasip2()
            self.store.set_wasi(wasi)
        if functions is not None:
            functions.define(linker)
        if sink is not None:
            with linker.root() as root, root.add_instance("whamm:cm/sink") as instance:
                instance.add_func("emit", sink.emit)
        self.instance = linker.instantiate(self.store, component)

    def call(self, name: str, *args: Any) -> Any:
        """Calls the export ``func`` or ``interface#func``."""
        interface, separator, label = name.rpartition("#")
        parent = None
        if separator:
            parent = self.instance.get_export_index(self.store, interface)
        index = self.instance.get_export_index(self.store, label, parent)
        func = None if index is None else self.instance.get_func(self.store, index)
        assert func is not None, f"no export {name}"
        with func.type(self.store) as raw:
            t = func_type(raw.ptr())
        values = lower_all(args, [param for _, param in t.params])
        out = (ffi.wasmtime_component_val_t * (t.result is not None))()
        try:
            self._enter(func, t.is_async, values, out)
            return None if t.result is None else lift(out[0], t.result)
        finally:
            free_all(values)
            free_all(out)

    def _enter(self, func: Any, is_async: bool, values: Any, out: Any) -> None:
        error = ctypes.POINTER(ffi.wasmtime_error_t)()
        place = (byref(func._func), self.store._context(), values, len(values), out, len(out))
        if is_async:
            future = ffi.wasmtime_component_func_call_async(*place, byref(error))
            deadline = time.monotonic() + DEADLINE
            try:
                while not ffi.wasmtime_call_future_poll(future):
                    assert time.monotonic() < deadline, "the call never ends"
                    time.sleep(0.0005)
            finally:
                ffi.wasmtime_call_future_delete(future)
        else:
            error = ffi.wasmtime_component_func_call(*place)
        if self.functions is not None and self.functions.error is not None:
            raise self.functions.error
        if error:
            raise WasmtimeError._from_ptr(error)


def traced(wasm: bytes, functions: Functions | None = None, **plan: Any) -> tuple[Guest, Sink]:
    """A woven instance of ``wasm`` with the host sink, everything traced unless ``plan`` says."""
    woven = weave(wasm, Plan(**{"trace": everything, "sink": "host", **plan}))
    sink = Sink(woven)
    guest = Guest(woven.wasm, functions, sink, multi_memory=plan.get("multi_memory", True))
    return guest, sink


def facts(record: Record, *, leave_out: tuple[str, ...] = ("v", "seq", "instance")) -> Record:
    """A record without what differs between runs."""
    return {key: value for key, value in record.items() if key not in leave_out}
