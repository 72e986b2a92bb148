"""Bytes → IR: components (Binary.md) with every index turned into a reference as it is read."""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.binary.coretypes import core_type
from whamm_cm.binary.coretypes import val_type as core_val_type
from whamm_cm.binary.reader import MAX_DEPTH, Reader, Scope
from whamm_cm.binary.types import (
    KIND_SORTS,
    alias,
    core_sort,
    def_type,
    extern_name,
    extern_type,
    flag,
    result_list,
    sort,
    val_type,
)
from whamm_cm.errors import DecodeError, InputError
from whamm_cm.ir import nodes as n
from whamm_cm.ir.canons import BY_OPCODE
from whamm_cm.ir.component import Component, Definition, Group, SectionId
from whamm_cm.ir.core import CoreModule
from whamm_cm.ir.items import Item, Sort

COMPONENT_PREAMBLE = b"\0asm\x0d\0\x01\0"
MODULE_PREAMBLE = b"\0asm\x01\0\0\0"

_ENCODINGS = {0x00: "utf8", 0x01: "utf16", 0x02: "latin1+utf16"}


def check_component(data: bytes, what: str = "input") -> None:
    """Raise an :class:`InputError` with a remedy unless ``data`` starts like a component."""
    if data[:8] == COMPONENT_PREAMBLE:
        return
    if not data:
        raise InputError(f"{what} is empty, expected a WebAssembly component")
    if data[:8] == MODULE_PREAMBLE:
        raise InputError(
            f"{what} is a core WebAssembly module, not a component; make it one first,"
            " for example with `wasm-tools component new`"
        )
    if data[:4] == b"\0asm":
        version = data[4:8].hex(" ")
        raise InputError(f"{what} has the unknown version and layer bytes {version} (at offset 4)")
    if b"(component" in data[:4096]:
        raise InputError(f"{what} is component text; assemble it first, with `wasm-tools parse`")
    raise InputError(f"{what} is not WebAssembly (no \\0asm at offset 0)")


def decode(data: bytes, what: str = "input") -> Component:
    """Decode a binary component.  Core modules stay slices of ``data`` until they are looked at.

    Raises :class:`InputError` for something that is no component and :class:`DecodeError` (with
    offset and nesting path) for a malformed one or a construct whose indices we cannot see.
    """
    check_component(data, what)
    try:
        return _component(Reader(data, 8, len(data)), None, "")
    except RecursionError:
        raise DecodeError("definitions are nested too deeply", 0) from None


def _component(r: Reader, outer: Scope | None, path: str) -> Component:
    scope = Scope(True, outer)
    if scope.depth() > MAX_DEPTH:
        raise r.error(f"components are nested deeper than {MAX_DEPTH} levels")
    r.path = path
    start = r.pos - 8
    definitions: list[Definition] = []
    counts = {SectionId.CORE_MODULE: 0, SectionId.COMPONENT: 0}
    while r.left:
        at, section = r.pos, r.u8("section id")
        size = r.u32("section size")
        group = Group(r.width)
        if size > r.left:
            raise r.error(
                f"section {section} of {size} bytes runs past the end ({r.left} left)", at
            )
        body = Reader(r.data, r.pos, r.pos + size, path)
        if section in counts:
            definitions.append(_nested(body, scope, section, group, counts[section], path))
            counts[section] += 1
        elif section in SectionId.SINGLE:
            definitions.append(_single(body, scope, section, group))
        elif section in _VECTORS:
            definitions.extend(_vector(body, scope, section, group))
        else:
            raise r.error(f"unknown component section {section}", at)
        if body.left:
            raise body.error(f"section {section} has {body.left} bytes too many")
        r.pos += size
    return Component(tuple(definitions), path, start, r.end - start)


def _nested(
    r: Reader, scope: Scope, section: int, group: Group, nth: int, path: str
) -> Definition:
    kind = "component" if section == SectionId.COMPONENT else "module"
    inner = f"{path}.{kind}[{nth}]" if path else f"{kind}[{nth}]"
    start = r.pos
    node: Component | CoreModule
    if section == SectionId.CORE_MODULE:
        node = CoreModule(memoryview(r.data)[r.pos : r.end], r.pos, inner)
        item = scope.new(Sort.CORE_MODULE)
    else:
        if r.take(8, "component preamble") != COMPONENT_PREAMBLE:
            raise DecodeError("nested component has no component preamble", start, inner)
        node = _component(Reader(r.data, r.pos, r.end, inner), scope, inner)
        item = scope.new(Sort.COMPONENT)
    r.pos = r.end
    return Definition(section, node, (item,), (), group, start)


