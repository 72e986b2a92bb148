"""What the log of a program must say, worked out from its journal by the specification.

CanonicalABI.md (2026-08): ``canon_lower`` (what a status means), ``canon_lift`` (when a task begins
and ends), ``canon_task_return``, ``canon_task_cancel``, ``canon_subtask_cancel``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.async_programs.guest import Said
from tests.async_programs.shape import Function, Part, Program
from tests.weave.expect import Show

Entry = tuple[int, int, int, int, int]
Expected = dict[str, Any]

BLOCKED = 0xFFFFFFFF
STARTED, RETURNED, BEFORE_STARTED, BEFORE_RETURNED = 1, 2, 3, 4
SUBTASK = 1
_CANCELLED = {BEFORE_STARTED: "before-started", BEFORE_RETURNED: "before-returned"}


@dataclass
class _Call:
    """A call in a component: its number there, and the task that made it."""

    number: int
    task: int
    func: Function
    tag: int
    edge: str


@dataclass
class _Component:
    part: Part
    callees: tuple[Function, ...]
    edge: str
    records: list[Expected] = field(default_factory=list)
    tasks: dict[int, _Call] = field(default_factory=dict)
    calls: dict[int, _Call] = field(default_factory=dict)
    due: dict[int, _Call] = field(default_factory=dict)
    count: int = 0

    def record(self, phase: str, call: _Call, **more: Any) -> None:
        func = call.func.name
        self.records.append(
            {"phase": phase, "edge": call.edge, "func": func, "call": call.number,
             "task": call.task, **more}
        )  # fmt: skip


class Model:
    """``timed``: the log has times.  ``seen`` counts what happened, so that a test can ask."""

    def __init__(self, program: Program, timed: bool = False) -> None:
        self.timed = timed
        parts = program.parts
        self.show = Show()
        self.components = [
            _Component(part, parts[at + 1].functions if at + 1 < len(parts) else (),
                       "inner" if at else "export")
            for at, part in enumerate(parts)
        ]  # fmt: skip
        self.arguments: dict[int, tuple[int, tuple[Any, ...]]] = {}  # by tag: script and values
        self.results: dict[int, Any] = {}  # by tag
        self.seen = Counter[str]()

    def called(self, tag: int, script: int) -> None:
        """The host calls ``run``."""
        self.arguments[tag] = script, ()

    def feed(self, entry: Entry) -> None:
        said, tag, a, b, c = entry
        component = self.components[said >> 8]
        handle = {
            Said.ENTER: self._enter, Said.CALL: self._call, Said.STATUS: self._status,
            Said.EVENT: self._event, Said.CANCELLED: self._cancelled, Said.RETURN: self._return,
            Said.RESULT: self._return, Said.CANCEL: self._cancel, Said.EXIT: self._exit,
            Said.POLLED: self._polled,
        }[Said(said & 255)]  # fmt: skip
        handle(component, tag, a, b, c)

    def _args(self, func: Function, tag: int) -> Expected:
        script, extra = self.arguments[tag]
        shown = {"tag": tag, "script": script}
        for k, (t, v) in enumerate(zip(func.extra, extra, strict=True)):
            shown[f"p{k}"] = self.show.value(t, v)
        return shown

    def _enter(self, of: _Component, tag: int, number: int, _b: int, _c: int) -> None:
        func = of.part.functions[number]
        of.count += 1
        call = _Call(of.count, len(of.tasks) + 1, func, tag, of.edge)
        of.tasks[tag] = call
        of.record("call", call, args=self._args(func, tag))
        self.seen[f"{func.kind} task"] += 1

    def _call(self, of: _Component, tag: int, new: int, packed: int, script: int) -> None:
        func = of.callees[packed & 255]
        self.arguments[new] = script, func.arguments[packed >> 16]
        of.count += 1
        call = _Call(of.count, of.tasks[tag].task, func, new, "inner")
        of.calls[new] = call
        of.record("call", call, args=self._args(func, new))

    def _status(self, of: _Component, tag: int, new: int, packed: int, status: int) -> None:
        call = of.calls.pop(new)
        if packed & 256:
            self._over(of, call, RETURNED)
        elif status & 15 == RETURNED:
            self.seen["returned at once"] += 1
            self._over(of, call, RETURNED)
        else:
            self.seen["starting" if status & 15 == 0 else "started"] += 1
            of.record("return", call, pending=True, status=status)
            of.due[status >> 4] = call

    def _over(self, of: _Component, call: _Call, state: int) -> None:
        """The call has its result, or will never have one."""
        if state in _CANCELLED:
            of.record("return", call, cancelled=_CANCELLED[state])
        elif call.func.result is None:
            of.record("return", call)
        else:
            of.record("return", call, result=self._value(call.func, self.results[call.tag]))

    def _value(self, func: Function, chosen: int) -> Any:
        assert func.result is not None
        return self.show.value(func.result, func.results[chosen])

    def _event(self, of: _Component, tag: int, code: int, handle: int, payload: int) -> None:
        if self.timed:
            of.record("resumed", of.tasks[tag])
        self._polled(of, tag, code, handle, payload)

    def _polled(self, of: _Component, tag: int, code: int, handle: int, payload: int) -> None:
        if code == SUBTASK and payload == STARTED:
            self.seen["starts"] += 1
            of.record("started", of.due[handle])
        if code == SUBTASK and payload >= RETURNED:
            self.seen[f"event {payload}"] += 1
            call = of.due.pop(handle)
            self.seen["told another task"] += call.task != of.tasks[tag].task
            self._over(of, call, payload)

    def _cancelled(self, of: _Component, tag: int, handle: int, state: int, _c: int) -> None:
        self.seen[f"cancel {state}"] += 1
        if state != BLOCKED:
            self._over(of, of.due.pop(handle), state)

    def _return(self, of: _Component, tag: int, chosen: int, _b: int, _c: int) -> None:
        call = of.tasks[tag]
        self.results[tag] = chosen
        self._over(of, call, RETURNED)

    def _cancel(self, of: _Component, tag: int, *_: int) -> None:
        of.record("return", of.tasks[tag], cancelled="before-returned")

    def _exit(self, of: _Component, tag: int, *_: int) -> None:
        of.record("exit", of.tasks[tag])
