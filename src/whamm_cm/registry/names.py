"""Which inputs and outputs are images: quick to import, for every command asks it."""

from __future__ import annotations

import os
import re

from whamm_cm.files import TEMPORARY

SCHEME = "oci://"
MARK = "oci-layout"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def split(path: str) -> tuple[str, str] | None:
    """``DIR``, ``DIR:TAG`` or ``DIR@sha256:…`` → directory and the rest; None for no layout."""
    before, _, digest = path.partition("@")
    folder, _, tag = path.rpartition(":")
    for where, wanted in ((path, ""), (before, digest), (folder, tag)):
        if where and os.path.isfile(os.path.join(where, MARK)):
            return where, wanted
    return None


def is_image(path: str) -> bool:
    """Whether an input is an OCI reference or an image layout, and no file."""
    return path.startswith(SCHEME) or (path != "-" and split(path) is not None)


def is_target(path: str) -> bool:
    """Whether an output is an image: a reference, a layout, or ``DIR:TAG`` in an empty directory,
    which is to become one."""
    if path != "-" and is_image(path):
        return True
    folder, _, tag = path.rpartition(":")
    return bool(folder) and TAG.fullmatch(tag) is not None and _is_free(folder)


def _is_free(folder: str) -> bool:
    """Whether there is nothing in it, or it becomes a layout just now, by somebody else."""
    try:
        names = os.listdir(folder)
        return MARK in names or all(name.startswith(TEMPORARY) for name in names)
    except (OSError, ValueError):
        return False  # no folder, or none to look into: writing there says so
