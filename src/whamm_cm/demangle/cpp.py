"""C++ names of the Itanium ABI ("External Names (a.k.a. Mangling)"), as GNU tools write them."""

from __future__ import annotations

import re
from collections.abc import Callable

from whamm_cm.demangle.cpp_names import NUMBER, Ending
from whamm_cm.demangle.cpp_nodes import (
    OPERATORS,
    Expansion,
    Listed,
    Nested,
    Node,
    Text,
    Writer,
    form,
)
from whamm_cm.demangle.cpp_types import Types
from whamm_cm.demangle.rust import Unclear, suffix

_SUFFIXES = {
    "int": "", "unsigned int": "u", "long": "l", "unsigned long": "ul", "long long": "ll",
    "unsigned long long": "ull",
}  # fmt: skip
_CLONE = re.compile(r"\.(?:[^.0-9][^.]*(?:\.\d+)*|[^.]*)")
_VALUE = re.compile(r"n?[0-9a-f]{1,64}")
_UNARY = frozenset(("ps", "ng", "ad", "de", "co", "nt", "pp", "mm"))
_OTHER = frozenset(("nw", "na", "dl", "da", "aw", "cl", "ix", "qu", "pt"))
_BINARY = frozenset(OPERATORS) - _UNARY - _OTHER
_CASTS = {
    "dc": "dynamic_cast", "sc": "static_cast", "cc": "const_cast", "rc": "reinterpret_cast",
}  # fmt: skip
_OF_TYPE = {"st": "sizeof (@)", "at": "alignof (@)", "ti": "typeid(@)"}
_OF_VALUE = {
    "sz": "sizeof (@)", "az": "alignof (@)", "te": "typeid(@)", "nx": "noexcept(@)",
    "tw": "throw @", "sZ": "sizeof...(@)", "aw": "co_await @",
}  # fmt: skip


def demangled(name: str) -> str:
    """The declaration behind ``_Z…``.  Raises :class:`Unclear` for what is not understood."""
    start = re.compile(r"_{1,4}Z").match(name)
    if start is None:
        raise Unclear
    reader = _Cpp(name[start.end() :])
    node = reader.encoding()
    clones = _CLONE.sub(r" [clone \g<0>]", suffix(reader.text[reader.at :]))
    return Writer().text(node) + clones


def _operand(node: Node) -> Node:
    return node if isinstance(node, Text | Nested | Listed) else form("(@)", node)


