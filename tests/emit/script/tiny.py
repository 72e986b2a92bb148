"""A tiny interpreter of the typed tree, written from the language's description alone."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt

_C: dict[str, Any] = {
    "u8": ctypes.c_uint8, "i8": ctypes.c_int8, "u16": ctypes.c_uint16, "i16": ctypes.c_int16,
    "u32": ctypes.c_uint32, "i32": ctypes.c_int32, "u64": ctypes.c_uint64, "i64": ctypes.c_int64,
}  # fmt: skip
_FLOATS = ("f32", "f64")


def _fit(name: str, value: Any) -> Any:
    if name in _C:
        return _C[name](value).value
    return ctypes.c_float(value).value if name == "f32" else value


def _width(name: str) -> int:
    return 64 if name.endswith("64") else 32


def _truncated(a: int, b: int) -> int:
    if b == 0:
        return 0
    return a // b if (a >= 0) == (b >= 0) else -((-a) // b if a < 0 else a // -b)


def _float_divide(a: float, b: float) -> float:
    """IEEE division where Python raises."""
    try:
        return a / b
    except ZeroDivisionError:
        if a == 0 or math.isnan(a):
            return math.nan
        return math.inf * math.copysign(1, a) * math.copysign(1, b)


def _operate(op: str, name: str, a: Any, b: Any) -> Any:
    if op in ("==", "!=", "<", ">", "<=", ">="):
        return {"==": a == b, "!=": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op]
    if name in _FLOATS and op == "%":
        quotient = _fit(name, _float_divide(a, b))
        if math.isfinite(quotient):
            quotient = math.copysign(math.floor(quotient), quotient)
        return math.copysign(_fit(name, a - _fit(name, quotient * b)), a)
    if name in _FLOATS and op == "/":
        return _fit(name, _float_divide(a, b))
    shift = b % _width(name) if op in ("<<", ">>") else 0
    makers: dict[str, Callable[[], Any]] = {
        "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b,
        "/": lambda: _truncated(a, b), "%": lambda: a - b * _truncated(a, b) if b else 0,
        "&": lambda: a & b, "|": lambda: a | b, "^": lambda: a ^ b,
        "<<": lambda: a << shift, ">>": lambda: a >> shift,
    }  # fmt: skip
    return _fit(name, makers[op]())


def _cast(target: str, source: str, value: Any) -> Any:
    if target == "bool":
        return value != 0
    if target in _FLOATS:
        return _fit(target, float(value)) if source in _FLOATS else _int_to_float(target, value)
    if source in _FLOATS:
        bits = int(target[1:])
        low, high = (
            (0, 2**bits - 1) if target[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        if math.isnan(value):
            return 0
        return high if value >= high else low if value <= low else math.trunc(value)
    return _fit(target, int(value))


def _int_to_float(target: str, value: int) -> float:
    """Nearest, ties to even, from the exact integer."""
    if target == "f64" or value == 0:
        return float(value)
    size, bits = abs(value), abs(value).bit_length()
    step = 1 << max(bits - 24, 0)
    low = size // step * step
    rest = size - low
    up = rest * 2 > step or (rest * 2 == step and step > 1 and (low // step) % 2 == 1)
    return math.copysign(float(low + step if up else low), value)


def zero(type: vt.Type) -> Any:
    if isinstance(type, vt.TupleT):
        return tuple(map(zero, type.items))
    if isinstance(type, vt.MapT):
        return {}
    if isinstance(type, vt.AggT):
        return []
    return {"str": "", "bool": False, "f32": 0.0, "f64": 0.0}.get(type.name, 0)  # type: ignore[union-attr]


def same(a: Any, b: Any) -> bool:
    """Equal with signed zeros told apart and all NaNs alike."""
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


def _key(value: Any) -> Any:
    """Python tells every NaN apart; as keys of a script's map they are one."""
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return "nan" if isinstance(value, float) and math.isnan(value) else value


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Broken(Exception):
    pass


class _Continued(Exception):
    pass


