"""Of which requests records are made (``--sample``): decided once, when a root export is called.

The answer is a word in the agent's memory, which holds for all that runs until the next request, or
a bit in the entry of a task where several may be under way.  What runs before the first request
belongs to that.  Other components of ours have agents of their own: the caller says what holds of
its call right before that, in a component beside them all (``weave/sampling.py``).

A draw is one step of SplitMix64, from random bits of the host or the clock: hosts that make an
instance for each request would count to one for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from whamm_cm.agent.layout import BEGUN, DEPTH, RANDOM, SAMPLING, SEED, SKIPS, STATE, Entry, Skip
from whamm_cm.emit import model
from whamm_cm.emit.memory import Agent
from whamm_cm.emit.recorder import Choice, Recorder
from whamm_cm.emit.share import ASK, ASK_ROOT, HOLDS, PASS
from whamm_cm.wasm.asm import Func, FuncType, Label, Module

#: What modules that sample import besides.
IMPORTS: Final[dict[str, FuncType]] = {
    "seed": (("i32",), ()),
    "share": (("i32",), ("i32",)),
}
_STEP = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31


class Sampling:
    """What the wrappers of one module share.  ``clock``: the function that reads it, if any."""

    def __init__(
        self, module: Module, agent: Agent, sampling: model.Sampling, clock: int | None
    ) -> None:
        self.module, self.agent, self.sampling, self._clock = module, agent, sampling, clock
        wanted = {"seed": sampling.seeded, "share": sampling.shared}
        self.imports: Mapping[str, int] = {
            name: module.import_func("probe", name, *IMPORTS[name])
            for name, is_wanted in wanted.items()
            if is_wanted
        }
        self._draw: int | None = None

    def load(self, f: Func, offset: int) -> None:
        self.agent.load_at(f, "i32.load", SAMPLING + offset)

    def store(self, f: Func, offset: int, value: int) -> None:
        f.i32(SAMPLING + offset)
        f.i32(value)
        self.agent.store(f, "i32.store")

    @property
    def draw(self) -> int:
        """A function () that decides anew."""
        if self._draw is None:
            f = self.module.func()
            self._draw = f.index
            state = f.local("i64")
            self.agent.load_at(f, "i64.load", SAMPLING + RANDOM)
            f.tee(state)
            f.op("i64.eqz")
            with f.if_("i64"):
                self._begin(f)
                f.else_()
                f.get(state)
            f.i64(_STEP)
            f.op("i64.add")
            f.set(state)
            f.i32(SAMPLING + RANDOM)
            f.get(state)
            self.agent.store(f, "i64.store")
            f.i32(SAMPLING + SKIPS)
            self._is_skipped(f, state)
            self.agent.store(f, "i32.store")
        return self._draw

    def _begin(self, f: Func) -> None:
        """Push where the generator begins."""
        found = self.sampling
        f.i64(0 if found.start is None else found.start)
        if found.start is not None:
            return
        if found.seeded:
            f.i32(SAMPLING + SEED)
            f.call(self.imports["seed"])
            for offset in (0, 8):
                self.agent.load_at(f, "i64.load", SAMPLING + SEED + offset)
                f.op("i64.xor")
        if self._clock is not None:
            f.call(self._clock)
            f.op("i64.xor")

    def _is_skipped(self, f: Func, state: int) -> None:
        """Push the :class:`Skip` that the generator's state means."""
        for shift, factor in _MIX:
            self._fold(f, state, shift)
            f.i64(factor)
            f.op("i64.mul")
            f.set(state)
        self._fold(f, state, _LAST_SHIFT)
        f.i64(32)
        f.op("i64.shr_u")
        f.i64(self.sampling.rate)
        f.op("i64.mul")
        f.i64(32)
        f.op("i64.shr_u", "i64.eqz", "i32.eqz")

    def _fold(self, f: Func, state: int, shift: int) -> None:
        f.get(state)
        f.get(state)
        f.i64(shift)
        f.op("i64.shr_u", "i64.xor")


