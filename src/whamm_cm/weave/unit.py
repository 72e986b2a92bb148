"""The script unit on its way into a component: what sites ask of it, and the module it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TypeGuard, TypeVar

from whamm_cm.agent.layout import STATE_PAGES
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.variables import Cells
from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.alone import build_alone
from whamm_cm.emit.clocks import build_clocks
from whamm_cm.emit.leave import WORDS, build_leave
from whamm_cm.emit.libglue import GUARD
from whamm_cm.emit.libwasi import TEXT_FUNCTIONS
from whamm_cm.emit.model import ScriptLink
from whamm_cm.emit.script.env import FUNCTIONS, LEAVING, RUNTIME
from whamm_cm.emit.script.memories import MemoryRef, Numbering
from whamm_cm.emit.script.types import flats, size_of
from whamm_cm.emit.script.unit import ScriptUnit, UnitParts
from whamm_cm.emit.script.unit_module import (
    BEAT,
    LEAVING_MODULE,
    OUTSIDE_MODULE,
    TASKS_MODULE,
    HostedCode,
    UnitModule,
    nowhere,
)
from whamm_cm.emit.tick import build_tick, no_tick
from whamm_cm.emit.way import build_way
from whamm_cm.errors import InternalError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.builtins import WHAMM_CORE
from whamm_cm.lang.intervals import BEATING, beat_of
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.forward import passed_on
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.libraries import definitions as library_definitions
from whamm_cm.weave.libraries import parts as library_parts
from whamm_cm.weave.libs.model import Functions
from whamm_cm.weave.opcodes.beat import LAST, TICK
from whamm_cm.weave.opcodes.memories import numbering
from whamm_cm.weave.opcodes.rows import variable_spec
from whamm_cm.weave.opcodes.unit import Function, Global
from whamm_cm.weave.plan import Plan, ScriptPlan

K = TypeVar("K")
V = TypeVar("V")

#: Packages whose probes stand in the unit.
ALONE = frozenset(("begin", "end", "report", *BEATING))
_EMPTY = b"\0asm\1\0\0\0"
_CHUNK = 64  # cells of a row that lie behind each other
_GENERATED, _STATE, _WAY, _OUT, _TICK = "script", "state", "way", "out", "tick"
_APART = "whamm-cm:state"  # no library can be called that


class _Lazy(Mapping[K, V]):
    """A mapping whose values are made when asked for."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make

    def __getitem__(self, key: K) -> V:
        return self._make(key)

    def __iter__(self) -> Iterator[K]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(slots=True)
class _Chunk:
    """Cells ``first`` … of a row at ``address``; ``used`` so far."""

    row: int
    type: vt.Type
    address: int
    first: int
    used: int = 0


@dataclass(slots=True)
class Beats:
    """``interval_ns`` between reports; ``each``: at every chance.  ``clock`` and ``guard``: there
    is a clock, and a flag that says where nothing may leave."""

    interval_ns: int
    each: bool = False
    clock: bool = False
    guard: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Beats | None:
        """None where nothing is reported before an export returns."""
        wanted = plan.sink != "none" and (plan.interval_ns or plan.last_words)
        return cls(plan.interval_ns, plan.flush_each) if wanted else None


def beating(plan: Plan) -> Plan:
    """With an interval at which is reported, where scripts have something that is to fire while
    the program runs."""
    length = 0 if plan.scripts is None else beat_of(plan.scripts.scripts.probes)
    return replace(plan, interval_ns=length) if length and not plan.interval_ns else plan


