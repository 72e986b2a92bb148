"""The sink component: our own little component that makes lines of blocks and sends them out.

It is a sibling of the components that emit, for many hosts let no child call its parent (wasmtime
does from 50 on), and imports plain functions and the types they need; :mod:`enclose` wires them to
WASI.  Where only the root emits it is no component, but part of that one (:mod:`near`).
"""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.agent.layout import SETTINGS, load_wasm, sink_pages, sink_settings
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.leb import signed
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave import otel
from whamm_cm.weave.identity import identity, taken
from whamm_cm.weave.instance_types import U8, InstanceTypeEditor
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.supply import (
    CHUNK,
    editor_for,
    find_import,
    host_emit,
    interface_import,
    type_source,
    version_of,
    wasi_version,
)
from whamm_cm.weave.wiring import SinkOptions, SinkWiring, heap_base

_WRITE = "[method]output-stream.blocking-write-and-flush"
LOGGING = "wasi:logging/logging"
LOGGING_VERSION = "0.1.0-draft"


def sink_component(wiring: SinkWiring) -> Component:
    """The sink as a component of its own."""
    if wiring.options.context:
        return otel.otel_component(wiring.options)
    imports = _IMPORTS[wiring.wasm]
    if imports is _relay_imports:
        mark = wiring.options.mark
        limit = None if mark is None else mark + 1
        return _component(wiring.wasm, b"", imports, (), limit)
    return _sink(wiring.options, wiring.wasm, imports)


def stderr_wiring(root: Component, options: SinkOptions) -> SinkWiring:
    """Write to ``wasi:cli/stderr``, in the version the component already uses where it does."""
    # A component may import several versions, whose resources differ: follow the types.
    stderr = find_import(root, "wasi:cli/stderr")
    streams = type_source(root, stderr, "output-stream", "wasi:io/streams")
    streams = streams or _beside(root, stderr, "wasi:io/streams")
    error = type_source(root, streams, "error", "wasi:io/error")
    error = error or _beside(root, streams or stderr, "wasi:io/error")
    version = version_of(streams or stderr or error) or wasi_version(root, "io", "cli")
    error_type = editor_for(root, error)
    if "error" not in error_type.types:
        error_type.export_type("error", None)
    error_import = interface_import(root, error, f"wasi:io/error@{version}", error_type)
    error_import, error_item = error_import.with_alias("error", Sort.TYPE)

    streams_type = editor_for(root, streams)
    _complete_streams(streams_type, error_item)
    streams_import = interface_import(root, streams, f"wasi:io/streams@{version}", streams_type)
    streams_import, stream = streams_import.with_alias("output-stream", Sort.TYPE)
    streams_import, failure = streams_import.with_alias("stream-error", Sort.TYPE)
    streams_import, write = streams_import.with_alias(_WRITE, Sort.FUNC)

    stderr_type = editor_for(root, stderr)
    _complete_stderr(stderr_type, stream)
    stderr_import = interface_import(root, stderr, f"wasi:cli/stderr@{version}", stderr_type)
    stderr_import, get = stderr_import.with_alias("get-stderr", Sort.FUNC)
    args = (
        ("output-stream", stream),
        ("error", error_item),
        ("stream-error", failure),
        ("get-stderr", get),
        ("write", write),
    )
    imports = (error_import, streams_import, stderr_import)
    return _known(root, options, SinkWiring(imports, args, options.module("stderr"), options))


def _beside(root: Component, definition: Definition | None, path: str) -> Definition | None:
    """The import of ``path`` in the version of ``definition``, in any if that is None."""
    if definition is None:
        return find_import(root, path)
    return find_import(root, path, version_of(definition).__eq__)


def _known(root: Component, options: SinkOptions, wiring: SinkWiring) -> SinkWiring:
    """The same for a sink that names its runs itself."""
    found = identity(root, options.timed)
    return SinkWiring(
        (*wiring.imports, *found.imports), (*wiring.args, *found.args), wiring.wasm, options,
        options.timed,
    )  # fmt: skip


def _complete_stderr(editor: InstanceTypeEditor, stream: Item) -> None:
    if "get-stderr" in editor.exports:
        return
    if "output-stream" not in editor.types:
        editor.export_type("output-stream", editor.outer(stream))
    handle = editor.handle(editor.types["output-stream"])
    editor.export_func("get-stderr", [], handle)


