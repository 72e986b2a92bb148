"""Streams and futures of a provider: what was recorded is written into them, or compared.

All of it happens in a task of its own, ``pump``, which waits for whatever becomes of the ends that
the provider has; at last ``settle`` looks whether all was written.  An end (:data:`END_SIZE` bytes)
is: its handle, 0 for none; its step; where its pieces are; how many; which is next; how many
elements of it are done; whether it is dropped behind the last; number of the call that passed it;
where to read to; the end that begins after it.

A piece is: an answer whose cell is the address of the elements, or the script that compares them;
how many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.play.layout import ANSWER_CELLS, ENDS_AT, FIRST_FUNCTION, HOW_MANY_ENDS
from whamm_cm.emit.play.player import Player
from whamm_cm.wasm.asm import Func

HANDLE, STEP, PIECES, COUNT, NEXT, DONE, DROPS, NUMBER, BUFFER, BEHIND = range(0, 40, 4)
END_SIZE = 40
PIECE_SIZE = 8

#: What a step is called with at first, and what is returned where one has to wait.
_BEGIN, _BLOCKED = -2, -1
_YIELD, _WAIT = 1, 2
#: How often all others get to run before it is said that nothing more comes.
_ROUNDS = 8

WRITTEN = "the contents of a stream or future"


@dataclass(frozen=True, slots=True)
class EndKind:
    """A type of streams, or of futures; ``size``: of an element."""

    future: bool
    size: int


class Ends:
    """Made where imports are: ``ends.<what><k>`` for each kind, ``tasks.<what>``."""

    def __init__(self, player: Player, kinds: Sequence[EndKind]) -> None:
        module = player.module
        self.player, self.kinds = player, kinds

        def imported(what: str, params: str, result: str) -> list[int]:
            return [
                module.import_func(
                    "ends", f"{what}{k}",
                    ["i32"] * (len(params) - (kind.future and params == "xxx")),
                    [result] if result else [],
                )
                for k, kind in enumerate(kinds)
            ]  # fmt: skip

        self._new = imported("new", "", "i64")
        self._ops = {
            "write": imported("write", "xxx", "i32"),
            "read": imported("read", "xxx", "i32"),
        }
        self._drops = {
            "write": imported("drop-writable", "x", ""), "read": imported("drop-readable", "x", ""),
        }  # fmt: skip
        self._set_new = module.import_func("tasks", "set-new", (), ("i32",))
        self._join = module.import_func("tasks", "join", ("i32", "i32"))
        self._returned = module.import_func("tasks", "return")

        self._set, self._waiting = module.global_("i32", 0), module.global_("i32", 0)
        self._steps = module.table(2 * len(kinds))

    def write(self, label: int) -> None:
        """The pump and all it needs; ``label``: which of the component's is that of contents."""
        self._label = FIRST_FUNCTION + label
        steps = [
            self._write_step(k, what) for k in range(len(self.kinds)) for what in ("write", "read")
        ]
        self.player.module.elements(0, steps, self._steps)
        self._write_pump()
        self._write_settle()

    def makers(self) -> list[int]:
        """(end): for each kind, a new readable one of which the provider has the other."""
        self._waits = self._write_waits()
        found = []
        for new in self._new:
            f = self.player.func("a new stream or future", ("i32",), ("i32",))
            pair = f.local("i64")
            f.get(0)
            f.call(new)
            f.tee(pair)
            f.i64(32)
            f.op("i64.shr_u", "i32.wrap_i64")
            f.memory_op("i32.store", HANDLE)
            self._start(f)
            f.get(pair)
            f.op("i32.wrap_i64")
            found.append(f.index)
        return found

    def taker(self) -> int:
        """(address of a handle, 0, end): the provider has got it; it begins with :meth:`begun`."""
        f = self.player.func("a stream or future is taken", ("i32",) * 3, ("i32",))
        f.get(2)
        f.get(0)
        f.memory_op("i32.load")
        f.memory_op("i32.store", HANDLE)
        f.get(2)
        f.global_get(self._waiting)
        f.memory_op("i32.store", BEHIND)
        f.get(2)
        f.global_set(self._waiting)
        f.i32(1)
        return f.index

    def begun(self, f: Func) -> None:
        """What has been taken begins: whatever the guest has passed has been compared."""
        with f.block() as over, f.loop() as again:
            f.global_get(self._waiting)
            f.op("i32.eqz")
            f.br_if(over)
            f.global_get(self._waiting)
            f.global_get(self._waiting)
            f.memory_op("i32.load", BEHIND)
            f.global_set(self._waiting)
            f.call(self._waits)
            f.br(again)

    def _start(self, f: Func) -> None:
        f.get(0)
        f.call(self._waits)

    def _write_waits(self) -> int:
        """(end): from now on the pump looks after it."""
        f = self.player.func("a stream or future begins", ("i32",))
        f.get(0)
        f.memory_op("i32.load", HANDLE)
        self._the_set(f)
        f.call(self._join)
        f.get(0)
        f.i32(_BEGIN)
        self._step(f)
        return f.index

    def _step(self, f: Func) -> None:
        """(end) and result on the stack; the end is local 0."""
        f.get(0)
        f.memory_op("i32.load", STEP)
        f.call_indirect(self.player.module.type_index(("i32", "i32"), ()), self._steps)

    def _the_set(self, f: Func) -> None:
        f.global_get(self._set)
        f.op("i32.eqz")
        with f.if_():
            f.call(self._set_new)
            f.global_set(self._set)
        f.global_get(self._set)

    def _code(self, f: Func) -> None:
        """What a callback returns to be called again."""
        self._the_set(f)
        f.i32(4)
        f.op("i32.shl")
        f.i32(_WAIT)
        f.op("i32.or")

    def _write_settle(self) -> None:
        """A task that lets all others run and then looks whether all was written."""
        module = self.player.module
        rounds = module.global_("i32", _ROUNDS)
        settle = self.player.func("settle", (), ("i32",))
        settle.i32(_YIELD)
        module.export_func("settle", settle.index)
        f = self.player.func("all has been passed", ("i32",) * 3, ("i32",))
        f.global_get(rounds)
        f.i32(1)
        f.op("i32.sub")
        f.global_set(rounds)
        f.global_get(rounds)
        with f.if_():
            f.i32(_YIELD)
            f.op("return")

        def each() -> None:
            self._field(f, STEP)
            f.i32(1)
            f.op("i32.and")
            self._behind(f)
            f.op("i32.eqz", "i32.and")
            with f.if_():
                self._fail(f, "less was written than was recorded")

        self._for_each(f, each)
        f.call(self._returned)
        f.i32(0)
        module.export_func("settled", f.index)

    def _for_each(self, f: Func, do: Callable[[], None]) -> None:
        """With each end in local 0."""
        left, at = f.local("i32"), f.local("i32")
        f.i32(0)
        f.memory_op("i32.load", HOW_MANY_ENDS)
        f.set(left)
        f.i32(0)
        f.memory_op("i32.load", ENDS_AT)
        f.set(at)
        with f.block() as over, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(over)
            f.get(at)
            f.memory_op("i32.load")
            f.set(0)
            do()
            for local, step, op in ((at, 4, "i32.add"), (left, 1, "i32.sub")):
                f.get(local)
                f.i32(step)
                f.op(op)
                f.set(local)
            f.br(again)

    def _write_pump(self) -> None:
        module = self.player.module
        pump = self.player.func("pump", (), ("i32",))
        pump.call(self._returned)
        self._code(pump)
        module.export_func("pump", pump.index)
        f = self.player.func("something became of a stream or future", ("i32",) * 3, ("i32",))

        def each() -> None:
            self._field(f, HANDLE)
            f.get(1)
            f.op("i32.eq")
            with f.if_():
                f.get(0)
                f.get(2)
                self._step(f)
                self._code(f)
                f.op("return")

        self._for_each(f, each)
        self._code(f)
        module.export_func("became", f.index)

    def _write_step(self, k: int, what: str) -> int:
        """(end, result): what goes on after a result of the last operation."""
        f = self.player.func(f"{what} what was recorded", ("i32", "i32"))
        piece = f.local("i32")
        with f.loop() as again:
            f.get(1)
            f.i32(_BEGIN)
            f.op("i32.ne")
            with f.if_():
                f.get(1)
                f.i32(_BLOCKED)
                f.op("i32.eq")
                with f.if_():
                    f.op("return")
                self._write_progress(f, k, what, piece)
            self._write_end(f, k, what)
            self._piece(f)
            f.set(piece)
            f.get(0)
            f.memory_op("i32.load", HANDLE)
            self._write_buffer(f, k, what, piece)
            f.call(self._ops[what][k])
            f.set(1)
            f.br(again)
        return f.index

    def _write_buffer(self, f: Func, k: int, what: str, piece: int) -> None:
        """Where to write from or read to, and how many elements."""
        if what == "write":
            self._field(f, DONE)
            f.op("i32.eqz")
            with f.if_():
                f.get(piece)
                f.memory_op("i32.load")
                self.player.patch(f)
            f.get(piece)
            f.memory_op("i32.load")
            f.memory_op("i32.load", ANSWER_CELLS)
        else:
            self._field(f, BUFFER)
        self._field(f, DONE)
        f.i32(self.kinds[k].size)
        f.op("i32.mul", "i32.add")
        if not self.kinds[k].future:
            self._behind(f)
            with f.if_("i32"):
                f.i32(1)  # is there more?
                f.else_()
                f.get(piece)
                f.memory_op("i32.load", 4)
                self._field(f, DONE)
                f.op("i32.sub")

    def _behind(self, f: Func) -> None:
        """Whether all that was recorded has been."""
        self._field(f, NEXT)
        self._field(f, COUNT)
        f.op("i32.ge_u")

    def _field(self, f: Func, offset: int) -> None:
        f.get(0)
        f.memory_op("i32.load", offset)

    def _piece(self, f: Func) -> None:
        self._field(f, PIECES)
        self._field(f, NEXT)
        f.i32(PIECE_SIZE)
        f.op("i32.mul", "i32.add")

    def _write_end(self, f: Func, k: int, what: str) -> None:
        """Behind the last piece: it is dropped, or nothing more is known."""
        self._behind(f)
        with f.if_():
            self._field(f, DROPS)
            with f.if_():
                self._drop(f, k, what)
                f.op("return")
            if what == "write" or self.kinds[k].future:
                f.op("return")

    def _drop(self, f: Func, k: int, what: str) -> None:
        self._field(f, HANDLE)
        f.call(self._drops[what][k])
        f.get(0)
        f.i32(0)
        f.memory_op("i32.store", HANDLE)

    def _write_progress(self, f: Func, k: int, what: str, piece: int) -> None:
        """What the last operation has done."""
        dropped = f.local("i32")
        f.get(1)
        f.i32(15)
        f.op("i32.and")
        f.set(dropped)
        f.get(0)
        self._field(f, DONE)
        if self.kinds[k].future:
            f.get(dropped)
            f.op("i32.eqz")
        else:
            f.get(1)
            f.i32(4)
            f.op("i32.shr_u")
        f.op("i32.add")
        f.memory_op("i32.store", DONE)
        self._behind(f)
        with f.if_():
            self._field(f, DONE)
            with f.if_():
                self._fail(f, "more was written than was recorded")
            f.else_()
            self._write_done(f, what, piece)
        f.get(dropped)
        with f.if_():
            if what == "read":
                self._behind(f)
                f.op("i32.eqz")
                with f.if_():
                    self._fail(f, "less was written than was recorded")
            self._drop(f, k, what)
            f.op("return")

    def _write_done(self, f: Func, what: str, piece: int) -> None:
        """A piece may be whole now."""
        self._piece(f)
        f.set(piece)
        self._field(f, DONE)
        f.get(piece)
        f.memory_op("i32.load", 4)
        f.op("i32.ge_u")
        with f.if_():
            if what == "read":
                f.get(piece)
                f.memory_op("i32.load")
                self._field(f, BUFFER)
                self.player.check(f)
                f.op("i32.eqz")
                with f.if_():
                    self._fail(f, "something else was written than was recorded")
                self.begun(f)
            f.get(0)
            self._field(f, NEXT)
            f.i32(1)
            f.op("i32.add")
            f.memory_op("i32.store", NEXT)
            f.get(0)
            f.i32(0)
            f.memory_op("i32.store", DONE)

    def _fail(self, f: Func, reason: str) -> None:
        self._field(f, NUMBER)
        f.i32(self._label)
        self.player.fail(f, reason)
