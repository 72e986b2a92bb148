"""Helper functions that append the tail of an image: the strings, lists and maps it points to.

A helper walks the image as it lies in the agent's record (never the guest's copy, which could have
changed since).  There is one helper per shape, not per type: types that point to the same things at
the same offsets share it.  All of them take and return the write position ``p``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from whamm_cm.abi.layout import Layouts, children
from whamm_cm.analysis.site import Encoding
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.flats import Slot, in_cases
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.model import Mode
from whamm_cm.emit.spans import Spans
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wit.types import ListT, MapT, Prim, RecordT, TupleT, ValType, strip

#: Elements recorded of a list with secrets in it, if ``max_list`` is less.
SECRETS_OF_LIST = 128

_LOADS = {1: "i32.load8_u", 2: "i32.load16_u", 4: "i32.load"}


@dataclass(frozen=True, slots=True)
class Tail:
    """A helper: ``span`` takes (ptr, len, p, end), ``node`` (image, p, end)."""

    style: Literal["span", "node"]
    func: int


@dataclass(frozen=True, slots=True)
class Step:
    """The tail of the value at ``offset`` of an image."""

    offset: int
    tail: Tail


def is_string(t: ValType) -> bool:
    node = strip(t)
    return isinstance(node, Prim) and node.name == "string"


@dataclass(frozen=True, slots=True)
class Values:
    """Values recorded together.  ``source`` is the local with their address, or their slots.
    ``plain`` tails are always written; ``gated`` ones when the call's name is secret, ``open``
    ones when it is not; ``gate`` is the offset of that name if it is in this image."""

    types: tuple[ValType, ...]
    offsets: tuple[int, ...]
    size: int
    source: int | tuple[Slot, ...]
    plain: tuple[Step, ...] = ()
    gated: tuple[Step, ...] = ()
    open: tuple[Step, ...] = ()
    gate: int | None = None

    @property
    def has_tail(self) -> bool:
        return bool(self.plain or self.gated or self.open)


class Tails:
    """Tails of values in one guest memory with one string encoding."""

    def __init__(
        self,
        module: Module,
        agent: Agent,
        guest: Guest,
        spans: Spans,
        layouts: Layouts,
        encoding: Encoding,
        caps: tuple[int, int],
    ) -> None:
        """``caps``: bytes of a string, elements of a list."""
        self._module, self._agent, self._guest = module, agent, guest
        self._spans, self._layouts, self._encoding = spans, layouts, encoding
        self._max_string, self._max_list = caps
        self._known: dict[tuple[ValType, Mode], Tail | None] = {}
        self._shapes: dict[Hashable, Tail] = {}
        self._entries: dict[MapT, TupleT] = {}

    def steps(
        self, types: Sequence[ValType], offsets: Sequence[int], mode: Mode
    ) -> tuple[Step, ...]:
        """The tails of values at these offsets of an image."""
        tails = [(offset, self.tail(t, mode)) for t, offset in zip(types, offsets, strict=True)]
        return tuple(Step(offset, tail) for offset, tail in tails if tail is not None)

    def tail(self, t: ValType, mode: Mode) -> Tail | None:
        """The helper for values of type ``t``; None when they point nowhere."""
        node = strip(t)
        key = (node, mode)
        if key not in self._known:
            pointers = self._layouts.info(node).pointers
            self._known[key] = self._make(node, mode) if pointers else None
        return self._known[key]

    def emit(self, f: Func, step: Step, base: int, p: int, end: int, offset: int = 0) -> None:
        """Append the tail of the value at ``base`` + ``offset`` + ``step.offset``, moving ``p``."""
        at = offset + step.offset
        if step.tail.style == "span":
            self._push_span(f, base, at)
        else:
            f.get(base)
            if at:
                f.i32(at)
                f.op("i32.add")
        f.get(p)
        f.get(end)
        f.call(step.tail.func)
        f.set(p)

    def emit_secret(self, f: Func, base: int, offset: int) -> None:
        """Push whether the string at ``base`` + ``offset`` names a secret header."""
        self._push_span(f, base, offset)
        f.call(self._spans.secret(self._encoding))

    def _push_span(self, f: Func, base: int, offset: int) -> None:
        for field in (offset, offset + self._guest.width):
            self._agent.load(f, self._guest.load_address(), base, field)

    def _make(self, t: ValType, mode: Mode) -> Tail:
        match t:
            case Prim():
                return self._secret() if mode == "values" else self._string()
            case ListT(element, None):
                return self._list(element, mode)
            case MapT(key, value):
                entry = self._entries.setdefault(t, TupleT((key, value)))
                return self._list(entry, mode)
            case ListT(element, int(length)):
                tail = self.tail(element, mode)
                assert tail is not None, "only types with pointers get here"
                return self._repeat(tail, self._layouts.info(element).size, length)
            case TupleT((first, second)) if mode != "none" and is_string(first):
                return self._pair((first, second), mode)
            case RecordT() | TupleT():
                parts = children(t)
                offsets = self._layouts.record(parts).offsets
                return self._sequence(self.steps(parts, offsets, mode))
        return self._variant(t, mode)

    def _secret(self) -> Tail:
        return Tail("span", self._spans.secret_string(self._encoding))

    def _string(self) -> Tail:
        return Tail("span", self._spans.string(self._encoding, self._max_string))

    def _list(self, element: ValType, mode: Mode) -> Tail:
        node = strip(element)
        if isinstance(node, Prim) and node.name == "u8":
            if mode == "values":
                return Tail("span", self._spans.secret_bytes())
            return Tail("span", self._spans.span(1, self._max_string))
        size, tail = self._layouts.info(node).size, self.tail(node, mode)
        # A secret that is not sent cannot be known again.
        cap = self._max_list if mode == "none" else max(self._max_list, SECRETS_OF_LIST)
        if tail is None:
            return Tail("span", self._spans.span(size, self._max_list))

        def elements(f: Func, image: int, stop: int, p: int, end: int) -> None:
            assert tail is not None
            self._each(f, tail, size, (image, stop, p, end))

        return Tail("span", self._spans.span(size, cap, key=tail, elements=elements))

    def _node(self, shape: Hashable) -> Func | None:
        """A new (image, p, end) -> p function for ``shape``, None if there is one."""
        if shape in self._shapes:
            return None
        f = self._module.func(("i32", "i32", "i32"), ("i32",))
        self._shapes[shape] = Tail("node", f.index)
        return f

    def _sequence(self, steps: tuple[Step, ...]) -> Tail:
        if len(steps) == 1 and steps[0].offset == 0:
            return steps[0].tail
        if (f := self._node(steps)) is not None:
            for step in steps:
                self.emit(f, step, 0, 1, 2)
            f.get(1)
        return self._shapes[steps]

    def _pair(self, types: tuple[ValType, ValType], mode: Mode) -> Tail:
        """``tuple<string, X>``: the string is kept, X is redacted, or only under a secret name."""
        offset = self._layouts.record(types).offsets[1]
        name = Step(0, self._string())
        redacted = self.steps(types[1:], (offset,), "values")
        if not redacted:
            return self._sequence((name,))
        if mode == "values":
            return self._named(name, redacted, offset)
        plain = self.steps(types[1:], (offset,), "headers")
        shape = ("pair", redacted, plain)
        if (f := self._node(shape)) is not None:
            self.emit(f, name, 0, 1, 2)
            self.emit_secret(f, 0, 0)
            with f.if_():
                for step in redacted:
                    self.emit(f, step, 0, 1, 2)
                f.else_()
                for step in plain:
                    self.emit(f, step, 0, 1, 2)
            f.get(1)
        return self._shapes[shape]

    def _named(self, name: Step, redacted: tuple[Step, ...], offset: int) -> Tail:
        """A name and a secret.  A guest that only wants to know sizes lets all strings lie in one
        place, where the secret is what is left: then the name is one, too."""
        if redacted[0].offset != offset or redacted[0].tail.style != "span":
            return self._sequence((name, *redacted))
        shape = ("named", name, redacted)
        if (f := self._node(shape)) is not None:
            for field in (0, offset):
                self._agent.load(f, self._guest.load_address(), 0, field)
            f.op(f"{self._guest.address}.eq")
            # An empty name says nothing.
            self._agent.load(f, self._guest.load_address(), 0, self._guest.width)
            f.const(self._guest.address, 0)
            f.op(f"{self._guest.address}.ne")
            f.op("i32.and")
            with f.if_():
                self.emit(f, Step(0, self._secret()), 0, 1, 2)
                f.else_()
                self.emit(f, name, 0, 1, 2)
            for step in redacted:
                self.emit(f, step, 0, 1, 2)
            f.get(1)
        return self._shapes[shape]

    def _variant(self, t: ValType, mode: Mode) -> Tail:
        layout = self._layouts.variant(t)
        groups: dict[Tail, list[int]] = {}
        for case, payload in enumerate(layout.payloads):
            tail = None if payload is None else self.tail(payload, mode)
            if tail is not None:
                groups.setdefault(tail, []).append(case)
        cases = tuple((tail, tuple(cases)) for tail, cases in groups.items())
        shape = ("variant", layout.disc_size, layout.payload_offset, cases)
        if (f := self._node(shape)) is not None:
            disc = f.local("i32")
            self._agent.load(f, _LOADS[layout.disc_size], 0, 0)
            f.set(disc)
            for tail, chosen in cases:
                in_cases(f, chosen, disc)
                with f.if_():
                    self.emit(f, Step(layout.payload_offset, tail), 0, 1, 2)
            f.get(1)
        return self._shapes[shape]

    def _repeat(self, tail: Tail, size: int, length: int) -> Tail:
        shape = ("repeat", tail, size, length)
        if (f := self._node(shape)) is not None:
            stop = f.local("i32")
            f.get(0)
            f.i32(size * length)
            f.op("i32.add")
            f.set(stop)
            self._each(f, tail, size, (0, stop, 1, 2))
            f.get(1)
        return self._shapes[shape]

    def _each(self, f: Func, tail: Tail, size: int, at: tuple[int, int, int, int]) -> None:
        """Append the tails of all images between two addresses; ``at`` are the locals image (the
        address to begin with), stop, p and end."""
        image, stop, p, end = at
        with f.block() as done, f.loop() as again:
            f.get(image)
            f.get(stop)
            f.op("i32.ge_u")
            f.br_if(done)
            self.emit(f, Step(0, tail), image, p, end)
            f.get(image)
            f.i32(size)
            f.op("i32.add")
            f.set(image)
            f.br(again)
