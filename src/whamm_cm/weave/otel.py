"""The sink that tells the host's ``wasi:otel`` (``agent/otel.c``), as a component of its own.

Its code gets the host's interfaces whole: what they take are records with names, which the sink
writes into its memory as the canonical ABI has them.  Released as 0.2.0-rc.2, ``tracing`` has
``outer-span-context``; the repository has since renamed that to ``current-span-context`` and kept
the version.  There are no resources in it, so types that look the same are the same.
"""

from __future__ import annotations

from whamm_cm.agent.layout import PAGE, SETTINGS, load_wasm, sink_pages, sink_settings
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.leb import name_bytes, signed
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.identity import taken
from whamm_cm.weave.instance_types import STRING, U64, InstanceTypeEditor
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.supply import CHUNK, editor_for, find_import, interface_import
from whamm_cm.weave.wiring import SinkOptions, heap_base

VERSION = "0.2.0-rc.2"
#: The interfaces, by the names that the sink's component imports them under.
TRACING, LOGS = "tracing", "logs"
#: What asks for the span that the host is at, by the name of the sink.
CONTEXTS = {"otel": "outer-span-context", "otel-current": "current-span-context"}
_U32, _BOOL, _U8 = b"\x79", b"\x7f", b"\x7d"


def imported(root: Component, context: str) -> dict[str, Interface]:
    """What the root imports of ``wasi:otel``: its own imports, completed, or new ones."""
    found = {}
    for name in (TRACING, LOGS):
        path = f"wasi:otel/{name}"
        definition = find_import(root, path, {VERSION}.__contains__)
        editor = editor_for(root, definition)
        _complete(editor, name, context)
        found[name] = interface_import(root, definition, f"{path}@{VERSION}", editor)
    return found


def otel_component(options: SinkOptions) -> Component:
    """The sink: ``emit: func(block: list<CHUNK>) -> u32`` as of the others."""
    code = load_wasm("sink-otel.wasm")
    memory_def = build.core_module(_memory_module(heap_base(CoreModule(code)), options.image()))
    memory_instance = build.core_instantiate(memory_def.item, ())
    memory = build.alias_core_export(memory_instance.item, "memory", Sort.CORE_MEMORY)
    realloc = build.alias_core_export(memory_instance.item, "realloc", Sort.CORE_FUNC)
    reset = build.alias_core_export(memory_instance.item, "reset", Sort.CORE_FUNC)
    definitions = [memory_def, memory_instance, memory, realloc, reset]
    functions = [("memory", memory.item), ("reset", reset.item)]
    for name, funcs in (
        (TRACING, {"on-start": None, "on-end": None, options.context: realloc.item}),
        (LOGS, {"on-emit": None}),
    ):
        editor = InstanceTypeEditor()
        _complete(editor, name, options.context)
        type_def = editor.to_definition()
        instance = build.import_(name, "instance", type_def.item)
        definitions += (type_def, instance)
        for func, into in funcs.items():
            alias = build.alias_export(instance.item, func, Sort.FUNC)
            lower = build.canon_lower(alias.item, memory.item, realloc=into)
            definitions += (alias, lower)
            functions.append(("context" if func == options.context else func, lower.item))
    facts, lowered = taken(memory.item, True)
    env = build.core_inline_exports((*functions, *lowered))
    return Component((*definitions, *facts, env, *_lifted(code, env.item, memory.item)))


def _lifted(code: bytes, env: Item, memory: Item) -> tuple[Definition, ...]:
    module = build.core_module(code)
    instance = build.core_instantiate(module.item, (("env", env),))
    emit = build.alias_core_export(instance.item, "emit", Sort.CORE_FUNC)
    realloc = build.alias_core_export(instance.item, "cabi_realloc", Sort.CORE_FUNC)
    chunk = build.tuple_type(CHUNK)
    block = build.list_type(chunk.item)
    type_ = build.func_type((("block", block.item),), "u32")
    lift = build.canon_lift(emit.item, type_.item, memory, realloc.item)
    exported = build.export_plain("emit", lift.item)
    return module, instance, emit, realloc, chunk, block, type_, lift, exported


def _memory_module(base: int, image: bytes) -> bytes:
    """The sink's memory with settings and site table in it, and ``realloc`` for what the host hands
    over, which lies behind all else until ``reset``."""
    module = Module()
    pages = sink_pages(base, len(image) - SETTINGS.size)
    memory = module.memory(MemoryType(pages + 1))
    module.export_memory("memory", memory)
    module.data(memory, sink_settings(base), image)
    start = pages * PAGE
    used = module.global_("i32", start)
    f = module.func(("i32", "i32", "i32", "i32"), ("i32",))
    at = f.local("i32")
    f.global_get(used)  # to the next multiple of the alignment
    f.get(2)
    f.op("i32.add")
    f.i32(1)
    f.op("i32.sub")
    f.i32(0)
    f.get(2)
    f.op("i32.sub", "i32.and")
    f.tee(at)
    f.get(3)
    f.op("i32.add")
    f.i32(start + PAGE)
    f.op("i32.gt_u")
    with f.if_():  # no context of a span has that much
        f.i32(start)
        f.set(at)
    f.get(at)
    f.get(3)
    f.op("i32.add")
    f.global_set(used)
    f.get(at)
    module.export_func("realloc", f.index)
    reset = module.func()
    reset.i32(start)
    reset.global_set(used)
    module.export_func("reset", reset.index)
    return module.encode()


