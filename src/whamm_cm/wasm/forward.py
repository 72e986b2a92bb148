"""A module that has another's exports for those it is linked with."""

from __future__ import annotations

from whamm_cm.errors import InternalError
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.module import CoreModule


def passed_on(module: CoreModule, name: str) -> bytes:
    """Imports what ``module`` exports (functions, memories, globals) under the module name
    ``name``, and exports it again."""
    out = Module()
    for export in module.exports:
        if export.kind == "func":
            type_ = module.func_type(export.index)
            params, results = map(str, type_.params), map(str, type_.results)
            out.export_func(export.name, out.import_func(name, export.name, params, results))
        elif export.kind == "memory":
            memory = module.memory_type(export.index)
            out.export_memory(export.name, out.import_memory(name, export.name, memory))
        elif export.kind == "global":
            kind = module.global_type(export.index)
            index = out.import_global(name, export.name, str(kind.type), kind.mutable)
            out.export_global(export.name, index)
        else:
            raise InternalError(f"{export.name!r} is a {export.kind}, which is not passed on")
    return out.encode()
