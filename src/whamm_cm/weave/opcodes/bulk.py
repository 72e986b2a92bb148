"""Weaving functions by kinds of instructions: what fires at a kind, and the code of it, is worked
out once; the kernel finds the sites and writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.kernel import layout
from whamm_cm.kernel.layout import From, Part, Step
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm import snippets
from whamm_cm.wasm.code_edit import UNREACHABLE, CodeEdit, Drafted, Plans, Target
from whamm_cm.wasm.opcodes import Opcode
from whamm_cm.wasm.rewrite import Hole
from whamm_cm.wasm.valtypes import encode, nullable
from whamm_cm.weave.opcodes.counters import Cell
from whamm_cm.weave.opcodes.kinds import FILLED, Fires, Kind, Kinds
from whamm_cm.weave.opcodes.leftover import cell_inits, frame_variables, guest_cells, increments
from whamm_cm.weave.opcodes.match import Left
from whamm_cm.weave.opcodes.rows import Row
from whamm_cm.weave.opcodes.template import Slot, constant
from whamm_cm.weave.opcodes.work import Work

#: Flags of what functions hold: a probe's instruction, one whose sites are matched one by one,
#: ``unreachable`` where last words matter.
_SITE, _SINGLE, _END = layout.WANTED, 4, 8
_I32, _I64 = b"\x41", b"\x42"
_SOURCES = {"pc": From.PC, "fid": From.FID, "opidx": From.OPIDX}


@dataclass(slots=True)
class Bulk:
    """The functions of one module that are woven by kinds.  ``groups``: of each kind of their
    instructions, how many there are; ``slow``: functions that are not, but may hold sites."""

    work: Work
    code: CodeEdit
    groups: Sequence[tuple[Kind, int]]
    indices: Sequence[int]
    slow: Collection[int]

    @classmethod
    def find(cls, work: Work, skipped: Collection[int]) -> Bulk | None:
        """None where functions have to be looked at one by one; those ``skipped`` always are."""
        module = work.module
        kinds = Kinds(work.matcher, module, work.facts)
        if not kinds.possible or kinds.events.keys() <= kinds.single or not module.bodies:
            return None
        slow = set(skipped)
        rows = {UNREACHABLE: _END} if work.last_words else {}
        while True:
            indices = [index for index in range(len(module.bodies)) if index not in slow]
            marks = {**rows, **{row: _SINGLE | rows.get(row, 0) for row in kinds.single}}
            code = work.edit.new_code()
            exact = kinds.by_immediates - kinds.single
            survey = code.survey(indices, kinds.events, exact, marks)
            found = zip(indices, survey.seen, strict=True)
            held = [(index, seen) for index, seen in found if seen]
            single = [index for index, seen in held if seen & _SINGLE]
            groups: list[tuple[Kind, int]] = []
            before = len(kinds.single)
            for step, count in survey.groups:
                kind = None if step[1] in kinds.single else _kind(work, kinds, step[1], step)
                if kind is None:
                    kinds.single.add(step[1])
                groups.append((kind or Kind(()), count))
            slow.update(single)
            if not single and len(kinds.single) == before:
                break
        bulk = cls(work, code, groups, [index for index, _ in held], slow)
        if not bulk._fits():
            return None
        for kind, count in groups:
            for reason in kind.skipped:
                work.matcher.skipped[reason] += count
        return bulk

    @property
    def lefts(self) -> Iterable[Left]:
        return dict.fromkeys(fires.left for kind, _ in self.groups for fires in kind.fires)

    def _fits(self) -> bool:
        """Whether the kernel has room for all that is counted."""
        cells = sum(len(left.cells) for left in self.lefts)
        scripts = len(self.work.counters)
        return cells <= layout.MAX_CLASSES and scripts <= layout.MAX_VARIABLES

    @property
    def sites(self) -> int:
        return sum(len(kind.fires) * count for kind, count in self.groups)

    @property
    def cells(self) -> int:
        """How many cells there are at most."""
        return sum(
            len(fires.left.cells) * count for kind, count in self.groups for fires in kind.fires
        )

    def write(self) -> None:
        """Draft the functions, and count what is counted in them.  All imports are there."""
        planner = _Planner(self.work)
        steps, needs = [], []
        for kind, count in self.groups:
            words, need = planner.plan(kind, count)
            steps.append(words)
            needs.append(need)
        beat = self.work.beat
        number = self.work.edit.templates.number
        plans = Plans(
            steps, needs, [encode(kind) for kind in planner.types], planner.variables,
            planner.class_codes, self.work.counted.step, planner.addresses(),
            number(beat.pulse) if beat is not None and beat.pulse else None,
            number(beat.last) if beat is not None and beat.last else None,
            self.cells,
        )  # fmt: skip
        targets = self._targets(bool(planner.types))
        self.work.check_locals(targets, sum(map(max, zip(*needs, strict=False))) if needs else 0)
        drafted = self.code.draft(plans, targets, self.work.origins)
        self._count(planner, drafted, targets)

    def _targets(self, with_locals: bool) -> list[Target]:
        module, found = self.work.module, []
        imported, types = len(module.imported("func")), module.functions
        groups = module.bodies.column(layout.GROUPS)
        declared = module.bodies.column(layout.DECLARED)
        params: dict[int, int] = {}
        for index in self.indices:
            first, type_ = 0, types[index]
            if with_locals:
                if type_ not in params:
                    params[type_] = len(module.type_func(type_).params)
                first = params[type_] + declared[index]
            found.append(Target(index, index + imported, groups[index] - 1, first))
        return found

    def _count(self, planner: _Planner, drafted: Drafted, targets: Sequence[Target]) -> None:
        work, names = self.work, self.work.module.names.functions
        if drafted.counts:
            counted = work.counted
            spots = counted.reserve([planner.class_cells[kind] for kind in drafted.kinds])
            work.edit.first_spot = spots
            sizes = zip(targets, drafted.sizes, strict=True)
            functions = [(to.fid, names.get(to.fid, ""), size) for to, size in sizes if size]
            work.check_counters(functions)
            counted.rows.counted.extend(functions, drafted.counts, drafted.rows, drafted.steps)
        for number, pc, place in drafted.outs:
            row, fid = planner.outer[place].row, targets[number].fid
            if row is not None:
                row.cells.add(fid, pc, names.get(fid, ""))


def _kind(work: Work, kinds: Kinds, row: Opcode, step: Any) -> Kind | None:
    kind = kinds.of(step)
    if kind is None or not all(_simple(work, fires.left) for fires in kind.fires):
        return None
    kept = sum(len(fires.left.cells) for fires in kind.fires)
    return kind if kept <= layout.MAX_KEPT else None


def _simple(work: Work, left: Left) -> bool:
    """Whether all cells begin with a constant, and those that are counted in place are reported."""
    in_guest = guest_cells(left)
    if frame_variables(left):
        return False  # their locals are the function's
    for variable, init in cell_inits(left).items():
        if init is not None and not isinstance(init, t.Const):
            return False
        if variable in in_guest and not work.unit.reports(variable):
            return False
    return True


@dataclass(slots=True)
class _Outer:
    """Cells of one variable of one probe in the memory of the script's state."""

    variable: t.Variable
    init: t.Expr | None
    row: Row | None
    count: int = 0


