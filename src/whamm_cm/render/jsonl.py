"""Records as JSON lines, the saved form that every other format can be made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import json_text
from whamm_cm.trace.marked import Marked
from whamm_cm.trace.records import Record

#: Order of keys in a record; unknown ones follow as they came.
KEYS = (
    *("v", "run", "source", "seq", "t_ns", "wall_ns", "instance", "req", "call", "task", "phase"),
    *("lost", "why", "method", "path", "authority", "scheme", "traceparent"),
    *("script", "var", "probe", "module", "fid", "fname", "pc", "type", "anew", "value", "text"),
    "raw",
    *("edge", "component", "interface", "version"),
    *("func", "inner", "self", "args", "result", "data", "pending", "status", "cancelled", "count"),
    *("bad", "big", "handles", "url", "peer", "error", "dur_ns"),
)


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    yield from map(live(), records)


def live() -> Callable[[Record], str]:
    """What makes a line of each record, in order."""
    marked = Marked().feed
    return lambda record: line(marked(record))


#: Keys as records have them, and in the order of a line; mostly the same few.
_ORDERS: dict[tuple[str, ...], tuple[str, ...]] = {}
_MAX_ORDERS = 1 << 12
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def line(record: Record) -> str:
    """One record with its newline."""
    keys = tuple(record)
    order = _ORDERS.get(keys) or _order(keys)
    if order != keys:
        record = {key: record[key] for key in order}
    return compact(record) + "\n"


def _order(keys: tuple[str, ...]) -> tuple[str, ...]:
    if len(_ORDERS) >= _MAX_ORDERS:
        _ORDERS.clear()
    known = [key for key in KEYS if key in keys]
    order = _ORDERS[keys] = (*known, *(key for key in keys if key not in KEYS))
    return order


def compact(value: Any) -> str:
    """JSON without spaces; text as it is, unless nothing should print it."""
    return json_text(_encoded(value))
