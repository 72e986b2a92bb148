"""The agent's module as one component gets it."""

from __future__ import annotations

import struct
from functools import lru_cache

from whamm_cm.agent.layout import AGENT_PAGES, COUNT_BITS, COUNTS, STATE, load_wasm
from whamm_cm.binary.leb import unsigned
from whamm_cm.codegen.model import ProbeOptions
from whamm_cm.ir.core import CoreModule
from whamm_cm.weave.modules.edit import ModuleEdit

TABLE = "last"
_MEMORY, _CODE = 5, 10


def agent_module(options: ProbeOptions) -> bytes:
    """agent.wasm; with a ``mark``, that is the maximum of its memory, and what its counters count
    stands in it; for ``last`` words it exports a table."""
    wasm = load_wasm("agent.wasm")
    if options.last:
        edit = ModuleEdit(CoreModule(wasm))
        edit.add_export(TABLE, "table", edit.add_table(b"\x70\0\1"))
        wasm = edit.encode()
    if options.mark is None:
        return wasm
    module = CoreModule(wasm)
    memory = next(i for i, s in enumerate(module.sections) if s.id == _MEMORY)
    limits = b"\1\1" + unsigned(AGENT_PAGES) + unsigned(options.mark)
    edit = ModuleEdit(CoreModule(module.encode({memory: limits})))
    counts = options.count_base << COUNT_BITS | options.count_n
    edit.add_data(0, STATE + COUNTS, struct.pack("<I", counts))
    return edit.encode()


@lru_cache(maxsize=1)
def _code() -> bytes:
    return _code_of(CoreModule(load_wasm("agent.wasm")))


def _code_of(module: CoreModule) -> bytes:
    section = module.section(_CODE)
    return b"" if section is None else bytes(module.data[section.start : section.end])


def is_agent(module: CoreModule) -> bool:
    """Whether this is agent.wasm, marked or not."""
    return _code_of(module) == _code()
