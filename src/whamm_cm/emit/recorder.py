"""The body of a wrapper (``wrapper.Body``), as those see it who write records with it."""

from __future__ import annotations

from typing import Any, Protocol

from whamm_cm.agent.layout import Phase
from whamm_cm.emit.flats import Slot
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.model import Mode, ProbeOptions, Wrapper
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import ValType


class Clocked(Protocol):
    """The module that a wrapper is in (``probe.Probe``)."""

    @property
    def now(self) -> int | None: ...


class Recorder(Protocol):
    """The body of a wrapper (``wrapper.Body``), as far as it matters here."""

    f: Func
    w: Wrapper
    agent: Agent
    options: ProbeOptions
    guest: Guest | None
    recording: bool
    timed: bool
    secret: int | None
    site: int
    call: int
    began: int
    ended: int
    start: int

    @property
    def probe(self) -> Clocked: ...

    def image(
        self, types: tuple[ValType, ...], source: int | tuple[Slot, ...], mode: Mode, params: bool
    ) -> Any: ...

    def write_image(self, image: Any) -> None: ...

    def bare_record(self, phase: Phase, word: int | None = None) -> None: ...

    def returned(self, source: int | tuple[Slot, ...]) -> None: ...

    def pending(self, status: int | None) -> None: ...

    def slot(self, local: int) -> Slot: ...
