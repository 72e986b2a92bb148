"""What is known of an asynchronous call when it is over, and the wrapper that made it is gone.

Parameters that are a few words and nothing in memory are kept in the call's entry (``tasks.h``),
those that some probe asks for.  What lies in memory is the guest's to use again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from whamm_cm.abi.layout import layouts
from whamm_cm.agent.layout import KEPT_WORDS, Entry
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.memory import Agent
from whamm_cm.emit.model import Called, EventMode, EventProbe, Wrapper
from whamm_cm.emit.paths import mentions
from whamm_cm.emit.wit_values import Binding, Flat
from whamm_cm.wasm.asm import Func

#: When a call is over that did not return at once.
OVER: Final[tuple[EventMode, ...]] = ("after", "cancel", "end")
_TO_WORD = {
    "i32": ("i64.extend_i32_u",),
    "i64": (),
    "f32": ("i32.reinterpret_f32", "i64.extend_i32_u"),
    "f64": ("i64.reinterpret_f64",),
}
_FROM_WORD = {
    "i32": ("i32.wrap_i64",),
    "i64": (),
    "f32": ("i32.wrap_i64", "f32.reinterpret_i32"),
    "f64": ("f64.reinterpret_i64",),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A parameter that an entry has room for: its names, the core values in ``locals`` of the
    wrapper that was called, and the first word in the entry."""

    index: int
    names: tuple[str, ...]
    locals: tuple[int, ...]
    cores: tuple[str, ...]
    word: int


def _names(index: int, label: str) -> tuple[str, str]:
    return f"arg{index}", label.replace("-", "_")


def kept(called: Called) -> Iterator[Kept]:
    """The parameters of a call that can be kept."""
    if called.signature.params_spilled:
        return
    table, at, word = layouts(called.ptr), 0, 0
    for index, (label, t) in enumerate(called.params):
        info = table.info(t)
        if not info.pointers and word + info.flat <= KEPT_WORDS:
            found = tuple(range(at, at + info.flat))
            cores = tuple(called.signature.params[local] for local in found)
            yield Kept(index, _names(index, label), found, cores, word)
            word += info.flat
        at += info.flat


def not_kept(probe: EventProbe, called: Called) -> str:
    """The parameter that a probe asks for and that is not to be had when the call is over, by the
    name it has there; "" for none."""
    part = (probe.predicate, probe.body)
    having = {each.index for each in kept(called)}
    for index, (label, _) in enumerate(called.params):
        for name in _names(index, label):
            if index not in having and mentions(part, name):
                return name
    return ""


def asked(probes: Iterable[EventProbe], *names: str) -> bool:
    """Whether one of the probes that fire when a call is over mentions one of the names."""
    return any(
        mentions((p.predicate, p.body), name) for p in probes if p.mode in OVER for name in names
    )


def called_of(w: Wrapper) -> Called:
    return Called(w.export, w.signature, w.params, w.ptr)


def store(f: Func, agent: Agent, entry: int, w: Wrapper, probes: Sequence[EventProbe]) -> None:
    """Keep what probes ask for of the parameters of ``w``, which is being called, in ``entry``."""
    for each in kept(called_of(w)):
        if not asked(probes, *each.names):
            continue
        for k, (local, core) in enumerate(zip(each.locals, each.cores, strict=True)):
            offset = Entry.KEPT + 8 * (each.word + k)
            agent.at(f, entry, offset)
            f.get(local)
            f.op(*_TO_WORD[core])
            agent.store(f, "i64.store", offset)


def load(
    f: Func, agent: Agent, entry: int, called: Called, probe: EventProbe
) -> dict[str, Binding]:
    """Bind what the probe asks for of the parameters of a call that is over."""
    found: dict[str, Binding] = {}
    for each in kept(called):
        if not asked((probe,), *each.names):
            continue
        slots = []
        for k, core in enumerate(each.cores):
            agent.load(f, "i64.load", entry, Entry.KEPT + 8 * (each.word + k))
            f.op(*_FROM_WORD[core])
            slots.append((f.local(core), core))
            f.set(slots[-1][0])
        binding = Binding(called.params[each.index][1], Flat(tuple(slots)))
        found |= dict.fromkeys(each.names, binding)
    return found
