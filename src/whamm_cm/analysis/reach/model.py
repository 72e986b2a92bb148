"""The answers: which imports are declared, which can be reached, and by which way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from whamm_cm.analysis.reach.values import ItemKind, Path
from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """Who an import of a nested component is satisfied by.

    ``host``: import ``path`` of the root (``component`` is empty).  ``component``: the component at
    that nesting path, with the function as it is exported there.  ``outside``: code that is not in
    the input, linked in by an imported component or instantiating one that is handed out.
    """

    kind: Literal["host", "component", "outside"]
    component: str = ""
    path: Path = ()


@dataclass(frozen=True, slots=True)
class ItemReach:
    """A function of an import, or the drop of a resource type it declares.

    ``path``: the import's name and the exports to take from there (raw names); ``label`` the name
    as records have it.  ``providers`` is empty for the root, and for what is never instantiated.
    """

    path: Path
    kind: ItemKind
    label: str
    reachable: bool
    providers: tuple[Provider, ...] = ()

    @property
    def raw(self) -> str:
        """``[method]tcp-socket.bind``, ``[resource-drop]tcp-socket``, ``get-environment``."""
        return f"[resource-drop]{self.path[-1]}" if self.kind == "drop" else self.path[-1]


@dataclass(frozen=True, slots=True)
class ImportReach:
    """One import.  ``interface`` and ``version`` as sites and records have them: both empty for
    what belongs to the world itself.  ``kind``: instance func type component module value.

    ``items`` is empty where there is nothing to reach (types only, values, modules)."""

    name: str
    kind: str
    interface: str
    version: str | None
    items: tuple[ItemReach, ...]

    @property
    def reachable(self) -> bool | None:
        """None where there is nothing to reach."""
        return any(item.reachable for item in self.items) if self.items else None


@dataclass(frozen=True, slots=True)
class ComponentReach:
    """A component definition; ``path`` is empty for the root, ``instances`` 0 when nothing ever
    instantiates it."""

    path: str
    name: str | None
    instances: int
    imports: tuple[ImportReach, ...]

    @property
    def place(self) -> str:
        """What records call it."""
        return self.name or self.path

    def items(self) -> Iterator[tuple[ImportReach, ItemReach]]:
        """Every item with the import it belongs to."""
        for one in self.imports:
            for item in one.items:
                yield one, item


@dataclass(frozen=True, slots=True)
class Frame:
    """A step of a path.  ``via`` says how it is entered from the step before (``call``,
    ``call_indirect``, ``lift``, ``realloc`` …).

    ``kind``: ``export``, ``start`` or ``instantiation`` begin a path; ``core`` is function
    ``index`` of ``module`` (its nesting path, ``module_name`` as the module calls itself); ``lift``
    enters another component; ``lower`` and ``builtin`` leave core code; ``outside`` is code that is
    not in the input; ``import`` ends a path.
    """

    kind: str
    component: str
    name: str
    via: str = ""
    module: str = ""
    module_name: str = ""
    index: int | None = None
