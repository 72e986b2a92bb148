"""Strings and bytes: methods, and what passes between the program's memory and the script's.

A string is (address, length) in state memory.  What is read from a guest lies in a ring of
short-lived strings; what is stored in a global, a cell or a map is kept for ever.  Ranges outside
of a guest's memory read as the empty string and are not written.
"""

from __future__ import annotations

from collections.abc import Callable

from whamm_cm.agent import layout
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script import places
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import STATE
from whamm_cm.emit.script.memories import STATE_SIZE
from whamm_cm.errors import InternalError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import name_of
from whamm_cm.lang.regex import table_of

MAX_READ = 16384


def _length(body: Body, node: t.Builtin) -> None:
    where = body.stash_value(node.args[0])
    body.f.get(where[1])
    body.give(vt.STR, where)


def _address(body: Body, node: t.Builtin) -> None:
    body.expr(node.args[0])
    body.f.op("drop")


def _method(runtime: str) -> Callable[[Body, t.Builtin], None]:
    def emit(body: Body, node: t.Builtin) -> None:
        for arg in node.args:
            body.expr(arg)
        body.run(runtime)

    return emit


def _made(runtime: str) -> Callable[[Body, t.Builtin], None]:
    """What has a string for a result."""

    def emit(body: Body, node: t.Builtin) -> None:
        for arg in node.args:
            body.expr(arg)
        body.run(runtime)
        push_span(body)

    return emit


def push_span(body: Body) -> None:
    """Stack: an i64 of the runtime -> address, bytes."""
    f, span = body.f, body.pool.take("i64")
    f.tee(span)
    f.op("i32.wrap_i64")
    f.get(span)
    f.i64(32)
    f.op("i64.shr_u", "i32.wrap_i64")
    body.pool.give(("i64",), (span,))


def _matches(body: Body, node: t.Builtin) -> None:
    text, pattern = node.args
    if not isinstance(pattern, t.Const):
        raise InternalError("the checker wants a constant pattern")
    body.expr(text)
    body.f.i32(body.env.string(table_of(str(pattern.value)).text)[0])
    body.run("str_matches")


def _compare_memory(runtime: str) -> Callable[[Body, t.Builtin], None]:
    """``strcmp((ptr, len), text)``: bytes of the program, or of a string whose ``addr()`` it is."""

    def emit(body: Body, node: t.Builtin) -> None:
        where = node.args[0]
        own = isinstance(where, t.TupleMake) and _is_address(where.items[0])
        body.expr(where)
        if not own:
            read(body, body.env.guest(None), "i32")
        body.expr(node.args[1])
        body.run(runtime)

    return emit


def _is_address(expr: t.Expr) -> bool:
    while isinstance(expr, t.Cast):
        expr = expr.operand
    return isinstance(expr, t.Builtin) and expr.name == "str.addr"


def core_of(expr: t.Expr) -> str:
    return "i64" if name_of(expr.type) in ("u64", "i64") else "i32"


def address_local(body: Body, kind: str) -> int:
    """Move the address on the stack, of core type ``kind``, to an i64 local."""
    if kind == "i32":
        body.f.op("i64.extend_i32_u")
    local = body.pool.take("i64")
    body.f.set(local)
    return local


def read(body: Body, guest: Guest | None, kind: str) -> None:
    """Stack: address (of core type ``kind``), i32 length -> (address, length) in state memory."""
    f = body.f
    length = body.pool.take("i32")
    f.set(length)
    source = address_local(body, kind)
    if guest is None:
        f.i32(0)
        f.set(length)
    else:
        _at_most(body, length, MAX_READ)
        _empty_if_outside(body, guest, source, length)
    text, target = body.pool.take("i32"), body.pool.take("i64")
    f.get(length)
    body.run("tmp")
    f.tee(text)
    f.op("i64.extend_i32_u")
    f.set(target)
    if guest is not None:
        _copy(body, (STATE, target), (guest, source), length)
    f.get(text)
    f.get(length)
    body.pool.give(("i32", "i64", "i32", "i64"), (length, source, text, target))


def _at_most(body: Body, local: int, limit: int) -> None:
    f = body.f
    f.get(local)
    f.i32(limit)
    f.get(local)
    f.i32(limit)
    f.op("i32.lt_u", "select")
    f.set(local)


def _empty_if_outside(body: Body, guest: Guest, address: int, length: int) -> None:
    """``length`` becomes 0 unless ``address`` (i64) + ``length`` is inside of the memory."""
    f = body.f
    if guest is STATE:
        return
    f.get(length)
    f.i32(0)
    f.get(address)
    guest.size(f)
    f.op("i64.le_u")
    f.get(length)
    f.op("i64.extend_i32_u")
    guest.size(f)
    f.get(address)
    f.op("i64.sub", "i64.le_u", "i32.and", "select")
    f.set(length)


def _index(body: Body, guest: Guest) -> int | None:
    """The memory's index in this module, None where only functions reach it."""
    return body.env.memory if guest is STATE else guest.memory


def push_address(body: Body, guest: Guest, address: int, offset: int | None = None) -> None:
    """The address in local ``address`` (i64), plus local ``offset`` (i32)."""
    f = body.f
    f.get(address)
    if offset is not None:
        f.get(offset)
        f.op("i64.extend_i32_u", "i64.add")
    if not guest.is64:
        f.op("i32.wrap_i64")


