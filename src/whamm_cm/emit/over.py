"""A script's probes that fire when a call is over which had not returned at once.

All that is known of such a call is its entry (``tasks.h``), the parameters that were kept in it
(``past.py``) and its result: where the out pointer of an async import leads, or what a
``task.return`` is given.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from whamm_cm.agent.layout import Entry, Phase
from whamm_cm.emit import past
from whamm_cm.emit.events import Events
from whamm_cm.emit.model import EventMode, EventProbe
from whamm_cm.emit.paths import Part, mentions
from whamm_cm.emit.tasks import Tasks
from whamm_cm.emit.wit_values import Binding, Image
from whamm_cm.emit.wrapper import Body
from whamm_cm.wasm.asm import Func, Label


class OverEvents(Events):
    """Those of one wrapper, or of its function for what is over later; ``entry`` is a local."""

    def __init__(self, body: Body, entry: int) -> None:
        super().__init__(body, -1)
        self.entry = entry
        self._here = dict(self.bindings)
        self._call_id: int | None = None
        self._result_at: int | None = None

    @property
    def tasks(self) -> Tasks:
        assert self.body.tasks is not None, "there are entries only where tasks are known"
        return self.body.tasks

    def fire(self, mode: EventMode, result: int | None) -> None:
        """Run the probes of that mode; ``result``: a local with the address of the result."""
        self.mode, self._result_at = mode, result
        for probe in self.probes:
            if probe.mode == mode:
                with self._is_its(probe):
                    self._know(probe)
                    self._fire(probe)

    def _is_its(self, probe: EventProbe) -> AbstractContextManager[Label | None]:
        """Where the tasks of several exports come by, whether this is one of the probe's."""
        if probe.called is None or self.w.role not in ("return", "cancel"):
            return nullcontext()
        self.body.agent.load(self.f, "i32.load", self.entry, Entry.EXPORT)
        self.f.i32(probe.called.number)
        self.f.op("i32.eq")
        return self.f.if_()

    def _know(self, probe: EventProbe) -> None:
        """Have what the probe computes with in locals."""
        f, agent, part = self.f, self.body.agent, (probe.predicate, probe.body)
        called = probe.called or past.called_of(self.w)
        self.bindings.clear()
        self.bindings.update(past.load(f, agent, self.entry, called, probe))
        result = self._given()
        if result is not None:
            self.bindings["result"] = result
        if mentions(part, "elapsed"):
            self._elapsed = f.local("i64")
            f.call(self.clock)
            agent.load(f, "i64.load", self.entry, Entry.BEGAN)
            f.op("i64.sub")
            f.set(self._elapsed)
        if mentions(part, "call_id"):
            self._call_id = f.local("i64")
            agent.load(f, "i64.load", self.entry, Entry.CALL)
            f.set(self._call_id)

    def _given(self) -> Binding | None:
        if self.w.role == "return":
            return self._here.get("result")
        if self._result_at is None:
            return None
        found = self._result()
        assert found is not None, "it has an address"
        return replace(found, place=Image(self._result_at, 0))

    def _prepare(self, part: Part) -> None:
        """Nothing: it is in the entry, or not to be had."""

    def bound(self, name: str) -> tuple[int, ...]:
        if name == "call_id" and self._call_id is not None:
            return (self._call_id,)
        return super().bound(name)

    def _trace(self) -> None:
        """Write the record of the end, if no record of the call was made."""
        if self.w.action == "record":
            return
        f, agent, body = self.f, self.body.agent, self.body
        agent.load(f, "i32.load", self.entry, Entry.LOGGED)
        f.op("i32.eqz")
        with f.if_():
            self._store(f, Entry.LOGGED, "i32.store", lambda: f.i32(1))
            agent.load(f, "i64.load", self.entry, Entry.CALL)
            f.set(body.call)
            body.number_call()
            self._store(f, Entry.CALL, "i64.store", lambda: f.get(body.call))
            if self.w.role in ("return", "cancel"):
                return  # it is written when all probes have run
            self.tasks.late(self.entry)
            if self.mode == "end":
                body.bare_record(Phase.EXIT)
            elif self.mode == "cancel":
                body.bare_record(Phase.CANCELLED, 1)
            else:
                body.returned(() if self._result_at is None else self._result_at)

    def _store(self, f: Func, offset: Entry, how: str, push: Callable[[], object]) -> None:
        self.body.agent.at(f, self.entry, offset)
        push()
        self.body.agent.store(f, how, offset)
