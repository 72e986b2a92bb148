"""A script's probes at reads and writes of streams and futures: they fire when a copy is over.

At once, then the wrapper knows all; or later, then its entry has the handle, the buffer and when it
began (``tasks.h``).  What is copied is there for the probe in either case, see ``copies.py``.
"""

from __future__ import annotations

from typing import Final

from whamm_cm.agent.layout import Entry
from whamm_cm.analysis.site import Encoding
from whamm_cm.emit.copies import POINTER, how_many
from whamm_cm.emit.events import Events
from whamm_cm.emit.paths import Part, mentions
from whamm_cm.emit.wit_values import Binding, Flat
from whamm_cm.emit.wrapper import Body
from whamm_cm.errors import WeaveError
from whamm_cm.lang.copies import OUTCOMES, TEXT, is_bytes
from whamm_cm.wit.types import Prim

_OUTCOME: Final = 0xF


class CopyEvents(Events):
    """Those of one wrapper.  ``value`` is a local with what the copy has returned; ``entry`` one
    with its entry and ``ptr`` one with the address of its buffer, where it is over only later."""

    def __init__(self, body: Body, value: int, entry: int | None, ptr: int | None) -> None:
        super().__init__(body, -1)
        self.returned, self.entry = value, entry
        self.ptr = POINTER if ptr is None else ptr
        self._kept_call: int | None = None

    def fire(self) -> None:
        self.mode = "after"
        if self.probes:
            self._know([(p.predicate, p.body) for p in self.probes])
        for probe in self.probes:
            self._fire(probe)

    def _know(self, parts: list[Part]) -> None:
        f, w = self.f, self.w
        address = "i64" if w.ptr == 8 else "i32"
        count = how_many(f, w, self.returned)
        outcome, handle = f.local("i32"), 0
        f.get(self.returned)
        if w.signature.results[0] == "i64":
            f.op("i32.wrap_i64")
        f.i32(_OUTCOME)
        f.op("i32.and")
        f.set(outcome)
        if self.entry is not None:
            handle = f.local("i32")
            self.body.agent.load(f, "i32.load", self.entry, Entry.KEY)
            f.set(handle)
        number = Prim("u32")
        span = Flat(((self.ptr, address), (count, address)))
        secret = w.redact is not None and w.redact.hides_result
        self.bindings.clear()
        self.bindings["stream"] = Binding(number, Flat(((handle, "i32"),)))
        self.bindings["count"] = Binding(number, Flat(((count, address),)))
        self.bindings["outcome"] = Binding(OUTCOMES, Flat(((outcome, "i32"),)))
        if w.elements is not None:
            self.bindings["elements"] = Binding(w.elements, span, secret=secret)
        if is_bytes(w.elements):
            self.bindings["text"] = Binding(TEXT, span, secret=secret)
        if any(mentions(part, "elapsed") for part in parts):
            self._time()
        if self.entry is not None and any(mentions(part, "call_id") for part in parts):
            self._kept_call = f.local("i64")
            self.body.agent.load(f, "i64.load", self.entry, Entry.CALL)
            f.set(self._kept_call)

    def _time(self) -> None:
        f = self.f
        self._elapsed = f.local("i64")
        f.call(self.clock)
        if self.entry is not None:
            self.body.agent.load(f, "i64.load", self.entry, Entry.BEGAN)
        else:
            assert self.body.entered_at is not None, "a probe asks how long it took"
            f.get(self.body.entered_at)
        f.op("i64.sub")
        f.set(self._elapsed)

    def _prepare(self, part: Part) -> None:
        if self.entry is None:
            super()._prepare(part)

    def bound(self, name: str) -> tuple[int, ...]:
        if name == "call_id" and self._kept_call is not None:
            return (self._kept_call,)
        return super().bound(name)

    def _trace(self) -> None:
        raise WeaveError(
            "trace writes the record of a function's call; reads and writes are recorded where they"
            " are among the functions to trace"
        )

    @property
    def encoding(self) -> Encoding:
        return "utf8" if is_bytes(self.w.elements) else self.w.encoding
