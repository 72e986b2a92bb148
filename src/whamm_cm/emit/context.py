"""What wrappers of one module share that know tasks: where the task that runs is found, and whom to
tell that something is over (``tasks.py``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from whamm_cm.agent.layout import Entry
from whamm_cm.emit.memory import Agent
from whamm_cm.emit.model import ProbeOptions
from whamm_cm.wasm.asm import Func, FuncType, Module

SUBTASK, STARTED = 1, 1
_FUTURE_WRITE = 5
#: Functions of the agent.
AGENT_FUNCS: Final[dict[str, FuncType]] = {
    "task_new": (("i32", "i32"), ("i32",)),
    "task_end": (("i32",), ()),
    "due": (("i32", "i64", "i64", "i64", "i32", "i32"), ("i32",)),
    "done": (("i32", "i32"), ("i32",)),
    "slot_new": ((), ("i32",)),
}
THREAD_FUNCS: Final[dict[str, FuncType]] = {
    "thread_new": (("i32", "i32"), ()),
    "thread": (("i32",), ("i32",)),
    "spawned": ((), ("i32",)),
}
#: What modules that know tasks import besides, the last where a component makes threads.
CONTEXT: Final = ("context.get", "context.set", "thread.index")


class Context:
    """What wrappers of one module share that know tasks.  ``kind``: the core type of the slot;
    ``table``: has the agent's table imported."""

    def __init__(
        self,
        module: Module,
        agent: Agent,
        imports: Mapping[str, int],
        table: Callable[[int], int],
        options: ProbeOptions,
    ) -> None:
        self.module, self.agent, self.imports = module, agent, imports
        self.table, self.kind = table, options.context
        kind = self.kind
        getter, setter, index = CONTEXT
        self.getter = module.import_func("probe", getter, (), (kind,))
        self.setter = module.import_func("probe", setter, (kind,), ())
        self.index = module.import_func("probe", index, (), ("i32",)) if options.threads else None
        self._event: int | None = None
        self._current: int | None = None

    def get(self, f: Func) -> None:
        """Push the entry of the task that runs, 0 for none."""
        if self.index is not None:
            f.call(self.current)
            return
        f.call(self.getter)
        if self.kind == "i64":
            f.op("i32.wrap_i64")

    @property
    def current(self) -> int:
        """A function that returns the entry: a new thread's slot is empty, and its index leads to
        what it got from the thread that made it."""
        if self._current is None:
            assert self.index is not None, "it makes threads"
            f = self.module.func((), ("i32",))
            self._current = f.index
            entry = f.local("i32")
            f.call(self.getter)
            if self.kind == "i64":
                f.op("i32.wrap_i64")
            f.tee(entry)
            f.op("i32.eqz")
            self.call(f, "spawned")
            f.op("i32.and")
            with f.if_():
                f.call(self.index)
                self.call(f, "thread")
                f.set(entry)
                self.set(f, entry)
            f.get(entry)
        return self._current

    def set(self, f: Func, entry: int) -> None:
        f.get(entry)
        if self.kind == "i64":
            f.op("i64.extend_i32_u")
        f.call(self.setter)

    def call(self, f: Func, name: str) -> None:
        f.call(self.imports[name])

    @property
    def event(self) -> int:
        """A function of an event: its code, the handle it is about, and what became of that."""
        if self._event is None:
            f = self.module.func(("i32", "i32", "i32"))
            self._event = f.index
            with f.block() as nothing:
                f.get(0)
                f.i32(SUBTASK)
                f.op("i32.lt_u")
                f.br_if(nothing)
                f.get(0)
                f.i32(_FUTURE_WRITE)
                f.op("i32.gt_u")
                f.br_if(nothing)
                self.over(f, 1, 2, 0)
        return self._event

    def over(self, f: Func, handle: int, outcome: int, code: int | None = None) -> None:
        """What was due for the handle in a local is over, and how that is in another; where a
        third has the code of an event, it may also be that a subtask starts."""
        entry = f.local("i32")
        f.get(handle)
        if code is None:
            f.i32(1)
        else:
            f.get(code)
            f.i32(SUBTASK)
            f.op("i32.ne")
            f.get(outcome)
            f.i32(STARTED)
            f.op("i32.gt_u", "i32.or")
        self.call(f, "done")
        f.tee(entry)
        with f.if_():
            f.get(entry)
            f.get(outcome)
            self.agent.load(f, "i32.load", entry, Entry.WORD)
            kind = self.module.type_index(("i32", "i32"), ())
            f.call_indirect(kind, self.table(1))