def _complete_streams(editor: InstanceTypeEditor, error: Item) -> None:
    """Add what is missing of ``output-stream``, ``stream-error`` and the write function."""
    if "output-stream" not in editor.types:
        editor.export_type("output-stream", None)
    if "stream-error" not in editor.types:
        if "error" not in editor.types:
            editor.export_type("error", editor.outer(error))
        own = editor.handle(editor.types["error"])
        variant = b"\x71\x02\x15last-operation-failed\x01" + own + b"\x00\x06closed\x00\x00"
        index = editor.count
        editor.define(variant)
        editor.export_type("stream-error", index)
    if _WRITE not in editor.exports:
        self_ = editor.handle(editor.types["output-stream"], borrow=True)
        contents = editor.define(b"\x70" + U8)
        failure = signed(editor.types["stream-error"])
        result = editor.define(b"\x6a\x00\x01" + failure)
        editor.export_func(_WRITE, [("self", self_), ("contents", contents)], result)


def logging_wiring(root: Component, options: SinkOptions) -> SinkWiring:
    """Send every record to ``wasi:logging/logging#log`` at level info."""
    found = find_import(root, LOGGING, {"", LOGGING_VERSION}.__contains__)
    editor = editor_for(root, found)
    if "level" not in editor.types:
        index = editor.count
        editor.define(_LEVEL)
        editor.export_type("level", index)
    level_type = signed(editor.types["level"])
    editor.export_func(
        "log", [("level", level_type), ("context", b"\x73"), ("message", b"\x73")], None
    )
    imported = interface_import(root, found, f"{LOGGING}@{LOGGING_VERSION}", editor)
    imported, level = imported.with_alias("level", Sort.TYPE)
    imported, log = imported.with_alias("log", Sort.FUNC)
    args = (("level", level), ("log", log))
    return _known(root, options, SinkWiring((imported,), args, options.module("logging"), options))


def otel_wiring(root: Component, options: SinkOptions) -> SinkWiring:
    """Tell ``wasi:otel`` of spans and logs."""
    found = otel.imported(root, options.context)
    args = tuple((name, each.instance) for name, each in found.items())
    wiring = SinkWiring(tuple(found.values()), args, "sink-otel.wasm", options)
    return _known(root, options, wiring)


def relay_wiring(root: Component, options: SinkOptions) -> SinkWiring:
    """Collect the blocks of several instances and pass them to the host in larger pieces."""
    definitions, emit = host_emit()
    host = Interface(definitions[1].item, None, tuple(definitions))
    return SinkWiring((host,), (("emit", emit),), "relay.wasm", options)


_LEVELS = (b"trace", b"debug", b"info", b"warn", b"error", b"critical")
_LEVEL = b"\x6d\x06" + b"".join(bytes((len(label),)) + label for label in _LEVELS)

#: Definitions to put first, and the core functions the sink's module imports, by name; the
#: argument is the memory they work on.
_Imports = tuple[list[Definition], list[tuple[str, Item]]]


def _stderr_imports(memory: Item) -> _Imports:
    stream = build.import_("output-stream", "type", None)
    error = build.import_("error", "type", None)
    own_error = build.own_type(error.item)
    failure = build.variant_type((("last-operation-failed", own_error.item), ("closed", None)))
    failure_import = build.import_("stream-error", "type", failure.item)
    own_stream = build.own_type(stream.item)
    get_type = build.func_type((), own_stream.item)
    get = build.import_("get-stderr", "func", get_type.item)
    borrow = build.borrow_type(stream.item)
    contents = build.list_type("u8")
    result = build.result_type(None, failure_import.item)
    write_type = build.func_type((("self", borrow.item), ("contents", contents.item)), result.item)
    write = build.import_("write", "func", write_type.item)
    lowers = [
        ("get", build.canon_lower(get.item)),
        ("write", build.canon_lower(write.item, memory)),
        ("drop", build.resource_drop(stream.item)),
        ("drop-error", build.resource_drop(error.item)),
    ]
    definitions = [
        stream, error, own_error, failure, failure_import, own_stream, get_type, get, borrow,
        contents, result, write_type, write, *(d for _, d in lowers),
    ]  # fmt: skip
    return definitions, [(name, d.item) for name, d in lowers]


