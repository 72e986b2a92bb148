"""Log files of containerd, CRI-O and podman: ``2026-11-20T10:00:00.1Z stderr F text``; ``P`` in
the place of ``F`` where the line was cut and goes on."""

from __future__ import annotations

import re

from whamm_cm.trace.logs.piece import RFC3339, Piece, rfc3339

_LINE = re.compile(rf"({RFC3339}) (stdout|stderr) ([FP])(?::\S*)?(?: (.*))?", re.DOTALL)


def of_text(text: str) -> Piece | None:
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    return Piece(match[4] or "", "", rfc3339(match[1]), match[2], match[3] == "P")
