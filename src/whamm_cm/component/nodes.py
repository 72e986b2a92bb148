"""What definitions say: one frozen dataclass per production of Binary.md.

Nodes are a *view*: the encoder never reads them (it writes a definition's tokens), analyses do.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from whamm_cm.component.items import Item, Sort, Token
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.types import MemoryType, TableType

#: A value type: a primitive's name (``u32``) or the type item it refers to.
ValRef: TypeAlias = "str | Item"


@dataclass(frozen=True, slots=True)
class ExternName:
    """``name`` with its attributes (``implements``, ``versionsuffix``, ``external-id``)."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, kind: str) -> str | None:
        return next((text for k, text in self.attributes if k == kind), None)


@dataclass(frozen=True, slots=True)
class ExternType:
    """``kind``: core module, func, value, type, component, instance.

    ``item`` is the type referred to (or the value, for ``value (eq …)``); None for ``sub resource``
    and for values described by ``valtype``.
    """

    kind: str
    item: Item | None = None
    valtype: ValRef | None = None


@dataclass(frozen=True, slots=True)
class Import:
    name: ExternName
    type: ExternType


@dataclass(frozen=True, slots=True)
class Export:
    name: ExternName
    item: Item
    type: ExternType | None = None


@dataclass(frozen=True, slots=True)
class ExportDecl:
    """An export of a component or instance *type*."""

    name: ExternName
    type: ExternType


@dataclass(frozen=True, slots=True)
class CoreInstantiate:
    module: Item
    args: tuple[tuple[str, Item], ...]


@dataclass(frozen=True, slots=True)
class CoreInlineExports:
    exports: tuple[tuple[str, Item], ...]


@dataclass(frozen=True, slots=True)
class Instantiate:
    component: Item
    args: tuple[tuple[str, Item], ...]


@dataclass(frozen=True, slots=True)
class InlineExports:
    exports: tuple[tuple[ExternName, Item], ...]


@dataclass(frozen=True, slots=True)
class AliasExport:
    instance: Item
    name: str


@dataclass(frozen=True, slots=True)
class AliasCoreExport:
    instance: Item
    name: str


@dataclass(frozen=True, slots=True)
class AliasOuter:
    count: int
    item: Item


@dataclass(frozen=True, slots=True)
class PrimDef:
    name: str


@dataclass(frozen=True, slots=True)
class RecordDef:
    fields: tuple[tuple[str, ValRef], ...]


@dataclass(frozen=True, slots=True)
class VariantDef:
    cases: tuple[tuple[str, ValRef | None], ...]


@dataclass(frozen=True, slots=True)
class ListDef:
    element: ValRef
    length: int | None = None


@dataclass(frozen=True, slots=True)
class MapDef:
    key: ValRef
    value: ValRef


@dataclass(frozen=True, slots=True)
class TupleDef:
    types: tuple[ValRef, ...]


@dataclass(frozen=True, slots=True)
class FlagsDef:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnumDef:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptionDef:
    inner: ValRef


@dataclass(frozen=True, slots=True)
class ResultDef:
    ok: ValRef | None
    err: ValRef | None


@dataclass(frozen=True, slots=True)
class OwnDef:
    resource: Item


@dataclass(frozen=True, slots=True)
class BorrowDef:
    resource: Item


@dataclass(frozen=True, slots=True)
class StreamDef:
    element: ValRef | None


@dataclass(frozen=True, slots=True)
class FutureDef:
    element: ValRef | None


@dataclass(frozen=True, slots=True)
class FuncDef:
    params: tuple[tuple[str, ValRef], ...]
    result: ValRef | None
    is_async: bool


@dataclass(frozen=True, slots=True)
class ResourceDef:
    rep: str
    dtor: Item | None


@dataclass(frozen=True, slots=True)
class Decl:
    """One declaration of a component, instance or core module type; ``items`` are local."""

    node: Node
    items: tuple[Item, ...]
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentTypeDef:
    decls: tuple[Decl, ...]


@dataclass(frozen=True, slots=True)
class InstanceTypeDef:
    decls: tuple[Decl, ...]


@dataclass(frozen=True, slots=True)
class CoreFuncDef:
    params: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoreTypeDef:
    """A recursion group; ``members`` has one entry per type it defines (None: not a func type)."""

    members: tuple[CoreFuncDef | None, ...]


@dataclass(frozen=True, slots=True)
class CoreExtern:
    """``kind``: func, table, memory, global, tag.  ``item``: the type of a func or tag; ``limits``
    for memories and tables."""

    kind: str
    item: Item | None = None
    limits: MemoryType | TableType | None = None


@dataclass(frozen=True, slots=True)
class CoreImportDecl:
    module: str
    name: str
    type: CoreExtern


@dataclass(frozen=True, slots=True)
class CoreExportDecl:
    name: str
    type: CoreExtern


@dataclass(frozen=True, slots=True)
class CoreModuleTypeDef:
    decls: tuple[Decl, ...]


@dataclass(frozen=True, slots=True)
class CanonOptions:
    """``encoding`` is utf8 unless said otherwise; absent functions and memory are None."""

    encoding: str = "utf8"
    memory: Item | None = None
    realloc: Item | None = None
    post_return: Item | None = None
    callback: Item | None = None
    is_async: bool = False
    core_type: Item | None = None
    gc: bool = False


@dataclass(frozen=True, slots=True)
class Canon:
    """``op`` as in the text format without ``canon``: lift, lower, resource.new, task.return …

    ``func``: the core func of a lift, the func of a lower.  ``type``: the func type of a lift, the
    resource, stream or future type, or the core func type of ``thread.*``.  ``result``: of
    task.return.  ``flag``: the ``async`` or ``cancellable`` immediate.  ``slot``: of context.*.
    """

    op: str
    func: Item | None = None
    type: Item | None = None
    options: CanonOptions = field(default_factory=CanonOptions)
    result: ValRef | None = None
    flag: bool = False
    memory: Item | None = None
    table: Item | None = None
    core_type: str = ""
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    func: Item
    args: tuple[Item, ...]
    results: int


@dataclass(frozen=True, slots=True)
class ValueDef:
    type: ValRef
    data: bytes


@dataclass(frozen=True, slots=True)
class Custom:
    name: str
    data: memoryview


@dataclass(frozen=True, slots=True)
class NameSection:
    """``component-name``: the component's own name and (sort, original index, item, name) rows.

    Rows whose index names nothing are left out; ``data`` is the section's whole payload, written
    back while every row still has its original index.
    """

    component: str | None
    rows: tuple[tuple[Sort, int, Item, str], ...]
    data: memoryview


@dataclass(frozen=True, slots=True)
class EmptySection:
    """A section with a count of zero: it defines nothing and is kept only for fidelity."""


Node: TypeAlias = (
    Import | Export | ExportDecl | CoreInstantiate | CoreInlineExports | Instantiate
    | InlineExports | AliasExport | AliasCoreExport | AliasOuter | PrimDef | RecordDef | VariantDef
    | ListDef | MapDef | TupleDef | FlagsDef | EnumDef | OptionDef | ResultDef | OwnDef | BorrowDef
    | StreamDef | FutureDef | FuncDef | ResourceDef | ComponentTypeDef | InstanceTypeDef
    | CoreTypeDef | CoreModuleTypeDef | CoreImportDecl | CoreExportDecl | Canon | Start | ValueDef
    | Custom | NameSection | EmptySection
)  # fmt: skip
