"""The checked script: a small typed tree that every later step works on.

The checker (``check.py``) makes it from the syntax tree: names are resolved to :class:`Variable`
objects, derived bound variables (``effective_addr``, ``target`` …) are replaced by their
definitions, ``x++`` and ``x += e`` by :class:`Update`, string methods and ``==`` on strings by
:class:`Builtin`.  ``fold.py`` evaluates it partially, ``emit/script`` makes instructions of it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.layout import Layout
from whamm_cm.lang.source import ScriptError, WrittenRule
from whamm_cm.lang.src_node import Src as Src
from whamm_cm.lang.src_types import SourceUse
from whamm_cm.lang.valtypes import Type
from whamm_cm.wit.types import FuncT, ValType

if TYPE_CHECKING:
    from whamm_cm.lang.places import SourceRule

# --- places in the source ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` of script number ``script``."""

    script: int
    start: int
    end: int


NOWHERE = Span(0, 0, 0)


# --- variables -----------------------------------------------------------------------------------


class Kind(enum.Enum):
    GLOBAL = "global"  # one for all probes
    LOCAL = "local"  # fresh at each firing; also parameters of fn
    CELL = "cell"  # unshared: one per match site
    TASK = "task"  # one for each task
    FRAME = "frame"  # one for each time a function runs
    MEANING = "meaning"  # none at all: a name for an expression
    LITERAL = "literal"  # the same, of a literal that takes its type from where it stands


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """One declaration.  Identity counts: two variables of one name are two variables."""

    name: str
    type: Type
    kind: Kind
    report: bool = False
    script: int = 0
    span: Span = NOWHERE
    #: Of a variable of tasks: how many scalars and strings of others lie before it.
    leaf: int = 0
    #: What a constant or an element of a list stands for; no checked body holds such variables.
    meaning: Expr | None = None


# --- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    """``value``: int (already in the range of ``type``), float, bool, str, or a tuple of them."""

    type: Type
    value: object
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Static:
    """A bound variable known at match time: ``fid``, ``pc``, ``opname``, ``imm0`` …"""

    type: Type
    name: str
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound variable known when the probe fires: ``arg0``, ``local3``, ``res0``, a parameter."""

    type: Type
    name: str
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Var:
    type: Type
    variable: Variable
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Unary:
    """``op``: ``!`` (bool), ``~`` (integers), ``-`` (numbers)."""

    type: Type
    op: str
    operand: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Binary:
    """Both operands have one type (shifts too).  ``&&`` and ``||`` short-circuit."""

    type: Type
    op: str
    left: Expr
    right: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Cast:
    """``operand as type`` between numbers and bool."""

    type: Type
    operand: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Ternary:
    type: Type
    condition: Expr
    then: Expr
    otherwise: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class TupleMake:
    type: Type
    items: tuple[Expr, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class TupleGet:
    type: Type
    operand: Expr
    index: int
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class MapGet:
    """A missing key reads zero (empty, false)."""

    type: Type
    map: Expr
    key: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Call:
    """A user function, by its object."""

    type: Type
    function: Function
    args: tuple[Expr, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class LibCall:
    """``annotation``: "" (now), "static" (at match time), "init" (once, at initialisation)."""

    type: Type
    library: str
    function: str
    args: tuple[Expr, ...]
    annotation: str = ""
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of the compiler; ``name`` is a key of ``lang.builtins.BUILTINS``."""

    type: Type
    name: str
    args: tuple[Expr, ...]
    span: Span = NOWHERE


