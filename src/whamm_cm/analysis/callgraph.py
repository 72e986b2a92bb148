"""What the functions of a core module do with functions: calls, references, tables, segments.

Function bodies are scanned at once, when the first one is asked for.  Indices are those of the
module's index spaces (imports first).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.code import Found
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.module import CoreModule, Element, FuncType
from whamm_cm.wasm.opcodes import OPCODES, Opcode

#: Parameters and results with every reference type as ``ref``.  Functions that any rule of typing
#: (equal recursion groups, subtypes) lets one call as another have equal signatures.
Signature: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]

_NUMBERS = frozenset(("i32", "i64", "f32", "f64", "v128"))

_CALLS = frozenset(("call", "return_call"))
_INDIRECT = frozenset(("call_indirect", "return_call_indirect"))
#: Calls of a reference to a function of the type that is the first immediate.
_BY_REFERENCE = frozenset(("call_ref", "return_call_ref"))
#: What moves references about; the immediates are kept as they are.
_MOVES = frozenset(
    (
        "table.get", "table.set", "table.init", "table.copy", "table.grow", "table.fill",
        "table.atomic.get", "table.atomic.set", "table.atomic.rmw.xchg",
        "table.atomic.rmw.cmpxchg", "array.new_elem", "array.init_elem", "cont.new",
    )
)  # fmt: skip
_WANTED = frozenset(
    row
    for row in OPCODES
    if row.mnemonic in _CALLS | _INDIRECT | _BY_REFERENCE | _MOVES | {"ref.func"}
)
_ORDERING = "table.atomic."

#: Bodies of at most this many bytes are read once more for the constants before indirect calls:
#: the shims of wit-component are that short, and each calls one known slot.
_SHORT = 256


@dataclass(frozen=True, slots=True)
class IndirectCall:
    """``slot``: the element called, None where the code computes it."""

    table: int
    type: int
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """An instruction that moves references: its mnemonic and the indices it names."""

    op: str
    operands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Uses:
    """What one function body uses; each thing once, in order of its first appearance.

    ``calls``: functions.  ``call_refs``: types.  ``refs``: functions of ``ref.func``.
    """

    calls: tuple[int, ...] = ()
    indirect: tuple[IndirectCall, ...] = ()
    call_refs: tuple[int, ...] = ()
    refs: tuple[int, ...] = ()
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """An element segment.  ``functions`` by position (None: null or not known).

    ``offset`` is None where it is not a constant; ``others``: an item is neither a function nor
    null (the value of a global, or a struct).  ``refs``: the functions that such items refer to,
    any number in each.
    """

    mode: str
    table: int | None
    offset: int | None
    functions: tuple[int | None, ...]
    others: bool = False
    refs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A constant expression: ``function`` where it is that function and nothing else.  ``other``:
    it is neither a function nor null; ``refs`` are the functions that it refers to then."""

    function: int | None
    refs: tuple[int, ...] = ()
    other: bool = False


