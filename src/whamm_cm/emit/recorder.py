"""The body of a wrapper (``wrapper.Body``), as those see it who write records with it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from whamm_cm.agent.layout import Phase
from whamm_cm.emit.flats import Slot
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.model import EventMode, Mode, ProbeOptions, Wrapper
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wit.types import ValType


class Over(Protocol):
    """The probes that fire when a call is over: that of an entry, with its result in a local."""

    def __call__(
        self,
        body: Any,
        mode: EventMode,
        entry: int | None,
        result: int | None = None,
        ptr: int | None = None,
    ) -> None:
        """Of a copy ``result`` is what it returned, ``ptr`` where its buffer is; without an entry
        it is over at once."""


class Shared(Protocol):
    """The module that a wrapper is in (``probe.Probe``)."""

    @property
    def now(self) -> int | None: ...
    @property
    def task_over(self) -> int | None: ...


class Choice(Protocol):
    """Whether records are made (``sampling.Sampled``); ``skip`` is a local that is not 0 where none
    are."""

    skip: int

    def recorded(self) -> int: ...

    def records(self) -> AbstractContextManager[Label]: ...


class Task(Protocol):
    """The part of a wrapper that knows tasks (``tasks.Tasks``)."""

    entry: int


class Recorder(Protocol):
    """The body of a wrapper (``wrapper.Body``), as far as it matters here."""

    f: Func
    w: Wrapper
    agent: Agent
    options: ProbeOptions
    guest: Guest | None
    clock: int | None
    recording: bool
    timed: bool
    secret: int | None
    site: int
    call: int
    began: int
    ended: int
    start: int
    over: Over | None
    #: Whether the call has its number before it is known whether it is recorded.
    numbered: bool
    #: When the call began, where a probe wants to know how long it took.
    entered_at: int | None

    def number_call(self) -> None: ...

    @property
    def probe(self) -> Shared: ...

    @property
    def sampled(self) -> Choice | None: ...

    @property
    def tasks(self) -> Task | None: ...

    def image(
        self, types: tuple[ValType, ...], source: int | tuple[Slot, ...], mode: Mode, params: bool
    ) -> Any: ...

    def write_image(self, image: Any, phase: Phase = Phase.RETURN) -> None: ...

    def bare_record(self, phase: Phase, word: int | None = None) -> None: ...

    def returned(self, source: int | tuple[Slot, ...]) -> None: ...

    def pending(self, status: int | None) -> None: ...

    def slot(self, local: int) -> Slot: ...
