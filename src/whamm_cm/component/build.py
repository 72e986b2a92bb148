"""Constructors for new definitions: each returns a :class:`Definition` whose items are fresh.

They write the same productions ``binary/`` reads (Binary.md) and attach the matching node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from whamm_cm.component import nodes as n
from whamm_cm.component.canons import BY_OP
from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import SORT_BYTES, Item, Ref, Sort, Token
from whamm_cm.component.types import PRIMITIVES
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType

_PRIMITIVES = {name: code for code, name in PRIMITIVES.items()}
_ENCODINGS = {"utf8": b"\x00", "utf16": b"\x01", "latin1+utf16": b"\x02"}
_KINDS = {"func": b"\x01", "component": b"\x04", "instance": b"\x05", "core module": b"\x00\x11"}


def _sort_ref(item: Item) -> tuple[Token, ...]:
    return SORT_BYTES[item.sort], Ref(item)


def extern_name(name: n.ExternName) -> bytes:
    """``nameattributes``; form 0 unless there are attributes."""
    if not name.attributes:
        return b"\0" + name_bytes(name.name)
    codes = {"implements": b"\0", "versionsuffix": b"\x01", "external-id": b"\x02"}
    body = b"".join(codes[kind] + name_bytes(text) for kind, text in name.attributes)
    return b"\x02" + name_bytes(name.name) + unsigned(len(name.attributes)) + body


def core_module(data: bytes) -> Definition:
    module = CoreModule(data)
    return Definition(SectionId.CORE_MODULE, module, (Item(Sort.CORE_MODULE),))


def nested_component(component: Component) -> Definition:
    return Definition(SectionId.COMPONENT, component, (Item(Sort.COMPONENT),))


def custom(name: str, data: bytes) -> Definition:
    node = n.Custom(name, memoryview(data))
    return Definition(SectionId.CUSTOM, node, (), (name_bytes(name), data))


def core_instantiate(module: Item, args: Sequence[tuple[str, Item]]) -> Definition:
    tokens: list[Token] = [b"\0", Ref(module), unsigned(len(args))]
    for name, item in args:
        tokens += (name_bytes(name) + b"\x12", Ref(item))
    node = n.CoreInstantiate(module, tuple(args))
    return Definition(SectionId.CORE_INSTANCE, node, (Item(Sort.CORE_INSTANCE),), tuple(tokens))


def core_inline_exports(exports: Sequence[tuple[str, Item]]) -> Definition:
    tokens: list[Token] = [b"\x01" + unsigned(len(exports))]
    for name, item in exports:
        tokens += (name_bytes(name) + SORT_BYTES[item.sort][1:], Ref(item))
    node = n.CoreInlineExports(tuple(exports))
    return Definition(SectionId.CORE_INSTANCE, node, (Item(Sort.CORE_INSTANCE),), tuple(tokens))


def instantiate(component: Item, args: Iterable[tuple[str, Item]]) -> Definition:
    args = tuple(args)
    tokens: list[Token] = [b"\0", Ref(component), unsigned(len(args))]
    for name, item in args:
        tokens += (name_bytes(name), *_sort_ref(item))
    node = n.Instantiate(component, args)
    return Definition(SectionId.INSTANCE, node, (Item(Sort.INSTANCE),), tuple(tokens))


def inline_exports(exports: Sequence[tuple[str, Item]]) -> Definition:
    tokens: list[Token] = [b"\x01" + unsigned(len(exports))]
    for name, item in exports:
        tokens += (extern_name(n.ExternName(name)), *_sort_ref(item))
    named = tuple((n.ExternName(name), item) for name, item in exports)
    node = n.InlineExports(named)
    return Definition(SectionId.INSTANCE, node, (Item(Sort.INSTANCE),), tuple(tokens))


def alias_core_export(instance: Item, name: str, sort: Sort) -> Definition:
    tokens = (SORT_BYTES[sort] + b"\x01", Ref(instance), name_bytes(name))
    return Definition(SectionId.ALIAS, n.AliasCoreExport(instance, name), (Item(sort),), tokens)


def alias_export(instance: Item, name: str, sort: Sort) -> Definition:
    tokens = (SORT_BYTES[sort] + b"\0", Ref(instance), name_bytes(name))
    return Definition(SectionId.ALIAS, n.AliasExport(instance, name), (Item(sort),), tokens)


def canon_lower(
    func: Item, memory: Item | None = None, encoding: str = "utf8", realloc: Item | None = None,
    is_async: bool = False,
) -> Definition:  # fmt: skip
    options: list[tuple[Token, ...]] = []
    if encoding != "utf8":
        options.append((_ENCODINGS[encoding],))
    if memory is not None:
        options.append((b"\x03", Ref(memory)))
    if realloc is not None:
        options.append((b"\x04", Ref(realloc)))
    if is_async:
        options.append((b"\x06",))
    tokens = (b"\x01\x00", Ref(func), unsigned(len(options)), *chain.from_iterable(options))
    known = n.CanonOptions(encoding, memory, realloc, is_async=is_async)
    node = n.Canon("lower", func, None, known)
    return Definition(SectionId.CANON, node, (Item(Sort.CORE_FUNC),), tokens)


def canon_lift(
    func: Item, type_: Item, memory: Item | None = None, realloc: Item | None = None
) -> Definition:
    options: list[Token] = []
    for code, item in ((b"\x03", memory), (b"\x04", realloc)):
        if item is not None:
            options += (code, Ref(item))
    tokens = (b"\0\0", Ref(func), unsigned(len(options) // 2), *options, Ref(type_))
    node = n.Canon("lift", func, type_, n.CanonOptions(memory=memory, realloc=realloc))
    return Definition(SectionId.CANON, node, (Item(Sort.FUNC),), tokens)


def canon_task(func: Item, type_: Item, callback: Item) -> Definition:
    """The lift of an async function without strings and lists, with a callback."""
    tokens = (b"\0\0", Ref(func), b"\x02\x06\x07", Ref(callback), Ref(type_))
    node = n.Canon("lift", func, type_, n.CanonOptions(callback=callback, is_async=True))
    return Definition(SectionId.CANON, node, (Item(Sort.FUNC),), tokens)


def builtin(op: str) -> Definition:
    """A canonical built-in: ``task.return`` of no result, or one without immediates."""
    tail = b"\x01\0\0" if op == "task.return" else b""
    code = bytes((BY_OP[op].opcode,)) + tail
    return Definition(SectionId.CANON, n.Canon(op), (Item(Sort.CORE_FUNC),), (code,))


def end_op(op: str, type_: Item, memory: Item, realloc: Item) -> Definition:
    """Of a stream or future: ``new``, ``drop-…``, or a ``read`` or ``write`` that does not wait."""
    tokens: tuple[Token, ...] = (bytes((BY_OP[op].opcode,)), Ref(type_))
    if op.endswith((".read", ".write")):
        tokens += (b"\x03\x06\x03", Ref(memory), b"\x04", Ref(realloc))
    options = n.CanonOptions(memory=memory, realloc=realloc, is_async=True)
    node = n.Canon(op, type=type_, options=options)
    return Definition(SectionId.CANON, node, (Item(Sort.CORE_FUNC),), tokens)


def context(core_type: str, threads: bool) -> tuple[Definition, ...]:
    """``context.get`` and ``context.set`` of slot 0; ``core_type``: i32 or i64.  ``thread.index``
    where there are ``threads``."""
    kind = {"i32": b"\x7f", "i64": b"\x7e"}[core_type]
    slot = (
        Definition(
            SectionId.CANON,
            n.Canon(op, core_type=core_type),
            (Item(Sort.CORE_FUNC),),
            (code, kind, b"\0"),
        )
        for op, code in (("context.get", b"\x0a"), ("context.set", b"\x0b"))
    )
    index = Definition(
        SectionId.CANON, n.Canon("thread.index"), (Item(Sort.CORE_FUNC),), (b"\x26",)
    )
    return (*slot, index) if threads else tuple(slot)


def resource_op(op: str, resource: Item) -> Definition:
    """``op``: resource.new, resource.drop or resource.rep."""
    code = bytes((BY_OP[op].opcode,))
    node = n.Canon(op, type=resource)
    return Definition(SectionId.CANON, node, (Item(Sort.CORE_FUNC),), (code, Ref(resource)))


def resource_drop(resource: Item) -> Definition:
    return resource_op("resource.drop", resource)


def resource_type(destructor: Item) -> Definition:
    """A new resource of this component, represented by an ``i32``."""
    node = n.ResourceDef("i32", destructor)
    return type_def(node, b"\x3f\x7f\x01", Ref(destructor))


def val_tokens(ref: n.ValRef) -> tuple[Token, ...]:
    if isinstance(ref, Item):
        return (Ref(ref, signed=True),)
    return (bytes((_PRIMITIVES[ref],)),)


def type_def(node: n.Node, *tokens: Token) -> Definition:
    return Definition(SectionId.TYPE, node, (Item(Sort.TYPE),), tokens)


def list_type(element: n.ValRef, length: int | None = None) -> Definition:
    if length is None:
        return type_def(n.ListDef(element), b"\x70", *val_tokens(element))
    return type_def(n.ListDef(element, length), b"\x67", *val_tokens(element), unsigned(length))


def map_type(key: n.ValRef, value: n.ValRef) -> Definition:
    return type_def(n.MapDef(key, value), b"\x63", *val_tokens(key), *val_tokens(value))


def option_type(inner: n.ValRef) -> Definition:
    return type_def(n.OptionDef(inner), b"\x6b", *val_tokens(inner))


def prim_type(name: str) -> Definition:
    return type_def(n.PrimDef(name), *val_tokens(name))


def end_type(element: n.ValRef | None, future: bool) -> Definition:
    """A ``stream``, or a ``future``, of elements that may be of no type."""
    node = n.FutureDef(element) if future else n.StreamDef(element)
    tokens = (b"\0",) if element is None else (b"\x01", *val_tokens(element))
    return type_def(node, b"\x65" if future else b"\x66", *tokens)


def tuple_type(types: Sequence[n.ValRef]) -> Definition:
    tokens: list[Token] = [b"\x6f" + unsigned(len(types))]
    for ref in types:
        tokens += val_tokens(ref)
    return type_def(n.TupleDef(tuple(types)), *tokens)


def result_type(ok: n.ValRef | None, err: n.ValRef | None) -> Definition:
    tokens: list[Token] = [b"\x6a"]
    for ref in (ok, err):
        tokens += (b"\0",) if ref is None else (b"\x01", *val_tokens(ref))
    return type_def(n.ResultDef(ok, err), *tokens)


def variant_type(cases: Sequence[tuple[str, n.ValRef | None]]) -> Definition:
    tokens: list[Token] = [b"\x71" + unsigned(len(cases))]
    for label, payload in cases:
        tokens.append(name_bytes(label) + (b"\0" if payload is None else b"\x01"))
        if payload is not None:
            tokens += val_tokens(payload)
        tokens.append(b"\0")
    return type_def(n.VariantDef(tuple(cases)), *tokens)


def record_type(fields: Sequence[tuple[str, n.ValRef]]) -> Definition:
    tokens: list[Token] = [b"\x72" + unsigned(len(fields))]
    for label, value in fields:
        tokens += [name_bytes(label), *val_tokens(value)]
    return type_def(n.RecordDef(tuple(fields)), *tokens)


def _labels(labels: tuple[str, ...]) -> bytes:
    return unsigned(len(labels)) + b"".join(map(name_bytes, labels))


def enum_type(labels: tuple[str, ...]) -> Definition:
    return type_def(n.EnumDef(labels), b"\x6d" + _labels(labels))


def flags_type(labels: tuple[str, ...]) -> Definition:
    return type_def(n.FlagsDef(labels), b"\x6e" + _labels(labels))


def own_type(resource: Item) -> Definition:
    return type_def(n.OwnDef(resource), b"\x69", Ref(resource))


def borrow_type(resource: Item) -> Definition:
    return type_def(n.BorrowDef(resource), b"\x68", Ref(resource))


def func_type(
    params: Sequence[tuple[str, n.ValRef]], result: n.ValRef | None, is_async: bool = False
) -> Definition:
    tokens: list[Token] = [(b"\x43" if is_async else b"\x40") + unsigned(len(params))]
    for name, ref in params:
        tokens += (name_bytes(name), *val_tokens(ref))
    tokens += (b"\x01\0",) if result is None else (b"\0", *val_tokens(result))
    return type_def(n.FuncDef(tuple(params), result, is_async), *tokens)


def instance_type_with(node: n.InstanceTypeDef, extra: Sequence[tuple[Token, ...]]) -> Definition:
    """``node`` with further declarations (encoded, in its own indices) at its end."""
    tokens: list[Token] = [b"\x42" + unsigned(len(node.decls) + len(extra))]
    for decl in node.decls:
        tokens += decl.tokens
    for declaration in extra:
        tokens += declaration
    return type_def(node, *tokens)


def memory_module_type(name: str) -> Definition:
    """The type of core modules that export a memory, whatever its size, and need nothing."""
    memory = MemoryType(1)
    decl = n.Decl(n.CoreExportDecl(name, n.CoreExtern("memory", limits=memory)), ())
    tokens = (b"\x50\x01\x03" + name_bytes(name) + b"\x02" + memory.encode(),)
    node = n.CoreModuleTypeDef((decl,))
    return Definition(SectionId.CORE_TYPE, node, (Item(Sort.CORE_TYPE),), tokens)


def import_(name: str, kind: str, type_: Item | None) -> Definition:
    """An import of ``kind``: func, instance, component, core module, or type (for which None
    means ``sub resource``)."""
    sort = {"core module": Sort.CORE_MODULE}.get(kind) or Sort[kind.upper()]
    head = extern_name(n.ExternName(name))
    tokens: tuple[Token, ...]
    if kind == "type":
        tokens = (head + b"\x03\x01",) if type_ is None else (head + b"\x03\x00", Ref(type_))
    else:
        assert type_ is not None
        tokens = (head + _KINDS[kind], Ref(type_))
    node = n.Import(n.ExternName(name), n.ExternType(kind, type_))
    return Definition(SectionId.IMPORT, node, (Item(sort),), tokens)


def export(name: n.ExternName, item: Item, as_type: Item | None = None) -> Definition:
    """``as_type``: what to export a function or an instance as, if not as what it is."""
    ascribed: tuple[Token, ...] = (b"\0",)
    type_ = None
    if as_type is not None:
        kind = item.sort.name.lower()
        ascribed, type_ = (b"\1" + _KINDS[kind], Ref(as_type)), n.ExternType(kind, as_type)
    tokens = (extern_name(name), *_sort_ref(item), *ascribed)
    return Definition(SectionId.EXPORT, n.Export(name, item, type_), (Item(item.sort),), tokens)


def export_plain(name: str, item: Item) -> Definition:
    return export(n.ExternName(name), item)
