"""What scripts see of reads and writes of streams and futures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from whamm_cm.lang.tree import Bound, Expr, Span, Static, WitSite
from whamm_cm.lang.valtypes import STR, U32, U64, Type, WitT
from whamm_cm.wit.types import EnumT, ListT, Prim, ValType, strip

#: What becomes of a copy: what was asked for, or what there was; the other end was gone; given up.
OUTCOMES: Final = EnumT(("completed", "dropped", "cancelled"))
#: Bytes as a script likes to have them.
TEXT: Final = Prim("string")


def is_bytes(elements: ValType | None) -> bool:
    node = None if elements is None else strip(elements)
    if not isinstance(node, ListT):
        return False
    element = strip(node.element)
    return isinstance(element, Prim) and element.name == "u8"


def names(site: WitSite) -> dict[str, Callable[[Span], Expr]]:
    """The names at a read or write, and what they stand for."""
    found: dict[str, Type] = {
        "stream": WitT(Prim("u32")),
        "count": WitT(Prim("u32")),
        "outcome": WitT(OUTCOMES),
    }
    if site.elements is not None:
        found["elements"] = WitT(site.elements)
    if is_bytes(site.elements):
        found["text"] = WitT(TEXT)
    bound = {name: _maker(Bound, type_, name) for name, type_ in found.items()}
    for name, type_ in (("call_id", U64), ("task", U32), ("elapsed", U64)):
        bound[name] = _maker(Bound, type_, name)
    return bound | {name: _maker(Static, STR, name) for name in ("component", "module", "func")}


def _maker(node: type[Static] | type[Bound], type_: Type, name: str) -> Callable[[Span], Expr]:
    return lambda span: node(type_, name, span)
