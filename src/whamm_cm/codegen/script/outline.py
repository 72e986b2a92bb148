"""Bodies as functions of the script unit that many sites share.

Two bodies have one *shape* when they differ only in what is passed to them: static facts, bound
variables, WIT values, literals in keys and arguments, and the cells of the site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from whamm_cm.codegen.asm import Func
from whamm_cm.codegen.script.body import WIT_PATHS, compile_expr
from whamm_cm.codegen.script.env import Env, Memory, Pool
from whamm_cm.codegen.script.types import flats
from whamm_cm.errors import InternalError
from whamm_cm.lang import tree as t
from whamm_cm.lang.walk import PARTS, Node, walk

_INLINE_BUILTINS = frozenset(
    {"strcmp", "strcontains", "read_str", "write_str", "memcpy", "mem_size", "dup_at",
     "resolve_funcref"}
)  # fmt: skip
_LIFTING = (t.MapGet, t.Call, t.LibCall, t.Assign, t.Sample, t.TupleMake)


@dataclass(frozen=True, slots=True)
class CellAddress:
    """An argument: where the site's cell lies in state memory."""

    variable: t.Variable


Argument: TypeAlias = t.Expr | CellAddress


@dataclass(frozen=True, slots=True)
class Outlined:
    """What a site calls: push ``args``, call the export, set ``results`` (assigned bound
    variables) from what it returns; ``call`` does all that."""

    export: str
    args: tuple[Argument, ...]
    results: tuple[t.Bound, ...]

    @property
    def params(self) -> tuple[str, ...]:
        return tuple(
            core
            for arg in self.args
            for core in (("i32",) if isinstance(arg, CellAddress) else flats(arg.type))
        )

    @property
    def result_types(self) -> tuple[str, ...]:
        return tuple(core for bound in self.results for core in flats(bound.type))

    def call(self, f: Func, env: Env, index: int, pool: Pool | None = None) -> None:
        """Call it as function ``index`` of the module that ``f`` is in."""
        for arg in self.args:
            if isinstance(arg, CellAddress):
                _push_cell(f, env, arg.variable)
            else:
                compile_expr(f, arg, env, pool)
        f.call(index)
        for bound in reversed(self.results):
            for local in reversed(env.bound(bound.name)):
                f.set(local)


def _push_cell(f: Func, env: Env, variable: t.Variable) -> None:
    place = env.cell(variable)
    if not isinstance(place, Memory):
        raise InternalError(f"the cell {variable.name} is not in state memory")
    f.i32(place.offset)
    if place.base is not None:
        f.get(place.base)
        f.op("i32.add")


def outlinable(stmts: Sequence[t.Stmt]) -> bool:
    """Can these statements run in a function elsewhere?  Not what acts on the site or reaches
    into the program's memory."""
    for node in walk(*stmts):
        if isinstance(node, t.Act | t.Trace | t.Return):
            return False
        if isinstance(node, t.Builtin) and node.name in _INLINE_BUILTINS:
            return False
        if isinstance(node, WIT_PATHS) and any(isinstance(n, t.Var | t.Call) for n in walk(node)):
            return False
    return True


def assigned(stmts: Sequence[t.Stmt]) -> tuple[t.Bound, ...]:
    """The bound variables that the statements assign, in order of appearance."""
    found: dict[str, t.Bound] = {}
    for node in walk(*stmts):
        target = getattr(node, "target", None)
        while isinstance(target, t.TupleGet):
            target = target.operand
        if isinstance(target, t.Bound):
            found.setdefault(target.name, target)
    return tuple(found.values())


class Shape:
    """``stmts`` with everything passable renamed to parameters: equal shapes, equal ``key``."""

    def __init__(self, stmts: Sequence[t.Stmt], pool: dict[object, t.Variable]) -> None:
        self.args: list[Argument] = []
        self._pool = pool
        self._names: dict[object, str] = {}
        self._variables: dict[t.Variable, t.Variable] = {}
        self.cells: list[tuple[t.Variable, int]] = []
        """Canonical cell variables with the number of the argument that is their address."""
        self.bound: list[tuple[str, int]] = []
        self.statics: list[tuple[str, int]] = []
        self.stmts: tuple[t.Stmt, ...] = tuple(self._copy(stmt) for stmt in stmts)
        self.results = assigned(stmts)
        self.key: object = (
            self.stmts,
            tuple(self._names["b", bound.name] for bound in self.results),
            tuple("i32" if isinstance(a, CellAddress) else str(a.type) for a in self.args),
        )

    def _copy(self, node: Any, lift: bool = False) -> Any:
        if isinstance(node, (t.Static, *WIT_PATHS)) or _is_initial(node):
            return self._static(node)
        if isinstance(node, t.Const):
            passed = (lift or isinstance(node.value, float)) and not isinstance(node.value, dict)
            return self._static(node) if passed else replace(node, span=t.NOWHERE)
        if isinstance(node, t.Bound):
            return self._bound(node)
        changed: dict[str, object] = {}
        lifting = isinstance(node, _LIFTING)
        for name in PARTS[type(node)]:
            part = getattr(node, name)
            if isinstance(part, tuple):
                changed[name] = tuple(self._copy(child, lifting) for child in part)
            elif part is not None:
                changed[name] = self._copy(part, lifting)
        if isinstance(node, t.Var | t.Declare | t.For):
            changed["variable"] = self._variable(node.variable)
        if not isinstance(node, t.Print | t.LibCall):  # their span tells the site
            changed["span"] = t.NOWHERE
        return replace(node, **changed)

    def _name(self, identity: object, arg: Argument, found: list[tuple[str, int]]) -> str:
        if identity not in self._names:
            self._names[identity] = name = f"${len(self.args)}"
            found.append((name, len(self.args)))
            self.args.append(arg)
        return self._names[identity]

    def _static(self, node: t.Expr) -> t.Static:
        """A name of its own for each literal and path, one for each static fact."""
        identity = ("s", node.name) if isinstance(node, t.Static) else ("a", len(self.args))
        return t.Static(node.type, self._name(identity, node, self.statics))

    def _bound(self, node: t.Bound) -> t.Bound:
        return t.Bound(node.type, self._name(("b", node.name), node, self.bound))

    def _variable(self, variable: t.Variable) -> t.Variable:
        if variable.kind is t.Kind.GLOBAL:
            return variable
        if variable not in self._variables:
            number = len(self._variables)
            key = (number, variable.type, variable.kind)
            same = self._pool.setdefault(
                key, t.Variable(f"v{number}", variable.type, variable.kind)
            )
            self._variables[variable] = same
            if variable.kind is t.Kind.CELL:
                self.cells.append((same, len(self.args)))
                self.args.append(CellAddress(variable))
        return self._variables[variable]


def _is_initial(node: Node) -> bool:
    return isinstance(node, t.LibCall) and node.annotation == "init"
