"""Transforms for the driver; the weaver is imported only when one is asked for."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from tests.wast_driver.runner import Transform

SINKS = ("stderr", "logging", "host", "none")
#: Wishes of a plan by what the command line calls the moments at which records leave.
FLUSHES: dict[str, dict[str, Any]] = {
    "full": {},
    "live": {"live": True, "timed": True},
    "each": {"flush_each": True},
}


def load_transform(name: str) -> Transform:
    """The function ``MODULE:FUNCTION`` names."""
    module, _, function = name.partition(":")
    transform: Transform = getattr(importlib.import_module(module), function)
    return transform


def weave_all(wasm: bytes, **wishes: Any) -> bytes:
    """``wasm`` with a typed record at every site, sent to the driver's host by default."""
    api = importlib.import_module("whamm_cm.weave.api")
    plan = importlib.import_module("whamm_cm.weave.plan")
    chosen = plan.Plan(trace=lambda *_: True, **{"sink": "host", **wishes})
    woven: bytes = api.weave(wasm, chosen).wasm
    return woven


def weaving(sink: str, flush: str = "full", **wishes: Any) -> Transform:
    """`weave_all` with records to ``sink``, when ``flush`` says."""
    return partial(weave_all, sink=sink, **FLUSHES[flush], **wishes)
