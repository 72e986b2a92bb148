"""What a core module needs of the script unit, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from whamm_cm.emit.script.memories import MemoryRef, Numbering
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType

#: Export name and core type.
Global = tuple[str, str]
FuncType = tuple[tuple[str, ...], tuple[str, ...]]
Function = tuple[str, FuncType]


class Unit(Protocol):
    """The script unit while it is being built; what is asked for here gets exported."""

    def runtime(self, name: str) -> Function:
        """A function of state.wasm."""

    def globals_of(self, variable: t.Variable) -> tuple[Global, ...]:
        """The wasm globals of a script global, one per flat."""

    def user(self, function: t.Function) -> Function:
        """A function of the script."""

    def library(self, library: str, function: str) -> Function:
        """A library's function."""

    def initial(self, call: t.LibCall) -> tuple[Global, ...]:
        """The globals that hold what an ``@init`` call has returned."""

    def string(self, text: str) -> tuple[int, int]:
        """Address and length of a static string."""

    def print_site(self, stmt: t.Print | t.LibCall | t.Builtin) -> int:
        """The site number of what is printed."""

    def cell(
        self,
        variable: t.Variable,
        init: t.Expr | None,
        row: int | None,
        number: int,
        others: Mapping[t.Variable, int],
    ) -> int:
        """The address of a new cell in state memory, reported as ``number`` of ``row``; ``init``
        may read the cells at ``others``."""

    def data(self, raw: bytes) -> int:
        """The address of static bytes."""

    def memory(self, ref: MemoryRef) -> tuple[str, MemoryType]:
        """The export of the script's memory or a library's, and its type."""

    def numbering(self, module: CoreModule) -> Numbering:
        """The numbers of memories in a module."""

    @property
    def memories(self) -> Numbering:
        """Those in the script unit itself."""

    def reports(self, variable: t.Variable) -> bool:
        """Whether the report has the variable: not where ``wasm:report`` stands for it."""

    def counters(self, site: int, first: int, count: int) -> int:
        """Where counters of a core module (its site), number ``first`` first, lie in the state
        memory, 8 bytes each: there they are counted, or put before a report."""

    def unreported(self) -> int:
        """The address of 8 bytes for a cell that is counted there and not reported."""

    def fill(self, address: int, type: vt.Type, value: object) -> None:
        """Let a cell start with a value."""

    def push_slot(self) -> int:
        """A slot of the table of push functions."""
