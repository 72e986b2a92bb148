"""The sink as a part of the component it is for, in the memory of the agent.

Where only the root emits, no component of its own is needed: hosts that pool instances count the
sink's memory, and the adapter that an engine makes for calls between components.  The agent's
memory has the sink's data behind what is the agent's (``layout.near_start``), the functions the
sink imports are lowered onto it, and the sink is linked with the first probe module.
"""

from __future__ import annotations

import struct

from whamm_cm.agent.layout import (
    BUFFER_PTR,
    HIGH,
    MAX_RECORD,
    PAGE,
    POS,
    STATE,
    load_wasm,
    near_start,
    sink_settings,
)
from whamm_cm.component import build
from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.wiring import SinkWiring, heap_base

#: Under what name the sink's module is given its imports.
ENV = "env"
#: Core functions the sink imports: what they are made of, and whether that needs a memory.
_LOWERED = {
    "get": ("get-stderr", False),
    "write": ("write", True),
    "log": ("log", True),
    "seed": ("seed", True),
    "wall": ("wall", True),
}
_DROPPED = {"drop": "output-stream", "drop-error": "error"}
_STUB = "whamm-cm-stub-"


@dataclass(frozen=True, slots=True)
class NearSink:
    """What a component gets to write its own records."""

    wiring: SinkWiring

    @property
    def code(self) -> bytes:
        """The module, which imports its memory."""
        return load_wasm(self.wiring.wasm)

    def pages(self) -> int:
        """Of the agent's memory, with the record buffer."""
        return self._start() // PAGE + 1

    def _start(self) -> int:
        return near_start(heap_base(CoreModule(self.code)), len(self.wiring.options.table))

    def prepare(self, agent: ModuleEdit) -> None:
        """Put settings and site table into the agent's memory, its buffer behind them, and add the
        functions that stand for clocks which are not to be read."""
        start, options = self._start(), self.wiring.options
        base = heap_base(CoreModule(self.code))
        agent.add_data(0, STATE + POS, struct.pack("<II", start, start + PAGE - MAX_RECORD))
        agent.add_data(0, STATE + BUFFER_PTR, struct.pack("<I", start))
        agent.add_data(0, STATE + HIGH, struct.pack("<I", start))
        agent.add_data(0, sink_settings(base), options.image(near=True))
        for name in options.stubs:
            params, results = ((), ("i64",)) if name == "now" else (("i32",), ())
            f = Func(0, 0, params)
            if results:
                f.i64(0)
            index = agent.add_func(agent.type_index(params, results), f.encode())
            agent.add_export(_STUB + name, "func", index)

    def lowered(
        self, agent: Item, memory: Item, now: Item | None
    ) -> tuple[list[Definition], list[tuple[str, Item]]]:
        """The definitions that make what the sink's module imports, and that by name; ``now`` is
        the core function of the clock."""
        given = dict(self.wiring.args)
        made = {
            name: build.canon_lower(given[arg], memory if needs else None)
            for name, (arg, needs) in _LOWERED.items()
            if arg in given
        }
        made |= {
            name: build.resource_drop(given[arg]) for name, arg in _DROPPED.items() if arg in given
        }
        for name in self.wiring.options.stubs:
            made[name] = build.alias_core_export(agent, _STUB + name, Sort.CORE_FUNC)
        functions = [("memory", memory), *((name, d.item) for name, d in made.items())]
        if now is not None and self.wiring.wants_now:
            functions.append(("now", now))
        return [*made.values()], functions
