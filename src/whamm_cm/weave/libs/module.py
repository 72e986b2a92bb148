"""Libraries that are core modules: linked with the little of WASI they get."""

from __future__ import annotations

from whamm_cm.component import build
from whamm_cm.component.items import Item
from whamm_cm.emit.libwasi import MEMORYLESS, PROVIDER, WASI, build_libwasi, misfit, prints
from whamm_cm.errors import InputError
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.lang.valtypes import F32, F64, I32, I64, UNIT, Type
from whamm_cm.wasm.asm import FuncType, Module
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.module import FuncType as CoreType
from whamm_cm.weave.libs.model import Embedded, Library, Source

STATE = "state"
_INITIALIZE = "_initialize"
_SCRIPT_TYPES: dict[str, Type] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}
#: What a toolchain exports for hosts, not for callers.
_NOT_CALLED = frozenset({_INITIALIZE, "_start", "__wasm_call_ctors"})


def read_module(name: str, data: bytes, what: str) -> Library:
    """Raises InputError when scripts cannot use the module, DecodeError when it is malformed."""
    module = CoreModule(data, path=f"library {name}")
    functions = dict[str, Source]()
    for export in module.exports:
        if export.kind == "func" and export.name not in _NOT_CALLED:
            source = _source(export.name, _type(module.func_type(export.index)))
            if source is not None:
                functions[export.name] = source
    if not functions:
        raise InputError(
            f"{what} exports no function a script could call as library {name!r}: parameters are "
            "i32, i64, f32 or f64, and there is at most one result"
        )
    memory = _memory(module)
    imports = _imports(module, what, memory)
    signature = LibSignature(
        name, {key: _script(found) for key, found in functions.items()}, memory is not None
    )
    initialize = module.export(_INITIALIZE)
    return Library(
        name, what, "module", data, signature, functions, memory, imports, prints(imports),
        initialize is not None and initialize.kind == "func",
    )  # fmt: skip


def _source(name: str, type_: FuncType) -> Source | None:
    params, results = type_
    if len(results) > 1 or not _SCRIPT_TYPES.keys() >= {*params, *results}:
        return None
    return Source(name, params, results[0] if results else None)


def _script(found: Source) -> LibFunction:
    params = tuple(_SCRIPT_TYPES[core] for core in found.params)
    return LibFunction(params, UNIT if found.result is None else _SCRIPT_TYPES[found.result])


def _type(type_: CoreType) -> FuncType:
    return tuple(map(str, type_.params)), tuple(map(str, type_.results))


def _memory(module: CoreModule) -> str | None:
    """The export called ``memory``, or the first of that kind."""
    names = [export.name for export in module.exports if export.kind == "memory"]
    return "memory" if "memory" in names else next(iter(names), None)


def _imports(module: CoreModule, what: str, memory: str | None) -> dict[str, FuncType]:
    """The functions of WASI preview 1 the module imports; nothing else may be imported."""
    found: dict[str, FuncType] = {}
    problems = [
        f"imports the {i.kind} {i.module}.{i.name}, but a library gets functions of {WASI} only"
        for i in module.imports
        if i.module != WASI or i.kind != "func"
    ]
    for index, import_ in enumerate(module.imported("func")):
        type_ = found[import_.name] = _type(module.func_type(index))
        problems.append(_problem(module, import_.name, type_, memory) or "")
    problem = next(filter(None, problems), None)
    if problem is not None:
        raise InputError(f"{what} cannot be embedded as a library: it {problem}")
    return found


def _problem(module: CoreModule, name: str, type_: FuncType, memory: str | None) -> str | None:
    problem = misfit(name, type_)
    if problem is not None or name in MEMORYLESS:
        return problem
    if memory is None:
        return f"imports {name}, which works on memory, but exports none"
    its = module.exported_memory(memory)
    if its.is64 or its.shared:
        kind = "64-bit" if its.is64 else "shared"
        return f"imports {name}, but WASI preview 1 cannot work on its {kind} memory"
    return None


def linked(library: Library, site: int, runtime: str) -> bytes:
    """The library with its shim: imports TEXT_FUNCTIONS from ``runtime`` when it prints, and
    nothing else.  Its start function calls ``_initialize`` too."""
    parts = [Part("library", library.data, PROVIDER, "all")]
    if library.imports:
        memory = library.memory if library.imports.keys() - MEMORYLESS else None
        parts.append(Part("wasi", build_libwasi(library.imports, memory, runtime, site), WASI))
    if library.initialize:
        parts.append(Part("start", _starter()))
    return link(parts) if len(parts) > 1 else library.data


def _starter() -> bytes:
    module = Module()
    module.start(module.import_func(PROVIDER, _INITIALIZE))
    return module.encode()


def embed_module(library: Library, runtime: Item, site: int) -> Embedded:
    """``runtime``: a core instance that exports the runtime functions of the script."""
    module = build.core_module(linked(library, site, STATE))
    args = ((STATE, runtime),) if library.prints else ()
    instance = build.core_instantiate(module.item, args)
    return Embedded((module, instance), instance.item)
