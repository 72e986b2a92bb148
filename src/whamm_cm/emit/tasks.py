"""What wrappers do where exports are asynchronous: whose task it is, and what comes later.

An export may be called again while an earlier call of it waits, and its wrapper's frame is gone by
then.  Slot 0 of the context, which every thread has for itself, leads to an entry of the agent
(``agent/tasks.h``); the guest's own ``context.get`` and ``context.set`` find their value in there.
What is due later, a subtask or a copy that was blocked, has an entry under its handle.  Whoever is
told that it is over (a callback, a wait, a cancellation) calls a function for that before the guest
sees it: it stands in the agent's table, for it needs the memory of the canon that was called.  It
writes the return, and runs the probes of scripts that wait for it (``over.py``).

Concurrency.md; CanonicalABI.md: ``canon_lower``, ``canon_task_return``, ``unpack_event``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from whamm_cm.agent.layout import BEFORE_RETURNED, BUFFER_PTR, DEPTH, HIGH, STATE, Entry, Phase
from whamm_cm.emit import past
from whamm_cm.emit.context import STARTED, Context
from whamm_cm.emit.copies import BLOCKED, POINTER, is_over, write_copy
from whamm_cm.emit.model import EventMode, Role
from whamm_cm.emit.paths import has_trace, mentions
from whamm_cm.emit.recorder import Recorder

#: Wrappers where something is said of calls which others began.
LATE: Final[tuple[Role, ...]] = ("callback", "return", "cancel", "wait")
_STATE_BITS, _STATE, _RETURNED = 4, 0xF, 2
_EXIT_MASK = 0xF


class Tasks:
    """The part of a wrapper, or of the function that writes its late return, that knows tasks."""

    def __init__(self, body: Recorder, context: Context) -> None:
        self.body, self.context, self.f, self.w = body, context, body.f, body.w
        self.agent = body.agent
        self.entry, self.number = self.f.local("i32"), self.f.local("i32")

    # --- around the call -------------------------------------------------------------------------

    def begin(self) -> None:
        """Before anything is recorded."""
        role = self.w.role
        if role in ("get", "set"):
            if self.body.recording:
                self._known()
            return
        if role == "enter":
            self._enter()
        elif role in ("return", "cancel", "spawn"):  # which nothing but a task may call
            self._known()
        elif (
            self.body.recording
            or self.w.request
            or any(mentions((p.predicate, p.body), "task") for p in self.w.probes)
        ):
            self._find()
        if role == "callback":
            self._resumed()
        elif role == "wait" and self.body.timed and self.w.action != "record":
            self._now(self.body.began)
        if role == "callback" and self.body.options.due:
            for local in range(3):
                self.f.get(local)
            self.f.call(self.context.event)

    def _find(self) -> None:
        """Set ``entry`` and ``number``: where no export runs there is no task, and no context."""
        f = self.f
        self.agent.load_at(f, "i32.load", STATE + DEPTH)
        if self.context.index is not None:  # a thread may run while the first one waits
            self.context.call(f, "spawned")
            f.op("i32.or")
        with f.if_():
            self._known()

    def _known(self) -> None:
        f = self.f
        self.context.get(f)
        f.tee(self.entry)
        with f.if_():
            self._load(Entry.TASK)
            f.set(self.number)

    def _enter(self) -> None:
        """A task begins with this call.  No record may have been begun: the buffer may move."""
        f, body, later = self.f, self.body, self.w.later
        f.i32(self.w.site << 8)
        if body.sampled is not None:
            f.get(body.sampled.skip)
            f.op("i32.or")
        f.i32(self.w.export)
        self.context.call(f, "task_new")
        f.tee(self.entry)
        with f.if_():
            self._load(Entry.TASK)
            f.set(self.number)
            past.store(f, self.agent, self.entry, self.w, later)
            if (
                past.asked(later, "elapsed")
                or any(map(has_trace, later))
                and body.clock is not None
            ):
                assert body.clock is not None, "imported where a probe uses it"
                self.agent.at(f, self.entry, Entry.BEGAN)
                f.call(body.clock)
                self.agent.store(f, "i64.store", Entry.BEGAN)
            if past.asked(later, "call_id") and (self.w.action != "record" or body.numbered):
                body.number_call()
                self._note(Entry.CALL, body.call)
        self.context.set(f, self.entry)

    def _note(self, offset: Entry, local: int) -> None:
        self.agent.at(self.f, self.entry, offset)
        self.f.get(local)
        self.agent.store(self.f, "i64.store", offset)

    def _is_logged(self) -> None:
        self.agent.at(self.f, self.entry, Entry.LOGGED)
        self.f.i32(1)
        self.agent.store(self.f, "i32.store", Entry.LOGGED)

    def numbered(self) -> None:
        """The call that the task began with is logged, with a number and a time."""
        f = self.f
        f.get(self.entry)
        with f.if_():
            self._note(Entry.CALL, self.body.call)
            if self.body.timed:
                self._note(Entry.BEGAN, self.body.began)
            self._is_logged()

    def _began(self) -> None:
        if self.body.entered_at is not None:
            self.f.get(self.body.entered_at)
        elif self.body.timed and self.body.recording:
            self.f.get(self.body.began)
        else:
            self.f.i64(0)

    def end(self) -> None:
        """After the call; its result, if any, is on the stack and stays there."""
        f, w = self.f, self.w
        if w.role == "wait":
            self._resumed()
        elif w.role in ("return", "cancel") and self.body.options.logged:
            self._answer()  # the host has taken it: it traps where that is not the task's to do
        hears = w.role in ("wait", "ask", "poll") and self.body.options.due
        if w.role not in ("enter", "callback", "spawn") and not hears:
            return
        value = None
        if w.signature.results:
            value = f.local(w.signature.results[0])
            f.set(value)
        if w.role in ("wait", "poll"):
            assert value is not None, "it returns the code of an event"
            self._waited(value)
        elif w.role == "spawn":
            assert value is not None, "it returns the index"
            f.get(value)
            f.get(self.entry)
            self.context.call(f, "thread_new")
        elif w.role == "ask":
            assert value is not None, "it says what became of it"
            self._asked(value)
        elif value is not None and (w.role == "callback" or w.callback):
            f.get(value)
            f.i32(_EXIT_MASK)
            f.op("i32.and", "i32.eqz")
            with f.if_():
                self._exit()
                f.else_()
                self._leave()
        else:
            self._exit()
        if value is not None:
            f.get(value)

    def _now(self, local: int) -> None:
        now = self.body.probe.now
        assert now is not None, "the module is timed"
        self.f.call(now)
        self.f.set(local)

    def _leave(self) -> None:
        """The task waits from now on."""
        f, body = self.f, self.body
        if not body.recording or not body.timed:
            return
        f.get(self.entry)
        with f.if_():
            self._now(body.ended)
            self.agent.at(f, self.entry, Entry.LEFT)
            f.get(body.ended)
            self.agent.store(f, "i64.store", Entry.LEFT)

    def _resumed(self) -> None:
        """The task has waited: in its callback since it was left, else since ``began``."""
        f, body, w = self.f, self.body, self.w
        if not body.timed or not body.options.logged:
            return
        f.get(self.entry)
        with f.if_():
            self._load(Entry.LOGGED)
            with f.if_():
                self._load(Entry.CALL, "i64.load")
                f.set(body.call)
                if w.role == "callback":
                    self._load(Entry.LEFT, "i64.load")
                    f.set(body.began)
                self._of_task(Phase.RESUMED)

    def _exit(self) -> None:
        """The task is over."""
        f, body = self.f, self.body
        f.get(self.entry)
        with f.if_():
            enters = self.w.is_async and body.recording
            if body.options.logged and (self.w.role == "callback" or enters):
                self._load(Entry.LOGGED)
                with f.if_():
                    self.late(self.entry)
                    body.bare_record(Phase.EXIT)
            self._fire("end", self.entry)
            if (over := body.probe.task_over) is not None:
                f.get(self.entry)
                f.call(over)
            f.get(self.entry)
            self.context.call(f, "task_end")

    def _fire(self, mode: EventMode, entry: int, result: int | None = None) -> None:
        if self.body.over is not None:
            self.body.over(self.body, mode, entry, result)

    def _waited(self, code: int) -> None:
        """The event lies where the second parameter says: the host has written it there."""
        f, guest = self.f, self.body.guest
        assert guest is not None, "a wait has a memory"
        f.get(code)
        for offset in (0, 4):
            f.get(1)
            f.memory_op("i32.load", offset, guest.memory)
        f.call(self.context.event)

    def _asked(self, value: int) -> None:
        f = self.f
        f.get(value)
        f.i32(BLOCKED)
        f.op("i32.ne")
        with f.if_():
            self.context.over(f, 0, value)

    # --- records of other calls ------------------------------------------------------------------

    def _load(self, offset: Entry, how: str = "i32.load") -> None:
        self.agent.load(self.f, how, self.entry, offset)

    def late(self, entry: int) -> None:
        """Get ready for a record of the call that the entry is of."""
        f, body = self.f, self.body
        self.agent.load(f, "i64.load", entry, Entry.CALL)
        f.set(body.call)
        if body.timed:
            self.agent.load(f, "i64.load", entry, Entry.BEGAN)
            f.set(body.began)
        if body.secret is not None:  # nothing is known of the name it was called with
            f.i32(1)
            f.set(body.secret)

    def _answer(self) -> None:
        """``task.return`` and ``task.cancel``: the record belongs to the call of the export."""
        f = self.f
        f.get(self.entry)
        with f.if_():
            self._load(Entry.LOGGED)
            with f.if_():
                self.late(self.entry)
                self._of_task(Phase.RETURN if self.w.role == "return" else Phase.CANCELLED)
                self.hasten()

    def hasten(self) -> None:
        """Whatever is recorded next leaves at once: a host may stop where it has its result."""
        self.f.i32(STATE + HIGH)
        self.agent.load_at(self.f, "i32.load", STATE + BUFFER_PTR)
        self.agent.store(self.f, "i32.store")

    def _of_task(self, phase: Phase) -> None:
        """A record about the call that the task began with, at whose site this is not."""
        f, body = self.f, self.body
        body.site = 0
        state = None
        if phase == Phase.CANCELLED:
            state = f.local("i32")
            f.i32(BEFORE_RETURNED)
            f.set(state)
        if phase == Phase.RETURN:
            self._hand_over()
        else:
            body.bare_record(phase, state)
        body.site = self.w.site
        self.agent.at(f, body.start, 4)
        self.agent.load(f, "i32.load", body.start, 4)
        self._load(Entry.WORD)
        f.op("i32.or")
        self.agent.store(f, "i32.store", 4)

    def _hand_over(self) -> None:
        """The record of the values that a ``task.return`` is given."""
        body, w = self.body, self.w
        slots = 0 if w.signature.params_spilled else tuple(enumerate(w.signature.params))
        mode = "none" if w.redact is None else w.redact.params
        body.write_image(body.image(tuple(t for _, t in w.params), slots, mode, False))

    # --- later -----------------------------------------------------------------------------------

    def due(self, value: int, logged: int | None = None) -> None:
        """The call has returned ``value``, which says that its result comes later; ``logged``: a
        local that says whether it was recorded, if that depends."""
        f, w = self.f, self.w
        if past.asked(w.probes, "call_id"):
            self.body.number_call()
        if w.role == "start":
            f.get(value)
            f.i32(_STATE_BITS)
            f.op("i32.shr_u")
        else:
            f.get(0)
        if self.body.recording or past.asked(w.probes, "call_id"):
            f.get(self.body.call)
        else:
            f.i64(0)
        self._began()
        kept = len(w.signature.params) - 1 if w.role == "start" else POINTER
        if w.elements is not None or (w.role == "start" and w.result is not None):
            f.get(kept)
            if w.ptr == 4:
                f.op("i64.extend_i32_u")
        else:
            f.i64(0)
        f.i32(w.due_at)
        f.get(self.number)
        self.context.call(f, "due")
        if not w.probes:
            f.op("drop")
            return
        entry = f.local("i32")
        f.tee(entry)
        with f.if_():
            past.store(f, self.agent, entry, w, w.probes)
            if logged is not None:
                self.agent.at(f, entry, Entry.LOGGED)
                f.get(logged)
                self.agent.store(f, "i32.store", Entry.LOGGED)

    def await_(self, status: int, logged: int | None) -> None:
        """After a call that no record is made of: something is due unless it has returned."""
        f = self.f
        if self.w.role == "copy":
            with is_over(f, self.w, status):
                f.else_()
                self.due(status, logged)
            return
        f.get(status)
        f.i32(_STATE)
        f.op("i32.and")
        f.i32(_RETURNED)
        f.op("i32.ne")
        with f.if_():
            self.due(status, logged)

    def write_late(self) -> None:
        """All of the function of an entry and of what became of it: the return of what was due."""
        f, body, w = self.f, self.body, self.w
        self.agent.load(f, "i32.load", 0, Entry.TASK)
        f.set(self.number)
        if w.role == "copy":
            value = 1
            if w.signature.results[0] == "i64":
                value = f.local("i64")
                f.get(1)
                f.op("i64.extend_i32_u")
                f.set(value)
            ptr = self._kept_address()
            if w.action == "record":
                self._logged(lambda: write_copy(body, value, ptr))
            if body.over is not None:
                body.over(body, "after", 0, value, ptr)
            return
        f.get(1)
        f.i32(_RETURNED)
        f.op("i32.eq")
        with f.if_():
            out = None if w.result is None else self._kept_address()
            self._logged(lambda: body.returned(() if out is None else out))
            self._fire("after", 0, out)
            f.else_()
            f.get(1)
            f.i32(STARTED)
            f.op("i32.gt_u")
            with f.if_():
                self._logged(lambda: body.bare_record(Phase.CANCELLED, 1))
                self._fire("cancel", 0)
                f.else_()
                self._logged(lambda: body.bare_record(Phase.STARTED))

    def _kept_address(self) -> int:
        """A local with where the entry in local 0 says that values are."""
        kind = "i64" if self.w.ptr == 8 else "i32"
        address = self.f.local(kind)
        self.agent.load(self.f, f"{kind}.load", 0, Entry.VALUE)
        self.f.set(address)
        return address

    def _logged(self, write: Callable[[], None]) -> None:
        """Write a record of a call that is over, if it was recorded."""
        f = self.f
        sampled = self.body.sampled is not None and self.w.probes
        if self.w.action == "record" and not sampled:
            self.late(0)
            write()
        elif sampled or any(map(has_trace, self.w.probes)):
            self.agent.load(f, "i32.load", 0, Entry.LOGGED)
            with f.if_():
                self.late(0)
                write()

    # --- the guest's own slot --------------------------------------------------------------------

    def virtual(self) -> None:
        """What the guest's ``context.get`` or ``context.set`` of slot 0 does."""
        f, wide = self.f, self.context.kind == "i64"
        self.context.get(f)
        f.tee(self.entry)
        if self.w.role == "get":
            with f.if_("i64"):
                self._load(Entry.VALUE, "i64.load")
                f.else_()
                f.i64(0)
            if not wide:
                f.op("i32.wrap_i64")
            return
        f.op("i32.eqz")
        with f.if_():
            self.context.call(f, "slot_new")
            f.tee(self.entry)
            f.op("i32.eqz")
            with f.if_():  # no memory is left, and a guest must not lose what it has put there
                f.op("unreachable")
            self.context.set(f, self.entry)
        self.agent.at(f, self.entry, Entry.VALUE)
        f.get(0)
        if not wide:
            f.op("i64.extend_i32_u")
        self.agent.store(f, "i64.store", Entry.VALUE)
