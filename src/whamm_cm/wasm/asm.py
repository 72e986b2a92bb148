"""A small assembler: core modules and function bodies, written straight to bytes.

``Module`` collects imports first, then functions; a function's index is known as soon as it is
declared, so bodies may call functions that are written later.  Core Specification, 5.4 and 5.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import TracebackType

from whamm_cm.wasm.leb import name_bytes, signed, unsigned
from whamm_cm.wasm.opcodes import OPCODES
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wasm.valtypes import encode as value_type

FuncType = tuple[tuple[str, ...], tuple[str, ...]]

_EMPTY_BLOCK = b"\x40"
_FUNC, _TABLE, _MEMORY, _GLOBAL = 0, 1, 2, 3
#: Instructions by name; of several encodings of one name the first, which is the shortest.
_OPCODES: dict[str, bytes] = {}
for _opcode in OPCODES:
    _code = bytes((_opcode.prefix,)) if _opcode.prefix else b""
    _code += unsigned(_opcode.code) if _opcode.prefix else bytes((_opcode.code,))
    _OPCODES.setdefault(_opcode.mnemonic, _code)
_sleb = lru_cache(maxsize=1 << 14)(signed)  # the same few offsets and sizes again and again


def _wrap(value: int, bits: int) -> int:
    """``value`` modulo 2**bits as the signed number a const instruction carries."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def vector(items: Sequence[bytes]) -> bytes:
    """A count followed by the items."""
    return unsigned(len(items)) + b"".join(items)


