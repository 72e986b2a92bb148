"""The core module behind what an application imports: it answers each call as was recorded.

Imports: ``data.memory``, ``base``, whose destructor calls it, ``types.new<k>`` and ``types.rep<k>``
for each kind of resource.  Exports: ``f<i>`` for each function, and ``made``, which says how many
calls there were.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.emit.play.ends import WRITTEN, EndKind, Ends
from whamm_cm.emit.play.layout import (
    ANOTHER,
    ANSWER_CELLS,
    BEGIN,
    CELLS,
    COUNT,
    ENDS,
    FIRST_FUNCTION,
    LAST,
    MADE_SIZE,
    NEXT_CALL,
    PLAYER,
    TABLE,
    WAS,
)
from whamm_cm.emit.play.player import Player
from whamm_cm.wasm.asm import Func, Module

#: What is said of a drop.
DROP = "the drop of a resource"


def provider(
    functions: Sequence[tuple[str, CoreSig]], kinds: int, ends: Sequence[EndKind] = ()
) -> bytes:
    """Names of functions and what they are lifted from; the drop of a resource has the number
    behind the last."""
    return _Provider(functions, kinds, ends).bytes


class _Provider:
    def __init__(
        self, functions: Sequence[tuple[str, CoreSig]], kinds: int, ends_of: Sequence[EndKind]
    ) -> None:
        module = Module()
        self.player = Player(module)
        shared = module.import_table("base", "table", 1)
        handle = (("i32",), ("i32",))
        makers = [module.import_func("types", f"new{k}", *handle) for k in range(kinds)]
        reps = [module.import_func("types", f"rep{k}", *handle) for k in range(kinds)]
        ends = Ends(self.player, ends_of) if ends_of else None
        self.ends = ends
        labels = [f"{WAS}{name}" for name in (*dict(functions), DROP, WRITTEN)]
        taker = None if ends is None else ends.taker
        self.player.begin(labels, kinds + len(ends_of), kinds, taker)
        self.player.handles(makers if ends is None else [*makers, *ends.makers()], reps)
        if ends is not None:
            ends.write(len(functions) + 1)
        self.made = module.global_("i32", 0)
        self.next = self._write_next()
        for number, (name, signature) in enumerate(functions):
            self._write_function(number, name, signature)
        drop = self.player.func(DROP, ("i32",))
        self._call(drop, len(functions), ("i32",))
        drop.op("drop")
        module.elements(0, [drop.index], shared)
        made = module.func((), ("i32",))
        made.global_get(self.made)
        module.export_func("made", made.index)
        self.bytes = self.player.encode(PLAYER)

    def _write_function(self, number: int, name: str, signature: CoreSig) -> None:
        f = self.player.func(name, signature.params, signature.results)
        self._call(f, number, signature.params)
        if signature.results:
            f.memory_op(f"{signature.results[0]}.load", ANSWER_CELLS)
        else:
            f.op("drop")
        self.player.module.export_func(f"f{number}", f.index)

    def _call(self, f: Func, number: int, params: Sequence[str]) -> None:
        """The address of the answer to a call, on the stack."""
        for local, kind in enumerate(params):
            f.i32(CELLS + 8 * local)
            f.get(local)
            f.memory_op(f"{kind}.store")
        f.i32(number)
        f.call(self.next)

    def _write_next(self) -> int:
        """(function): the answer to the next call, which has to be the recorded one."""
        f = self.player.func(NEXT_CALL, ("i32",), ("i32",))
        entry, answer = f.local("i32"), f.local("i32")
        self.player.free(f)
        self._write_end(f)
        f.i32(0)
        f.memory_op("i32.load", TABLE)
        f.global_get(self.made)
        f.i32(MADE_SIZE)
        f.op("i32.mul", "i32.add")
        f.tee(entry)
        f.memory_op("i32.load")
        f.get(0)
        f.op("i32.ne")
        with f.if_():
            self._fail(f, entry, ANOTHER)
        f.get(entry)
        f.memory_op("i32.load", 8)
        f.i32(CELLS)
        self.player.check(f)
        f.op("i32.eqz")
        with f.if_():
            self._fail(f, entry, "other arguments than were recorded")
        f.global_get(self.made)
        f.i32(1)
        f.op("i32.add")
        f.global_set(self.made)
        f.get(entry)
        f.memory_op("i32.load", 12)
        f.tee(answer)
        f.i32(BEGIN)
        f.op("i32.lt_u")
        with f.if_():
            f.get(entry)
            f.memory_op("i32.load", 4)
            f.get(answer)
            self.player.fail(f, "all up to this call as recorded")
        if self.ends is not None:
            self.player.free(f)
            self.ends.begun(f)
        f.get(answer)
        self.player.patch(f)
        f.get(answer)
        return f.index

    def _write_end(self, f: Func) -> None:
        """Fails where all that was recorded has been."""
        f.global_get(self.made)
        f.i32(0)
        f.memory_op("i32.load", COUNT)
        f.op("i32.ge_u")
        with f.if_():
            f.i32(0)
            f.memory_op("i32.load", LAST)
            f.i32(0)
            f.memory_op("i32.load", ENDS)
            self.player.fail(f, ANOTHER)

    def _fail(self, f: Func, entry: int, reason: str) -> None:
        f.get(entry)
        f.memory_op("i32.load", 4)
        f.get(entry)
        f.memory_op("i32.load")
        f.i32(FIRST_FUNCTION)
        f.op("i32.add")
        self.player.fail(f, reason)
