"""Strings between a guest's memory and the script's state memory, where they are UTF-8.

``copy`` brings a guest's string over, cut at ``MAX_TEXT`` bytes at the border of a character;
``replace`` writes a script's string over a guest's that is at least as long.  No string traps:
one that leaves guest memory is empty, a lone surrogate becomes U+FFFD.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from whamm_cm.agent.layout import MAX_TMP
from whamm_cm.analysis.site import Encoding
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.spans import out_of_bounds, take_tag
from whamm_cm.wasm.asm import Func, Label, Module

MAX_TEXT: Final = MAX_TMP
"""Most bytes of a string that a script sees; ``tmp`` of the runtime gives no more."""

_PTR, _LEN, _FROM, _COUNT = range(4)
_REPLACEMENT = 0xFFFD


def _add(f: Func, kind: str, local: int, value: int) -> None:
    f.get(local)
    f.const(kind, value)
    f.op(f"{kind}.add")
    f.set(local)


class State:
    """The script's state memory: ``access`` stores into it, ``load8`` and ``tmp`` as said."""

    def __init__(self, access: Agent, memory: int | None, load8: int | None, tmp: int) -> None:
        """``load8``: the runtime's ``ld8u``, where ``memory`` is None."""
        self.access, self.memory, self.tmp = access, memory, tmp
        self._load8 = load8

    def push_byte(self, f: Func, at: int) -> None:
        """Push the byte at the address in local ``at``."""
        f.get(at)
        if self.memory is not None:
            f.memory_op("i32.load8_u", 0, self.memory)
        else:
            assert self._load8 is not None, "imported where the memory is not"
            f.call(self._load8)