@dataclass(slots=True)
class UnitBuilder:
    """The unit of one weave (``opcodes.unit.Unit``); ``report`` rows go to ``builder``."""

    plan: ScriptPlan
    builder: SiteTableBuilder
    unit: ScriptUnit = field(init=False)
    placed: list[Definition] = field(default_factory=list)
    #: Where state.wasm is a module of its own, for the libraries that are components.
    states: list[Definition] = field(default_factory=list)
    beside: frozenset[str] = frozenset()
    chunked: bool | None = None
    prints: dict[tuple[int, str], int] = field(default_factory=dict)
    chunks: dict[tuple[int, str], _Chunk] = field(default_factory=dict)
    full: list[_Chunk] = field(default_factory=list)
    #: Addresses for cells that nobody reports.
    spare: list[int] = field(default_factory=list)
    wrapped: dict[tuple[str, str], t.Function] = field(default_factory=dict)
    initials: dict[int, t.LibCall] = field(default_factory=dict)
    library_sites: dict[str, int] = field(default_factory=dict)
    replaced: bool | None = None
    #: How reports leave while the program runs; None: they do not.
    beat: Beats | None = None
    #: The core type of slot 0 of the context, where code may ask for the task that runs.
    context: str = ""
    #: Libraries whose memories guests import.
    lent: dict[str, None] = field(default_factory=dict)

    #: Probes in the unit itself, for an engine to call.
    hosted: HostedCode | None = None

    def __post_init__(self) -> None:
        scripts = self.plan.scripts
        signatures = {name: library.signature for name, library in self.plan.libraries.items()}
        self.unit = ScriptUnit(scripts, self.print_site, signatures)
        self.unit.memories = numbering(None, self.plan.libraries)
        for stmt in scripts.globals:
            if isinstance(stmt, t.Declare) and self.reports(stmt.variable):
                self._report_global(stmt.variable)
        for name, library in self.plan.libraries.items():
            if library.prints:
                self.library_sites[name] = self.builder.add_print(name)
                for function in TEXT_FUNCTIONS:
                    self.unit.use(function)
        for defined in scripts.functions:  # compiled when the site table is closed
            self.announce(defined.body)
        for probe in scripts.probes:
            if probe.package in ALONE:
                self._hold_cells(probe)

    def _hold_cells(self, probe: t.Probe) -> None:
        """Give the cells of code that is in the unit alone their places and rows."""
        for node in walk(*probe.body):
            if _prints(node):
                self.print_site(node)
            if not isinstance(node, t.Declare) or node.variable.kind is not t.Kind.CELL:
                continue
            variable, row = node.variable, None
            init = None if node.init is None else nowhere(node.init)
            if self.reports(variable):
                cells = Cells()
                cells.add()
                row = self.builder.add_variable(
                    variable_spec(self.plan.scripts.names, variable, probe), cells
                )
            self.unit.held[variable] = self.cell(variable, init, row, 0, self.unit.held)

    def announce(self, body: Iterable[t.Stmt]) -> None:
        """Number what ``body`` prints, where that is compiled only later, and its ``@init``s."""
        for node in walk(*body):
            if isinstance(node, t.LibCall) and node.annotation == "init":
                self.initial(node)
            if _prints(node):
                self.print_site(node)

    def _report_global(self, variable: t.Variable) -> None:
        spec = variable_spec(self.plan.scripts.names, variable)
        self.unit.report_global(self.builder.add_variable(spec), variable)

    def reports(self, variable: t.Variable) -> bool:
        """Whether the report has the variable: not where ``wasm:report`` stands for it."""
        if self.replaced is None:
            self.replaced = any(p.package == "report" for p in self.plan.scripts.probes)
        return variable.report and not self.replaced

    # --- for sites ---

    def runtime(self, name: str) -> Function:
        return self.unit.use(name), FUNCTIONS[name]

    def globals_of(self, variable: t.Variable) -> tuple[Global, ...]:
        return _zip(self.unit.global_(variable), variable.type)

    def user(self, function: t.Function) -> Function:
        params = tuple(core for p in function.params for core in flats(p.type))
        return self.unit.user_function(function), (params, flats(function.result))

    def library(self, library: str, function: str) -> Function:
        """A function of the unit that calls the library's."""
        key = library, function
        if key not in self.wrapped:
            signature = self.unit.libraries[library].functions[function]
            params = tuple(
                t.Variable(f"p{i}", type_, t.Kind.LOCAL) for i, type_ in enumerate(signature.params)
            )
            args = tuple(t.Var(p.type, p) for p in params)
            call = t.LibCall(signature.result, library, function, args)
            body = t.Evaluate(call) if signature.result == vt.UNIT else t.Return(call)
            self.wrapped[key] = t.Function(
                f"{library}.{function}", params, signature.result, (body,)
            )
        return self.user(self.wrapped[key])

    def initial(self, call: t.LibCall) -> tuple[Global, ...]:
        self.initials[id(call)] = call
        return _zip(self.unit.at_init(call), call.type)

    def string(self, text: str) -> tuple[int, int]:
        return self.unit.string(text)

    def data(self, raw: bytes) -> int:
        return self.unit.area.put(raw)

    def memory(self, ref: MemoryRef) -> tuple[str, MemoryType]:
        """Code in a guest reaches it: the unit exports it."""
        if ref.kind == "state":
            self.runtime("state_init")
            return "memory", MemoryType(STATE_PAGES)
        self.lent[ref.name] = None
        return f"memory:{ref.name}", self.memories.libraries[ref.name].type

    def numbering(self, module: CoreModule) -> Numbering:
        return numbering(module, self.plan.libraries)

    @property
    def memories(self) -> Numbering:
        return self.unit.memories

    def print_site(self, stmt: t.Print | t.LibCall | t.Builtin) -> int:
        """Ways to end the program have sites of their own, by which they are known."""
        key = stmt.span.script, stmt.name if isinstance(stmt, t.Builtin) else ""
        if key not in self.prints:
            if key[1]:
                self.string(WORDS[key[1]])
            self.prints[key] = self.builder.add_print(self.plan.scripts.names[key[0]], key[1])
        return self.prints[key]

    def cell(
        self,
        variable: t.Variable,
        init: t.Expr | None,
        row: int | None,
        number: int,
        others: Mapping[t.Variable, int],
    ) -> int:
        """The address of a new cell in state memory, which is ``number`` of ``row`` in reports;
        ``init`` may read the cells at ``others``."""
        if row is None:
            address = self.unit.cells(variable.type)
        else:
            address = self._reported(variable.type, row, number)
        if init is not None:
            self.unit.cell_start(address, variable.type, init, dict(others))
        return address

    def _reported(self, type_: vt.Type, row: int, number: int) -> int:
        key = row, str(type_)
        chunk = self.chunks.get(key)
        if chunk is None or chunk.used == _CHUNK or number != chunk.first + chunk.used:
            if chunk is not None:
                self.full.append(chunk)
            chunk = _Chunk(row, type_, self.unit.cells(type_, _CHUNK), number)
            self.chunks[key] = chunk
        chunk.used += 1
        return chunk.address + (chunk.used - 1) * size_of(type_)

    def counters(self, site: int, first: int, count: int) -> int:
        return self.unit.counters(site, first, count)

    def unreported(self) -> int:
        if not self.spare:
            start = self.unit.area.reserve(8 * _CHUNK)
            self.spare += range(start, start + 8 * _CHUNK, 8)
        return self.spare.pop(0)

    def fill(self, address: int, type: vt.Type, value: object) -> None:
        self.unit.area.fill(address, type, value)

    def push_slot(self) -> int:
        return self.unit.push_slot()

    @property
    def link(self) -> ScriptLink:
        """The unit as probe modules see it."""
        return ScriptLink(
            users=_Lazy(self.user),
            libraries=_Lazy(lambda key: self.library(*key)),
            initials=_Lazy(lambda key: self.initial(self.initials[key])),
            globals=_Lazy(self.globals_of),
            use=self.unit.use,
            string=self.string,
            print_site=self.print_site,
            task_vars=self.unit.task_vars is not None,
        )

    # --- the module ---

    def encode(self) -> UnitParts:
        for chunk in (*self.full, *self.chunks.values()):
            self.unit.report_cells(chunk.row, chunk.type, chunk.address, chunk.used, chunk.first)
        self.full, self.chunks = [], {}
        return UnitModule(self.unit, self.hosted).encode()

    def module(self, chunked: bool, emit: bool) -> bytes:
        """The unit as one module: it imports ``agent`` and ``out``, and exports everything."""
        parts = self.encode()
        return self._linked(parts, self._runtime(parts.state, chunked, emit))

    def apart(self, chunked: bool, emit: bool) -> tuple[bytes, bytes]:
        """state.wasm with its way out, and the rest of the unit, which passes its exports on."""
        parts = self.encode()
        missing = {name for name, _ in parts.libraries} - self.plan.libraries.keys()
        if parts.state is None or missing:
            raise InternalError("a script unit without what its libraries need")
        state = link(self._runtime(parts.state, chunked, emit))
        passed = Part(_STATE, passed_on(CoreModule(state), _APART), _STATE, "all")
        return state, self._linked(parts, [passed], _STATE)

    def _linked(self, parts: UnitParts, runtime: Sequence[Part], way: str = _WAY) -> bytes:
        linked = [Part(_GENERATED, parts.wasm, _GENERATED, "all"), *runtime]
        asked = {i.name for i in CoreModule(parts.wasm).imports if i.module == OUTSIDE_MODULE}
        if asked:
            clocks = build_clocks({*asked, "now"}, self.time, now=self.timed, guard=self.has_guard)
            linked.append(Part(OUTSIDE_MODULE, clocks, OUTSIDE_MODULE, "all"))
        if any(i.module == TASKS_MODULE for i in CoreModule(parts.wasm).imports):
            alone = build_alone(self.unit.task_vars)
            linked.append(Part(TASKS_MODULE, alone, TASKS_MODULE, "all"))
        if any(i.module == LEAVING_MODULE for i in CoreModule(parts.wasm).imports):
            words = {n: self.string(WORDS[n]) for _, n in self.prints if n}
            leave = build_leave(_GENERATED, way, words)
            linked.append(Part(LEAVING_MODULE, leave, LEAVING_MODULE, "all"))
        if self.beat is not None:
            around = (OUTSIDE_MODULE,) * 2 if asked else (self.time, GUARD)
            beat = any(e.name == BEAT for e in CoreModule(parts.wasm).exports)
            tick = _tick(self.beat, way if runtime else None, *around, BEAT if beat else "")
            linked.append(Part(_TICK, tick, None, "all"))
        first = []
        for name in self._libraries(parts):
            if name in self.beside:
                continue
            library = self.plan.libraries[name]
            found = library_parts(library, self.library_sites.get(name, 0))
            if name in self.lent and library.memory is not None:
                lent = {library.memory: f"memory:{name}"}
                found = [replace(part, keep_exports=lent) for part in found]
            linked += found
            first += [part.name for part in found]
        return link(linked, start_order=[*first, _GENERATED])

    def _libraries(self, parts: UnitParts) -> list[str]:
        """The libraries whose functions or memory something uses."""
        memories = (i.module for i in CoreModule(parts.wasm).imported("memory"))
        shared = (name for name in memories if name in self.plan.libraries)
        return [*dict.fromkeys((*(name for name, _ in parts.libraries), *self.lent, *shared))]

    def front(
        self,
        agent: Item,
        emit: Item | None,
        chunked: bool,
        libraries: Functions,
        guard: Item | None = None,
        now: Item | None = None,
        context: Item | None = None,
        wall: Item | None = None,
    ) -> tuple[list[Definition], Item]:
        """The definitions that make an instance of the unit in a component; the module itself is
        put in when the whole tree is woven (``finished``).  ``libraries`` have the same functions
        in every component.  ``context``: the component's ``context.get``, if there is one."""
        if self.chunked not in (None, chunked):
            raise InternalError("two forms of blocks in one component")
        self.chunked = chunked
        module = build.core_module(_EMPTY)
        self.placed.append(module)
        own: list[Definition] = []
        if self.context and context is None:
            own = [build.context(self.context, False)[0]]
            context = own[0].item
        way = (
            *(("emit", emit), ("now", now), ("wall", wall)),
            ("context.get", context if self.context else None),
        )
        out = build.core_inline_exports([(name, item) for name, item in way if item is not None])
        args = [("agent", agent), (_OUT, out.item)]
        if guard is not None:
            args.append((GUARD, guard))
        if self.beat is not None:
            self.beat.clock, self.beat.guard = now is not None, guard is not None
        self.timed, self.has_guard = now is not None, guard is not None
        self.emits = emit is not None
        if libraries:
            return self._front_apart([*own, out], args, module, libraries, guard)
        instance = build.core_instantiate(module.item, args)
        return [module, *own, out, instance], instance.item

    def _front_apart(
        self,
        definitions: list[Definition],
        args: Sequence[tuple[str, Item]],
        unit: Definition,
        libraries: Functions,
        guard: Item | None,
    ) -> tuple[list[Definition], Item]:
        """The functions of ``libraries`` are lowered between state and unit: they need the one and
        the other needs them."""
        self.beside = frozenset(libraries)
        self.unit.use("state_init")
        module = build.core_module(_EMPTY)
        self.states.append(module)
        state = build.core_instantiate(module.item, args)
        definitions += (module, state)
        given = [(_APART, state.item), *args]
        for name, functions in libraries.items():
            library = self.plan.libraries[name].only(functions)
            embedded = library_definitions(library, state.item, 0, functions, guard)
            definitions += embedded.definitions
            given.append((name, embedded.instance))
        instance = build.core_instantiate(unit.item, given)
        return [*definitions, unit, instance], instance.item

    emits: bool = False
    #: Whether there is a clock, in the module of that name, and a flag that says where not to ask.
    timed: bool = False
    has_guard: bool = False
    time: str = _OUT

    def _runtime(self, state: bytes | None, chunked: bool, emit: bool) -> list[Part]:
        if state is None:
            return []
        way = build_way(chunked, emit, _OUT, self.context)
        return [Part(_STATE, state, _STATE, "all"), Part(_WAY, way, _WAY, {"flush": "flush"})]

    def finished(self, component: Component) -> Component:
        """``component`` with the unit where its place was kept."""
        if not self.placed:
            return component
        form = bool(self.chunked), self.emits
        state, unit = self.apart(*form) if self.beside else (_EMPTY, self.module(*form))
        modules = {id(d.node): unit for d in self.placed}
        return _replaced(component, modules | {id(d.node): state for d in self.states})


