"""Weaving opcode probes into one core module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import fold_expr
from whamm_cm.wasm import snippets
from whamm_cm.wasm.function import FunctionInfo, runs
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.moved import Moved
from whamm_cm.wasm.rewrite import Piece
from whamm_cm.weave.opcodes import memories
from whamm_cm.weave.opcodes.beat import SLOTS, Beat, endings, pieces
from whamm_cm.weave.opcodes.bulk import Bulk
from whamm_cm.weave.opcodes.counters import Cell
from whamm_cm.weave.opcodes.going import Validate, open_ended
from whamm_cm.weave.opcodes.inject import FunctionEditor
from whamm_cm.weave.opcodes.leftover import Increment, cell_inits, guest_cells, increments, needs_of
from whamm_cm.weave.opcodes.match import Firing, Function, Left
from whamm_cm.weave.opcodes.points import exit_calls, program_exits
from whamm_cm.weave.opcodes.sites import Compiled
from whamm_cm.weave.opcodes.work import MAX_COUNTERS, MAX_LOCALS, Work

PUSH = "whamm-cm:push"
#: Cells of a module from which on they are counted in memory, where the host has multi-memory:
#: instances of pools have room for some 40,000 globals, and code for each of them takes its toll.
MANY_CELLS = 4_000
_NOTHING: tuple[str, ...] = ()
_REPLACED = ("opcode", "alt")


@dataclass(frozen=True, slots=True)
class WovenGuest:
    """``counters``, of which ``in_globals``; ``imports``: it takes the script unit as an import;
    ``push``: it exports the function that
    pushes its counters; ``dropped``: custom sections that would have been wrong; ``tabled``: what
    it calls to report while it runs comes with its table; ``moved``: where its code was, if that is
    kept."""

    wasm: bytes
    sites: int
    counters: int
    in_globals: int
    imports: bool
    push: bool
    dropped: tuple[str, ...]
    tabled: bool = False
    moved: Moved | None = field(default=None, compare=False)


@dataclass(slots=True)
class _Batch:
    """Increments of one run: by variable for globals, by (type, amount) for cells, of which there
    are row and pc."""

    globals: dict[t.Variable, int] = field(default_factory=dict)
    cells: dict[tuple[vt.Type, int], list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class GuestWeaver(Work):
    """Weaves one module.

    ``exits``: the import whose ``leave`` is called right before calls that end the program (plain
    modules), behind all probes.
    """

    exits: str | None = None
    validate: Validate | None = None
    #: Whether it may have a memory beside its own.
    multi_memory: bool = True
    #: Whether functions may be woven by kinds of instructions (``bulk``).
    in_bulk: bool = True
    #: Whether what is counted is also sent while the program runs.
    beats: bool = False
    #: Whether it is sent before every call, too.
    each: bool = False
    #: Whether hosts may run it that pool instances.
    pooled: bool = False
    _table: int | None = None
    #: Functions whose code behind each replaced ``unreachable`` can run.
    open_ended: frozenset[int] = frozenset()
    _globals_before: int = 0
    plans: dict[int, tuple[Increment, ...] | None] = field(default_factory=dict)
    lefts: list[Left] = field(default_factory=list)

    def weave(self) -> WovenGuest | None:
        leaving = self._leaving()
        bulk = Bulk.find(self, leaving) if self.in_bulk and not self.each else None
        done = frozenset(() if bulk is None else bulk.indices)
        found = self.matcher.functions(
            self.module, self.facts, None if bulk is None else sorted(bulk.slow)
        )
        functions = {function.info.index: function for function in found}
        sites = 0 if bulk is None else bulk.sites
        if not (functions or sites or leaving):
            return None
        leave = None
        if leaving and self.exits is not None:
            leave = self.edit.import_func(self.exits, "leave", _NOTHING, _NOTHING)
        self._import(functions, bulk)
        self._make_beat()
        self.open_ended = open_ended(self.module, functions.values(), self.validate)
        ends = {}
        if self.last_words:
            ends = endings(self.module, None if bulk is None else sorted(bulk.slow))
        shadows = self.shadows
        shadows.find()
        if bulk is not None:
            bulk.write()
            self._globals_before = self.edit.added_globals
        for index in sorted({*functions, *leaving, *shadows.changes, *ends} - done):
            function = functions.get(index)
            info = self._info(index, function, leaving)
            if info is None:
                self._only_ends(index, ends[index])
                continue
            editor = FunctionEditor(info, self.matcher.as_whamm)
            if leave is not None and index in leaving:
                for opidx in exit_calls(info):
                    editor.add(opidx, "last", snippets.call(leave))
            if function is not None:
                sites += len(function.firings)
                self._function(function, editor)
            self._add_beat(function, editor)
            shadows.keep(editor)
            self.put(info, editor.pieces(), editor.extra_locals)
        pushes = self.counted.pushes
        push = pushes.write(self.edit, PUSH, self._table)
        wasm = self.edit.encode()
        return WovenGuest(
            wasm, sites, len(self.counted), len(pushes), self.imports.used or push, push,
            tuple(self.edit.dropped), self._table is not None,
            Moved(self.module, self.rows.place, self.edit.replaced) if self.origins else None,
        )  # fmt: skip

    def _import(self, functions: Mapping[int, Function], bulk: Bulk | None) -> None:
        """All that functions need, before indices are handed out."""
        cells = 0 if bulk is None else bulk.cells
        for function in functions.values():
            cells += sum([len(firing.left.cells) for firing in function.firings])
        if self.multi_memory and (cells > MANY_CELLS or (self.pooled and self._needs_table(cells))):
            self.imports.count_in_memory()
        for left in () if bulk is None else bulk.lefts:
            self._declare_left(left)
        for function in functions.values():
            for firing in function.firings:
                self.shadows.declare(firing, function.info)
                self._declare_left(firing.left)
        self.counted.memory = self.imports.state

    def _needs_table(self, cells: int) -> bool:
        """Whether the module would get a second table, which hosts with pooled instances refuse."""
        wants = cells or self.beats or self.last_words
        return bool(wants and self.module.tables and not self.imports.used)

    def _info(
        self, index: int, function: Function | None, leaving: Mapping[int, FunctionInfo]
    ) -> FunctionInfo | None:
        """The function, where more than last words may go into it."""
        if function is not None:
            return function.info
        changed = self.shadows.changes.get(index)
        return leaving.get(index) if changed is None else changed[0]

    def _make_beat(self) -> None:
        """A guest without imports gets none for it: it calls through its table, once that is filled
        (``pushes``)."""
        if not (self.beats or self.last_words):
            return
        unit = self.unit_name if self.imports.used else None
        if unit is None:
            self._table = self.edit.add_table(b"\x70\0" + unsigned(SLOTS))
        self.beat = Beat.make(self.edit, unit, self._table, self)

    def _add_beat(self, function: Function | None, editor: FunctionEditor) -> None:
        if self.beat is None:
            return
        if function is None:
            self.beat.last_words(editor)
            return
        points = (firing.point for firing in function.firings)
        self.beat.into(editor, [p.opidx for p in points if (p.package, p.mode) == _REPLACED])

    def _only_ends(self, index: int, ends: Sequence[int]) -> None:
        assert self.beat is not None, "there are no last words without"
        added = [(pos, self.beat.last) for pos in ends]
        self.edit.replace_body(index, pieces(self.module, index, added))

    def put(
        self, info: FunctionInfo, pieces: Sequence[Piece], locals_: Sequence[str | bytes]
    ) -> None:
        """A function's new body; WeaveError where engines would not take it."""
        declared = sum(count for count, _ in info.body.locals) + len(locals_)
        counters = self.edit.added_globals - self._globals_before
        self._globals_before = self.edit.added_globals
        params = len(info.module.func_type(info.fid).params)
        self.check(info.fid, declared + params, MAX_LOCALS, "locals")
        self.check(info.fid, counters, MAX_COUNTERS, "counters")
        self.edit.replace_body(info.index, pieces, locals_)

    def _leaving(self) -> dict[int, FunctionInfo]:
        """Functions with calls that end the program, where those matter."""
        ends = [unsigned(index) for index in program_exits(self.module)]
        found: dict[int, FunctionInfo] = {}
        if self.exits is None or not ends:
            return found
        for index, body in enumerate(self.module.bodies):
            code = bytes(self.module.data[body.code : body.end])
            if any(op + end in code for end in ends for op in (b"\x10", b"\x12")):
                info = FunctionInfo(self.module, index)
                if exit_calls(info):
                    found[index] = info
        return found

    def _declare_left(self, left: Left) -> None:
        if id(left) in self.plans:
            return
        self.lefts.append(left)  # keeps its id its own
        if self.matcher.as_whamm:  # it shows them in the order they are declared
            for variable in filter(self.unit.reports, left.cells):
                self.rows.row(variable, left.probe)
        self.plans[id(left)] = increments(left, self.counters)
        self.imports.declare(needs_of(left))
        memories.declare(self.imports, left)

    # --- one function ---

    def _function(self, function: Function, editor: FunctionEditor) -> None:
        info = function.info
        batched: list[tuple[Firing, tuple[Increment, ...]]] = []
        leaving: list[Firing] = []
        # whamm's blocks are not made of runs.
        counted = ("opcode", "line") if self.matcher.as_whamm else ("opcode", "line", "block")
        for firing in function.firings:
            plan, point = self.plans[id(firing.left)], firing.point
            if point.leaves:
                leaving.append(firing)
            elif point.mode == "before" and point.package in counted and plan:
                batched.append((firing, plan))
            else:
                self._inline(firing, editor)
        if batched:
            entered = any(f.point.package in ("func", "source") for f in function.firings)
            self._batch(editor, batched, _run_of(info, entered))
        # They may read what is counted at the very instruction that ends the program.
        for firing in leaving:
            self._inline(firing, editor)

    def cells_of(self, left: Left) -> list[Cell]:
        """Those of a site that are counted in place."""
        in_guest = guest_cells(left)
        return [
            self._cell(variable, init, left)
            for variable, init in cell_inits(left).items()
            if variable in in_guest
        ]

    def _cell(self, variable: t.Variable, init: t.Expr | None, left: Left) -> Cell:
        value = init.value if isinstance(init, t.Const) else 0
        assert isinstance(value, (int, float))
        reported = self.unit.reports(variable)
        row = self.rows.row(variable, left.probe).number if reported else None
        return Cell(row, variable.type, value)

    def _inline(self, firing: Firing, editor: FunctionEditor) -> None:
        compiled = self.compiler.compiled(firing, editor)
        info, opidx = editor.info, firing.point.opidx
        counted = self.cells_of(firing.left)
        cells = self.counted.cells(info, counted, [info.pc(opidx)] * len(counted))
        statics = dict(firing.values)
        in_guest, placed = guest_cells(firing.left), {}  # type: ignore[var-annotated]
        for variable, init in cell_inits(firing.left).items():
            if variable in in_guest:
                continue
            reports = self.unit.reports(variable)
            row = self.rows.row(variable, firing.left.probe) if reports else None
            if init is not None:
                init = fold_expr(init, firing.values, self.matcher.evaluate)
                init = memories.for_unit(init, self.imports.numbering, self.unit.memories)
            number = -1 if row is None else row.add(info, opidx)
            place = None if row is None else row.number
            address = self.unit.cell(variable, init, place, number, placed)
            placed[variable] = address
            statics[self.compiler.address_name(variable)] = address
        if compiled is not None:
            goes_on = editor.info.index in self.open_ended
            values = self._resolved(compiled, statics)
            compiled.put(firing, editor, cells, values, goes_on)

    def _resolved(self, compiled: Compiled, statics: dict[str, object]) -> dict[str, object]:
        """Open facts with strings as (address, length)."""
        return {
            name: self.unit.string(value) if isinstance(value, str) else value
            for name, value in statics.items()
        }

    # --- batches ---

    def _batch(
        self,
        editor: FunctionEditor,
        batched: Sequence[tuple[Firing, tuple[Increment, ...]]],
        starts: Sequence[int],
    ) -> None:
        """Count each run of instructions (``starts``: its first, by opidx) once for all in it."""
        batches: dict[int, _Batch] = {}
        for firing, plan in batched:
            batch = batches.setdefault(starts[firing.point.opidx], _Batch())
            for increment in plan:
                variable = increment.variable
                if variable.kind is t.Kind.GLOBAL:
                    batch.globals[variable] = batch.globals.get(variable, 0) + increment.amount
                elif self.unit.reports(variable):
                    init = cell_inits(firing.left)[variable]
                    if init is not None and init != t.Const(variable.type, 0):
                        self._own_counter(firing, editor, increment, init)
                        continue
                    row = self.rows.row(variable, firing.left.probe).number
                    place = row, editor.info.pc(firing.point.opidx)
                    batch.cells.setdefault((variable.type, increment.amount), []).append(place)
        for opidx, batch in batches.items():
            code = self._batch_code(batch, editor.info)
            if code:
                editor.add(opidx, "before", code)

    def _own_counter(
        self, firing: Firing, editor: FunctionEditor, increment: Increment, init: t.Expr
    ) -> None:
        """A counter that does not start at zero stands alone."""
        cell = self._cell(increment.variable, init, firing.left)
        opidx = firing.point.opidx
        (spot,) = self.counted.cells(editor.info, [cell], [editor.info.pc(opidx)])
        editor.add(opidx, "before", self.counted.count(spot, cell.type, increment.amount))

    def _batch_code(self, batch: _Batch, info: FunctionInfo) -> bytes:
        code = b""
        for variable, amount in batch.globals.items():
            (index,) = self.imports.globals_(self.unit.globals_of(variable))
            code += snippets.count(index, flats(variable.type)[0], amount)
        for (type_, amount), cells in batch.cells.items():
            rows, pcs = [row for row, _ in cells], [pc for _, pc in cells]
            spot = self.counted.batch(info, rows, pcs, type_)
            code += self.counted.count(spot, type_, amount)
        return code


def _run_of(info: FunctionInfo, entered: bool) -> list[int]:
    """For each instruction the first one of its run; a call may not return, so it ends a run.

    ``entered``: probes of the function's entry, which come behind those of its first instruction
    and before all others, may read what was counted.
    """
    starts: list[int] = []
    for run in runs(info, split_at_calls=True):
        starts += [run.first] * (run.last - run.first + 1)
    return [start or int(entered and opidx > 0) for opidx, start in enumerate(starts)]