def _logging_imports(memory: Item) -> _Imports:
    level = build.enum_type(tuple(label.decode() for label in _LEVELS))
    level_import = build.import_("level", "type", level.item)
    log_type = build.func_type(
        (("level", level_import.item), ("context", "string"), ("message", "string")), None
    )
    log = build.import_("log", "func", log_type.item)
    lower = build.canon_lower(log.item, memory)
    return [level, level_import, log_type, log, lower], [("log", lower.item)]


def _relay_imports(memory: Item) -> _Imports:
    emit_type = build.func_type((("block", "string"),), "u32")
    emit = build.import_("emit", "func", emit_type.item)
    lower = build.canon_lower(emit.item, memory, "latin1+utf16")
    return [emit_type, emit, lower], [("emit", lower.item)]


_IMPORTS: dict[str, Callable[[Item], _Imports]] = {
    "sink-stderr.wasm": _stderr_imports,
    "sink-logging.wasm": _logging_imports,
    "sink-stderr-sampled.wasm": _stderr_imports,
    "sink-logging-sampled.wasm": _logging_imports,
    "relay.wasm": _relay_imports,
}


def _sink(options: SinkOptions, wasm: str, imports: Callable[[Item], _Imports]) -> Component:
    """A sink that writes lines, and also takes what its runs are named after."""

    def with_facts(memory: Item) -> _Imports:
        definitions, functions = imports(memory)
        front, facts = taken(memory, options.timed)
        return [*definitions, *front], [*functions, *facts]

    return _component(wasm, options.image(), with_facts, options.stubs)


def _component(
    wasm: str,
    image: bytes,
    imports: Callable[[Item], _Imports],
    stubs: tuple[str, ...] = (),
    limit: int | None = None,
) -> Component:
    """``imports`` → core modules → ``emit: func(block: list<CHUNK>) -> u32``.  ``limit``: the
    maximum of the memory, in pages."""
    code = load_wasm(wasm)
    base = heap_base(CoreModule(code))
    memory_def = build.core_module(_memory_module(base, image, stubs, limit))
    memory_instance = build.core_instantiate(memory_def.item, ())
    memory = build.alias_core_export(memory_instance.item, "memory", Sort.CORE_MEMORY)
    definitions, functions = imports(memory.item)
    absent = [build.alias_core_export(memory_instance.item, s, Sort.CORE_FUNC) for s in stubs]
    functions += zip(stubs, (stub.item for stub in absent), strict=True)
    env = build.core_inline_exports((("memory", memory.item), *functions))
    module = build.core_module(code)
    instance = build.core_instantiate(module.item, (("env", env.item),))
    emit = build.alias_core_export(instance.item, "emit", Sort.CORE_FUNC)
    realloc = build.alias_core_export(instance.item, "cabi_realloc", Sort.CORE_FUNC)
    chunk = build.tuple_type(CHUNK)
    block = build.list_type(chunk.item)
    emit_type = build.func_type((("block", block.item),), "u32")
    lift = build.canon_lift(emit.item, emit_type.item, memory.item, realloc.item)
    return Component(
        (
            memory_def, memory_instance, memory, *definitions, *absent, env, module, instance,
            emit, realloc, chunk, block, emit_type, lift, build.export_plain("emit", lift.item),
        )
    )  # fmt: skip


def _memory_module(base: int, image: bytes, stubs: tuple[str, ...], limit: int | None) -> bytes:
    """The sink's memory with settings and site table in it; a module of its own, for the functions
    the sink imports are lowered onto this memory before the sink itself exists.  ``stubs``: clocks
    that are not to be read."""
    module = Module()
    memory = module.memory(MemoryType(sink_pages(base, len(image) - SETTINGS.size), limit))
    module.export_memory("memory", memory)
    module.data(memory, sink_settings(base), image)
    add_stubs(module, stubs)
    return module.encode()


def add_stubs(module: Module, names: tuple[str, ...]) -> None:
    """Exports clocks and a source of random bits that say nothing."""
    for name in names:
        if name == "now":
            f = module.func((), ("i64",))
            f.i64(0)
        else:
            f = module.func(("i32",))
        module.export_func(name, f.index)
