"""A probe module with a real agent, a guest memory, and callee, emit and clock in Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import wasmtime as wt

from tests.emit.records import Block, Record, parse, parse_block
from whamm_cm.agent import layout
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.emit.modules import build_probe
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.types import MemoryType

Callee = Callable[..., Any]

_KINDS = {
    "i32": wt.ValType.i32,
    "i64": wt.ValType.i64,
    "f32": wt.ValType.f32,
    "f64": wt.ValType.f64,
}
PAGES = 4


@cache
def engine(multi_memory: bool = True) -> wt.Engine:
    config = wt.Config()
    config.wasm_memory64 = True
    config.wasm_custom_page_sizes = True
    config.wasm_multi_memory = multi_memory
    config.cranelift_opt_level = "none"
    config.memory_reservation = 1 << 21  # not 4 GiB of address space for each of many rigs
    return wt.Engine(config)


@cache
def agent_module(multi_memory: bool) -> wt.Module:
    raw = resources.files("whamm_cm.agent").joinpath("agent.wasm").read_bytes()
    return wt.Module(engine(multi_memory), raw)


def memory_module(memory: MemoryType, pages: int) -> bytes:
    module = Module()
    limits = replace(memory, min=pages)
    module.export_memory("m", module.memory(limits))
    return module.encode()


class Rig:
    """Wrapper ``k`` calls ``callees[k]``; what it sends arrives in ``blocks``."""

    def __init__(
        self,
        wrappers: Sequence[Wrapper],
        callees: Sequence[Callee],
        options: ProbeOptions | None = None,
        memory: MemoryType | None = None,
        pages: int = PAGES,
        early: bool = False,
    ) -> None:
        self.options = options or ProbeOptions()
        memory = memory or MemoryType()
        here = engine(self.options.multi_memory)
        self.store = wt.Store(here)
        self.agent = wt.Instance(self.store, agent_module(self.options.multi_memory), []).exports(
            self.store
        )
        if not early:  # as after some dozen blocks
            self.set_state(layout.HIGH, layout.BUFFER + layout.HIGH_SIZE)
        guest = wt.Instance(self.store, wt.Module(here, memory_module(memory, pages)), [])
        self.memory: wt.Memory = guest.exports(self.store)["m"]
        self.blocks: list[Block] = []
        self.on_emit: Callable[[], None] = lambda: None
        self.clock = itertools.count(1000, 10)
        self.raw = build_probe(wrappers, [memory], self.options)
        module = wt.Module(here, self.raw)
        self.imports = {(i.module, i.name) for i in module.imports}
        externs = [self._extern(i, callees) for i in module.imports]
        self.exports = wt.Instance(self.store, module, externs).exports(self.store)

    def _extern(self, wanted: wt.ImportType, callees: Sequence[Callee]) -> Any:
        if wanted.module == "agent":
            return self.agent[wanted.name]
        if wanted.name == "m0":
            return self.memory
        func = {"emit": self._emit, "now": lambda: next(self.clock)}.get(wanted.name)
        if func is None:
            func = callees[int(wanted.name[1:])]
        assert isinstance(wanted.type, wt.FuncType)
        return wt.Func(self.store, wanted.type, func)

    def _emit(self, at: int, size: int) -> int:
        size *= layout.CHUNK if self.options.chunked else 1
        raw = bytes(self.agent["memory"].read(self.store, at, at + size))
        if self.options.chunked:
            end = layout.BLOCK_HEADER + int.from_bytes(raw[20:24], "little")
            assert size - layout.CHUNK < end <= size and at % 8 == 0
            raw = raw[:end]
        self.blocks.append(parse_block(raw))
        self.on_emit()
        return 77

    def call(self, *args: int | float, k: int = 0) -> Any:
        return self.exports[f"w{k}"](self.store, *args)

    def state(self, offset: int, size: int = 4) -> int:
        at = layout.STATE + offset
        raw = self.agent["memory"].read(self.store, at, at + size)
        return int.from_bytes(raw, "little")

    def set_state(self, offset: int, value: int, size: int = 4) -> None:
        raw = value.to_bytes(size, "little")
        self.agent["memory"].write(self.store, raw, layout.STATE + offset)

    def counter(self, slot: int) -> int:
        return self.state(layout.COUNTERS - layout.STATE + 8 * slot, 8)

    def buffered(self) -> list[Record]:
        """The records in the agent's buffer."""
        end = self.state(layout.POS)
        return parse(bytes(self.agent["memory"].read(self.store, layout.BUFFER, end)))

    def sent(self) -> list[Record]:
        return [record for block in self.blocks for record in block.records]

    def poke(self, at: int, raw: bytes) -> None:
        self.memory.write(self.store, raw, at)
