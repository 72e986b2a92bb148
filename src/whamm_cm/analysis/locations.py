"""Where a variable is: DWARF expressions as terms in wasm locals, globals and memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.src_types import Bits, Gone, Held, InMemory, Pieces, Term, Where

#: Operations of an expression, and how large what it comes to may be.
_MOST_STEPS, _MOST_TERMS = 500, 60
_MOST_PIECES = 64


OUT = Gone("optimised out")
_STACK = Gone("on the stack of operands")
_BINARY = {
    "plus": "+", "minus": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<",
    "shr": ">>", "shra": ">>s",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_CONSTANT = re.compile("const[1248]?[us]")


class _Unknown(Exception):
    """An operation whose result nobody knows here."""

    def __init__(self, where: Gone) -> None:
        self.where = where


@dataclass(slots=True)
class Expressions:
    """``parse``: bytes of an expression as operations (pyelftools'); ``addressed``: the address
    with a number in the unit; ``base``: the type at an offset of the unit, (encoding, bytes)."""

    parse: Callable[[list[int]], list[Any]]
    addressed: Callable[[int], int]
    base: Callable[[int], tuple[str, int]]

    def where(self, expression: list[int], frame: Where | None) -> Where:
        """``frame``: the frame base of the function around it, if there is one.

        Raises nearly anything for malformed expressions.
        """
        operations = self.parse(expression)
        if not operations:
            return OUT
        if len(operations) > _MOST_STEPS:
            return Gone("described by an endless expression")
        try:
            return self._run(operations, frame)
        except _Unknown as unknown:
            return unknown.where

    def _run(self, operations: list[Any], frame: Where | None) -> Where:
        stack: list[Term] = []
        pieces: list[tuple[InMemory | Held | Bits | Gone, int]] = []
        held, bits, lost = False, None, None
        for one in operations:
            name, args = one.op_name.removeprefix("DW_OP_"), one.args
            if name == "piece":
                if lost is not None or not (stack or bits is not None):
                    part: InMemory | Held | Bits | Gone = lost or OUT
                else:
                    part = _part(stack, held, bits)
                pieces.append((part, args[0]))
                stack, held, bits, lost = [], False, None, None
            elif lost is not None:
                continue
            elif name == "stack_value":
                held = True
            elif name == "implicit_value":
                bits = bytes(args[0])
            else:
                try:
                    self._step(stack, name, args, frame)
                except _Unknown as unknown:
                    lost = unknown.where  # of this piece only
        if len(pieces) > _MOST_PIECES:
            return Gone("in too many pieces")
        if pieces:
            return Pieces(tuple(pieces))
        if lost is not None:
            return lost
        return _part(stack, held, bits)

    def _step(self, stack: list[Term], name: str, args: list[Any], frame: Where | None) -> None:
        if name.startswith("lit"):
            stack.append(_const(int(name[3:])))
        elif name == "addr":
            stack.append(_const(args[0]))
        elif name == "addrx":
            stack.append(_const(self.addressed(args[0])))
        elif _CONSTANT.fullmatch(name):
            stack.append(_const(args[0]))
        elif name == "WASM_location":
            stack.append(_wasm(*args))
        elif name == "fbreg":
            stack.append(plus(_frame(frame), args[0]))
        elif name == "plus_uconst":
            stack.append(plus(stack.pop(), args[0]))
        elif name in _BINARY:
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(_BINARY[name], left, right))
        elif name in ("neg", "not"):
            stack.append(_small(Term(name, (stack.pop(),))))
        elif name in ("deref", "deref_size"):
            stack.append(_small(Term("load", (stack.pop(), args[0] if args else 0))))
        elif name == "convert":
            stack.append(self._converted(stack.pop(), args[0]))
        else:
            _shuffle(stack, name, args)

    def _converted(self, term: Term, offset: int) -> Term:
        if not offset:
            return term
        encoding, size = self.base(offset)
        return _small(Term("convert", (term, encoding, size)))


def _shuffle(stack: list[Term], name: str, args: list[Any]) -> None:
    if name == "dup":
        stack.append(stack[-1])
    elif name == "drop":
        stack.pop()
    elif name == "over":
        stack.append(stack[-2])
    elif name == "pick":
        stack.append(stack[-1 - args[0]])
    elif name == "swap":
        stack[-1], stack[-2] = stack[-2], stack[-1]
    elif name != "nop":
        entry = name.endswith("entry_value")
        raise _Unknown(OUT if entry else Gone(f"described by DW_OP_{name}"))


def _part(stack: list[Term], held: bool, bits: bytes | None) -> InMemory | Held | Bits | Gone:
    if bits is not None:
        return Bits(bits)
    if not stack:
        return OUT
    return Held(stack[-1]) if held else InMemory(stack[-1])


def _const(value: int) -> Term:
    return Term("const", (value,))


def _wasm(kind: int, index: int) -> Term:
    if kind == 2:
        raise _Unknown(_STACK)
    return Term("local" if kind == 0 else "global", (index,))


def _frame(frame: Where | None) -> Term:
    """The address of a frame.  A bare location of a local is its value, too: what older compilers
    say of frames."""
    if isinstance(frame, Held):
        return frame.value
    if isinstance(frame, InMemory):
        return frame.address
    raise _Unknown(frame if isinstance(frame, Gone) else Gone("in a frame that is nowhere"))


def plus(term: Term, more: int) -> Term:
    """Also of numbers below zero."""
    return term if not more else _binary("+", term, _const(more))


def _binary(op: str, left: Term, right: Term) -> Term:
    if op == "+" and right.op == "const":
        if left.op == "const":
            return _const(left.args[0] + right.args[0])
        if left.op == "+" and left.args[1].op == "const":
            return plus(left.args[0], left.args[1].args[0] + right.args[0])
    return _small(Term(op, (left, right)))


def _small(term: Term) -> Term:
    if term.terms > _MOST_TERMS:
        raise _Unknown(Gone("described by an endless expression"))
    return term
