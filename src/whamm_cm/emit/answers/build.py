"""The two modules of a component that answers: one with the memory, one with the functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whamm_cm.emit.answers.clocks import Clocks
from whamm_cm.emit.answers.code import Code, build_memory
from whamm_cm.emit.answers.dice import Rolls
from whamm_cm.emit.answers.lists import filtered, looked
from whamm_cm.emit.answers.model import Dice, Filtered, Fixed, Looked, Reply, Time, Wait
from whamm_cm.wasm.asm import FuncType
from whamm_cm.wit.types import FuncT


def build_answers(
    replies: Sequence[tuple[str, FuncT, Reply]], hosts: Mapping[str, FuncType], step: int = 0
) -> tuple[bytes, bytes]:
    """The module with the memory and that with the functions, exported by their names.

    ``step``: nanoseconds that the clocks move by when one is read.  Raises AbiError for a value
    that is none of its function's type.
    """
    code = Code(hosts)
    clocks, rolls = Clocks(code, step), Rolls(code)
    for name, type_, reply in replies:
        f = code.func(type_)
        code.module.export_func(name, f.index)
        assert type_.result is not None, "functions without a result are not answered"
        match reply:
            case Fixed(value):
                code.fixed(f, type_.result, value)
            case Looked():
                looked(code, f, type_.result, reply)
            case Filtered():
                filtered(code, f, type_.result, reply)
            case Dice():
                rolls.roll(f, type_.result, reply)
            case Time():
                clocks.read(f, type_.result, reply)
            case Wait():
                clocks.wait(f, reply)
    return build_memory(code.image.end), code.encode()
