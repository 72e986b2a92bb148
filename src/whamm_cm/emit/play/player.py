"""The core code that provider and driver share: what is passed is compared, what is answered made.

Where a component goes another way than was recorded, it is trapped; a backtrace is all that every
host shows of that, so the names of the functions on it say what differs, and the digits of the
number of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from whamm_cm.emit.play.layout import DIGIT, LABELS, Op
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.names import FUNCTION, MODULE, NameSection
from whamm_cm.wasm.types import MemoryType

_DIGITS = 10


class Player:
    """Imports what all players do into ``module`` and, once :meth:`begin` is told what else has
    been imported, has functions that use it."""

    def __init__(self, module: Module) -> None:
        self.module = module
        module.import_memory("data", "memory", MemoryType(1))
        self._free = module.import_func("base", "free")
        self._realloc = module.import_func("base", "realloc", ("i32",) * 4, ("i32",))

    def begin(
        self, labels: Sequence[str], makers: int, reps: int = 0,
        taker: Callable[[], int] | None = None,
    ) -> None:  # fmt: skip
        """``labels``: names of functions that only trap; ``makers``: how many functions make a
        handle, ``reps``: how many say its number; ``taker``: writes what takes an end."""
        module = self.module
        self._names = NameSection()
        self._labels = [*LABELS.values(), *labels]
        self._makers = _DIGITS + len(self._labels)
        self._reps = self._makers + makers
        self._table = module.table(self._reps + reps)
        self._reasons: dict[str, int] = {}
        self._write_names()
        self._compare = {
            Op.SAME: self._write_same(),
            Op.STARS: self._write_stars(),
            Op.OWN: self._write_owned(),
            Op.NAN: self._write_nan(),
        }
        if taker is not None:
            self._compare[Op.TAKE] = taker()
        self._check = self._write_check()
        self._patch = self._write_patch()

    def handles(self, makers: Sequence[int], reps: Sequence[int] = ()) -> None:
        """What makes handles, by kind, and says their numbers."""
        self.module.elements(self._makers, [*makers, *reps], self._table)

    def func(self, name: str, params: Sequence[str] = (), results: Sequence[str] = ()) -> Func:
        found = self.module.func(params, results)
        self._names.set_name(FUNCTION, found.index, name)
        return found

    def encode(self, name: str) -> bytes:
        self._names.others[MODULE] = name_bytes(name)
        payload = self._names.encode()
        return self.module.encode() + b"\0" + unsigned(len(payload)) + payload

    def free(self, f: Func) -> None:
        """Whatever has been allocated is no more needed."""
        f.call(self._free)

    def alloc(self, f: Func, size: int) -> None:
        """An address of ``size`` bytes, on the stack."""
        for number in (0, 0, 8, size):
            f.i32(number)
        f.call(self._realloc)

    def check(self, f: Func) -> None:
        """Script and base on the stack; leaves 0 if anything differs."""
        f.call(self._check)

    def patch(self, f: Func) -> None:
        """Makes the handles of the answer whose address is on the stack."""
        f.call(self._patch)

    def fail(self, f: Func, reason: str) -> None:
        """Ends the guest; on the stack are the number of the call and the label of what should
        have been instead."""
        known = self._reasons.get(reason)
        if known is None:
            g = self.func(reason, ("i32", "i32"))
            known = self._reasons[reason] = g.index
            self._digits(g)
            g.op("unreachable")
        f.call(known)
        f.op("unreachable")

    def _digits(self, f: Func) -> None:
        """The last digit of the first parameter on the stack of calls, those before it above."""
        f.get(0)
        f.i32(10)
        f.op("i32.div_u")
        f.get(1)
        f.get(0)
        f.i32(10)
        f.op("i32.rem_u")
        f.call_indirect(self.module.type_index(("i32", "i32"), ()), self._table)

    def _write_names(self) -> None:
        listed = []
        for digit in range(_DIGITS):
            f = self.func(f"{DIGIT}{digit}", ("i32", "i32"))
            f.get(0)
            f.op("i32.eqz")
            with f.if_():
                f.get(1)
                f.call_indirect(self.module.type_index((), ()), self._table)
                f.op("unreachable")
            self._digits(f)
            listed.append(f.index)
        for label in self._labels:
            f = self.func(label)
            f.op("unreachable")
            listed.append(f.index)
        self.module.elements(0, listed, self._table)

    def _write_same(self) -> int:
        """(address, address of what is expected, bytes): whether they are the same."""
        f = self.func("same", ("i32",) * 3, ("i32",))
        for size, load in ((8, "i64.load"), (1, "i32.load8_u")):
            with f.block() as over, f.loop() as again:
                f.get(2)
                f.i32(size)
                f.op("i32.lt_u")
                f.br_if(over)
                f.get(0)
                f.memory_op(load)
                f.get(1)
                f.memory_op(load)
                f.op(f"{load[:3]}.ne")
                with f.if_():
                    f.i32(0)
                    f.op("return")
                self._step(f, size)
                f.br(again)
        f.i32(1)
        return f.index

    def _write_stars(self) -> int:
        """The same, and a star in what is expected is any byte."""
        f = self.func("same but for stars", ("i32",) * 3, ("i32",))
        with f.block() as over, f.loop() as again:
            f.get(2)
            f.op("i32.eqz")
            f.br_if(over)
            f.get(1)
            f.memory_op("i32.load8_u")
            f.i32(ord("*"))
            f.op("i32.ne")
            f.get(0)
            f.memory_op("i32.load8_u")
            f.get(1)
            f.memory_op("i32.load8_u")
            f.op("i32.ne", "i32.and")
            with f.if_():
                f.i32(0)
                f.op("return")
            self._step(f, 1)
            f.br(again)
        f.i32(1)
        return f.index

    def _write_owned(self) -> int:
        """(address, kind, number): whether the handle there is that resource."""
        f = self.func("same resource", ("i32",) * 3, ("i32",))
        f.get(0)
        f.memory_op("i32.load")
        f.get(1)
        f.i32(self._reps)
        f.op("i32.add")
        f.call_indirect(self.module.type_index(("i32",), ("i32",)), self._table)
        f.get(2)
        f.op("i32.eq")
        return f.index

    def _write_nan(self) -> int:
        """(address, unused, bytes): whether what is there is not a number."""
        f = self.func("not a number", ("i32",) * 3, ("i32",))
        f.get(2)
        f.i32(4)
        f.op("i32.eq")
        with f.if_("i32"):
            for kind in ("f32", "f64"):
                f.get(0)
                f.memory_op(f"{kind}.load")
                f.get(0)
                f.memory_op(f"{kind}.load")
                f.op(f"{kind}.ne")
                if kind == "f32":
                    f.else_()
        return f.index

    def _step(self, f: Func, size: int) -> None:
        for local, op in ((0, "i32.add"), (1, "i32.add"), (2, "i32.sub")):
            f.get(local)
            f.i32(size)
            f.op(op)
            f.set(local)

    def _write_check(self) -> int:
        """(script, base): where the script goes on behind its END, 0 if anything differs."""
        f = self.func("compare", ("i32", "i32"), ("i32",))
        op, ok = f.local("i32"), f.local("i32")
        with f.loop() as again:
            f.get(0)
            f.memory_op("i32.load")
            f.tee(op)
            f.op("i32.eqz")
            with f.if_():
                f.get(0)
                f.i32(4)
                f.op("i32.add", "return")
            with f.block() as done:
                for which, index in self._compare.items():
                    f.get(op)
                    f.i32(which)
                    f.op("i32.eq")
                    with f.if_():
                        self._based(f)
                        f.get(0)
                        f.memory_op("i32.load", 12)
                        f.get(0)
                        f.memory_op("i32.load", 8)
                        f.call(index)
                        f.set(ok)
                        f.get(0)
                        f.i32(16)
                        f.op("i32.add")
                        f.set(0)
                        f.br(done)
                f.get(0)
                f.i32(8)
                f.op("i32.add")
                self._based(f)
                f.memory_op("i32.load")
                f.call(f.index)
                f.tee(0)
                f.set(ok)
            f.get(ok)
            f.br_if(again)
        f.i32(0)
        return f.index

    def _based(self, f: Func) -> None:
        """The address that the operation at 0 is about."""
        f.get(1)
        f.get(0)
        f.memory_op("i32.load", 4)
        f.op("i32.add")

    def _write_patch(self) -> int:
        """(answer): make the handles that it lists."""
        f = self.func("make handles", ("i32",))
        left, at = f.local("i32"), f.local("i32")
        f.get(0)
        f.memory_op("i32.load")
        f.set(left)
        f.get(0)
        f.memory_op("i32.load", 4)
        f.set(at)
        with f.block() as over, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(over)
            f.get(at)
            f.memory_op("i32.load")
            f.get(at)
            f.memory_op("i32.load", 8)
            f.get(at)
            f.memory_op("i32.load", 4)
            f.i32(self._makers)
            f.op("i32.add")
            f.call_indirect(self.module.type_index(("i32",), ("i32",)), self._table)
            f.memory_op("i32.store")
            f.get(at)
            f.i32(12)
            f.op("i32.add")
            f.set(at)
            f.get(left)
            f.i32(1)
            f.op("i32.sub")
            f.set(left)
            f.br(again)
        return f.index
