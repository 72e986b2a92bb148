"""Expressions and statements as instructions: a self-contained snippet in any function.

The snippet leaves the stack as it found it, declares its locals behind those of the function (and
takes them from a pool, so that the next snippet uses them again) and needs no block type with more
than one result.  Values are evaluated from left to right; what is assigned is evaluated before
the keys of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whamm_cm.emit.script.env import Env, Globals, Locals, Memory, Place, Pool
from whamm_cm.emit.script.types import LEAF_SIZE, flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.walk import Node, walk
from whamm_cm.wasm.asm import Func, Label

_LOUD = (
    t.MapGet | t.Call | t.LibCall | t.Builtin | t.Field | t.Payload | t.IsCase | t.HasFlag
    | t.Text | t.Format
)  # fmt: skip
WIT_PATHS = (t.Field, t.Payload, t.IsCase, t.HasFlag, t.Element, t.Length, t.Scalar, t.Text)
#: What compiles an expression or a statement of a class; ``expressions`` and ``statements``, which
#: the package imports, fill them in.
EXPRESSIONS: dict[type, Callable[[Body, Any], None]] = {}
STATEMENTS: dict[type, Callable[[Body, Any], None]] = {}


class Body:
    """Compiles into ``f``.  ``params``: script variables that already have locals.

    ``returns``: the result type inside of a function of the script; None in a probe, where
    ``return`` is for the place to act on.
    """

    def __init__(
        self,
        f: Func,
        env: Env,
        pool: Pool | None = None,
        params: dict[t.Variable, tuple[int, ...]] | None = None,
        returns: vt.Type | None = None,
    ) -> None:
        self.f, self.env, self.returns = f, env, returns
        self.pool = pool or Pool(f)
        self.params = params or {}
        self._locals: dict[t.Variable, tuple[int, ...]] = dict(self.params)
        #: Of the loops around: where leaving leads, and where the next round begins.
        self.loops: list[tuple[Label, Label]] = []
        #: The local with the rounds that are left to them, where there are any.
        self.rounds: int | None = None
        #: The locals with the loops through maps that we are in.
        self.walks: list[int] = []
        #: Where the variables of the task are, as they were asked for last.
        self._task: int | None = None

    # --- what the parts are made with ---

    def run(self, name: str) -> None:
        """Call a function of the runtime."""
        self.f.call(self.env.function(name))

    def quiet(self, node: Node) -> bool:
        """Does evaluating ``node`` leave maps, the key buffer and variables alone?"""
        return not any(isinstance(n, _LOUD | t.Element | t.Length | t.Scalar) for n in walk(node))

    def stash(self, type: vt.Type) -> tuple[int, ...]:
        """Move a value from the stack to locals; ``give`` them back."""
        held = self.pool.take_all(flats(type))
        for index in reversed(held):
            self.f.set(index)
        return held

    def stash_value(self, node: t.Expr) -> tuple[int, ...]:
        self.expr(node)
        return self.stash(node.type)

    def give(self, type: vt.Type, held: Sequence[int]) -> None:
        self.pool.give(flats(type), held)

    def get_all(self, held: Sequence[int]) -> None:
        for index in held:
            self.f.get(index)

    def variable(self, variable: t.Variable) -> Place:
        """Where a variable lies; locals come into being when first asked for."""
        if variable.kind is t.Kind.GLOBAL:
            return Globals(self.env.global_(variable))
        if variable.kind is t.Kind.CELL:
            return self.env.cell(variable)
        if variable.kind is t.Kind.TASK:
            return self._of_task(variable)
        if variable not in self._locals:
            self._locals[variable] = self.pool.take_all(flats(variable.type))
        return Locals(self._locals[variable])

    def _of_task(self, variable: t.Variable) -> Place:
        if self._task is None:
            self._task = self.pool.take("i32")
        self.run("task_own")
        self.f.set(self._task)
        return Memory(self._task, LEAF_SIZE * variable.leaf)

    def close(self) -> None:
        """Give the locals of script variables back; nothing may be compiled any more."""
        for variable, held in self._locals.items():
            if variable not in self.params:
                self.give(variable.type, held)
        self._locals = {}
        if self._task is not None:
            self.pool.give(("i32",), (self._task,))
            self._task = None

    # --- expressions ---

    def expr(self, node: t.Expr) -> None:
        """Push the flats of a value."""
        EXPRESSIONS[type(node)](self, node)

    def const(self, type: vt.Type, value: Any) -> None:
        if isinstance(type, vt.TupleT):
            for item, part in zip(type.items, value, strict=True):
                self.const(item, part)
        elif type == vt.STR:
            for number in self.env.string(value):
                self.f.i32(number)
        else:
            self.f.const(flats(type)[0], value)

    def zero(self, type: vt.Type) -> None:
        """Push what a variable starts with.  Strings start as (0, 0)."""
        for core in flats(type):
            self.f.const(core, 0)

    def block(self, stmts: Sequence[t.Stmt]) -> None:
        for stmt in stmts:
            STATEMENTS[type(stmt)](self, stmt)
