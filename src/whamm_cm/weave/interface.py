"""Imports of the root after the weave."""

from __future__ import annotations

from dataclasses import replace

from whamm_cm.component import build
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of the outside world as the root imports it after the weave.

    ``definitions`` stand where the import ``replaces`` stood (None: they go to the front).
    """

    instance: Item
    replaces: Definition | None
    definitions: tuple[Definition, ...]

    def with_alias(self, name: str, sort: Sort) -> tuple[Interface, Item]:
        """The same with an alias of its export ``name`` right behind it, and that alias."""
        alias = build.alias_export(self.instance, name, sort)
        return replace(self, definitions=(*self.definitions, alias)), alias.item
