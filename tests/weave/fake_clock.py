"""Plain modules with scripts woven in, on a host whose clock is a test's."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wasmtime import Func, FuncType, Linker, Module, Store, Trap, ValType, WasmtimeError

from tests.weave.host import Sink, engine, text
from tests.weave.scripted import script_plan
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan

WASI = "wasi_snapshot_preview1"
#: What a module imports so that it has a clock.
CLOCK = f"""(import "{WASI}" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)"""


class Exit(Exception):
    """The program left with that status."""


@dataclass
class Timed:
    """``tick``: how far the clock goes on each time it is read; the wall clock is ``wall`` ahead.
    ``asked``: how often it was."""

    tick: int = 1
    now: int = 0
    wall: int = 10**18
    asked: int = 0
    status: int | None = None
    sink: Sink = field(init=False)
    store: Store = field(init=False)
    instance: Any = field(init=False)

    def load(self, wat: str, *scripts: str, **plan: Any) -> Timed:
        woven = weave_module(
            text(f"(module {wat})"),
            Plan(**{"sink": "host", "scripts": script_plan(*scripts), **plan}),
        )
        self.sink = Sink(woven)  # type: ignore[arg-type]
        self.store = Store(engine())
        linker = Linker(self.store.engine)
        for name, kinds, call in (
            ("clock_time_get", "i32 i64 i32", self._time),
            ("proc_exit", "i32", self._exit),
        ):
            results = [ValType.i32()] if name != "proc_exit" else []
            linker.define(self.store, WASI, name, self._func(kinds, results, call))
        emit = self._func("i32 i32", [ValType.i32()], self._emit)
        linker.define(self.store, "whamm:cm/sink", "emit", emit)
        module = Module(self.store.engine, woven.wasm)
        self.instance = linker.instantiate(self.store, module).exports(self.store)
        return self

    def _func(self, kinds: str, results: list[ValType], call: Callable[..., object]) -> Func:
        params = [getattr(ValType, kind)() for kind in kinds.split()]
        return Func(self.store, FuncType(params, results), call)

    def call(self, name: str, *args: Any) -> Any:
        try:
            return self.instance[name](self.store, *args)
        except (WasmtimeError, Trap):
            if self.status is None:
                raise
            return None

    @property
    def printed(self) -> list[str]:
        return [r["text"] for r in self.sink.records if r["phase"] == "print"]

    def _time(self, clock: int, precision: int, at: int) -> int:
        self.asked += 1
        self.now += self.tick
        memory = self.instance["memory"] if self.instance is not None else None
        assert memory is not None
        memory.write(self.store, struct.pack("<Q", self.now + (0 if clock else self.wall)), at)
        return 0

    def _exit(self, status: int) -> None:
        self.status = status
        raise Exit

    def _emit(self, at: int, size: int) -> int:
        memory = self.instance["whamm:cm/sink#memory"]
        return self.sink.emit(None, memory.read(self.store, at, at + size).decode("latin-1"))
