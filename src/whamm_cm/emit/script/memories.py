"""The numbers of memories, as scripts have them.

The program's memories come first, then the script's own (where its strings are), then those of the
libraries that have one, in the order in which they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.builtins import WHAMM_CORE
from whamm_cm.lang.fold import fold_expr
from whamm_cm.wasm.types import MemoryType

#: The module that a script unit imports memories of the program from, and how their names begin.
PROGRAM, LENT = "guest", "whamm-cm:memory"
#: Which arguments of a builtin are numbers of memories.
MEMORY_ARGS: dict[str, tuple[int, ...]] = {
    "read_str": (0,), "write_str": (0,), "memcpy": (0, 2), "mem_size": (0,), "dup_at": (0,),
}  # fmt: skip
#: Builtins that read the program's own memory without naming it.
IMPLICIT = frozenset({"strcmp", "strcontains", "src.text", "src.bytes"})


@dataclass(frozen=True, slots=True)
class MemoryRef:
    """``number``: of a memory of the program; ``name``: of a library."""

    kind: Literal["program", "state", "library"]
    number: int = 0
    name: str = ""


class LibraryMemory(NamedTuple):
    """The memory of a library: what it exports it as, and its type."""

    export: str
    type: MemoryType


STATE_REF = MemoryRef("state")
_SIZE = t.Builtin(
    vt.U32, "mem_size", (t.Builtin(vt.U32, "memid", (t.Const(vt.STR, "whamm_core"),)),)
)
STATE_SIZE = t.Function("mem_size(memid(whamm_core))", (), vt.U32, (t.Return(_SIZE),))
"""What code that cannot reach the script's memory calls to learn its size."""


class Numbering:
    """The memories around one piece of script.

    ``program``: those of the module the script is woven into; None where that may be any module,
    so that memories have no numbers and only ``memid`` names them.  ``own``: what ``APP_MEMID`` is.
    ``active``: lowest address and length of what data segments write to a memory.

    Methods raise WeaveError for a memory that is not there.
    """

    def __init__(
        self,
        program: Sequence[MemoryType] | None = None,
        own: int = 0,
        libraries: Mapping[str, LibraryMemory] | None = None,
        active: Callable[[int], tuple[int, int]] = lambda number: (0, 0),
    ) -> None:
        self.program, self.libraries = program, dict(libraries or {})
        self._own, self._active = own, active
        #: By the name of the builtin (``lang.fold.FACTS``).
        self.facts: Mapping[str, Callable[..., int]] = {
            "memid": self.memid,
            "app_memid": self.own,
            "page_size": self.page_size,
            "active_data_start": lambda number: self._data(number)[0],
            "active_data_len": lambda number: self._data(number)[1],
        }

    def _count(self) -> int:
        """How many memories the program has."""
        if self.program is None:
            raise WeaveError(
                "outside of probes in its code a script cannot reach the memories of a component's"
                " core modules, and memories have no numbers there: move the statement into the"
                " probe, or write memid(library)"
            )
        return len(self.program)

    def own(self) -> int:
        self._count()
        return self._own

    def memid(self, name: str) -> int:
        first = self._count()
        return first if name == WHAMM_CORE.name else first + 1 + [*self.libraries].index(name)

    def at(self, number: int) -> MemoryRef:
        """The memory with that number."""
        names = [*self.libraries]
        if 0 <= number < self._count():
            return MemoryRef("program", number)
        rest = number - self._count()
        if rest == 0:
            return STATE_REF
        if 0 < rest <= len(names):
            return MemoryRef("library", name=names[rest - 1])
        there = self._count() + 1 + len(names)
        raise WeaveError(
            f"there is no memory {number}: the program has {self._count()}, and with those of the"
            f" script and its libraries there are {there}"
        )

    def named(self, expr: t.Expr | None) -> MemoryRef:
        """The memory an expression means; None: the program's own."""
        if expr is None:
            return self.at(self.own())
        if (
            isinstance(expr, t.Builtin)
            and expr.name == "memid"
            and isinstance(expr.args[0], t.Const)
        ):
            name = str(expr.args[0].value)
            return STATE_REF if name == WHAMM_CORE.name else MemoryRef("library", name=name)
        number = fold_expr(expr, self.facts)
        if not isinstance(number, t.Const) or not isinstance(number.value, int):
            raise WeaveError("the number of a memory must be known when weaving")
        return self.at(number.value)

    def type_of(self, ref: MemoryRef) -> MemoryType:
        """The type of a memory that is not the script's own."""
        if ref.kind == "library":
            return self.libraries[ref.name].type
        assert self.program is not None
        return self.program[ref.number]

    def page_size(self, number: int) -> int:
        ref = self.at(number)
        return 1 << (16 if ref is STATE_REF else self.type_of(ref).page_size_log2)

    def _data(self, number: int) -> tuple[int, int]:
        ref = self.at(number)
        return self._active(ref.number) if ref.kind == "program" else (0, 0)