@dataclass(slots=True)
class _Planner:
    """Plans of kinds, and what they refer to by number."""

    work: Work
    types: list[str] = field(default_factory=list)
    variables: list[int] = field(default_factory=list)
    class_cells: list[Cell] = field(default_factory=list)
    class_codes: list[int] = field(default_factory=list)
    outer: list[_Outer] = field(default_factory=list)
    _variables: dict[t.Variable, int] = field(default_factory=dict)
    _classes: dict[tuple[vt.Type, Any, int | None], int] = field(default_factory=dict)
    _outer: dict[tuple[int, int, Any], int] = field(default_factory=dict)

    def plan(self, kind: Kind, count: int) -> tuple[list[int] | None, list[int]]:
        """Words and numbers of locals by type for a kind of which there are so many."""
        words: list[int] = []
        needs = [0] * layout.MAX_KINDS
        kept = 0
        for fires in kind.fires:
            plan = increments(fires.left, self.work.counters)
            if plan is None:
                kept = self._inline(fires, count, words, needs, kept)
                continue
            for one in plan:
                if one.variable.kind is t.Kind.GLOBAL:
                    amount = one.amount & (1 << 64) - 1
                    place = self._variable(one.variable)
                    words += (Step.ADD, place, amount & 0xFFFFFFFF, amount >> 32)
                else:
                    words += (Step.COUNT, self._class(one.variable, fires.left, one.amount))
                    words.append(self._row(one.variable, fires.left).number)
        return words or None, needs

    def _row(self, variable: t.Variable, left: Left) -> Row:
        return self.work.rows.row(variable, left.probe)

    def _variable(self, variable: t.Variable) -> int:
        if variable not in self._variables:
            self._variables[variable] = len(self.variables)
            work = self.work
            (index,) = work.imports.globals_(work.unit.globals_of(variable))
            kind = flats(variable.type)[0]
            const, add = snippets.adding(kind)
            hole = Hole(Part.I64 if kind == "i64" else Part.I32, 0)
            code = snippets.global_get(index) + const, hole, add + snippets.global_set(index)
            self.variables.append(work.edit.templates.number(*code, words=2))
        return self._variables[variable]

    def _class(self, variable: t.Variable, left: Left, amount: int | None = None) -> int:
        """Of counters: ``amount`` is what each run adds, None where the code has its own way."""
        init = cell_inits(left)[variable]
        first = init.value if isinstance(init, t.Const) else 0
        assert isinstance(first, (int, float))
        key = variable.type, first, amount
        if key not in self._classes:
            self._classes[key] = len(self.class_cells)
            self.class_cells.append(Cell(0, variable.type, first))
            counting = self.work.counted.counting
            code = () if amount is None else counting(variable.type, amount)
            self.class_codes.append(self.work.edit.templates.number(*code, words=1))
        return self._classes[key]

    def _outer_list(self, variable: t.Variable, left: Left, init: t.Expr | None) -> int:
        key = id(variable), id(left.probe), init.value if isinstance(init, t.Const) else None
        if key not in self._outer:
            self._outer[key] = len(self.outer)
            reports = self.work.unit.reports(variable)
            row = self._row(variable, left) if reports else None
            self.outer.append(_Outer(variable, init, row))
        return self._outer[key]

    def addresses(self) -> list[list[int]]:
        """Those of all cells in the memory of the state, by list."""
        cell, found = self.work.unit.cell, []
        for one in self.outer:
            place, numbers = None if one.row is None else one.row.number, range(one.count)
            first = 0 if one.row is None else len(one.row.cells)
            found.append(
                [cell(one.variable, one.init, place, -1 if place is None else first + n, {})
                 for n in numbers]
            )  # fmt: skip
        return found

    def _inline(
        self, fires: Fires, count: int, words: list[int], needs: list[int], kept: int
    ) -> int:
        """The code of one probe, with what it keeps from number ``kept`` on; the next one."""
        left, work = fires.left, self.work
        compiled = work.compiler.plain(left, fires.operands)
        in_guest, cells, addresses = guest_cells(left), list[int](), dict[str, int]()
        for variable, init in cell_inits(left).items():
            if variable in in_guest:
                row = self._row(variable, left).number
                words += (Step.CELL, self._class(variable, left), row)
                cells.append(kept)
            else:
                place = self._outer_list(variable, left, init)
                self.outer[place].count += count
                words += (Step.OUTER, place)
                addresses[work.compiler.address_name(variable)] = kept
            kept += 1
        parts: list[bytes | Hole] = []
        arguments: list[tuple[int, int]] = []
        locals_ = self._locals(compiled.here.locals, needs)
        for part in compiled.here.parts:
            if isinstance(part, bytes):
                parts.append(part)
            elif part.kind == "local":
                parts.append(Hole(Part.U32, len(arguments)))
                arguments.append((From.LOCAL, locals_[part.number]))
            elif part.kind in ("cell", "address"):
                spot = Part.SPOT_U32 if part.kind == "cell" else Part.SPOT_I32
                parts.append(Hole(spot, len(arguments)))
                arguments.append((From.KEPT, cells[part.number]))
            else:
                self._static(part, fires, addresses, parts, arguments)
        number = work.edit.templates.number(*parts, words=len(arguments))
        words += (Step.PUT, number, len(arguments), *(w for pair in arguments for w in pair))
        return kept

    def _static(
        self,
        part: Slot,
        fires: Fires,
        addresses: dict[str, int],
        parts: list[bytes | Hole],
        arguments: list[tuple[int, int]],
    ) -> None:
        """A fact that is pushed: the same for the kind, or of the place."""
        assert part.type is not None
        if part.name in addresses:
            parts += (_I32, Hole(Part.I32, len(arguments)))
            arguments.append((From.KEPT, addresses[part.name]))
        elif part.name in FILLED:
            wide = flats(part.type)[0] == "i64"
            parts += (_I64 if wide else _I32, Hole(Part.I64 if wide else Part.I32, len(arguments)))
            arguments.append((_SOURCES[part.name], 0))
            if wide:
                arguments.append((From.CONST, 0))
        else:
            value = fires.statics[part.name]
            value = self.work.unit.string(value) if isinstance(value, str) else value
            parts.append(constant(part.type, value))

    def _locals(self, kinds: Sequence[str], needs: list[int]) -> list[int]:
        """The operands for locals of these types; sites share them."""
        used: dict[int, int] = {}
        found = []
        for kind in map(nullable, kinds):
            if kind not in self.types:
                self.types.append(kind)
            place = self.types.index(kind)
            number = used.get(place, 0)
            used[place] = number + 1
            found.append(place << 16 | number)
        for place, number in used.items():
            needs[place] = max(needs[place], number)
        return found
