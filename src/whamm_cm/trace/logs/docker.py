"""Docker's drivers ``json-file`` and ``fluentd``: an object a line, lines cut at 16 KiB.

``json-file`` ends the text of a whole line with a line break; of a cut one only its last part has
it.  ``fluentd`` says ``partial_message``.
"""

from __future__ import annotations

from typing import Any

from whamm_cm.trace.logs.piece import Piece, joined, rfc3339


def of_object(value: dict[str, Any]) -> list[Piece] | None:
    text = value.get("log")
    if not isinstance(text, str) or not ("stream" in value or "container_id" in value):
        return None
    attrs = value.get("attrs")
    named = attrs if isinstance(attrs, dict) else {}
    source = joined(value.get("container_name") or value.get("container_id") or named.get("tag"))
    stream = value.get("stream") or value.get("source")
    if "container_id" in value:
        partial = value.get("partial_message") == "true" and value.get("partial_last") != "true"
    else:
        partial = not text.endswith("\n")
    return [Piece(text.rstrip("\r\n"), source, rfc3339(value.get("time")), str(stream), partial)]
