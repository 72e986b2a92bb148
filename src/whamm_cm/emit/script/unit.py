"""The script unit: one module with the globals, functions and report of a script.

It is made while a component is woven: sites ask for cells and rows, and get names of exports and
addresses; ``encode`` then writes the module.  Exports: ``g<k>`` (one wasm global per
flat of a script global), ``get_<name>``, ``f<k>`` (user functions),
``i<k>`` (results of ``@init`` calls), ``report``, ``pushes`` (the table of the guests' push
functions), ``push_cell``, and ``init`` unless it is the start function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

from whamm_cm.agent import layout
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.data import StaticArea
from whamm_cm.emit.script.env import MAPS, TEXTS
from whamm_cm.emit.script.memories import Numbering
from whamm_cm.emit.script.report import CellRow, CountRow, GlobalRow, Row
from whamm_cm.emit.script.types import LEAF_SIZE, flats, is_handle, size_of
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.numbers import zero

PrintSite = Callable[[t.Print | t.LibCall | t.Builtin], int]


@dataclass(frozen=True, slots=True)
class UnitParts:
    """``wasm``: the generated module.  ``state``: state.wasm with room for the static data, to be
    linked under the module name "state"; None when nothing needs it.  ``libraries``: (library,
    function) pairs the module imports, the library being the module name."""

    wasm: bytes
    state: bytes | None
    libraries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CellStart:
    """A cell whose first value is computed at initialisation; ``cells``: where those are that it
    may read."""

    address: int
    type: vt.Type
    value: t.Expr
    cells: Mapping[t.Variable, int] = field(default_factory=dict)


class ScriptUnit:
    """``print_site``: the site number for what a statement prints (asked with the statement's own
    span).  ``libraries``: signatures of the libraries the scripts use."""

    def __init__(
        self,
        scripts: t.Scripts,
        print_site: PrintSite | None = None,
        libraries: Mapping[str, LibSignature] | None = None,
    ) -> None:
        self.scripts, self.libraries = scripts, libraries or {}
        self.print_site: PrintSite = print_site or (lambda stmt: 0)
        self.memories = Numbering([])
        self.area = StaticArea()
        self.globals: dict[t.Variable, tuple[str, ...]] = {}
        self.functions: dict[t.Function, str] = {}
        self.starts: list[CellStart | t.LibCall] = []
        self.rows: list[Row] = []
        self.counts: list[CountRow] = []
        #: Addresses of the cells of code that is nowhere but in the unit.
        self.held: dict[t.Variable, int] = {}
        self.extra: dict[str, None] = {}
        self.initials: dict[int, tuple[t.LibCall, tuple[str, ...]]] = {}
        self.slots = 0
        self._indices = 0
        self._flats = 0
        declared = [stmt for stmt in scripts.globals if isinstance(stmt, t.Declare)]
        for stmt in declared:
            if stmt.variable.kind is not t.Kind.TASK:
                self.global_(stmt.variable)
        #: Address and size of what the variables of a task start with, if there are any; behind
        #: that are those of code outside of tasks, and those of calls (``emit/alone.py``).
        self.task_vars = self._task_vars([s for s in declared if s.variable.kind is t.Kind.TASK])
        for function in scripts.functions:
            self.user_function(function)

    def _task_vars(self, declared: Sequence[t.Declare]) -> tuple[int, int] | None:
        if not declared:
            return None
        size = sum(size_of(stmt.variable.type) for stmt in declared)
        first = self.area.reserve(3 * size)
        for stmt in declared:
            if isinstance(stmt.init, t.Const):
                for start in (first, first + size):
                    at = start + LEAF_SIZE * stmt.variable.leaf
                    self.area.fill(at, stmt.variable.type, stmt.init.value)
        return first, size

    def string(self, text: str) -> tuple[int, int]:
        """Address and length of a static string."""
        return self.area.string(text)

    def global_(self, variable: t.Variable) -> tuple[str, ...]:
        """The exports that hold a global variable, one per flat."""
        if variable not in self.globals:
            kinds = flats(variable.type)
            self.globals[variable] = tuple(f"g{self._flats + i}" for i in range(len(kinds)))
            self._flats += len(kinds)
        return self.globals[variable]

    def user_function(self, function: t.Function) -> str:
        """The export of a function of the script."""
        return self.functions.setdefault(function, f"f{len(self.functions)}")

    def use(self, name: str) -> str:
        """Note that other modules import a runtime function; its name is its export's."""
        self.extra[name] = None
        return name

    def cells(self, type: vt.Type, count: int = 1) -> int:
        """The address of ``count`` new zeroed cells, ``types.size_of(type)`` bytes apart."""
        return self.area.reserve(size_of(type) * count)

    def cell_start(
        self,
        address: int,
        type: vt.Type,
        value: t.Expr,
        cells: Mapping[t.Variable, int] | None = None,
    ) -> None:
        """The initialiser of one cell, with the site's static facts folded in; it may read the
        ``cells`` at those addresses."""
        if isinstance(value, t.Const):
            self.area.fill(address, type, value.value)
        else:
            self.starts.append(CellStart(address, type, value, cells or {}))

    def at_init(self, call: t.LibCall) -> tuple[str, ...]:
        """Make an ``@init`` call once, in order with ``cell_start``: the exports ``i<k>`` that will
        hold its result.  Ask again with the same object for the same ones."""
        if id(call) not in self.initials:
            start = sum(len(names) for _, names in self.initials.values())
            names = tuple(f"i{start + i}" for i in range(len(flats(call.type))))
            self.initials[id(call)] = (call, names)
            self.starts.append(call)
        return self.initials[id(call)][1]

    def index_range(self, count: int) -> int:
        """The first of ``count`` places where ``report_cell`` remembers what it sent last."""
        self._indices += count
        return self._indices - count

    def push_slot(self) -> int:
        """A slot of the table ``pushes`` for a guest's () -> () push function."""
        self.slots += 1
        return self.slots - 1

    def report_global(self, site: int, variable: t.Variable) -> None:
        self.global_(variable)
        index = 0 if is_handle(variable.type) else self.index_range(1)
        self.rows.append(GlobalRow(site, variable, index))

    def report_cells(
        self, site: int, type: vt.Type, address: int, count: int = 1, first: int = 0
    ) -> None:
        """``count`` cells of a row, from ``cells``, number ``first`` first."""
        if count:
            index = self.index_range(count)
            self.rows.append(CellRow(site, type, address, count, index, first))

    def counters(self, site: int, first: int, count: int) -> int:
        """Where new counters of a core module lie, number ``first`` first, 8 bytes each."""
        address = self.area.reserve(8 * count)
        last = self.counts[-1] if self.counts else None
        if last is None or (last.site, last.first + last.count, last.end) != (site, first, address):
            last = CountRow(site, first, address)
            self.counts.append(last)
        last.count += count
        return address

    def first_values(self) -> dict[t.Variable, object]:
        """What the wasm globals start with: constant initialisers are there from the start."""
        found: dict[t.Variable, object] = {}
        for stmt in self.scripts.globals:
            if not isinstance(stmt, t.Declare) or stmt.variable not in self.globals:
                continue
            if isinstance(stmt.init, t.Const):
                found[stmt.variable] = stmt.init.value
        for variable in self.globals:
            found.setdefault(variable, zero(variable.type))
        return found


def state_module(pages: int, wanted: Iterable[str] = ()) -> bytes:
    """The variant of state.wasm with these functions, with a memory of at least that many pages."""
    from whamm_cm.wasm.leb import unsigned

    texts, maps = (not known.keys().isdisjoint(wanted) for known in (TEXTS, MAPS))
    variant = "-all" if texts and maps else "-texts" if texts else "-maps" if maps else ""
    raw = layout.load_wasm(f"state{variant}.wasm")
    if pages <= layout.STATE_PAGES:
        return raw
    old = b"\5\3\1\0" + unsigned(layout.STATE_PAGES)
    at = raw.index(old)
    memory = b"\1\0" + unsigned(pages)
    return raw[:at] + b"\5" + unsigned(len(memory)) + memory + raw[at + len(old) :]
