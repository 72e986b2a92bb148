"""The words of signatures that are no value types: what they stand for in a module.

A resolver takes the function's surroundings and the immediates of the instruction and gives the
types the word stands for, bottom first.  DecodeError for indices that are out of bounds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from itertools import accumulate

from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.immediates import Immediate
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode
from whamm_cm.wasm.signatures import NUMBERS, Signature, signature
from whamm_cm.wasm.types import FuncType, TypeDef, read_val_type
from whamm_cm.wasm.valtypes import heap_of, reference

_PACKED = {0x78: "i8", 0x77: "i16"}
_UNPACKED = {"i8": "i32", "i16": "i32"}
_SUB, _SHARED, _CLAUSES = (0x50, 0x4F), 0x65, {0x4C: "describes", 0x4D: "descriptor"}
_CONT = 0x5D

#: More operands than engines allow, so what lacks some of them is refused or unreachable.
_MOST_ITEMS = 1 << 16


class Shape:
    """What a type definition holds: fields (a struct's, or an array's one) and clauses."""

    __slots__ = ("clauses", "cont", "fields")

    def __init__(self, definition: TypeDef) -> None:
        self.fields: tuple[str, ...] = ()
        self.clauses: dict[str, int] = {}
        self.cont: int | None = None
        cur = Cursor(definition.data, 0, len(definition.data))
        if cur.peek() in _SUB:
            cur.pos += 1
            cur.vector("supertype", Cursor.u32)
        if cur.peek() == _SHARED:
            cur.pos += 1
        while cur.peek() in _CLAUSES:
            clause = _CLAUSES[cur.u8()]
            self.clauses[clause] = cur.u32()
        form = cur.u8()
        if form == _CONT:
            self.cont = cur.s33()
        elif definition.kind == "struct":
            self.fields = cur.vector("field", _field)
        elif definition.kind == "array":
            self.fields = (_field(cur),)


def _field(cur: Cursor) -> str:
    packed = _PACKED.get(cur.peek())
    if packed is not None:
        cur.pos += 1
    kind = packed or read_val_type(cur)
    cur.flag("mutability of a field")
    return kind


class Locals:
    """The types of a function's locals by index, without a list of them all."""

    def __init__(self, params: tuple[str, ...], groups: tuple[tuple[int, str], ...]) -> None:
        runs = [(1, kind) for kind in params] + [group for group in groups if group[0]]
        self._ends = list(accumulate(count for count, _ in runs))
        self._kinds = [kind for _, kind in runs]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def type(self, index: int) -> str | None:
        """None when there is no such local."""
        run = bisect_right(self._ends, index)
        return self._kinds[run] if run < len(self._kinds) else None


class Scope:
    """A function of a module, as far as types of instructions depend on it.

    ``index`` counts defined functions.
    """

    def __init__(self, module: CoreModule, index: int) -> None:
        self.module, self.index = module, index
        self.type: FuncType = module.type_func(module.functions[index])
        self.locals = Locals(self.type.params, module.bodies[index].locals)
        self._shapes: dict[int, Shape] = {}
        #: The types of the locals whose index is one byte.
        few = min(len(self.locals), 0x80)
        self.few_locals = [self.local(number) for number in range(few)]

    def error(self, message: str, pos: int | None = None) -> DecodeError:
        module = self.module
        at = module.bodies[self.index].start if pos is None else pos
        path = f"{module.path}.code[{self.index}]".lstrip(".")
        return DecodeError(message, module.offset + at, path)

    def local(self, index: int) -> str:
        found = self.locals.type(index)
        if found is None:
            raise self.error(f"local index {index} is out of bounds (there are {len(self.locals)})")
        return found

    def shape(self, index: int) -> Shape:
        found = self._shapes.get(index)
        if found is None:
            types = self.module.types
            if index >= len(types):
                raise self.error(f"type index {index} is out of bounds (there are {len(types)})")
            found = self._shapes[index] = Shape(types[index])
        return found

    def field(self, index: int, field: int) -> str:
        """The type of a value of that field on the stack."""
        fields = self.shape(index).fields
        if field >= len(fields):
            raise self.error(f"type {index} has no field {field}")
        return _UNPACKED.get(fields[field], fields[field])

    def func_index_type(self, index: int) -> int:
        """The type index of function ``index``."""
        imported = self.module.imported("func")
        if index < len(imported):
            found = imported[index].type
            assert isinstance(found, int)
            return found
        self.module.func_type(index)  # checks the index
        return self.module.functions[index - len(imported)]

    def cont(self, index: int) -> tuple[int, FuncType]:
        """The function type, and its index, of continuation type ``index``."""
        found = self.shape(index).cont
        if found is None:
            raise self.error(f"type {index} is not a continuation type")
        return found, self.module.type_func(found)

    @cached_property
    def descriptors(self) -> bool:
        """Whether types of the module have descriptors, so that exact types matter."""
        return any(self.shape(index).clauses for index in range(len(self.module.types)))

    @cached_property
    def quick(self) -> dict[Opcode, Signature]:
        """Signatures that immediates do not decide here: fixed ones and, usually, memory ones."""
        memories = self.module.memories, self.module.imported("memory")
        wide = any(m.is64 for m in memories[0]) or any(
            getattr(item.type, "is64", False) for item in memories[1]
        )
        return _QUICK[wide]


