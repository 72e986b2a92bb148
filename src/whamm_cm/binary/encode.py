"""IR → bytes: items are numbered by position, references written as the numbers they now have."""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.binary.leb import signed, unsigned
from whamm_cm.errors import InternalError
from whamm_cm.ir.component import Component, Definition, SectionId
from whamm_cm.ir.core import CoreModule
from whamm_cm.ir.items import SORT_BYTES, Item, Ref, Sort, Token
from whamm_cm.ir.nodes import EmptySection, NameSection

_PREAMBLE = b"\0asm\x0d\0\x01\0"
_Piece = bytes | memoryview


def encode(component: Component) -> bytes:
    """Encode a component.  Whatever was not edited comes out byte for byte as it was read.

    Raises :class:`InternalError` when a definition refers to an item that nothing before it
    defines (a weaver's bug; ``ir.check`` names it better).
    """
    return b"".join(_pieces(component, {}))


def _pieces(component: Component, outer: dict[Item, int]) -> list[_Piece]:
    numbers = _number(component, outer)
    out: list[_Piece] = [_PREAMBLE]
    for run in _runs(component.definitions):
        body = _body(run, numbers)
        size = sum(map(len, body))
        width = run[0].group.size_width if run[0].group else 1
        out.append(bytes((run[0].section,)) + unsigned(size, width))
        out.extend(body)
    return out


def _number(component: Component, outer: dict[Item, int]) -> dict[Item, int]:
    """Every item's index in its space.  Items of enclosing components keep theirs."""
    numbers = dict(outer) if outer else {}
    counts = [0] * len(Sort)
    for definition in component.definitions:
        for item in definition.items:
            numbers[item] = counts[item.sort]
            counts[item.sort] += 1
    return numbers


def _runs(definitions: Iterable[Definition]) -> Iterable[list[Definition]]:
    """Neighbours that share a section: of one input group, or new ones of one section id."""
    run: list[Definition] = []
    for d in definitions:
        if run and (
            d.section != run[0].section
            or d.group is not run[0].group
            or d.section in SectionId.SINGLE
        ):
            yield run
            run = []
        run.append(d)
    if run:
        yield run


def _body(run: list[Definition], numbers: dict[Item, int]) -> list[_Piece]:
    first = run[0]
    if isinstance(first.node, CoreModule):
        return [first.node.data]
    if isinstance(first.node, Component):
        return _pieces(first.node, numbers)
    if isinstance(first.node, NameSection):
        return [_names(first.node, first.tokens, numbers)]
    out: list[_Piece] = []
    if first.section not in SectionId.SINGLE:
        width = first.group.count_width if first.group else 1
        empty = isinstance(first.node, EmptySection)
        out.append(unsigned(0 if empty else len(run), width))
    for definition in run:
        out.extend(_token(token, numbers) for token in definition.tokens)
    return out


def _token(token: Token, numbers: dict[Item, int]) -> _Piece:
    if not isinstance(token, Ref):
        return token
    number = numbers.get(token.item)
    if number is None:
        raise InternalError(f"reference to a {token.item.sort.label} that nothing defines")
    return (signed if token.signed else unsigned)(number, token.width)


def _names(node: NameSection, tokens: tuple[Token, ...], numbers: dict[Item, int]) -> bytes:
    if all(numbers.get(item) == index for _, index, item, _ in node.rows):
        return b"".join(_token(token, numbers) for token in tokens)
    out = _string("component-name")
    if node.component is not None:
        name = _string(node.component)
        out += b"\0" + unsigned(len(name)) + name
    by_sort: dict[Sort, list[tuple[int, str]]] = {}
    for sort, _, item, name_ in node.rows:
        if item in numbers:  # a definition that was replaced takes its name with it
            by_sort.setdefault(sort, []).append((numbers[item], name_))
    for sort, rows in by_sort.items():
        body = SORT_BYTES[sort] + unsigned(len(rows))
        body += b"".join(unsigned(index) + _string(name_) for index, name_ in sorted(rows))
        out += b"\x01" + unsigned(len(body)) + body
    return out


def _string(text: str) -> bytes:
    raw = text.encode()
    return unsigned(len(raw)) + raw
