"""A component that hands on what its host says, and a host that counts how often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

#: A core module with memory and a ``realloc`` that begins anew where two megabytes are full.
MEMORY = """(core module $mem (memory (export "m") 64) (global $at (mut i32) (i32.const 1024))
    (func (export "r") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (if (i32.gt_u (global.get $at) (i32.const 0x200000))
        (then (global.set $at (i32.const 1024))))
      (local.set $p (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
      (global.set $at (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "m" (core memory $m)) (alias core export $mem "r" (core func $r))"""

#: Bytes that no memory of a component on :class:`Host` gets more of.
MOST = 5 << 20
Asked = Mapping[str, Mapping[str, Callable[..., object]]]


def passing(interface: str, types: str, functions: Mapping[str, tuple[str, str, bool]]) -> bytes:
    """Imports ``functions`` of ``interface`` and exports each under its name.

    A function is its type as the text format has it, its core parameters, and whether its result
    lies in memory; ``types``: declarations of the instance type before them.
    """
    declared = " ".join(f'(export "{name}" (func {t}))' for name, (t, _, _) in functions.items())
    lowers, funcs, args, lifts = [], [], [], []
    for name, (type_, params, in_memory) in functions.items():
        word = name.replace("-", "_")
        core = f"(param {params})" if params else ""
        got = " ".join(f"(local.get {k})" for k in range(len(params.split())))
        lowers.append(f'(core func ${word} (canon lower (func $i "{name}") (memory $m)'
                      f" (realloc (func $r))))")  # fmt: skip
        args.append(f'(export "{word}" (func ${word}))')
        if in_memory:
            funcs.insert(0, f'(import "" "{word}" (func ${word} {core} (param i32)))')
            funcs.append(f'(func (export "{word}") {core} (result i32)'
                         f" (call ${word} {got} (i32.const 16)) (i32.const 16))")  # fmt: skip
        else:
            funcs.insert(0, f'(import "" "{word}" (func ${word} {core} (result i64)))')
            funcs.append(f'(func (export "{word}") {core} (result i64) (call ${word} {got}))')
        lifts.append(f'(func (export "{name}") {_own(type_)} (canon lift'
                     f' (core func $c "{word}") (memory $m) (realloc (func $r))))')  # fmt: skip
    aliases = _aliases(types)
    return wat2wasm(f"""(component
      (import "{interface}" (instance $i {types} {declared}))
      {aliases} {MEMORY} {" ".join(lowers)}
      (core module $c {" ".join(funcs)})
      (core instance $c (instantiate $c (with "" (instance {" ".join(args)}))))
      {" ".join(lifts)})""")


def _own(type_: str) -> str:
    """The type of an export, in terms of types that are exported."""
    return type_.replace("$shared", "$exported")


def _aliases(types: str) -> str:
    if '(export "' not in types:
        return ""
    name = types.rpartition('(export "')[2].partition('"')[0]
    return (f'(alias export $i "{name}" (type $given))'
            f' (export $exported "{name}" (type $given))')  # fmt: skip


class Host:
    """``asked``: the functions of the host that were called, in order."""

    def __init__(self, wasm: bytes, gives: Asked) -> None:
        self.asked: list[str] = []
        self.engine = wasmtime.Engine()
        component = wc.Component(self.engine, wasm)
        self.imports = list(component.type.imports(self.engine))
        linker = wc.Linker(self.engine)
        with linker.root() as root:
            for name in self.imports:
                with root.add_instance(name) as instance:
                    for func, answer in gives[name].items():
                        instance.add_func(func, self._told(func, answer))
        self.store = wasmtime.Store(self.engine)
        self.store.set_limits(memory_size=MOST)
        self.instance = linker.instantiate(self.store, component)

    def _told(self, name: str, answer: Callable[..., object]) -> Callable[..., object]:
        def give(_store: object, *args: object) -> object:
            self.asked.append(name)
            return answer(*args)

        return give

    def call(self, name: str, *args: object) -> object:
        func = self.instance.get_func(self.store, name)
        assert func is not None
        return func(self.store, *args)
