"""Numbers: the instructions that do what :mod:`whamm_cm.lang.numbers` says."""

from __future__ import annotations

from whamm_cm.emit.script.env import Pool
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import FLOATS, INTS, Int, name_of
from whamm_cm.wasm.asm import Func

_COMPARE = {"==": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge"}
_PLAIN = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "<<": "shl"}
_SMALL = frozenset({8, 16})


def wrap(f: Func, kind: Int) -> None:
    """Bring the i32 on the stack into the range of a type narrower than it."""
    if kind.bits == 1:
        f.i32(1)
        f.op("i32.and")
    elif kind.bits in _SMALL:
        if kind.signed:
            f.op(f"i32.extend{kind.bits}_s")
        else:
            f.i32(0xFFFF if kind.bits == 16 else 0xFF)
            f.op("i32.and")


def normalise(f: Func, name: str) -> None:
    """As ``wrap`` for a value of the program that is read as the type called ``name``."""
    if name == "bool":
        f.op("i32.eqz", "i32.eqz")
    elif name in INTS:
        wrap(f, INTS[name])


def binary(f: Func, pool: Pool, op: str, name: str, right: t.Expr | None = None) -> None:
    """``a op b`` on the stack, both of the type called ``name``; ``right`` when it is known."""
    if name in FLOATS:
        _float(f, pool, op, name)
        return
    kind = INTS[name]
    core = kind.core
    sign = "s" if kind.signed else "u"
    if op in _COMPARE:
        suffix = "" if op in ("==", "!=") else f"_{sign}"
        f.op(f"{core}.{_COMPARE[op]}{suffix}")
    elif op in _PLAIN:
        f.op(f"{core}.{_PLAIN[op]}")
        if op not in "&|^":
            wrap(f, kind)
    elif op == ">>":
        f.op(f"{core}.shr_{sign}")
    else:
        _divide(f, pool, op, kind, right)


def _float(f: Func, pool: Pool, op: str, name: str) -> None:
    if op == "%":
        _float_remainder(f, pool, name)
    elif op == "/":
        f.op(f"{name}.div")
    else:
        f.op(f"{name}.{_COMPARE.get(op) or _PLAIN[op]}")


def _float_remainder(f: Func, pool: Pool, name: str) -> None:
    a, b = pool.take(name), pool.take(name)
    f.set(b)
    f.tee(a)
    f.get(a)
    f.get(b)
    f.op(f"{name}.div", f"{name}.floor")
    f.get(b)
    f.op(f"{name}.mul", f"{name}.sub")
    f.get(a)
    f.op(f"{name}.copysign")
    pool.give((name, name), (a, b))


def _divide(f: Func, pool: Pool, op: str, kind: Int, right: t.Expr | None) -> None:
    core = kind.core
    name = f"{core}.{'div' if op == '/' else 'rem'}_{'s' if kind.signed else 'u'}"
    known = right.value if isinstance(right, t.Const) else None
    if known not in (None, 0, -1):
        f.op(name)  # a known divisor that cannot trap
        return
    a, b = pool.take(core), pool.take(core)
    f.set(b)
    f.set(a)
    f.get(b)
    f.op(f"{core}.eqz")
    with f.if_(core):
        f.const(core, 0)
        f.else_()
        if op == "/" and kind.signed and kind.bits >= 32:
            _divide_by_minus_one(f, core, a, b, name)
        else:
            f.get(a)
            f.get(b)
            f.op(name)
            if op == "/":
                wrap(f, kind)
    pool.give((core, core), (a, b))


def _divide_by_minus_one(f: Func, core: str, a: int, b: int, name: str) -> None:
    """The smallest number divided by -1 would trap; minus any number does not."""
    f.get(b)
    f.const(core, -1)
    f.op(f"{core}.eq")
    with f.if_(core):
        f.const(core, 0)
        f.get(a)
        f.op(f"{core}.sub")
        f.else_()
        f.get(a)
        f.get(b)
        f.op(name)


def unary(f: Func, pool: Pool, op: str, name: str) -> None:
    """``!``, ``~`` or ``-`` on the value on the stack."""
    if name in FLOATS:
        if op == "-":
            f.op(f"{name}.neg")
        else:
            f.const(name, 0.0)
            f.op(f"{name}.eq")
        return
    kind = INTS[name]
    core = kind.core
    if op == "!":
        f.op(f"{core}.eqz")
        return
    f.const(core, -1)
    f.op(f"{core}.xor")  # -x is ~x + 1
    if op == "-":
        f.const(core, 1)
        f.op(f"{core}.add")
    wrap(f, kind)


def cast(f: Func, pool: Pool, target: str, source: str) -> None:
    """The value on the stack from one type to another."""
    if target == source:
        return
    if target == "bool":
        _to_bool(f, source)
    elif target in FLOATS:
        _to_float(f, target, source)
    elif source in FLOATS:
        _saturate(f, pool, INTS[target], source)
    else:
        _resize(f, INTS[target], INTS[source])


def _to_bool(f: Func, source: str) -> None:
    if source in FLOATS:
        f.const(source, 0.0)
        f.op(f"{source}.ne")
    else:
        f.op(f"{INTS[source].core}.eqz", "i32.eqz")


def _to_float(f: Func, target: str, source: str) -> None:
    if source in FLOATS:
        f.op("f32.demote_f64" if target == "f32" else "f64.promote_f32")
        return
    kind = INTS[source]
    f.op(f"{target}.convert_{kind.core}_{'s' if kind.signed else 'u'}")


def _saturate(f: Func, pool: Pool, kind: Int, source: str) -> None:
    sign = "s" if kind.signed else "u"
    f.op(f"{kind.core}.trunc_sat_{source}_{sign}")
    if kind.bits not in _SMALL:
        return
    value = pool.take("i32")
    limits = ((kind.high, "lt"), (kind.low, "gt")) if kind.signed else ((kind.high, "lt"),)
    for limit, keep in limits:
        f.tee(value)
        f.i32(limit)
        f.get(value)
        f.i32(limit)
        f.op(f"i32.{keep}_{sign}", "select")
    pool.give(("i32",), (value,))


def _resize(f: Func, target: Int, source: Int) -> None:
    if target.core == source.core:
        inside = target.low <= source.low and source.high <= target.high
        if not inside:
            wrap(f, target)
    elif target.core == "i64":
        f.op(f"i64.extend_i32_{'s' if source.signed else 'u'}")
    else:
        f.op("i32.wrap_i64")
        wrap(f, target)


def to_i64(f: Func, type: vt.Type) -> None:
    """Any scalar as the i64 that records and keys carry: extended, floats by their bits."""
    name = name_of(type)
    if name == "f32":
        f.op("i32.reinterpret_f32", "i64.extend_i32_u")
    elif name == "f64":
        f.op("i64.reinterpret_f64")
    elif name not in ("u64", "i64"):
        kind = INTS.get(name)
        f.op(f"i64.extend_i32_{'s' if kind and kind.signed else 'u'}")
