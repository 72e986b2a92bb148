"""Where code is in the source, as probes are told it."""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple

from whamm_cm.analysis.dwarf import Row, SourceLines
from whamm_cm.dataclass import dataclass
from whamm_cm.demangle.name import demangle
from whamm_cm.wasm.module import CoreModule


class SourcePlace(NamedTuple):
    """Empty and 0: not known."""

    file: str = ""
    line: int = 0
    column: int = 0


NOWHERE = SourcePlace()


@dataclass(slots=True)
class Sources:
    """The source lines of core modules, each read when it is first asked for.  ``notes``: what
    could not be read."""

    notes: list[str] = field(default_factory=list)
    _known: dict[int, tuple[CoreModule, SourceLines | None]] = field(default_factory=dict)

    def of(self, module: CoreModule) -> SourceLines | None:
        """None where the module has no debug information that can be read.  Raises DecodeError."""
        found = self._known.get(id(module))
        if found is None:
            lines = SourceLines.of(module)
            if lines is not None and lines.note:
                self.notes.append(lines.note)
                lines = None
            found = self._known[id(module)] = (module, lines)
        return found[1]

    def all(self) -> list[SourceLines]:
        """Those of all modules that were asked for."""
        return [lines for _, lines in self._known.values() if lines is not None]

    def place(self, module: CoreModule, offset: int) -> SourcePlace:
        """Of the instruction at an offset of the module's bytes."""
        lines = self.of(module)
        row: Row | None = None if lines is None else lines.row(offset)
        return NOWHERE if row is None else SourcePlace(row.file, row.line, row.column)

    def body(self, module: CoreModule, index: int, symbol: str) -> str:
        """The same of the defined function ``index`` itself, whatever it begins with."""
        lines, body = self.of(module), module.bodies[index]
        found = None if lines is None else lines.whole(body.start, body.end)
        return demangle((found.name if found else "") or symbol)

    def function(self, module: CoreModule, offset: int, symbol: str) -> tuple[str, bool]:
        """The name of the innermost function there, demangled, and whether it was put in place of
        a call; ``symbol``: what the module calls the function around it."""
        lines = self.of(module)
        found = None if lines is None else lines.function(offset)
        name = demangle((found.name if found else "") or symbol)
        return name, found is not None and found.inlined
