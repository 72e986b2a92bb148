"""What a mangled C++ name says, as a tree that is written in C++ syntax.

Declarators go around names, so a node is written as two texts: what is left and what is right of
what it declares (``int (*`` and ``)(char)``).  Trees share nodes; writing one is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace

from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.rust import Unclear, bounded

_MOST_STEPS = 1 << 15
_DEEPEST = 120


@dataclass(slots=True)
class Writer:
    """``index``: which element of packs is meant, None for all of them."""

    steps: int = 0
    depth: int = 0
    index: int | None = None

    def halves(self, node: Node) -> tuple[str, str]:
        self.steps += 1
        self.depth += 1
        if self.steps > _MOST_STEPS or self.depth > _DEEPEST:
            raise Unclear
        left, right = node.write(self)
        self.depth -= 1
        return bounded(left), bounded(right)

    def text(self, node: Node | str) -> str:
        return node if isinstance(node, str) else "".join(self.halves(node))

    def list(self, nodes: tuple[Node, ...]) -> str:
        """With commas between; empty packs are nothing."""
        return bounded(", ".join(filter(None, map(self.text, nodes))))


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """``children``: the nodes it is made of, in the order they are written."""

    children: tuple[Node, ...] = ()

    def write(self, to: Writer) -> tuple[str, str]:
        raise Unclear

    @property
    def base(self) -> str:
        """The name of this class as its constructors have it."""
        raise Unclear


@dataclass(frozen=True, slots=True, eq=False)
class Text(Node):
    """``short``: the class' own name when ``text`` is more than that."""

    text: str = ""
    short: str = ""

    def write(self, to: Writer) -> tuple[str, str]:
        return self.text, ""

    @property
    def base(self) -> str:
        return self.short or self.text


@dataclass(frozen=True, slots=True, eq=False)
class Form(Node):
    """Texts with the children between: one text more than there are children."""

    texts: tuple[str, ...] = ()

    def write(self, to: Writer) -> tuple[str, str]:
        found = self.texts[0]
        for child, text in zip(self.children, self.texts[1:], strict=True):
            found += to.text(child) + text
            bounded(found)
        return found, ""


def form(pattern: str, *children: Node) -> Form:
    """``pattern`` with ``@`` where the children are."""
    return Form(children, tuple(pattern.split("@")))


@dataclass(frozen=True, slots=True, eq=False)
class Listed(Node):
    """Children with commas between and texts around."""

    before: str = ""
    after: str = ""

    def write(self, to: Writer) -> tuple[str, str]:
        return f"{self.before}{to.list(self.children)}{self.after}", ""


@dataclass(frozen=True, slots=True, eq=False)
class Arguments(Listed):
    """The arguments for a parameter pack, where they are given."""


@dataclass(frozen=True, slots=True, eq=False)
class Nested(Node):
    """``prefix::name``."""

    def write(self, to: Writer) -> tuple[str, str]:
        return "::".join(map(to.text, self.children)), ""

    @property
    def base(self) -> str:
        return self.children[-1].base


@dataclass(frozen=True, slots=True, eq=False)
class Template(Node):
    """``name<arguments>``; the first child is the name."""

    def write(self, to: Writer) -> tuple[str, str]:
        name = to.text(self.children[0])
        space = " " * name.endswith(("<", "<<"))  # operator< and operator<<
        arguments = to.list(self.children[1:])
        return f"{name}{space}<{arguments}>", ""

    @property
    def base(self) -> str:
        return self.children[0].base


@dataclass(frozen=True, slots=True, eq=False)
class Tagged(Node):
    """``name[abi:tag]``."""

    tag: str = ""

    def write(self, to: Writer) -> tuple[str, str]:
        return f"{to.text(self.children[0])}[abi:{self.tag}]", ""

    @property
    def base(self) -> str:
        return self.children[0].base


@dataclass(frozen=True, slots=True, eq=False)
class Qualified(Node):
    """``T const``; functions have their qualifiers behind the parameters."""

    qualifiers: str = ""

    def write(self, to: Writer) -> tuple[str, str]:
        inner = self.children[0]
        left, right = to.halves(inner)
        if isinstance(_seen(inner, to), Function):
            return left, right + self.qualifiers
        return left + self.qualifiers, right

    @property
    def base(self) -> str:
        return self.children[0].base


@dataclass(frozen=True, slots=True, eq=False)
class Pointer(Node):
    """``mark``: ``*``, ``&`` or ``&&``; a second child is the class of a pointer to member."""

    mark: str = "*"

    def write(self, to: Writer) -> tuple[str, str]:
        inner, mark = self._collapsed(to)
        left, right = to.halves(inner)
        if len(self.children) > 1:
            mark = f"{to.text(self.children[1])}::*"
        if isinstance(_unqualified(inner, to), Array | Function):
            space = " " * isinstance(_unqualified(inner, to), Array)
            return f"{left}{space}({mark}", f"){right}"
        return f"{left}{' ' * (len(self.children) > 1)}{mark}", right

    def _collapsed(self, to: Writer) -> tuple[Node, str]:
        """A reference to a reference is one reference."""
        inner, mark = self.children[0], self.mark
        while mark != "*":
            seen = _seen(inner, to)
            if not isinstance(seen, Pointer) or seen.mark == "*":
                break
            inner, mark = seen.children[0], "&" if "&" in (mark, seen.mark) else "&&"
        return inner, mark


