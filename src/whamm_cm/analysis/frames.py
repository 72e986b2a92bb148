"""What functions do before their variables lie where DWARF says: the frame is made, and parameters
are written to it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.src_types import Gone, Held, Term
from whamm_cm.wasm.immediates import MemArg, immediates
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Opcode

#: What code at a function's begin has on the stack: a parameter, the stack pointer plus a number,
#: or a number; None: anything else.
_Known: TypeAlias = tuple[str, int] | None
_SIZES = {
    "i32.store8": 1, "i32.store16": 2, "i32.store": 4, "i64.store8": 1, "i64.store16": 2,
    "i64.store32": 4, "i64.store": 8, "f32.store": 4, "f64.store": 8,
}  # fmt: skip
LATER = Gone("not there yet")
_WRITES = ("local.set", "local.tee")


@dataclass(frozen=True, slots=True)
class Stored:
    """The instruction at ``at`` writes so many bytes: a parameter of the wasm function, a constant
    or what nobody knows."""

    at: int
    value: Held | Gone
    size: int


@dataclass(frozen=True, slots=True)
class Frame:
    """``ready``: from which offset on its address is in the local; ``stores`` by their offset in
    the frame."""

    ready: int
    stores: dict[int, Stored]


@dataclass(slots=True)
class Frames:
    """The frames of a module's functions; offsets are into its bytes."""

    module: CoreModule
    known: dict[tuple[int, int], Frame] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)

    def at(self, offset: int, local: int) -> Frame | None:
        """Of the function around an instruction, with its address in a local; None: there is no
        such function.  Raises DecodeError."""
        bodies = self.module.bodies
        if not self.starts:
            self.starts = [bodies[index].start for index in range(len(bodies))]
        index = bisect_right(self.starts, offset) - 1
        if index < 0 or offset >= bodies[index].end:
            return None
        if (index, local) not in self.known:
            self.known[index, local] = self._read(index, local)
        return self.known[index, local]

    def _read(self, index: int, local: int) -> Frame:
        imported = len(self.module.imported("func"))
        params = len(self.module.func_type(imported + index).params)
        code = _Beginning({number: ("param", number) for number in range(params)})
        # Where nothing is written to the local, it is a parameter or the code is not to be read.
        ready = self.module.bodies[index].start
        going, written = True, False
        for at, opcode, end in self.module.instructions(index):
            going = going and code.step(self.module, at, opcode)
            if written or opcode.mnemonic not in _WRITES:
                continue
            written = immediates(self.module, at, opcode)[0] == local
            ready = end if written and local >= params else ready
        address = code.locals.get(local)
        stores = {}
        if address is not None and address[0] == "stack":
            stores = {to - address[1]: stored for to, stored in code.stores.items()}
        return Frame(ready, stores)


@dataclass(slots=True)
class _Beginning:
    """Runs the straight code that a function begins with."""

    locals: dict[int, _Known]
    stack: list[_Known] = field(default_factory=list)
    stores: dict[int, Stored] = field(default_factory=dict)  # by what is added to the stack pointer
    pointer: int | None = None  # which global that is

    def step(self, module: CoreModule, at: int, opcode: Opcode) -> bool:
        """Whether it knows what comes next."""
        name = opcode.mnemonic
        if name in _SIZES:
            return self._store(module, at, opcode)
        if name in ("i32.add", "i32.sub"):
            return self._add(-1 if name == "i32.sub" else 1)
        if name in _WRITES or name in ("local.get", "global.get", "global.set", "i32.const"):
            value = immediates(module, at, opcode)[0]
            assert isinstance(value, int)
            return self._move(name, value)
        return False

    def _move(self, name: str, value: int) -> bool:
        if name == "i32.const":
            self.stack.append(("const", value))
        elif name == "local.get":
            self.stack.append(self.locals.get(value))
        elif name == "global.get":
            if self.pointer is None:
                self.pointer = value
            self.stack.append(("stack", 0) if self.pointer == value else None)
        elif not self.stack:
            return False
        elif name == "local.tee":
            self.locals[value] = self.stack[-1]
        elif name == "local.set":
            self.locals[value] = self.stack.pop()
        else:
            self.stack.pop()
            return self.pointer == value  # the frame is made
        return True

    def _add(self, sign: int) -> bool:
        if len(self.stack) < 2:
            return False
        right, left = self.stack.pop(), self.stack.pop()
        known = left is not None and right is not None and right[0] == "const"
        self.stack.append((left[0], left[1] + sign * right[1]) if known else None)  # type: ignore[index]
        if known and left is not None and left[0] == "param":
            self.stack[-1] = None
        return True

    def _store(self, module: CoreModule, at: int, opcode: Opcode) -> bool:
        if len(self.stack) < 2:
            return False
        value, address = self.stack.pop(), self.stack.pop()
        where = immediates(module, at, opcode)[0]
        assert isinstance(where, MemArg)
        if address is not None and address[0] == "stack":
            stored = Stored(at, _held(value), _SIZES[opcode.mnemonic])
            self.stores.setdefault(address[1] + where.offset, stored)
        return True


def _held(value: _Known) -> Held | Gone:
    if value is None or value[0] == "stack":
        return LATER
    return Held(Term("local" if value[0] == "param" else "const", (value[1],)))
