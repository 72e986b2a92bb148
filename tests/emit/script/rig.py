"""Bodies run for real: a module around a snippet, the script state next to it, Python as agent."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import wasmtime as wt

from whamm_cm.agent import layout
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.compile import compile_expr, compile_function
from whamm_cm.emit.script.env import RUNTIME, STATE, Globals, Memory, Place
from whamm_cm.emit.script.types import flats, size_of
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType

CELLS = layout.STATIC + 4096
HEAP = layout.STATIC + 8192
_KINDS = {"i32": wt.ValType.i32(), "i64": wt.ValType.i64()}


@cache
def engine() -> wt.Engine:
    config = wt.Config()
    config.cranelift_opt_level = "none"
    return wt.Engine(config)


@cache
def state_module() -> wt.Module:
    return wt.Module(engine(), layout.load_wasm("state-all.wasm"))


@dataclass
class State:
    """state.wasm with an agent whose memory is a bytearray."""

    store: Any = field(default_factory=lambda: wt.Store(engine()))
    bytes_: bytearray = field(default_factory=lambda: bytearray(1 << 20))
    heap: int | None = HEAP
    raw: bytes | None = None

    def __post_init__(self) -> None:
        self.reset()
        linker = wt.Linker(engine())
        for name, params, results, call in (
            ("get32", ["i32"], ["i32"], self.get32),
            ("put32", ["i32", "i32"], [], lambda p, v: self.put(p, 4, v)),
            ("put64", ["i32", "i64"], [], lambda p, v: self.put(p, 8, v)),
            ("room", [], ["i32"], lambda: 0),
        ):
            kind = wt.FuncType([_KINDS[k] for k in params], [_KINDS[k] for k in results])
            linker.define_func("agent", name, kind, call)
        linker.define_func("way", "drain", wt.FuncType([], []), lambda: None)
        linker.define_func("way", "context", wt.FuncType([], [wt.ValType.i32()]), lambda: 0)
        module = state_module() if self.raw is None else wt.Module(engine(), self.raw)
        self.instance = linker.instantiate(self.store, module)
        self.exports = self.instance.exports(self.store)
        if self.heap is not None:
            self.exports["state_init"](self.store, self.heap)

    def reset(self) -> None:
        self.put(layout.STATE + layout.POS, 4, 65536)
        self.put(layout.STATE + layout.LIMIT, 4, len(self.bytes_) - layout.MAX_RECORD)

    def get32(self, p: int) -> int:
        return struct.unpack_from("<i", self.bytes_, p)[0]

    def put(self, p: int, size: int, value: int) -> None:
        self.bytes_[p : p + size] = (value % (1 << 8 * size)).to_bytes(size, "little")

    def records(self) -> list[tuple[int, int, int, bytes]]:
        """What has been written since the last call: (site, phase with flags, cell, body)."""
        at, end, out = 65536, self.get32(layout.STATE + layout.POS), []
        while at < end:
            size, kind, call = struct.unpack_from("<IIQ", self.bytes_, at)
            out.append((kind >> 8, kind & 0xFF, call, bytes(self.bytes_[at + 16 : at + size])))
            at += size
        self.reset()
        return out

    def texts(self) -> list[str]:
        """The texts of the print records."""
        return [body[12:].decode() for _, kind, _, body in self.records() if kind & 15 == 5]

    def read(self, p: int, size: int) -> bytes:
        return bytes(self.exports["memory"].read(self.store, p, p + size))


class Snippet:
    """An ``Env`` in a module of its own.

    ``direct``: with the state memory imported, else only its functions.  ``bound``: types of the
    bound variables, parameters of the function.  ``results``: those that are handed back.
    """

    def __init__(
        self,
        direct: bool,
        bound: Mapping[str, vt.Type],
        statics: Mapping[str, object],
        functions: Sequence[t.Function] = (),
        guest: bytes | None = None,
    ) -> None:
        self.module, self.direct, self.statics = Module(), direct, statics
        self._functions = {
            name: self.module.import_func("state", name, *RUNTIME[name]) for name in RUNTIME
        }
        self.memory = self.module.import_memory("state", "memory", MemoryType()) if direct else None
        self._guest = self.module.memory(MemoryType(1)) if guest is not None else None
        if guest is not None:
            self.module.data(self._guest or 0, 0, guest)
            self.module.export_memory("guest", self._guest or 0)
        self._globals: dict[t.Variable, tuple[int, ...]] = {}
        self._cells: dict[t.Variable, int] = {}
        self._strings: dict[str, tuple[int, int]] = {}
        self.data = bytearray()
        self._bound: dict[str, tuple[int, ...]] = {}
        start = 0
        for name, kind in bound.items():
            self._bound[name] = tuple(range(start, start + len(flats(kind))))
            start += len(flats(kind))
        self.print_sites: list[object] = []
        self._users: dict[t.Function, Func] = {}
        self.initials: dict[int, tuple[int, ...]] = {}
        for function in functions:
            params = [core for p in function.params for core in flats(p.type)]
            self._users[function] = self.module.func(params, flats(function.result))

    def function(self, name: str) -> int:
        return self._functions[name]

    def user(self, function: t.Function) -> int:
        return self._users[function].index

    def library(self, library: str, function: str) -> int:
        raise KeyError(function)

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        return self.initials[id(call)]

    def global_(self, variable: t.Variable) -> tuple[int, ...]:
        if variable not in self._globals:
            indices = tuple(self.module.global_(kind, 0) for kind in flats(variable.type))
            for i, index in enumerate(indices):
                self.module.export_global(f"{variable.name}{i}", index)
            self._globals[variable] = indices
        return self._globals[variable]

    def cell(self, variable: t.Variable) -> Place:
        if variable.name.startswith("g"):
            return Globals(self.global_(variable))
        if variable not in self._cells:
            self._cells[variable] = CELLS + sum(size_of(v.type) for v in self._cells)
        return Memory(None, self._cells[variable])

    def bound(self, name: str) -> tuple[int, ...]:
        return self._bound[name]

    def static(self, f: Func, node: t.Static) -> None:
        compile_expr(f, t.Const(node.type, self.statics[node.name]), self)

    def string(self, text: str) -> tuple[int, int]:
        if text not in self._strings:
            raw = text.encode()
            self._strings[text] = (layout.STATIC + len(self.data), len(raw))
            self.data += raw
        return self._strings[text]

    def print_site(self, stmt: t.Print | t.LibCall) -> int:
        return 77

    def guest(self, memory: t.Expr | None) -> Guest | None:
        if isinstance(memory, t.Const) and memory.value == 9:
            return STATE
        return None if self._guest is None else Guest(self._guest, False, 16)

    def wit(self, f: Func, expr: t.Expr) -> None:
        raise AssertionError("no place in the program is part of these tests")

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        raise AssertionError("no place in the program is part of these tests")

    def builtin(self, f: Func, node: t.Builtin) -> None:
        raise AssertionError("no place in the program is part of these tests")


class Machine:
    """Statements (and a result) that can be run again and again, with their state."""

    def __init__(
        self,
        stmts: Sequence[t.Stmt] = (),
        result: t.Expr | None = None,
        *,
        direct: bool = True,
        bound: Mapping[str, vt.Type] | None = None,
        statics: Mapping[str, object] | None = None,
        functions: Sequence[t.Function] = (),
        guest: bytes | None = None,
        state: State | None = None,
        read_back: Sequence[str] = (),
    ) -> None:
        self.bound, self.result = bound or {}, result
        env = Snippet(direct, self.bound, statics or {}, functions, guest)
        params = [core for kind in self.bound.values() for core in flats(kind)]
        results = flats(result.type) if result is not None else ()
        results += tuple(core for name in read_back for core in flats(self.bound[name]))
        f = env.module.func(params, results)
        body = Body(f, env)
        body.block(stmts)
        if result is not None:
            body.expr(result)
        for name in read_back:
            for index in env.bound(name):
                f.get(index)
        env.module.export_func("run", f.index)
        for function in functions:
            compile_function(env._users[function], function, env)
        self._make_maps(env)
        self.state = state or State()
        self._instantiate(env)

    def _make_maps(self, env: Snippet) -> None:
        from whamm_cm.emit.script import places

        init = env.module.func()
        for variable, indices in env._globals.items():
            if isinstance(variable.type, vt.MapT | vt.AggT) and variable.kind is t.Kind.GLOBAL:
                places.make(Body(init, env), variable.type)
                init.global_set(indices[0])
        env.module.export_func("init", init.index)

    def _instantiate(self, env: Snippet) -> None:
        store = self.state.store
        raw = env.module.encode()
        module = wt.Module(engine(), raw)
        linker = wt.Linker(engine())
        linker.define_instance(store, "state", self.state.instance)
        self.exports = linker.instantiate(store, module).exports(store)
        if env.data:
            self.state.exports["memory"].write(store, bytes(env.data), layout.STATIC)
        self.exports["init"](store)

    def run(self, *args: object) -> Any:
        """Bound variables in order of declaration; the result as a script value."""
        given: list[Any] = []
        for kind, value in zip(self.bound.values(), args, strict=True):
            given.extend(self._flatten(kind, value))
        out = self.exports["run"](self.state.store, *given)
        if self.result is None:
            return out
        parts = out if isinstance(out, list) else [out]
        return self._value(self.result.type, iter(parts))

    def _flatten(self, kind: vt.Type, value: Any) -> list[Any]:
        if isinstance(kind, vt.TupleT):
            pairs = zip(kind.items, value, strict=True)
            return [flat for item, part in pairs for flat in self._flatten(item, part)]
        if kind == vt.STR:
            raw = value.encode()
            store = self.state.store
            p = self.state.exports["tmp"](store, len(raw))
            self.state.exports["memory"].write(store, raw, p)
            return [p, len(raw)]
        if flats(kind) == ("i32",):
            return [(int(value) + (1 << 31)) % (1 << 32) - (1 << 31)]
        if flats(kind) == ("i64",):
            return [(value + (1 << 63)) % (1 << 64) - (1 << 63)]
        return [value]

    def _value(self, kind: vt.Type, parts: Any) -> Any:
        if isinstance(kind, vt.TupleT):
            return tuple(self._value(item, parts) for item in kind.items)
        if kind == vt.STR:
            p, size = next(parts), next(parts)
            return self.state.read(p & 0xFFFFFFFF, size).decode()
        value = next(parts)
        name = getattr(kind, "name", "")
        if name in ("u8", "u16", "u32"):
            return value & 0xFFFFFFFF
        if name == "u64":
            return value & 0xFFFFFFFFFFFFFFFF
        return bool(value) if name == "bool" else value

    def global_(self, name: str, i: int = 0) -> Any:
        return self.exports[f"{name}{i}"].value(self.state.store)
