"""What pre-commit runs: ``whamm-cm gate``, with the names of committed files behind ``--``.

The names are written by whoever made the commit, and ``--policy=p.wasm`` can be one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def arguments(argv: Sequence[str]) -> list[str]:
    """Arguments of whamm-cm from those of the hook and the files, which pre-commit puts last."""
    files = len(argv)
    while files and argv[files - 1].lower().endswith(".wasm"):
        files -= 1
    end = [] if "--" in argv[:files] else ["--"]
    return ["gate", *argv[:files], *end, *argv[files:]]


if __name__ == "__main__":
    from whamm_cm.cli.main import entry

    sys.argv[1:] = arguments(sys.argv[1:])
    entry()
