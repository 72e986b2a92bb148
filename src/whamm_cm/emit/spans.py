"""Helper functions for runs of guest memory: strings, list elements, header names.

Each takes (ptr, len, p, end), appends ``kept`` and what is kept at ``p``, and returns the new
``p``.  Guest memory is only read after a bounds check in 64-bit arithmetic, and nothing is written
at or beyond ``end``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from whamm_cm.agent.layout import BAD_POINTER, NAME, NAME_SIZE, REDACTED, SECRET, SECRET_SENT
from whamm_cm.analysis.site import Encoding
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.wasm.asm import Func, Label, Module

#: Appends the tails of the element images between two addresses: (f, image, stop, p, end) locals.
Elements = Callable[[Func, int, int, int, int], None]

# Below this, an address plus an element count times the size fits 64 bits if both are 32-bit.
_SAFE_SIZE = 1 << 31
_HUGE = (1 << 63) - 1

_PTR, _LEN, _P, _END = range(4)


def out_of_bounds(f: Func, guest: Guest, ptr: int, count: int | None, size: int) -> None:
    """Push whether ``count`` (a local; None for one) elements of ``size`` bytes at the address in
    local ``ptr`` leave guest memory.  Like the canonical ABI, also checks ``ptr`` for no elements.
    """
    if not guest.is64 and size < _SAFE_SIZE:
        f.get(ptr)
        guest.widen(f)
        _push_count(f, guest, count, size)
        f.op("i64.add")
        guest.size(f)
        f.op("i64.gt_u")
        return
    total = f.local("i64")
    guest.size(f)
    f.tee(total)
    f.get(ptr)
    guest.widen(f)
    f.op("i64.lt_u")
    f.get(total)
    f.get(ptr)
    guest.widen(f)
    f.op("i64.sub")
    _divide(f, "i64", min(size, _HUGE))
    _push_count(f, guest, count, 1)
    f.op("i64.lt_u", "i32.or")


def _push_count(f: Func, guest: Guest, count: int | None, size: int) -> None:
    if count is None:
        f.i64(size)
        return
    f.get(count)
    guest.widen(f)
    _multiply(f, "i64", size)


def _multiply(f: Func, kind: str, factor: int) -> None:
    power = factor.bit_length() - 1
    if factor != 1:
        f.const(kind, power if factor == 1 << power else factor)
        f.op(f"{kind}.shl" if factor == 1 << power else f"{kind}.mul")


def _divide(f: Func, kind: str, divisor: int) -> None:
    power = divisor.bit_length() - 1
    if divisor != 1:
        f.const(kind, power if divisor == 1 << power else divisor)
        f.op(f"{kind}.shr_u" if divisor == 1 << power else f"{kind}.div_u")


def _add(f: Func, local: int, value: int) -> None:
    f.get(local)
    f.i32(value)
    f.op("i32.add")


def take_tag(f: Func, guest: Guest) -> None:
    """In a helper: push whether the length has the tag of UTF-16, and clear the tag."""
    address, bits = guest.address, 8 * guest.width - 1
    f.get(_LEN)
    f.const(address, bits)
    f.op(f"{address}.shr_u")
    guest.narrow(f)
    f.get(_LEN)
    f.const(address, (1 << bits) - 1)
    f.op(f"{address}.and")
    f.set(_LEN)


class Spans:
    """The helpers for one guest memory, made when first asked for."""

    def __init__(
        self, module: Module, agent: Agent, guest: Guest, secret: int | None,
        more: int | None = None,
    ) -> None:  # fmt: skip
        """``secret`` is the agent's function of that name, where redaction may ask for it, ``more``
        likewise, where records grow with their values."""
        self._module, self._agent, self._guest = module, agent, guest
        self._secret_import, self._more = secret, more
        self._made: dict[Hashable, int] = {}

    def _func(self) -> Func:
        address = self._guest.address
        return self._module.func((address, address, "i32", "i32"), ("i32",))

    def span(
        self,
        size: int,
        cap: int,
        in_bytes: bool = False,
        key: Hashable = None,
        elements: Elements | None = None,
    ) -> int:
        """Elements of ``size`` bytes, at most ``cap`` of them, and with ``elements`` their tails
        (``key`` tells those apart).  ``in_bytes``: kept counts bytes instead of elements."""
        shape = (size, cap, in_bytes, key)
        if shape not in self._made:
            f = self._func()
            self._made[shape] = f.index
            with f.block() as done:
                self._full(f, done)
                self._write_span(f, max(size, 1), cap, in_bytes, elements)
            f.get(_P)
        return self._made[shape]

    def _full(self, f: Func, done: Label) -> None:
        """Leave the record as it is when not even ``kept`` fits."""
        self._grow(f, None)
        f.get(_END)
        f.get(_P)
        f.op("i32.sub")
        f.i32(4)
        f.op("i32.lt_u")
        f.br_if(done)

    def _grow(self, f: Func, size: int | None) -> None:
        """Where records grow: by ``kept``, with ``size`` by that and all elements, whose bounds
        have been checked."""
        if self._more is None:
            return
        f.get(_P)
        if size is None:
            f.i32(4)
        else:
            f.get(_LEN)
            self._guest.narrow(f)
            _multiply(f, "i32", size)
            f.i32(4)
            f.op("i32.add")
        f.call(self._more)
        f.set(_END)

    def _append(self, f: Func, p: int, kept: int) -> None:
        self._agent.at(f, p, 0)
        f.i32(kept)
        self._agent.store(f, "i32.store")
        _add(f, p, 4)
        f.set(p)

    def _write_span(
        self, f: Func, size: int, cap: int, in_bytes: bool, elements: Elements | None
    ) -> None:
        out_of_bounds(f, self._guest, _PTR, _LEN, size)
        with f.if_():
            self._append(f, _P, BAD_POINTER)
            f.else_()
            self._grow(f, size)
            kept = self._kept(f, size, cap)
            self._agent.at(f, _P, 0)
            f.get(kept)
            if in_bytes:
                _multiply(f, "i32", size)
            self._agent.store(f, "i32.store")
            _add(f, _P, 4)
            f.tee(_P)
            f.get(_PTR)
            f.get(kept)
            _multiply(f, "i32", size)
            if size > 1:
                f.tee(kept)  # from here on in bytes
            self._agent.copy(f, self._guest)
            image = f.local("i32") if elements else _P
            f.get(_P)
            if elements:
                f.tee(image)
            f.get(kept)
            f.op("i32.add")
            f.set(_P)
            if elements:
                stop = f.local("i32")
                f.get(_P)
                f.set(stop)
                elements(f, image, stop, _P, _END)

    def _kept(self, f: Func, size: int, cap: int) -> int:
        """A local with how many elements are kept: min(len, cap, room)."""
        kept, room = f.local("i32"), f.local("i32")
        f.get(_LEN)
        self._guest.narrow(f)
        f.i32(cap)
        f.get(_LEN)
        f.const(self._guest.address, cap)
        f.op(f"{self._guest.address}.lt_u", "select")
        f.tee(kept)
        f.get(_END)
        f.get(_P)
        f.op("i32.sub")
        f.i32(4)
        f.op("i32.sub")
        _divide(f, "i32", min(size, _SAFE_SIZE))
        f.tee(room)
        f.get(kept)
        f.get(room)
        f.op("i32.lt_u", "select")
        f.set(kept)
        return kept

    def string(self, encoding: Encoding, cap: int) -> int:
        """A string of at most ``cap`` bytes; an even number of them in UTF-16."""
        if encoding == "utf8":
            return self.span(1, cap)
        wide = self.span(2, cap // 2, in_bytes=True)
        if encoding == "utf16":
            return wide
        narrow = self.span(1, cap)
        shape = ("tagged", cap)
        if shape not in self._made:
            f = self._func()
            self._made[shape] = f.index
            take_tag(f, self._guest)
            with f.if_("i32"):
                self._forward(f, wide)
                f.else_()
                self._forward(f, narrow)
        return self._made[shape]

    @staticmethod
    def _forward(f: Func, target: int) -> None:
        for local in range(len(f.params)):
            f.get(local)
        f.call(target)

    def secret_bytes(self) -> int:
        """A secret ``list<u8>``: its mark and the beginning of it, for the sink to know it again.
        Only that it is redacted where the guest's pointer is bad or the record is full."""
        return self._secret_span(1)

    def secret_string(self, encoding: Encoding) -> int:
        """The same for a string."""
        if encoding != "latin1+utf16":
            return self._secret_span(2 if encoding == "utf16" else 1)
        narrow, wide = self._secret_span(1), self._secret_span(2)
        if "secret tagged" not in self._made:
            f = self._func()
            self._made["secret tagged"] = f.index
            take_tag(f, self._guest)
            with f.if_("i32"):
                self._forward(f, wide)
                f.else_()
                self._forward(f, narrow)
        return self._made["secret tagged"]

    def _secret_span(self, size: int) -> int:
        shape = ("secret bytes", size)
        if shape not in self._made:
            f = self._func()
            self._made[shape] = f.index
            with f.block() as done:
                self._full(f, done)
                out_of_bounds(f, self._guest, _PTR, _LEN, size)
                f.get(_END)
                f.get(_P)
                f.op("i32.sub")
                f.i32(8)
                f.op("i32.lt_u", "i32.or")
                with f.if_():
                    self._append(f, _P, REDACTED)
                    f.else_()
                    self._append(f, _P, SECRET)
                    self._write_span(f, size, SECRET_SENT // size, True, None)
            f.get(_P)
        return self._made[shape]

    def secret(self, encoding: Encoding) -> int:
        """A function (ptr, len) -> i32: whether that string is the name of a secret header.  Also
        1 for one that cannot be read (the call will trap, and nothing behind it is worth a risk)
        and for one that is too long to be looked at."""
        shape = ("secret", encoding)
        if shape not in self._made:
            if encoding == "latin1+utf16":
                narrow, wide = self._secret(1), self._secret(2)
                f = self._module.func((self._guest.address,) * 2, ("i32",))
                take_tag(f, self._guest)
                with f.if_("i32"):
                    self._forward(f, wide)
                    f.else_()
                    self._forward(f, narrow)
                self._made[shape] = f.index
            else:
                self._made[shape] = self._secret(2 if encoding == "utf16" else 1)
        return self._made[shape]

    def _secret(self, size: int) -> int:
        """``secret`` for code units of ``size`` bytes."""
        assert self._secret_import is not None, "asked for without redaction"
        f = self._module.func((self._guest.address,) * 2, ("i32",))
        with f.block("i32") as out:
            f.i32(1)
            f.get(_LEN)
            f.const(self._guest.address, NAME_SIZE)
            f.op(f"{self._guest.address}.gt_u")
            f.br_if(out)
            out_of_bounds(f, self._guest, _PTR, _LEN, size)
            f.br_if(out)
            f.op("drop")
            if size == 1:
                f.i32(NAME)
                f.get(_PTR)
                f.get(_LEN)
                self._guest.narrow(f)
                self._agent.copy(f, self._guest)
            else:
                self._narrow_name(f, out)
            f.get(_LEN)
            self._guest.narrow(f)
            f.call(self._secret_import)
        return f.index

    def _narrow_name(self, f: Func, out: Label) -> None:
        """Copy a UTF-16 name, one byte a unit; a unit that is no byte ends with 0."""
        to, left, unit = (f.local("i32") for _ in range(3))
        f.i32(NAME)
        f.set(to)
        f.get(_LEN)
        self._guest.narrow(f)
        f.set(left)
        with f.block() as done, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(done)
            self._agent.at(f, to, 0)
            f.get(_PTR)
            f.memory_op("i32.load16_u", 0, self._guest.memory)
            f.tee(unit)
            self._agent.store(f, "i32.store8")
            f.i32(0)
            f.get(unit)
            f.i32(0xFF)
            f.op("i32.gt_u")
            f.br_if(out)
            f.op("drop")
            _add(f, to, 1)
            f.set(to)
            _add(f, left, -1)
            f.set(left)
            f.get(_PTR)
            f.const(self._guest.address, 2)
            f.op(f"{self._guest.address}.add")
            f.set(_PTR)
            f.br(again)
