"""A site table with one site for any params and result, shared by the sink and decoder tests."""

from __future__ import annotations

import json
from typing import Any

from whamm_cm.agent.layout import Edge, SiteKind
from whamm_cm.agent.sites import SiteSpec, SiteTableBuilder
from whamm_cm.wit.types import ValType

Params = tuple[tuple[str, ValType], ...]


def site(params: Params = (), result: ValType | None = None, **more: Any) -> SiteSpec:
    known = {"component": "cart", "interface": "wasi:keyvalue/store", "version": "0.2.0-draft"}
    given = {"kind": SiteKind.LOWER, "edge": Edge.IMPORT, "func": "bucket.get", **known, **more}
    return SiteSpec(params=params, result=result, **given)


def table(*sites: SiteSpec) -> bytes:
    builder = SiteTableBuilder()
    for each in sites:
        builder.add_site(each)
    return builder.to_bytes()


def line(record: dict[str, Any]) -> str:
    """A record as the sinks print it."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)
