"""wasmtime engines: what they compile, how fast, and the check of a finished component."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wasmtime import Config, Engine, WasmtimeError
from wasmtime import _ffi as ffi

from whamm_cm.errors import RunError
from whamm_cm.run.memories import Memories

if TYPE_CHECKING:
    from wasmtime.component import Component

# Everything wasmtime can compile, so that no component is refused for a feature somebody uses.
# By the names of the C API: the Config class covers only some, and releases differ in which exist.
_FEATURES = (
    "wasm_threads",
    "shared_memory",
    "wasm_tail_call",
    "wasm_function_references",
    "wasm_gc",
    "wasm_exceptions",
    "wasm_multi_memory",
    "wasm_memory64",
    "wasm_relaxed_simd",
    "wasm_wide_arithmetic",
    "wasm_custom_page_sizes",
    "wasm_branch_hinting",
    "wasm_compact_imports",
    "wasm_component_model_accessors",
    "wasm_component_model_async",
    "wasm_component_model_async_stackful",
    "wasm_component_model_canonical_names",
    "wasm_component_model_implements",
    "wasm_component_model_map",
    "wasm_component_model_more_async_builtins",
)
_ASYNC = (
    "wasm_component_model_async",
    "wasm_component_model_async_stackful",
    "wasm_component_model_more_async_builtins",
    "concurrency_support",
)
_MAGIC, _NO_BINARY = b"\0asm", "not a WebAssembly binary"
_WORD = "[a-zA-Z][a-zA-Z0-9]*(?:-[a-zA-Z0-9]+)*"
#: Nested namespaces and packages, which are right but said to be no names.
_NESTED = (
    rf"name `(?:{_WORD}(?::{_WORD}){{2,}}(?:/{_WORD})+|{_WORD}:{_WORD}(?:/{_WORD}){{2,}})"
    r"(?:@[^`]+)?` is not a valid"
    rf"|name `(?:un)?locked-dep=<{_WORD}(?::{_WORD})+(?:/{_WORD})*"
    r"(?:@\{[^`}]+\}|@[^`>]+)?>[^`]*` is not a valid"
)
#: How wasmtime says that it lacks something, or has it switched off for good.
_LACKS = re.compile(
    r"not (supported|enabled|implemented|valid at this time)|feature required|unsupported"
    r"|requires? the .*\b(feature|proposal)\b"
    r"|`context\.[gs]et` immediate must be zero: 1\b"  # the second slot comes with threads
    rf"|{_NESTED}"
)
_SINGLE_PASS = 1  # WASMTIME_REGALLOC_SINGLE_PASS


def _config() -> Config:
    config = Config()
    for feature in _FEATURES:
        _set(config, feature, True)
    if sys.platform == "linux" and platform.machine() == "x86_64":
        # Elsewhere wasmtime aborts the process when an engine is made with it.
        _set(config, "wasm_stack_switching", True)
    return config


def _set(config: Config, name: str, value: Any) -> None:
    setter = getattr(ffi, f"wasmtime_config_{name}_set", None)
    if setter is not None:
        setter(config.ptr(), value)


def run_engine(*, cache: bool, memories: Memories | None = None, tasks: bool = True) -> Engine:
    """An engine for running: optimised code, interruptible by epochs, compiled code kept in
    wasmtime's own cache (``~/.cache/wasmtime``, bounded in size) unless that cannot be set up.
    Its linear memories are made by ``memories``, else by wasmtime.

    Without ``tasks`` it has nothing that is async.  With it wasmtime 50 traps a guest that gives
    two borrowed resources in one call to a host function of ours ("deferred host scope has no call
    context").
    """
    config = _config()
    if not tasks:
        for feature in _ASYNC:
            _set(config, feature, False)
    config.epoch_interruption = True
    if memories is not None:
        memories.install(config)
    if cache:
        try:
            config.cache = True
        except WasmtimeError:
            # No home directory, no permission, a broken config file of wasmtime's: the cache only
            # saves time, so do without.
            return run_engine(cache=False, memories=memories, tasks=tasks)
    return Engine(config)


@lru_cache(maxsize=1)
def _check_engine() -> Engine:
    config = _config()
    config.cranelift_opt_level = "none"
    config.native_unwind_info = False
    config.parallel_compilation = False  # there is little to compile, and threads take memory
    _set(config, "cranelift_regalloc_algorithm", _SINGLE_PASS)
    return Engine(config)


def validate_component(wasm: bytes) -> str | None:
    """The reason wasmtime refuses a component, or None.

    wasmtime offers components no validation without compilation, so this compiles with the least
    effort there is: about 0.2 s a megabyte on one core.  Core modules it does validate without:
    those can be stand-ins in ``wasm``.  A component that is run right away need not be validated
    before: :func:`whamm_cm.run.embedded.run_component` refuses it just the same.
    """
    if not wasm.startswith(_MAGIC):
        return _NO_BINARY
    found = ctypes.POINTER(ffi.wasmtime_component_t)()
    error = ffi.wasmtime_component_new(
        _check_engine().ptr(), _place(wasm), len(wasm), ctypes.byref(found)
    )
    if error:
        return reason(WasmtimeError._from_ptr(error))
    ffi.wasmtime_component_delete(found)
    return None


def validate_module(wasm: bytes) -> str | None:
    """The reason wasmtime refuses a core module, or None."""
    if not wasm.startswith(_MAGIC):
        return _NO_BINARY
    error = ffi.wasmtime_module_validate(_check_engine().ptr(), _place(wasm), len(wasm))
    return reason(WasmtimeError._from_ptr(error)) if error else None


def _place(wasm: bytes) -> Any:
    """Where the bytes are; wasmtime's own classes take a copy, and to import those of components
    takes as long as much of a weave."""
    return ctypes.cast(ctypes.c_char_p(wasm), ctypes.POINTER(ctypes.c_uint8))


def is_lack(fault: str) -> bool:
    """Whether a refusal is about something this wasmtime does not have: the input may be good."""
    return _LACKS.search(fault) is not None


def compile_component(engine: Engine, wasm: bytes) -> Component:
    """Compiles for ``engine``; raises RunError with wasmtime's reason."""
    try:
        return _compile(engine, wasm)
    except WasmtimeError as error:
        raise RunError(f"the embedded engine refuses the component: {reason(error)}") from None


def _compile(engine: Engine, wasm: bytes) -> Component:
    if not wasm.startswith(_MAGIC):
        # wasmtime would take the bytes for component text.
        raise WasmtimeError(_NO_BINARY)
    from wasmtime.component import Component

    return Component(engine, wasm)


def reason(error: WasmtimeError) -> str:
    """wasmtime's error text on one line: headline and causes."""
    lines = (line.strip() for line in str(error).replace("Caused by:", "").splitlines())
    return ": ".join(line for line in lines if line)
