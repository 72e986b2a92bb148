"""A user library as scripts see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from typing import Literal, TypeAlias

from whamm_cm.component import build
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.lang.valtypes import UNIT
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

    def import_names(self, taken: Collection[str] = ()) -> dict[str, str]:
        """What components import the functions as: ``whamm-cm-cache-f0`` and so on, by script name.

        ``taken``: names of imports, in lower case, that are in use already.
        """
        words = [w if w[0].isalpha() else f"l{w}" for w in self.name.lower().split("_") if w]
        prefix, number = "-".join(("whamm-cm", *words)), 1
        while any(name.startswith(f"{prefix}-f") for name in taken):
            number += 1
            prefix = "-".join(("whamm-cm", *words, f"n{number}"))
        return {key: f"{prefix}-f{k}" for k, key in enumerate(self.functions)}

    def imported(self, names: Mapping[str, str]) -> tuple[tuple[Definition, ...], dict[str, Item]]:
        """Imports of the functions, for a component below; what they are there by script name."""
        definitions, functions = list[Definition](), dict[str, Item]()
        for key, source in self.functions.items():
            params = tuple(zip(source.labels, source.params, strict=True))
            type_ = build.func_type(params, source.result)
            import_ = build.import_(names[key], "func", type_.item)
            definitions += (type_, import_)
            functions[key] = import_.item
        return tuple(definitions), functions


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
