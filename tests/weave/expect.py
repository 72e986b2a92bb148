"""What records must show of Python values: written from the description of the record format,
with nothing of ``whamm_cm.abi``, ``emit`` or ``trace`` in it."""

from __future__ import annotations

import base64
import math
import struct
from dataclasses import dataclass, replace
from typing import Any

from whamm_cm.wit.types import (
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)


def _is_string(t: ValType) -> bool:
    return getattr(strip(t), "name", "") == "string"


@dataclass(frozen=True)
class Single:
    """An f32: any number that reads back as the same 32 bits is right here."""

    value: float


@dataclass(frozen=True)
class Show:
    """How values are shown: the guest's string encoding and the caps of the weave."""

    encoding: str = "utf8"
    max_string: int = 1 << 20
    max_list: int = 1 << 20
    redacted: bool = False

    def value(self, t: ValType, v: Any) -> Any:
        t = strip(t)
        match t:
            case Prim(name):
                return self._prim(name, v)
            case ListT(element, None) if getattr(strip(element), "name", "") == "u8":
                return self._bytes(bytes(v))
            case ListT(element, None):
                return self._list(len(v), [self.value(element, x) for x in v[: self.max_list]])
            case MapT(key, item):
                entry = TupleT((key, item))
                return self._list(len(v), [self.value(entry, pair) for pair in v[: self.max_list]])
            case RecordT(fields):
                return {name: self.value(field, v[name]) for name, field in fields}
            case TupleT((first, second)) if self.redacted and _is_string(first):
                # The name of a secret is none.
                name = replace(self, redacted=False).value(first, v[0])
                return [name, self.value(second, v[1])]
            case TupleT(types):
                return [self.value(item, x) for item, x in zip(types, v, strict=True)]
            case OptionT(inner):
                if isinstance(strip(inner), OptionT) and v is not None:
                    return {"some": self.value(inner, v["some"])}
                return None if v is None else self.value(inner, v)
            case VariantT() | ResultT():
                cases = dict(t.cases) if isinstance(t, VariantT) else {"ok": t.ok, "error": t.err}
                [(label, payload)] = v.items()
                of = cases[label]
                return {label: None if of is None else self.value(of, payload)}
        return v  # enums and flags

    def _prim(self, name: str, v: Any) -> Any:
        if name == "string":
            return self._string(v)
        if name in ("f32", "f64"):
            if math.isnan(v) or math.isinf(v):
                return "nan" if math.isnan(v) else "inf" if v > 0 else "-inf"
            return Single(v) if name == "f32" else v
        return v

    def _string(self, v: str) -> Any:
        codec, width = "utf-16-le", 2
        if self.encoding == "utf8":
            codec, width = "utf-8", 1
        elif self.encoding == "latin1+utf16" and all(ord(c) < 256 for c in v):
            codec, width = "latin-1", 1
        raw = v.encode(codec)
        if self.redacted:
            return {"~redacted": len(raw) // width}
        if len(raw) <= self.max_string:
            return v
        kept = raw[: self.max_string // width * width].decode(codec, "ignore")
        return {"~cut": len(raw) // width, "~str": kept}

    def _bytes(self, v: bytes) -> Any:
        if self.redacted:
            return {"~redacted": len(v)}
        shown = base64.b64encode(v[: self.max_string]).decode()
        return {"~b64": shown} if len(v) <= self.max_string else {"~cut": len(v), "~b64": shown}

    def _list(self, total: int, kept: list[Any]) -> Any:
        return kept if len(kept) == total else {"~cut": total, "~list": kept}


def agree(expected: Any, got: Any) -> bool:
    """Equality that tells types apart, and 0.0 from -0.0."""
    if isinstance(expected, Single):
        return type(got) is float and struct.pack("<f", expected.value) == struct.pack("<f", got)
    if type(expected) is not type(got):
        return False
    if isinstance(expected, float):
        return struct.pack("<d", expected) == struct.pack("<d", got)
    if isinstance(expected, list):
        return len(expected) == len(got) and all(map(agree, expected, got))
    if isinstance(expected, dict):
        return list(expected) == list(got) and all(agree(expected[k], got[k]) for k in expected)
    return bool(expected == got)


def room(value: Any) -> int:
    """Generously, the bytes a shown value takes in a record: records end at 16 KiB."""
    if isinstance(value, dict):
        return 16 + sum(room(v) for v in value.values())
    if isinstance(value, list):
        return 16 + sum(room(v) for v in value)
    return 16 + (4 * len(value) if isinstance(value, str) else 0)
