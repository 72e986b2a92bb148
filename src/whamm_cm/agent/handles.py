"""Where the values of a site hold handles, and of which resource: the ``handles`` of its records.

A path names object keys from the record down, with a dot between: ``self``, ``args.network``,
``result.ok``, the elements of a list being ``*`` and the parts of a tuple numbers.  Paths of cases
that a value does not have are there as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from whamm_cm.abi.layout import variant_cases
from whamm_cm.agent.layout import MAX_DEPTH, SiteKind
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: Paths told for a call or return at most: types nest, so there is no end to what they may have.
MAX_PATHS = 32
_MAX_STEPS = 4096


def handles_of(
    kind: SiteKind,
    params: Iterable[tuple[str, ValType]],
    result: ValType | None,
    has_self: bool,
    reps: frozenset[Resource],
    elements: ValType | None = None,
    end: str = "",
    ends: bool = False,
) -> tuple[str, str]:
    """The JSON texts of ``handles`` for calls and for returns, "" where there are none.

    ``reps``: resources a borrow of which reaches this site as its representation.  ``elements``:
    what a copy has for ``data``.  ``end``: of a built-in about an end of a stream or future, its
    name, such as ``stream.read``.  ``ends``: tell of streams and futures, too.
    """
    named = list(params)
    inward = kind == SiteKind.LIFT
    walk = _Walk(reps, ends, inward)
    call: dict[str, str] = _of_end(end) if ends else {}
    for index, (name, t) in enumerate(named):
        path = "self" if has_self and index == 0 else f"args.{name}"
        walk.collect(path, t, call)
    returned: dict[str, str] = {}
    walk = _Walk(reps, ends, not inward)
    if result is not None:
        walk.collect("result", result, returned)
    if elements is not None:
        _Walk(reps, ends, end.endswith(".read")).collect("data", elements, returned)
    made = strip(result) if result is not None else None
    if ends and end.endswith(".new"):
        returned["result"] = f"new:{end.partition('.')[0]}"
    if kind == SiteKind.RESOURCE_NEW and isinstance(made, Own):
        call = {f"args.{name}": _rep(made.resource) for name, _ in named}
    if kind == SiteKind.RESOURCE_REP and call:
        returned = {"result": f"rep:{call['self']}"}
    return _text(call), _text(returned)


def _text(found: dict[str, str]) -> str:
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False) if found else ""


def _rep(resource: Resource) -> str:
    return f"rep:{resource.name or ''}"


def are_whole(types: Iterable[ValType]) -> bool:
    """Whether the handles in values of these types can all be told."""
    found: dict[str, str] = {}
    walk = _Walk(frozenset(), True, True)
    for number, t in enumerate(types):
        walk.collect(str(number), t, found)
    return walk.whole


def _of_end(name: str) -> dict[str, str]:
    """Which end a built-in is about."""
    kind, _, what = name.partition(".")
    if not what or what == "new":
        return {}
    return {f"args.{kind}": f"gone:{kind}" if what.startswith("drop") else kind}


class _Walk:
    """Handles in types; ``_steps`` bounds what hostile types cost.  ``ends``: also streams and
    futures, which come into the component or, not ``inward``, leave it.  ``whole``: no bound has
    been met yet."""

    def __init__(self, reps: frozenset[Resource], ends: bool, inward: bool) -> None:
        self._reps, self._ends = reps, ends
        self._way = "new:" if inward else "gone:"
        self._steps = 0
        self.whole = True

    def collect(self, path: str, t: ValType, into: dict[str, str]) -> None:
        self._steps = 0
        self._visit(path, t, 1, into)

    def _visit(self, path: str, t: ValType, depth: int, into: dict[str, str]) -> None:
        self._steps += 1
        if depth > MAX_DEPTH or self._steps > _MAX_STEPS or len(into) >= MAX_PATHS:
            self.whole = False
            return
        node = strip(t)
        if isinstance(node, Own):
            into[path] = node.resource.name or ""
        elif isinstance(node, Borrow):
            rep = node.resource in self._reps
            into[path] = _rep(node.resource) if rep else node.resource.name or ""
        elif self._ends and isinstance(node, StreamT | FutureT):
            into[path] = self._way + ("stream" if isinstance(node, StreamT) else "future")
        for key, part in _parts(node):
            self._visit(f"{path}.{key}" if key else path, part, depth + 1, into)


def _parts(t: ValType) -> Iterator[tuple[str, ValType]]:
    """What a value's JSON holds, by key; "" for what stands for itself."""
    match t:
        case ListT(element):
            yield "*", element
        case MapT(key, value):
            yield "*.0", key
            yield "*.1", value
        case RecordT(fields):
            yield from fields
        case TupleT(types):
            for number, each in enumerate(types):
                yield str(number), each
        case OptionT(inner):
            yield ("some" if isinstance(strip(inner), OptionT) else ""), inner
        case VariantT() | ResultT():
            for label, payload in variant_cases(t):
                if payload is not None:
                    yield label, payload
        case Prim() | EnumT() | FlagsT():
            return
