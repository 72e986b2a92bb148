"""Writing a script unit: the module behind :class:`~whamm_cm.emit.script.unit.ScriptUnit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from whamm_cm.agent import layout
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script import report
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.compile import compile_function, needs
from whamm_cm.emit.script.env import (
    FUNCTIONS,
    LEAVING,
    OUTSIDE,
    STATE,
    TASKS,
    Memory,
    Needs,
    Place,
)
from whamm_cm.emit.script.memories import LENT, PROGRAM, MemoryRef
from whamm_cm.emit.script.places import make, maker
from whamm_cm.emit.script.types import description, flats, is_handle, leaves
from whamm_cm.emit.script.unit import CellStart, ScriptUnit, UnitParts, state_module
from whamm_cm.errors import InternalError, WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.fold import FACTS, fold_expr
from whamm_cm.lang.intervals import INTERVAL, TICK
from whamm_cm.lang.library import LibFunction
from whamm_cm.lang.numbers import zero
from whamm_cm.lang.sampling import HIDDEN
from whamm_cm.lang.walk import Node, transform
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType

#: What the unit exports where something fires now and then.
BEAT = "beat"
STATE_MODULE, OUTSIDE_MODULE, LEAVING_MODULE, TASKS_MODULE = "state", "outside", "leave", "tasks"
#: Where runtime functions come from, if not from the state.
_SOURCES = {
    **dict.fromkeys(OUTSIDE, OUTSIDE_MODULE),
    **dict.fromkeys(LEAVING, LEAVING_MODULE),
    **dict.fromkeys(TASKS, TASKS_MODULE),
}


def _at_once(stmts: Sequence[t.Stmt]) -> tuple[t.Stmt, ...]:
    """In code that runs once, an ``@init`` call is an ordinary one."""

    def change(node: Node) -> Node | None:
        if isinstance(node, t.LibCall) and node.annotation == "init":
            return t.LibCall(node.type, node.library, node.function, node.args, "", node.span)
        return None

    return tuple(transform(stmt, change) for stmt in stmts)


def nowhere(node: t.Expr | t.Stmt) -> Any:
    """Code that belongs to no place in the program: what it reads of one is zero or empty."""

    def change(node: Node) -> Node | None:
        if isinstance(node, t.Static | t.Bound):
            return t.Const(node.type, zero(node.type), node.span)
        return None

    return transform(node, change)


class HostedCode(Protocol):
    """Probes that are in the unit itself (``emit/script/hosted.py``)."""

    def needs(self) -> list[Needs]: ...

    def write(self, module: UnitModule) -> None: ...

    def check(self, f: Func) -> None:
        """Append to ``f`` what is done before a report."""


class UnitModule:
    def __init__(self, unit: ScriptUnit, hosted: HostedCode | None = None) -> None:
        self.unit, self.module, self._hosted = unit, Module(), hosted
        self._init = _at_once(self._init_stmts())
        self._end = self._probes("end")
        self._report = self._probes("report")
        self._replaced = any(probe.package == "report" for probe in unit.scripts.probes)
        self._descriptors = self._describe()
        self._starts = {
            variable: self._flatten(variable.type, value)
            for variable, value in unit.first_values().items()
        }
        self._functions: dict[str, int] = {}
        self._libraries: dict[tuple[str, str], int] = {}
        self._globals: dict[t.Variable, tuple[int, ...]] = {}
        self._initials: dict[int, tuple[int, ...]] = {}
        self._users: dict[t.Function, Func] = {}
        self._memories: dict[MemoryRef, Guest] = {}

    # --- what goes in ---

    def _init_stmts(self) -> tuple[t.Stmt, ...]:
        """Initialisers and top-level statements; constants are already where they belong."""
        return tuple(
            stmt
            for stmt in self.unit.scripts.globals
            if not (isinstance(stmt, t.Declare) and isinstance(stmt.init, t.Const | None))
        )

    def _probes(self, package: str) -> tuple[t.Stmt, ...]:
        return self._bodies([p for p in self.unit.scripts.probes if p.package == package])

    @staticmethod
    def _bodies(probes: Sequence[t.Probe]) -> tuple[t.Stmt, ...]:
        found: list[t.Stmt] = []
        for probe in probes:
            whole = probe.body
            if probe.predicate is not None:
                whole = (t.If(probe.predicate, whole),)
            found += map(nowhere, _at_once(whole))
        return tuple(found)

    def _describe(self) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for row in () if self._replaced else self.unit.rows:
            kind = row.variable.type if isinstance(row, report.GlobalRow) else row.type
            if isinstance(kind, vt.MapT):
                for part in (kind.key, kind.value):
                    raw = description(part)
                    found[raw] = self.unit.area.put(raw)
        return found

    def _needs(self) -> list[Needs]:
        unit = self.unit
        bodies: list[Sequence[t.Stmt]] = [
            self._init,
            self._probes("begin"),
            self._end,
            self._report,
            self._probes(TICK),
            self._probes(INTERVAL),
        ]
        bodies += [function.body for function in unit.functions]
        for start in unit.starts:
            if isinstance(start, CellStart):
                bodies.append(_at_once([t.Evaluate(start.value)]))
            else:
                bodies.append(_at_once([t.Evaluate(start)]))
        hosted = [] if self._hosted is None else self._hosted.needs()
        return hosted + [needs(body, memory=True, cells_in_memory=True) for body in bodies]

    def _wanted(self, found: Sequence[Needs]) -> dict[str, None]:
        """Runtime functions, in the order of ``FUNCTIONS``."""
        unit = self.unit
        names = {name for need in found for name in need.functions} | set(unit.extra)
        for row in () if self._replaced else unit.rows:
            names.update(report.wanted(row))
        if unit.counts:
            names.add("report_counts")
        if unit.slots:
            names.add("st64")
        for variable in unit.globals:
            if is_handle(variable.type):
                names.add(maker(variable.type))
        if any(need.memory for need in found) or unit.area.used:
            names.add("state_init")
        if any(isinstance(s, CellStart) and vt.STR in leaves(s.type) for s in unit.starts):
            names.add("str_keep")
        if unit.task_vars is not None:
            names.add("task_init")
        if names:
            names.add("state_init")
        return {name: None for name in FUNCTIONS if name in names}

    # --- the module ---

    def encode(self, start: bool = True) -> UnitParts:
        """``start``: initialise in the start function, else in the export ``init``."""
        found = self._needs()
        wanted = self._wanted(found)
        self._import(found, wanted)
        self._make_globals()
        self._declare()
        if self._hosted is not None:
            self._hosted.write(self)
        init = self._write_init()
        self._write_report()
        if wanted:
            self._state_first(init)
        memory = 0 if wanted else None
        pages = -(-self.unit.area.end // layout.PAGE)
        for address, raw in self.unit.area.segments():
            self.module.data(memory or 0, address, raw)
        if start:
            self.module.start(init.index)
        else:
            self.module.export_func("init", init.index)
        state = state_module(max(pages, layout.STATE_PAGES), wanted) if wanted else None
        return UnitParts(self.module.encode(), state, tuple(self._libraries))

    def _import(self, found: Sequence[Needs], wanted: dict[str, None]) -> None:
        module = self.module
        if wanted:
            module.import_memory(STATE_MODULE, "memory", MemoryType(layout.STATE_PAGES))
        for name in wanted:
            source = _SOURCES.get(name, STATE_MODULE)
            self._functions[name] = module.import_func(source, name, *FUNCTIONS[name])
        for library, function in {pair: None for need in found for pair in need.libraries}:
            signature = self._signature(library, function)
            params = [core for type_ in signature.params for core in flats(type_)]
            index = module.import_func(library, function, params, flats(signature.result))
            self._libraries[library, function] = index

    def _signature(self, library: str, function: str) -> LibFunction:
        known = self.unit.libraries.get(library)
        if known is None or function not in known.functions:
            raise InternalError(f"nothing is known about the library function {library}.{function}")
        return known.functions[function]

    def _make_globals(self) -> None:
        getters: set[str] = set()
        for variable, names in self.unit.globals.items():
            kinds = flats(variable.type)
            pairs = zip(kinds, self._starts[variable], strict=True)
            indices = tuple(self.module.global_(kind, value) for kind, value in pairs)
            for name, index in zip(names, indices, strict=True):
                self.module.export_global(name, index)
            self._globals[variable] = indices
        for call, names in self.unit.initials.values():
            self._initials[id(call)] = indices = tuple(
                self.module.global_(kind, 0) for kind in flats(call.type)
            )
            for name, index in zip(names, indices, strict=True):
                self.module.export_global(name, index)
        for variable, indices in self._globals.items():
            self._getter(variable, indices, getters)

    def _flatten(self, type: vt.Type, value: object) -> list[float]:
        if isinstance(type, vt.TupleT) and value is not None:
            pairs = zip(type.items, value, strict=True)  # type: ignore[call-overload]
            return [flat for item, part in pairs for flat in self._flatten(item, part)]
        if type == vt.STR:
            return list(self.unit.string(str(value))) if value else [0, 0]
        return [value or 0] if not is_handle(type) else [0]  # type: ignore[list-item]

    def _getter(self, variable: t.Variable, indices: Sequence[int], taken: set[str]) -> None:
        """Several scripts may have a global of one name: the first has the plain getter."""
        name = f"get_{variable.name}"
        if variable.name.startswith(HIDDEN):
            return
        if name in taken:
            script = self.unit.scripts.names[variable.script : variable.script + 1]
            name = f"{name}@{script[0] if script else variable.script}"
        if name in taken:
            return
        taken.add(name)
        f = self.module.func((), flats(variable.type))
        for index in indices:
            f.global_get(index)
        self.module.export_func(name, f.index)

    def _declare(self) -> None:
        for function, name in self.unit.functions.items():
            params = [core for p in function.params for core in flats(p.type)]
            f = self.module.func(params, flats(function.result))
            self._users[function] = f
            self.module.export_func(name, f.index)
        for function, f in self._users.items():
            compile_function(f, function, UnitEnv(self))

    def _write_init(self) -> Func:
        f = self.module.func()
        body = Body(f, UnitEnv(self))
        for variable, indices in self._globals.items():
            if is_handle(variable.type):
                make(body, variable.type)
                f.global_set(indices[0])
        body.block(self._init)
        for start in self.unit.starts:
            self._start(body, start)
        body.block(self._probes("begin"))
        return f

    def _state_first(self, init: Func) -> None:
        """The runtime is told where static data ends, known when everything else is written."""
        head = Func(0, 0, ())
        head.i32(self.unit.area.end)
        head.call(self._functions["state_init"])
        if self.unit.task_vars is not None:
            for number in self.unit.task_vars:
                head.i32(number)
            head.call(self._functions["task_init"])
        init.code[:0] = head.code

    def _start(self, body: Body, start: CellStart | t.LibCall) -> None:
        if isinstance(start, CellStart):
            (evaluate,) = _at_once([t.Evaluate(start.value)])
            assert isinstance(evaluate, t.Evaluate)
            cell = t.Variable("cell", start.type, t.Kind.CELL)
            places: dict[t.Variable, Place] = {
                variable: Memory(None, address) for variable, address in start.cells.items()
            }
            env = UnitEnv(self, cells={**places, cell: Memory(None, start.address)})
            inner = Body(body.f, env, body.pool)
            inner.block([t.Assign(t.Var(start.type, cell), evaluate.value)])
            return
        (stmt,) = _at_once([t.Evaluate(start)])
        assert isinstance(stmt, t.Evaluate)
        body.expr(stmt.value)
        for index in reversed(self._initials[id(start)]):
            body.f.global_set(index)

    def _write_report(self) -> None:
        """``report`` does what is done at the end, ``progress`` the part that may be done often."""
        progress, f = self.module.func(), self.module.func()
        if self.unit.slots:
            self._run_pushes(progress)
        body = Body(progress, UnitEnv(self))
        for row in () if self._replaced else self.unit.rows:
            report.emit(body, row, self._descriptors)
        for counts in self.unit.counts:
            report.emit_counts(body, counts, self.unit.area.reserve(8 * counts.count))
        if self._hosted is not None:
            self._hosted.check(f)
        body = Body(f, UnitEnv(self))
        running = self._unless_running(f, progress)
        body.block(self._end)
        body.block(self._report)
        f.call(progress.index)
        if running is not None:
            f.i32(0)
            f.global_set(running)
        self.module.export_func("report", f.index)
        if self._probes(TICK) or self._probes(INTERVAL):
            self.module.export_func(BEAT, self._write_beat().index)
        self.module.export_func("progress", progress.index)

    def _write_beat(self) -> Func:
        """(time in nanoseconds): what fires now and then.  Of intervals that have gone by unseen
        nothing is made up for."""
        f = self.module.func(("i64",))
        body = Body(f, UnitEnv(self))
        body.block(self._probes(TICK))
        for probe in self.unit.scripts.probes:
            if probe.package != INTERVAL:
                continue
            due = self.module.global_("i64", -1)
            f.get(0)
            f.global_get(due)
            f.op("i64.ge_u")
            with f.if_():
                self._next(f, due, int(probe.event))
                body.block(self._bodies([probe]))
                f.else_()
                f.global_get(due)
                f.i64(-1)
                f.op("i64.eq")
                with f.if_():
                    f.get(0)
                    f.i64(int(probe.event))
                    f.op("i64.add")
                    f.global_set(due)
        return f

    def _next(self, f: Func, due: int, length: int) -> None:
        """The first end of an interval that is still to come."""
        f.global_get(due)
        f.get(0)
        f.global_get(due)
        f.op("i64.sub")
        f.i64(length)
        f.op("i64.div_u")
        f.i64(1)
        f.op("i64.add")
        f.i64(length)
        f.op("i64.mul", "i64.add")
        f.global_set(due)

    def _unless_running(self, f: Func, progress: Func) -> int | None:
        """What runs at the end may end the program, which reports: then it is not run again."""
        if self._functions.keys().isdisjoint(LEAVING):
            return None
        running = self.module.global_("i32", 0)
        f.global_get(running)
        with f.if_():
            f.call(progress.index)
            f.op("return")
        f.i32(1)
        f.global_set(running)
        return running

    def _run_pushes(self, f: Func) -> None:
        table = self.module.table(self.unit.slots)
        self.module.export_table("pushes", table)
        self.module.export_func("push_cell", self._functions["st64"])
        kind = self.module.type_index((), ())
        for slot in range(self.unit.slots):
            f.i32(slot)
            f.table_get(table)
            f.ref_is_null()
            f.op("i32.eqz")
            with f.if_():
                f.i32(slot)
                f.call_indirect(kind, table)

    # --- for UnitEnv ---

    def function(self, name: str) -> int:
        return self._functions[name]

    def library(self, library: str, function: str) -> int:
        return self._libraries[library, function]

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        return self._initials[id(call)]

    def user(self, function: t.Function) -> int:
        return self._users[function].index

    def global_(self, variable: t.Variable) -> tuple[int, ...]:
        return self._globals[variable]

    def guest(self, memory: t.Expr | None) -> Guest:
        """A memory by its number, imported when first asked for."""
        numbers = self.unit.memories
        ref = numbers.named(memory)
        if ref.kind == "state":
            return STATE
        if ref not in self._memories:
            type_ = numbers.type_of(ref)
            module, name = PROGRAM, f"{LENT}{ref.number}"
            if ref.kind == "library":
                module, name = ref.name, numbers.libraries[ref.name].export
            index = self.module.import_memory(module, name, type_)
            self._memories[ref] = Guest(index, type_.is64, type_.page_size_log2)
        return self._memories[ref]

    def fact(self, node: t.Builtin) -> t.Const:
        found = fold_expr(node, self.unit.memories.facts)
        if not isinstance(found, t.Const):
            raise WeaveError(f"what {node.name} is asked about must be known when weaving")
        return found


class UnitEnv:
    """Inside of the unit: everything is at hand but the guests' memories."""

    def __init__(
        self,
        module: UnitModule,
        bound: dict[str, tuple[int, ...]] | None = None,
        statics: dict[str, tuple[int, ...]] | None = None,
        cells: dict[t.Variable, Place] | None = None,
    ) -> None:
        self._module = module
        self._bound, self._statics, self._cells = bound or {}, statics or {}, cells or {}
        self.memory: int | None = 0
        self.function, self.user = module.function, module.user
        self.library, self.global_ = module.library, module.global_

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        raise InternalError(f"@init {call.library}.{call.function} was not moved")

    def cell(self, variable: t.Variable) -> Place:
        found = self._cells.get(variable)
        return found or Memory(None, self._module.unit.held[variable])

    def bound(self, name: str) -> tuple[int, ...]:
        return self._bound[name]

    def static(self, f: Func, node: t.Static) -> None:
        for index in self._statics[node.name]:
            f.get(index)

    def string(self, text: str) -> tuple[int, int]:
        return self._module.unit.string(text)

    def print_site(self, stmt: t.Print | t.LibCall | t.Builtin) -> int:
        return self._module.unit.print_site(stmt)

    def guest(self, memory: t.Expr | None) -> Guest | None:
        return self._module.guest(memory)

    def wit(self, f: Func, expr: t.Expr) -> None:
        raise InternalError("a WIT value has to be passed to a body of the script unit")

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        raise InternalError(f"{type(stmt).__name__} cannot be done from the script unit")

    def builtin(self, f: Func, node: t.Builtin) -> None:
        if node.name not in FACTS:
            raise InternalError(f"{node.name} cannot be called from the script unit")
        f.i32(self._module.fact(node).value)  # type: ignore[arg-type]
