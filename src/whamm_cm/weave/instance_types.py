"""Editing an imported interface's instance type: look things up, append what is missing.

Declarations are only ever appended, so nothing in the type's own index space moves.
"""

from __future__ import annotations

from dataclasses import field

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item, Ref, Sort, Token
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.leb import name_bytes, signed, unsigned

U8, U64, STRING = b"\x7d", b"\x77", b"\x73"


@dataclass(slots=True)
class InstanceTypeEditor:
    """``base`` plus the declarations added so far; value types are given as encoded bytes."""

    base: n.InstanceTypeDef = field(default_factory=lambda: n.InstanceTypeDef(()))
    extra: list[tuple[Token, ...]] = field(default_factory=list)
    types: dict[str, int] = field(default_factory=dict)
    exports: set[str] = field(default_factory=set)
    count: int = 0

    def __post_init__(self) -> None:
        for decl in self.base.decls:
            if isinstance(decl.node, n.ExportDecl):
                self.exports.add(decl.node.name.name)
                if decl.node.type.kind == "type":
                    self.types[decl.node.name.name] = self.count
            self.count += sum(item.sort == Sort.TYPE for item in decl.items)

    @property
    def edited(self) -> bool:
        return bool(self.extra)

    def _type(self, *tokens: Token) -> int:
        self.extra.append(tokens)
        self.count += 1
        return self.count - 1

    def define(self, body: bytes) -> bytes:
        """Declare a type; returns it as a value type."""
        return signed(self._type(b"\x01" + body))

    def outer(self, item: Item) -> int:
        """``alias outer 1``: bring a type of the enclosing component in."""
        return self._type(b"\x02\x03\x02\x01", Ref(item))

    def export_type(self, name: str, index: int | None) -> int:
        """Export type ``index``, or a fresh resource for None; returns the new index."""
        bound = b"\x03\x01" if index is None else b"\x03\x00" + unsigned(index)
        self.types[name] = self._type(b"\x04\0" + name_bytes(name) + bound)
        self.exports.add(name)
        return self.types[name]

    def export_func(self, name: str, params: list[tuple[str, bytes]], result: bytes | None) -> None:
        """Export a function, unless there is one of that name already."""
        if name in self.exports:
            return
        body = b"\x01\x40" + unsigned(len(params))
        body += b"".join(name_bytes(label) + type_ for label, type_ in params)
        body += b"\x01\0" if result is None else b"\0" + result
        self.export_func_type(name, self._type(body))

    def export_func_type(self, name: str, index: int) -> None:
        """Export a function of type ``index``."""
        self.extra.append((b"\x04\0" + name_bytes(name) + b"\x01" + unsigned(index),))
        self.exports.add(name)

    def value(self, index: int) -> bytes:
        return signed(index)

    def handle(self, index: int, borrow: bool = False) -> bytes:
        return self.define((b"\x68" if borrow else b"\x69") + unsigned(index))

    def to_definition(self) -> Definition:
        return build.instance_type_with(self.base, self.extra)
