"""Probes in a component that is replayed: their sink and their clocks are ours, and what they
record comes out as it comes out of ``trace``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from wasmtime.component import Linker

from whamm_cm.front.running import mark_of
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import Woven
from whamm_cm.run.guest import Gate
from whamm_cm.run.host.bridge import Instance, add_function
from whamm_cm.run.leftover import all_said, leftover
from whamm_cm.run.linking import CLOCKS, add_clocks, is_sink
from whamm_cm.run.memories import Kept, Memories, supported
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.leaving import Leaving
from whamm_cm.trace.records import Record
from whamm_cm.weave.plan import Plan, ScriptPlan


class Probed(Instance):
    """An instance with probes in it.  ``last_id`` is what the sink last answered to it."""

    def __init__(self) -> None:
        super().__init__()
        self.last_id = 0
        self.kept: Kept | None = None


def replay_plan(settings: Settings, script: ScriptPlan | None, data: bytes) -> Plan:
    """What is woven for a replay: nothing that probes ask is asked of the recording."""
    from dataclasses import replace

    return replace(settings.plan("host", script, mark_of(data)), own_clocks=True)


class Probes:
    """Those of one replay.  ``feed`` gets the records block by block, while the guest runs; what it
    raises ends the replay.  ``leaving``: how a script ended the program, if one did."""

    def __init__(self, found: Woven, feed: Callable[[Sequence[Record]], None]) -> None:
        self.found, self._feed = found, feed
        self.leaving = Leaving()
        self.memories: Memories | None = None
        if found.mark is not None and supported():
            self.memories = Memories(found.mark)
        self._receiver = Receiver(found.table, show_secrets=found.plan.show_secrets)
        self._gate = Gate(self._received)
        self._begun_ns = time.monotonic_ns()

    @staticmethod
    def ours(name: str) -> bool:
        """Whether an import is none of the guest's own."""
        return is_sink(name) or name in CLOCKS

    def define(self, linker: Linker, imports: dict[str, Any]) -> None:
        add_clocks(linker, imports, self._begun_ns)
        for name in filter(is_sink, imports):
            with linker.root() as root, root.add_instance(name) as instance:
                add_function(instance, "emit", name, self._emitted)

    def begin(self) -> None:
        """The guest starts now."""
        clock = time.monotonic_ns() - self._begun_ns if self.found.timed else None
        self._receiver.begin(time.time_ns(), clock)

    def made(self, instance: Probed) -> None:
        """It was instantiated on this thread, or failed to be."""
        if self.memories is not None:
            instance.kept = self.memories.claim()

    def died(self, instance: Probed, stopped: bool) -> None:
        """It will not return: pass on what its probes had recorded and not sent.  ``stopped``: by
        us.  Raises what ``feed`` raised."""
        if self._gate.error is not None:
            raise self._gate.error
        kept = instance.kept
        for block in () if kept is None else leftover(kept, instance.last_id):
            self._gate(block.decode("latin-1"))
        said = self.leaving.said or self.found.plan.scripts is None
        if kept is None or not (said or all_said(kept)):
            self._feed([self._receiver.lost("interrupted" if stopped else "trap")])

    def _emitted(self, instance: Probed, block: str) -> int:
        instance.last_id = self._gate(block)
        return instance.last_id

    def _received(self, block: str) -> int:
        received = self._receiver.receive(block)
        self.leaving.feed(received.records)
        self._feed(received.records)
        return received.instance
