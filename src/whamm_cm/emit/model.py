"""What a probe module is built from: one ``Wrapper`` per canonical definition to observe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent.layout import Flush
from whamm_cm.analysis.site import Encoding, Kind
from whamm_cm.dataclass import dataclass
from whamm_cm.lang import tree
from whamm_cm.wasm.asm import FuncType
from whamm_cm.wit.preview1 import Function
from whamm_cm.wit.types import ListT, Resource, ValType

#: ``note``: a record of the end of a stream or future that was made or dropped.
Action = Literal["record", "count", "note", "none"]
Mode = Literal["none", "values", "headers"]
#: What a wrapper does for tasks (``tasks.py``): ``enter`` begins one, ``callback`` goes on with it,
#: ``return`` and ``cancel`` answer for it, ``spawn`` makes a thread of it, ``get`` and ``set`` are
#: its guest's context; what ``start`` and ``copy`` called may be over later, which ``wait`` and
#: ``ask`` are told.
Role = Literal[
    "",
    "enter",
    "callback",
    "return",
    "cancel",
    "get",
    "set",
    "start",
    "copy",
    "wait",
    "poll",
    "spawn",
    "ask",
]
#: A ``root`` export begins a request, an ``inner`` one goes on with that of its caller, which may
#: be another component of ours that a ``crossing`` call is made from.
Request = Literal["", "root", "inner", "crossing"]
EventMode = Literal["before", "after", "alt", "cancel", "end"]
#: An exported global of the script unit: its name and core type.
ExportedGlobal = tuple[str, str]
Cell = tuple[ExportedGlobal, ...] | int


@dataclass(frozen=True, slots=True)
class Redact:
    """Which values stay in the guest.

    ``values``: every string and ``list<u8>``, but the first element of a ``tuple<string, X>``;
    ``headers``: X of each ``tuple<string, X>`` whose string is the name of a secret HTTP header.
    ``gate``: index of a string parameter; when it is such a name, the parameters after it and the
    result are redacted as by ``values``.
    """

    params: Mode = "none"
    result: Mode = "none"
    gate: int | None = None

    def hides_param(self, index: int) -> bool:
        """Whether parameter ``index`` may be a secret."""
        return self.params != "none" or (self.gate is not None and index > self.gate)

    @property
    def hides_result(self) -> bool:
        return self.result != "none" or self.gate is not None


@dataclass(frozen=True, slots=True)
class Called:
    """The call that a probe is about which stands elsewhere: where the tasks of an export return,
    are cancelled or end.  ``number`` is that of the export in its component, and in the entry of
    such a task (``layout.Entry.EXPORT``)."""

    number: int
    signature: CoreSig
    params: tuple[tuple[str, ValType], ...] = ()
    ptr: int = 4


@dataclass(frozen=True, slots=True)
class EventProbe:
    """A probe of a script on this boundary, checked for its function and folded.

    Bound variables: the parameters by WIT name with ``_`` for ``-`` and as ``arg0``…, ``self``;
    ``result`` and ``is_err`` in ``after`` and, once ``proceed()`` has run, in ``alt``; ``call_id``;
    ``task``; in ``after``, ``cancel`` and ``end`` ``elapsed``.  ``cells``: where its ``unshared``
    and ``report`` variables lie: in globals of the script unit, or at an address of its memory.
    ``title`` begins what is said when the probe cannot stand here.  Probes run in the order they
    are given in.  ``called``: the export it is about, where the wrapper is not that export's.
    """

    mode: EventMode
    body: tuple[tree.Stmt, ...]
    predicate: tree.Expr | None = None
    cells: Mapping[tree.Variable, Cell] = field(default_factory=dict)
    title: str = ""
    called: Called | None = None


@dataclass(frozen=True, slots=True)
class ScriptLink:
    """The script unit as a probe module sees it: ``script`` among its imports.

    Of what is listed here only what the probes use gets imported, and runtime functions by their
    names, which ``use`` is told.  ``users`` and ``libraries``: export name and core type of
    functions.  ``initials``: by the identity of an ``@init`` call.  ``string`` puts text into the
    unit: (address, bytes); ``print_site`` is the site number of a print statement.  ``task_vars``:
    there are variables of tasks, which are to be freed.
    """

    users: Mapping[tree.Function, tuple[str, FuncType]] = field(default_factory=dict)
    libraries: Mapping[tuple[str, str], tuple[str, FuncType]] = field(default_factory=dict)
    initials: Mapping[int, tuple[ExportedGlobal, ...]] = field(default_factory=dict)
    globals: Mapping[tree.Variable, tuple[ExportedGlobal, ...]] = field(default_factory=dict)
    use: Callable[[str], object] = len
    string: Callable[[str], tuple[int, int]] | None = None
    print_site: Callable[[tree.Print | tree.LibCall | tree.Builtin], int] | None = None
    task_vars: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """Records are made of one request in ``rate``.  ``start``: where the generator begins, None:
    drawn anew.  ``seeded``: the module gets random bits of the host; ``clocked``: it may read the
    clock, which its records need not have; ``shared``: other components ask, too."""

    rate: int
    start: int | None = None
    seeded: bool = False
    clocked: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One wrapped core function.

    ``signature`` is the core function's type, ``params`` and ``result`` its component-level types
    (core values as ``Prim`` for a built-in).  ``memory`` indexes the module's memories; it may be
    None only when no value lies in memory.  ``slot`` is the counter of a ``count`` action.  With
    ``may_flush`` off nothing ever leaves the instance from this wrapper, nor is a clock asked: its
    records have no times.  ``flush_before``: how to flush right before the callee runs, None not
    to; ``flush_outside``: flush after a call that no export of the component is behind, as from a
    start function or a destructor.  ``relayed``: the return of this export need not push, for that
    of another component's export does.

    ``probes`` are a script's; those of an async lift that run ``after`` stand at wrappers of
    ``task.return``, where ``result`` is the parameter, and are among the ``later`` ones of the
    lift, which is number ``export`` of its component.  ``answer``: the type of the ``task.return``
    by which a probe can answer for an async lift, ``probe.t<k>``.  ``realloc``: the canon names
    one, and the module gets it as ``probe.r<k>``.  ``resources``: the types this component defines
    itself: its functions get them borrowed as representations, which nobody has to drop.

    ``drops``: resources whose handles can be dropped for the caller, by ``probe.d<k>.<i>``.

    ``known``: a function of WASI preview 1, whose values are where that says.

    ``role``: where the module knows tasks; ``due_at``: where in the agent's table the function is
    for when a call of this wrapper is over later.  ``elements``: of a read or write of a stream or
    future, what is copied as a list.  ``request``: what is to be known where requests are sampled.
    """

    site: int
    kind: Kind
    action: Action
    signature: CoreSig
    params: tuple[tuple[str, ValType], ...] = ()
    result: ValType | None = None
    is_async: bool = False
    callback: bool = False
    memory: int | None = None
    ptr: int = 4
    encoding: Encoding = "utf8"
    slot: int = 0
    redact: Redact | None = None
    flush_before: Flush | None = None
    may_flush: bool = True
    flush_outside: bool = False
    relayed: bool = False
    probes: tuple[EventProbe, ...] = ()
    realloc: bool = False
    resources: frozenset[Resource] = frozenset()
    role: Role = ""
    due_at: int = 0
    export: int = 0
    answer: CoreSig | None = None
    later: tuple[EventProbe, ...] = ()
    elements: ListT | None = None
    known: Function | None = None
    drops: tuple[Resource, ...] = ()
    request: Request = ""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """Settings of a whole probe module.

    ``max_string`` counts bytes, ``max_list`` elements.  Counters 0..``count_n`` belong to sites
    ``count_base``.. and are reported by the final flush.  With ``interval_ns`` a timed record also
    sends what is buffered when that much time has passed since the last such sending.  Without
    ``emit`` nothing is ever sent; with ``chunked`` it is told a block's size in chunks
    (``agent.layout.CHUNK``), else in bytes.  ``push_empty``: others have sent records that wait
    for the return of this component's exports, so that return pushes even with nothing of its own.
    ``script``: the unit that the wrappers' probes use and that reports at the final flush; with
    ``beats`` also while the program runs.  ``mark`` and ``brief`` as in ``weave.plan.Plan``.
    ``last``: the agent has a table for a function that sends all before the end
    (``weave.last_words``).
    ``last_at``: where in that table.  ``context``: the core type of slot 0 of the context, where
    wrappers know tasks; ``due``: whether calls may be over later; ``logged``: whether records are
    made of calls of tasks; ``threads``: whether tasks may have several; ``lasting``: whether they
    may go on after their answer without the host.  ``sampling``: None where records are made of
    all requests.  ``alone``: nothing is asynchronous, and the unit is told of calls of exports, for
    scripts ask for tasks.  ``whole``: what is recorded of values that hold no secrets has no limit
    but what a record of them may grow to.
    """

    timed: bool = False
    multi_memory: bool = True
    flush_each: bool = False
    emit: bool = True
    chunked: bool = False
    push_empty: bool = False
    max_string: int = 256
    max_list: int = 32
    interval_ns: int = 0
    count_base: int = 0
    count_n: int = 0
    script: ScriptLink | None = None
    mark: int | None = None
    brief: bool = False
    beats: bool = False
    last: bool = False
    last_at: int = 0
    context: str = ""
    due: bool = False
    logged: bool = True
    threads: bool = False
    lasting: bool = False
    sampling: Sampling | None = None
    alone: bool = False
    whole: bool = False
