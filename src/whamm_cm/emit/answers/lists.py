"""Lists of pairs with some taken out, and what one key stands for."""

from __future__ import annotations

from typing import Final

from whamm_cm.abi.layout import layouts
from whamm_cm.emit.answers.code import Code, Local, put
from whamm_cm.emit.answers.model import Filtered, Keys, Looked
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import ResultT, ValType, strip

#: Bytes of two strings beside each other, and where the second is.
_PAIR: Final = 16
_VALUE: Final = 8
#: What a key is told by, besides the numbers of what stands in a value's place.
_HIDDEN, _SHOWN, _REPLACED = 0, 1, 2


def _add(f: Func, local: int, by: int) -> None:
    put(f, Local(local), by, "i32.add")
    f.set(local)


def _same(code: Code) -> int:
    """(address, address, bytes, fold) → whether they are the same; ``fold``: the first in lower
    case, as far as it is ASCII."""
    f = code.module.func(("i32",) * 4, ("i32",))
    byte = Local(f.local("i32"))
    with f.loop() as again:
        put(f, Local(2), "i32.eqz")
        with f.if_():
            put(f, 1, "return")
        put(f, Local(0), ("i32.load8_u", 0))
        f.tee(byte)
        put(f, ord("A"), "i32.sub", 26, "i32.lt_u", Local(3), "i32.and")
        with f.if_():
            put(f, byte, 0x20, "i32.or")
            f.set(byte)
        put(f, byte, Local(1), ("i32.load8_u", 0), "i32.ne")
        with f.if_():
            put(f, 0, "return")
        _add(f, 0, 1)
        _add(f, 1, 1)
        _add(f, 2, -1)
        f.br(again)
    put(f, "unreachable")
    return f.index


def _is(code: Code, f: Func, same: int, text: str, fold: bool = False) -> None:
    """Leave whether the string in locals 0 and 1 is ``text``, by a block of one result."""
    raw = text.encode()
    put(f, Local(1), len(raw), "i32.eq")
    with f.if_("i32"):
        put(f, Local(0), code.image.text(raw), len(raw), int(fold))
        f.call(same)
        f.else_()
        put(f, 0)


def _shown(code: Code, keys: Keys) -> tuple[int, list[bytes]]:
    """(address, length) of a key → whether it is shown, or the number of what stands in its
    value's place; and those."""
    same = _same(code)
    f = code.module.func(("i32", "i32"), ("i32",))
    texts: list[bytes] = []
    for key, text in keys.deny:
        _is(code, f, same, key.lower(), fold=True)
        with f.if_():
            put(f, _HIDDEN if text is None else _REPLACED + len(texts), "return")
        texts += [] if text is None else [text.encode()]
    for key in keys.allow or ():
        _is(code, f, same, key)
        with f.if_():
            put(f, _SHOWN, "return")
    if keys.allow is not None:
        put(f, _HIDDEN)
        return f.index, texts
    # In another script a letter may be one of ASCII in another case: nobody can tell here.
    with f.loop() as again:
        put(f, Local(1), "i32.eqz")
        with f.if_():
            put(f, _SHOWN, "return")
        put(f, Local(0), ("i32.load8_u", 0), ord(" "), "i32.sub", ord("~") - ord(" "), "i32.gt_u")
        with f.if_():
            put(f, _HIDDEN, "return")
        _add(f, 0, 1)
        _add(f, 1, -1)
        f.br(again)
    put(f, "unreachable")
    return f.index, texts


def filtered(code: Code, f: Func, result: ValType, reply: Filtered) -> None:
    """Ask the host and hand on what is shown: the list is made shorter where it lies."""
    shown, texts = _shown(code, reply.keys)
    whole = strip(result)
    at = code.image.alloc(8, layouts().info(whole).size)
    start, left, to, known = (Local(f.local("i32")) for _ in range(4))
    put(f, at)
    f.call(code.hosts[reply.host])
    list_at = at
    with f.block() as done:
        if isinstance(whole, ResultT):
            put(f, at, ("i32.load8_u", 0))
            f.br_if(done)
            list_at += 4
        put(f, list_at, ("i32.load", 0))
        f.tee(start)
        f.set(to)
        put(f, list_at, ("i32.load", 4))
        f.set(left)
        with f.block() as end, f.loop() as again:
            put(f, left, "i32.eqz")
            f.br_if(end)
            put(f, start, ("i32.load", 0), start, ("i32.load", 4))
            f.call(shown)
            f.tee(known)
            with f.if_():
                _keep(code, f, (start, to, known), texts)
            _add(f, start, _PAIR)
            _add(f, left, -1)
            f.br(again)
        put(f, list_at, to, list_at, ("i32.load", 0), "i32.sub", _PAIR, "i32.div_u")
        f.memory_op("i32.store", 4)
    code.forget(f)
    put(f, at)


def _keep(code: Code, f: Func, where: tuple[Local, Local, Local], texts: list[bytes]) -> None:
    """Put the pair at the first local to the second, with what replaces its value."""
    start, to, known = where
    for offset in (0, _VALUE):
        put(f, to, start, ("i64.load", offset), ("i64.store", offset))
    for number, text in enumerate(texts):
        put(f, known, _REPLACED + number, "i32.eq")
        with f.if_():
            put(f, to, code.image.text(text), ("i32.store", _VALUE))
            put(f, to, len(text), ("i32.store", _VALUE + 4))
    _add(f, to, _PAIR)


def looked(code: Code, f: Func, result: ValType, reply: Looked) -> None:
    """Answer with what is written for the key, which was put where ``realloc`` said."""
    same = _same(code)
    code.forget(f)
    for key, value in reply.values.items():
        _is(code, f, same, key)
        with f.if_():
            code.fixed(f, result, value)
            put(f, "return")
    code.fixed(f, result, reply.other)
