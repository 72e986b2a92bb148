"""What is where in the modules of :mod:`reach_programs`, and statements that move and call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tests.weave.reach_programs import Program

_ARGS = {"k1": "(i32.const 1)", "k2": "(i64.const 1)"}
_SUPER = {"t1": "t0"}


@dataclass(frozen=True, slots=True)
class Func:
    type: str
    host: int


@dataclass(eq=False, slots=True)
class Box:
    """A struct or an array; ``type`` is s or a."""

    type: str
    items: list[Func | None]


Held: TypeAlias = Func | Box | None


@dataclass(eq=False, slots=True)
class Cells:
    """A table, a global (one slot), a segment; ``type``: f k s a, what is in it."""

    kind: str
    type: str
    slots: list[Held]
    mutable: bool = True


REFS = {"f": "funcref", "k": "(ref null $k0)", "s": "(ref null $s)", "a": "(ref null $a)"}


def wider(type: str) -> str:
    """Where what is of that type may be put."""
    return "fk" if type == "k" else type


@dataclass(slots=True)
class Module:
    number: int
    funcs: dict[str, Func] = field(default_factory=dict)
    #: Name in the text → the table, global or passive segment; two names may be one thing.
    named: dict[str, Cells] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    exports: list[tuple[str, str, Cells]] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    declared: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Scope:
    """Statements of one function; ``named`` are its locals, too."""

    program: Program
    module: Module
    named: dict[str, Cells]

    @property
    def random(self) -> Random:
        return self.program.random

    def places(self, types: str, mutable: bool = False) -> list[tuple[str, Cells, int]]:
        return [
            (name, cells, slot)
            for name, cells in self.named.items()
            if cells.type in types and cells.kind != "elem" and (cells.mutable or not mutable)
            for slot in range(len(cells.slots))
        ]

    def get(self, name: str, cells: Cells, slot: int) -> str:
        if cells.kind == "table":
            return f"(table.get {name} {self.program.index(slot)})"
        return f"({cells.kind}.get {name})"

    def boxes(self) -> list[tuple[str, Box]]:
        found = []
        for name, cells, slot in self.places("sa"):
            held = cells.slots[slot]
            if isinstance(held, Box):
                found.append((self.get(name, cells, slot), held))
        return found

    def value(self) -> tuple[str, Func] | None:
        """An expression of type funcref that gives a function."""
        found: list[tuple[str, Func]] = []
        for name, cells, slot in self.places("fk"):
            held = cells.slots[slot]
            if isinstance(held, Func):
                found.append((self.get(name, cells, slot), held))
        for text, box in self.boxes():
            for at, item in enumerate(box.items):
                if item is not None:
                    found.append((self.field(text, box, at), item))
        found += self.segments()
        if not found or self.program.some(0.25):
            name = self.random.choice(list(self.module.funcs))
            self.module.declared[name] = None
            found = [(f"(ref.func {name})", self.module.funcs[name])]
        text, held = self.random.choice(found)
        for _ in range(self.random.choice((0, 0, 1, 2))):
            text = self.through(text)
        return text, held

    def segments(self) -> list[tuple[str, Func]]:
        found = []
        for name, cells in self.module.named.items():
            if cells.kind == "elem" and cells.type in "fk":
                for at, held in enumerate(cells.slots):
                    if isinstance(held, Func):
                        array = f"(array.new_elem $a {name} (i32.const {at}) (i32.const 1))"
                        found.append((f"(array.get $a {array} (i32.const 0))", held))
        return found

    def field(self, text: str, box: Box, at: int) -> str:
        if box.type == "s":
            return f"(struct.get $s {at} {text})"
        return f"(array.get $a {text} {self.program.index(at)})"

    def through(self, text: str) -> str:
        """The same function by way of something."""
        other = self.random.choice(("", *(f"-{n}" for n in self.module.others)))
        ways = (
            f"(block (result funcref) {text})",
            f"(block (result funcref) (br 0 {text}))",
            f"(select (result funcref) {text} (ref.null func) (i32.const 1))",
            f"(if (result funcref) (i32.const 1) (then {text}) (else (ref.null func)))",
            f"""(block $c (result funcref) (try_table (catch $e $c) (throw $e {text}))
              (unreachable))""",
            f"""(block $c (result funcref) (try_table (catch $e $c)
              (block $d (result funcref exnref) (try_table (catch_ref $e $d) (throw $e {text}))
                (unreachable)) (throw_ref)) (unreachable))""",
            f"(call $id{other} {text})",
            f"(call $id2 {text})",
            f"(call_ref $id {text} (ref.func $id))",
            f"(block $n (result (ref func)) (br_on_non_null $n {text}) (unreachable))",
            f"""(block $n (result (ref func)) (br_on_cast $n funcref (ref func) {text})
              (unreachable))""",
            f"(struct.get $s 1 (struct.new $s (ref.null func) {text}))",
            f"(array.get $a (array.new_fixed $a 1 {text}) (i32.const 0))",
            f"(array.get $a (array.new $a {text} (i32.const 2)) (i32.const 1))",
            f"(loop (result funcref) {text})",
            f"(ref.as_non_null {text})",
        )  # fmt: skip
        return self.random.choice(ways)

    def statement(self, calls: bool) -> str:
        ways = [self.write, self.write, self.copy, self.init, self.box]
        if calls and self.program.some(0.25):
            return self.call()
        return self.random.choice(ways)()

    def write(self) -> str:
        found = self.value()
        if found is None:
            return ""
        text, held = found
        types = "fk" if held.type == "k0" else "f"
        targets = [("cell", one) for one in self.places(types, mutable=True)]
        boxes = [("box", one) for one in self.boxes()]
        kind, target = self.random.choice(targets + boxes)  # type: ignore[operator]
        if kind == "box":
            place, box = target
            at = self.random.randrange(len(box.items))
            box.items[at] = held
            if box.type == "s":
                return f"(struct.set $s {at} {place} {text})"
            if self.program.some(0.3):
                box.items[:] = [held] * len(box.items)
                return f"(array.fill $a {place} (i32.const 0) {text} (i32.const {len(box.items)}))"
            return f"(array.set $a {place} (i32.const {at}) {text})"
        name, cells, slot = target
        if cells.type == "k":
            text = f"(ref.cast (ref null $k0) {text})"
        return self.put(name, cells, slot, text, held)

    def put(self, name: str, cells: Cells, slot: int, text: str, held: Held) -> str:
        if cells.kind != "table":
            cells.slots[0] = held
            return f"({cells.kind}.set {name} {text})"
        way = self.random.choice(("set", "set", "fill", "grow"))
        if way == "grow" and len(cells.slots) < 10:
            cells.slots.append(held)
            return f"(drop (table.grow {name} {text} (i32.const 1)))"
        cells.slots[slot] = held
        if way == "fill":
            return f"(table.fill {name} (i32.const {slot}) {text} (i32.const 1))"
        return f"(table.set {name} {self.program.index(slot)} {text})"

    def copy(self) -> str:
        """``table.copy`` within and between tables, ``array.copy``."""
        tables = [(n, c) for n, c in self.named.items() if c.kind == "table"]
        if not tables or self.program.some(0.2):
            return self.copy_array()
        name, cells = self.random.choice(tables)
        fits = [
            (n, c) for n, c in tables if c.type == cells.type or (c.type, cells.type) == ("f", "k")
        ]
        into, target = self.random.choice(fits)
        source, to = (
            self.random.randrange(len(cells.slots)),
            self.random.randrange(len(target.slots)),
        )
        full = [i for i, held in enumerate(cells.slots) if held is not None]
        source = self.random.choice(full) if full else source
        target.slots[to] = cells.slots[source]
        return f"(table.copy {into} {name} (i32.const {to}) (i32.const {source}) (i32.const 1))"

    def copy_array(self) -> str:
        arrays = [(text, box) for text, box in self.boxes() if box.type == "a"]
        if not arrays:
            return ""
        (into, target), (text, box) = (self.random.choice(arrays) for _ in range(2))
        source, to = self.random.randrange(len(box.items)), self.random.randrange(len(target.items))
        target.items[to] = box.items[source]
        return (f"(array.copy $a $a {into} (i32.const {to}) {text} (i32.const {source})"
                " (i32.const 1))")  # fmt: skip

    def init(self) -> str:
        """``table.init``, ``array.init_elem``."""
        segments = [(n, c) for n, c in self.module.named.items() if c.kind == "elem"]
        if not segments:
            return ""
        segment, source = self.random.choice(segments)
        at = self.random.randrange(len(source.slots))
        arrays = [(text, box) for text, box in self.boxes() if box.type == "a"]
        if arrays and source.type in "fk" and self.program.some(0.4):
            text, box = self.random.choice(arrays)
            to = self.random.randrange(len(box.items))
            box.items[to] = source.slots[at]  # type: ignore[assignment]
            return (f"(array.init_elem $a {segment} {text} (i32.const {to}) (i32.const {at})"
                    " (i32.const 1))")  # fmt: skip
        tables = [(n, c) for n, c in self.named.items()
                  if c.kind == "table" and c.type in wider(source.type)]  # fmt: skip
        if not tables:
            return ""
        name, cells = self.random.choice(tables)
        to = self.random.randrange(len(cells.slots))
        cells.slots[to] = source.slots[at]
        return f"(table.init {name} {segment} (i32.const {to}) (i32.const {at}) (i32.const 1))"

    def box(self) -> str:
        """A new struct or array somewhere, or a known one somewhere else."""
        found = self.value()
        places = self.places("sa", mutable=True)
        assert found is not None
        text, held = found
        name, cells, slot = self.random.choice(places)
        known = [(t, box) for t, box in self.boxes() if box.type == cells.type]
        if known and self.program.some(0.5):
            made, box = self.random.choice(known)
        elif cells.type == "s":
            box = Box("s", [held, None])
            made = f"(struct.new $s {text} (ref.null func))"
        else:
            box = Box("a", [held, held])
            made = f"(array.new $a {text} (i32.const 2))"
        return self.put(name, cells, slot, made, box)

    def call(self) -> str:
        slots = [(n, c, i) for n, c, i in self.places("fk")
                 if c.kind == "table" and isinstance(c.slots[i], Func)]  # fmt: skip
        if slots and self.program.some(0.6):
            name, cells, slot = self.random.choice(slots)
            held = cells.slots[slot]
            assert isinstance(held, Func)
            type = self.seen_as(held)
            if cells.type == "k":
                type = "k0"
            index = self.program.index(slot)
            text = f"(call_indirect {name} (type ${type}) {_ARGS.get(type, '')} {index})"
            return f"(drop {text})" if type == "k1" else text
        found = self.value()
        assert found is not None
        text, held = found
        type = self.seen_as(held)
        text = f"(call_ref ${type} {_ARGS.get(type, '')} (ref.cast (ref ${type}) {text}))"
        return f"(drop {text})" if type == "k1" else text

    def seen_as(self, held: Func) -> str:
        """Its type or a supertype."""
        return self.random.choice((held.type, _SUPER.get(held.type, held.type)))
