"""The core module that calls an application as it was called, and compares what it returns.

Imports: ``data.memory``, ``base``, ``exports.e<j>`` as they are lowered, ``types.make<k>`` for each
kind of resource, ``provider.made``, perhaps ``provider.pump`` and ``settle``.  Exports ``play``.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.abi.layout import size
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.play.base import memory_of
from whamm_cm.emit.play.layout import (
    ANSWER_CELLS,
    CALLED_SIZE,
    CELLS,
    COUNT,
    FIRST_FUNCTION,
    PLAYER,
    TABLE,
    WAS,
)
from whamm_cm.emit.play.player import Player
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wit.types import ValType


@dataclass(frozen=True, slots=True)
class Called:
    """An export: ``lowered`` is its core type, ``result`` what it returns."""

    name: str
    lowered: CoreSig
    result: ValType | None


class _Driver:
    def __init__(self, exports: Sequence[Called], kinds: int, pumped: bool) -> None:
        module = Module()
        self.player = Player(module)
        made = module.import_func("provider", "made", (), ("i32",))
        self.pump = self.settle = None
        if pumped:
            self.pump = module.import_func("provider", "pump", (), ("i32",))
            self.settle = module.import_func("provider", "settle")
        makers = [module.import_func("types", f"make{k}", ("i32",), ("i32",)) for k in range(kinds)]
        called = [
            module.import_func("exports", f"e{j}", one.lowered.params, one.lowered.results)
            for j, one in enumerate(exports)
        ]
        self.player.begin([f"{WAS}{one.name}" for one in exports], kinds)
        self.player.handles(makers)
        self.functions = module.table(len(exports))
        callers = [
            self._write_call(target, one) for target, one in zip(called, exports, strict=True)
        ]
        module.elements(0, callers, self.functions)
        self._write_play(made)
        self.bytes = self.player.encode(PLAYER)

    def _write_call(self, target: int, export: Called) -> int:
        """(cells): an export called with them; what it returns is in the first of :data:`CELLS`."""
        f = self.player.func(f"the call of {export.name}", ("i32",))
        lowered = export.lowered
        kept = f.local("i32")
        if lowered.results:
            f.i32(CELLS)
        params = list(lowered.params)
        pointer = params.pop() if lowered.results_spilled else None
        for number, kind in enumerate(params):
            f.get(0)
            f.memory_op(f"{kind}.load", 8 * number)
        if pointer is not None:
            assert export.result is not None
            self.player.alloc(f, size(export.result))
            f.tee(kept)
        f.call(target)
        if lowered.results:
            f.memory_op(f"{lowered.results[0]}.store")
        if pointer is not None:
            f.i32(CELLS)
            f.get(kept)
            f.memory_op("i32.store")
        return f.index

    def _write_play(self, made: int) -> None:
        f = self.player.func("play")
        self.player.module.export_func("play", f.index)
        entry, left, args = f.local("i32"), f.local("i32"), f.local("i32")
        if self.pump is not None:
            f.call(self.pump)
            f.op("drop")
        f.i32(0)
        f.memory_op("i32.load", TABLE)
        f.set(entry)
        f.i32(0)
        f.memory_op("i32.load", COUNT)
        f.set(left)
        with f.block() as over, f.loop() as again:
            f.get(left)
            f.op("i32.eqz")
            f.br_if(over)
            self.player.free(f)
            self._load(f, entry, 8)
            f.tee(args)
            self.player.patch(f)
            f.get(args)
            f.i32(ANSWER_CELLS)
            f.op("i32.add")
            self._load(f, entry, 0)
            f.call_indirect(self.player.module.type_index(("i32",), ()), self.functions)
            self._write_compare(f, entry, made)
            f.get(entry)
            f.i32(CALLED_SIZE)
            f.op("i32.add")
            f.set(entry)
            f.get(left)
            f.i32(1)
            f.op("i32.sub")
            f.set(left)
            f.br(again)
        if self.settle is not None:
            f.call(self.settle)

    def _write_compare(self, f: Func, entry: int, made: int) -> None:
        self._load(f, entry, 12)
        f.op("i32.eqz")
        with f.if_():
            self._fail(f, entry, "it returned, which it did not when it was recorded")
        self._load(f, entry, 12)
        f.i32(CELLS)
        self.player.check(f)
        f.op("i32.eqz")
        with f.if_():
            self._fail(f, entry, "another result than was recorded")
        f.call(made)
        self._load(f, entry, 16)
        f.op("i32.ne")
        with f.if_():
            self._fail(f, entry, "fewer calls were made in it than were recorded")

    def _load(self, f: Func, entry: int, offset: int) -> None:
        f.get(entry)
        f.memory_op("i32.load", offset)

    def _fail(self, f: Func, entry: int, reason: str) -> None:
        self._load(f, entry, 4)
        self._load(f, entry, 0)
        f.i32(FIRST_FUNCTION)
        f.op("i32.add")
        self.player.fail(f, reason)


def driver(exports: Sequence[Called], kinds: int, pumped: bool) -> bytes:
    """``pumped``: the provider has streams and futures."""
    return _Driver(exports, kinds, pumped).bytes


def main(lives: int, text: bytes) -> bytes:
    """Imports ``lives.play<n>``, which play one instance each.  Exports ``memory``, ``run``, which
    has them all play, once, and returns 0; ``replay`` returns where ``text`` is told of then."""
    module = Module()
    played = [module.import_func("lives", f"play{n}") for n in range(lives)]
    done = module.global_("i32", 0)
    play = module.func()
    play.global_get(done)
    play.op("i32.eqz")
    with play.if_():
        play.i32(1)
        play.global_set(done)
        for each in played:
            play.call(each)
    run, replay = module.func((), ("i32",)), module.func((), ("i32",))
    for f, result in ((run, 0), (replay, 8)):
        f.call(play.index)
        f.i32(result)
    where = (16).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    module.export_memory("memory", module.memory(memory_of(16 + len(text))))
    module.data(0, 8, where + text)
    module.export_func("run", run.index)
    module.export_func("replay", replay.index)
    return module.encode()
