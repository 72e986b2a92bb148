"""Linking of core instances: imports to exports, tables with what element segments put there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from whamm_cm.analysis.callgraph import CallGraph, Segment
from whamm_cm.analysis.reach.values import (
    CORE_FUNCS,
    Cell,
    CoreBag,
    CoreInstance,
    CoreValue,
    Entry,
    Place,
    Unknown,
)
from whamm_cm.component.items import Sort
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import Import

Fail = Callable[[str], DecodeError]

_KINDS = {
    Sort.CORE_FUNC: "func",
    Sort.CORE_TABLE: "table",
    Sort.CORE_MEMORY: "memory",
    Sort.CORE_GLOBAL: "global",
    Sort.CORE_TAG: "tag",
}


def take(instance: CoreValue, name: str, sort: Sort, fail: Fail) -> CoreValue:
    """Export ``name`` of a core instance; None for a memory, global or tag."""
    return _take(instance, name, _KINDS[sort], fail)


def _take(instance: CoreValue, name: str, kind: str, fail: Fail) -> CoreValue:
    if isinstance(instance, CoreBag):
        if name not in instance.exports:
            raise fail(f"a core instance has no export {name!r}")
        return instance.exports[name]
    if isinstance(instance, Unknown):
        if kind == "table":
            # One cell for all its tables: whatever it has may be in any of them.
            return instance.cells[0]
        return instance if kind == "func" else None
    if not isinstance(instance, CoreInstance):
        raise fail("expected a core instance")
    export = instance.graph.module.export(name)
    if export is None or export.kind != kind:
        raise fail(f"a core instance has no {kind} export {name!r}")
    if kind == "func":
        return instance.function(export.index)
    return _table(instance, export.index, fail) if kind == "table" else None


def _table(instance: CoreInstance, index: int, fail: Fail) -> Cell:
    if index >= len(instance.tables):
        raise fail(f"there is no table {index}")
    return instance.tables[index]


def link(place: Place, graph: CallGraph, args: Mapping[str, CoreValue], fail: Fail) -> CoreInstance:
    """Instantiate a module: active segments are in the tables, references in globals are about."""
    instance = CoreInstance(place, graph)
    for one in graph.module.imports:
        _import(instance, one, args, fail)
    pool = place.pool
    for table in graph.module.tables:
        cell = Cell()
        instance.tables.append(cell)
        item = None if table.init is None else graph.item(table.init)
        if item is not None and item.function is not None:
            _put(instance, cell, item.function)
        elif item is not None and item.other:
            # A struct that the table only holds, or the value of a global.
            for function in item.refs:
                _put(instance, pool, function)
            pool.flows.append(cell)
    for function in graph.initial_refs:
        _put(instance, pool, function)
    for segment in graph.segments:
        # Structs and arrays of them are made at once, wherever they are put.
        for function in segment.refs:
            _put(instance, pool, function)
        if segment.mode == "active":
            cell = _table(instance, segment.table or 0, fail)
            fill(instance, segment, cell, segment.offset)
    return instance


def _import(instance: CoreInstance, one: Import, args: Mapping[str, CoreValue], fail: Fail) -> None:
    if one.module not in args:
        raise fail(f"nothing is given for the imports of {one.module!r}")
    if one.kind not in ("func", "table"):
        return
    found = _take(args[one.module], one.name, one.kind, fail)
    if one.kind == "func" and isinstance(found, CORE_FUNCS):
        instance.funcs.append(found)
    elif one.kind == "table" and isinstance(found, Cell):
        instance.tables.append(found)
    else:
        raise fail(f"what is given for {one.module!r} {one.name!r} is no {one.kind}")


def fill(instance: CoreInstance, segment: Segment, cell: Cell, offset: int | None) -> None:
    """Put what is in a segment into a cell, at ``offset`` or anywhere (None)."""
    for position, function in enumerate(segment.functions):
        if function is not None:
            _put(instance, cell, function, None if offset is None else offset + position)
    pool = instance.place.pool
    if segment.others and cell is not pool and cell not in pool.flows:
        pool.flows.append(cell)


def _put(instance: CoreInstance, cell: Cell, function: int, slot: int | None = None) -> None:
    entry = Entry(instance.function(function), instance.graph.signature(function), slot)
    cell.entries.setdefault(entry.signature, {})[entry] = None


def give(unknown: Unknown, args: Iterable[CoreValue]) -> None:
    """Hand core instances to code that is not known: it may call and read all there is."""
    for arg in args:
        if isinstance(arg, CoreBag):
            given = list(arg.exports.items())
        elif isinstance(arg, CoreInstance):
            given = [(e.name, _exported(arg, e.kind, e.index)) for e in arg.graph.module.exports]
        else:
            given = [("", arg)]
        for name, value in given:
            if isinstance(value, CORE_FUNCS):
                unknown.given.append((name, value))
            elif isinstance(value, Cell):
                unknown.cells.append(value)


def _exported(instance: CoreInstance, kind: str, index: int) -> CoreValue:
    if kind == "func":
        return instance.function(index)
    return instance.tables[index] if kind == "table" else None