class Sampled:
    """The part of a wrapper that knows whether records are made: :attr:`skip` is a local that is
    not 0 where none are."""

    def __init__(self, body: Recorder, shared: Sampling) -> None:
        self.body, self.shared, self.f, self.w = body, shared, body.f, body.w
        self.skip = body.f.local("i32")
        self._recorded: int | None = None

    @classmethod
    def of(cls, body: Recorder, shared: Sampling) -> Sampled | None:
        """None where nothing depends on it."""
        wanted = body.w.action in ("record", "note") or body.w.request
        return cls(body, shared) if wanted else None

    def begin(self) -> None:
        """An export is called: before anything else."""
        f, shared = self.f, self.shared
        if self.w.request not in ("root", "inner"):
            return
        if self.w.role == "enter":
            self._decide()
            shared.load(f, SKIPS)
            f.set(self.skip)
            return
        self.body.agent.load_at(f, "i32.load", STATE + DEPTH)
        f.op("i32.eqz")
        with f.if_():
            self._decide()

    def _decide(self) -> None:
        """Whose request this is, and what holds of that."""
        f, shared = self.f, self.shared
        share = shared.imports.get("share")
        if share is None:
            self._begin()
            return
        f.i32(ASK_ROOT if self.w.request == "root" else ASK)
        f.call(share)
        f.tee(self.skip)
        with f.if_():
            f.i32(SAMPLING + SKIPS)
            f.get(self.skip)
            f.i32(1)
            f.op("i32.sub")
            self.body.agent.store(f, "i32.store")
            shared.store(f, BEGUN, 1)
            f.else_()
            self._begin()
            shared.load(f, SKIPS)
            f.i32(HOLDS)
            f.op("i32.add")
            f.call(share)
            f.op("drop")

    def _begin(self) -> None:
        """A request of its own: what has been drawn before it began is for it."""
        f, shared = self.f, self.shared
        shared.load(f, BEGUN)
        shared.load(f, SKIPS)
        f.i32(Skip.UNKNOWN)
        f.op("i32.eq", "i32.or")
        with f.if_():
            f.call(shared.draw)
        shared.store(f, BEGUN, 1)

    def look(self) -> None:
        """Set :attr:`skip`, when the task is known that runs."""
        f, tasks = self.f, self.body.tasks
        if self.w.role == "enter" and self.w.request:
            return
        if tasks is None:
            self._outside()
            return
        f.get(tasks.entry)
        with f.if_():
            self.body.agent.load(f, "i32.load", tasks.entry, Entry.WORD)
            f.i32(Skip.YES)
            f.op("i32.and")
            f.set(self.skip)
            f.else_()
            self._outside()

    def _outside(self) -> None:
        f, shared = self.f, self.shared
        shared.load(f, SKIPS)
        f.tee(self.skip)
        if not self.w.may_flush:  # nor may anything be asked: it counts as skipped
            f.op("drop")
            return
        f.i32(Skip.UNKNOWN)
        f.op("i32.eq")
        with f.if_():
            f.call(shared.draw)
            shared.load(f, SKIPS)
            f.set(self.skip)

    def cross(self) -> None:
        """Right before a call into another component of ours."""
        share = self.shared.imports.get("share")
        if share is None or self.w.request != "crossing":
            return
        self.f.get(self.skip)
        self.f.i32(PASS)
        self.f.op("i32.add")
        self.f.call(share)
        self.f.op("drop")

    def recorded(self) -> int:
        """A local that is 1 where records are made."""
        if self._recorded is None:
            self._recorded = self.f.local("i32")
        self.f.get(self.skip)
        self.f.op("i32.eqz")
        self.f.set(self._recorded)
        return self._recorded

    def records(self) -> AbstractContextManager[Label]:
        """A block for what is done where records are made."""
        self.f.get(self.skip)
        self.f.op("i32.eqz")
        return self.f.if_()


def where_recorded(sampled: Choice | None) -> AbstractContextManager[Label | None]:
    return nullcontext() if sampled is None else sampled.records()
