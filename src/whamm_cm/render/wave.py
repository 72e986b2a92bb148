"""Values in a compact form close to WAVE: ``ok(bucket#1)``, ``{port: 80}``, ``b"\\x00abc"``."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.render.safe import ESCAPES, printable, quoted
from whamm_cm.trace.address import address_text
from whamm_cm.trace.names import HandleRef

#: Values nested deeper than this are shown as ``…``.
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class ValueStyle:
    """``max_string``: characters or bytes shown; ``names``: handles with their names;
    ``option_in_ok``: a null inside ``ok`` is ``none`` and not "nothing"; ``rights``: all that a
    file descriptor has, which are up to thirty."""

    max_string: int = 32
    names: bool = False
    option_in_ok: bool = False
    rights: bool = False


def wave(value: Any, style: ValueStyle, depth: int = 0) -> str:
    """One line of printable text for a value as JSON, in which handles may be HandleRefs."""
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, HandleRef):
        return handle_text(value, style.names)
    if isinstance(value, str):
        return _string(value, style, "")
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{_items(value, style, depth)}]"
    if isinstance(value, dict):
        return _marked(value, style, depth) or _object(value, style, depth)
    return repr(value)


def handle_text(ref: HandleRef, names: bool) -> str:
    """``descriptor#3`` or, where its name is known and wanted, ``descriptor#3</data>``."""
    label = printable(str(ref))
    return f"{label}<{printable(ref.name)}>" if names and ref.name else label


def _items(value: list[Any], style: ValueStyle, depth: int) -> str:
    return ", ".join(wave(item, style, depth + 1) for item in value)


def _object(value: dict[str, Any], style: ValueStyle, depth: int) -> str:
    address = address_text(value)
    if address is not None:
        return address
    if len(value) == 1:
        ((case, payload),) = value.items()
        if payload is None and not (case == "ok" and style.option_in_ok and depth == 0):
            return _key(case)
        return f"{_key(case)}({wave(payload, style, depth + 1)})"
    fields = (f"{_key(k)}: {wave(brief(k, v, style), style, depth + 1)}" for k, v in value.items())
    return "{" + ", ".join(fields) + "}"


_RIGHTS = ("fs_rights_base", "fs_rights_inheriting")
_FEW = 2


def brief(key: str, value: Any, style: ValueStyle) -> Any:
    """A list of rights, as far as it is to be shown."""
    if style.rights or key not in _RIGHTS or not isinstance(value, list) or len(value) <= _FEW:
        return value
    return {"~cut": len(value), "~list": value[:_FEW]}


def _marked(value: dict[str, Any], style: ValueStyle, depth: int) -> str:
    """Bytes and what the probe did to a value (``~`` keys); "" for any other object."""
    if not any(key.startswith("~") for key in value):
        return ""
    if "~redacted" in value:
        return f"<redacted {_number(value['~redacted'])}>"
    if "~bad" in value:
        return f"<bad {printable(str(value['~bad']))}>"
    total = None if "~cut" not in value else _number(value["~cut"])
    if "~b64" in value:
        return _bytes(value["~b64"], total, style)
    if "~str" in value and isinstance(value["~str"], str):
        kept = value["~str"]
        return _string(kept, style, "...") if kept or not total else f"[cut {total} chars]"
    if "~list" in value and isinstance(value["~list"], list):
        kept_items = value["~list"]
        if not kept_items and total:
            return f"[cut {total} items]"
        return f"[{_items(kept_items, style, depth)}, ...]"
    return f"[cut {total}]" if set(value) == {"~cut"} else ""


def _number(value: object) -> int | str:
    """A length; whatever a forged record has instead, on one line."""
    return value if type(value) is int else printable(str(value)[:40])


def _string(text: str, style: ValueStyle, cut: str) -> str:
    if len(text) > style.max_string:
        text, cut = text[: style.max_string], "..."
    return quoted(text) + cut


def _bytes(encoded: object, total: object, style: ValueStyle) -> str:
    try:
        data = base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        return f"<bad base64 {printable(str(encoded)[:32])}>"
    if not data and total:
        return f"[cut {total} bytes]"
    cut = "" if total is None else "..."
    if len(data) > style.max_string:
        data, cut = data[: style.max_string], "..."
    text = "".join(
        ESCAPES.get(chr(b)) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data
    )
    return f'b"{text}"{cut}'


_WORD = re.compile(r"[A-Za-z0-9_.-]+")


def _key(text: str) -> str:
    return text if _WORD.fullmatch(text) else f'"{printable(text)}"'