class Texts:
    """The helpers for the strings of one guest memory in one encoding, made when asked for."""

    def __init__(self, module: Module, guest: Guest, encoding: Encoding, state: State) -> None:
        self._module, self._guest, self.encoding = module, guest, encoding
        self._state = state
        self._made: dict[Hashable, int] = {}

    # --- from the guest --------------------------------------------------------------------------

    def copy(self) -> int:
        """A function (ptr, length word) -> (state address, bytes)."""
        if "copy" not in self._made:
            match self.encoding:
                case "utf8":
                    self._made["copy"] = self._copy_bytes()
                case "utf16":
                    self._made["copy"] = self._transcode(2)
                case _:
                    self._made["copy"] = self._copy_tagged()
        return self._made["copy"]

    def hide(self) -> int:
        """A function (state address, bytes) -> the same, with a star for each byte there."""
        if "hide" not in self._made:
            f = self._module.func(("i32", "i32"), ("i32", "i32"))
            self._made["hide"] = f.index
            left = f.local("i32")
            f.get(1)
            f.set(left)
            with f.block() as done, f.loop() as again:
                f.get(left)
                f.op("i32.eqz")
                f.br_if(done)
                _add(f, "i32", left, -1)
                f.get(0)
                f.get(left)
                f.op("i32.add")
                f.i32(ord("*"))
                self._state.access.store(f, "i32.store8")
                f.br(again)
            f.get(0)
            f.get(1)
        return self._made["hide"]

    def measure(self) -> int:
        """A function (ptr, length word) -> bytes in the guest's encoding, 0 for a bad pointer."""
        if "measure" not in self._made:
            f = self._module.func((self._guest.address,) * 2, ("i32",))
            self._made["measure"] = f.index
            if self.encoding == "latin1+utf16":
                take_tag(f, self._guest)
                with f.if_("i32"):
                    self._measure(f, 2)
                    f.else_()
                    self._measure(f, 1)
            else:
                self._measure(f, 2 if self.encoding == "utf16" else 1)
        return self._made["measure"]

    def _measure(self, f: Func, unit: int) -> None:
        out_of_bounds(f, self._guest, _PTR, _LEN, unit)
        with f.if_("i32"):
            f.i32(0)
            f.else_()
            f.get(_LEN)
            self._guest.narrow(f)
            if unit == 2:
                f.i32(1)
                f.op("i32.shl")

    def _copier(self) -> Func:
        return self._module.func((self._guest.address,) * 2, ("i32", "i32"))

    def _copy_tagged(self) -> int:
        wide, narrow = self._transcode(2), self._transcode(1)
        f = self._copier()
        take_tag(f, self._guest)
        with f.if_():
            for local in (_PTR, _LEN):
                f.get(local)
            f.call(wide)
            f.op("return")
        for local in (_PTR, _LEN):
            f.get(local)
        f.call(narrow)
        return f.index

    def cut(self, f: Func) -> int:
        """In a helper, a new local with min(length, MAX_TEXT)."""
        count = f.local("i32")
        address = self._guest.address
        f.get(_LEN)
        self._guest.narrow(f)
        f.i32(MAX_TEXT)
        f.get(_LEN)
        f.const(address, MAX_TEXT)
        f.op(f"{address}.lt_u", "select")
        f.set(count)
        return count

    def _copy_bytes(self) -> int:
        f = self._copier()
        to = f.local("i32")
        with f.block() as bad:
            out_of_bounds(f, self._guest, _PTR, _LEN, 1)
            f.br_if(bad)
            count = self.cut(f)
            f.get(_LEN)
            f.const(self._guest.address, MAX_TEXT)
            f.op(f"{self._guest.address}.gt_u")
            with f.if_():
                self._step_back(f, count)
            f.get(count)
            f.call(self._state.tmp)
            f.tee(to)
            f.get(_PTR)
            f.get(count)
            self._state.access.copy(f, self._guest)
            f.get(to)
            f.get(count)
            f.op("return")
        f.i32(0)
        f.i32(0)
        return f.index

    def _step_back(self, f: Func, count: int) -> None:
        """Leave out the start of a character that would be cut in two."""
        address = self._guest.address
        with f.block() as done, f.loop() as again:
            f.get(count)
            f.op("i32.eqz")
            f.br_if(done)
            f.get(_PTR)
            f.get(count)
            if self._guest.is64:
                f.op("i64.extend_i32_u")
            f.op(f"{address}.add")
            f.memory_op("i32.load8_u", 0, self._guest.memory)
            f.i32(0xC0)
            f.op("i32.and")
            f.i32(0x80)
            f.op("i32.ne")
            f.br_if(done)
            _add(f, "i32", count, -1)
            f.br(again)

    def _transcode(self, unit: int) -> int:
        """``copy`` of Latin-1 (units of 1 byte) or UTF-16 (of 2)."""
        f = self._copier()
        to, p, end, char = (f.local("i32") for _ in range(4))
        with f.block() as bad:
            out_of_bounds(f, self._guest, _PTR, _LEN, unit)
            f.br_if(bad)
            left = self.cut(f)
            self._room(f, left, unit + 1, (to, p, end))
            with f.block() as done, f.loop() as again:
                f.get(left)
                f.op("i32.eqz")
                f.br_if(done)
                self._take_unit(f, unit, left, char)
                if unit == 2:
                    self._join_surrogates(f, left, char)
                self._put_char(f, char, p, end)
                f.br_if(again)
            f.get(to)
            f.get(p)
            f.get(to)
            f.op("i32.sub", "return")
        f.i32(0)
        f.i32(0)
        return f.index

    def _room(self, f: Func, units: int, most: int, at: tuple[int, int, int]) -> None:
        """Set ``to``, ``p`` and ``end`` for that many units of at most ``most`` bytes each."""
        to, p, end = at
        f.get(units)
        f.i32(most)
        f.op("i32.mul")
        f.tee(end)
        f.i32(MAX_TEXT)
        f.get(end)
        f.i32(MAX_TEXT)
        f.op("i32.lt_u", "select")
        f.tee(end)
        f.call(self._state.tmp)
        f.tee(to)
        f.tee(p)
        f.get(end)
        f.op("i32.add")
        f.set(end)

    def _take_unit(self, f: Func, unit: int, left: int, into: int) -> None:
        f.get(_PTR)
        f.memory_op("i32.load8_u" if unit == 1 else "i32.load16_u", 0, self._guest.memory)
        f.set(into)
        _add(f, self._guest.address, _PTR, unit)
        _add(f, "i32", left, -1)

    def _join_surrogates(self, f: Func, left: int, char: int) -> None:
        low = f.local("i32")
        _masked(f, char, 0xF800, 0xD800)
        with f.if_(), f.block() as joined:
            with f.block() as lone:
                _masked(f, char, 0xFC00, 0xD800)
                f.op("i32.eqz")
                f.br_if(lone)
                f.get(left)
                f.op("i32.eqz")
                f.br_if(lone)
                f.get(_PTR)
                f.memory_op("i32.load16_u", 0, self._guest.memory)
                f.set(low)
                _masked(f, low, 0xFC00, 0xDC00)
                f.op("i32.eqz")
                f.br_if(lone)
                f.get(char)
                f.i32(10)
                f.op("i32.shl")
                f.get(low)
                f.op("i32.add")
                f.i32((0xD800 << 10) + 0xDC00 - 0x10000)
                f.op("i32.sub")
                f.set(char)
                _add(f, self._guest.address, _PTR, 2)
                _add(f, "i32", left, -1)
                f.br(joined)
            f.i32(_REPLACEMENT)
            f.set(char)

    def _put_char(self, f: Func, char: int, p: int, end: int) -> None:
        """Append a character as UTF-8; pushes whether there was room for it."""
        need = f.local("i32")
        f.i32(1)
        for first in (0x80, 0x800, 0x10000):
            f.get(char)
            f.i32(first)
            f.op("i32.ge_u", "i32.add")
        f.tee(need)
        f.get(p)
        f.op("i32.add")
        f.get(end)
        f.op("i32.le_u")
        with f.if_("i32"):
            self._put_bytes(f, char, p, need)
            f.i32(1)
            f.else_()
            f.i32(0)

    def _put_bytes(self, f: Func, char: int, p: int, need: int) -> None:
        for size, lead in ((1, 0), (2, 0xC0), (3, 0xE0), (4, 0xF0)):
            f.get(need)
            f.i32(size)
            f.op("i32.eq")
            with f.if_():
                for k in range(size):
                    shift = 6 * (size - 1 - k)
                    mark, mask = (lead, 0xFF) if k == 0 else (0x80, 0x3F)
                    self._state.access.at(f, p, k)
                    f.get(char)
                    f.i32(shift)
                    f.op("i32.shr_u")
                    f.i32(mask)
                    f.op("i32.and")
                    f.i32(mark)
                    f.op("i32.or")
                    self._state.access.store(f, "i32.store8", k)
        f.get(p)
        f.get(need)
        f.op("i32.add")
        f.set(p)

    # --- to the guest ----------------------------------------------------------------------------

    def replace(self) -> int:
        """A function (ptr, length word, state address, bytes) -> new length word; the old one when
        the new string does not fit, cannot be encoded so, or the old one is out of bounds."""
        if "replace" not in self._made:
            match self.encoding:
                case "utf8":
                    self._made["replace"] = self._replace_bytes()
                case "utf16":
                    self._made["replace"] = self._encode(2)
                case _:
                    self._made["replace"] = self._replace_tagged()
        return self._made["replace"]

    def _replacer(self) -> Func:
        address = self._guest.address
        return self._module.func((address, address, "i32", "i32"), (address,))

    def _replace_bytes(self) -> int:
        f = self._replacer()
        with f.block() as same:
            self._leave_if_bad(f, _LEN, 1, same)
            self._leave_if_long(f, _COUNT, same)
            if self._state.memory is not None:
                for local in (_PTR, _FROM, _COUNT):
                    f.get(local)
                f.memory_copy(self._guest.memory, self._state.memory)
            else:
                self._copy_loop(f)
            self._push_count(f, _COUNT)
            f.op("return")
        f.get(_LEN)
        return f.index

    def _leave_if_bad(self, f: Func, length: int, unit: int, out: Label) -> None:
        out_of_bounds(f, self._guest, _PTR, length, unit)
        f.br_if(out)

    def _leave_if_long(self, f: Func, count: int, out: Label) -> None:
        self._push_count(f, count)
        f.get(_LEN)
        f.op(f"{self._guest.address}.gt_u")
        f.br_if(out)

    def _push_count(self, f: Func, count: int) -> None:
        f.get(count)
        if self._guest.is64:
            f.op("i64.extend_i32_u")

    def _copy_loop(self, f: Func) -> None:
        at, left = f.local(self._guest.address), f.local("i32")
        for target, source in ((at, _PTR), (left, _COUNT)):
            f.get(source)
            f.set(target)
        with f.block() as done, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(done)
            f.get(at)
            self._state.push_byte(f, _FROM)
            f.memory_op("i32.store8", 0, self._guest.memory)
            _add(f, self._guest.address, at, 1)
            _add(f, "i32", _FROM, 1)
            _add(f, "i32", left, -1)
            f.br(again)

    def _replace_tagged(self) -> int:
        wide, narrow = self._encode(2), self._encode(1)
        f = self._replacer()
        address, bits = self._guest.address, 8 * self._guest.width - 1
        take_tag(f, self._guest)
        with f.if_(address):
            _forward(f, wide)
            f.const(address, 1 << bits)
            f.op(f"{address}.or")
            f.else_()
            _forward(f, narrow)
        return f.index

    def _encode(self, unit: int) -> int:
        """``replace`` of Latin-1 or UTF-16: characters are counted first, then written."""
        pass_ = self._encode_pass(unit)
        f = self._replacer()
        count = f.local("i32")
        with f.block() as same:
            self._leave_if_bad(f, _LEN, unit, same)
            for write in (0, 1):
                for local in (_PTR, _FROM, _COUNT):
                    f.get(local)
                f.i32(write)
                f.call(pass_)
                f.set(count)
                if not write:
                    f.get(count)
                    f.i32(-1)
                    f.op("i32.eq")
                    f.br_if(same)
                    self._leave_if_long(f, count, same)
            self._push_count(f, count)
            f.op("return")
        f.get(_LEN)
        return f.index

    def _encode_pass(self, unit: int) -> int:
        """A function (ptr, state address, bytes, write?) -> units, -1 for what Latin-1 lacks."""
        f = self._module.func((self._guest.address, "i32", "i32", "i32"), ("i32",))
        stop, char, units = (f.local("i32") for _ in range(3))
        f.get(1)
        f.get(2)
        f.op("i32.add")
        f.set(stop)
        with f.block() as done, f.loop() as again:
            f.get(1)
            f.get(stop)
            f.op("i32.ge_u")
            f.br_if(done)
            self._take_char(f, 1, stop, char)
            if unit == 1:
                f.get(char)
                f.i32(0xFF)
                f.op("i32.gt_u")
                with f.if_():
                    f.i32(-1)
                    f.op("return")
                self._put_unit(f, units, 1, lambda: f.get(char))
            else:
                self._put_utf16(f, char, units)
            f.br(again)
        f.get(units)
        return f.index

    def _put_utf16(self, f: Func, char: int, units: int) -> None:
        f.get(char)
        f.i32(0x10000)
        f.op("i32.ge_u")
        with f.if_():

            def high() -> None:
                f.get(char)
                f.i32(10)
                f.op("i32.shr_u")
                f.i32(0xD800 - (0x10000 >> 10))
                f.op("i32.add")

            self._put_unit(f, units, 2, high)
            f.get(char)
            f.i32(0x3FF)
            f.op("i32.and")
            f.i32(0xDC00)
            f.op("i32.or")
            f.set(char)
        self._put_unit(f, units, 2, lambda: f.get(char))

    def _put_unit(self, f: Func, units: int, size: int, push: Callable[[], None]) -> None:
        f.get(3)
        with f.if_():
            f.get(0)
            push()
            f.memory_op("i32.store8" if size == 1 else "i32.store16", 0, self._guest.memory)
            _add(f, self._guest.address, 0, size)
        _add(f, "i32", units, 1)

    def _take_char(self, f: Func, at: int, stop: int, char: int) -> None:
        """Decode one character of UTF-8 at ``at``; nonsense gives some character or other."""
        extra = f.local("i32")
        self._state.push_byte(f, at)
        f.set(char)
        _add(f, "i32", at, 1)
        f.i32(0)
        f.set(extra)
        f.get(char)
        f.i32(0x80)
        f.op("i32.ge_u")
        with f.if_():
            for k, first in enumerate((0xC0, 0xE0, 0xF0)):
                f.get(char)
                f.i32(first)
                f.op("i32.ge_u")
                if k:
                    f.op("i32.add")
            f.set(extra)
            f.get(char)
            f.i32(0x3F)
            f.get(extra)
            f.op("i32.shr_u", "i32.and")
            f.set(char)
            self._take_rest(f, at, stop, char, extra)
        f.i32(_REPLACEMENT)
        f.get(char)
        _masked(f, char, 0xFFFFF800, 0xD800)
        f.get(char)
        f.i32(0x10FFFF)
        f.op("i32.gt_u", "i32.or", "select")
        f.set(char)

    def _take_rest(self, f: Func, at: int, stop: int, char: int, extra: int) -> None:
        with f.block() as done, f.loop() as again:
            f.get(extra)
            f.op("i32.eqz")
            f.get(at)
            f.get(stop)
            f.op("i32.ge_u", "i32.or")
            f.br_if(done)
            f.get(char)
            f.i32(6)
            f.op("i32.shl")
            self._state.push_byte(f, at)
            f.i32(0x3F)
            f.op("i32.and", "i32.or")
            f.set(char)
            _add(f, "i32", at, 1)
            _add(f, "i32", extra, -1)
            f.br(again)


def _forward(f: Func, target: int) -> None:
    for local in range(len(f.params)):
        f.get(local)
    f.call(target)


def _masked(f: Func, local: int, mask: int, value: int) -> None:
    """Push whether the bits of ``mask`` in ``local`` are those of ``value``."""
    f.get(local)
    f.i32(mask)
    f.op("i32.and")
    f.i32(value)
    f.op("i32.eq")
