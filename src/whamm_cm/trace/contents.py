"""What values of records say, for who wants texts and sizes of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

#: Functions that return header fields, and the argument that says which; "" for all.
_FIELDS = {"fields.get": "name", "fields.entries": "", "fields.copy-all": ""}


def text_of(value: Any) -> str | None:
    """A text, or the case of a variant: ``get``, what is in ``other``.  None for no value, and for
    what is not shown."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) not in (1, 2):
        return None
    if "~str" in value:
        return f"{value['~str']}…"
    ((case, payload), *more) = value.items()
    if more or case.startswith("~"):
        return None
    return payload if isinstance(payload, str) else str(case)


def method_of(value: Any) -> str | None:
    """The method of a request, which goes by its letters: a case of the variant is in capitals,
    what is in ``other`` as it is."""
    text = text_of(value)
    if text is None or isinstance(value, dict) and "other" in value:
        return text
    return text.upper()


def code_of(result: Any) -> str:
    """The name of the error in a result that is one: ``DNS-timeout``."""
    while isinstance(result, dict) and len(result) == 1:
        ((case, payload),) = result.items()
        if case not in ("error", "ok", "some"):
            return str(case)
        if case == "error" and not isinstance(payload, dict):
            return payload if isinstance(payload, str) else "error"
        result = payload
    return "error"


def bytes_in(value: Any) -> int:
    """How many bytes a ``list<u8>`` has, also where it was cut or is not shown."""
    if not isinstance(value, dict):
        return len(value) if isinstance(value, list) else 0
    for key in ("~cut", "~redacted"):
        if type(value.get(key)) is int:
            size: int = value[key]
            return size
    text = value.get("~b64")
    if not isinstance(text, str):
        return 0
    return len(text) // 4 * 3 - text.count("=", -2)


def plain_text(value: Any) -> str:
    """Bytes that were logged, as text; "" for none."""
    if not isinstance(value, dict):
        return ""
    if "~redacted" in value:
        return "<redacted>"
    text = value.get("~b64")
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        return ""
    return data.decode("utf-8", "replace") + "…" * ("~cut" in value)


def logged(args: Mapping[str, Any]) -> tuple[str, str]:
    """Level and text of a call of ``wasi:logging``."""
    context, message = text_of(args.get("context")), text_of(args.get("message"))
    text = ": ".join(part for part in (context, message) if part)
    return text_of(args.get("level")) or "log", f"{text}\n"


def field_of(name: str, func: str, args: Mapping[str, Any], result: Any) -> str | None:
    """The value of a header field in what a function of ``fields`` has returned."""
    if func not in _FIELDS:
        return None
    items = result.get("~list") if isinstance(result, dict) else result
    if not isinstance(items, list):
        return None
    if _FIELDS[func]:
        asked = args.get(_FIELDS[func])
        fits = isinstance(asked, str) and asked.lower() == name
        return _decoded(items[0]) if fits and items else None
    for item in items:
        pair = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)
        if pair and item[0].lower() == name:
            return _decoded(item[1])
    return None


def _decoded(value: Any) -> str | None:
    text = value.get("~b64") if isinstance(value, dict) else None
    if not isinstance(text, str) or "~cut" in value:
        return None
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