def _single(r: Reader, scope: Scope, section: int, group: Group) -> Definition:
    r.begin()
    start = r.pos
    items: tuple[Item, ...] = ()
    node: n.Node
    if section == SectionId.CUSTOM:
        name = r.name("custom section name")
        node = _custom(r, scope, name)
        r.pos = r.end
    else:
        func = r.ref(scope, Sort.FUNC)
        args = tuple(r.ref(scope, Sort.VALUE) for _ in range(r.count("start arguments")))
        at, results = r.pos, r.u32("start results")
        if results > 1000:
            raise r.error(f"start announces {results} results", at)
        items = tuple(scope.new(Sort.VALUE) for _ in range(results))
        node = n.Start(func, args, results)
    return Definition(section, node, items, r.finish(), group, start)


def _vector(r: Reader, scope: Scope, section: int, group: Group) -> list[Definition]:
    count = r.count("definitions")
    group = Group(group.size_width, r.width)
    if not count:
        return [Definition(section, n.EmptySection(), (), (), group, r.pos)]
    start, lengths = r.pos, [len(space) for space in scope.spaces]
    try:
        return _definitions(r, scope, section, group, count)
    except DecodeError:
        if section != SectionId.CANON:
            raise
        first_error = r
    # Toolchains write the thread.spawn built-ins without the `shared` immediate of Binary.md.
    for space, length in zip(scope.spaces, lengths, strict=True):
        del space[length:]
    retry = Reader(r.data, start, r.end, r.path)
    retry.shared_flags = True
    try:
        definitions = _definitions(retry, scope, section, group, count)
    except DecodeError:
        for space, length in zip(scope.spaces, lengths, strict=True):
            del space[length:]
        first_error.pos = start
        return _definitions(first_error, scope, section, group, count)
    r.pos = retry.pos
    return definitions


def _definitions(
    r: Reader, scope: Scope, section: int, group: Group, count: int
) -> list[Definition]:
    read = _VECTORS[section]
    definitions = []
    for _ in range(count):
        r.begin()
        start = r.pos
        node, items = read(r, scope)
        definitions.append(Definition(section, node, items, r.finish(), group, start))
    if r.left and section == SectionId.CANON:
        raise r.error(f"section {section} has {r.left} bytes too many")
    return definitions


def _custom(r: Reader, scope: Scope, name: str) -> n.Node:
    payload = memoryview(r.data)[r.pos : r.end]
    if name == "component-name":
        try:
            return _names(Reader(r.data, r.pos, r.end, r.path), scope, payload)
        except DecodeError:
            # A malformed name section must not make a component invalid (Binary.md).
            return n.Custom(name, payload)
    return n.Custom(name, payload)


def _names(r: Reader, scope: Scope, payload: memoryview) -> n.NameSection:
    component = None
    rows = []
    while r.left:
        code = r.u8()
        size = r.u32()
        body = Reader(r.data, r.pos, r.pos + size, r.path)
        r.take(size, "name subsection")
        if code == 0:
            component = body.name()
        elif code == 1:
            kind = sort(body)
            for _ in range(body.count("names")):
                index, name = body.u32(), body.name()
                if index < len(scope.spaces[kind]):
                    rows.append((kind, index, scope.spaces[kind][index], name))
        else:
            raise r.error("unknown name subsection")
    return n.NameSection(component, tuple(rows), payload)


_Result = tuple[n.Node, tuple[Item, ...]]


def _core_instance(r: Reader, scope: Scope) -> _Result:
    at, code = r.pos, r.u8("core instance")
    node: n.Node
    if code == 0x00:
        module = r.ref(scope, Sort.CORE_MODULE)
        node = n.CoreInstantiate(
            module, tuple(_core_arg(r, scope) for _ in range(r.count("arguments")))
        )
    elif code == 0x01:
        exports = tuple((r.name(), _sort_ref(r, scope, True)) for _ in range(r.count("exports")))
        node = n.CoreInlineExports(exports)
    else:
        raise r.error(f"unknown core instance 0x{code:02x}", at)
    return node, (scope.new(Sort.CORE_INSTANCE),)


def _core_arg(r: Reader, scope: Scope) -> tuple[str, Item]:
    name = r.name()
    at = r.pos
    if r.u8("argument sort") != 0x12:
        raise r.error("a core instantiation argument must be an instance", at)
    return name, r.ref(scope, Sort.CORE_INSTANCE)


def _sort_ref(r: Reader, scope: Scope, core: bool = False) -> Item:
    return r.ref(scope, core_sort(r) if core else sort(r))


