"""Components that pass every call on: the export ``f<i>`` hands its parameters to the imported
``f<i>`` and returns what that returned.  Lift, lower, memory and realloc are all at work.

Sizes and flattening come from ``tests.emit.canon``, not from ``whamm_cm.abi``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.emit.canon import flat_types, size_align
from tests.weave.host import text
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

HOST = "test:echo/host"

LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
      (result i32) (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (block $room
        (br_if $room (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1)
              (i32.shr_u (local.get $size) (i32.const 16))))) (then (unreachable))))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $had) (local.get $size)
          (i32.lt_u (local.get $had) (local.get $size))))
      (local.get $at))
    (func (export "reset") (global.set $free (i32.const 1024))))
  (core instance $libc (instantiate $libc))"""


@dataclass
class _Types:
    """Component text of types; those that need a name are declared and exported on the way."""

    declarations: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    known: dict[int, str] = field(default_factory=dict)

    def of(self, t: ValType) -> str:
        t = strip(t)
        if id(t) not in self.known:
            self.known[id(t)] = self._make(t)
        return self.known[id(t)]

    def _make(self, t: ValType) -> str:
        match t:
            case Prim(name):
                return name
            case ListT(element, None):
                return f"(list {self.of(element)})"
            case MapT(key, value):
                return f"(map {self.of(key)} {self.of(value)})"
            case TupleT(types):
                return f"(tuple {' '.join(map(self.of, types))})"
            case OptionT(inner):
                return f"(option {self.of(inner)})"
            case ResultT(ok, err):
                parts = [] if ok is None else [self.of(ok)]
                parts += [] if err is None else [f"(error {self.of(err)})"]
                return f"(result {' '.join(parts)})"
            case RecordT(fields):
                return self._declare("record", [f'(field "{n}" {self.of(f)})' for n, f in fields])
            case VariantT(cases):
                return self._declare(
                    "variant", [f'(case "{n}" {self.of(p) if p else ""})' for n, p in cases]
                )
            case EnumT(labels):
                return self._declare("enum", [f'"{label}"' for label in labels])
            case FlagsT(labels):
                return self._declare("flags", [f'"{label}"' for label in labels])
        raise TypeError(f"no text for {t}")

    def _declare(self, kind: str, parts: list[str]) -> str:
        name = f"t{len(self.names)}"
        self.names.append(name)
        self.declarations.append(f"(type ${name}' ({kind} {' '.join(parts)}))")
        self.declarations.append(f'(export "{name}" (type ${name} (eq ${name}\')))')
        return f"${name}"


def _signature(func: FuncT, types: _Types) -> str:
    parts = [f'(param "{name}" {types.of(t)})' for name, t in func.params]
    parts += [] if func.result is None else [f"(result {types.of(func.result)})"]
    return " ".join(parts)


def _core(number: int, func: FuncT) -> tuple[str, str]:
    """(import, function) of the core module."""
    params = [kind for _, t in func.params for kind in flat_types(t, 4)]
    params = params if len(params) <= 16 else ["i32"]
    results = [] if func.result is None else flat_types(func.result, 4)
    gets = " ".join(f"(local.get {i})" for i in range(len(params)))
    if len(results) <= 1:
        imported, result, body = params, results, f"(call $f{number} {gets})"
    else:
        assert func.result is not None
        size, align = size_align(func.result, 4)
        imported, result = [*params, "i32"], []
        local = f"(local.get {len(params)})"
        body = (
            f"(local i32) (local.set {len(params)} (call $realloc (i32.const 0) (i32.const 0)"
            f" (i32.const {align}) (i32.const {size}))) (call $f{number} {gets} {local}) {local}"
        )
    exported = "(result i32)" if len(results) > 1 else f"(result {' '.join(result)})"
    inner = f"(param {' '.join(imported)}) (result {' '.join(result)})"
    return (
        f'(import "" "f{number}" (func $f{number} {inner}))',
        f'(func (export "f{number}") (param {" ".join(params)}) {exported} {body})',
    )


def echo_component(
    funcs: Sequence[FuncT],
    encoding: str = "utf8",
    post_return: bool = False,
    interface: str = HOST,
) -> bytes:
    """The component whose exports ``f0``, ``f1``… have these types."""
    types = _Types()
    signatures = [_signature(func, types) for func in funcs]
    declared = [f'(export "f{i}" (func {s}))' for i, s in enumerate(signatures)]
    options = f'string-encoding={encoding} (memory $libc "memory") (realloc (func $libc "realloc"))'
    cores = [_core(i, func) for i, func in enumerate(funcs)]
    lines = [
        "(component",
        f'(import "{interface}" (instance $h',
        *types.declarations,
        *declared,
        "))",
    ]
    lines += [f'(alias export $h "{name}" (type ${name}))' for name in types.names]
    lines.append(LIBC)
    lines += [
        f'(core func $f{i} (canon lower (func $h "f{i}") {options}))' for i in range(len(funcs))
    ]
    lines += ['(core module $main (import "libc" "realloc"',
              "(func $realloc (param i32 i32 i32 i32) (result i32)))",
              '(import "libc" "reset" (func $reset))', *(imported for imported, _ in cores),
              *(function for _, function in cores),
              *(_post_return(i, func) for i, func in enumerate(funcs)), ")"]  # fmt: skip
    exports = " ".join(f'(export "f{i}" (func $f{i}))' for i in range(len(funcs)))
    lines.append(
        f'(core instance $main (instantiate $main (with "libc" (instance $libc))'
        f' (with "" (instance {exports}))))'
    )
    for i, signature in enumerate(signatures):
        after = f'(post-return (func $main "post{i}"))' if post_return else ""
        lines.append(
            f'(func (export "f{i}") {signature}'
            f' (canon lift (core func $main "f{i}") {options} {after}))'
        )
    return text("\n".join([*lines, ")"]))


def _post_return(number: int, func: FuncT) -> str:
    """It gets the core results and throws everything of the call away."""
    kinds = [] if func.result is None else flat_types(func.result, 4)
    params = " ".join(kinds if len(kinds) <= 1 else ["i32"])
    return f'(func (export "post{number}") (param {params}) (call $reset))'
