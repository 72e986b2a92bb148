"""``whamm-cm gate --hook``, which pre-commit runs: names of committed files are never options.

They are written by whoever made the commit, and ``--policy=p.wasm`` can be one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

_COMMAND = ("gate", "--hook")


def arguments(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--`` before the files, which pre-commit puts last; others than those of
    the hook as they are."""
    files = len(argv)
    if tuple(argv[:2]) != _COMMAND:
        return list(argv)
    while files > len(_COMMAND) and argv[files - 1].lower().endswith(".wasm"):
        files -= 1
    end = [] if "--" in argv[:files] else ["--"]
    return [*argv[:files], *end, *argv[files:]]
