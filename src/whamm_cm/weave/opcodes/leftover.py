"""What is left of a probe at a kind of site, made ready: batched, or compiled to a template."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.compile import needs
from whamm_cm.emit.script.env import Needs
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.walk import walk
from whamm_cm.weave.opcodes.match import Left

_SCALARS = frozenset(("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bool"))
_WIDE = frozenset(("u32", "i32", "u64", "i64"))  # sums of which may be made at once


@dataclass(frozen=True, slots=True)
class Increment:
    """``variable += amount``, all that happens to it here; of a bool, ``variable = true``."""

    variable: t.Variable
    amount: int


def increments(left: Left, counters: Collection[t.Variable]) -> tuple[Increment, ...] | None:
    """The increments a body consists of, None when it does anything else.

    ``counters``: the globals that nobody reads while the program runs.
    """
    if left.predicate is not None:
        return None
    found: dict[t.Variable, int] = {}
    for stmt in left.body:
        if isinstance(stmt, t.Declare):
            if stmt.init is not None and not isinstance(stmt.init, t.Const):
                return None
            if stmt.init is not None and stmt.variable.type == vt.BOOL:
                return None
            continue
        increment = _increment(stmt) or _mark(stmt)
        if increment is None or not _free(increment.variable, counters):
            return None
        before = found.get(increment.variable, 0)
        marks = increment.variable.type == vt.BOOL
        found[increment.variable] = 1 if marks else before + increment.amount
    return tuple(Increment(*item) for item in found.items()) or None


def _free(variable: t.Variable, counters: Collection[t.Variable]) -> bool:
    return variable.kind is t.Kind.CELL or variable in counters


#: Variables that are no counters, as they live for a while only.
_NOT_COUNTED = (t.Kind.LOCAL, t.Kind.TASK, t.Kind.FRAME)


def _increment(stmt: t.Stmt) -> Increment | None:
    """``stmt`` as an increment of a variable by a constant."""
    if not isinstance(stmt, t.Update) or stmt.op not in ("+", "-"):
        return None
    target, value = stmt.target, stmt.value
    if not (isinstance(target, t.Var) and isinstance(value, t.Const)):
        return None
    if str(target.type) not in _WIDE or target.variable.kind in _NOT_COUNTED:
        return None
    amount = value.value
    assert isinstance(amount, int)
    return Increment(target.variable, amount if stmt.op == "+" else -amount)


def _mark(stmt: t.Stmt) -> Increment | None:
    """``stmt`` as ``cell = true``."""
    if not isinstance(stmt, t.Assign) or not isinstance(stmt.target, t.Var):
        return None
    variable, value = stmt.target.variable, stmt.value
    marks = isinstance(value, t.Const) and value.value is True
    if not marks or variable.kind is not t.Kind.CELL or variable.type != vt.BOOL:
        return None
    return Increment(variable, 1)


def pure_counters(stmts: Iterable[t.Stmt | t.Expr]) -> frozenset[t.Variable]:
    """The globals that ``stmts`` do nothing with but add constants."""
    seen: set[t.Variable] = set()
    read: set[t.Variable] = set()
    for stmt in stmts:
        skip: set[int] = set()
        for node in walk(stmt):
            if isinstance(node, t.Update) and _increment(node) is not None:
                skip.add(id(node.target))
            elif isinstance(node, t.Var) and node.variable.kind is t.Kind.GLOBAL:
                (seen if id(node) in skip else read).add(node.variable)
    return frozenset(seen - read)


@lru_cache(maxsize=4096)
def cell_inits(left: Left) -> dict[t.Variable, t.Expr | None]:
    """The cells of a body with their initialisers as they are folded here."""
    inits: dict[t.Variable, t.Expr | None] = dict.fromkeys(left.cells)
    for node in walk(*left.body):
        if isinstance(node, t.Declare) and node.variable in inits:
            inits[node.variable] = node.init
    return inits


@lru_cache(maxsize=4096)
def frame_variables(left: Left) -> tuple[t.Variable, ...]:
    """The variables of frames that a body mentions, each once."""
    nodes = walk(*left.body) if left.predicate is None else walk(left.predicate, *left.body)
    found = (node.variable for node in nodes if isinstance(node, t.Var))
    return tuple(dict.fromkeys(v for v in found if v.kind is t.Kind.FRAME))


@lru_cache(maxsize=4096)
def guest_cells(left: Left) -> frozenset[t.Variable]:
    """The cells that can be globals of the guest: scalars that start with a constant and that no
    other cell starts with."""
    inits = cell_inits(left)
    used = {
        node.variable
        for init in inits.values()
        if init is not None
        for node in walk(init)
        if isinstance(node, t.Var)
    }
    return frozenset(v for v, init in inits.items() if v not in used and _in_guest(v, init))


def _in_guest(variable: t.Variable, init: t.Expr | None) -> bool:
    constant = init is None or isinstance(init, t.Const)
    return constant and isinstance(variable.type, vt.Prim) and variable.type.name in _SCALARS


#: Bound to the local of a function that says when it was entered.
ENTERED = "entered"


def needs_of(left: Left) -> Needs:
    """What the module around the body must import."""
    memory_cells = len(guest_cells(left)) < len(left.cells)
    found = needs(left.body, predicate=left.predicate, cells_in_memory=memory_cells)
    if ENTERED in left.bound:
        found.functions["now"] = None
    return found


def cell_width(variable: t.Variable) -> int:
    """How many globals a cell takes."""
    return len(flats(variable.type))
