"""Types of C++, as the Itanium ABI mangles them ("External Names")."""

from __future__ import annotations

import re
from collections.abc import Callable

from whamm_cm.demangle.cpp_names import NUMBER, QUALIFIERS, Ending, Names
from whamm_cm.demangle.cpp_nodes import (
    Array,
    Expansion,
    Function,
    Node,
    Pointer,
    Text,
    Writer,
    form,
    qualified,
)

_BUILTIN = {
    "v": "void", "w": "wchar_t", "b": "bool", "c": "char", "a": "signed char",
    "h": "unsigned char", "s": "short", "t": "unsigned short", "i": "int", "j": "unsigned int",
    "l": "long", "m": "unsigned long", "x": "long long", "y": "unsigned long long",
    "n": "__int128", "o": "unsigned __int128", "f": "float", "d": "double", "e": "long double",
    "g": "__float128", "z": "...",
}  # fmt: skip
_BUILTIN_D = {
    "d": "decimal64", "e": "decimal128", "f": "decimal32", "h": "half", "i": "char32_t",
    "s": "char16_t", "u": "char8_t", "a": "auto", "c": "decltype(auto)", "n": "decltype(nullptr)",
}  # fmt: skip


class Types(Names):
    """Reads types."""

    def type(self) -> Node:
        return self.nested(self._type)

    def _type(self) -> Node:
        letter, two = self.peek(), self.peek(2)
        if letter in _BUILTIN:
            self.at += 1
            return Text((), _BUILTIN[letter])
        if letter == "u":
            self.at += 1
            found: Node = Text((), self.source_name())
            return self.kept(self.template(found, None) if self.peek() == "I" else found)
        if letter == "D" and two[1:] in _BUILTIN_D:
            self.at += 2
            return Text((), _BUILTIN_D[two[1]])
        if two in ("DF", "DB", "DU"):
            return self.sized()
        if letter == "S" and two != "St":
            found = self.substitution()
            return self.kept(self.template(found, None)) if self.peek() == "I" else found
        if letter == "T" and two not in ("Ts", "Tu", "Te"):
            found = self.kept(self.parameter())
            arguments = self.takes_arguments and self.peek() == "I"
            return self.kept(self.template(found, None)) if arguments else found
        return self.kept(self.compound())

    def sized(self) -> Node:
        kind = self.peek(2)
        self.at += 2
        if kind != "DF":
            size = Text((), self.match(NUMBER)) if self.peek().isdecimal() else self.expression()
            self.need("_")
            return form("unsigned _BitInt(@)" if kind == "DU" else "_BitInt(@)", size)
        bits = self.match(NUMBER)
        if self.eat("b"):
            return Text((), "std::bfloat16_t")
        extended = "x" * self.eat("x")
        if not extended:
            self.need("_")
        return Text((), f"_Float{bits}{extended}")

    def compound(self) -> Node:
        """A type that later parts of the name may refer to."""
        letter, two = self.peek(), self.peek(2)
        if letter in QUALIFIERS:
            return self.qualified_type()
        mark = _MARKS.get(letter)
        if mark is not None:
            self.at += 1
            return Pointer((self.type(),), mark)
        read = _TYPES.get(letter) or _TYPES.get(two)
        if read is not None:
            return read(self)
        if two in ("Ts", "Tu", "Te"):
            self.at += 2
        return self.name_of_type()

    def name_of_type(self) -> Node:
        """The name of a class or enumeration; its template arguments are not an encoding's."""
        parameters, forwards = self.parameters, self.forwards
        found = self.name(_TypeEnding())
        self.parameters, self.forwards = parameters, forwards
        return found

    def template(self, name: Node, ending: Ending | None) -> Node:
        return super().template(name, None if isinstance(ending, _TypeEnding) else ending)

    def qualified_type(self) -> Node:
        found = ""
        while self.peek() in QUALIFIERS:
            found = QUALIFIERS[self.text[self.at]] + found
            self.at += 1
        if re.match(r"F|D[oOwx]", self.peek(2)):
            return qualified(self.function_type(), found)
        return qualified(self.type(), found)

    def function_type(self) -> Node:
        noexcept = ""
        if self.eat("DO"):
            noexcept = " noexcept(@)"
            condition = self.expression()
            self.need("E")
        elif self.eat("Do"):
            noexcept = " noexcept"
        elif self.eat("Dw"):
            self.until_end(self.type)
        self.eat("Dx")
        self.need("F")
        self.eat("Y")
        result, parameters, reference = self.type(), list[Node](), ""
        while not self.eat("E"):
            if self.peek(2) in ("RE", "OE"):
                reference = " &" if self.peek() == "R" else " &&"
                self.at += 1
            else:
                parameters.append(self.type())
        if len(parameters) == 1 and getattr(parameters[0], "text", "") == "void":
            parameters = []
        if "@" in noexcept:
            noexcept = noexcept.replace("@", Writer().text(condition))
        return Function(tuple(parameters), result, reference + noexcept)

    def array(self) -> Node:
        self.need("A")
        if self.peek().isdecimal():
            size: Node = Text((), self.match(NUMBER))
        else:
            size = Text() if self.peek() == "_" else self.expression()
        self.need("_")
        return Array((self.type(),), size)

    def member(self) -> Node:
        self.need("M")
        owner = self.type()
        return Pointer((self.type(), owner))

    def vendor(self) -> Node:
        self.need("U")
        name: Node = Text((), self.source_name())
        if self.peek() == "I":
            name = self.template(name, None)
        return form("@ @", self.type(), name)

    def vector(self) -> Node:
        self.need("Dv")
        if self.peek().isdecimal():
            size: Node = Text((), self.match(NUMBER))
        else:
            self.need("_")
            size = self.expression()
        self.need("_")
        return form("@ __vector(@)", self.type(), size)

    def worded(self, word: str) -> Node:
        self.at += 1
        return form(f"@ {word}", self.type())

    def expansion(self) -> Node:
        self.at += 2
        return Expansion((self.type(),))


class _TypeEnding(Ending):
    """Of a name that is a type."""


_MARKS = {"P": "*", "R": "&", "O": "&&"}
_TYPES: dict[str, Callable[[Types], Node]] = {
    "C": lambda reader: reader.worded("_Complex"),
    "G": lambda reader: reader.worded("_Imaginary"),
    "A": Types.array,
    "F": Types.function_type,
    "M": Types.member,
    "U": Types.vendor,
    "Dv": Types.vector,
    "Dp": Types.expansion,
    "Dt": Types.decltype,
    "DT": Types.decltype,
    "Do": Types.function_type,
    "DO": Types.function_type,
    "Dw": Types.function_type,
    "Dx": Types.function_type,
}
