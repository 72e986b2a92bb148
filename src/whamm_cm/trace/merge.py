"""Values of one variable from several component instances → one value, by the variable's type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from whamm_cm.lang import valtypes as vt
from whamm_cm.trace.types import INTS


def merged(t: vt.Type, values: Sequence[Any]) -> Any:
    """Integers and histograms add up, ``min``, ``max`` and ``avg`` become those of all samples,
    maps are merged key by key.  Of everything else it is the last value that counts.

    ``values`` have the shapes of ``t``, the one reported last at the end; there is at least one.
    """
    if len(values) == 1:
        return values[0]
    match t:
        case vt.MapT(_, inner):
            return _map(inner, values)
        case vt.AggT("hist" | "quantize" | "lhist"):
            return sorted(_map(vt.U64, values), key=lambda pair: int(pair[0]))
        case vt.AggT("avg" | "stats"):
            return [sum(int(value[part]) for value in values) for part in (0, 1)]
        case vt.AggT("min" | "max" as name):
            known = [int(value) for value in values if value is not None]
            return None if not known else min(known) if name == "min" else max(known)
        case vt.Prim(name) if name in INTS:
            return sum(map(int, values))
    return values[-1]


def adds_up(t: vt.Type) -> bool:
    """Whether a merged value says something of all instances, not only of the last."""
    match t:
        case vt.MapT(_, inner):
            return adds_up(inner)
        case vt.AggT():
            return True
        case vt.Prim(name):
            return name in INTS
    return False


def pairs(value: Any) -> list[Any]:
    """The [key, value] pairs of a map, also of one that was cut."""
    found = value.get("~list", []) if isinstance(value, dict) else value
    return found if isinstance(found, list) else []


def _map(inner: vt.Type, values: Iterable[Any]) -> list[list[Any]]:
    found: dict[str, tuple[Any, list[Any]]] = {}
    for value in values:
        for key, each in pairs(value):
            found.setdefault(json.dumps(key), (key, []))[1].append(each)
    return [[key, merged(inner, each)] for key, each in found.values()]
