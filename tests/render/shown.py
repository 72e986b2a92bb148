"""A log in a format, as text: also of those formats that are none."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.render.pprof_read import Read
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import renderer
from whamm_cm.trace.records import Record


def shown(name: str, records: Iterable[Record], options: RenderOptions | None = None) -> str:
    """pprof: what there is to read in it, a text a line."""
    format_, options = renderer(name), options or RenderOptions()
    if not format_.binary:
        return format_.text(records, options)
    read = Read(b"".join(format_.encoded(records, options)))
    return "\n".join([*read.texts, json.dumps([*read.samples.items()])])
