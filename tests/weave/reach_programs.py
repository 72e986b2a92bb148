"""Random components whose functions travel, for the soundness of the reachability analysis.

Core modules (one to three, linked) hold references to functions in tables, globals, structs,
arrays, segments, exceptions, locals, parameters and results, move them about and call them.  A
model of what is where is kept while text is made, so that nearly every call finds a function.
Programs are small: in a large one everything flows into everything, and nothing is missed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.weave.reach_code import REFS, Box, Cells, Func, Held, Module, Scope

#: Core types of host functions and of what calls them, the same in every module.
TYPES = """
(type $k0 (func)) (type $k1 (func (param i32) (result i32))) (type $k2 (func (param i64)))
(type $t0 (sub (func))) (type $t1 (sub $t0 (func)))
(rec (type $r0 (func)) (type $r1 (func (result (ref null $r0)))))
(type $s (struct (field (mut funcref)) (field (mut funcref))))
(type $a (array (mut funcref)))
(type $id (func (param funcref) (result funcref)))"""

#: Kind of host function → its component type, and the core types that wrappers of it have.
KINDS = (
    ("(func)", ("k0", "k0", "t0", "t1", "r0")),
    ('(func (param "x" u32) (result u32))', ("k1",)),
    ('(func (param "x" s64))', ("k2",)),
)
_PARAMS = {"k1": "(local.get 0)", "k2": "(local.get 0)"}


class Program:
    """``text`` is a component that imports ``h0`` … and exports functions, ``calls`` those to call
    in that order, with their arguments."""

    def __init__(self, seed: int, kinds: list[int] | None = None) -> None:
        self.random = Random(seed)
        self.kinds = kinds or [self.random.choice((0, 0, 0, 1, 2)) for _ in range(4)]
        self.modules: list[Module] = []
        self.lifts: list[str] = []
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.count = 0
        for number in range(self.random.choice((1, 1, 2, 3))):
            self._module(number)
        #: Whether the first module is instantiated twice, the second time with other functions.
        self.twin = self.some(0.15)
        for _ in range(self.random.randint(1, 4)):
            self._proc(self.random.choice(self.modules))

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"${prefix}{self.count}"

    def some(self, chance: float) -> bool:
        return self.random.random() < chance

    # Declarations

    def _module(self, number: int) -> None:
        module = Module(number)
        for host, kind in enumerate(self.kinds):
            types = KINDS[kind][1]
            module.funcs[f"$h{host}"] = Func(types[0], host)
            module.imports.append(f'(import "host" "h{host}" (func $h{host} (type ${types[0]})))')
            chosen = self.random.choice(types)
            module.funcs[f"$w{host}"] = Func(chosen, host)
            jump = self.random.choice(("call", "return_call"))
            body = f"({jump} $h{host} {_PARAMS.get(chosen, '')})"
            module.lines.append(f"(func $w{host} (type ${chosen}) {body})")
        for other in self.modules:
            if self.some(0.7):
                self._link(module, other)
        module.lines.append('(memory (export "memory") 1) (tag $e (param funcref))')
        module.lines.append('(func $id (export "id") (type $id) (local.get 0))')
        module.lines.append("(func $id2 (type $id) (return_call $id (local.get 0)))")
        module.lines.append("(elem declare func $id)")
        self.modules.append(module)
        for make in (self._global, self._global, self._table, self._table, self._passive):
            if self.some(0.6):
                make(module)
        if self.some(0.3):
            body = self._body(module, calls=True)
            module.lines.append(f"(func $start {body}) (start $start)")

    def _link(self, module: Module, other: Module) -> None:
        module.others.append(other.number)
        module.imports.append(
            f'(import "m{other.number}" "id" (func $id-{other.number} (type $id)))'
        )
        for name, text, cells in other.exports:
            if self.some(0.75):
                local = self.fresh("i")
                shape = text.replace("NAME", local)
                module.imports.append(f'(import "m{other.number}" "{name}" {shape})')
                module.named[local] = cells
                if self.some(0.4):
                    self._export(module, local, text, cells)

    def _export(self, module: Module, name: str, text: str, cells: Cells) -> None:
        kind = "table" if cells.kind == "table" else "global"
        # Now and then one thing under two names.
        for _ in range(self.random.choice((1, 1, 2))):
            outside = self.fresh("x")[1:]
            module.lines.append(f'(export "{outside}" ({kind} {name}))')
            module.exports.append((outside, text, cells))

    def _constant(self, module: Module, type: str, early: bool = False) -> tuple[str, Held]:
        """A constant expression and what it gives; an ``early`` one has imported globals only."""
        if type == "s":
            (one, first), (two, second) = (self._constant(module, "f", early) for _ in range(2))
            return f"(struct.new $s {one} {two})", Box("s", [first, second])  # type: ignore[list-item]
        if type == "a" and self.some(0.3):
            text, value = self._constant(module, "f", early)
            return f"(array.new $a {text} (i32.const 3))", Box("a", [value] * 3)  # type: ignore[list-item]
        if type == "a":
            made = [self._constant(module, "f", early) for _ in range(self.random.randint(1, 3))]
            text = " ".join(one for one, _ in made)
            values = [value for _, value in made]
            return f"(array.new_fixed $a {len(made)} {text})", Box("a", values)  # type: ignore[arg-type]
        fits = {"f": "f k", "k": "k"}[type].split()
        known = [
            (name, cells.slots[0])
            for name, cells in module.named.items()
            if cells.kind == "global"
            and not cells.mutable
            and cells.type in fits
            and (name.startswith("$i") or not early)
        ]
        if known and self.some(0.3):
            name, held = self.random.choice(known)
            return f"(global.get {name})", held
        if self.some(0.15):
            return f"(ref.null {'func' if type == 'f' else '$k0'})", None
        name = self._function(module, type)
        return (f"(ref.func {name})", module.funcs[name]) if name else ("(ref.null nofunc)", None)

    def _function(self, module: Module, type: str) -> str | None:
        fits = [n for n, f in module.funcs.items() if type == "f" or f.type == "k0"]
        return self.random.choice(fits) if fits else None

    def _global(self, module: Module) -> None:
        name, type = self.fresh("g"), self.random.choice("ffksa")
        init, held = self._constant(module, type)
        mutable = self.some(0.6)
        shape = f"(mut {REFS[type]})" if mutable else REFS[type]
        cells = Cells("global", type, [held], mutable)
        module.named[name] = cells
        module.lines.append(f"(global {name} {shape} {init})")
        if self.some(0.5):
            self._export(module, name, f"(global NAME {shape})", cells)

    def _table(self, module: Module) -> None:
        name, type, size = self.fresh("t"), self.random.choice("ffffksa"), self.random.randint(2, 5)
        cells = Cells("table", type, [None] * size)
        if self.some(0.25):
            init, held = self._constant(module, type, early=True)
            cells.slots = [held] * size
            module.lines.append(f"(table {name} {size} {REFS[type]} {init})")
        else:
            module.lines.append(f"(table {name} {size} {REFS[type]})")
        module.named[name] = cells
        for _ in range(self.random.choice((0, 1, 1, 2))):
            self._active(module, name, cells)
        if self.some(0.5):
            self._export(module, name, f"(table NAME {size} {REFS[type]})", cells)

    def _items(self, module: Module, type: str, count: int) -> tuple[str, list[Held]]:
        """Items of a segment, as functions or as expressions."""
        if type == "f" and self.some(0.5):
            names = [self._function(module, "f") or "" for _ in range(count)]
            return "func " + " ".join(names), [module.funcs[name] for name in names]
        made = [self._constant(module, type) for _ in range(count)]
        text = " ".join(f"(item {one})" for one, _ in made)
        return f"{REFS[type]} {text}", [held for _, held in made]

    def _active(self, module: Module, name: str, cells: Cells) -> None:
        count = self.random.randint(1, 2)
        at = self.random.randint(0, len(cells.slots) - count)
        items, held = self._items(module, cells.type, count)
        offset = self.index(at, constant=True)
        module.lines.append(f"(elem (table {name}) (offset {offset}) {items})")
        cells.slots[at : at + count] = held

    def _passive(self, module: Module) -> None:
        name, type = self.fresh("e"), self.random.choice("ffks")
        items, held = self._items(module, type, self.random.randint(1, 3))
        module.lines.append(f"(elem {name} {items})")
        module.named[name] = Cells("elem", type, held, False)

    # Code

    def index(self, value: int, constant: bool = False) -> str:
        if self.some(0.6):
            return f"(i32.const {value})"
        if constant or self.some(0.5):
            return f"(i32.add (i32.const {value - 1}) (i32.const 1))"
        return f"(i32.load8_u (i32.const {value + 16}))"

    def _proc(self, module: Module) -> None:
        """A function that the host runs: an export, or by way of realloc, post-return, a dtor."""
        name = self.fresh("p")[1:]
        way = self.random.choice(("plain", "plain", "plain", "realloc", "post", "dtor"))
        calls = way in ("plain", "dtor")  # no import can be called from the others
        body = self._body(module, calls)
        core = f"$i{module.number}"
        extra, given = "", ()
        params, result = "", ""
        if way == "realloc":
            params, result = "(param i32 i32 i32 i32) (result i32)", "(i32.const 64)"
            extra = f'(memory {core} "memory") (realloc (func {core} "{name}"))'
            given = ("abc",)
        elif way == "post":
            extra = f'(post-return (func {core} "{name}"))'
        elif way == "dtor":
            params = "(param i32)"
        module.lines.append(f'(func (export "{name}") {params} {body} {result})')
        called, type = name, "(func)"
        if way in ("realloc", "post"):
            called = f"{name}-in"
            core_params = "(param i32 i32)" if way == "realloc" else ""
            module.lines.append(f'(func (export "{called}") {core_params})')
            type = '(func (param "s" string))' if way == "realloc" else type
        if way == "dtor":
            self._dtor(name, core)
        else:
            signature = type[6:-1]
            lift = f'(func (export "NAME") {signature} (canon lift (core func {core} "{called}")'
            lift += f" {extra}))"
            self.lifts.append(lift.replace("NAME", name))
            if self.twin and module.number == 0:
                self.lifts.append(lift.replace("NAME", f"twin-{name}").replace("$i0", "$j0"))
                self.calls.append((f"twin-{name}", given))
        self.calls.append((name, given))

    def _dtor(self, name: str, core: str) -> None:
        self.lifts.append(f"""
          (type $r-{name} (resource (rep i32) (dtor (func {core} "{name}"))))
          (core func $n-{name} (canon resource.new $r-{name}))
          (core func $d-{name} (canon resource.drop $r-{name}))
          (core module $m-{name} (import "" "n" (func $n (param i32) (result i32)))
            (import "" "d" (func $d (param i32)))
            (func (export "run") (call $d (call $n (i32.const 7)))))
          (core instance $i-{name} (instantiate $m-{name} (with "" (instance
            (export "n" (func $n-{name})) (export "d" (func $d-{name}))))))
          (func (export "{name}") (canon lift (core func $i-{name} "run")))""")

    def _body(self, module: Module, calls: bool) -> str:
        local = {"$l0": Cells("local", "f", [None]), "$l1": Cells("local", "s", [None]),
                 "$l2": Cells("local", "a", [None])}  # fmt: skip
        scope = Scope(self, module, module.named | local)
        lines = ["(local $l0 funcref) (local $l1 (ref null $s)) (local $l2 (ref null $a))"]
        lines += [scope.statement(calls) for _ in range(self.random.randint(1, 4))]
        if calls:
            lines.append(scope.call())
        return "\n".join(lines)

    # Text

    def component(self, name: str = "") -> str:
        lines = imports(self.kinds)
        hosts = range(len(self.kinds))
        lines += [f"(core func $c{i} (canon lower (func $h{i})))" for i in hosts]
        for module in self.modules:
            number = module.number
            declared = f"(elem declare func {' '.join(module.declared)})"
            text = "\n".join([TYPES, *module.imports, *module.lines, declared])
            # Dynamic indices are read from here.
            text += '\n(data (i32.const 16) "\\00\\01\\02\\03\\04\\05\\06\\07\\08\\09\\0a\\0b")'
            lines.append(f"(core module $m{number} {text})")
            lines.append(self._instance(module, "i", lambda host: host))
        if self.twin:
            lines.append(self._instance(self.modules[0], "j", self._crossed))
        return f"(component {name} {' '.join(lines)} {' '.join(self.lifts)})"

    def _crossed(self, host: int) -> int:
        return crossed(self.kinds, host)

    def _instance(self, module: Module, prefix: str, host: Callable[[int], int]) -> str:
        given = " ".join(f'(export "h{i}" (func $c{host(i)}))' for i in range(len(self.kinds)))
        others = " ".join(f'(with "m{n}" (instance $i{n}))' for n in module.others)
        return (f'(core instance ${prefix}{module.number} (instantiate $m{module.number}'
                f' (with "host" (instance {given})) {others}))')  # fmt: skip

    @property
    def text(self) -> str:
        return self.component()


def imports(kinds: list[int]) -> list[str]:
    return [f'(import "h{i}" (func $h{i} {KINDS[k][0][6:-1]}))' for i, k in enumerate(kinds)]


def crossed(kinds: list[int], host: int) -> int:
    """Another host function of the same type, if there is one."""
    same = [i for i, kind in enumerate(kinds) if kind == kinds[host]]
    return same[(same.index(host) + 1) % len(same)]


class Composition:
    """Two programs as components in one: what the second imports is the host's or an export of the
    first, and it may be instantiated twice, with other functions."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        inner = Program(seed)
        self.kinds = inner.kinds
        outer = Program(seed + 1_000_003, self.kinds)
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        parts = [*imports(self.kinds), inner.component("$D"), outer.component("$C")]
        parts.append(f"(instance $d (instantiate $D {self._given([])}))")
        plain = [name for name, given in inner.calls if not given]
        instances = ["c", "c2"] if self.random.random() < 0.4 else ["c"]
        for instance in instances:
            parts.append(f"(instance ${instance} (instantiate $C {self._given(plain)}))")
            for name, given in outer.calls:
                parts.append(f'(export "{instance}-{name}" (func ${instance} "{name}"))')
                self.calls.append((f"{instance}-{name}", given))
        self.text = f"(component {' '.join(parts)})"

    def _given(self, others: list[str]) -> str:
        found = []
        for host, kind in enumerate(self.kinds):
            target = f"$h{self.random.choice((host, crossed(self.kinds, host)))}"
            if kind == 0 and others and self.random.random() < 0.5:
                target = f'$d "{self.random.choice(others)}"'
            found.append(f'(with "h{host}" (func {target}))')
        return " ".join(found)
