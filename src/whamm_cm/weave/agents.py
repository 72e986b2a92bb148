"""The agent's module as one component gets it: alone or one with a shim, and with what it shares
memory and table with.

Hosts with pooled instances allow a module one table.  Ours has the shim's functions first, then a
place for what last words call (``Slots.last``), then those for wrappers that are made only later:
functions called ``way<k>`` go through them.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from typing import Protocol

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent.layout import (
    AGENT_PAGES,
    BUFFER,
    COUNT_BITS,
    COUNTS,
    HIGH,
    HIGH_SIZE,
    STATE,
    load_wasm,
)
from whamm_cm.component.ir import Component, walk
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.libglue import INSIDE
from whamm_cm.emit.model import ProbeOptions
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import SectionId
from whamm_cm.weave import sampling
from whamm_cm.weave.near import NearSink

TABLE = "last"
WAY = "way"
_CODE = SectionId.CODE
#: Of a memory: as large as the agent's ever gets, and as large as any.
_LEAST_MARK, _MAX_PAGES = 1024, 65536


@dataclass(frozen=True, slots=True)
class Slots:
    """The table: ``first`` is the number of ``ways[0]``; ``last`` whether there is a place for last
    words, at ``last_at``.  Behind the ways are ``late`` functions that write returns."""

    last: bool = False
    last_at: int = 0
    first: int = 0
    ways: tuple[CoreSig, ...] = ()
    late: int = 0

    @property
    def due(self) -> int:
        """The number of the first function that writes a late return; never 0."""
        return self.first + len(self.ways) or 1

    @property
    def size(self) -> int:
        """Of the table; 0 where none is needed."""
        if self.ways or self.late:
            return self.due + self.late
        return self.last_at + 1 if self.last else 0


class Joined(Protocol):
    """A module of the component that the agent becomes one with (``fuse.Shim``)."""

    def with_agent(self, agent: bytes) -> bytes: ...


def names() -> frozenset[str]:
    """What the agent exports, names that begin with :data:`WAY` aside."""
    return frozenset(
        (TABLE, INSIDE, *(e.name for e in CoreModule(load_wasm("agent.wasm")).exports))
    )


def agent_module(
    options: ProbeOptions,
    near: NearSink | None = None,
    shim: Joined | None = None,
    slots: Slots | None = None,
    guarded: bool = False,
) -> bytes:
    """agent.wasm; with a ``mark``, that is the maximum of its memory, and what its counters count
    stands in it; ``guarded``: with the flag of ``libs.guard``."""
    wasm = _with_memory(options, near)
    if guarded:
        edit = ModuleEdit(CoreModule(wasm))
        edit.add_export(INSIDE, "global", edit.add_global("i32", 0))
        wasm = edit.encode()
    if shim is not None:
        wasm = shim.with_agent(wasm)
    return wasm if slots is None or not slots.size else _with_table(wasm, slots)


def _with_memory(options: ProbeOptions, near: NearSink | None) -> bytes:
    wasm = load_wasm("agent.wasm")
    if options.mark is None and near is None and options.sampling is None:
        return wasm
    pages = AGENT_PAGES if near is None else near.pages()
    limits = b"\1\0" + unsigned(pages)
    if options.mark is not None:
        limits = b"\1\1" + unsigned(pages) + unsigned(options.mark)
    module = CoreModule(wasm)
    edit = ModuleEdit(CoreModule(module.encode({_section(module, SectionId.MEMORY): limits})))
    if options.mark is not None:
        counts = options.count_base << COUNT_BITS | options.count_n
        edit.add_data(0, STATE + COUNTS, struct.pack("<I", counts))
        if options.brief:
            edit.add_data(0, STATE + HIGH, struct.pack("<I", BUFFER + HIGH_SIZE))
    if near is not None:
        near.prepare(edit)
    if options.sampling is not None:
        sampling.prepare(edit)
    return edit.encode()


def _section(module: CoreModule, number: int) -> int:
    return next(i for i, s in enumerate(module.sections) if s.id == number)


def _with_table(wasm: bytes, slots: Slots) -> bytes:
    module = CoreModule(wasm)
    size = unsigned(slots.size)
    table = b"\x70\1" + size + size
    has = bool(module.tables)
    if has:  # the shim's: what goes through it stays where it is
        module = CoreModule(module.encode({_section(module, SectionId.TABLE): b"\1" + table}))
    edit = ModuleEdit(module)
    index = 0 if has else edit.add_table(table)
    edit.add_export(TABLE, "table", index)
    for k, sig in enumerate(slots.ways):
        type_index = edit.type_index(sig.params, sig.results)
        f = Func(0, 0, sig.params)
        for local in range(len(sig.params)):
            f.get(local)
        f.i32(slots.first + k)
        f.call_indirect(type_index, index)
        edit.add_export(f"{WAY}{k}", "func", edit.add_func(type_index, f.encode()))
    return edit.encode()


def free_mark(root: Component, mark: int) -> int | None:
    """``mark``, or the next that no memory in ``root`` has for its maximum: what a host takes for
    the memory of an agent is none of the input's.  None if the input has them all."""
    taken = set[int | None]()
    for component in walk(root):
        for definition in component.definitions:
            if isinstance(definition.node, CoreModule):
                try:
                    taken.update(memory.max for memory in definition.node.memories)
                except DecodeError:
                    continue  # no engine will make an instance of it
    marks = chain(range(mark, _MAX_PAGES), range(_LEAST_MARK, mark))
    return next((each for each in marks if taken.isdisjoint((each, each + 1))), None)


@lru_cache(maxsize=1)
def _code() -> bytes:
    return _code_of(CoreModule(load_wasm("agent.wasm")))


def _code_of(module: CoreModule) -> bytes:
    section = module.section(_CODE)
    return b"" if section is None else bytes(module.data[section.start : section.end])


def is_agent(module: CoreModule) -> bool:
    """Whether this is agent.wasm, marked or not."""
    return _code_of(module) == _code()
