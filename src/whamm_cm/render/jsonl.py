"""Records as JSON lines, the saved form that every other format can be made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import json_text
from whamm_cm.trace.records import Record
from whamm_cm.trace.traffic import Traffic

#: Order of keys in a record; unknown ones follow as they came.
KEYS = (
    *("v", "run", "source", "seq", "t_ns", "wall_ns", "instance", "req", "call", "task", "phase"),
    *("lost", "why", "method", "path", "authority", "scheme", "traceparent"),
    *("script", "var", "probe", "module", "fid", "fname", "pc", "type", "value", "text", "raw"),
    *("edge", "component", "interface", "version"),
    *("func", "inner", "self", "args", "result", "data", "pending", "status", "cancelled", "count"),
    *("bad", "big", "handles", "url", "peer", "error", "dur_ns"),
)


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    marked = Marked()
    for record in records:
        yield marked.feed(record)


class Marked:
    """Lines of records, with the request that each is part of and the peer it is about."""

    def __init__(self) -> None:
        self._traffic = Traffic()

    def feed(self, record: Record) -> str:
        traffic = self._traffic
        traffic.feed(record)
        traffic.drop()
        more: Record = {}
        if traffic.req and "req" not in record and record["phase"] not in ("start", "end"):
            more["req"] = traffic.req
        exchange = traffic.exchange
        if exchange is not None:
            if exchange.url is not None:
                more["url"] = exchange.url
            more["peer"] = exchange.named()
        return line({**record, **more} if more else record)


def line(record: Record) -> str:
    """One record with its newline."""
    ordered = {key: record[key] for key in KEYS if key in record}
    return compact({**ordered, **record}) + "\n"


def compact(value: Any) -> str:
    """JSON without spaces; text as it is, unless nothing should print it."""
    return json_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
