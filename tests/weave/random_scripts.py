"""Random scripts that mostly pass the checker: every package, event, mode and kind of variable.

All decisions come from a ``random.Random``; hypothesis has one (``st.randoms``), and a seed makes a
script that can be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from whamm_cm.lang.events import OPCODE_EVENTS, PACKAGES, SCOPE, Event

INTEGERS = ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")
NUMBERS = (*INTEGERS, "f32", "f64")
SCALARS = (*NUMBERS, "bool")
TUPLES = ("(u32, u8)", "(str, i64)", "(f64, bool, (u8, str))", "(i16, f32)")
MAPS = ("map<u32, u64>", "map<str, i32>", "map<(u32, u8), f64>", "map<bool, str>",
        "map<i64, (u32, u8)>", "map<u8, avg>", "map<str, hist>", "map<f64, bool>")  # fmt: skip
AGGREGATIONS = ("hist", "min", "max", "avg")
STRINGS = ('""', '"a"', '"run"', '"caf\\u{e9}"', '"{x}"', '"\\x00\\n"')
#: Core types that an operand may be bound to.
BOUNDS = ("i32", "i64", "f32", "f64", "u32", "u64")
_CONVERTIBLE = {*SCALARS}
_GLOBS = (
    "*", "*load*|*store*", "*if|br*", "i32.*", "local.*|global.*", "ref.*", "*.const",
    "block|loop|if|else|try*", "v128.*", "*call*", "*x*",
)  # fmt: skip
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_ARITH = ("+", "-", "*", "/", "%")
_BITS = ("&", "|", "^")


@dataclass
class Scope:
    """What can be read, by type; ``writable`` are the names that can be assigned as well."""

    values: dict[str, list[str]] = field(default_factory=dict)
    writable: list[tuple[str, str]] = field(default_factory=list)
    #: Read at match time; only these may be in an initialiser of a cell.
    static: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, type_: str, writable: bool = False, static: bool = False) -> None:
        self.values.setdefault(type_, []).append(name)
        if writable:
            self.writable.append((name, type_))
        if static:
            self.static.setdefault(type_, []).append(name)

    def inner(self) -> Scope:
        values = {t: list(names) for t, names in self.values.items()}
        static = {t: list(names) for t, names in self.static.items()}
        return Scope(values, list(self.writable), static)

    def restricted(self) -> Scope:
        """Only what is known at match time."""
        return Scope({t: list(names) for t, names in self.static.items()})


@dataclass
class Library:
    """``functions``: name → (parameter types, result type or "")."""

    name: str
    functions: dict[str, tuple[tuple[str, ...], str]]
    memory: bool = False


@dataclass
class ScriptMaker:
    """Makes one script.  ``events``: those that a module has, most often chosen from."""

    random: Random
    events: Sequence[str] = ()
    libraries: Sequence[Library] = ()
    #: Without ``alt`` and assignments of operands the program must do what it did before.
    observe: bool = False
    names: int = 0
    functions: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    #: Functions of the compiler that the event at hand has.
    offered: tuple[str, ...] = ()
    #: In which place statements stand: probe, fn, alt, report.
    place: str = "probe"
    result: str = ""

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def pick(self, items: Sequence[str]) -> str:
        return self.random.choice(items)

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    # --- expressions ---

    def literal(self, type_: str) -> str:
        if type_ == "bool":
            return self.pick(("true", "false"))
        if type_ == "str":
            return self.pick(STRINGS)
        if type_ in ("f32", "f64"):
            return self.pick(("0.0", "1.5", "-2.25", "1e30", "inf", "nan"))
        if type_.startswith("("):
            return f"({', '.join(map(self.literal, members(type_)))})"
        small = self.pick(("0", "1", "2", "7", "0x7f", "0b11"))
        if type_[1:] in ("32", "64") and self.chance(20):
            small = self.pick(("1_000", "0x7fff_ffff"))
        return f"-{small}" if type_[0] == "i" and small != "0" and self.chance(20) else small

    def expr(self, type_: str, scope: Scope, depth: int = 2) -> str:
        known = scope.values.get(type_, [])
        if depth <= 0 or self.chance(30):
            return self.pick(known) if known and self.chance(75) else self.literal(type_)
        return self.pick([make for make in (
            self._calculated(type_, scope, depth), self._drawn(type_, scope, depth),
            self._chosen(type_, scope, depth)) if make])  # fmt: skip

    def _chosen(self, type_: str, scope: Scope, depth: int) -> str:
        a, b = (self.expr(type_, scope, depth - 1) for _ in range(2))
        return f"({self.expr('bool', scope, depth - 1)} ? {a} : {b})"

    def _drawn(self, type_: str, scope: Scope, depth: int) -> str:
        """From a map, a tuple, a function."""
        found = [
            f"{name}[{self.expr(map_types(t)[0], scope, depth - 1)}]"
            for t, names in scope.values.items() for name in names
            if t.startswith("map") and map_types(t)[1] == type_
        ]  # fmt: skip
        found += [
            f"{name}.{i}" for t, names in scope.values.items() for name in names
            if t.startswith("(") for i, member in enumerate(members(t)) if member == type_
        ]  # fmt: skip
        found += [
            self.call(name, params, scope, depth - 1)
            for name, params, result in self.functions if result == type_ and self.place != "global"
        ]  # fmt: skip
        if self.place != "global":
            for library in self.libraries:
                found += [
                    f"{library.name}.{self.call(name, params, scope, depth - 1)}"
                    for name, (params, result) in library.functions.items() if result == type_
                ]  # fmt: skip
        return self.pick(found) if found else ""

    def call(self, name: str, params: Sequence[str], scope: Scope, depth: int) -> str:
        return f"{name}({', '.join(self.expr(p, scope, depth) for p in params)})"

    def _calculated(self, type_: str, scope: Scope, depth: int) -> str:
        if type_ == "bool":
            return self._condition(scope, depth - 1)
        if type_ == "str":
            return self._text(scope, depth)
        if type_.startswith("("):
            return f"({', '.join(self.expr(m, scope, depth - 1) for m in members(type_))})"
        if type_ not in NUMBERS:
            return ""
        if self.chance(30):
            other = self.pick([t for t in SCALARS if t != type_])
            if scope.values.get(other):
                return f"({self.pick(scope.values[other])} as {type_})"
        if type_ == "u32" and self.chance(20) and self.place != "global":
            return self._measured(scope, depth)
        ops = _ARITH[:4] if type_[0] == "f" else (*_ARITH, *_BITS, "<<", ">>")
        a, b = (self.expr(type_, scope, depth - 1) for _ in range(2))
        prefix = "~" if type_[0] != "f" and self.chance(10) else ""
        return f"({prefix}{a} {self.pick(ops)} {b})"

    def _text(self, scope: Scope, depth: int) -> str:
        if self.place == "probe" and self.chance(40):
            a, n = self.expr("i32", scope, depth - 1), self.expr("u32", scope, 0)
            return f"read_str(APP_MEMID, {a}, {n} & 15)"
        return ""

    def _measured(self, scope: Scope, depth: int) -> str:
        maps = [name for t, names in scope.values.items() for name in names if t.startswith("map")]
        found = [f"{self.expr('str', scope, 0)}.len()"]
        found += [f"{name}.len()" for name in maps]
        if self.place == "probe":
            found += ["mem_size(APP_MEMID)", "page_size(APP_MEMID)",
                      "active_data_len(APP_MEMID)", "active_data_start(APP_MEMID)"]  # fmt: skip
        return self.pick(found)

    def _condition(self, scope: Scope, depth: int) -> str:
        kind = self.random.randrange(5)
        if kind == 0:
            a, b = (self.expr("bool", scope, depth) for _ in range(2))
            return f"({a} {self.pick(('&&', '||'))} {b})"
        if kind == 1:
            return f"!{self.expr('bool', scope, 0)}"
        if kind == 2:
            a, b = (self.expr("str", scope, 0) for _ in range(2))
            method = self.pick(("starts_with", "ends_with", "contains"))
            return self.pick(
                (f"({a} {self.pick(('==', '!='))} {b})", f"{self._string(scope)}.{method}({b})")
            )
        if kind == 3 and self.place == "probe":
            a = self.expr("i32", scope, 0)
            return f"{self.pick(('strcmp', 'strcontains'))}(({a}, 3), {self.literal('str')})"
        type_ = self.pick(NUMBERS)
        known = [t for t in NUMBERS if scope.values.get(t)]
        type_ = self.pick(known) if known and self.chance(80) else type_
        left = (
            self.pick(scope.values[type_])
            if scope.values.get(type_)
            else f"({self.literal(type_)} as {type_})"
        )
        return f"({left} {self.pick(_COMPARE)} {self.expr(type_, scope, depth)})"

    def _string(self, scope: Scope) -> str:
        known = scope.values.get("str")
        return self.pick(known) if known else '"whamm"'

    # --- statements ---

    def block(self, scope: Scope, depth: int, most: int = 3) -> str:
        inner = scope.inner()
        lines = [self.statement(inner, depth) for _ in range(self.random.randint(0, most))]
        return "{ " + " ".join(lines) + " }"

    def statement(self, scope: Scope, depth: int) -> str:
        kind = self.random.randrange(12)
        if depth > 0 and kind == 0:
            more = f" elif ({self.expr('bool', scope, 1)}) {self.block(scope, depth - 1)}"
            otherwise = f" else {self.block(scope, depth - 1)}"
            return (
                f"if ({self.expr('bool', scope)}) {self.block(scope, depth - 1)}"
                + (more if self.chance(30) else "")
                + (otherwise if self.chance(50) else "")
            )
        if depth > 0 and kind == 1:
            if self.chance(70):
                inner, name = scope.inner(), self.name()
                inner.add(name, "u32")
                return f"for {name} in 0..{self.pick(('2', '3'))} {self.block(inner, depth - 1, 2)}"
            return (
                f"while ({self.expr('bool', scope, 1)} && false) {self.block(scope, depth - 1, 2)}"
            )
        if kind == 2:
            return self.printed(scope)
        if kind in (3, 4):
            return self.local(scope)
        if kind == 5:
            return self.done(scope)
        return self.assigned(scope)

    def printed(self, scope: Scope) -> str:
        types = [t for t in scope.values if t in (*SCALARS, "str")]
        if not types:
            return 'print("here");'
        chosen = [self.pick(types) for _ in range(self.random.randint(0, 2))]
        # A name, for a literal has no type there.
        values = [self.pick(scope.values[t]) for t in chosen]
        return f"print({', '.join([chr(34) + 'at {}' * len(values) + chr(34), *values])});"

    def local(self, scope: Scope) -> str:
        type_ = self.pick((*SCALARS, *SCALARS, "str", *TUPLES))
        name = self.name()
        text = f"var {name}: {type_}"
        if self.chance(80):
            text += f" = {self.expr(type_, scope)}"
        scope.add(name, type_, writable=True)
        return text + ";"

    def done(self, scope: Scope) -> str:
        """A call for what it does."""
        found = [self.call(name, params, scope, 1) for name, params, _ in self.functions]
        for library in self.libraries:
            found += [
                f"{library.name}.{self.call(name, params, scope, 1)}"
                for name, (params, _) in library.functions.items()
            ]
        if self.place == "probe" and not self.observe:
            found.append(
                f"write_str(APP_MEMID, {self.expr('i32', scope, 0)}, {self.literal('str')})"
            )
        if self.place in ("fn", "alt") and self.chance(60):
            return self.leave(scope)
        return f"{self.pick(found)};" if found else self.assigned(scope)

    def leave(self, scope: Scope) -> str:
        return f"return {self.expr(self.result, scope)};" if self.result else "return;"

    def assigned(self, scope: Scope) -> str:
        if not scope.writable:
            return self.printed(scope)
        name, type_ = self.random.choice(scope.writable)
        return self._assigned(name, type_, scope)

    def _assigned(self, name: str, type_: str, scope: Scope) -> str:
        if type_ in AGGREGATIONS:
            source = self.pick([t for t in INTEGERS if scope.values.get(t)] or ("",))
            value = self.pick(scope.values[source]) if source else "(1 as u32)"
            return f"{name} = {type_}({value});"
        if type_.startswith("map"):
            key, value = map_types(type_)
            return self._assigned(f"{name}[{self.expr(key, scope, 1)}]", value, scope)
        if type_.startswith("(") and self.chance(60):
            member = self.random.randrange(len(members(type_)))
            return self._assigned(f"{name}.{member}", members(type_)[member], scope)
        if type_ in INTEGERS and self.chance(50):
            return f"{name}{self.pick(('++', '++', '--'))};"
        if type_ in NUMBERS and self.chance(40):
            ops = (
                ("+", "-", "*", "/")
                if type_[0] == "f"
                else ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
            )
            return f"{name} {self.pick(ops)}= {self.expr(type_, scope, 1)};"
        return f"{name} = {self.expr(type_, scope)};"

    # --- declarations ---

    def cell(self, scope: Scope) -> str:
        """A variable of a probe that keeps its value."""
        type_ = self.pick((*SCALARS, "u32", "u64", "str", *TUPLES, *AGGREGATIONS, *MAPS))
        name = self.name()
        kind = self.pick(("report", "unshared", "report unshared"))
        text = f"{kind} var {name}: {type_}"
        if type_ not in AGGREGATIONS and not type_.startswith("map") and self.chance(35):
            place, self.place = self.place, "global"
            text += f" = {self.expr(type_, scope.restricted(), 1)}"
            self.place = place
        scope.add(name, type_, writable=True)
        return text + ";"

    def top(self, scope: Scope) -> str:
        type_ = self.pick((*SCALARS, "u32", "u64", "str", *TUPLES, *AGGREGATIONS, *MAPS, *MAPS))
        name = self.name()
        text = f"{self.pick(('', 'report '))}var {name}: {type_}"
        if type_ not in AGGREGATIONS and not type_.startswith("map") and self.chance(40):
            text += f" = {self.literal(type_)}"
        scope.add(name, type_, writable=True)
        return text + ";"

    def function(self, scope: Scope) -> str:
        params = tuple(self.pick((*SCALARS, "str")) for _ in range(self.random.randint(0, 3)))
        self.result = self.pick((*SCALARS, "str", "", "", *TUPLES))
        inner = scope.inner()
        names = [self.name() for _ in params]
        for name, type_ in zip(names, params, strict=True):
            inner.add(name, type_, writable=True)
        self.place = "fn"
        name = f"f{self.name()}"
        listed = ", ".join(f"{n}: {t}" for n, t in zip(names, params, strict=True))
        body = self.block(inner, 1)
        if self.result:
            body = body[:-1] + self.leave(inner) + " }"
        text = f"fn {name}({listed}){f' -> {self.result}' if self.result else ''} {body}"
        self.functions.append((name, params, self.result))
        self.place = "probe"
        return text

    # --- probes ---

    def bound(self, event: Event, mode: str, scope: Scope) -> str:
        """Add what the event binds to the scope; the type bounds that takes."""
        bounds = []
        for variable in event.variables.values():
            if variable.after and mode != "after" or variable.name.startswith("local"):
                continue
            name = variable.name
            if name[-1] == "N":
                name = name[:-1] + self.pick(("0", "0", "1", "2"))
            if variable.type is not None:
                type_ = str(variable.type)
            elif name.startswith("imm"):
                continue
            elif self.chance(50):
                type_ = self.pick(BOUNDS)
                bounds.append(f"{name}: {type_}")
            else:
                continue
            if type_ in ("funcref",) or self.chance(30) and name[:3] in ("arg", "res"):
                continue
            written = name[:3] in ("arg", "res") and not self.observe and self.chance(40)
            scope.add(name, type_, writable=written, static=variable.static)
        for number in range(3):
            if self.chance(10):
                type_ = self.pick(BOUNDS)
                bounds.append(f"local{number}: {type_}")
                scope.add(f"local{number}", type_, writable=not self.observe and self.chance(40))
        return f"({', '.join(bounds)})" if bounds else ""

    def probe(self, outer: Scope) -> str:
        scope = outer.inner()
        rule, alt = self._rule(scope)
        predicate = ""
        if self.chance(35):
            known = scope.restricted() if self.chance(50) else scope
            predicate = f"/ {self.expr('bool', known)} / "
        lines = [self.cell(scope) for _ in range(self.random.choice((0, 0, 1, 1, 2)))]
        if alt:
            self.place, self.result = "alt", self.pick(("", "", "i32", "i64", "f64"))
        if self.chance(25):
            lines.append(self.counted(scope))
        else:
            lines += [self.statement(scope, 2) for _ in range(self.random.randint(0, 4))]
        if alt:
            lines += self._instead()
        self.place = "probe"
        return f"{rule} {predicate}{{ {' '.join(lines)} }}"

    def counted(self, scope: Scope) -> str:
        counters = [name for name, t in scope.writable if t in ("u32", "i32", "u64", "i64")]
        return f"{self.pick(counters)}++;" if counters else self.assigned(scope)

    def _instead(self) -> list[str]:
        choice = self.random.randrange(6)
        if choice == 0 and "alt_call_by_id" in self.offered:
            return [f"alt_call_by_id({self.random.randrange(4)});"]
        if choice == 1 and "alt_call_by_name" in self.offered:
            return [f"alt_call_by_name({self.pick(STRINGS)});"]
        if choice == 2 or self.result:  # what leaves a result has to say it
            return [self.leave(Scope())]
        return ["drop_args();"] if choice < 5 else []

    def _rule(self, scope: Scope) -> tuple[str, bool]:
        """The rule, and whether it replaces something."""
        for variable in SCOPE.values():
            if variable.type is not None:
                scope.add(variable.name, str(variable.type), static=True)
        kind = self.random.randrange(100)
        self.offered = ()
        if kind < 6:
            self.place = "report"
            return f"wasm:{self.pick(('begin', 'end', 'report'))}", False
        if kind < 24:
            package, event = self.random.choice(
                (("func", "entry"), ("func", "exit"), ("block", "start"), ("block", "end"))
            )
            found = next(e for e in PACKAGES[package] if e.name == event)
            return f"wasm:{package}:{event}{self.bound(found, '', scope)}", False
        modes = ["before", "after", "entry", "exit", "at_target"] + (
            [] if self.observe else ["alt"]
        )
        if kind < 34:
            glob = self.pick(_GLOBS)
            for name in ("opname", "category_name"):
                scope.add(name, "str", static=True)
            return f"wasm:opcode:{glob}:{self.pick([m for m in modes[:4] if m != 'alt'])}", False
        found = self._event()
        mode = self.pick([m.text for m in found.modes if m.text in modes] or [found.modes[0].text])
        self.offered = found.functions
        text = f"wasm:opcode:{found.name}{self.bound(found, mode, scope)}:{mode}"
        return text, mode == "alt"

    def _event(self) -> Event:
        there = [e for e in self.events if e in OPCODE_EVENTS]
        if there and self.chance(90):
            return OPCODE_EVENTS[self.pick(there)]
        return OPCODE_EVENTS[self.pick(list(OPCODE_EVENTS))]

    def script(self) -> str:
        scope = Scope()
        lines = [f"use {library.name};" for library in self.libraries]
        lines += [self.top(scope) for _ in range(self.random.randint(0, 4))]
        lines += [self.function(scope) for _ in range(self.random.choice((0, 0, 1, 2)))]
        lines += [self.probe(scope) for _ in range(self.random.randint(1, 4))]
        return "\n".join(lines)


def members(type_: str) -> tuple[str, ...]:
    """The types in a tuple type."""
    return split(type_[1:-1])


def map_types(type_: str) -> tuple[str, str]:
    """Key and value of a map type."""
    key, value = split(type_[len("map<") : -1])
    return key, value


def split(text: str) -> tuple[str, ...]:
    """``text`` at the commas that are in no brackets."""
    found, depth = [""], 0
    for char in text:
        depth += (char in "(<") - (char in ")>")
        if char == "," and not depth:
            found.append("")
        else:
            found[-1] += char
    return tuple(part.strip() for part in found)