def _unqualified(node: Node, to: Writer) -> Node:
    node = _seen(node, to)
    while isinstance(node, Qualified):
        node = _seen(node.children[0], to)
    return node


def _seen(node: Node, to: Writer) -> Node:
    """Through parameters and packs."""
    for _ in range(_DEEPEST):
        if isinstance(node, Forward) and node.target is not None:
            node = node.target
        elif isinstance(node, Pack) and to.index is not None and to.index < len(node.children):
            node = node.children[to.index]
        else:
            return node
    raise Unclear


@dataclass(frozen=True, slots=True, eq=False)
class Array(Node):
    """``T [size]``."""

    size: Node = field(default_factory=Text)

    def write(self, to: Writer) -> tuple[str, str]:
        left, right = to.halves(self.children[0])
        space = "" if right.startswith("[") else " "
        return left, f"{space}[{to.text(self.size)}]{right.lstrip()}"


@dataclass(frozen=True, slots=True, eq=False)
class Function(Node):
    """``result (parameters) qualifiers``: children are the parameters."""

    result: Node | None = None
    qualifiers: str = ""
    name: Node | None = None
    requires: Node | None = None

    def write(self, to: Writer) -> tuple[str, str]:
        left, right = to.halves(self.result) if self.result else ("", "")
        if left and not right:  # otherwise it is inside of what the result points to
            left += " "
        if self.name:
            left += to.text(self.name)
        requires = f" requires {to.text(self.requires)}" if self.requires else ""
        return left, f"({to.list(self.children)}){self.qualifiers}{right}{requires}"


@dataclass(frozen=True, slots=True, eq=False)
class Pack(Node):
    """What a template parameter pack stands for, where it is used."""

    def write(self, to: Writer) -> tuple[str, str]:
        if to.index is None:
            return to.list(self.children), ""
        if to.index >= len(self.children):
            raise Unclear
        return to.halves(self.children[to.index])


@dataclass(frozen=True, slots=True, eq=False)
class Expansion(Node):
    """A pattern for every element of the packs in it."""

    def write(self, to: Writer) -> tuple[str, str]:
        pattern = self.children[0]
        pack = next((node for node in _within(pattern) if isinstance(node, Pack)), None)
        if pack is None:
            return f"{to.text(pattern)}...", ""
        before, found = to.index, list[str]()
        for to.index in range(len(pack.children)):
            found.append(to.text(pattern))
            bounded("".join(found))
        to.index = before
        return ", ".join(filter(None, found)), ""


@dataclass(slots=True, eq=False)
class _Target:
    node: Node | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Forward(Node):
    """A template parameter whose argument comes later in the name."""

    number: int = 0
    slot: _Target = field(default_factory=_Target)

    @property
    def target(self) -> Node | None:
        return self.slot.node

    def write(self, to: Writer) -> tuple[str, str]:
        if self.target is None:
            raise Unclear
        return to.halves(self.target)

    @property
    def base(self) -> str:
        if self.target is None:
            raise Unclear
        return self.target.base


def _within(node: Node) -> Iterator[Node]:
    """The node and what is below, each once, not into packs and other expansions."""
    left, seen = [node], set[int]()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, Forward) and one.target is not None:
            left.append(one.target)
        if isinstance(one, Function):
            left += filter(None, (one.result, one.requires, one.name))
        if isinstance(one, Array):
            left.append(one.size)
        if not isinstance(one, Pack | Expansion):
            left += reversed(one.children)


def qualified(node: Node, qualifiers: str) -> Node:
    """``node`` with ``const`` and the like."""
    if isinstance(node, Function) and qualifiers:
        return replace(node, qualifiers=qualifiers + node.qualifiers)
    return Qualified((node,), qualifiers) if qualifiers else node


OPERATORS: dict[str, str] = {
    "nw": "new", "na": "new[]", "dl": "delete", "da": "delete[]", "aw": "co_await", "ps": "+",
    "ng": "-", "ad": "&", "de": "*", "co": "~", "pl": "+", "mi": "-", "ml": "*", "dv": "/",
    "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "=", "pL": "+=", "mI": "-=", "mL": "*=",
    "dV": "/=", "rM": "%=", "aN": "&=", "oR": "|=", "eO": "^=", "ls": "<<", "rs": ">>",
    "lS": "<<=", "rS": ">>=", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=",
    "ge": ">=", "ss": "<=>", "nt": "!", "aa": "&&", "oo": "||", "pp": "++", "mm": "--",
    "cm": ",", "pm": "->*", "pt": "->", "cl": "()", "ix": "[]", "qu": "?",
}  # fmt: skip
