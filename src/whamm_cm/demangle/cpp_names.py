"""Names of C++, as the Itanium ABI mangles them ("External Names")."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.cpp_nodes import (
    OPERATORS,
    Arguments,
    Forward,
    Function,
    Listed,
    Nested,
    Node,
    Pack,
    Tagged,
    Template,
    Text,
    form,
    qualified,
)
from whamm_cm.demangle.rust import Unclear

_DEEPEST = 120
_MOST_STEPS = 1 << 15
_STANDARD = {
    "t": ("std", ""), "a": ("std::allocator", "allocator"),
    "b": ("std::basic_string", "basic_string"), "s": ("std::string", "basic_string"),
    "i": ("std::istream", "basic_istream"), "o": ("std::ostream", "basic_ostream"),
    "d": ("std::iostream", "basic_iostream"),
}  # fmt: skip
_FULL = {
    name: f"std::{base}<char, std::char_traits<char>{more}>"
    for name, base, more in (
        ("std::string", "basic_string", ", std::allocator<char>"),
        ("std::istream", "basic_istream", ""),
        ("std::ostream", "basic_ostream", ""),
        ("std::iostream", "basic_iostream", ""),
    )
}
QUALIFIERS = {"r": " restrict", "V": " volatile", "K": " const"}
_SPECIAL = {
    "TV": "vtable for ", "TT": "VTT for ", "TI": "typeinfo for ", "TS": "typeinfo name for ",
    "TA": "template parameter object for ",
}  # fmt: skip
_SPECIAL_NAMES = {
    "GV": "guard variable for ", "TW": "TLS wrapper function for ",
    "TH": "TLS init function for ", "GI": "initializer for module ",
}  # fmt: skip
NUMBER, _SIGNED, _SEQ = re.compile(r"\d+"), re.compile(r"n?\d+"), re.compile(r"[0-9A-Z]*_")
_DISCRIMINATOR = re.compile(r"__\d+_|_\d")


@dataclass(slots=True)
class Ending:
    """What a name turned out to be: that decides whether a result type follows."""

    template: bool = False
    resultless: bool = False  # constructors, destructors, conversions
    qualifiers: str = ""


class Names(ABC):
    """Reads names; types and expressions are for classes below to add."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.depth = self.steps = 0
        self.substitutions: list[Node] = []
        self.parameters: list[Node] = []
        self.forwards: list[Forward] | None = None
        self.lambdas = 0
        self.takes_arguments = True  # not a conversion's type: they are the conversion's

    # To be had from the other parts

    @abstractmethod
    def type(self) -> Node: ...

    @abstractmethod
    def expression(self) -> Node: ...

    @abstractmethod
    def literal(self) -> Node: ...

    # Letters and numbers

    def peek(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def eat(self, text: str) -> bool:
        found = self.text.startswith(text, self.at)
        if found:
            self.at += len(text)
        return found

    def need(self, text: str) -> None:
        if not self.eat(text):
            raise Unclear

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None or len(found[0]) > 12:
            raise Unclear
        self.at = found.end()
        return found[0]

    def sequence(self) -> int:
        """``_`` is 0, ``0_`` 1, in base 36."""
        digits = self.match(_SEQ)[:-1]
        return int(digits, 36) + 1 if digits else 0

    def count(self) -> int:
        """``_`` is 0, ``0_`` 1, in base 10."""
        digits = "" if self.peek() == "_" else self.match(NUMBER)
        self.need("_")
        return int(digits) + 1 if digits else 0

    def nested(self, read: Callable[[], Node]) -> Node:
        self.depth += 1
        self.steps += 1
        if self.depth > _DEEPEST or self.steps > _MOST_STEPS:
            raise Unclear
        found = read()
        self.depth -= 1
        return found

    def until_end(self, read: Callable[[], Node], end: str = "E") -> tuple[Node, ...]:
        found = []
        while not self.eat(end):
            found.append(read())
        return tuple(found)

    def kept(self, node: Node) -> Node:
        """``node`` as the next substitution."""
        self.substitutions.append(node)
        return node

    # Encodings

    def encoding(self) -> Node:
        return self.nested(self._encoding)

    def _encoding(self) -> Node:
        outer = self.parameters, self.forwards
        special = self.special()
        if special is not None:
            return special
        ending, self.forwards = Ending(), []
        name = self.name(ending)
        for forward in self.forwards:
            if forward.number >= len(self.parameters):
                raise Unclear
            forward.slot.node = self.parameters[forward.number]
        self.forwards = None
        if self.peek() not in ("", "E", ".", "@"):
            name = self.function(name, ending)
        elif ending.qualifiers:
            name = qualified(name, ending.qualifiers)
        self.parameters, self.forwards = outer
        return name

    def function(self, name: Node, ending: Ending) -> Node:
        if self.eat("Ua9enable_ifI"):
            self.until_end(self.argument)
        result = self.type() if ending.template and not ending.resultless else None
        parameters, requires = list[Node](), None
        while self.peek() not in ("", "E", ".", "@", "Q"):
            parameters.append(self.type())
        if self.eat("Q"):
            requires = self.expression()
        if len(parameters) == 1 and getattr(parameters[0], "text", "") == "void":
            parameters = []
        return Function(tuple(parameters), result, ending.qualifiers, name, requires)

    def special(self) -> Node | None:
        two = self.peek(2)
        if two in _SPECIAL or two in _SPECIAL_NAMES:
            self.at += 2
            if two == "TA":
                return form(f"{_SPECIAL[two]}@", self.argument())
            what = self.type() if two in _SPECIAL else self.name(Ending())
            return form(f"{(_SPECIAL | _SPECIAL_NAMES)[two]}@", what)
        if two in ("Th", "Tv", "Tc"):
            self.at += 1
            virtual = [self.offset() for _ in range(1 + self.eat("c"))]
            kind = "covariant return" if len(virtual) > 1 else "virtual"
            plain = "non-" if virtual == [False] else ""
            return form(f"{plain}{kind} thunk to @", self.encoding())
        if self.eat("TC"):
            derived = self.type()
            self.match(NUMBER)
            self.need("_")
            return form("construction vtable for @-in-@", self.type(), derived)
        if self.eat("GR"):
            name, number = self.name(Ending()), self.sequence() if self.peek() else 0
            return form(f"reference temporary #{number} for @", name)
        if self.eat("GTt") or self.eat("GTn"):
            return form("transaction clone for @", self.encoding())
        return None

    def offset(self) -> bool:
        """Of a thunk: whether it is a virtual one."""
        virtual = self.eat("v")
        if not virtual:
            self.need("h")
        for _ in range(1 + virtual):
            self.match(_SIGNED)
            self.need("_")
        return virtual

    # Names

    def name(self, ending: Ending) -> Node:
        if self.eat("N"):
            return self.nested(lambda: self.nested_name(ending))
        if self.eat("Z"):
            return self.nested(lambda: self.local_name(ending))
        if self.peek() == "S" and self.peek(2) != "St":
            found = self.substitution()
            if self.peek() != "I":
                raise Unclear
            return self.template(found, ending)
        found = self.unscoped(ending)
        if self.peek() == "I":
            return self.template(self.kept(found), ending)
        return found

    def unscoped(self, ending: Ending) -> Node:
        prefix = Text((), "std") if self.eat("St") else None
        self.eat("L")
        found = self.unqualified(ending, prefix)
        return Nested((prefix, found)) if prefix else found

    def template(self, name: Node, ending: Ending | None) -> Node:
        """``name`` with the arguments that follow; those of an encoding's name are what ``T_`` is.

        ``ending``: of that name, None for a type's.
        """
        self.need("I")
        if ending is not None:
            ending.template = True
            self.parameters = []
        found: list[Node] = []
        while not self.eat("E"):
            if self.peek() == "Q":
                raise Unclear
            before = self.parameters
            one = self.argument()
            self.parameters = before
            found.append(one)
            if ending is not None:
                used = Pack(one.children) if isinstance(one, Arguments) else one
                self.parameters = [*before, used]
        return Template((name, *found))

    def argument(self) -> Node:
        letter = self.peek()
        if letter in ("J", "I"):
            self.at += 1
            return Arguments(self.until_end(self.argument))
        if letter == "X":
            self.at += 1
            found = self.expression()
            self.need("E")
            return found
        if letter == "L":
            return self.literal()
        if letter == "T" and self.peek(2) in ("Ty", "Tn", "Tt", "Tp", "Tk"):
            raise Unclear  # declarations of parameters
        return self.type()

    def nested_name(self, ending: Ending) -> Node:
        quals = ""
        while self.peek() in QUALIFIERS:
            quals = QUALIFIERS[self.text[self.at]] + quals
            self.at += 1
        ending.qualifiers = quals + (" &" if self.eat("R") else " &&" if self.eat("O") else "")
        found: Node | None = None
        substituted = False
        while not self.eat("E"):
            ending.template = self.peek() == "I"
            substituted = self.peek() == "S" and self.peek(2) != "St"
            found = self.prefix(found, ending)
            self.kept(found) if not substituted else None
        if found is None or substituted:
            raise Unclear
        self.substitutions.pop()
        return found

    def prefix(self, before: Node | None, ending: Ending) -> Node:
        """``before`` with the next part of a nested name."""
        letter, two = self.peek(), self.peek(2)
        if letter == "I" and before is not None:
            return self.template(before, ending)
        if before is None:
            if letter == "T":
                return self.parameter()
            if two in ("Dt", "DT"):
                return self.decltype()
            if letter == "S" and two != "St":
                return self.substitution()
            if self.eat("St"):
                before = Text((), "std")
        ending.resultless = False
        while self.eat("L") or self.eat("M"):
            pass
        found = self.unqualified(ending, before)
        if before is None:
            return found
        if isinstance(before, Text) and ending.resultless and before.text in _FULL:
            before = Text((), _FULL[before.text], before.short)
        return Nested((before, found))

    def local_name(self, ending: Ending) -> Node:
        outer = self.encoding()
        self.need("E")
        if self.eat("s"):
            self.discriminator()
            return Nested((outer, Text((), "string literal")))
        if self.eat("d"):
            number = self.count()
            return Nested((outer, Text((), f"{{default arg#{number + 1}}}"), self.name(ending)))
        found = self.name(ending)
        self.discriminator()
        return Nested((outer, found))

    def discriminator(self) -> None:
        found = _DISCRIMINATOR.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def unqualified(self, ending: Ending, scope: Node | None) -> Node:
        letter, two = self.peek(), self.peek(2)
        if letter.isdecimal():
            found: Node = Text((), self.source_name())
        elif two in ("Ut", "Ul"):
            self.at += 2
            found = self.unnamed() if two == "Ut" else self.nested(self.lambda_)
        elif self.eat("DC"):
            found = Listed(self.until_end(lambda: Text((), self.source_name())), "[", "]")
        elif scope is not None and re.match(r"C[1-5I]|D[0-5]", two):
            found = self.structor(scope)
            ending.resultless = True
        elif self.eat("F"):
            found = self.unqualified(ending, scope)
        else:
            found = self.operator(ending)
        while self.eat("B"):
            found = Tagged((found,), self.source_name())
        return found

    def structor(self, scope: Node) -> Node:
        kind = self.text[self.at]
        self.at += 1
        inherits = self.eat("I")
        self.at += 1
        if inherits:
            self.type()
        return Text((), "~" * (kind == "D") + scope.base)

    def source_name(self) -> str:
        length = int(self.match(NUMBER))
        found = self.text[self.at : self.at + length]
        if not length or len(found) < length:
            raise Unclear
        self.at += length
        return "(anonymous namespace)" if re.match(r"_GLOBAL_[_.$]N", found) else found

    def unnamed(self) -> Node:
        return Text((), f"{{unnamed type#{self.count() + 1}}}")

    def lambda_(self) -> Node:
        self.lambdas += 1
        found = self.until_end(self.type)
        self.lambdas -= 1
        if len(found) == 1 and getattr(found[0], "text", "") == "void":
            found = ()
        return Listed(found, "{lambda(", f")#{self.count() + 1}}}")

    def operator(self, ending: Ending) -> Node:
        two = self.peek(2)
        self.at += 2
        if two == "cv":
            ending.resultless = True
            before, self.takes_arguments = self.takes_arguments, False
            target = self.type()
            self.takes_arguments = before
            return form("operator @", target)
        if two == "li":
            return Text((), f'operator"" {self.source_name()}')
        if re.match(r"v\d", two):
            return Text((), f"operator {self.source_name()}")
        if two not in OPERATORS:
            raise Unclear
        sign = OPERATORS[two]
        return Text((), f"operator{' ' * sign[0].isalpha()}{sign}")

    # What was there before

    def substitution(self) -> Node:
        self.need("S")
        letter = self.peek()
        if letter in _STANDARD:
            self.at += 1
            found: Node = Text((), *_STANDARD[letter])
            while letter != "t" and self.eat("B"):
                found = self.kept(Tagged((found,), self.source_name()))
            return found
        number = self.sequence()
        if number >= len(self.substitutions):
            raise Unclear
        return self.substitutions[number]

    def parameter(self) -> Node:
        """``T_``."""
        self.need("T")
        if self.eat("L"):
            self.match(NUMBER)
            self.need("_")
            self.count()
            return Text((), "auto")
        number = self.count()
        if self.forwards is not None and number >= len(self.parameters) and not self.lambdas:
            self.forwards.append(Forward((), number))
            return self.forwards[-1]
        if number < len(self.parameters):
            return self.parameters[number]
        if not self.lambdas:
            raise Unclear
        return Text((), f"auto:{number + 1}")

    def decltype(self) -> Node:
        self.at += 2
        found = form("decltype (@)", self.expression())
        self.need("E")
        return found
