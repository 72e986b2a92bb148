"""A user library as scripts see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Literal, TypeAlias

from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.lang.tree import UNIT, LibFunction, LibSignature
from whamm_cm.wasm.asm import FuncType

#: Functions of libraries that are components, in the component that calls them: by library and by
#: script name.
Functions: TypeAlias = Mapping[str, Mapping[str, Item]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a script's function is: an export, of the exported ``interface`` if one is named.

    ``params`` and ``result`` are core types of a module's function, WIT primitives of a
    component's, and ``labels`` the names of its parameters.
    """

    export: str
    params: tuple[str, ...]
    result: str | None
    interface: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Library:
    """What ``use name;`` stands for.

    ``what`` names the file in messages.  ``functions``: by the name scripts call them by, as in
    ``signature.functions``.  ``memory``: the export that ``memid(name)`` means.
    ``imports``: what it takes from outside, by name; of a module only WASI preview 1 functions, of
    a component the names of its imports.  ``prints``: it can write text, which needs a print site.
    ``initialize``: it exports ``_initialize``, to be called once before anything else.
    """

    name: str
    what: str
    kind: Literal["module", "component"]
    data: bytes = field(repr=False)
    signature: LibSignature
    functions: Mapping[str, Source]
    memory: str | None = None
    imports: Mapping[str, FuncType] = field(default_factory=dict)
    prints: bool = False
    initialize: bool = False

    def only(self, functions: Iterable[str]) -> Library:
        """The same with no more of its functions than these."""
        wanted = set(functions)
        kept = {key: found for key, found in self.functions.items() if key in wanted}
        return replace(self, functions=kept)


def core_type(function: LibFunction) -> FuncType:
    """The core type a function is imported with: the flats of its parameters and its result."""
    params = tuple(core for param in function.params for core in flats(param))
    return params, () if function.result == UNIT else flats(function.result)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A library inside of a component: ``definitions`` in order, and the core instance that exports
    its functions (and memory) by the names scripts use."""

    definitions: tuple[Definition, ...]
    instance: Item


@dataclass(frozen=True, slots=True)
class Beside:
    """A component as library in the new root: ``definitions`` to put behind the root's imports, and
    the ``functions`` to pass to the woven component by the name it imports them under."""

    definitions: tuple[Definition, ...]
    functions: Mapping[str, Item]
