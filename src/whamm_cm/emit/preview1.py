"""The body of a wrapper around a function of WASI preview 1: its values are where those are.

Records are those of any call (``wrapper.py``); what is written into them follows
``wit.preview1.Part``.  A pointer is looked at before it is followed, and one that is bad is
recorded as bad: what the host makes of it is up to the host.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.abi.layout import layouts
from whamm_cm.agent.layout import MAX_RECORD, Phase, RecordFlag
from whamm_cm.emit.gathered import BUFFER, Gathered
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.model import Mode
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.tails import Values
from whamm_cm.emit.wrapper import Body
from whamm_cm.wit.preview1 import ERRNO, Function, Part
from whamm_cm.wit.types import EnumT, ResultT, ValType, strip

_ERRNO = strip(ERRNO)
assert isinstance(_ERRNO, EnumT)
_ERRORS = len(_ERRNO.labels)


class WasiBody(Body):
    """``w.known`` is the function it is about."""

    @property
    def known(self) -> Function:
        assert self.w.known is not None, "only such wrappers get here"
        return self.w.known

    def image(
        self, types: tuple[ValType, ...], source: object, mode: Mode, params: bool
    ) -> Values | None:
        """No more than what is there: ``_body`` knows where it lies."""
        layout = layouts().record(types)
        return Values(types, layout.offsets, layout.size, ())

    def _body(self, phase: Phase, image: Values | None) -> None:
        assert image is not None
        base = self._header_size(phase)
        if phase is Phase.CALL:
            self._called(image, base)
            return
        self._set_p(base)
        self._set_head(phase, RecordFlag(0))
        self._finish()

    def _called(self, image: Values, base: int) -> None:
        """The parameters, unless there is an array of buffers to be filled that is not there."""
        f, params = self.f, self.known.params
        arrays = [part.at for part in params if part.how == "total"]
        if self.guest is not None and arrays:
            out_of_bounds(f, self.guest, arrays[0][0], arrays[0][1], BUFFER)
            with f.if_():
                self._set_p(base)
                self._set_head(Phase.CALL, RecordFlag.BAD)
                f.else_()
                self._values(params, image.offsets, base, image.size, self._mode(False))
                self._set_head(Phase.CALL, RecordFlag(0))
        else:
            self._values(params, image.offsets, base, image.size, self._mode(False))
            self._set_head(Phase.CALL, RecordFlag(0))
        self._finish()

    def write_return(self, value: int | None) -> None:
        """Write the record of what the call has returned, an error number in local ``value``."""
        result = self.w.result
        if value is None or not isinstance(result, ResultT):
            self.returned(())
            return
        self._begin_record(Phase.RETURN)
        self._header(Phase.RETURN)
        f, base = self.f, self._header_size(Phase.RETURN)
        info, layout = layouts().info(result), layouts().variant(result)
        payload = base + layout.payload_offset
        f.get(value)
        f.op("i32.eqz")
        with f.if_():
            self._made(base, payload, info.size)
            f.else_()
            self._zero(base, info.size)
            self._put8(base, 1)
            self._error(value, payload)
            self._set_p(base + info.size)
            self._set_head(Phase.RETURN, RecordFlag(0))
        self._finish()

    def _made(self, base: int, payload: int, size: int) -> None:
        """The case ``ok``."""
        f, made = self.f, self.known.made
        places = [at for part in made for at in _pointers(part)]
        if places:
            assert self.guest is not None
            for n, (at, bytes_) in enumerate(places):
                out_of_bounds(f, self.guest, at, None, bytes_)
                if n:
                    f.op("i32.or")
            with f.if_():
                self._set_p(base)
                self._set_head(Phase.RETURN, RecordFlag.BAD)
                f.else_()
                self._readable(base, payload, size)
        else:
            self._readable(base, payload, size)

    def _readable(self, base: int, payload: int, size: int) -> None:
        made = self.known.made
        self._counted()
        self._zero(base, size)
        offsets = layouts().record(part.type for part in made).offsets
        self._values(made, offsets, payload, size - (payload - base), self._mode(True))
        if not made:
            self._set_p(base + size)
        self._set_head(Phase.RETURN, RecordFlag(0))

    def _counted(self) -> None:
        """Keep how many strings there are for the function that fills them in."""
        if self.known.counts:
            assert self.guest is not None
            self.f.get(0)
            self.f.memory_op("i32.load", 0, self.guest.memory)
            self.f.global_set(self.probe.count_of(self.known.counts))

    def _mode(self, result: bool) -> Mode:
        redact = self.w.redact
        if redact is None:
            return "none"
        return redact.result if result else redact.params

    # --- values ---

    def _values(
        self, parts: Sequence[Part], offsets: Sequence[int], base: int, size: int, mode: Mode
    ) -> None:
        """The image at ``base`` of the record, and its tails; sets ``p`` behind them."""
        for part, offset in zip(parts, offsets, strict=True):
            self._fixed(part, base + offset)
        self._set_p(base + size)
        if not any(layouts().info(part.type).pointers for part in parts):
            return
        f = self.f
        f.get(self.start)
        f.i32(MAX_RECORD)
        f.op("i32.add")
        f.set(self.end)
        for part, offset in zip(parts, offsets, strict=True):
            self._tail(part, base + offset, mode)

    def _fixed(self, part: Part, offset: int) -> None:
        """What has its place in the image; what ``_tail`` appends completes it."""
        f, at = self.f, part.at
        if part.how == "flat":
            flats = self.probe.flats(4)
            slots = [(at[0], self.w.signature.params[at[0]])]
            flats.write(f, flats.plan(part.type), self.start, offset, slots)
        elif part.how == "out":
            f.get(self.start)
            f.i32(offset)
            f.op("i32.add")
            f.get(at[0])
            f.i32(layouts().info(part.type).size)
            self.agent.copy(f, self._memory)
        elif part.how == "total":
            self.agent.at(f, self.start, offset)
            f.get(at[0])
            f.get(at[1])
            f.call(self._gathered().total())
            self.agent.store(f, "i32.store", offset)
        elif part.how in ("span", "filled"):
            self.agent.at(f, self.start, offset)
            f.get(at[0])
            self.agent.store(f, "i32.store", offset)
            self.agent.at(f, self.start, offset + 4)
            self._number(part, at[1], part.how == "filled")
            self.agent.store(f, "i32.store", offset + 4)

    def _number(self, part: Part, at: int, in_memory: bool) -> None:
        """Push a length: a parameter, or what lies at its address."""
        self.f.get(at)
        if in_memory:
            self.f.memory_op("i32.load", 0, self._memory.memory)

    def _tail(self, part: Part, offset: int, mode: Mode) -> None:
        f, at = self.f, part.at
        if part.how in ("span", "filled"):
            tails = self._tails(self._memory)
            for step in tails.steps((part.type,), (offset,), mode):
                tails.emit(f, step, self.start, self.p, self.end)
            return
        if part.how not in ("gather", "strings", "pairs", "dirents"):
            return
        f.get(at[0])
        if part.how == "gather":
            f.get(at[1])
            self._bytes(part)
            func = self._gathered().gather()
        elif part.how == "dirents":
            self._number(part, at[1], True)
            func = self._gathered().dirents()
        else:
            f.get(at[1])
            f.global_get(self.probe.count_of(self.known.name))
            func = self._gathered().strings(part.how == "pairs", mode != "none")
        f.get(self.start)
        f.i32(offset)
        f.op("i32.add")
        f.get(self.p)
        f.get(self.end)
        f.call(func)
        f.set(self.p)

    def _bytes(self, part: Part) -> None:
        """Push how many bytes of its buffers count."""
        if len(part.at) > 2:
            self._number(part, part.at[2], True)
            return
        self.f.get(part.at[0])
        self.f.get(part.at[1])
        self.f.call(self._gathered().total())

    @property
    def _memory(self) -> Guest:
        assert self.guest is not None, "checked before"
        return self.guest

    def _gathered(self) -> Gathered:
        return self.probe.gathered(self._memory)

    # --- stores ---

    def _zero(self, offset: int, size: int) -> None:
        """What another record has left there is nobody's business."""
        for at in range(offset, offset + size, 8):
            self.agent.at(self.f, self.start, at)
            self.f.i64(0)
            self.agent.store(self.f, "i64.store", at)

    def _put8(self, offset: int, value: int) -> None:
        self.agent.at(self.f, self.start, offset)
        self.f.i32(value)
        self.agent.store(self.f, "i32.store8", offset)

    def _error(self, value: int, offset: int) -> None:
        """A number that is no error must not become one by being cut."""
        f = self.f
        self.agent.at(f, self.start, offset)
        f.i32(-1)
        f.get(value)
        f.get(value)
        f.i32(_ERRORS)
        f.op("i32.ge_u", "select")
        self.agent.store(f, "i32.store16", offset)


def _pointers(part: Part) -> tuple[tuple[int, int], ...]:
    """Addresses that a result is loaded from, and how many bytes are."""
    if part.how == "out":
        return ((part.at[0], layouts().info(part.type).size),)
    if part.how in ("filled", "dirents"):
        return ((part.at[1], 4),)
    if part.how == "gather" and len(part.at) > 2:
        return ((part.at[2], 4),)
    return ()
