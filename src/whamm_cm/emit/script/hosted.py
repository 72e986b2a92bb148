"""Probes that an engine puts into a program by itself: exports of the script unit, whose names say
where they belong (the Wizard engine's match rules).

Of every rule there is ``$P<n>``, which the engine asks at each instruction of that name whether it
is a place of the rule, and ``$F<n>_<k>``, which then tell the facts of the place; it asks in the
order of functions and instructions.  The probe itself gets the facts, and what the rule takes of
the running program.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import field
from typing import Literal

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.compile import needs
from whamm_cm.emit.script.env import Memory, Needs
from whamm_cm.emit.script.types import flats
from whamm_cm.emit.script.unit import ScriptUnit
from whamm_cm.emit.script.unit_module import UnitEnv, UnitModule
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.wasm.asm import Func, Label

#: What runs where a rule's places are: the script's code, or what tells of jumps.
Kind = Literal["probe", "jump", "jump if", "jump unless", "jump by table", "arrive", "stay"]
_FACT = 8  # bytes of a fact; the place is in front of them


@dataclass(frozen=True, slots=True)
class Code:
    """A probe's statements.  ``cells``, ``statics`` and ``bound`` say which parameters of the
    probe are a cell's address, a fact, and what was taken.  ``not_by_jump``: only where no jump
    leads to the place."""

    body: tuple[t.Stmt, ...]
    predicate: t.Expr | None
    cells: Mapping[t.Variable, int]
    statics: Mapping[str, tuple[int, ...]]
    bound: Mapping[str, tuple[int, ...]]
    not_by_jump: bool

    @property
    def needs(self) -> Needs:
        return needs(self.body, predicate=self.predicate, memory=True, cells_in_memory=True)


@dataclass(slots=True)
class Rule:
    """``event``: the engine's name of the instruction, ``*`` for all.  ``facts``: their core
    types.  ``takes``: names of what the engine passes, and core types.  ``places``: function,
    offset in its body, facts; in order."""

    event: str
    kind: Kind
    facts: tuple[str, ...] = ()
    takes: tuple[tuple[str, str], ...] = ()
    code: Code | None = None
    places: list[tuple[int, int, tuple[float, ...]]] = field(default_factory=list)

    def table(self) -> bytes:
        found = bytearray()
        for fid, pc, values in self.places:
            found += struct.pack("<Q", fid << 32 | pc)
            for kind, value in zip(self.facts, values, strict=True):
                found += _fact(kind, value)
        return bytes(found)


def _fact(kind: str, value: float) -> bytes:
    if kind in ("f32", "f64"):
        return struct.pack("<fI", value, 0) if kind == "f32" else struct.pack("<d", value)
    return (int(value) % (1 << 64)).to_bytes(8, "little")


class Hosted:
    """The rules of one unit, in the order in which they are to fire at one instruction.

    ``wrong``: the print site and text of what is said in the end where not all places were found.
    """

    def __init__(self, unit: ScriptUnit, rules: Iterable[Rule], wrong: tuple[int, str]) -> None:
        self.rules, self.wrong = list(rules), wrong
        self._tables = [unit.area.put(rule.table()) for rule in self.rules]
        for name in ("state_init", "print_begin", "print_str", "print_end"):
            unit.use(name)
        self.exports: list[str] = []

    def needs(self) -> list[Needs]:
        return [rule.code.needs for rule in self.rules if rule.code is not None]

    def write(self, module: UnitModule) -> None:
        self._module = module
        self._found = module.module.global_("i32", 0)
        self._jumped, self._came = (module.module.global_("i32", 0) for _ in "12")
        for number, rule in enumerate(self.rules):
            self._rule(number, rule, self._tables[number])

    def check(self, f: Func) -> None:
        """Says at the end of ``f`` that the program is not the one the monitor is for."""
        f.global_get(self._found)
        f.i32(sum(len(rule.places) for rule in self.rules))
        f.op("i32.ne")
        with f.if_():
            site, text = self.wrong
            f.i32(site)
            f.call(self._module.function("print_begin"))
            for part in self._module.unit.string(text):
                f.i32(part)
            f.call(self._module.function("print_str"))
            f.call(self._module.function("print_end"))

    def _rule(self, number: int, rule: Rule, table: int) -> None:
        module = self._module.module
        size = _FACT * (1 + len(rule.facts))
        at = module.global_("i32", table)
        self._asked(number, at, table + size * len(rule.places), size)
        words = []
        for k, kind in enumerate(rule.facts):
            f = module.func(("i32", "i32"), (kind,))
            f.global_get(at)
            f.i32(size - _FACT * (k + 1))
            f.op("i32.sub")
            f.memory_op(f"{kind}.load")
            self._export(f"$F{number}_{k}", f)
            words.append(f"$F{number}_{k}(fid,pc)")
        words += [name for name, _ in rule.takes]
        f = module.func((*rule.facts, *(kind for _, kind in rule.takes)))
        if rule.code is None:
            self._jump(f, rule.kind)
        else:
            self._probe(f, rule.code)
        self._export(f"wasm:opcode:{rule.event}/$P{number}(fid,pc)/({','.join(words)})", f)

    def _export(self, name: str, f: Func) -> None:
        self.exports.append(name)
        self._module.module.export_func(name, f.index)

    def _asked(self, number: int, at: int, end: int, size: int) -> None:
        """``$P<n>``: whether the next place of the table is this one; ``at`` is behind it then."""
        f = self._module.module.func(("i32", "i32"), ("i32",))
        wanted, next_ = f.local("i64"), f.local("i64")
        f.get(0)
        f.op("i64.extend_i32_u")
        f.i64(32)
        f.op("i64.shl")
        f.get(1)
        f.op("i64.extend_i32_u", "i64.or")
        f.set(wanted)
        with f.block() as none, f.loop() as again:
            f.global_get(at)
            f.i32(end)
            f.op("i32.ge_u")
            f.br_if(none)
            f.global_get(at)
            f.memory_op("i64.load")
            f.tee(next_)
            f.get(wanted)
            f.op("i64.gt_u")
            f.br_if(none)
            _add(f, at, size)
            f.get(next_)
            f.get(wanted)
            f.op("i64.lt_u")
            f.br_if(again)
            _add(f, self._found, 1)
            f.i32(1)
            f.op("return")
        f.i32(0)
        self._export(f"$P{number}", f)

    def _jump(self, f: Func, kind: Kind) -> None:
        """A branch notes that it jumps, and the ``end`` or ``loop`` it leads to, the next to be
        executed, takes note and forgets.  One that may have stayed is followed by what says so."""
        if kind == "arrive":
            f.global_get(self._jumped)
            f.global_set(self._came)
            f.i32(0)
        elif kind in ("jump", "stay"):
            f.i32(int(kind == "jump"))
        elif kind == "jump by table":  # the table, its last index, the operand
            f.get(0)
            f.get(2)
            f.get(1)
            f.get(2)
            f.get(1)
            f.op("i32.lt_u", "select", "i32.add")
            f.memory_op("i32.load8_u")
        else:
            f.get(0)
            f.op("i32.eqz")
            if kind == "jump if":
                f.op("i32.eqz")
        f.global_set(self._jumped)

    def _probe(self, f: Func, code: Code) -> None:
        env = _HostedEnv(self._module, code)
        body = Body(f, env)
        with ExitStack() as blocks:
            env.leaving = body, blocks.enter_context(f.block())
            if code.not_by_jump:
                f.global_get(self._came)
                f.br_if(env.leaving[1])
            if code.predicate is not None:
                body.expr(code.predicate)
                blocks.enter_context(f.if_())
            body.block(code.body)
        body.close()


class _HostedEnv(UnitEnv):
    leaving: tuple[Body, Label]

    def __init__(self, module: UnitModule, code: Code) -> None:
        cells = {variable: Memory(index) for variable, index in code.cells.items()}
        super().__init__(module, dict(code.bound), dict(code.statics), {**cells})

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        return self._module.initial(call)

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        if not isinstance(stmt, t.Return):
            raise WeaveError(f"{getattr(stmt, 'what', 'trace')} cannot be done by a monitor")
        body, out = self.leaving
        if stmt.value is not None:
            body.expr(stmt.value)
            for _ in flats(stmt.value.type):
                f.op("drop")
        f.br(out)


def _add(f: Func, global_: int, amount: int) -> None:
    f.global_get(global_)
    f.i32(amount)
    f.op("i32.add")
    f.global_set(global_)
