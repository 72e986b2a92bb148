"""Between the script and a library that is a component: its strings, and what may not trap.

A lowered function reads strings from the state memory and writes its own there.  Text that is not
UTF-8, and numbers that are no characters, would trap when lifted; a probe must not end the guest,
so they are repaired before (``?``, U+FFFD).
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func, FuncType, Module
from whamm_cm.wasm.types import MemoryType

STATE = "state"
GLUE = "glue"
LIBRARY = "library"
GUARD, INSIDE = "guard", "inside"  # a global that is set where no component may be called
#: Functions of the glue besides ``cabi_realloc``: (address, length) → the same of a better string.
CLEAN, CUT = "clean", "cut"

_MAX_TMP = 16384  # what ``tmp`` gives at most
_TEXT: FuncType = (("i32", "i32"), ("i32", "i32"))


def build_glue() -> bytes:
    """Imports the state (memory, tmp, alloc, free); exports ``cabi_realloc``, ``clean``, ``cut``.

    Up to 16 KiB a result lies among the short-lived strings; a longer one has a block of its own
    until ``cut`` shortens it to what scripts work with.
    """
    module = Module()
    module.import_memory(STATE, "memory", MemoryType())
    tmp = module.import_func(STATE, "tmp", ("i32",), ("i32",))
    alloc = module.import_func(STATE, "alloc", ("i32",), ("i32",))
    free = module.import_func(STATE, "free", ("i32",))
    big = module.global_("i32", 0)
    _realloc(module, tmp, alloc, free, big)
    valid = _sequence(module)
    _clean(module, valid, tmp)
    _cut(module, tmp, free, big)
    return module.encode()


def _realloc(module: Module, tmp: int, alloc: int, free: int, big: int) -> None:
    """(old, old size, alignment, new size): shrinking keeps the place; nothing is zeroed."""
    f = module.func(("i32",) * 4, ("i32",))
    new = f.local("i32")
    f.get(3)
    f.get(1)
    f.op("i32.le_u")
    with f.if_():
        f.get(0)
        f.get(2)
        f.get(1)
        f.op("select", "return")
    f.get(3)
    f.i32(_MAX_TMP)
    f.op("i32.le_u")
    with f.if_("i32"):
        f.get(3)
        f.call(tmp)
        f.else_()
        f.get(3)
        f.call(alloc)
    f.tee(new)
    f.op("i32.eqz")
    with f.if_():
        f.op("unreachable")
    for local in (new, 0, 1):
        f.get(local)
    f.memory_copy(0, 0)
    f.get(3)
    f.i32(_MAX_TMP)
    f.op("i32.gt_u")
    with f.if_():
        f.global_get(big)
        f.call(free)
        f.get(new)
        f.global_set(big)
    f.get(new)
    module.export_func("cabi_realloc", f.index)


def _sequence(module: Module) -> Func:
    """(address, bytes left) → length of the UTF-8 sequence there, 0 when it is none."""
    f = module.func(("i32", "i32"), ("i32",))
    lead, low, high, size = (f.local("i32") for _ in range(4))
    f.get(0)
    f.memory_op("i32.load8_u")
    f.tee(lead)
    f.i32(0x80)
    f.op("i32.lt_u")
    with f.if_():
        f.i32(1)
        f.op("return")
    for value, local in ((0x80, low), (0xBF, high)):
        f.i32(value)
        f.set(local)
    for first, length in ((0xC2, 2), (0xE0, 3), (0xF0, 4), (0xF5, 0)):
        _when(f, lead, "i32.ge_u", first, length, size)
    for byte, bound, value in (
        (0xE0, low, 0xA0),
        (0xED, high, 0x9F),
        (0xF0, low, 0x90),
        (0xF4, high, 0x8F),
    ):
        _when(f, lead, "i32.eq", byte, value, bound)
    f.get(size)
    f.op("i32.eqz")
    f.get(size)
    f.get(1)
    f.op("i32.gt_u", "i32.or")
    with f.if_():
        f.i32(0)
        f.op("return")
    _second(f, low, high)
    for index in (2, 3):
        f.get(size)
        f.i32(index)
        f.op("i32.gt_u")
        with f.if_():
            f.get(0)
            f.memory_op("i32.load8_u", index)
            f.i32(0xC0)
            f.op("i32.and")
            f.i32(0x80)
            f.op("i32.ne")
            with f.if_():
                f.i32(0)
                f.op("return")
    f.get(size)
    return f


def _when(f: Func, left: int, op: str, right: int, value: int, local: int) -> None:
    """``if left op right: local = value``."""
    f.i32(value)
    f.get(local)
    f.get(left)
    f.i32(right)
    f.op(op, "select")
    f.set(local)


def _second(f: Func, low: int, high: int) -> None:
    """Answer 0 unless the second byte is in its range."""
    f.get(0)
    f.memory_op("i32.load8_u", 1)
    f.get(low)
    f.op("i32.lt_u")
    f.get(0)
    f.memory_op("i32.load8_u", 1)
    f.get(high)
    f.op("i32.gt_u", "i32.or")
    with f.if_():
        f.i32(0)
        f.op("return")


def _clean(module: Module, valid: Func, tmp: int) -> None:
    """The string itself when it is UTF-8, else a copy with ``?`` for each byte that is not."""
    f = module.func(*_TEXT)
    at, size, copied = (f.local("i32") for _ in range(3))
    with f.block() as done, f.loop() as again:
        f.get(at)
        f.get(1)
        f.op("i32.ge_u")
        f.br_if(done)
        f.get(0)
        f.get(at)
        f.op("i32.add")
        f.get(1)
        f.get(at)
        f.op("i32.sub")
        f.call(valid.index)
        f.tee(size)
        f.op("i32.eqz")
        with f.if_():
            f.get(copied)
            f.op("i32.eqz")
            with f.if_():
                _copy(f, tmp)
                f.i32(1)
                f.set(copied)
                f.i32(0)
                f.set(at)
                f.br(again)
            f.get(0)
            f.get(at)
            f.op("i32.add")
            f.i32(ord("?"))
            f.memory_op("i32.store8")
            f.i32(1)
            f.set(size)
        f.get(at)
        f.get(size)
        f.op("i32.add")
        f.set(at)
        f.br(again)
    f.get(0)
    f.get(1)
    module.export_func(CLEAN, f.index)


def _copy(f: Func, tmp: int) -> None:
    """Make the string of parameters 0 and 1 a short-lived one, cut to what there is room for."""
    new = f.local("i32")
    f.i32(_MAX_TMP)
    f.get(1)
    f.i32(_MAX_TMP)
    f.get(1)
    f.op("i32.lt_u", "select")
    f.tee(1)
    f.call(tmp)
    f.set(new)
    for local in (new, 0, 1):
        f.get(local)
    f.memory_copy(0, 0)
    f.get(new)
    f.set(0)


def _cut(module: Module, tmp: int, free: int, big: int) -> None:
    """A result that is too long for scripts becomes its beginning, whole characters; its block is
    given back."""
    f = module.func(*_TEXT)
    f.get(1)
    f.i32(_MAX_TMP)
    f.op("i32.gt_u")
    with f.if_():
        _copy(f, tmp)
        f.global_get(big)
        f.call(free)
        f.i32(0)
        f.global_set(big)
        with f.block() as whole, f.loop() as back:
            # The byte behind the end tells: it is still there in the part that was copied.
            _add(f, 1, -1)
            f.get(0)
            f.get(1)
            f.op("i32.add")
            f.memory_op("i32.load8_u")
            f.i32(0xC0)
            f.op("i32.and")
            f.i32(0x80)
            f.op("i32.ne")
            f.br_if(whole)
            f.br(back)
    f.get(0)
    f.get(1)
    module.export_func(CUT, f.index)


def _add(f: Func, local: int, value: int) -> None:
    f.get(local)
    f.i32(value)
    f.op("i32.add")
    f.set(local)


# --- adapters -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Adapted:
    """A function that needs one: WIT primitives of its parameters and of its result, if any."""

    name: str
    params: tuple[str, ...]
    result: str | None


_FLAT = {"s64": ("i64",), "u64": ("i64",), "f32": ("f32",), "f64": ("f64",), "string": ("i32",) * 2}


def flat(prims: Sequence[str]) -> tuple[str, ...]:
    """The core types of WIT primitives in a row."""
    return tuple(core for prim in prims for core in _FLAT.get(prim, ("i32",)))


def needs_adapter(params: Sequence[str], result: str | None) -> bool:
    return result == "string" or "string" in params or "char" in params


def build_adapters(functions: Sequence[Adapted], guarded: bool = False) -> bytes:
    """Imports the lowered ``functions`` from ``library`` and exports them under the same names with
    strings as (address, length) both ways.  ``guarded``: they answer zero instead of calling while
    the global of ``guard`` is set."""
    module = Module()
    inner, text = {}, ("i32", "i32")
    tmp = module.import_func(STATE, "tmp", ("i32",), ("i32",))
    clean = module.import_func(GLUE, CLEAN, text, text)
    cut = module.import_func(GLUE, CUT, text, text)
    for function in functions:
        params, results = flat(function.params), flat((function.result,) if function.result else ())
        if function.result == "string":
            params, results = (*params, "i32"), ()
        inner[function.name] = module.import_func(LIBRARY, function.name, params, results)
    module.import_memory(STATE, "memory", MemoryType())
    inside = module.import_global(GUARD, INSIDE, "i32") if guarded else None
    for function in functions:
        results = flat((function.result,) if function.result else ())
        f = module.func(flat(function.params), results)
        answer = f.local("i32")
        if inside is not None:
            _unless(f, inside, results)
        if function.result == "string":
            f.i32(8)
            f.call(tmp)
            f.set(answer)
        _arguments(f, function.params, clean)
        if function.result != "string":
            f.call(inner[function.name])
        else:
            f.get(answer)
            f.call(inner[function.name])
            for offset in (0, 4):
                f.get(answer)
                f.memory_op("i32.load", offset)
            f.call(cut)
        module.export_func(function.name, f.index)
    return module.encode()


def _unless(f: Func, inside: int, results: Sequence[str]) -> None:
    """Return zeros when the global is set; a local nobody has set is zero."""
    f.global_get(inside)
    with f.if_():
        for kind in results:
            f.get(f.local(kind))
        f.op("return")


def _arguments(f: Func, params: Sequence[str], clean: int) -> None:
    at = 0
    for prim in params:
        count = len(flat((prim,)))
        for local in range(at, at + count):
            f.get(local)
        if prim == "string":
            f.call(clean)
        elif prim == "char":
            _character(f, at)
        at += count


def _character(f: Func, local: int) -> None:
    """The code point on the stack, also in ``local``; U+FFFD when it is none."""
    f.i32(0xFFFD)
    f.get(local)
    f.i32(0x110000)
    f.op("i32.lt_u")
    f.get(local)
    f.i32(0xFFFFF800)
    f.op("i32.and")
    f.i32(0xD800)
    f.op("i32.ne", "i32.and", "select")
