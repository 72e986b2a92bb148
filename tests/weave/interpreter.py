"""A plain interpreter of core modules that notes everything that happens, place by place.

It knows numbers, control, memory 0, tables of functions, calls and exceptions; no SIMD, no GC.
Where an instruction counts as executed follows the bytes: an ``else`` is executed where the first
arm runs into it, an ``end`` where the code before it runs into it; a branch jumps over both.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.weave.arithmetic import FORMATS, OPERATIONS
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.instructions import memarg_flags
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.types import FuncType, read_block_type

PAGE = 65536
Place = tuple[int, int]  # (fid, opidx)
Host = Callable[..., Any]


class Stop(Exception):
    """The program ends itself, or traps."""


class Thrown(Exception):
    """An exception of the program on its way."""

    def __init__(self, tag: int, values: list[Any]) -> None:
        super().__init__(f"uncaught exception of tag {tag}")
        self.tag, self.values = tag, values


class Catch(NamedTuple):
    """A clause of ``try_table``; ``tag`` None: all."""

    tag: int | None
    keeps: bool
    label: int


class Step(NamedTuple):
    name: str
    imm: tuple[Any, ...]


class Label(NamedTuple):
    """Where a branch goes on, with how many values on a stack of which height."""

    goes_to: int
    arity: int
    height: int
    catches: Sequence[Catch] = ()


@dataclass
class Noted:
    """What happened."""

    executed: Counter[Place] = field(default_factory=Counter)
    #: Conditional branches and selects whose condition was true.
    taken: Counter[Place] = field(default_factory=Counter)
    #: br_table: operand's target, the number of targets for the default.
    targets: Counter[tuple[Place, int]] = field(default_factory=Counter)
    rounds: Counter[Place] = field(default_factory=Counter)  # of loops
    edges: Counter[tuple[int, int]] = field(default_factory=Counter)  # (caller, callee)
    touched: Counter[str] = field(default_factory=Counter)  # bytes read, written, moved
    stacks: Counter[tuple[int, ...]] = field(default_factory=Counter)  # instructions by stack


def _constant(cur: Cursor, kind: Imm) -> Any:
    if kind in (Imm.F32, Imm.F64):
        layout = FORMATS[kind.value]
        pos = cur.skip(struct.calcsize(layout), "a float")
        return struct.unpack_from(layout, cur.data, pos)[0]
    return cur.s32() & 0xFFFF_FFFF if kind is Imm.I32 else cur.s64() & 0xFFFF_FFFF_FFFF_FFFF


def _catch(cur: Cursor) -> Catch:
    kind = cur.u8()
    return Catch(cur.u32() if kind < 2 else None, bool(kind & 1), cur.u32())


def _immediate(cur: Cursor, kind: Imm) -> Any:
    if kind in (Imm.I32, Imm.I64, Imm.F32, Imm.F64):
        return _constant(cur, kind)
    if kind is Imm.BLOCKTYPE:
        return read_block_type(cur)
    if kind is Imm.LABELS:
        return [cur.u32() for _ in range(cur.u32() + 1)]
    if kind is Imm.CATCHES:
        return [_catch(cur) for _ in range(cur.u32())]
    if kind is Imm.VALTYPES:
        return [cur.u8() for _ in range(cur.u32())]
    if kind is Imm.MEMARG:
        memarg_flags(cur, kind)
        return cur.u64()
    return cur.u32()


class Function:
    """A function's code with the end and else of each block."""

    def __init__(self, module: CoreModule, index: int) -> None:
        self.fid = index + len(module.imported("func"))
        self.type = module.func_type(self.fid)
        self.locals = [t for count, t in module.bodies[index].locals for _ in range(count)]
        self.steps = [
            self._step(module, at, opcode) for at, opcode, _ in module.instructions(index)
        ]
        self.ends: dict[int, int] = {}
        self.elses: dict[int, int] = {}
        opened: list[int] = []
        for i, step in enumerate(self.steps):
            if step.name in ("block", "loop", "if", "try_table"):
                opened.append(i)
            elif step.name == "else":
                self.elses[opened[-1]] = i
            elif step.name == "end" and opened:
                self.ends[opened.pop()] = i

    @staticmethod
    def _step(module: CoreModule, at: int, opcode: Opcode) -> Step:
        cur = Cursor(module.data, at + 1, len(module.data))
        if opcode.prefix:
            cur.u32()
        return Step(opcode.mnemonic, tuple(_immediate(cur, kind) for kind in opcode.immediates))