# WIT paths.  Each is total: a case that is not there, an index past the end or a pointer outside of
# memory reads zero, false or the empty string.


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record or a member of a tuple, by position; ``operand`` is a WIT value."""

    type: Type
    operand: Expr
    index: int
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Payload:
    """``x.case`` of a variant, ``x.some``, ``x.ok``, ``x.error``: by position of the case."""

    type: Type
    operand: Expr
    case: int
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class IsCase:
    """``x is case``; an enum compared with a name; type bool."""

    type: Type
    operand: Expr
    case: int
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class HasFlag:
    """``x has "name"``: bit ``index`` of a flags value."""

    type: Type
    operand: Expr
    index: int
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Element:
    """``l[i]`` of a list."""

    type: Type
    operand: Expr
    index: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Length:
    """``len(l)`` of a WIT list or string, u32 (bytes for strings: as the guest encodes them)."""

    type: Type
    operand: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Scalar:
    """A WIT scalar, string, handle or enum as a script value: bool, number, char (u32), string
    (str), handle/stream/future (u32), enum (u32, the case number), flags (u32, up to 32)."""

    type: Type
    operand: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a whole WIT value, as ``trace`` shows it; type str."""

    type: Type
    operand: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Format:
    """Text and values in order, joined: type str."""

    type: Type
    parts: tuple[Expr, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of ``Format`` or ``Print`` with a layout; never anything else."""

    type: Type
    operand: Expr
    layout: Layout
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class WitConst:
    """A constant of a WIT type (``type`` is a WitT), only as the value of ``Return`` at a boundary;
    ``value`` in the shapes of ``abi.values``.  Its hash and equality are those of identity: the
    value may be a list."""

    type: Type
    value: object = field(compare=False)
    span: Span = NOWHERE


Expr: TypeAlias = (
    Const | WitConst | Static | Bound | Var | Unary | Binary | Cast | Ternary | TupleMake
    | TupleGet | MapGet | Call | LibCall | Builtin | Field | Payload | IsCase | HasFlag | Element
    | Length | Scalar | Text | Format | Shown | Src
)  # fmt: skip

# --- statements ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declare:
    """Without ``init`` the variable starts at zero.  A cell's initialiser runs once per site."""

    variable: Variable
    init: Expr | None = None
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Assign:
    """``target``: Var, Bound, or TupleGet / MapGet leading to one."""

    target: Expr
    value: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Update:
    """``target op= value``; keys in ``target`` are evaluated once."""

    target: Expr
    op: str
    value: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Sample:
    """``target = hist(value)`` and the like: add one i64 to an aggregation (Var or MapGet)."""

    target: Expr
    value: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...] = ()
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class While:
    """Leaves after a million rounds: a probe must not hang the guest."""

    condition: Expr
    body: tuple[Stmt, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class For:
    """``for i in low..high``: all of one integer type; ``high`` is not reached.  At most a million
    rounds."""

    variable: Variable
    low: Expr
    high: Expr
    body: tuple[Stmt, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Entries:
    """``for k in m`` and ``for (k, v) in m``: the entries there are when it begins, in the order in
    which they came, but for those deleted before their turn."""

    map: Expr
    key: Variable
    value: Variable | None
    body: tuple[Stmt, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Delete:
    target: MapGet
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Clear:
    """``target``: a map or an aggregation."""

    target: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Jump:
    """Out of the innermost loop, or ``on`` to its next round."""

    on: bool
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression for its effect; a value is dropped."""

    value: Expr
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Return:
    """In a function: its result.  In an ``alt`` probe of an opcode: what the instruction leaves.
    At a WIT boundary: the answer, without calling."""

    value: Expr | None = None
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Trace:
    """Write the full typed record of this call."""

    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Print:
    """``parts``: text and values in order, ``Shown`` those with a layout."""

    parts: tuple[Expr, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Draw:
    """``print(m);``, ``print(m, 10);``: a map or an aggregation as the table of a report shows it,
    under its ``title``; ``limit``: so many entries, a u32."""

    target: Expr
    title: str
    limit: Expr | None = None
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Act:
    """What an ``alt`` probe does.  ``what``: ``proceed`` ``fail`` (the case's number)
    ``delay`` (ms) at a boundary; ``drop_args`` ``alt_call_by_id`` ``alt_call_by_name`` at an
    opcode."""

    what: str
    args: tuple[Expr, ...] = ()
    span: Span = NOWHERE


Stmt: TypeAlias = (
    Declare | Assign | Update | Sample | If | While | For | Entries | Delete | Clear | Jump
    | Evaluate | Return | Trace | Print | Draw | Act
)  # fmt: skip

# --- the script ----------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Function:
    """A user function.  ``body`` is filled in after its signature, so that it may recurse."""

    name: str
    params: tuple[Variable, ...]
    result: Type
    body: tuple[Stmt, ...] = ()
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One expanded probe: one event, one mode.

    ``number`` counts expanded probes of a script in order of expansion, ``rule`` is the expanded
    rule as reports show it (``wasm:opcode:br_if:before``, ``wasm:func:entry:<no-mode>``).
    ``bounds``: type bounds by bound variable, explicit ones and those the body implies; a site
    where one of them has another type (or none) does not match.
    """

    number: int
    rule: str
    script: int
    package: str  # "opcode", "func", "block", "line", "source", "begin", "end", "report", "wit"
    event: str  # mnemonic, "entry", "exit", "start", "end", or ""
    mode: str  # "before", "after", "alt", "entry", "exit", "at_target", or ""
    bounds: Mapping[str, Type]
    predicate: Expr | None
    body: tuple[Stmt, ...]
    span: Span = NOWHERE
    chosen: bool = False  # one of several that have other types for the parameters of the rule
    #: Of a probe at places of the source: which ones.
    source: SourceRule | None = None
    reads: SourceUse | None = None  # of the program's source: its body is not all there
    #: The only places where it fires: module (its id), defined function, opidx and mode.
    places: frozenset[tuple[int, int, int, str]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WitRule:
    """A probe on WIT boundaries, checked anew for each function it matches (their types differ).

    ``reports``: it declares a ``report`` variable.  ``matches`` says whether a function is meant.
    """

    number: int
    rule: str
    script: int
    mode: str  # "before", "after", "alt", "cancel"; of tasks also "end"
    span: Span
    reports: bool
    matches: Callable[[WitSite], bool]
    check: Callable[[WitRule, WitSite], Probe]
    #: What is misspelt in it, given all functions of the component, or None without one.
    mistake: Callable[[Sequence[WitSite] | None], ScriptError | None]
    package: str = ""  # of an event of provider wasm: "task", "stream", "future"

    def at(self, site: WitSite) -> Probe:
        """The probe at one boundary function, checked against its types.

        ``Bound`` nodes are called like the parameters, with "_" for "-" (``arg0`` becomes the name
        too), ``result``, ``call_id`` and ``elapsed``.  Raises ScriptError when the script does not
        fit the function.
        """
        return self.check(self, site)


@dataclass(frozen=True, slots=True)
class WitSite:
    """A boundary function as a script sees it (``version`` "" when it has none).

    ``names``: all it goes by, as (interface, version, func); rules match any of them, while the
    script is told the one at the root of the component.
    """

    direction: str
    interface: str
    version: str
    func: str
    resource: str
    component: str
    is_async: bool
    type: FuncT
    names: tuple[tuple[str, str | None, str], ...] = ()
    #: Whether calls of it are tasks of this component.
    enters: bool = False
    #: Of a read or write of a stream or future: that it is one, and what it copies.
    copies: bool = False
    elements: ValType | None = None


@dataclass(frozen=True, slots=True)
class Scripts:
    """Several scripts, checked together.  ``globals``: declarations with initialisers and top-level
    statements of all scripts, in order; ``libraries`` in order of use."""

    globals: tuple[Stmt, ...] = ()
    functions: tuple[Function, ...] = ()
    probes: tuple[Probe, ...] = ()
    wit_rules: tuple[WitRule, ...] = ()
    libraries: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the scripts: "script0", …
    #: What is legal and surely not meant, in the form of errors.
    warned: tuple[ScriptError, ...] = ()
    #: By the ``span`` of their probes, in order.
    written: Mapping[Span, WrittenRule] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What :attr:`warned` says."""
        return tuple(map(str, self.warned))
