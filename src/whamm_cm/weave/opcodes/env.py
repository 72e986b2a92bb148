"""Script bodies inside a guest's own functions: the compiler's ``Env``, and what it imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Globals, Memory, Place
from whamm_cm.errors import InternalError, WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.weave.opcodes.imports import Imports
from whamm_cm.weave.opcodes.memories import dup_at, guest_of
from whamm_cm.weave.opcodes.tables import FUNCREF, LOOKS, Shadows, table_of, target_funcref
from whamm_cm.weave.opcodes.template import TemplateFunc


@dataclass(slots=True)
class GuestEnv:
    """One body at one kind of site.  ``cells``: places of its cells; ``saved``: slots by bound
    variable; ``act`` compiles what an ``alt`` probe does.  ``site``: an instruction of that kind;
    ``body`` compiles into ``f``."""

    imports: Imports
    shadows: Shadows
    f: TemplateFunc
    cells: Mapping[t.Variable, Globals | Memory]
    saved: Mapping[str, tuple[int, ...]]
    act_of: Callable[[Func, t.Act | t.Return | t.Trace], None] | None = None
    site: tuple[FunctionInfo, int] | None = None
    body: Body | None = None

    @property
    def memory(self) -> int | None:
        return self.imports.state

    def function(self, name: str) -> int:
        return self.imports.function(self.imports.unit.runtime(name))

    def user(self, function: t.Function) -> int:
        return self.imports.function(self.imports.unit.user(function))

    def library(self, library: str, function: str) -> int:
        return self.imports.function(self.imports.unit.library(library, function))

    def initial(self, call: t.LibCall) -> tuple[int, ...]:
        return self.imports.globals_(self.imports.unit.initial(call))

    def global_(self, variable: t.Variable) -> tuple[int, ...]:
        return self.imports.globals_(self.imports.unit.globals_of(variable))

    def cell(self, variable: t.Variable) -> Place:
        return self.cells[variable]

    def bound(self, name: str) -> tuple[int, ...]:
        if name == FUNCREF and self.site is not None:
            return (target_funcref(self, *self.site),)
        return self.saved[name]

    def static(self, f: Func, node: t.Static) -> None:
        assert isinstance(f, TemplateFunc)
        f.static(node)

    def string(self, text: str) -> tuple[int, int]:
        return self.imports.unit.string(text)

    def print_site(self, stmt: t.Print | t.LibCall) -> int:
        return self.imports.unit.print_site(stmt)

    def guest(self, memory: t.Expr | None) -> Guest | None:
        return guest_of(self.imports, self.imports.numbering.named(memory))

    def wit(self, f: Func, expr: t.Expr) -> None:
        raise InternalError("a WIT value at an opcode")

    def act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        if self.act_of is None:
            raise InternalError(f"{stmt} outside of an alt probe")
        self.act_of(f, stmt)

    def builtin(self, f: Func, node: t.Builtin) -> None:
        if node.name == "src.global":
            (number,) = node.args
            assert isinstance(number, t.Const) and isinstance(number.value, int)
            f.global_get(self.imports.edit.final_global(number.value))
            return
        if self.site is None or self.body is None:
            raise WeaveError(f"{node.name} cannot be used here")
        if node.name == LOOKS:
            self.body.expr(node.args[1])
            f.call(self.shadows.look(table_of(*self.site)))
        else:
            dup_at(self, node, *self.site)
