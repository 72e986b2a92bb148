"""Reading variables of the program's source where they lie in its memory.

Nothing here traps: what is not inside of the memory reads as zero, and texts as empty.
"""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.strings import address_local, core_of, push_address, read
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang.numbers import name_of

#: By the script type: how many bytes, and what reads them.
_LOADS = {
    "bool": (1, "i32.load8_u"), "u8": (1, "i32.load8_u"), "i8": (1, "i32.load8_s"),
    "u16": (2, "i32.load16_u"), "i16": (2, "i32.load16_s"), "u32": (4, "i32.load"),
    "i32": (4, "i32.load"), "u64": (8, "i64.load"), "i64": (8, "i64.load"), "f32": (4, "f32.load"),
    "f64": (8, "f64.load"),
}  # fmt: skip


def _load(body: Body, node: t.Builtin) -> None:
    f, guest, core = body.f, body.env.guest(None), flats(node.type)[0]
    if guest is None:
        f.const(core, 0)
        return
    size, instruction = _LOADS[name_of(node.type)]
    body.expr(node.args[0])
    address = address_local(body, core_of(node.args[0]))
    _inside(body, guest, address, size)
    with f.if_(core):
        push_address(body, guest, address)
        f.memory_op(instruction, 0, guest.memory)
        if name_of(node.type) == "bool":
            f.op("i32.eqz", "i32.eqz")
        f.else_()
        f.const(core, 0)
    body.pool.give(("i64",), (address,))


def _inside(body: Body, guest: Guest, address: int, size: int) -> None:
    """Push whether so many bytes at an address (an i64 local) are in the memory."""
    f = body.f
    f.get(address)
    f.i64(size)
    f.op("i64.add")
    guest.size(f)
    f.op("i64.le_u")
    if guest.is64:  # where that may have wrapped
        f.get(address)
        f.i64(-size)
        f.op("i64.lt_u", "i32.and")


def _text(body: Body, node: t.Builtin) -> None:
    """``(address, most)``: what there is up to a zero; empty where none comes inside of the memory
    but before so many bytes."""
    f, guest = body.f, body.env.guest(None)
    where, most = node.args
    body.expr(where)
    address, length = address_local(body, core_of(where)), body.pool.take("i32")
    f.i32(0)
    f.set(length)
    if guest is not None:
        limit = body.stash_value(most)
        with f.block() as done, f.loop() as again:
            f.get(length)
            f.get(limit[0])
            f.op("i32.ge_u")
            f.br_if(done)
            f.get(address)
            f.get(length)
            f.op("i64.extend_i32_u", "i64.add")
            guest.size(f)
            f.op("i64.ge_u")
            with f.if_():
                f.i32(0)
                f.set(length)
                f.br(done)
            push_address(body, guest, address, length)
            f.memory_op("i32.load8_u", 0, guest.memory)
            f.op("i32.eqz")
            f.br_if(done)
            f.get(length)
            f.i32(1)
            f.op("i32.add")
            f.set(length)
            f.br(again)
        body.give(most.type, limit)
    f.get(address)
    f.get(length)
    body.pool.give(("i64", "i32"), (address, length))
    read(body, guest, "i64")


def _bytes(body: Body, node: t.Builtin) -> None:
    address, length = node.args
    body.expr(address)
    body.expr(length)
    read(body, body.env.guest(None), core_of(address))


def _label(body: Body, node: t.Builtin) -> None:
    """``(value, number, name, …)``: the name that stands behind the value, or nothing."""
    f = body.f
    value = body.stash_value(node.args[0])
    core = flats(node.args[0].type)[0]
    found = body.pool.take_all(("i32", "i32"))
    for local in found:
        f.i32(0)
        f.set(local)
    for number, name in zip(node.args[1::2], node.args[2::2], strict=True):
        assert isinstance(number, t.Const) and isinstance(name, t.Const)
        f.get(value[0])
        body.expr(number)
        f.op(f"{core}.eq")
        with f.if_():
            body.expr(name)
            f.set(found[1])
            f.set(found[0])
    body.get_all(found)
    body.pool.give(("i32", "i32"), found)
    body.give(node.args[0].type, value)


BUILTINS: dict[str, Callable[[Body, t.Builtin], None]] = {
    "src.load": _load, "src.text": _text, "src.bytes": _bytes, "src.label": _label,
}  # fmt: skip
