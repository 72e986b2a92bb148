"""What a body needs from where it stands, and finding out what that is before it stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func

_I, _II, _III, _IIII = ("i32",), ("i32",) * 2, ("i32",) * 3, ("i32",) * 4
FuncType = tuple[tuple[str, ...], tuple[str, ...]]

#: The functions of state.wasm: parameters and results.
RUNTIME: dict[str, FuncType] = {
    "state_init": (_I, ()),
    "alloc": (_I, _I), "free": (_I, ()), "tmp": (_I, _I), "str_keep": (_II, _I),
    "task_init": (_II, ()), "task_number": ((), _I), "task_vars": ((), _I), "task_over": (_I, ()),
    "str_eq": (_IIII, _I), "str_starts": (_IIII, _I), "str_ends": (_IIII, _I),
    "str_contains": (_IIII, _I),
    "map_new": (_III, _I), "map_at": (_I, _I), "map_get": (_I, _I), "map_size": (_I, _I),
    "map_at_one": (("i32", "i64"), _I), "map_add_one": (("i32", "i64", "i64"), ()),
    "agg_new": (_I, _I), "agg_add": (("i32", "i64"), ()),
    "rec_begin": (("i32", "i64"), _I), "rec_put": (("i32", "i32", "i64"), ()),
    "rec_str": (_II, ()), "rec_end": (_I, ()),
    "report_cell": (("i32", "i64", "i32", "i32", "i64"), ()),
    "report_counts": (("i32",) * 5, ()),
    "report_map": (("i32", "i64", "i32", "i32", "i32"), ()),
    "report_agg": (("i32", "i64", "i32"), ()),
    "print_begin": (_I, ()), "print_str": (_II, ()), "print_i64": (("i64",), ()),
    "print_u64": (("i64",), ()), "print_f64": (("f64",), ()), "print_f32": (("f32",), ()),
    "print_bool": (_I, ()), "print_char": (_I, ()), "print_end": ((), ()),
    "print_end_raw": ((), ()),
    "raw_print": (_III, ()), "print_exp64": (("f64",), ()), "print_exp32": (("f32",), ()),
    "print_map": (("i32",) * 5, ()),
    "ld8u": (_I, _I), "ld16u": (_I, _I), "ld32": (_I, _I), "ld64": (_I, ("i64",)),
    "ldf32": (_I, ("f32",)), "ldf64": (_I, ("f64",)),
    "st8": (_II, ()), "st16": (_II, ()), "st32": (_II, ()), "st64": (("i32", "i64"), ()),
    "stf32": (("i32", "f32"), ()), "stf64": (("i32", "f64"), ()),
}  # fmt: skip

#: Those of state-texts.wasm besides.
TEXTS: dict[str, FuncType] = {
    "text_begin": ((), ()), "text_end": ((), ("i64",)), "print_end_at": (("i64",), ()),
    "print_mark": ((), ()), "print_pad": (_III, ()), "print_first": (_III, ()),
    "print_number": (("i64", "i32"), ()), "print_plus": (("f64",), ()),
    "print_real": (("f64", "i32", "i32"), ()),
    "str_find": (_IIII, _I), "str_slice": (_IIII, ("i64",)),
    "str_split": (("i32",) * 5, ("i64",)), "str_trim": (_II, ("i64",)),
    "str_matches": (_III, _I), "str_lower": (_II, ("i64",)),
    "str_upper": (_II, ("i64",)), "str_to_int": (_II, ("i64",)),
    "print_full": ((), _I), "print_bad": (("i64",), ()), "print_redacted": (("i64",), ()),
    "print_truth": (_I, ()), "print_quoted": (_II, ()), "print_bytes": (_II, ()),
    "print_letter": (_II, ()), "print_wit64": (("f64",), ()), "print_wit32": (("f32",), ()),
    "print_label": (_IIII, ()), "print_flags": (_IIII, ()), "print_ip6": (("i32",) * 8, ()),
}  # fmt: skip
RUNTIME.update(TEXTS)
#: Those of state-maps.wasm.
MAPS: dict[str, FuncType] = {
    "map_delete": (_II, ()), "map_clear": (_II, ()), "agg_clear": (_I, ()),
    "loop_new": (_I, _I), "loop_next": (_I, _I), "loop_end": (_I, ()),
    "lhist_new": (("i64",) * 3, _I), "draw": (("i32",) * 6, ()), "print_agg": (_II, ()),
}  # fmt: skip
RUNTIME.update(MAPS)
#: Functions that ask the world outside, by way of ``emit/clocks.py``.
OUTSIDE: dict[str, FuncType] = {
    "now": ((), ("i64",)), "wall": ((), ("i64",)), "rand": ((), _I),
}  # fmt: skip
#: Functions that end the program, of ``emit/leave.py``.
LEAVING: dict[str, FuncType] = {"exit": (_II, ()), "abort": (_III, ())}
#: Functions that know which task runs, of ``emit/alone.py``.
TASKS: dict[str, FuncType] = {
    "task_now": ((), _I), "task_own": ((), _I), "task_alone": (_I, ()),
}  # fmt: skip
FUNCTIONS = {**RUNTIME, **OUTSIDE, **LEAVING, **TASKS}


@dataclass(frozen=True, slots=True)
class Locals:
    """One local per flat."""

    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Globals:
    """One wasm global per flat."""

    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """Leaves in state memory at local ``base`` (None: zero) plus ``offset``."""

    base: int | None
    offset: int = 0


STATE = Guest(-1, False, 16)
"""What ``Env.guest`` answers for the memory that scripts keep their strings in."""

Place: TypeAlias = Locals | Globals | Memory


class Env(Protocol):
    """Where a body is compiled to.  ``memory``: index of the state memory in this module; None:
    it is reached by the ``ld*`` and ``st*`` functions."""

    @property
    def memory(self) -> int | None: ...

    def function(self, name: str) -> int:
        """Index of a runtime function (a key of ``FUNCTIONS``)."""

    def user(self, function: t.Function) -> int:
        """Index of a function of the script."""

    def library(self, library: str, function: str) -> int:
        """Index of a library function."""

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        """The globals that hold what this ``@init`` call has returned."""

    def global_(self, variable: t.Variable) -> tuple[int, ...]:
        """Indices of the wasm globals of a global variable."""

    def cell(self, variable: t.Variable) -> Place:
        """Where this site's cell is."""

    def bound(self, name: str) -> tuple[int, ...]:
        """The locals that hold a bound variable; assigning it sets them."""

    def static(self, f: Func, node: t.Static) -> None:
        """Push a static fact that was left open."""

    def string(self, text: str) -> tuple[int, int]:
        """Address and length in bytes of a static string in state memory."""

    def print_site(self, stmt: t.Print | t.LibCall | t.Builtin) -> int:
        """The number of the site that what is printed here belongs to."""

    def guest(self, memory: t.Expr | None) -> Guest | None:
        """The memory an expression names (None: the program's own); None when there is none."""

    def wit(self, f: Func, expr: t.Expr) -> None:
        """Push ``Scalar``, ``IsCase``, ``HasFlag``, ``Length``, ``Text`` or another WIT path."""

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        """What only the place can do; values are compiled with a ``Body`` of the caller."""

    def builtin(self, f: Func, node: t.Builtin) -> None:
        """Push the result of a builtin that the place knows (``memid``, ``dup_at`` …)."""