# --- types ---------------------------------------------------------------------------------------


def _complete(editor: InstanceTypeEditor, name: str, context: str) -> None:
    """Have the functions of that interface in the instance type, and the types they speak of."""
    if name == LOGS:
        editor.export_func("on-emit", [("data", _log_record(editor))], None)
        return
    found = _span_context(editor)
    editor.export_func("on-start", [("context", found)], None)
    editor.export_func("on-end", [("span", _span_data(editor))], None)
    editor.export_func(context, [], found)


def _named(editor: InstanceTypeEditor, name: str, body: bytes) -> bytes:
    if name not in editor.types:
        index = editor.count
        editor.define(body)
        editor.export_type(name, index)
    return signed(editor.types[name])


def _record(**fields: bytes) -> bytes:
    named = ((label.replace("_", "-"), type_) for label, type_ in fields.items())
    return b"\x72" + bytes((len(fields),)) + b"".join(name_bytes(n) + t for n, t in named)


def _labels(code: bytes, *labels: str) -> bytes:
    return code + bytes((len(labels),)) + b"".join(map(name_bytes, labels))


def _list(editor: InstanceTypeEditor, element: bytes) -> bytes:
    return editor.define(b"\x70" + element)


def _option(editor: InstanceTypeEditor, value: bytes) -> bytes:
    return editor.define(b"\x6b" + value)


def _datetime(editor: InstanceTypeEditor) -> bytes:
    return _named(editor, "datetime", _record(seconds=U64, nanoseconds=_U32))


def _attributes(editor: InstanceTypeEditor) -> bytes:
    return _list(editor, _named(editor, "key-value", _record(key=STRING, value=STRING)))


def _scope(editor: InstanceTypeEditor) -> bytes:
    text = _option(editor, STRING)
    fields = {"version": text, "schema_url": text, "attributes": _attributes(editor)}
    return _named(editor, "instrumentation-scope", _record(name=STRING, **fields))


def _flags(editor: InstanceTypeEditor) -> bytes:
    return _named(editor, "trace-flags", _labels(b"\x6e", "sampled"))


def _span_context(editor: InstanceTypeEditor) -> bytes:
    pair = editor.define(b"\x6f\x02" + STRING * 2)
    state = {"is_remote": _BOOL, "trace_state": _list(editor, pair)}
    flags = _flags(editor)
    body = _record(trace_id=STRING, span_id=STRING, trace_flags=flags, **state)
    return _named(editor, "span-context", body)


def _span_data(editor: InstanceTypeEditor) -> bytes:
    kinds = ("client", "server", "producer", "consumer", "internal")
    kind = _named(editor, "span-kind", _labels(b"\x6d", *kinds))
    context, time, attributes = _span_context(editor), _datetime(editor), _attributes(editor)
    event = _record(name=STRING, time=time, attributes=attributes)
    link = _record(span_context=context, attributes=attributes)
    cases = b"\x71\x03" + name_bytes("unset") + b"\0\0" + name_bytes("ok") + b"\0\0"
    status = cases + name_bytes("error") + b"\x01" + STRING + b"\0"
    body = _record(
        span_context=context, parent_span_id=STRING, span_kind=kind, name=STRING, start_time=time,
        end_time=time, attributes=attributes, events=_list(editor, _named(editor, "event", event)),
        links=_list(editor, _named(editor, "link", link)), status=_named(editor, "status", status),
        instrumentation_scope=_scope(editor), dropped_attributes=_U32, dropped_events=_U32,
        dropped_links=_U32,
    )  # fmt: skip
    return _named(editor, "span-data", body)


def _log_record(editor: InstanceTypeEditor) -> bytes:
    text, attributes = _option(editor, STRING), _attributes(editor)
    resource = _named(editor, "resource", _record(attributes=attributes, schema_url=text))
    time = _option(editor, _datetime(editor))
    body = _record(
        timestamp=time, observed_timestamp=time, severity_text=text,
        severity_number=_option(editor, _U8), body=text, attributes=_option(editor, attributes),
        event_name=text, resource=_option(editor, resource),
        instrumentation_scope=_option(editor, _scope(editor)), trace_id=text, span_id=text,
        trace_flags=_option(editor, _flags(editor)),
    )  # fmt: skip
    return _named(editor, "log-record", body)
