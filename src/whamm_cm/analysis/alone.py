"""A core module as a component around it: what is said of components is then said of modules.

The component imports an instance for each module name that functions are imported from, gives the
functions to the one core module in it, and lifts what that exports.  Functions of WASI preview 1
have their types (:mod:`whamm_cm.wit.preview1`), all others those of their core values.  It is there
to be looked at, and to choose sites in; no engine runs it: the values of preview 1 do not lie where
the canonical ABI has them.  What is woven is the module itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from whamm_cm.component.decode import COMPONENT_PREAMBLE, MODULE_PREAMBLE
from whamm_cm.component.ir import SectionId
from whamm_cm.component.types import PRIMITIVES
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm import asm, encoding
from whamm_cm.wasm.leb import name_bytes, signed, unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import FuncType, GlobalType, MemoryType, TableType
from whamm_cm.wit import types as t
from whamm_cm.wit.preview1 import Function, function

_CODES = {name: bytes((code,)) for code, name in PRIMITIVES.items()}
_CORE = {"i32": "s32", "i64": "s64", "f32": "f32", "f64": "f64"}
#: What custom sections of a weave begin with.
_OURS = "whamm-cm"
_LISTED = "it takes or returns references or vectors"
_SEVERAL = "it returns several values"


@dataclass(frozen=True, slots=True)
class Boundary:
    """A function that a core module imports or exports.  ``index``: of its type; ``known``: what it
    is in WASI preview 1; ``reason``: why no wrapper can be there, "" where one can."""

    module: str
    name: str
    index: int
    flat: FuncType
    known: Function | None
    reason: str

    @property
    def params(self) -> tuple[tuple[str, t.ValType], ...]:
        """As they are shown."""
        if self.known is not None:
            return self.known.shown
        kinds = self.flat.params
        return tuple((f"p{i}", prim(kind)) for i, kind in enumerate(kinds) if kind in _CORE)

    @property
    def result(self) -> t.ValType | None:
        if self.known is not None:
            return self.known.result
        kinds = self.flat.results
        return prim(kinds[0]) if len(kinds) == 1 and kinds[0] in _CORE else None


def prim(kind: str) -> t.Prim:
    """A core value as it is shown."""
    return _PRIMS[kind]


_PRIMS = {kind: t.Prim(name) for kind, name in _CORE.items()}


@dataclass(frozen=True, slots=True)
class Boundaries:
    """In the order of the lowered and lifted functions of :func:`around`; a function that is
    imported several times is here once.  ``positions``: of each imported function, which of these
    it is; None for one that is also imported by another type, which comes first."""

    imports: tuple[Boundary, ...]
    exports: tuple[Boundary, ...]
    positions: tuple[int | None, ...]


def boundaries(module: CoreModule) -> Boundaries:
    """Raises DecodeError for a malformed module."""
    imported = module.imported("func")
    first: dict[tuple[str, str], int] = {}
    imports: list[Boundary] = []
    positions: list[int | None] = []
    for each in imported:
        assert isinstance(each.type, int)
        found = _boundary(module, each.module, each.name, each.type)
        position = first.setdefault((each.module, each.name), len(imports))
        if position == len(imports):
            imports.append(found)
        same = imports[position].index == found.index or (
            imports[position].flat == found.flat
            and not imports[position].reason
            and not found.reason
        )
        positions.append(position if same else None)
    exports = []
    for export in module.exports:
        if export.kind == "func":
            exports.append(_boundary(module, "", export.name, module.type_index(export.index)))
    return Boundaries(tuple(imports), tuple(exports), tuple(positions))


def _boundary(module: CoreModule, origin: str, name: str, index: int) -> Boundary:
    flat, definition = module.type_func(index), module.types[index]
    known = function(origin, name)
    if known is not None and known.flat != (flat.params, flat.results):
        known = None  # no host takes it for that
    reason = ""
    if any(kind not in _CORE for kind in (*flat.params, *flat.results)):
        reason = _LISTED
    elif len(flat.results) > 1:
        reason = _SEVERAL
    elif bytes(definition.data) != encoding.func_type(flat.params, flat.results):
        reason = "its type is one of a hierarchy"
    elif sum(each.group == definition.group for each in module.types) > 1:
        reason = "its type is one of a recursive group"
    return Boundary(origin, name, index, flat, known, reason)


def as_component(data: bytes, what: str = "") -> bytes:
    """``data``, or where it is a core module the component around it.  ``what`` names the input in
    errors.  Raises DecodeError."""
    if data[:8] != MODULE_PREAMBLE:
        return data
    try:
        return around(CoreModule(data))
    except DecodeError as error:
        raise DecodeError(error.message, error.offset, error.path, what) from None


def around(module: CoreModule) -> bytes:
    """The component around a module.  Raises DecodeError for a malformed one."""
    found = boundaries(module)
    out = _Writer()
    for section in module.custom_sections:
        if section.name.startswith(_OURS):  # what a weave says of the module it says of the whole
            out.section(SectionId.CUSTOM, bytes(section.payload))
    out.section(SectionId.CORE_MODULE, bytes(module.data))
    rest = _Rest.of(module)
    if rest.names:
        out.section(SectionId.CORE_MODULE, rest.module())
        out.vector(SectionId.CORE_INSTANCE, [b"\0\x01\0"])
    args: dict[str, list[tuple[str, int, int]]] = {}
    lowered = 0
    for number, (name, functions) in enumerate(_grouped(found.imports).items()):
        out.vector(SectionId.TYPE, [_InstanceType().of(functions)])
        described = b"\0" + name_bytes(name) + b"\x05" + unsigned(number)
        out.vector(SectionId.IMPORT, [described])
        aliases = [b"\x01\0" + unsigned(number) + name_bytes(each.name) for each in functions]
        out.vector(SectionId.ALIAS, aliases)
        indices = range(lowered, lowered + len(functions))
        out.vector(SectionId.CANON, [b"\x01\0" + unsigned(index) + b"\0" for index in indices])
        for index, each in zip(indices, functions, strict=True):
            args.setdefault(name, []).append((each.name, 0, index))
        lowered += len(functions)
    aliases = []
    for position, (origin, name, _) in enumerate(rest.names):
        sort, at = rest.place(position)
        aliases.append(bytes((0, sort, 1)) + b"\0" + name_bytes(str(position)))
        args.setdefault(origin, []).append((name, sort, at))
    out.vector(SectionId.ALIAS, aliases)
    instances = int(bool(rest.names))
    bags = [
        b"\x01" + asm.vector([name_bytes(name) + bytes((sort,)) + unsigned(at)
                              for name, sort, at in items])
        for items in args.values()
    ]  # fmt: skip
    given = [name_bytes(name) + b"\x12" + unsigned(instances + k) for k, name in enumerate(args)]
    out.vector(SectionId.CORE_INSTANCE, [*bags, b"\0\0" + asm.vector(given)])
    _lift(out, found, instances + len(bags), len(_grouped(found.imports)), lowered)
    return out.data


def _lift(out: _Writer, found: Boundaries, instance: int, types: int, lowered: int) -> None:
    exports = found.exports
    out.vector(
        SectionId.ALIAS,
        [b"\0\0\x01" + unsigned(instance) + name_bytes(each.name) for each in exports],
    )
    out.vector(SectionId.TYPE, [_function_type(each, {}) for each in exports])
    lifts = [
        b"\0\0" + unsigned(lowered + k) + b"\0" + unsigned(types + k) for k in range(len(exports))
    ]
    out.vector(SectionId.CANON, lifts)
    out.vector(
        SectionId.EXPORT,
        [
            b"\0" + name_bytes(each.name) + b"\x01" + unsigned(lowered + k) + b"\0"
            for k, each in enumerate(exports)
        ],
    )


def _grouped(imports: Iterable[Boundary]) -> Mapping[str, list[Boundary]]:
    found: dict[str, list[Boundary]] = {}
    for each in imports:
        found.setdefault(each.module, []).append(each)
    return found


@dataclass(slots=True)
class _Writer:
    data: bytes = COMPONENT_PREAMBLE

    def section(self, number: int, content: bytes) -> None:
        self.data += bytes((number,)) + unsigned(len(content)) + content

    def vector(self, number: int, entries: Sequence[bytes]) -> None:
        if entries:
            self.section(number, asm.vector([*entries]))


_SORTS = {"table": 1, "memory": 2, "global": 3}


@dataclass(slots=True)
class _Rest:
    """What the module imports that is no function: a module of ours makes it."""

    source: CoreModule
    names: list[tuple[str, str, str]] = field(default_factory=list)
    kinds: list[TableType | MemoryType | GlobalType] = field(default_factory=list)

    @classmethod
    def of(cls, module: CoreModule) -> _Rest:
        rest, seen = cls(module), set[tuple[str, str]]()
        for each in module.imports:
            if each.kind in _SORTS and (each.module, each.name) not in seen:
                seen.add((each.module, each.name))
                assert not isinstance(each.type, int)
                rest.names.append((each.module, each.name, each.kind))
                rest.kinds.append(each.type)
        return rest

    def place(self, position: int) -> tuple[int, int]:
        """Sort and index of what is at that position, among those of its kind."""
        kind = self.names[position][2]
        return _SORTS[kind], sum(each[2] == kind for each in self.names[:position])

    def module(self) -> bytes:
        made = asm.Module()
        for position, kind in enumerate(self.kinds):
            name = str(position)
            if isinstance(kind, MemoryType):
                made.export_memory(name, made.memory(kind))
            elif isinstance(kind, TableType):
                made.export_table(name, made.table(kind.min, kind.max))
            else:
                core = kind.type if kind.type in _CORE else "i32"
                made.export_global(name, made.global_(core, 0, kind.mutable))
        return made.encode()


def _function_type(each: Boundary, known: Mapping[int, int]) -> bytes:
    """``known``: indices of types that are defined, by identity."""
    params = [name_bytes(name) + _reference(kind, known) for name, kind in each.params]
    result = each.result
    returned = b"\x01\0" if result is None else b"\0" + _reference(result, known)
    return b"\x40" + asm.vector(params) + returned


def _reference(kind: t.ValType, known: Mapping[int, int]) -> bytes:
    if isinstance(kind, t.Prim):
        return _CODES[kind.name]
    return signed(known[id(kind)])


class _InstanceType:
    """The type of an imported instance, each type it uses defined before it is."""

    def __init__(self) -> None:
        self.decls: list[bytes] = []
        self.count = 0
        self.known: dict[int, int] = {}
        self.resources: dict[int, int] = {}
        #: Types by identity live as long as this does.
        self.kept: list[t.ValType] = []

    def of(self, functions: Iterable[Boundary]) -> bytes:
        for each in functions:
            for _, kind in (*each.params, *([("", each.result)] if each.result else ())):
                self.define(kind)
            at = self.add(_function_type(each, self.known))
            self.decls.append(b"\x04\0" + name_bytes(each.name) + b"\x01" + unsigned(at))
        return b"\x42" + asm.vector(self.decls)

    def add(self, definition: bytes) -> int:
        self.decls.append(b"\x01" + definition)
        self.count += 1
        return self.count - 1

    def named(self, name: str, bound: bytes) -> int:
        """A type by its name, which is another one."""
        self.decls.append(b"\x04\0" + name_bytes(name) + b"\x03" + bound)
        self.count += 1
        return self.count - 1

    def define(self, kind: t.ValType) -> None:
        if isinstance(kind, t.Prim) or id(kind) in self.known:
            return
        for child in t.children(kind):
            self.define(child)
        self.kept.append(kind)
        if isinstance(kind, t.Named):
            at = self.known[id(kind.target)]
            self.known[id(kind)] = self.named(kind.name, b"\0" + unsigned(at))
            return
        self.known[id(kind)] = self.add(self.encoded(kind))

    def encoded(self, kind: t.ValType) -> bytes:
        def ref(part: t.ValType) -> bytes:
            return _reference(part, self.known)

        def maybe(part: t.ValType | None) -> bytes:
            return b"\0" if part is None else b"\x01" + ref(part)

        match kind:
            case t.RecordT(fields):
                return b"\x72" + asm.vector([name_bytes(name) + ref(part) for name, part in fields])
            case t.VariantT(cases):
                rows = [name_bytes(name) + maybe(part) + b"\0" for name, part in cases]
                return b"\x71" + asm.vector(rows)
            case t.ListT(element):
                return b"\x70" + ref(element)
            case t.TupleT(parts):
                return b"\x6f" + asm.vector([ref(part) for part in parts])
            case t.FlagsT(labels):
                return b"\x6e" + asm.vector([name_bytes(label) for label in labels])
            case t.EnumT(labels):
                return b"\x6d" + asm.vector([name_bytes(label) for label in labels])
            case t.ResultT(ok, error):
                return b"\x6a" + maybe(ok) + maybe(error)
            case t.Own(resource):
                return b"\x69" + unsigned(self.resource(resource))
        raise AssertionError("no function of preview 1 has such a type")

    def resource(self, resource: t.Resource) -> int:
        if id(resource) not in self.resources:
            self.resources[id(resource)] = self.named(resource.name or "", b"\x01")
        return self.resources[id(resource)]
