"""Transforms for the driver, found by name; the weaver is imported only when one is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from tests.wast_driver.runner import Transform


def load_transform(name: str) -> Transform:
    """The function ``MODULE:FUNCTION`` names."""
    module, _, function = name.partition(":")
    transform: Transform = getattr(importlib.import_module(module), function)
    return transform


def _everything(wasm: bytes, **wishes: Any) -> bytes:
    """``wasm`` with a typed record at every site, sent to the driver's ``whamm:cm/sink``."""
    api = importlib.import_module("whamm_cm.weave.api")
    plan = importlib.import_module("whamm_cm.weave.plan")
    chosen = plan.Plan(trace=lambda *_: True, sink="host", **wishes)
    woven: bytes = api.weave(wasm, chosen).wasm
    return woven


def weave_all(wasm: bytes) -> bytes:
    """Every boundary recorded, blocks sent when full and at the end."""
    return _everything(wasm)


def weave_each(wasm: bytes) -> bytes:
    """Every boundary recorded, each record sent at once."""
    return _everything(wasm, flush_each=True)


def weave_single_memory(wasm: bytes) -> bytes:
    """Every boundary recorded by probes that import one memory each."""
    return _everything(wasm, multi_memory=False)