class CallGraph:
    """The call graph of one module, found as it is asked for.

    Every method raises DecodeError where the module is malformed or an index names nothing.
    """

    def __init__(self, module: CoreModule) -> None:
        self.module = module
        self.imported = len(module.imported("func"))
        self._uses: dict[int, Uses] = {}

    @property
    def count(self) -> int:
        """The number of functions, imported ones included."""
        return self.imported + len(self.module.functions)

    def signature(self, function: int) -> Signature:
        """Of a function, by its index."""
        return _signature(self.module.func_type(function))

    def type_signature(self, index: int) -> Signature:
        """Of a function type, by its index."""
        return _signature(self.module.type_func(index))

    def uses(self, function: int) -> Uses:
        """What the body of a defined function uses."""
        found = self._uses.get(function)
        if found is None:
            found = self._uses[function] = self._read(function)
        return found

    def _read(self, function: int) -> Uses:
        module, index = self.module, function - self.imported
        if index < 0:
            raise self.error(f"function {function} is imported and has no body")
        body = module.bodies[self._check(function) - self.imported]
        found = self._found.get(index)
        if not found:
            return _NOTHING
        collected = _Collected()
        for at, row, end in found:
            collected.add(row, _operands(module.data, at + 1 + bool(row.prefix), end, row))
        if collected.indirect and body.end - body.code <= _SHORT:
            collected.indirect = dict.fromkeys(self._with_slots(index))
        for callee in (*collected.calls, *collected.refs):
            self._check(callee)
        return collected.done()

    @cached_property
    def _found(self) -> dict[int, list[Found]]:
        """What may matter of each body that has some, found at once."""
        return dict(self.module.find(_WANTED).by_span())

    def _with_slots(self, index: int) -> Iterator[IndirectCall]:
        data, slot = self.module.data, None
        for at, row, end in self.module.instructions(index):
            if row.mnemonic in _INDIRECT:
                kind, table = _operands(data, at + 1, end, row)
                yield IndirectCall(table, kind, slot)
            slot = _signed(data, at + 1, end) if row.mnemonic == "i32.const" else None

    def _check(self, function: int) -> int:
        if function >= self.count:
            raise self.error(f"function {function} is out of bounds (there are {self.count})")
        return function

    def error(self, message: str) -> DecodeError:
        """A fault of this module."""
        return DecodeError(message, self.module.offset, self.module.path)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The element segments, in order."""
        return tuple(self._segment(element) for element in self.module.elements)

    def _segment(self, element: Element) -> Segment:
        offset = None if element.offset is None else _constant(element.offset)
        if element.functions is not None:
            for function in element.functions:
                self._check(function)
            return Segment(element.mode, element.table, offset, element.functions)
        items = [self.item(expr) for expr in element.exprs or ()]
        refs = tuple(dict.fromkeys(found for item in items for found in item.refs))
        functions = tuple(item.function for item in items)
        others = any(item.other for item in items)
        return Segment(element.mode, element.table, offset, functions, others, refs)

    def item(self, expr: memoryview) -> Item:
        """What a constant expression of a reference type gives."""
        found, form = tuple(self.functions_in(expr)), _form(expr)
        if form == ["ref.func", "end"]:
            return Item(found[0])
        return Item(None, found, form != ["ref.null", "end"])

    def functions_in(self, expr: memoryview) -> Iterator[int]:
        """The functions a constant expression refers to."""
        for at, row, end in scan(expr, 0, len(expr), path=self.module.path):
            if row.mnemonic == "ref.func":
                yield self._check(_operands(expr, at + 1, end, row)[0])

    @cached_property
    def initial_refs(self) -> tuple[int, ...]:
        """The functions that the initial values of globals refer to."""
        typed = (g for g in self.module.globals if g.type.type not in _NUMBERS)
        return tuple(dict.fromkeys(f for g in typed for f in self.functions_in(g.init)))

    def name(self, function: int) -> str | None:
        """What the name section calls a function, else an export of it, else its import."""
        given = self.module.names.functions.get(function)
        return given or self._public_names.get(function)

    @cached_property
    def _public_names(self) -> dict[int, str]:
        names = {i: f"{x.module}.{x.name}" for i, x in enumerate(self.module.imported("func"))}
        exports = (e for e in self.module.exports if e.kind == "func")
        return {export.index: export.name for export in exports} | names


_NOTHING = Uses()


class _Collected:
    """Dictionaries as sets in order."""

    def __init__(self) -> None:
        self.calls: dict[int, None] = {}
        self.indirect: dict[IndirectCall, None] = {}
        self.call_refs: dict[int, None] = {}
        self.refs: dict[int, None] = {}
        self.moves: dict[Move, None] = {}

    def add(self, row: Opcode, operands: tuple[int, ...]) -> None:
        op = row.mnemonic
        if op in _CALLS:
            self.calls[operands[0]] = None
        elif op in _INDIRECT:
            self.indirect[IndirectCall(operands[1], operands[0])] = None
        elif op == "ref.func":
            self.refs[operands[0]] = None
        elif op in _BY_REFERENCE:
            self.call_refs[operands[0]] = None
        else:
            # A memory ordering is no index.
            kept = operands[1:] if op.startswith(_ORDERING) else operands
            self.moves[Move(op, kept)] = None

    def done(self) -> Uses:
        lists: Iterable[dict[int, None]] = (self.calls, self.call_refs, self.refs)
        calls, call_refs, refs = (tuple(found) for found in lists)
        return Uses(calls, tuple(self.indirect), call_refs, refs, tuple(self.moves))


def _signature(found: FuncType) -> Signature:
    return _erased(found.params), _erased(found.results)


def _erased(types: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name if name in _NUMBERS else "ref" for name in types)


def _operands(data: memoryview, start: int, end: int, row: Opcode) -> tuple[int, ...]:
    """The immediates of an instruction that has only unsigned ones, all read by the scanner before.

    ``start``: behind the opcode's first byte, or the second's where there is a prefix.
    """
    if end - start == 1:
        return (data[start],)
    found: list[int] = []
    value = shift = 0
    for byte in data[start:end]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    # An opcode's number may be padded, and then its last bytes stand here.
    return tuple(found[-len(row.immediates) :])


def _signed(data: memoryview, start: int, end: int) -> int:
    """A signed LEB128 as the unsigned index a 32-bit table takes it for."""
    value = shift = 0
    for byte in data[start:end]:
        value |= (byte & 0x7F) << shift
        shift += 7
    if data[end - 1] & 0x40:
        value -= 1 << shift
    return value & 0xFFFFFFFF


def _constant(expr: memoryview) -> int | None:
    """The value of ``i32.const`` or ``i64.const`` alone, None for any other expression."""
    steps = list(scan(expr, 0, len(expr)))
    at, row, end = steps[0]
    if len(steps) != 2 or row.mnemonic not in ("i32.const", "i64.const"):
        return None
    return _signed(expr, at + 1, end)


def _form(expr: memoryview) -> list[str]:
    return [row.mnemonic for _, row, _ in scan(expr, 0, len(expr))]