class Interpreter:
    """An instance of a module; ``host`` has its imported functions by name.

    After ``limit`` instructions it stops: the program may not end.
    """

    def __init__(
        self, data: bytes, host: dict[str, Host] | None = None, limit: int = 1_000_000
    ) -> None:
        self.module = module = CoreModule(data)
        self.left = limit
        self.noted = Noted()
        self.host = [(host or {})[i.name] for i in module.imported("func")]
        self.code = [Function(module, i) for i in range(len(module.bodies))]
        self.memory = bytearray(sum(m.min for m in module.memories) * PAGE)
        self.globals: list[Any] = []
        for each in module.globals:
            self.globals.append(self._value(each.init))
        self.tables: list[list[int | None]] = [[None] * t.type.min for t in module.tables]
        self.stack: list[Any] = []
        self.calls: list[int] = []
        self.at: Place = 0, 0  # the instruction executed last
        self._fill()

    def _value(self, expr: Any) -> Any:
        cur = Cursor(expr, 0, len(expr))
        code = cur.u8()
        if code == 0x23:
            return self.globals[cur.u32()]
        return _constant(cur, (Imm.I32, Imm.I64, Imm.F32, Imm.F64)[code - 0x41])

    def _fill(self) -> None:
        for element in self.module.elements:
            if element.offset is None:
                continue
            at = self._value(element.offset)
            functions = element.functions or ()
            self.tables[element.table or 0][at : at + len(functions)] = functions
        for data in self.module.data_segments:
            at = self._value(data.offset)
            self.memory[at : at + len(data.payload)] = data.payload

    def run(self, export: str, *args: Any) -> list[Any]:
        """Calls an export; raises Stop where it traps."""
        found = self.module.export(export)
        assert found is not None
        self.stack += args
        self.call(found.index)
        return [self.stack.pop() for _ in self.module.func_type(found.index).results][::-1]

    def call(self, fid: int) -> None:
        """Arguments and results are on the stack."""
        depth, goes_on = len(self.calls), True
        while goes_on:
            type_ = self.module.func_type(fid)
            height = len(self.stack) - len(type_.params)
            args = self.stack[height:]
            del self.stack[height:]
            if fid < len(self.host):
                result = self.host[fid](self, *args)
                self.stack += [result] if type_.results else []
                return
            function = self.code[fid - len(self.host)]
            self.calls[depth:] = [fid]
            try:
                tail = self._execute(function, [*args, *(_ZEROS[t] for t in function.locals)])
            finally:
                del self.calls[depth:]
            goes_on = tail is not None
            fid = fid if tail is None else tail
            left = len(self.module.func_type(fid).params) if goes_on else len(type_.results)
            del self.stack[height : len(self.stack) - left]

    def _execute(self, function: Function, variables: list[Any]) -> int | None:
        """The function that it calls last, in its place."""
        frame = Frame(self, function, variables)
        stack = tuple(self.calls)
        at = 0
        while at < len(function.steps):
            self.left -= 1
            if not self.left:
                raise Stop("too many instructions")
            self.noted.executed[function.fid, at] += 1
            self.noted.stacks[stack] += 1
            self.at = function.fid, at
            try:
                at = frame.step(at)
            except Thrown as thrown:
                at = frame.caught(thrown)
        return frame.tail