class Immediates:
    """The immediates of one instruction by kind."""

    __slots__ = ("kinds", "values")

    def __init__(self, opcode: Opcode, values: tuple[Immediate, ...]) -> None:
        self.kinds, self.values = opcode.immediates, values

    def index(self, kind: Imm, number: int = 0) -> int:
        """The ``number``-th immediate that is an index of that kind."""
        of_kind = [v for k, v in zip(self.kinds, self.values, strict=True) if k is kind]
        found = of_kind[number]
        assert isinstance(found, int)
        return found

    def of(self, kind: Imm) -> Immediate:
        return self.values[self.kinds.index(kind)]


Types = tuple[str, ...]
Resolver = Callable[[Scope, Immediates], Types]


def _address(is64: bool) -> Types:
    return ("i64",) if is64 else ("i32",)


def _memory(number: int) -> Resolver:
    return lambda s, i: _address(s.module.memory_type(i.index(Imm.MEMORY, number)).is64)


def _table(number: int) -> Resolver:
    return lambda s, i: _address(s.module.table_type(i.index(Imm.TABLE, number)).is64)


def _least(one: Resolver, other: Resolver) -> Resolver:
    """The address type of a length that both sides must be able to hold."""
    return lambda s, i: ("i64",) if one(s, i) == other(s, i) == ("i64",) else ("i32",)


def _memarg(scope: Scope, imms: Immediates) -> Types:
    memarg = imms.of(next(kind for kind in imms.kinds if kind.is_memarg))
    return _address(scope.module.memory_type(getattr(memarg, "memory", 0)).is64)


def _called(scope: Scope, imms: Immediates) -> FuncType:
    """The type of what a call instruction calls."""
    if Imm.FUNC in imms.kinds:
        return scope.module.func_type(imms.index(Imm.FUNC))
    return scope.module.type_func(imms.index(Imm.TYPE))


def _typed(number: int, null: bool) -> Resolver:
    def resolve(scope: Scope, imms: Immediates) -> Types:
        index = imms.index(Imm.TYPE, number)
        scope.shape(index)
        return (reference(str(index), null),)

    return resolve


def _allocated(scope: Scope, imms: Immediates) -> Types:
    index = imms.index(Imm.TYPE)
    scope.shape(index)
    heap = f"(exact {index})" if scope.descriptors else str(index)
    return (reference(heap, False),)


def _item(scope: Scope, imms: Immediates) -> Types:
    return (scope.field(imms.index(Imm.TYPE), 0),)


def _fields(scope: Scope, imms: Immediates) -> Types:
    return tuple(_UNPACKED.get(k, k) for k in scope.shape(imms.index(Imm.TYPE)).fields)


def _items(scope: Scope, imms: Immediates) -> Types:
    count = min(imms.index(Imm.COUNT), _MOST_ITEMS)
    return _item(scope, imms) * count


def _descriptor(scope: Scope, imms: Immediates) -> Types:
    found = scope.shape(imms.index(Imm.TYPE)).clauses.get("descriptor")
    if found is None:
        raise scope.error(f"type {imms.index(Imm.TYPE)} has no descriptor")
    return (reference(f"(exact {found})"),)


def heap_descriptor(scope: Scope, heap: str) -> str:
    """The type a descriptor operand must have for a cast to ``heap``."""
    exact = heap.startswith("(exact ")
    index = heap.removeprefix("(exact ").rstrip(")")
    if not index.isdecimal():
        raise scope.error(f"heap type {heap} has no descriptor")
    found = scope.shape(int(index)).clauses.get("descriptor")
    if found is None:
        raise scope.error(f"type {index} has no descriptor")
    return reference(f"(exact {found})" if exact else str(found))


def _heap(imms: Immediates) -> str:
    return str(imms.of(Imm.HEAPTYPE))


def _func_type(scope: Scope, imms: Immediates) -> Types:
    index = scope.func_index_type(imms.index(Imm.FUNC))
    heap = f"(exact {index})" if scope.descriptors else str(index)
    return (reference(heap, False),)


