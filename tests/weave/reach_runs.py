"""Runs components of :mod:`reach_programs` on wasmtime; host functions say what was called."""

from __future__ import annotations

from functools import cache

import wasmtime
from wasmtime import component as wc

from tests.weave.reach_programs import Composition, Program
from whamm_cm.analysis.reach.analysis import reach
from whamm_cm.component.decode import decode


@cache
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_exceptions = True
    config.wasm_tail_call = True
    return wasmtime.Engine(config)


def called(data: bytes, program: Program | Composition) -> set[str]:
    """The imports that are called while it is instantiated and its exports are called in order."""
    seen: set[str] = set()
    linker, store = wc.Linker(engine()), wasmtime.Store(engine())
    compiled = wc.Component(engine(), data)
    with linker.root() as root:
        for number, kind in enumerate(program.kinds):

            def host(
                _: object, *given: object, name: str = f"h{number}", kind: int = kind
            ) -> object:
                seen.add(name)
                return given[0] if kind == 1 else None

            root.add_func(f"h{number}", host)
    try:
        instance = linker.instantiate(store, compiled)
        for name, given in program.calls:
            function = instance.get_func(store, name)
            assert function is not None, name
            function(store, *given)
            function.post_return(store)
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        if "wasm trap" not in str(error) and "wasm backtrace" not in str(error):
            raise
    return seen


def reachable(data: bytes) -> set[str]:
    """The imports of the root that the analysis says can be reached."""
    return {item.label for _, item in reach(decode(data)).root.items() if item.reachable}
