"""Inputs of all commands: files, and components that are in images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whamm_cm import files
from whamm_cm.registry.names import is_image

if TYPE_CHECKING:
    from whamm_cm.registry.artifact import Artifact


def read(path: str) -> bytes:
    """The bytes of a file, or the one component of an image.  Raises InputError."""
    return opened(path)[0]


def opened(path: str) -> tuple[bytes, Artifact | None]:
    """As :func:`read`, and what image it is from, if it is."""
    if not is_image(path):
        return files.read(path), None
    from whamm_cm.registry.pull import pull  # urllib and ssl take their time

    return pull(path)
