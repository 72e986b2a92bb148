"""``@static lib.f(..)``: library functions called while a script is being matched.

Each library has one instance for the whole weave, which keeps its state from call to call; what
runs in the woven program later is a fresh one.  A core module gets what it gets there, so equal
inputs give equal answers; a component gets WASI 0.2 without arguments, environment or files.  What
a library writes goes to our stderr.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable
from typing import Any

from wasmtime import Func as CoreFunc
from wasmtime import FuncType, Linker, Module, Store, Trap, ValType, WasiConfig, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Func, Instance

from whamm_cm.emit.libwasi import TEXT_FUNCTIONS
from whamm_cm.errors import InternalError, RunError, UsageError
from whamm_cm.run.engine import compile_component, reason, run_engine
from whamm_cm.run.exports import find_export
from whamm_cm.run.linking import link
from whamm_cm.run.outcome import parse_trap
from whamm_cm.run.values import free_all, lift, lower_all
from whamm_cm.weave.libs.model import Library
from whamm_cm.weave.libs.module import STATE, linked
from whamm_cm.wit.types import Prim, strip
from whamm_cm.wit.types import ValType as WitType

Value = int | float | bool | str
_Call = Callable[..., Any]
_CORE = {"i32": ValType.i32, "i64": ValType.i64, "f32": ValType.f32, "f64": ValType.f64}
_REPLACEMENT = 0xFFFD


class StaticLibraries:
    """Calls functions of ``libraries``; each is compiled and instantiated when first called."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        self._libraries = {library.name: library for library in libraries}
        self._instances: dict[str, _CoreInstance | _ComponentInstance] = {}

    def __call__(self, library: str, function: str, args: tuple[Any, ...]) -> Any:
        """The result, None for a function without one.

        Raises UsageError when the function traps and RunError when the library cannot be run.
        """
        found = self._libraries.get(library)
        if found is None or function not in found.functions:
            raise InternalError(f"{library}.{function} was checked but is not there")
        try:
            if library not in self._instances:
                kind = _CoreInstance if found.kind == "module" else _ComponentInstance
                self._instances[library] = kind(found)
            return self._instances[library].call(function, args)
        except (Trap, WasmtimeError) as error:
            raise UsageError(_complaint(found, function, args, error)) from None


def _complaint(library: Library, function: str, args: tuple[Any, ...], error: Exception) -> str:
    trap = parse_trap(str(error))
    where = f" in {trap.frames[0]}".replace("?!", "") if trap.frames else ""
    given = ", ".join(map(_shown, args))
    return (
        f"@static {library.name}.{function}({given}) failed at match time: {trap.message}{where}"
        f" of {library.what}"
    )


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


class _CoreInstance:
    """The library linked with its shim as in the woven program; text comes in through here."""

    def __init__(self, library: Library) -> None:
        self.library, self.memory = library, bytearray()
        engine = run_engine(cache=True)
        try:
            module = Module(engine, linked(library, 0, STATE))
        except WasmtimeError as error:
            raise RunError(f"{library.what} cannot be run at match time: {reason(error)}") from None
        self.store = Store(engine)
        self.store.set_epoch_deadline(1)
        linker = Linker(engine)
        for name, (params, results) in TEXT_FUNCTIONS.items():
            type_ = FuncType([_CORE[p]() for p in params], [_CORE[r]() for r in results])
            linker.define_func(STATE, name, type_, getattr(self, f"_{name}"))
        self.exports = linker.instantiate(self.store, module).exports(self.store)

    def call(self, function: str, args: tuple[Any, ...]) -> Any:
        func = self.exports[self.library.functions[function].export]
        assert isinstance(func, CoreFunc)
        return func(self.store, *args)

    def _tmp(self, size: int) -> int:
        self.memory = bytearray(size)
        return 0

    def _st8(self, at: int, value: int) -> None:
        self.memory[at] = value & 0xFF

    def _st64(self, at: int, value: int) -> None:
        self.memory[at : at + 8] = (value % 2**64).to_bytes(8, "little")

    def _raw_print(self, site: int, at: int, size: int) -> None:
        _say(bytes(self.memory[at : at + size]))


class _ComponentInstance:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.engine = run_engine(cache=True)
        self.component = compile_component(self.engine, library.data)
        self.store = Store(self.engine)
        self.store.set_epoch_deadline(1)
        wasi = WasiConfig()
        wasi.stdout_custom = wasi.stderr_custom = _say
        self.store.set_wasi(wasi)
        self.store.set_wasi_http()
        self.instance: Instance = link(
            self.engine, self.component, self.store, None, stub_imports=True
        )
        self.functions: dict[str, _Call] = {}

    def call(self, function: str, args: tuple[Any, ...]) -> Any:
        if function not in self.functions:
            self.functions[function] = self._function(function)
        return self.functions[function](args)

    def _function(self, name: str) -> _Call:
        source = self.library.functions[name]
        interface = None
        if source.interface is not None:
            interface = self.instance.get_export_index(self.store, source.interface)
        full = source.export if interface is None else f"{source.interface}#{source.export}"
        type_ = find_export(self.engine, self.component, full).type
        index = self.instance.get_export_index(self.store, source.export, interface)
        func = None if index is None else self.instance.get_func(self.store, index)
        if func is None:
            raise InternalError(f"{self.library.what} exports {full}, but the engine lacks it")
        params = [t for _, t in type_.params]
        return lambda args: self._enter(func, params, type_.result, args)

    def _enter(
        self, func: Func, params: list[WitType], result: WitType | None, args: tuple[Any, ...]
    ) -> Any:
        given = [_to_wit(value, t) for value, t in zip(args, params, strict=True)]
        array = lower_all(given, params)
        out = (ffi.wasmtime_component_val_t * (result is not None))()
        try:
            error = ffi.wasmtime_component_func_call(
                ctypes.byref(func._func), self.store._context(), array, len(array), out, len(out)
            )
            if error:
                raise WasmtimeError._from_ptr(error)
            return None if result is None else _from_wit(lift(out[0], result), result)
        finally:
            free_all(array)
            free_all(out)


def _to_wit(value: Any, t: WitType) -> Any:
    """Scripts hold a char as its number; one that is none becomes U+FFFD, as in the guest."""
    if _is_char(t):
        valid = value < 0xD800 or 0xDFFF < value < 0x110000
        return chr(value if valid else _REPLACEMENT)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _from_wit(value: Any, t: WitType) -> Any:
    return ord(value) if _is_char(t) else value


def _is_char(t: WitType) -> bool:
    type_ = strip(t)
    return isinstance(type_, Prim) and type_.name == "char"


def _say(text: bytes) -> int:
    """Output of a library: it must not mix with what a command prints."""
    sys.stderr.write(text.decode("utf-8", "replace"))
    return len(text)