def _tick(beat: Beats, way: str | None, time: str, guard: str, fires: str) -> bytes:
    """``time`` and ``guard``: the parts that have the clock and the flag, if there are any;
    ``fires``: what of the unit is told the time."""
    if way is None:
        return no_tick()
    return build_tick(
        beat.interval_ns,
        _GENERATED,
        way,
        each=beat.each,
        clock=time if beat.clock else "",
        guard=guard if beat.guard else "",
        beat=fires,
    )


def _prints(node: t.Expr | t.Stmt) -> TypeGuard[t.Print | t.LibCall | t.Builtin]:
    if isinstance(node, t.Builtin):
        return node.name in LEAVING
    core = isinstance(node, t.LibCall) and node.library == WHAMM_CORE.name
    return core or isinstance(node, t.Print | t.Draw)


def _zip(names: tuple[str, ...], type_: vt.Type) -> tuple[Global, ...]:
    return tuple(zip(names, flats(type_), strict=True))


def _replaced(component: Component, modules: Mapping[int, bytes]) -> Component:
    definitions = []
    for definition in component.definitions:
        node = definition.node
        if isinstance(node, Component):
            definition = replace(definition, node=_replaced(node, modules))
        elif id(node) in modules:
            definition = replace(definition, node=CoreModule(modules[id(node)]))
        definitions.append(definition)
    return component.with_definitions(tuple(definitions))


def binder_module(slot: int, push: str, unit: str, beats: bool = False) -> bytes:
    """A module whose only deed is to put ``guest``'s export ``push`` into the table of ``unit``,
    and what that calls into the guest's table for it; with ``beats`` also what reports while the
    program runs."""
    module = Module()
    func = module.import_func("guest", push)
    put = module.import_func(unit, "push_cell", *RUNTIME["st64"])
    pushes = module.import_table(unit, "pushes", slot + 1)
    found = [put]
    if beats:
        found.append(module.import_func(unit, TICK, (), ("i32",)))
        found.append(module.import_func(unit, LAST))
    table = module.import_table("guest", push + "?", len(found))
    module.elements(slot, [func], pushes)
    module.elements(0, found, table)
    return module.encode()