def _instance(r: Reader, scope: Scope) -> _Result:
    at, code = r.pos, r.u8("instance")
    node: n.Node
    if code == 0x00:
        component = r.ref(scope, Sort.COMPONENT)
        args = tuple((r.name(), _sort_ref(r, scope)) for _ in range(r.count("arguments")))
        node = n.Instantiate(component, args)
    elif code == 0x01:
        node = n.InlineExports(
            tuple((extern_name(r), _sort_ref(r, scope)) for _ in range(r.count("exports")))
        )
    else:
        raise r.error(f"unknown instance 0x{code:02x}", at)
    return node, (scope.new(Sort.INSTANCE),)


def _type(r: Reader, scope: Scope) -> _Result:
    node = def_type(r, scope)
    return node, (scope.new(Sort.TYPE),)


def _import(r: Reader, scope: Scope) -> _Result:
    name, type_ = extern_name(r), extern_type(r, scope)
    return n.Import(name, type_), (scope.new(KIND_SORTS[type_.kind]),)


def _export(r: Reader, scope: Scope) -> _Result:
    name = extern_name(r)
    item = _sort_ref(r, scope)
    type_ = extern_type(r, scope) if flag(r, "type ascription") else None
    return n.Export(name, item, type_), (scope.new(item.sort),)


def _value(r: Reader, scope: Scope) -> _Result:
    type_ = val_type(r, scope)
    data = r.take(r.u32("value size"), "value")
    return n.ValueDef(type_, data), (scope.new(Sort.VALUE),)


def _options(r: Reader, scope: Scope) -> n.CanonOptions:
    found: dict[str, Item | str | bool] = {}
    for _ in range(r.count("canonical options")):
        at, code = r.pos, r.u8("canonical option")
        if code in _ENCODINGS:
            found["encoding"] = _ENCODINGS[code]
        elif code == 0x03:
            found["memory"] = r.ref(scope, Sort.CORE_MEMORY)
        elif code in _FUNC_OPTIONS:
            found[_FUNC_OPTIONS[code]] = r.ref(scope, Sort.CORE_FUNC)
        elif code == 0x06:
            found["is_async"] = True
        elif code == 0x08:
            found["core_type"] = r.ref(scope, Sort.CORE_TYPE)
        elif code == 0x09:
            found["gc"] = True
        else:
            raise r.error(f"unknown canonical option 0x{code:02x}", at)
    return n.CanonOptions(**found)  # type: ignore[arg-type]


_FUNC_OPTIONS = {0x04: "realloc", 0x05: "post_return", 0x07: "callback"}


def _canon(r: Reader, scope: Scope) -> _Result:
    at, code = r.pos, r.u8("canonical definition")
    row = BY_OPCODE.get(code)
    if row is None:
        raise r.error(f"unknown canonical built-in 0x{code:02x}", at)
    fields: dict[str, object] = {}
    for kind in row.immediates:
        _immediate(r, scope, row.op, kind, fields)
    node = n.Canon(row.op, **fields)  # type: ignore[arg-type]
    return node, (scope.new(Sort.FUNC if row.op == "lift" else Sort.CORE_FUNC),)


def _immediate(r: Reader, scope: Scope, op: str, kind: str, fields: dict[str, object]) -> None:
    if kind == "func":
        at = r.pos
        if r.u8("sort") != 0x00:
            raise r.error(f"unknown form of canon {op}", at)
        fields["func"] = r.ref(scope, Sort.CORE_FUNC if op == "lift" else Sort.FUNC)
    elif kind == "type":
        fields["type"] = r.ref(scope, Sort.TYPE)
    elif kind == "opts":
        fields["options"] = _options(r, scope)
    elif kind == "resultlist":
        fields["result"] = result_list(r, scope)
    elif kind == "flag":
        fields["flag"] = flag(r, "async or cancellable flag")
    elif kind == "memory":
        fields["memory"] = r.ref(scope, Sort.CORE_MEMORY)
    elif kind == "table":
        fields["table"] = r.ref(scope, Sort.CORE_TABLE)
    elif kind == "core type":
        fields["type"] = r.ref(scope, Sort.CORE_TYPE)
    elif kind == "core valtype":
        fields["core_type"] = core_val_type(r, scope)
    elif kind == "slot":
        fields["slot"] = r.u32("context slot")
    elif kind == "shared" and r.shared_flags:
        fields["flag"] = flag(r, "shared flag")


_VECTORS: dict[int, Callable[[Reader, Scope], _Result]] = {
    SectionId.CORE_INSTANCE: _core_instance,
    SectionId.CORE_TYPE: core_type,
    SectionId.INSTANCE: _instance,
    SectionId.ALIAS: alias,
    SectionId.TYPE: _type,
    SectionId.CANON: _canon,
    SectionId.IMPORT: _import,
    SectionId.EXPORT: _export,
    SectionId.VALUE: _value,
}
