"""Transforms for the driver, found by name; ours is imported only when it is asked for."""

from __future__ import annotations

import importlib

from tests.wast_driver.runner import Transform


def load_transform(name: str) -> Transform:
    """The function ``MODULE:FUNCTION`` names."""
    module, _, function = name.partition(":")
    transform: Transform = getattr(importlib.import_module(module), function)
    return transform
