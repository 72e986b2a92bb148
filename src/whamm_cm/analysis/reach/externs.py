"""What is in an import or export: its functions and types, and where a resource type is first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.analysis.reach.values import Path
from whamm_cm.errors import DecodeError
from whamm_cm.wit.model import Entity, Extern, InstanceItem, TypeItem
from whamm_cm.wit.types import Resource

#: Items in one import or export at most, through instances in instances.
MAX_PATHS = 100_000


def paths(extern: Extern) -> Iterator[tuple[Path, Entity]]:
    """Functions and types of an import or export, through instances in instances.

    Two instances of one type are two things to reach.  Raises DecodeError above
    :data:`MAX_PATHS`, since instances of instances can double with every step."""
    stack: list[tuple[Path, Entity]] = [((extern.name.name,), extern.entity)]
    count = 0
    while stack:
        path, entity = stack.pop()
        count += 1
        if count > MAX_PATHS:
            raise DecodeError(f"{extern.name.name} has more than {MAX_PATHS:,} items in it", 0)
        if isinstance(entity, InstanceItem):
            inner = [((*path, name), export) for name, export in entity.exports.items()]
            stack.extend(reversed(inner))
        else:
            yield path, entity


def first_paths(externs: Iterable[Extern]) -> dict[Path, Path]:
    """Path of each resource type → the first path it goes by: a type that is used elsewhere is the
    same there."""
    found: dict[Path, Path] = {}
    first: dict[int, Path] = {}
    for extern in externs:
        for path, entity in paths(extern):
            if isinstance(entity, TypeItem) and isinstance(entity.type, Resource):
                found[path] = first.setdefault(id(entity.type), path)
    return found