_ZEROS = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "funcref": None}


class Frame:
    """One call of a function."""

    def __init__(self, owner: Interpreter, function: Function, variables: list[Any]) -> None:
        self.owner, self.function, self.variables = owner, function, variables
        self.stack, self.noted = owner.stack, owner.noted
        results = len(function.type.results)
        self.labels = [Label(len(function.steps), results, len(self.stack))]
        self.tail: int | None = None

    def step(self, at: int) -> int:
        """Executes an instruction; answers which one comes next."""
        name, imm = self.function.steps[at]
        operation = OPERATIONS.get(name)
        if operation is not None:
            self._compute(*operation)
            return at + 1
        if name in _CONTROL:
            return _CONTROL[name](self, at, imm)
        _OTHERS[name](self, at, imm)
        return at + 1

    def _compute(self, count: int, function: Callable[..., Any]) -> None:
        operands = self.stack[-count:]
        del self.stack[-count:]
        try:
            self.stack.append(function(*operands))
        except ArithmeticError as error:
            raise Stop(str(error)) from None

    # --- control --------------------------------------------------------------------------------

    def _block(self, at: int, imm: tuple[Any, ...]) -> int:
        name = self.function.steps[at].name
        type_ = self._type(imm[0])
        height = len(self.stack) - len(type_.params)
        goes_to, arity = self.function.ends[at] + 1, len(type_.results)
        catches: Sequence[Catch] = imm[1] if name == "try_table" else ()
        if name == "loop":
            self.noted.rounds[self.function.fid, at] += 1
            goes_to, arity = at + 1, len(type_.params)
        self.labels.append(Label(goes_to, arity, height, catches))
        return at + 1

    def _type(self, kind: int | str | None) -> FuncType:
        if isinstance(kind, int):
            return self.owner.module.type_func(kind)
        return FuncType((), () if kind is None else (kind,))

    def _if(self, at: int, imm: tuple[Any, ...]) -> int:
        condition = self.stack.pop()
        self._note(at, condition)
        otherwise = self.function.elses.get(at)
        if not condition and otherwise is None:
            return self.function.ends[at] + 1
        self._block(at, imm)
        return at + 1 if condition or otherwise is None else otherwise + 1

    def _note(self, at: int, condition: int) -> None:
        if condition:
            self.noted.taken[self.function.fid, at] += 1

    def _else(self, at: int, imm: tuple[Any, ...]) -> int:
        return self.labels.pop().goes_to

    def _end(self, at: int, imm: tuple[Any, ...]) -> int:
        self.labels.pop()
        return at + 1

    def _branch(self, depth: int) -> int:
        label = self.labels[-1 - depth]
        results = self.stack[len(self.stack) - label.arity :]
        self.stack[label.height :] = results
        opener = label.goes_to - 1
        if 0 <= opener < len(self.function.steps) and self.function.steps[opener].name == "loop":
            self.noted.rounds[self.function.fid, opener] += 1
            depth -= 1  # the loop goes on
        del self.labels[len(self.labels) - 1 - depth :]
        return label.goes_to

    def _br(self, at: int, imm: tuple[Any, ...]) -> int:
        return self._branch(imm[0])

    def _br_if(self, at: int, imm: tuple[Any, ...]) -> int:
        condition = self.stack.pop()
        self._note(at, condition)
        return self._branch(imm[0]) if condition else at + 1

    def _br_table(self, at: int, imm: tuple[Any, ...]) -> int:
        target = min(self.stack.pop(), len(imm[0]) - 1)
        self.noted.targets[(self.function.fid, at), target] += 1
        return self._branch(imm[0][target])

    def _return(self, at: int, imm: tuple[Any, ...]) -> int:
        return self._branch(len(self.labels) - 1)

    def _unreachable(self, at: int, imm: tuple[Any, ...]) -> int:
        raise Stop("unreachable")

    def _throw(self, at: int, imm: tuple[Any, ...]) -> int:
        count = len(self.owner.module.tag_type(imm[0]).params)
        raise Thrown(imm[0], self.stack[len(self.stack) - count :])

    def _throw_ref(self, at: int, imm: tuple[Any, ...]) -> int:
        raise self.stack.pop()

    def caught(self, thrown: Thrown) -> int:
        """Where it goes on; the exception again where nothing here catches it."""
        while self.labels:
            label = self.labels.pop()
            for catch in label.catches:
                if catch.tag in (None, thrown.tag):
                    values = thrown.values if catch.tag is not None else []
                    self.stack[label.height :] = [*values, *([thrown] if catch.keeps else [])]
                    return self._branch(catch.label)
        raise thrown

    # --- calls ----------------------------------------------------------------------------------

    def _call(self, at: int, imm: tuple[Any, ...]) -> None:
        self.noted.edges[self.function.fid, imm[0]] += 1
        self.owner.call(imm[0])

    def _return_call(self, at: int, imm: tuple[Any, ...]) -> int:
        self.noted.edges[self.function.fid, imm[0]] += 1
        self.tail = imm[0]
        return len(self.function.steps)

    def _return_call_indirect(self, at: int, imm: tuple[Any, ...]) -> int:
        return self._return_call(at, (self._entry(imm),))

    def _return_call_ref(self, at: int, imm: tuple[Any, ...]) -> int:
        return self._return_call(at, (self.stack.pop(),))

    def _call_ref(self, at: int, imm: tuple[Any, ...]) -> None:
        self._call(at, (self.stack.pop(),))

    def _call_indirect(self, at: int, imm: tuple[Any, ...]) -> None:
        self._call(at, (self._entry(imm),))

    def _entry(self, imm: tuple[Any, ...]) -> int:
        """The function of an indirect call."""
        index, table = self.stack.pop(), self.owner.tables[imm[1]]
        fid = table[index] if index < len(table) else None
        module = self.owner.module
        if fid is None or module.func_type(fid) != module.type_func(imm[0]):
            raise Stop("no such function")
        return fid

    # --- variables and memory -------------------------------------------------------------------

    def _local_get(self, at: int, imm: tuple[Any, ...]) -> None:
        self.stack.append(self.variables[imm[0]])

    def _local_set(self, at: int, imm: tuple[Any, ...]) -> None:
        self.variables[imm[0]] = self.stack.pop()

    def _local_tee(self, at: int, imm: tuple[Any, ...]) -> None:
        self.variables[imm[0]] = self.stack[-1]

    def _global_get(self, at: int, imm: tuple[Any, ...]) -> None:
        self.stack.append(self.owner.globals[imm[0]])

    def _global_set(self, at: int, imm: tuple[Any, ...]) -> None:
        self.owner.globals[imm[0]] = self.stack.pop()

    def _const(self, at: int, imm: tuple[Any, ...]) -> None:
        self.stack.append(imm[0])

    def _drop(self, at: int, imm: tuple[Any, ...]) -> None:
        self.stack.pop()

    def _select(self, at: int, imm: tuple[Any, ...]) -> None:
        condition, second = self.stack.pop(), self.stack.pop()
        self._note(at, condition)
        if not condition:
            self.stack[-1] = second

    def _nop(self, at: int, imm: tuple[Any, ...]) -> None:
        pass

    def _inside(self, address: int, size: int) -> None:
        if address + size > len(self.owner.memory):
            raise Stop("out of bounds memory access")

    def _load(self, at: int, imm: tuple[Any, ...]) -> None:
        layout, mask = _access(self.function.steps[at].name)
        address, size = self.stack.pop() + imm[0], struct.calcsize(layout)
        self._inside(address, size)
        (value,) = struct.unpack_from(layout, self.owner.memory, address)
        self.stack.append(value & mask if mask and isinstance(value, int) else value)
        self.noted.touched["read"] += size

    def _store(self, at: int, imm: tuple[Any, ...]) -> None:
        layout, _ = _access(self.function.steps[at].name)
        value, address, size = self.stack.pop(), self.stack.pop() + imm[0], struct.calcsize(layout)
        self._inside(address, size)
        if isinstance(value, int):
            value &= (1 << 8 * size) - 1
        struct.pack_into(layout, self.owner.memory, address, value)
        self.noted.touched["written"] += size

    def _memory_size(self, at: int, imm: tuple[Any, ...]) -> None:
        self.stack.append(len(self.owner.memory) // PAGE)

    def _memory_grow(self, at: int, imm: tuple[Any, ...]) -> None:
        pages, old = self.stack.pop(), len(self.owner.memory) // PAGE
        limit = self.owner.module.memories[0].max or PAGE
        if old + pages > limit:
            self.stack.append(0xFFFF_FFFF)
            return
        self.owner.memory += bytes(pages * PAGE)
        self.stack.append(old)

    def _memory_copy(self, at: int, imm: tuple[Any, ...]) -> None:
        size, source, to = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._inside(max(source, to), size)
        self.owner.memory[to : to + size] = self.owner.memory[source : source + size]
        self.noted.touched["moved"] += size

    def _memory_fill(self, at: int, imm: tuple[Any, ...]) -> None:
        size, value, to = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._inside(to, size)
        self.owner.memory[to : to + size] = bytes([value & 0xFF]) * size
        self.noted.touched["moved"] += size


def _access(name: str) -> tuple[str, int]:
    """The layout in memory, and the mask of the type for integers."""
    type_, _, what = name.partition(".")
    width = what.removeprefix("load").removeprefix("store")
    mask = {"i32": 0xFFFF_FFFF, "i64": 0xFFFF_FFFF_FFFF_FFFF}.get(type_, 0)
    if not width:
        return FORMATS[type_], mask
    bits, _, sign = width.partition("_")
    layout = {"8": "b", "16": "h", "32": "i"}[bits]
    return "<" + (layout if sign == "s" else layout.upper()), mask


_CONTROL: dict[str, Callable[[Frame, int, tuple[Any, ...]], int]] = {
    "block": Frame._block,
    "loop": Frame._block,
    "if": Frame._if,
    "else": Frame._else,
    "end": Frame._end,
    "br": Frame._br,
    "br_if": Frame._br_if,
    "br_table": Frame._br_table,
    "return": Frame._return,
    "return_call": Frame._return_call,
    "return_call_indirect": Frame._return_call_indirect,
    "return_call_ref": Frame._return_call_ref,
    "try_table": Frame._block,
    "throw": Frame._throw,
    "throw_ref": Frame._throw_ref,
    "unreachable": Frame._unreachable,
}
_OTHERS: dict[str, Callable[[Frame, int, tuple[Any, ...]], None]] = {
    "call": Frame._call,
    "call_indirect": Frame._call_indirect,
    "call_ref": Frame._call_ref,
    "ref.func": Frame._const,
    "local.get": Frame._local_get,
    "local.set": Frame._local_set,
    "local.tee": Frame._local_tee,
    "global.get": Frame._global_get,
    "global.set": Frame._global_set,
    "drop": Frame._drop,
    "select": Frame._select,
    "nop": Frame._nop,
    "memory.size": Frame._memory_size,
    "memory.grow": Frame._memory_grow,
    "memory.copy": Frame._memory_copy,
    "memory.fill": Frame._memory_fill,
    **{f"{t}.const": Frame._const for t in FORMATS},
    **{
        f"{t}.{way}{width}": does
        for t in FORMATS
        for way, does in (("load", Frame._load), ("store", Frame._store))
        for width in ("", "8", "16", "32", "8_s", "8_u", "16_s", "16_u", "32_s", "32_u")
    },
}
