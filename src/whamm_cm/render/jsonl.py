"""Records as JSON lines, the saved form that every other format can be made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.reader import Record

#: Order of keys in a record; unknown ones follow as they came.
KEYS = (
    *("v", "seq", "t_ns", "instance", "call", "phase"),
    *("script", "var", "probe", "module", "fid", "fname", "pc", "type", "value", "text", "raw"),
    *("edge", "component", "interface", "version"),
    *("func", "self", "args", "result", "pending", "status", "count", "bad", "big", "dur_ns"),
)


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    for record in records:
        yield line(record)


def line(record: Record) -> str:
    """One record with its newline."""
    ordered = {key: record[key] for key in KEYS if key in record}
    return compact({**ordered, **record}) + "\n"


def compact(value: Any) -> str:
    """JSON without spaces; text as it is, unless it holds half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