class Tiny:
    """``values``: static and bound variables by name; ``state``: variables; ``out``: printed."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = dict(values or {})
        self.state: dict[t.Variable, Any] = {}
        self.out: list[str] = []

    def expr(self, node: Any) -> Any:
        return getattr(self, f"_{type(node).__name__}")(node)

    def _Const(self, node: t.Const) -> Any:
        return node.value

    def _Static(self, node: t.Static) -> Any:
        return self.values[node.name]

    def _Bound(self, node: t.Bound) -> Any:
        return self.values[node.name]

    def _Var(self, node: t.Var) -> Any:
        return self.state.setdefault(node.variable, zero(node.type))

    def _Unary(self, node: t.Unary) -> Any:
        value = self.expr(node.operand)
        if node.op == "!":
            return not value
        name = node.type.name  # type: ignore[union-attr]
        return -value if name in _FLOATS else _fit(name, ~value if node.op == "~" else -value)

    def _Binary(self, node: t.Binary) -> Any:
        left = self.expr(node.left)
        if node.op == "&&":
            return bool(left and self.expr(node.right))
        if node.op == "||":
            return bool(left or self.expr(node.right))
        return _operate(node.op, node.left.type.name, left, self.expr(node.right))  # type: ignore[union-attr]

    def _Cast(self, node: t.Cast) -> Any:
        names = node.type.name, node.operand.type.name  # type: ignore[union-attr]
        return _cast(*names, self.expr(node.operand))

    def _Ternary(self, node: t.Ternary) -> Any:
        return self.expr(node.then if self.expr(node.condition) else node.otherwise)

    def _TupleMake(self, node: t.TupleMake) -> Any:
        return tuple(map(self.expr, node.items))

    def _TupleGet(self, node: t.TupleGet) -> Any:
        return self.expr(node.operand)[node.index]

    def _MapGet(self, node: t.MapGet) -> Any:
        table = self.expr(node.map)
        return table.get(_key(self.expr(node.key)), zero(node.type))

    def _Call(self, node: t.Call) -> Any:
        saved = {p: self.state.get(p) for p in node.function.params}
        given = [self.expr(arg) for arg in node.args]
        self.state.update(zip(node.function.params, given, strict=True))
        try:
            self.block(node.function.body)
            result = zero(node.function.result)
        except _Returned as returned:
            result = returned.value
        self.state.update(saved)
        return result

    def _Builtin(self, node: t.Builtin) -> Any:
        args = [self.expr(arg) for arg in node.args]
        if node.name == "map.has":
            return _key(args[1]) in args[0]
        texts = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        return {
            "str.len": lambda a: len(a), "str.eq": lambda a, b: a == b,
            "str.starts_with": lambda a, b: a.startswith(b),
            "str.ends_with": lambda a, b: a.endswith(b), "str.contains": lambda a, b: b in a,
            "map.len": lambda a: len(a),
        }[node.name](*texts)  # fmt: skip

    # --- statements ---

    def block(self, stmts: Sequence[Any]) -> None:
        for stmt in stmts:
            getattr(self, f"_{type(stmt).__name__}")(stmt)

    def _store(self, target: Any, change: Callable[[Any], Any]) -> None:
        match target:
            case t.Var(kind, variable):
                self.state[variable] = change(self.state.get(variable, zero(kind)))
            case t.Bound(_, name):
                self.values[name] = change(self.values[name])
            case t.TupleGet(_, operand, index):
                self._store(
                    operand, lambda old: (*old[:index], change(old[index]), *old[index + 1 :])
                )
            case t.MapGet(kind, table, _):
                key = _key(self.expr(target.key))

                def put(old: dict[Any, Any]) -> dict[Any, Any]:
                    old[key] = change(old.get(key, zero(kind)))
                    return old

                self._store(table, put)

    def _Declare(self, node: t.Declare) -> None:
        if node.variable.kind is not t.Kind.CELL:
            init = node.init
            self.state[node.variable] = (
                zero(node.variable.type) if init is None else self.expr(init)
            )

    def _Assign(self, node: t.Assign) -> None:
        value = self.expr(node.value)
        self._store(node.target, lambda _: value)

    def _Update(self, node: t.Update) -> None:
        value, name = self.expr(node.value), node.target.type.name  # type: ignore[union-attr]
        self._store(node.target, lambda old: _operate(node.op, name, old, value))

    def _Sample(self, node: t.Sample) -> None:
        value = self.expr(node.value)
        self._store(node.target, lambda old: [*old, value])

    def _If(self, node: t.If) -> None:
        self.block(node.then if self.expr(node.condition) else node.otherwise)

    def _While(self, node: t.While) -> None:
        rounds = 0
        while self.expr(node.condition) and rounds < 1_000_000:
            rounds += 1
            if self._leaves(node.body):
                return

    def _For(self, node: t.For) -> None:
        for i in range(self.expr(node.low), self.expr(node.high)):
            self.state[node.variable] = i
            if self._leaves(node.body):
                return

    def _leaves(self, stmts: Sequence[Any]) -> bool:
        """One round of a loop; whether it was the last."""
        try:
            self.block(stmts)
        except _Continued:
            return False
        except _Broken:
            return True
        return False

    def _Jump(self, node: t.Jump) -> None:
        raise _Continued if node.on else _Broken

    def _Evaluate(self, node: t.Evaluate) -> None:
        self.expr(node.value)

    def _Return(self, node: t.Return) -> None:
        raise _Returned(None if node.value is None else self.expr(node.value))
