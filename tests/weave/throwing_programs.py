"""Random modules whose functions jump, call, throw and trap in every way.

``_start`` calls the first of a few functions.  All of them take and leave an i32, and decide by
numbers that ``$choose`` reads out of memory; behind the last it traps, so that every program ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import wasmtime

FUNCTIONS = 4
#: What a label takes.
_VALUES = {"none": "", "one": "i32.const 5", "two": "i32.const 6 i32.const 7"}
_BLOCKS = {"none": "", "one": "(result i32)", "two": "(result i32 i32)"}
_DROPS = {"none": "", "one": "drop", "two": "drop drop"}


@dataclass
class _Writer:
    """Writes one function; ``labels``: what those in scope take, the innermost first; ``exn`` is
    for exceptions that are caught only."""

    random: Random
    lines: list[str] = field(default_factory=list)

    def statements(self, labels: list[str], depth: int) -> None:
        for _ in range(self.random.randint(1, 4)):
            kinds = _FLAT if depth <= 0 else (*_FLAT, *_NESTING * 2)
            getattr(self, "_" + self.random.choice(kinds))(labels, depth)

    def put(self, *words: str) -> None:
        self.lines.append(" ".join(words))

    def _nop(self, labels: list[str], depth: int) -> None:
        self.put("nop nop")

    def _divide(self, labels: list[str], depth: int) -> None:
        self.put("i32.const 9 call $choose i32.div_u drop nop")

    def label(self, labels: list[str]) -> int:
        return self.random.choice([n for n, kind in enumerate(labels) if kind != "exn"])

    def _br(self, labels: list[str], depth: int) -> None:
        label = self.label(labels)
        self.put(_VALUES[labels[label]], f"br {label}")

    def _br_if(self, labels: list[str], depth: int) -> None:
        label = self.label(labels)
        kind = labels[label]
        self.put(_VALUES[kind], f"call $choose br_if {label}", _DROPS[kind])

    def _br_table(self, labels: list[str], depth: int) -> None:
        kind = labels[self.label(labels)]
        fitting = [str(label) for label, other in enumerate(labels) if other == kind]
        chosen = [self.random.choice(fitting) for _ in range(self.random.randint(1, 4))]
        self.put(_VALUES[kind], "call $choose br_table", *chosen)

    def _leave(self, labels: list[str], depth: int) -> None:
        ways = ("return", "return_call $f1", "i32.const 2 return_call_indirect (type $f)",
                "ref.func $f3 return_call_ref $f", "throw $e")  # fmt: skip
        self.put("i32.const 8", self.random.choice(ways))

    def _unreachable(self, labels: list[str], depth: int) -> None:
        self.put(self.random.choice(("unreachable", "throw $empty")))

    def _call(self, labels: list[str], depth: int) -> None:
        number = self.random.randrange(FUNCTIONS)
        ways = (
            *(f"call $f{number}", f"i32.const {number} call_indirect (type $f)"),
            *(f"ref.func $f{number} call_ref $f", f"i32.const {FUNCTIONS} call_indirect (type $f)"),
        )
        self.put("i32.const 3", self.random.choices(ways, (8, 4, 4, 1))[0], "drop")

    def _block(self, labels: list[str], depth: int) -> None:
        kind = self.random.choice(tuple(_BLOCKS))
        self.put("block", _BLOCKS[kind])
        self.statements([kind, *labels], depth - 1)
        self.put(_VALUES[kind], "end", _DROPS[kind])

    def _loop(self, labels: list[str], depth: int) -> None:
        self.put("loop call $choose drop")
        self.statements(["none", *labels], depth - 1)
        if self.random.random() < 0.7:
            self.put("call $choose br_if 0")
        self.put("end")

    def _if(self, labels: list[str], depth: int) -> None:
        kind = self.random.choice(tuple(_BLOCKS))
        self.put("call $choose if", _BLOCKS[kind])
        self.statements([kind, *labels], depth - 1)
        if kind != "none" or self.random.random() < 0.5:
            self.put(_VALUES[kind], "else")
            if self.random.random() < 0.8:
                self.statements([kind, *labels], depth - 1)
        self.put(_VALUES[kind], "end", _DROPS[kind])

    def _try_table(self, labels: list[str], depth: int) -> None:
        clauses = [c for c in ("(catch $e 1)", "(catch $empty 0)") if self.random.random() < 0.6]
        if self.random.random() < 0.5:
            clauses.append("(catch_all 0)")
        self.put("block (result i32) block try_table", *clauses)
        self.statements(["none", "none", "one", *labels], depth - 1)
        self.put("end i32.const 1 br 1 end i32.const 2 end drop")

    def _throw_again(self, labels: list[str], depth: int) -> None:
        self.put("block block (result exnref) try_table (catch_all_ref 0)")
        self.statements(["none", "exn", "none", *labels], depth - 1)
        self.put("end br 1 end", self.random.choice(("throw_ref", "drop")), "end")


_FLAT = (
    "nop",
    "divide",
    "br",
    "br_if",
    "br_if",
    "br_table",
    "leave",
    "call",
    "call",
    "unreachable",
)
_NESTING = ("block", "loop", "if", "try_table", "throw_again")


def throwing_module(seed: int) -> bytes:
    """The module of that number."""
    random = Random(seed)
    functions = []
    for number in range(FUNCTIONS):
        writer = _Writer(random)
        writer.put("call $choose drop")
        writer.statements(["one"], 3)
        code = "\n".join(writer.lines)
        functions.append(f"(func $f{number} (type $f) {code}\ni32.const 4)")
    names = " ".join(f"$f{number}" for number in range(FUNCTIONS))
    choices = "".join(f"\\{random.choice((0, 1, 1, 2, 3)):02x}" for _ in range(80))
    caught = "(block $all (try_table (catch_all $all) (drop (call $f0 (i32.const 1)))) nop)"
    uncaught = "(drop (call $f0 (i32.const 1)))"
    return wasmtime.wat2wasm(f"""(module
        (type $f (func (param i32) (result i32))) (tag $e (param i32)) (tag $empty)
        (table {FUNCTIONS + 1} funcref) (elem (i32.const 0) {names}) (elem declare func {names})
        (memory 1) (data (i32.const 0) "{choices}") (global $next (mut i32) (i32.const 0))
        (func $choose (result i32)
            (if (i32.ge_u (global.get $next) (i32.const 80)) (then unreachable))
            (global.set $next (i32.add (global.get $next) (i32.const 1)))
            (i32.load8_u (i32.sub (global.get $next) (i32.const 1))))
        {" ".join(functions)}
        (func (export "_start") {random.choice((caught, caught, uncaught))}))""")
