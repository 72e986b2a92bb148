"""``kubectl logs --prefix``, stern and ``docker compose logs``: who says it, before each line.

The prefix of stern has no mark of its own, so it is one only right before a record, and only
where it looks like the name of a pod.
"""

from __future__ import annotations

import re
from typing import Any

from whamm_cm.trace.logs.piece import RFC3339, Piece, joined, rfc3339

_NAME = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_KUBECTL = re.compile(r"\[pod/([^/\]\s]+)/([^\]\s]+)\] ?(.*)", re.DOTALL)
_COMPOSE = re.compile(r"([A-Za-z0-9][\w.-]*-\d+) +\| ?(.*)", re.DOTALL)
_STERN = re.compile(
    rf"((?:{_NAME} )?{_NAME}-{_NAME} {_NAME}) "
    rf"(?=(?:{RFC3339} )?(?:std(?:err|out) \[\d+\] :: )*WCM[12][ .])(.*)",
    re.DOTALL,
)


def of_text(text: str) -> Piece | None:
    match = _KUBECTL.fullmatch(text)
    if match is not None:
        return Piece(match[3], f"{match[1]}/{match[2]}")
    match = _COMPOSE.fullmatch(text)
    if match is not None:
        return Piece(match[2], match[1])
    match = _STERN.fullmatch(text)
    return None if match is None else Piece(match[2], match[1].replace(" ", "/"), weak=True)


def of_object(value: dict[str, Any]) -> list[Piece] | None:
    """``stern -o json``; Fluent Bit, Vector and others that put the pod under ``kubernetes``."""
    text = value.get("message", value.get("log"))
    if not isinstance(text, str):
        return None
    pod = value.get("kubernetes")
    if isinstance(pod, dict):
        namespace = pod.get("namespace_name", pod.get("pod_namespace"))
        names = (namespace, pod.get("pod_name"), pod.get("container_name"))
        stamp = rfc3339(value.get("time", value.get("timestamp")))
        partial = value.get("logtag", value.get("_p")) == "P"
        stream = str(value.get("stream", ""))
        return [Piece(text.rstrip("\r\n"), joined(*names), stamp, stream, partial)]
    if "podName" not in value:
        return None
    names = (value.get("namespace"), value["podName"], value.get("containerName"))
    return [Piece(text.rstrip("\r\n"), joined(*names))]
