"""IR → bytes: items are numbered by position, references written as the numbers they now have."""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import Item, Ref, Sort, Token
from whamm_cm.component.names import in_place, write_names
from whamm_cm.component.nodes import EmptySection, NameSection
from whamm_cm.errors import InternalError
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.module import CoreModule

_PREAMBLE = b"\0asm\x0d\0\x01\0"
Piece = bytes | memoryview


def encode(component: Component) -> bytes:
    """Encode a component.  Whatever was not edited comes out byte for byte as it was read.

    Raises :class:`InternalError` when a definition refers to an item that neither its component nor
    an enclosing one defines (a weaver's bug; ``ir.check`` names it better, and also sees uses that
    precede their definition).
    """
    return b"".join(pieces(component))


def pieces(component: Component) -> list[Piece]:
    """What `encode` joins: for writing a large component out without a second copy of it."""
    return _pieces(component, {})


def _pieces(component: Component, numbers: dict[Item, int]) -> list[Piece]:
    """``numbers`` holds the index of every item of the enclosing components."""
    # Entered here and taken out at the end: a copy for each nested component would cost the square.
    items = _number(component, numbers)
    out: list[Piece] = [_PREAMBLE]
    for run in _runs(component.definitions):
        body = _body(run, numbers)
        size = sum(map(len, body))
        width = run[0].group.size_width if run[0].group else 1
        out.append(bytes((run[0].section,)) + unsigned(size, width))
        out.extend(body)
    for item in items:
        numbers.pop(item, None)
    return out


def _number(component: Component, numbers: dict[Item, int]) -> list[Item]:
    """Enter the index every item of ``component`` has in its space; returns the items."""
    items: list[Item] = []
    counts = [0] * len(Sort)
    for definition in component.definitions:
        for item in definition.items:
            numbers[item] = counts[item.sort]
            counts[item.sort] += 1
            items.append(item)
    return items


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


def _body(run: list[Definition], numbers: dict[Item, int]) -> list[Piece]:
    first = run[0]
    if isinstance(first.node, CoreModule):
        return [first.node.data]
    if isinstance(first.node, Component):
        return _pieces(first.node, numbers)
    if isinstance(first.node, NameSection) and not in_place(first.node, numbers):
        return [write_names(first.node, numbers)]
    out: list[Piece] = []
    if first.section not in SectionId.SINGLE:
        width = first.group.count_width if first.group else 1
        empty = isinstance(first.node, EmptySection)
        out.append(unsigned(0 if empty else len(run), width))
    for definition in run:
        out.extend(_token(token, numbers) for token in definition.tokens)
    return out


def _token(token: Token, numbers: dict[Item, int]) -> Piece:
    if not isinstance(token, Ref):
        return token
    number = numbers.get(token.item)
    if number is None:
        raise InternalError(f"reference to a {token.item.sort.label} that nothing defines")
    return (signed if token.signed else unsigned)(number, token.width)
