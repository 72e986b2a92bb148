"""The body of one wrapper: records around the call of the wrapped function, and when to flush."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from whamm_cm.abi.layout import layouts
from whamm_cm.agent.layout import (
    COUNTERS,
    DEPTH,
    HIGH,
    LAST_FLUSH,
    LASTED,
    LIMIT,
    MAX_DEPTH,
    MAX_RECORD,
    NEXT_CALL,
    POS,
    RECORD_HEADER,
    SCRATCH,
    STATE,
    Flush,
    Phase,
    RecordFlag,
)
from whamm_cm.emit.copies import write_note, write_returned
from whamm_cm.emit.flats import Slot
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.model import Mode, Wrapper
from whamm_cm.emit.probe import Probe, records
from whamm_cm.emit.recorder import Over
from whamm_cm.emit.sampling import Sampled, where_recorded
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.tails import Step, Tails, Values, is_string
from whamm_cm.emit.tasks import Tasks
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import Resource, ValType

#: How much sooner records leave where a handle is dropped.
_DROPS = 16
#: Low bits of the i32 an async lower returns, and the state that says the result is there.
_STATE_MASK, _RETURNED = 0xF, 2


def _check(w: Wrapper) -> None:
    """Raises WeaveError for what no canonical definition asks for."""
    if len(w.signature.results) > 1:
        raise WeaveError(f"site {w.site}: a core function with several results")
    gate = None if w.redact is None else w.redact.gate
    if gate is not None and not (gate < len(w.params) and is_string(w.params[gate][1])):
        raise WeaveError(f"site {w.site}: parameter {gate}, the gate, is not a string")


class Body:
    """One wrapper under construction.  ``realloc`` is the guest's, and ``answer`` the export's
    ``task.return``, ``drops`` what drops handles for it, where a probe may need them."""

    def __init__(
        self, probe: Probe, f: Func, wrapper: Wrapper, realloc: int | None,
        answer: int | None = None, drops: Mapping[Resource, int] | None = None,
    ) -> None:  # fmt: skip
        self.probe, self.f, self.w = probe, f, wrapper
        self.realloc, self.answer, self.drops = realloc, answer, drops or {}
        self.agent, self.options = probe.agent, probe.options
        # The clock is a call out of the instance, too.
        self.timed = probe.now is not None and wrapper.may_flush
        self.guest = None if wrapper.memory is None else probe.guests[wrapper.memory]
        self.entered = wrapper.kind in ("lift", "callback")
        gate = wrapper.redact is not None and wrapper.redact.gate is not None
        self.recording = records(wrapper)
        self.site, self.clock = wrapper.site, probe.clock
        self.over: Over | None = None
        self.entered_at: int | None = None
        self.tasks = None if probe.context is None else Tasks(self, probe.context)
        self.sampled = None if probe.sampling is None else Sampled.of(self, probe.sampling)
        self.numbered = False
        self.secret = f.local("i32") if gate and self.recording else None
        if self.recording:
            self.start, self.p, self.end = (f.local("i32") for _ in range(3))
            self.call, self.head = f.local("i64"), f.local("i64")
            if self.timed:
                self.began, self.ended = f.local("i64"), f.local("i64")
        elif wrapper.probes or wrapper.later:
            self.call = f.local("i64")

    def write(self, target: int, events: Callable[[Body, int], None], over: Over) -> None:
        """The whole of it around the function ``target``; ``events`` runs a script's probes, and
        ``over`` those that fire when a call is over."""
        w = self.w
        self.over = over
        _check(w)
        if self.sampled is not None:
            self.sampled.begin()
            self._number_early()
        if self.entered:
            self.probe.alone(self.f, begins=True)
            self._add_depth(1)
        if self.tasks is not None:
            self.tasks.begin()
            if self.options.flush_each and w.role == "callback":
                self._flush_if_due()  # what it was told is over, before the guest goes on
        if self.sampled is not None:
            self.sampled.look()
        if w.action == "count":
            self._count()
            if self.options.flush_each and w.may_flush:
                self._flush(Flush.PUSH | Flush.REPORT)
        if w.action == "record":
            with where_recorded(self.sampled):
                self.record_call()
        if w.probes:
            events(self, target)
        else:
            self.call_on(target)
            if w.action == "record" and w.kind != "task.return":
                self._record_return()
        if w.action == "note":
            write_note(self)
        if self.tasks is not None:
            self.tasks.end()
        self._leave()

    def call_on(self, target: int) -> None:
        """Call the wrapped function with what the parameters are now."""
        if self.w.flush_before is not None:
            self._flush(self.w.flush_before)
        if self.sampled is not None:
            self.sampled.cross()
        if self.tasks is not None and self.w.role in ("get", "set"):
            self.tasks.virtual()
            return
        for local in range(len(self.w.signature.params)):
            self.f.get(local)
        self.f.call(target)

    def _count(self) -> None:
        address = COUNTERS + 8 * self.w.slot
        self.f.i32(address)
        self.agent.load_at(self.f, "i64.load", address)
        self.f.i64(1)
        self.f.op("i64.add")
        self.agent.store(self.f, "i64.store")

    def _add_depth(self, amount: int) -> None:
        self.f.i32(STATE + DEPTH)
        self.agent.load_at(self.f, "i32.load", STATE + DEPTH)
        self.f.i32(amount)
        self.f.op("i32.add")
        self.agent.store(self.f, "i32.store")

    def _flush(self, flags: Flush) -> None:
        flush = self.probe.flush()
        if flush is not None:
            self.f.i32(int(flags))
            self.f.call(flush)

    def _leave(self) -> None:
        """What happens after the call; its result, if any, is on the stack and stays there."""
        if not self.entered:
            if self.w.probes and self.w.may_flush:
                self.probe.beat(self.f)
            if self.options.flush_each or self.w.role not in ("return", "cancel"):
                self._flush_if_due()
            elif self.tasks is not None:
                self._flush_answer(self.tasks)
            if self.w.action == "record" and self.w.kind != "task.return":
                self._flush_if_late(self.ended if self.timed else None)
        else:
            self._add_depth(-1)
            self.probe.alone(self.f, begins=False)
            if self.probe.flush() is None:
                return
            if self.tasks is not None:  # what else runs in here waits, maybe for ever
                self._flush_all()
                return
            self.agent.load_at(self.f, "i32.load", STATE + DEPTH)
            with self.f.if_():
                self._flush_if_due()
                self.f.else_()
                self._flush_all()

    def _flush_answer(self, tasks: Tasks) -> None:
        """What comes next sends it, mostly the end of the callback; where nothing may come, it is
        sent now."""
        if self.options.lasting and self.w.may_flush:
            self._flush(Flush.PUSH)
            tasks.hasten()

    def _flush_all(self) -> None:
        flags = Flush.REPORT
        if not self.w.relayed:
            flags |= Flush.PUSH
        if self.options.push_empty and not self.w.relayed:
            flags |= Flush.EMPTY
        self._flush(flags)

    def _flush_if_due(self) -> None:
        flush = self.probe.flush()
        if not self.w.may_flush or flush is None:
            return
        if self.options.flush_each:
            self._is_outside()
            self.f.i32(int(Flush.PUSH))
            self.f.op("i32.or")
            self.f.call(flush)
            return
        self._is_full()
        if self.w.flush_outside:
            self._is_outside()
            self.f.op("i32.or")
        with self.f.if_():
            self._is_outside()
            self.f.call(flush)

    def _is_outside(self) -> None:
        """Put flush flags on the stack: outside of any export nothing else would send on what was
        recorded there."""
        if self.w.flush_outside:
            self.agent.load_at(self.f, "i32.load", STATE + DEPTH)
            self.f.op("i32.eqz")
            self.f.i32(int(Flush.PUSH | Flush.REPORT))
            self.f.op("i32.mul")
        else:
            self.f.i32(int(Flush.NONE))

    # --- the two records -------------------------------------------------------------------------

    def number_call(self) -> None:
        """Set ``call`` if no record has done so yet."""
        if self.w.action == "record":
            return
        f = self.f
        f.get(self.call)
        f.op("i64.eqz")
        with f.if_():
            self._next_call()

    def _number_early(self) -> None:
        """Probes know the call by its number whether it is recorded or not."""
        if self.w.action == "record" and (self.w.probes or self.w.later):
            self.numbered = True
            self._next_call()

    def _next_call(self) -> None:
        f = self.f
        f.i32(STATE + NEXT_CALL)
        self.agent.load_at(f, "i64.load", STATE + NEXT_CALL)
        f.tee(self.call)
        f.i64(1)
        f.op("i64.add")
        self.agent.store(f, "i64.store")

    def record_call(self, entered: int | None = None) -> None:
        """Write the record of the call as the parameters are now; ``entered``: a local with the
        time it began, if that is not now."""
        f, w = self.f, self.w
        if self.secret is not None:  # until the name is known it counts as secret
            f.i32(1)
            f.set(self.secret)
        types = tuple(t for _, t in w.params)
        source: int | tuple[Slot, ...] = 0
        if not w.signature.params_spilled:
            source = tuple(enumerate(w.signature.params))
        image = self.image(types, source, "none" if w.redact is None else w.redact.params, True)
        self._begin_record(Phase.CALL, entered)
        if w.action != "record":
            self.number_call()
        elif not self.numbered:
            self._next_call()
        if self.tasks is not None and w.role == "enter":
            self.tasks.numbered()
        self._header(Phase.CALL)
        self._body(Phase.CALL, image)
        if self.options.flush_each and w.may_flush:
            self._flush(Flush.PUSH)
        elif w.flush_before is None:
            self._flush_before_call()

    def _flush_before_call(self) -> None:
        """The callee may be where the guest ends: let the record go ahead of it when that is due,
        as it is at every call early on."""
        if not self.w.may_flush or self.probe.flush() is None:
            return
        self._is_full()
        with self.f.if_():
            self._flush(Flush.NONE)
        self._flush_if_late(self.began if self.timed else None)

    def _is_full(self) -> None:
        """Put on the stack whether enough is buffered to send it."""
        self.agent.load_at(self.f, "i32.load", STATE + POS)
        self.agent.load_at(self.f, "i32.load", STATE + HIGH)
        self.f.op("i32.gt_u")

    def _flush_if_late(self, now: int | None) -> None:
        """Send what is buffered when the last time was ``interval_ns`` ago, for a live log.  A
        handle that is dropped is what hosts most often trap at: it waits for less."""
        f, parts = self.f, _DROPS if self.w.kind == "resource.drop" else 1
        interval = self.options.interval_ns // parts
        if now is None or not interval or not self.w.may_flush or self.probe.flush() is None:
            return
        if self.options.brief:  # the time counts from the first record of the instance
            self.agent.load_at(f, "i64.load", STATE + LAST_FLUSH)
            f.op("i64.eqz")
            with f.if_():
                f.i32(STATE + LAST_FLUSH)
                f.get(now)
                self.agent.store(f, "i64.store")
        f.get(now)
        self.agent.load_at(f, "i64.load", STATE + LAST_FLUSH)
        f.op("i64.sub")
        f.i64(interval)
        f.op("i64.gt_u")
        with f.if_():
            f.i32(STATE + LAST_FLUSH)
            f.get(now)
            self.agent.store(f, "i64.store")
            self._flush(Flush.PUSH | Flush.GOES_ON)

    def _record_return(self) -> None:
        """Result values are on the stack before and after."""
        f, w = self.f, self.w
        value = None
        if w.signature.results:
            value = f.local(w.signature.results[0])
            f.set(value)
        with where_recorded(self.sampled):
            self.write_return(value)
        if value is not None:
            f.get(value)

    def write_return(self, value: int | None) -> None:
        """Write the record of what the call has returned, in local ``value``."""
        f, w = self.f, self.w
        if w.kind == "lift" and w.is_async:
            if self.tasks is None:
                self.pending(value)
        elif w.kind == "lower" and w.is_async:
            assert value is not None, "an async lower returns its status"
            f.get(value)
            f.i32(_STATE_MASK)
            f.op("i32.and")
            f.i32(_RETURNED)
            f.op("i32.eq")
            with f.if_():
                self.returned(len(w.signature.params) - 1)
                f.else_()
                self.pending(value)
        elif w.role == "copy" or w.elements is not None:
            assert value is not None, "it says how much was copied"
            write_returned(self, value)
        else:
            source: int | tuple[Slot, ...] = ()
            if value is not None:
                source = value if w.signature.results_spilled else (self.slot(value),)
            elif w.signature.results_spilled:
                source = len(w.signature.params) - 1
            self.returned(source)

    def bare_record(self, phase: Phase, word: int | None = None) -> None:
        """A record without values, but for the i32 in local ``word``."""
        offset = self._begin_record(phase)
        self._header(phase)
        if word is not None:
            self.agent.at(self.f, self.start, offset)
            self.f.get(word)
            self.agent.store(self.f, "i32.store", offset)
            offset += 4
        self._finish_constant(phase, RecordFlag(0), offset)

    def slot(self, local: int) -> Slot:
        return local, self.w.signature.results[0]

    def returned(self, source: int | tuple[Slot, ...]) -> None:
        redact, result = self.w.redact, self.w.result
        types = () if result is None else (result,)
        mode = "none" if redact is None else redact.result
        self.write_image(self.image(types, source, mode, False))

    def write_image(self, image: Values | None, phase: Phase = Phase.RETURN) -> None:
        self._begin_record(phase)
        self._header(phase)
        self._body(phase, image)

    def pending(self, status: int | None) -> None:
        """A record of what an async function returned before its result is there."""
        word = self.f.local("i32")
        if status is not None:
            self.f.get(status)
            if self.w.signature.results[0] == "i64":
                self.f.op("i32.wrap_i64")
            self.f.set(word)
        self.bare_record(Phase.PENDING, word)
        if self.tasks is not None and self.w.due_at and self.w.action == "record":
            self.tasks.due(word, None if self.sampled is None else self.sampled.recorded())

    def image(
        self, types: tuple[ValType, ...], source: int | tuple[Slot, ...], mode: Mode, params: bool
    ) -> Values | None:
        """None for values that are too large to record."""
        table = layouts(self.w.ptr)
        layout = table.record(types)
        infos = [table.info(t) for t in types]
        if layout.size > MAX_RECORD // 2 or any(info.depth > MAX_DEPTH for info in infos):
            return None
        spilled = isinstance(source, int) and bool(types)
        pointers = any(info.pointers for info in infos)
        if (spilled or pointers) and self.guest is None:
            raise WeaveError(f"site {self.w.site}: values in memory, but its canon names no memory")
        image = Values(types, layout.offsets, layout.size, source)
        if not pointers or self.guest is None:
            return image
        return self._with_tails(image, self._tails(self.guest), mode, params)

    def _tails(self, guest: Guest) -> Tails:
        # Of what the sink is to find secrets in, it has to see a record at once.
        whole = self.options.whole and self.w.redact is None
        return self.probe.tails(guest, self.w.encoding, whole)

    def _with_tails(self, image: Values, tails: Tails, mode: Mode, params: bool) -> Values:
        types, offsets = image.types, image.offsets
        gate = None if self.w.redact is None else self.w.redact.gate
        if gate is None:
            plain = tails.steps(types, offsets, mode)
            return Values(types, offsets, image.size, image.source, plain)
        cut = gate + 1 if params else 0
        return Values(
            types,
            offsets,
            image.size,
            image.source,
            tails.steps(types[:cut], offsets[:cut], mode),
            tails.steps(types[cut:], offsets[cut:], "values"),
            tails.steps(types[cut:], offsets[cut:], mode),
            offsets[gate] if params else None,
        )

    # --- parts of a record -----------------------------------------------------------------------

    def _begin_record(self, phase: Phase, entered: int | None = None) -> int:
        """Read the clock and find room; returns the size of the record's header."""
        f = self.f
        if self.timed:
            assert self.probe.now is not None, "the module is timed"
            if entered is None:
                f.call(self.probe.now)
            else:
                f.get(entered)
            f.set(self.began if phase not in LASTED else self.ended)
        self.agent.load_at(f, "i32.load", STATE + POS)
        f.tee(self.start)
        self.agent.load_at(f, "i32.load", STATE + LIMIT)
        f.op("i32.gt_u")
        with f.if_():
            f.call(self.probe.begin(self.w.may_flush))
            f.set(self.start)
        return self._header_size(phase)

    def _header_size(self, phase: Phase) -> int:
        times = 0 if not self.timed else 16 if phase in LASTED else 8
        return RECORD_HEADER + times + (0 if self.tasks is None else 4)

    def _header(self, phase: Phase) -> None:
        """All of the header but size and word, which ``_finish`` writes."""
        f = self.f
        self.agent.at(f, self.start, 8)
        f.get(self.call)
        self.agent.store(f, "i64.store", 8)
        if self.tasks is not None:
            offset = self._header_size(phase) - 4
            self.agent.at(f, self.start, offset)
            f.get(self.tasks.number)
            self.agent.store(f, "i32.store", offset)
        if not self.timed:
            return
        self.agent.at(f, self.start, 16)
        f.get(self.began if phase not in LASTED else self.ended)
        self.agent.store(f, "i64.store", 16)
        if phase in LASTED:
            self.agent.at(f, self.start, 24)
            f.get(self.ended)
            f.get(self.began)
            f.op("i64.sub")
            self.agent.store(f, "i64.store", 24)

    def _body(self, phase: Phase, image: Values | None) -> None:
        offset = self._header_size(phase)
        if image is None:
            self._finish_constant(phase, RecordFlag.BIG, offset)
        elif not image.types:
            self._finish_constant(phase, RecordFlag(0), offset)
        elif isinstance(image.source, int):
            self._body_from_memory(phase, image, image.source, offset)
        else:
            flats = self.probe.flats(self.w.ptr)
            flats.write(self.f, flats.record(image.types), self.start, offset, image.source)
            if not image.has_tail:
                self._finish_constant(phase, RecordFlag(0), offset + image.size)
                return
            self._write_tails(image, offset)
            self._set_head(phase, RecordFlag(0))
            self._finish()

    def _body_from_memory(self, phase: Phase, image: Values, ptr: int, offset: int) -> None:
        f, guest = self.f, self.guest
        assert guest is not None, "checked when the image was made"
        out_of_bounds(f, guest, ptr, None, image.size)
        with f.if_():
            self._set_p(offset)
            self._set_head(phase, RecordFlag.BAD)
            f.else_()
            f.get(self.start)
            f.i32(offset)
            f.op("i32.add")
            f.get(ptr)
            f.i32(image.size)
            self.agent.copy(f, guest)
            self._write_tails(image, offset)
            self._set_head(phase, RecordFlag(0))
        self._finish()

    def _set_p(self, offset: int) -> None:
        self.f.get(self.start)
        self.f.i32(offset)
        self.f.op("i32.add")
        self.f.set(self.p)

    def _write_tails(self, image: Values, offset: int) -> None:
        """Set ``p`` behind the image at ``offset`` and append its tails."""
        f = self.f
        self._set_p(offset + image.size)
        if not image.has_tail:
            return
        assert self.guest is not None, "checked when the image was made"
        tails = self._tails(self.guest)
        f.get(self.start)
        f.i32(MAX_RECORD)
        f.op("i32.add")
        f.set(self.end)
        self._steps(tails, image.plain, offset)
        if self.secret is not None and image.gate is not None:
            tails.emit_secret(f, self.start, offset + image.gate)
            f.set(self.secret)
        if self.secret is not None and (image.gated or image.open):
            f.get(self.secret)
            with f.if_():
                self._steps(tails, image.gated, offset)
                f.else_()
                self._steps(tails, image.open, offset)

    def _steps(self, tails: Tails, steps: Sequence[Step], offset: int) -> None:
        for step in steps:
            tails.emit(self.f, step, self.start, self.p, self.end, offset)

    def _word(self, phase: Phase, flags: RecordFlag) -> int:
        if self.timed:
            flags |= RecordFlag.TIMED
        if self.tasks is not None:
            flags |= RecordFlag.TASK
        return self.site << 8 | flags << 4 | phase

    def _set_head(self, phase: Phase, flags: RecordFlag) -> None:
        self.f.i64(self._word(phase, flags) << 32)
        self.f.set(self.head)

    def _finish(self) -> None:
        """Write size (up to ``p``) and word, and keep the record unless it is in scratch."""
        f = self.f
        self.agent.at(f, self.start, 0)
        f.get(self.p)
        f.get(self.start)
        f.op("i32.sub", "i64.extend_i32_u")
        f.get(self.head)
        f.op("i64.or")
        self.agent.store(f, "i64.store")
        self._commit(None)

    def _finish_constant(self, phase: Phase, flags: RecordFlag, size: int) -> None:
        """The same for a record whose size is known now."""
        self.agent.at(self.f, self.start, 0)
        self.f.i64(self._word(phase, flags) << 32 | size)
        self.agent.store(self.f, "i64.store")
        self._commit(size)

    def _commit(self, size: int | None) -> None:
        f = self.f
        f.get(self.start)
        f.i32(SCRATCH)
        f.op("i32.ne")
        with f.if_():
            f.i32(STATE + POS)
            if size is None:
                f.get(self.p)
            else:
                f.get(self.start)
                f.i32(size)
                f.op("i32.add")
            self.agent.store(f, "i32.store")