def _float32(value: float) -> bytes:
    """The bytes of ``value``, already rounded or out of range (then an infinity)."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def constant(kind: str, value: float) -> bytes:
    """The const instruction of ``kind``; integers modulo their width, "funcref" is a null."""
    match kind:
        case "i32":
            return b"\x41" + _sleb(_wrap(int(value), 32))
        case "i64":
            return b"\x42" + _sleb(_wrap(int(value), 64))
        case "f32":
            return b"\x43" + _float32(value)
        case "f64":
            return b"\x44" + struct.pack("<d", value)
    return b"\xd0\x70"


class Label:
    """An open block; leaving the ``with`` statement writes its ``end``."""

    __slots__ = ("depth", "func")

    def __init__(self, func: Func, depth: int) -> None:
        self.func, self.depth = func, depth

    def __enter__(self) -> Label:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if kind is None:
            self.func.end()


class Func:
    """A function body under construction.  Parameters are the first locals."""

    __slots__ = ("code", "depth", "index", "locals", "params", "type_index")

    def __init__(self, index: int, type_index: int, params: tuple[str, ...]) -> None:
        self.index, self.type_index, self.params = index, type_index, params
        self.code = bytearray()
        self.locals: list[str] = []
        self.depth = 0

    def local(self, kind: str) -> int:
        """Declare a local and return its index."""
        self.locals.append(kind)
        return len(self.params) + len(self.locals) - 1

    def get(self, index: int) -> None:
        self.code += b"\x20" + unsigned(index)

    def set(self, index: int) -> None:
        self.code += b"\x21" + unsigned(index)

    def tee(self, index: int) -> None:
        self.code += b"\x22" + unsigned(index)

    def i32(self, value: int) -> None:
        """``i32.const`` of ``value`` modulo 2**32."""
        self.code += b"\x41" + _sleb(_wrap(value, 32))

    def i64(self, value: int) -> None:
        """``i64.const`` of ``value`` modulo 2**64."""
        self.code += b"\x42" + _sleb(_wrap(value, 64))

    def const(self, kind: str, value: float) -> None:
        """A constant of ``kind``, see ``constant``."""
        self.code += constant(kind, value)

    def op(self, *names: str) -> None:
        """Instructions without immediates."""
        for name in names:
            self.code += _OPCODES[name]

    def memory_op(self, name: str, offset: int = 0, memory: int = 0) -> None:
        """A load or store, without alignment hint."""
        self.code += _OPCODES[name]
        if memory:
            self.code += b"\x40" + unsigned(memory) + unsigned(offset)
        else:
            self.code += b"\0" + unsigned(offset)

    def memory_size(self, memory: int) -> None:
        self.code += b"\x3f" + unsigned(memory)

    def memory_grow(self, memory: int) -> None:
        self.code += b"\x40" + unsigned(memory)

    def memory_copy(self, target: int, source: int) -> None:
        self.code += b"\xfc\x0a" + unsigned(target) + unsigned(source)

    def call(self, index: int) -> None:
        self.code += b"\x10" + unsigned(index)

    def call_indirect(self, type_index: int, table: int = 0) -> None:
        """Stack: arguments, index into the table."""
        self.code += b"\x11" + unsigned(type_index) + unsigned(table)

    def table_get(self, table: int = 0) -> None:
        self.code += b"\x25" + unsigned(table)

    def ref_is_null(self) -> None:
        self.code += b"\xd1"

    def global_get(self, index: int) -> None:
        self.code += b"\x23" + unsigned(index)

    def global_set(self, index: int) -> None:
        self.code += b"\x24" + unsigned(index)

    def _open(self, code: bytes, result: str | int | None) -> Label:
        self.code += code
        if isinstance(result, int):
            self.code += signed(result)
        else:
            self.code += _EMPTY_BLOCK if result is None else value_type(result)
        self.depth += 1
        return Label(self, self.depth)

    def block(self, result: str | int | None = None) -> Label:
        """``result``: a value type, the index of a function type, or nothing."""
        return self._open(b"\x02", result)

    def loop(self, result: str | int | None = None) -> Label:
        return self._open(b"\x03", result)

    def if_(self, result: str | int | None = None) -> Label:
        return self._open(b"\x04", result)

    def else_(self) -> None:
        self.code += b"\x05"

    def end(self) -> None:
        self.code += b"\x0b"
        self.depth -= 1

    def br(self, label: Label) -> None:
        self.code += b"\x0c" + unsigned(self.depth - label.depth)

    def br_if(self, label: Label) -> None:
        self.code += b"\x0d" + unsigned(self.depth - label.depth)

    def encode(self) -> bytes:
        """The body as an entry of the code section."""
        runs: list[tuple[int, str]] = []
        for kind in self.locals:
            if runs and runs[-1][1] == kind:
                runs[-1] = (runs[-1][0] + 1, kind)
            else:
                runs.append((1, kind))
        head = vector([unsigned(n) + value_type(kind) for n, kind in runs])
        return unsigned(len(head) + len(self.code) + 1) + head + self.code + b"\x0b"


class Module:
    """A core module under construction; all imports come before the first function.

    ``groups``: encoded entries its type section begins with, which are ``given`` types.
    """

    def __init__(self, groups: Sequence[bytes] = (), given: int = 0) -> None:
        self._groups, self._given = groups, given
        self._types: dict[FuncType, int] = {}
        self._imports: list[bytes] = []
        self._imported = [0, 0, 0, 0]
        self._funcs: list[Func] = []
        self._memories: list[bytes] = []
        self._globals: list[bytes] = []
        self._exports: list[bytes] = []
        self._data: list[bytes] = []
        self._tables: list[bytes] = []
        self._elements: list[bytes] = []
        self._start: int | None = None

    def type_index(self, params: Iterable[str], results: Iterable[str]) -> int:
        key = (tuple(params), tuple(results))
        return self._types.setdefault(key, self._given + len(self._types))

    def _import(self, module: str, name: str, kind: int, desc: bytes) -> int:
        self._imports.append(name_bytes(module) + name_bytes(name) + bytes((kind,)) + desc)
        self._imported[kind] += 1
        return self._imported[kind] - 1

    def import_func(
        self, module: str, name: str, params: Iterable[str] = (), results: Iterable[str] = ()
    ) -> int:
        """Returns the function index; only legal before the first ``func``."""
        return self.import_func_of(module, name, self.type_index(params, results))

    def import_func_of(self, module: str, name: str, type_index: int) -> int:
        """The same for a type by its index."""
        assert not self._funcs, "function imports come before functions"
        return self._import(module, name, _FUNC, unsigned(type_index))

    def import_memory(self, module: str, name: str, memory: MemoryType) -> int:
        assert not self._memories, "memory imports come before memories"
        return self._import(module, name, _MEMORY, memory.encode())

    def import_global(self, module: str, name: str, kind: str, mutable: bool = True) -> int:
        assert not self._globals, "global imports come before globals"
        return self._import(module, name, _GLOBAL, value_type(kind) + bytes((mutable,)))

    def import_table(self, module: str, name: str, minimum: int = 0) -> int:
        """A table of funcref."""
        assert not self._tables, "table imports come before tables"
        return self._import(module, name, _TABLE, b"\x70\0" + unsigned(minimum))

    def func(self, params: Iterable[str] = (), results: Iterable[str] = ()) -> Func:
        """Declare a function; its body is what has been emitted when ``encode`` is called."""
        params = tuple(params)
        return self.func_of(self.type_index(params, results), params)

    def func_of(self, type_index: int, params: tuple[str, ...]) -> Func:
        """The same for a type by its index."""
        index = self._imported[_FUNC] + len(self._funcs)
        func = Func(index, type_index, params)
        self._funcs.append(func)
        return func

    def memory(self, memory: MemoryType) -> int:
        self._memories.append(memory.encode())
        return self._imported[_MEMORY] + len(self._memories) - 1

    def table(self, minimum: int, maximum: int | None = None) -> int:
        """A table of funcref."""
        limits = unsigned(maximum is not None) + unsigned(minimum)
        limits += b"" if maximum is None else unsigned(maximum)
        self._tables.append(b"\x70" + limits)
        return self._imported[_TABLE] + len(self._tables) - 1

    def elements(self, offset: int, functions: Sequence[int], table: int = 0) -> None:
        """An active segment of functions at a constant offset."""
        head = b"\0" if table == 0 else b"\2" + unsigned(table)
        kind = b"" if table == 0 else b"\0"
        where = b"\x41" + signed(offset) + b"\x0b"
        self._elements.append(head + where + kind + vector([unsigned(i) for i in functions]))

    def start(self, func: int) -> None:
        self._start = func

    def global_(self, kind: str, value: float, mutable: bool = True) -> int:
        """A global with a constant; returns its index."""
        code = constant(kind, value)
        self._globals.append(value_type(kind) + bytes((mutable,)) + code + b"\x0b")
        return self._imported[_GLOBAL] + len(self._globals) - 1

    def export_global(self, name: str, index: int) -> None:
        self._exports.append(name_bytes(name) + b"\3" + unsigned(index))

    def export_table(self, name: str, index: int) -> None:
        self._exports.append(name_bytes(name) + b"\1" + unsigned(index))

    def export_func(self, name: str, func: int) -> None:
        self._exports.append(name_bytes(name) + b"\0" + unsigned(func))

    def export_memory(self, name: str, memory: int) -> None:
        self._exports.append(name_bytes(name) + b"\2" + unsigned(memory))

    def data(self, memory: int, offset: int, raw: bytes) -> None:
        """An active segment at a constant i32 offset."""
        mode = b"\0" if memory == 0 else b"\2" + unsigned(memory)
        self._data.append(mode + b"\x41" + signed(offset) + b"\x0b" + unsigned(len(raw)) + raw)

    def encode(self) -> bytes:
        types = [
            *self._groups,
            *(
                b"\x60"
                + vector([value_type(k) for k in params])
                + vector([value_type(k) for k in results])
                for params, results in self._types
            ),
        ]
        sections = (
            (1, types),
            (2, self._imports),
            (3, [unsigned(f.type_index) for f in self._funcs]),
            (4, self._tables),
            (5, self._memories),
            (6, self._globals),
            (7, self._exports),
            (8, [] if self._start is None else [unsigned(self._start)]),
            (9, self._elements),
            (10, [f.encode() for f in self._funcs]),
            (11, self._data),
        )
        out = bytearray(b"\0asm\1\0\0\0")
        for number, items in sections:
            if items:
                body = items[0] if number == 8 else vector(items)
                out += bytes((number,)) + unsigned(len(body)) + body
        return bytes(out)
