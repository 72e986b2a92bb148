"""Helper functions for values of WASI preview 1 that are no lists as the canonical ABI has them.

Buffers in an array, strings that end with 0, entries of a directory: each function appends what is
kept of them at ``p``, as the tail of a list has it, completes the list's address and length in its
``image``, and returns the new ``p``.  Nothing is read before a look at the bounds of the guest's
memory, whatever a guest has put into its arrays, and no more than a fixed amount of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from whamm_cm.agent.layout import BAD_POINTER
from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.tails import SECRETS_OF_LIST, Step, Tails
from whamm_cm.wasm.asm import Func, Label, Module
from whamm_cm.wit.preview1 import DIRENT, STRING
from whamm_cm.wit.types import TupleT

#: Buffers of an array that are looked at, and bytes of a string that ends somewhere.
MAXBUFFERS, MAX_TEXT = 1 << 16, 1 << 16
BUFFER = 8  # bytes of an entry of such an array
_DIRENT, _NAMED = 24, 32  # bytes of an entry in the guest, and of its image


class Gathered:
    """The functions for one guest memory, made when first asked for."""

    def __init__(
        self, module: Module, agent: Agent, guest: Guest, tails: Tails, caps: tuple[int, int]
    ) -> None:
        """``caps``: bytes of a string, elements of a list."""
        self._module, self._agent, self._guest, self._tails = module, agent, guest, tails
        self._max_string, self._max_list = caps
        self._made: dict[Hashable, int] = {}

    def _func(self, key: Hashable, params: int, write: Callable[[Func], None]) -> int:
        found = self._made.get(key)
        if found is None:
            f = self._module.func(("i32",) * params, ("i32",))
            found = self._made[key] = f.index
            write(f)
        return found

    # --- pieces ---

    def _load(self, f: Func, address: int, offset: int = 0, name: str = "i32.load") -> None:
        f.get(address)
        f.memory_op(name, offset, self._guest.memory)

    def _put(self, f: Func, base: int, offset: int, local: int) -> None:
        self._agent.at(f, base, offset)
        f.get(local)
        self._agent.store(f, "i32.store", offset)

    def _no_room(self, f: Func, p: int, end: int, size: int, out: Label) -> None:
        """Leave where there is no room for ``size`` bytes."""
        f.get(end)
        f.get(p)
        f.op("i32.sub")
        f.i32(size)
        f.op("i32.lt_u")
        f.br_if(out)

    def _bad(self, f: Func, p: int) -> None:
        """What was to be appended is a bad pointer."""
        self._agent.at(f, p, 0)
        f.i32(BAD_POINTER)
        self._agent.store(f, "i32.store")

    def _finish(self, f: Func, p: int, to: int, kept: int) -> None:
        """``kept`` in front of what ends at ``to``, which is returned."""
        self._put(f, p, 0, kept)
        f.get(to)

    # --- buffers ---

    def total(self) -> int:
        """(array, count) -> bytes that its buffers have, at most 2**32 - 1, as many as that where
        the array is outside."""
        return self._func("total", 2, self._total)

    def _total(self, f: Func) -> None:
        at, left, total = 0, 1, f.local("i64")
        out_of_bounds(f, self._guest, at, left, BUFFER)
        with f.if_():
            f.i32(-1)
            f.op("return")
        self._bound(f, left)
        with f.block() as done, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(done)
            f.get(total)
            self._load(f, at, 4)
            f.op("i64.extend_i32_u", "i64.add")
            f.set(total)
            _step(f, at, BUFFER)
            _step(f, left, -1)
            f.br(again)
        f.i32(-1)
        f.get(total)
        f.op("i32.wrap_i64")
        f.get(total)
        f.i64(0xFFFFFFFF)
        f.op("i64.gt_u", "select")

    def _bound(self, f: Func, left: int) -> None:
        _least(f, left, lambda: f.i32(MAXBUFFERS))
        f.set(left)

    def gather(self) -> int:
        """(array, count, bytes, image, p, end) -> p: that many bytes of the buffers."""
        return self._func("gather", 6, self._gather)

    def _gather(self, f: Func) -> None:
        at, count, size, image, p, end = range(6)
        buffer, to, left = (f.local("i32") for _ in range(3))
        self._put(f, image, 0, at)
        self._put(f, image, 4, size)
        with f.block() as full:
            self._no_room(f, p, end, 4, full)
            with f.block() as bad:
                f.get(at)
                f.set(buffer)
                f.get(size)
                f.op("i32.eqz")
                with f.if_():  # hosts look at none, either
                    f.i32(0)
                    f.set(count)
                    f.else_()
                    out_of_bounds(f, self._guest, at, count, BUFFER)
                    f.br_if(bad)
                self._bound(f, count)
                _least(f, size, lambda: f.i32(self._max_string))
                f.set(left)
                _least(f, left, lambda: _difference(f, end, p, 4))
                f.set(left)
                f.get(p)
                f.i32(4)
                f.op("i32.add")
                f.set(to)
                self._buffers(f, (at, count, buffer, to, left), bad)
                _difference(f, to, p, 4)
                f.set(left)
                self._finish(f, p, to, left)
                f.op("return")
            self._put(f, image, 0, buffer)
            self._bad(f, p)
            _step(f, p, 4)
        f.get(p)

    def _buffers(self, f: Func, locals_: tuple[int, ...], bad: Label) -> None:
        """Copy what buffers have until nothing is ``left`` to copy; to ``bad`` at one that is."""
        at, count, buffer, to, left = locals_
        length = f.local("i32")
        with f.block() as done, f.loop() as again:
            for local in (left, count):
                f.get(local)
                f.op("i32.eqz")
                f.br_if(done)
            self._load(f, at)
            f.set(buffer)
            self._load(f, at, 4)
            f.tee(length)
            with f.if_():
                out_of_bounds(f, self._guest, buffer, length, 1)
                f.br_if(bad)
                self._copy(f, to, buffer, length, left)  # traps there, even for nothing
            _step(f, at, BUFFER)
            _step(f, count, -1)
            f.br(again)

    def _copy(self, f: Func, to: int, source: int, length: int, left: int) -> None:
        """As many of ``length`` bytes as are ``left``."""
        _least(f, length, lambda: f.get(left))
        f.set(length)
        f.get(to)
        f.get(source)
        f.get(length)
        self._agent.copy(f, self._guest)
        for local, op in ((to, "i32.add"), (left, "i32.sub")):
            f.get(local)
            f.get(length)
            f.op(op)
            f.set(local)

    # --- strings ---

    def strings(self, pairs: bool, secret: bool) -> int:
        """(array, text, count, image, p, end) -> p: strings that end with 0, or NAME=VALUE.

        ``count``: as many are in the array; -1: as many as the text begins with that are in it, one
        behind the other, as hosts put them.
        """
        key = "strings", pairs, secret
        return self._func(key, 6, lambda f: self._strings(f, pairs, secret))

    def _strings(self, f: Func, pairs: bool, secret: bool) -> None:
        at, expected, count, image, p, end = range(6)
        text, length, to, kept, number = (f.local("i32") for _ in range(5))
        size = 16 if pairs else 8
        cap = max(self._max_list, SECRETS_OF_LIST) if secret else self._max_list
        self._put(f, image, 0, at)
        with f.block() as full:
            self._no_room(f, p, end, 4, full)
            f.get(p)
            f.i32(4)
            f.op("i32.add")
            f.set(to)
            with f.block() as done, f.loop() as again:
                f.get(number)
                f.get(count)
                f.op("i32.eq")
                f.br_if(done)
                out_of_bounds(f, self._guest, at, None, 4)
                f.br_if(done)
                self._load(f, at)
                f.set(text)
                f.get(count)
                f.i32(-1)
                f.op("i32.eq")
                f.get(text)
                f.get(expected)
                f.op("i32.ne", "i32.and")
                f.br_if(done)
                f.get(text)
                f.call(self._length())
                f.set(length)
                self._keep_string(f, (text, length, to, kept), (end, cap, size), pairs)
                f.get(text)
                f.get(length)
                f.op("i32.add")
                f.i32(1)
                f.op("i32.add")
                f.set(expected)
                _step(f, at, 4)
                _step(f, number, 1)
                f.br(again)
            self._put(f, image, 4, number)
            self._put(f, p, 0, kept)
            element = TupleT((STRING, STRING)) if pairs else STRING
            tail = self._tails.tail(element, "values" if secret else "none")
            assert tail is not None, "strings have tails"
            self._tails_of(f, Step(0, tail), size, (p, to, end))
            f.get(to)
            f.set(p)
        f.get(p)

    def _keep_string(
        self, f: Func, locals_: tuple[int, ...], limits: tuple[int, int, int], pairs: bool
    ) -> None:
        """The image of one string, if there is room."""
        text, length, to, kept = locals_
        end, cap, size = limits
        f.get(kept)
        f.i32(cap)
        f.op("i32.lt_u")
        f.get(end)
        f.get(to)
        f.op("i32.sub")
        f.i32(size)
        f.op("i32.ge_u", "i32.and")
        with f.if_():
            self._put(f, to, 0, text)
            if pairs:
                f.get(to)
                f.get(text)
                f.get(length)
                f.call(self._pair())
            else:
                self._put(f, to, 4, length)
            _step(f, to, size)
            _step(f, kept, 1)

    def _length(self) -> int:
        """(address) -> bytes before the 0 there, 0 where that is outside."""

        def write(f: Func) -> None:
            at, left = f.local("i32"), f.local("i32")
            f.get(0)
            f.set(at)
            f.i32(MAX_TEXT)
            f.set(left)
            with f.block() as done, f.loop() as again:
                out_of_bounds(f, self._guest, at, None, 1)
                f.br_if(done)
                self._load(f, at, 0, "i32.load8_u")
                f.op("i32.eqz")
                f.br_if(done)
                _step(f, at, 1)
                _step(f, left, -1)
                f.get(left)
                f.br_if(again)
            f.get(at)
            f.get(0)
            f.op("i32.sub")

        return self._func("length", 1, write)

    def _pair(self) -> int:
        """(image, text, length): lengths and second address of NAME=VALUE."""
        if "pair" not in self._made:
            f = self._module.func(("i32",) * 3)
            self._made["pair"] = f.index
            image, text, length = range(3)
            name = f.local("i32")
            with f.block() as done, f.loop() as again:
                f.get(name)
                f.get(length)
                f.op("i32.ge_u")
                f.br_if(done)
                f.get(text)
                f.get(name)
                f.op("i32.add")
                f.memory_op("i32.load8_u", 0, self._guest.memory)
                f.i32(ord("="))
                f.op("i32.eq")
                f.br_if(done)
                _step(f, name, 1)
                f.br(again)
            self._put(f, image, 4, name)
            f.get(name)
            f.get(length)
            f.op("i32.lt_u")
            with f.if_():
                _step(f, name, 1)
            f.get(text)
            f.get(name)
            f.op("i32.add")
            f.set(text)
            self._put(f, image, 8, text)
            f.get(length)
            f.get(name)
            f.op("i32.sub")
            f.set(length)
            self._put(f, image, 12, length)
        return self._made["pair"]

    # --- directories ---

    def dirents(self) -> int:
        """(buffer, used, image, p, end) -> p: the entries that are whole."""
        return self._func("dirents", 5, self._dirents)

    def _dirents(self, f: Func) -> None:
        at, left, image, p, end = range(5)
        to, kept, number, name = (f.local("i32") for _ in range(4))
        self._put(f, image, 0, at)
        self._put(f, image, 4, number)
        with f.block() as full:
            self._no_room(f, p, end, 4, full)
            out_of_bounds(f, self._guest, at, left, 1)
            with f.if_():
                self._bad(f, p)
                _step(f, p, 4)
                f.br(full)
            f.get(p)
            f.i32(4)
            f.op("i32.add")
            f.set(to)
            with f.block() as done, f.loop() as again:
                f.get(left)
                f.i32(_DIRENT)
                f.op("i32.lt_u")
                f.br_if(done)
                self._load(f, at, 16)
                f.tee(name)
                f.get(left)
                f.i32(_DIRENT)
                f.op("i32.sub", "i32.gt_u")
                f.br_if(done)
                self._keep_dirent(f, (at, to, name, kept), end)
                for local, op in ((at, "i32.add"), (left, "i32.sub")):
                    f.get(local)
                    f.get(name)
                    f.i32(_DIRENT)
                    f.op("i32.add", op)
                    f.set(local)
                _step(f, number, 1)
                f.br(again)
            self._put(f, image, 4, number)
            self._put(f, p, 0, kept)
            tail = self._tails.tail(DIRENT, "none")
            assert tail is not None, "it has a name"
            self._tails_of(f, Step(0, tail), _NAMED, (p, to, end))
            f.get(to)
            f.set(p)
        f.get(p)

    def _keep_dirent(self, f: Func, locals_: tuple[int, int, int, int], end: int) -> None:
        """The image of an entry: next, number, kind, name."""
        at, to, name, kept = locals_
        f.get(kept)
        f.i32(self._max_list)
        f.op("i32.lt_u")
        f.get(end)
        f.get(to)
        f.op("i32.sub")
        f.i32(_NAMED)
        f.op("i32.ge_u", "i32.and")
        with f.if_():
            for offset in (0, 8):
                self._agent.at(f, to, offset)
                self._load(f, at, offset, "i64.load")
                self._agent.store(f, "i64.store", offset)
            self._agent.at(f, to, 16)
            self._load(f, at, 20, "i32.load8_u")
            self._agent.store(f, "i32.store", 16)
            self._agent.at(f, to, 20)
            f.get(at)
            f.i32(_DIRENT)
            f.op("i32.add")
            self._agent.store(f, "i32.store", 20)
            self._put(f, to, 24, name)
            self._agent.at(f, to, 28)
            f.i32(0)
            self._agent.store(f, "i32.store", 28)
            _step(f, to, _NAMED)
            _step(f, kept, 1)

    def _tails_of(self, f: Func, step: Step, size: int, at: tuple[int, int, int]) -> None:
        """The tails of the images between ``p`` + 4 and ``to``, where they begin."""
        p, to, end = at
        image, stop = f.local("i32"), f.local("i32")
        f.get(to)
        f.set(stop)
        f.get(p)
        f.i32(4)
        f.op("i32.add")
        f.set(image)
        with f.block() as done, f.loop() as again:
            f.get(image)
            f.get(stop)
            f.op("i32.ge_u")
            f.br_if(done)
            self._tails.emit(f, step, image, to, end)
            _step(f, image, size)
            f.br(again)


def _step(f: Func, local: int, amount: int) -> None:
    f.get(local)
    f.i32(amount)
    f.op("i32.add")
    f.set(local)


def _least(f: Func, local: int, other: Callable[[], None]) -> None:
    """Push the lesser of two numbers without sign."""
    f.get(local)
    other()
    f.get(local)
    other()
    f.op("i32.lt_u", "select")


def _difference(f: Func, a: int, b: int, less: int) -> None:
    f.get(a)
    f.get(b)
    f.op("i32.sub")
    f.i32(less)
    f.op("i32.sub")