class _Cpp(Types):
    """Reads expressions, too."""

    def expression(self) -> Node:
        return self.nested(self._expression)

    def _expression(self) -> Node:
        letter, two = self.peek(), self.peek(2)
        if letter == "L":
            return self.literal()
        if letter == "T":
            return self.parameter()
        if letter.isdecimal() or two in ("on", "dn", "sr", "gs"):
            return self.unresolved()
        if two in ("fp", "fL") and re.match(r"[rVK]*\d*_|T|\d+p", self.text[self.at + 2 :]):
            return self.function_parameter()
        self.at += 2
        read = _EXPRESSIONS.get(two)
        if read is not None:
            return read(self)
        if two in _CASTS:
            return form(f"{_CASTS[two]}<@>(@)", self.type(), self.expression())
        if two in _OF_TYPE:
            return form(_OF_TYPE[two], self.type())
        if two in _OF_VALUE:
            return form(_OF_VALUE[two], self.expression())
        if two in _UNARY:
            return self.unary(two)
        if two not in _BINARY:
            raise Unclear
        left = _operand(self.expression())
        pattern = f"@{OPERATORS[two]}@"
        found = form(pattern, left, _operand(self.expression()))
        return form("(@)", found) if two == "gt" else found

    def unary(self, two: str) -> Node:
        after = two in ("pp", "mm") and not self.eat("_")
        operand = _operand(self.expression())
        return form(f"@{OPERATORS[two]}" if after else f"{OPERATORS[two]}@", operand)

    def literal(self) -> Node:
        self.need("L")
        if self.eat("_Z") or self.eat("Z"):
            found = self.encoding()
            self.need("E")
            return found
        if self.eat("DnE") or self.eat("Dn0E"):
            return form("nullptr")
        kind = self.type()
        if self.eat("E"):
            return form("@" if isinstance(kind, Listed) else '"<@>"', kind)
        value = self.match_value()
        self.need("E")
        name = kind.text if isinstance(kind, Text) else ""
        if name == "bool" and value in ("0", "1"):
            return form("true" if value == "1" else "false")
        if name in _SUFFIXES:
            return form(value + _SUFFIXES[name])
        if name in ("float", "double", "long double", "__float128"):
            return form(f"(@)[{value}]", kind)
        return form(f"(@){value}", kind)

    def match_value(self) -> str:
        found = _VALUE.match(self.text, self.at)
        if found is None:
            raise Unclear
        self.at = found.end()
        return found[0].replace("n", "-")

    def function_parameter(self) -> Node:
        self.at += 1
        if self.eat("pT"):
            return Text((), "this")
        if self.eat("L"):
            self.match(NUMBER)
            self.need("p")
        else:
            self.need("p")
        while self.peek() in ("r", "V", "K"):
            self.at += 1
        return Text((), f"{{parm#{self.count() + 1}}}")

    # Names that are looked up where they are used

    def unresolved(self) -> Node:
        if self.eat("gs"):
            return form("::@", self.expression())
        if not self.eat("sr"):
            return self.base_name()
        if self.eat("N"):
            parts = [self.scope(), *self.until_end(self.simple)]
        elif self.peek().isdecimal():
            parts = list(self.until_end(self.simple))
        else:
            parts = [self.scope()]
        return Nested((*parts, self.base_name()))

    def scope(self) -> Node:
        return self.type()

    def simple(self) -> Node:
        return self.with_arguments(Text((), self.source_name()))

    def with_arguments(self, name: Node) -> Node:
        return self.template(name, None) if self.peek() == "I" else name

    def base_name(self) -> Node:
        if self.eat("on"):
            return self.with_arguments(self.operator(Ending()))
        if self.eat("dn"):
            found = self.simple() if self.peek().isdecimal() else self.type()
            return form("~@", found)
        return self.simple()

    # Several operands

    def call(self) -> Node:
        callee = _operand(self.expression())
        return form("@@", callee, Listed(self.until_end(self.expression), "(", ")"))

    def conversion(self) -> Node:
        kind = self.type()
        if self.eat("_"):
            return form("(@)@", kind, Listed(self.until_end(self.expression), "(", ")"))
        return form("(@)(@)", kind, self.expression())

    def braced(self) -> Node:
        return form("@@", self.type(), Listed(self.until_end(self.expression), "{", "}"))

    def access(self, sign: str) -> Node:
        left = _operand(self.expression())
        return form(f"@{sign}@", left, self.expression())

    def choice(self) -> Node:
        parts = [_operand(self.expression()) for _ in range(3)]
        return form("@?@ : @", *parts)

    def subscript(self) -> Node:
        return form("@[@]", _operand(self.expression()), self.expression())

    def fold(self, left: bool) -> Node:
        """``(... + pack)`` and ``(pack + ...)``."""
        sign, pack = self.fold_sign(), _operand(self.expression())
        return form(f"(...{sign}@)" if left else f"(@{sign}...)", pack)

    def fold_both(self) -> Node:
        sign = self.fold_sign()
        first, second = _operand(self.expression()), _operand(self.expression())
        return form(f"(@{sign}...{sign}@)", first, second)

    def fold_sign(self) -> str:
        two = self.peek(2)
        if two not in _BINARY:
            raise Unclear
        self.at += 2
        return OPERATORS[two]

    def created(self) -> Node:
        placement = Listed(self.until_end(self.expression, "_"))
        kind = self.type()
        if self.eat("E"):
            return (
                form("new @", kind)
                if not placement.children
                else form("new (@) @", placement, kind)
            )
        self.need("pi")
        return form("new @@", kind, Listed(self.until_end(self.expression), "(", ")"))


_EXPRESSIONS: dict[str, Callable[[_Cpp], Node]] = {
    "cl": _Cpp.call,
    "cp": _Cpp.call,
    "cv": _Cpp.conversion,
    "tl": _Cpp.braced,
    "il": lambda reader: Listed(reader.until_end(reader.expression), "{", "}"),
    "dt": lambda reader: reader.access("."),
    "pt": lambda reader: reader.access("->"),
    "ds": lambda reader: reader.access(".*"),
    "qu": _Cpp.choice,
    "ix": _Cpp.subscript,
    "sp": lambda reader: Expansion((reader.expression(),)),
    "sP": lambda reader: Listed(reader.until_end(reader.argument), "sizeof...(", ")"),
    "tr": lambda reader: Text((), "throw"),
    "fl": lambda reader: reader.fold(True),
    "fr": lambda reader: reader.fold(False),
    "fL": _Cpp.fold_both,
    "fR": _Cpp.fold_both,
    "nw": _Cpp.created,
}