@dataclass(slots=True)
class Needs:
    """What the module around a body must import or hold.  Insertion order throughout."""

    functions: dict[str, None] = field(default_factory=dict)
    users: dict[t.Function, None] = field(default_factory=dict)
    libraries: dict[tuple[str, str], None] = field(default_factory=dict)
    initials: dict[int, t.LibCall] = field(default_factory=dict)
    globals: dict[t.Variable, None] = field(default_factory=dict)
    cells: dict[t.Variable, None] = field(default_factory=dict)
    bound: dict[str, None] = field(default_factory=dict)
    statics: dict[str, t.Static] = field(default_factory=dict)
    guests: bool = False
    memory: bool = False
    wit: bool = False
    acts: bool = False

    @property
    def light(self) -> bool:
        """No call and no state memory: as good inline as anywhere."""
        calls = self.functions or self.users or self.libraries
        return not (calls or self.memory or self.guests)


class Recorder:
    """An environment that only notes what it is asked for."""

    def __init__(self, memory: int | None, cells_in_memory: bool = False) -> None:
        self.needs = Needs()
        self._memory = memory
        self._cells_in_memory = cells_in_memory

    @property
    def memory(self) -> int | None:
        self.needs.memory = True
        return self._memory

    def function(self, name: str) -> int:
        self.needs.functions[name] = None
        return 0

    def user(self, function: t.Function) -> int:
        self.needs.users[function] = None
        return 0

    def library(self, library: str, function: str) -> int:
        self.needs.libraries[library, function] = None
        return 0

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        self.needs.initials[id(call)] = call
        return (0, 0, 0, 0)

    def global_(self, variable: t.Variable) -> tuple[int, ...]:
        self.needs.globals[variable] = None
        return _some(variable.type)

    def cell(self, variable: t.Variable) -> Place:
        self.needs.cells[variable] = None
        return Memory(None, 8) if self._cells_in_memory else Globals(_some(variable.type))

    def bound(self, name: str) -> tuple[int, ...]:
        self.needs.bound[name] = None
        return (0, 0, 0, 0)

    def static(self, f: Func, node: t.Static) -> None:
        self.needs.statics.setdefault(node.name, node)

    def string(self, text: str) -> tuple[int, int]:
        self.needs.memory = True
        return (0, 0)

    def print_site(self, stmt: t.Print | t.LibCall | t.Builtin) -> int:
        return 0

    def guest(self, memory: t.Expr | None) -> Guest | None:
        self.needs.guests = True
        return Guest(0, False, 16)

    def wit(self, f: Func, expr: t.Expr) -> None:
        self.needs.wit = True

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        self.needs.acts = True

    def builtin(self, f: Func, node: t.Builtin) -> None:
        self.needs.guests = True


def _some(type: vt.Type) -> tuple[int, ...]:
    return (0,) * len(flats(type))


class Pool:
    """Locals that bodies in one function take and give back.  What a local held is left in it."""

    def __init__(self, f: Func) -> None:
        self.f = f
        self._free: dict[str, list[int]] = {}

    def take(self, kind: str) -> int:
        free = self._free.get(kind)
        return free.pop() if free else self.f.local(kind)

    def take_all(self, kinds: Sequence[str]) -> tuple[int, ...]:
        return tuple(map(self.take, kinds))

    def give(self, kinds: Sequence[str], indices: Sequence[int]) -> None:
        for kind, index in zip(kinds, indices, strict=True):
            self._free.setdefault(kind, []).append(index)
