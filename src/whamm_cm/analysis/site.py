"""A site: a canonical definition that a probe can stand at, with what a wrapper must know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.analysis.reach.standing import Standing
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.wit.classes import SiteSet
from whamm_cm.wit.names import FuncName, both_names
from whamm_cm.wit.types import ListT, Resource, ValType

Kind = Literal[
    "lower",
    "lift",
    "callback",
    "resource.drop",
    "resource.new",
    "resource.rep",
    "task.return",
    "builtin",
]
Encoding = Literal["utf8", "utf16", "latin1+utf16"]

#: (edge, interface, version, func) → is it wanted?  Asked for each name that a function goes by,
#: until one is wanted; a :class:`SiteSet` is asked for all at once, for it can take out, too.
Selector: TypeAlias = Callable[[str, str, str | None, str], bool]


@dataclass(frozen=True, slots=True)
class Owned:
    """``item`` is the type of the resource, or an instance that exports it as ``name``."""

    resource: Resource
    item: Item
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One canonical definition a probe can stand at.

    ``interface``, ``version`` and ``func`` say what it stands for at the root: ``func`` is the
    label (``bucket.get``), ``interface`` without its version, "" for the world.  ``standing`` has
    its other names.
    ``reason`` is non-empty when no wrapper can be put here, and says why.  ``resources``: those
    that the component defines itself.  ``is_async``: by its canonical options; ``may_wait``: by the
    type of the function.  ``owned``: of a lower, how the types are had of the own handles that it
    is given, if all are.  ``elements``: of a read or write of a stream or future, what it copies as
    a list, if that has values.
    """

    component: Component
    definition: Definition
    kind: Kind
    edge: str
    place: str
    interface: str
    version: str | None
    func: str
    signature: CoreSig
    params: tuple[tuple[str, ValType], ...] = ()
    result: ValType | None = None
    is_async: bool = False
    may_wait: bool = False
    callback: Item | None = None
    memory: Item | None = None
    realloc: Item | None = None
    ptr: int = 4
    encoding: Encoding = "utf8"
    self_first: bool = False
    leave: bool = True
    reason: str = ""
    resources: frozenset[Resource] = frozenset()
    elements: ListT | None = None
    owned: tuple[Owned, ...] = ()
    standing: Standing = Standing("builtin", ())

    @property
    def inner(self) -> FuncName | None:
        """The name its component uses, where that is another."""
        return self.standing.inner

    @property
    def names(self) -> tuple[FuncName, ...]:
        """Every name it goes by, the one to show first."""
        return self.standing.names

    @property
    def title(self) -> str:
        """``import wasi:io/poll@0.2.0#pollable.block in main`` for messages."""
        version = f"@{self.version}" if self.version else ""
        place = f" in {self.place}" if self.place else ""
        name = f"{self.interface}{version}"
        if label := self.standing.label:
            name = both_names(label, self.interface, self.version)
        return f"{self.edge} {name}#{self.func}{place}"


def selected(selector: Selector, site: Site) -> bool:
    """Whether ``selector`` wants ``site`` by any of its names."""
    if isinstance(selector, SiteSet):
        return selector.selects(site.edge, site.standing.roots, site.standing.others)
    return any(selector(site.edge, *name) for name in site.names)
