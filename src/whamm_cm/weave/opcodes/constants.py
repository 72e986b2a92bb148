"""What constant expressions of a module say before it runs."""

from __future__ import annotations

from whamm_cm.wasm.module import CoreModule

_BITS = {0x41: 32, 0x42: 64}
_END, _GLOBAL_GET, _REF_FUNC = 0x0B, 0x23, 0xD2


def constant_of(expr: memoryview) -> int | None:
    """The value, taken as unsigned, of an expression that is one ``const``; else None."""
    bits = _BITS.get(expr[0]) if len(expr) else None
    if bits is None:
        return None
    value, shift, at = 0, 0, 1
    while True:
        byte = expr[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            break
    if byte & 0x40:
        value -= 1 << shift
    return value & (1 << bits) - 1 if _ends(expr, at) else None


def _ends(expr: memoryview, at: int) -> bool:
    rest = bytes(expr[at:])
    return rest in (b"", bytes((_END,)))


def _operand(expr: memoryview, opcode: int) -> int | None:
    """The index in an expression that is that one instruction."""
    if not len(expr) or expr[0] != opcode:
        return None
    value, shift, at = 0, 0, 1
    while True:
        byte = expr[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return value if _ends(expr, at) else None


def global_of(expr: memoryview) -> int | None:
    """N where the expression is ``global.get N``."""
    return _operand(expr, _GLOBAL_GET)


def function_of(module: CoreModule, expr: memoryview) -> int:
    """The function that a reference is to, -1 where that is null or not known."""
    found = _operand(expr, _REF_FUNC)
    if found is not None:
        return found
    index = global_of(expr)
    position = -1 if index is None else index - len(module.imported("global"))
    if position < 0 or module.globals[position].type.mutable:
        return -1
    return function_of(module, module.globals[position].init)