def _copy(body: Body, to: tuple[Guest, int], source: tuple[Guest, int], length: int) -> None:
    """Copy local ``length`` bytes between two (memory, i64 local)s, known to be inside."""
    f = body.f
    indices = _index(body, to[0]), _index(body, source[0])
    if indices[0] is not None and indices[1] is not None:
        f.get(length)
        with f.if_():  # even no bytes at all must lie inside for this instruction
            push_address(body, *to)
            push_address(body, *source)
            f.get(length)
            if to[0].is64 and source[0].is64:
                f.op("i64.extend_i32_u")
            f.memory_copy(indices[0], indices[1])
        return
    i = body.pool.take("i32")
    f.i32(0)
    f.set(i)
    with f.block() as done, f.loop() as again:
        f.get(i)
        f.get(length)
        f.op("i32.ge_u")
        f.br_if(done)
        push_address(body, *to, i)
        push_address(body, *source, i)
        if indices[1] is None:
            body.run("ld8u")
        else:
            f.memory_op("i32.load8_u", 0, indices[1])
        if indices[0] is None:
            body.run("st8")
        else:
            f.memory_op("i32.store8", 0, indices[0])
        f.get(i)
        f.i32(1)
        f.op("i32.add")
        f.set(i)
        f.br(again)
    body.pool.give(("i32",), (i,))


def _read_str(body: Body, node: t.Builtin) -> None:
    memory, address, length = node.args
    body.expr(address)
    body.expr(length)
    read(body, body.env.guest(memory), core_of(address))


def _transfer(body: Body, to: Guest | None, source: Guest | None, kind: str) -> None:
    """Stack: target address (of core type ``kind``), source address, length (i32)."""
    f = body.f
    length = body.pool.take("i32")
    f.set(length)
    start = address_local(body, "i32")
    target = address_local(body, kind)
    if to is not None and source is not None:
        _empty_if_outside(body, to, target, length)
        _empty_if_outside(body, source, start, length)
        _copy(body, (to, target), (source, start), length)
    body.pool.give(("i32", "i64", "i64"), (length, start, target))


def _write_str(body: Body, node: t.Builtin) -> None:
    memory, address, text = node.args
    body.expr(address)
    body.expr(text)
    _transfer(body, body.env.guest(memory), STATE, core_of(address))


def _memcpy(body: Body, node: t.Builtin) -> None:
    source_memory, source, target_memory, target, length = node.args
    locals_ = [body.stash_value(arg)[0] for arg in (source, target, length)]
    for local in (locals_[1], locals_[0], locals_[2]):
        body.f.get(local)
    to, start = body.env.guest(target_memory), body.env.guest(source_memory)
    _transfer(body, to, start, "i32")
    body.pool.give(("i32",) * 3, locals_)


def _mem_size(body: Body, node: t.Builtin) -> None:
    guest = body.env.guest(node.args[0])
    index = None if guest is None else _index(body, guest)
    if guest is STATE and index is None:
        body.f.call(body.env.user(STATE_SIZE))
    elif guest is None or index is None:
        body.f.i32(0)
    else:
        body.f.memory_size(index)
        guest.narrow(body.f)


def _map_id(body: Body, node: t.Builtin) -> None:
    """The number the checker gave a global map, the handle of another."""
    body.expr(node.args[-1])


def _map_len(body: Body, node: t.Builtin) -> None:
    body.expr(node.args[0])
    body.run("map_size")


def _map_has(body: Body, node: t.Builtin) -> None:
    """A key that is missing reads the zeros, which lie where no entry does."""
    table, key = node.args
    places.handle(body, table, create=False)
    places.fill_key(body, key)
    body.run("map_get")
    body.f.i32(layout.ZEROS)
    body.f.op("i32.ne")


def _task(body: Body, node: t.Builtin) -> None:
    body.run("task_now")


def _rand(body: Body, node: t.Builtin) -> None:
    """Of all numbers, or scaled to those below another."""
    f = body.f
    if not node.args:
        body.run("rand")
        return
    body.expr(node.args[0])
    f.op("i64.extend_i32_u")
    body.run("rand")
    f.op("i64.extend_i32_u", "i64.mul")
    f.i64(32)
    f.op("i64.shr_u", "i32.wrap_i64")


def _leave(body: Body, node: t.Builtin) -> None:
    held = body.stash_value(node.args[0])
    body.f.i32(body.env.print_site(node))
    body.get_all(held)
    body.give(node.args[0].type, held)
    body.run(node.name)


BUILTINS: dict[str, Callable[[Body, t.Builtin], None]] = {
    "str.len": _length, "str.addr": _address, "str.eq": _method("str_eq"),
    "str.starts_with": _method("str_starts"), "str.ends_with": _method("str_ends"),
    "str.contains": _method("str_contains"), "str.find": _method("str_find"),
    "str.to_int": _method("str_to_int"), "str.matches": _matches,
    **{f"str.{n}": _made(f"str_{n}") for n in ("slice", "split", "trim", "lower", "upper")},
    "strcmp": _compare_memory("str_eq"), "strcontains": _compare_memory("str_contains"),
    "read_str": _read_str, "write_str": _write_str, "memcpy": _memcpy, "mem_size": _mem_size,
    "map.id": _map_id, "map.len": _map_len, "map.has": _map_has, "task": _task,
    "now": _method("now"), "wall": _method("wall"), "rand": _rand,
    "exit": _leave, "abort": _leave,
}  # fmt: skip
"""The builtins compiled alike everywhere; the place compiles the others (``Env.builtin``)."""
