"""The script unit as seen from a probe module: what is imported of it, and the environment that
script bodies in wrappers are compiled for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from whamm_cm.emit.memory import Agent, Guest
from whamm_cm.emit.model import Cell, EventProbe, ExportedGlobal, ProbeOptions, ScriptLink, Wrapper
from whamm_cm.emit.paths import embedded, mentions, normal_probes, walk
from whamm_cm.emit.script.compile import compile_body, compile_expr
from whamm_cm.emit.script.env import FUNCTIONS, Globals, Memory, Place, Recorder
from whamm_cm.emit.texts import State
from whamm_cm.emit.wit_texts import NEEDS as WHOLE
from whamm_cm.emit.wit_values import Values, is_text, wit_type
from whamm_cm.errors import InternalError, WeaveError
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType

_UNIT = "script"
_READ = tree.IsCase | tree.HasFlag | tree.Length | tree.Scalar | tree.Text


class _Recorder(Recorder):
    """Also follows the expressions that the wrapper evaluates, and knows where cells lie."""

    def __init__(self, memory: int | None) -> None:
        super().__init__(memory)
        self.cells: dict[tree.Variable, Cell] = {}

    def cell(self, variable: tree.Variable) -> Place:
        found = super().cell(variable)
        return Memory(None, 8) if isinstance(self.cells[variable], int) else found

    def read(self, probe: EventProbe) -> None:
        self.cells = dict(probe.cells)
        f = Func(0, 0, ())
        compile_body(f, probe.body, self)
        exprs = [*embedded((probe.predicate, probe.body))]
        if probe.predicate is not None:
            exprs.append(probe.predicate)
        for expr in exprs:
            if not isinstance(expr.type, vt.WitT):
                compile_expr(f, expr, self)


class ScriptImports:
    """Everything of the script unit that the probes of a module use; ``report`` of every unit."""

    def __init__(self, module: Module, wrappers: Sequence[Wrapper], options: ProbeOptions) -> None:
        self._module, self._link = module, options.script or ScriptLink()
        recorder = _Recorder(0 if options.multi_memory else None)
        probes = [probe for w in wrappers for probe in normal_probes(w)]
        for probe in probes:
            recorder.read(probe)
        self.needs = recorder.needs
        texts = any(map(_has_text, probes))
        if texts:
            for name in ("tmp",) if options.multi_memory else ("tmp", "st8", "st64", "ld8u"):
                self.needs.functions[name] = None
        if any(map(_has_whole, probes)):
            self.needs.functions.update(dict.fromkeys(WHOLE))
        if self._link.task_vars and options.context:
            self.needs.functions["task_over"] = None
        if options.alone:
            self.needs.functions["task_alone"] = None
            if any(mentions((probe.predicate, probe.body), "task") for probe in probes):
                self.needs.functions["task_now"] = None
        for name in self.needs.functions:
            self._link.use(name)
        self.memory: int | None = None
        if options.multi_memory and (self.needs.memory or texts):
            self._link.use("state_init")  # whoever has it has the memory
            self.memory = module.import_memory(_UNIT, "memory", MemoryType())
        self.report: int | None = None
        if options.script is not None and options.emit:
            self.report = module.import_func(_UNIT, "report")
        #: () -> how many events until it is to be called again.
        self.tick: int | None = None
        if self.report is not None and options.beats:
            self.tick = module.import_func(_UNIT, "tick", (), ("i32",))
        self.functions = {
            name: module.import_func(_UNIT, name, *FUNCTIONS[name]) for name in self.needs.functions
        }
        self.users = {user: self._import(self._link.users[user]) for user in self.needs.users}
        self.libraries = {
            key: self._import(self._link.libraries[key]) for key in self.needs.libraries
        }
        self._globals: dict[ExportedGlobal, int] = {}
        self._state: State | None = None
        for found in self._used_globals(probes):
            for exported in found:
                self.exported(exported)

    def _import(self, found: tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> int:
        return self._module.import_func(_UNIT, found[0], *found[1])

    def _used_globals(self, probes: Sequence[EventProbe]) -> Iterable[tuple[ExportedGlobal, ...]]:
        yield from (self._link.globals[variable] for variable in self.needs.globals)
        yield from (self._link.initials[call] for call in self.needs.initials)
        for probe in probes:
            yield from (cell for cell in probe.cells.values() if not isinstance(cell, int))

    def exported(self, exported: ExportedGlobal) -> int:
        """The index of a global of the unit."""
        if exported not in self._globals:
            self._globals[exported] = self._module.import_global(_UNIT, *exported)
        return self._globals[exported]

    def state(self) -> State:
        """Where strings of the guest go.  Only for modules whose probes use some."""
        if self._state is None:
            puts = {"put8": "st8", "put64": "st64"}
            imports = {
                put: self.functions[name] for put, name in puts.items() if name in self.functions
            }
            access = Agent(self._module, self.memory, imports)
            load8 = self.functions.get("ld8u")
            self._state = State(access, self.memory, load8, self.functions["tmp"])
        return self._state

    def global_(self, variable: tree.Variable) -> tuple[int, ...]:
        return tuple(map(self.exported, self._link.globals[variable]))

    def initial(self, call: tree.LibCall) -> tuple[int, ...]:
        return tuple(map(self.exported, self._link.initials[id(call)]))

    def string(self, text: str) -> tuple[int, int]:
        if self._link.string is None:
            raise InternalError("a string, but no script unit to hold it")
        return self._link.string(text)

    def print_site(self, stmt: tree.Print | tree.LibCall | tree.Builtin) -> int:
        if self._link.print_site is None:
            raise InternalError("a print statement, but no script unit to print it")
        return self._link.print_site(stmt)


def _has_text(probe: EventProbe) -> bool:
    return any(
        isinstance(node, tree.Text)
        or (isinstance(node, tree.Scalar | tree.Length) and is_text(wit_type(node.operand)))
        for node in walk((probe.predicate, probe.body))
    )


def _has_whole(probe: EventProbe) -> bool:
    return any(isinstance(node, tree.Text) for node in walk((probe.predicate, probe.body)))


class Firing(Protocol):
    """The probe that runs, as far as what it says must be asked of the wrapper around."""

    guest: Guest | None
    values: Values

    def bound(self, name: str) -> tuple[int, ...]: ...
    def act(self, f: Func, stmt: tree.Act | tree.Return | tree.Trace) -> None: ...


class ProbeEnv:
    """One probe in one wrapper, as the script compiler's ``Env``."""

    def __init__(self, script: ScriptImports, events: Firing, probe: EventProbe) -> None:
        self._script, self._events, self._probe = script, events, probe

    @property
    def memory(self) -> int | None:
        return self._script.memory

    def function(self, name: str) -> int:
        return self._script.functions[name]

    def user(self, function: tree.Function) -> int:
        return self._script.users[function]

    def library(self, library: str, function: str) -> int:
        return self._script.libraries[library, function]

    def initial(self, call: tree.LibCall) -> tuple[int, ...]:
        return self._script.initial(call)

    def global_(self, variable: tree.Variable) -> tuple[int, ...]:
        return self._script.global_(variable)

    def cell(self, variable: tree.Variable) -> Place:
        cell = self._probe.cells[variable]
        if isinstance(cell, int):
            return Memory(None, cell)
        return Globals(tuple(map(self._script.exported, cell)))

    def bound(self, name: str) -> tuple[int, ...]:
        return self._events.bound(name)

    def static(self, f: Func, node: tree.Static) -> None:
        raise InternalError(f"'{node.name}' is known at weave time and should have been folded")

    def string(self, text: str) -> tuple[int, int]:
        return self._script.string(text)

    def print_site(self, stmt: tree.Print | tree.LibCall | tree.Builtin) -> int:
        return self._script.print_site(stmt)

    def guest(self, memory: tree.Expr | None) -> Guest | None:
        if memory is not None:
            raise WeaveError(
                "a boundary probe reaches no memory by its number; values are read by their WIT"
                " names, and memories in probes on opcodes"
            )
        return self._events.guest

    def wit(self, f: Func, expr: tree.Expr) -> None:
        if not isinstance(expr, _READ):
            raise InternalError(f"{type(expr).__name__} is a WIT value, not a script's")
        self._events.values.push(f, expr)

    def act(self, f: Func, stmt: tree.Act | tree.Return | tree.Trace) -> None:
        self._events.act(f, stmt)

    def builtin(self, f: Func, node: tree.Builtin) -> None:
        raise WeaveError(f"{node.name} belongs to opcode events and has no meaning here")