def _chosen(scope: Scope, imms: Immediates) -> Types:
    kinds = imms.of(Imm.VALTYPES)
    if not isinstance(kinds, tuple) or len(kinds) != 1:
        raise scope.error("select of several types")
    return (str(kinds[0]),)


def _bound(scope: Scope, imms: Immediates) -> Types:
    """What ``cont.bind`` supplies: the parameters the second type has no more."""
    before = scope.cont(imms.index(Imm.TYPE, 0))[1].params
    after = scope.cont(imms.index(Imm.TYPE, 1))[1].params
    if len(after) > len(before):
        raise scope.error("cont.bind adds parameters")
    return before[: len(before) - len(after)]


def _switched(scope: Scope, imms: Immediates) -> Types:
    params = scope.cont(imms.index(Imm.TYPE))[1].params
    if not params:
        raise scope.error("switch to a continuation without parameters")
    return params[:-1]


def _switched_back(scope: Scope, imms: Immediates) -> Types:
    """The parameters of the continuation that the one switched to is given."""
    found = heap_of((scope.cont(imms.index(Imm.TYPE))[1].params or ("",))[-1])
    if found is None or not found[0].isdecimal():
        raise scope.error("switch to a continuation that takes none")
    return scope.cont(int(found[0]))[1].params


#: Each word of a signature that is no value type.
RESOLVERS: dict[str, Resolver] = {
    "at": _memarg,
    "mem": _memory(0),
    "source_mem": _memory(1),
    "least_mem": _least(_memory(0), _memory(1)),
    "tab": _table(0),
    "source_tab": _table(1),
    "least_tab": _least(_table(0), _table(1)),
    "element": lambda s, i: (s.module.table_type(i.index(Imm.TABLE)).element,),
    "local": lambda s, i: (s.local(i.index(Imm.LOCAL)),),
    "global": lambda s, i: (s.module.global_type(i.index(Imm.GLOBAL)).type,),
    "params": lambda s, i: _called(s, i).params,
    "results": lambda s, i: _called(s, i).results,
    "tag_params": lambda s, i: s.module.tag_type(i.index(Imm.TAG)).params,
    "tag_results": lambda s, i: s.module.tag_type(i.index(Imm.TAG)).results,
    "chosen": _chosen,
    "null_heap": lambda s, i: (reference(_heap(i)),),
    "func_type": _func_type,
    "i31": lambda s, i: ("(ref i31)",),
    "shared_i31": lambda s, i: ("(ref (shared i31))",),
    "type": _allocated,
    "null_type": _typed(0, True),
    "null_source": _typed(1, True),
    "source": _typed(1, False),
    "null_func": lambda s, i: (reference(str(s.cont(i.index(Imm.TYPE))[0])),),
    "fields": _fields,
    "field": lambda s, i: (s.field(i.index(Imm.TYPE), i.index(Imm.FIELD)),),
    "item": _item,
    "items": _items,
    "descriptor": _descriptor,
    "cast_descriptor": lambda s, i: (heap_descriptor(s, _heap(i)),),
    "bound": _bound,
    "cont_params": lambda s, i: s.cont(i.index(Imm.TYPE))[1].params,
    "cont_results": lambda s, i: s.cont(i.index(Imm.TYPE))[1].results,
    "switched": _switched,
    "switched_back": _switched_back,
}

#: Casts to a nullable type: the second row of each pair.
_NULL_CASTS = frozenset(((0xFB, 0x17), (0xFB, 0x24)))


def _word(scope: Scope, opcode: Opcode, word: str, imms: Immediates) -> Types:
    if word == "cast":
        return (reference(_heap(imms), (opcode.prefix, opcode.code) in _NULL_CASTS),)
    resolver = RESOLVERS.get(word)
    return (word,) if resolver is None else resolver(scope, imms)


def resolve(scope: Scope, opcode: Opcode, values: tuple[Immediate, ...]) -> tuple[Types, Types]:
    """(popped, pushed), bottom first, of an instruction that is not special."""
    found = signature(opcode)
    imms = Immediates(opcode, values)
    pops = tuple(k for word in found.pops for k in _word(scope, opcode, word, imms))
    return pops, tuple(k for word in found.pushes for k in _word(scope, opcode, word, imms))


def _quick(wide: bool) -> dict[Opcode, Signature]:
    plain = NUMBERS | (frozenset() if wide else frozenset(("at",)))
    found = {}
    for opcode in OPCODES:
        row = signature(opcode)
        if not row.special and plain.issuperset(row.pops + row.pushes):
            pops = tuple("i32" if word == "at" else word for word in row.pops)
            found[opcode] = Signature(pops, row.pushes)
    return found


_QUICK = {wide: _quick(wide) for wide in (False, True)}
