"""Where code is in the source, as probes are told it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import NamedTuple

from whamm_cm.analysis.debug_files import DebugFile, assigned, followed, given
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
    """The source lines of core modules, each read when it is first asked for.  ``files``: given
    with them; ``folder``: that of the input, where it is a file.  ``notes``: what could not be
    read; ``texts``: lines of source files that came
    along."""

    files: Sequence[DebugFile] = ()
    folder: str | None = None
    notes: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    _given: dict[int, DebugFile] = field(default_factory=dict)
    _known: dict[int, tuple[CoreModule, SourceLines | None]] = field(default_factory=dict)

    def near(self, path: str) -> None:
        """The input is that file, if it is one."""
        if os.path.isfile(path):
            self.folder = os.path.dirname(os.path.realpath(path))

    def modules(self, modules: Iterable[tuple[str, CoreModule]]) -> None:
        """The core modules there are, by the names they go by.  Raises UsageError where one of the
        files is for none of them."""
        if self.files and not self._given:
            found = assigned(self.files, list(modules))
            self._given = {id(module): file for module, file in found}

    def of(self, module: CoreModule) -> SourceLines | None:
        """None where the module has no debug information that can be read.  Raises DecodeError."""
        found = self._known.get(id(module))
        if found is None:
            lines = self._read(module)
            if lines is not None and lines.note:
                self.notes.append(lines.note)
                lines = None
            found = self._known[id(module)] = (module, lines)
        return found[1]

    def _read(self, module: CoreModule) -> SourceLines | None:
        file = self._given.get(id(module))
        own = None if file is not None else SourceLines.of(module)
        if own is not None:
            return own
        found = followed(module, self.folder) if file is None else given(file, module)
        if found.note:
            self.notes.append(found.note)
        if found.map is not None:
            self.texts |= found.map.texts
            return SourceLines.mapped(module, found.map)
        return SourceLines.of(module, found.sections) if found.sections else None

    def gaps(self) -> list[str]:
        """What is not known of modules that have lines, as far as it was asked for."""
        return [why for lines in self.all() for why in (lines.split, lines.fault) if why]

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

    def frames(self, module: CoreModule, offset: int) -> str:
        """The functions put in place of calls around the instruction at an offset, demangled, the
        outermost first, joined by ``;``."""
        lines = self.of(module)
        found = () if lines is None else lines.chain(lines.number(offset))
        return ";".join(demangle(one.name) or "?" for one in found)

    def function(self, module: CoreModule, offset: int, symbol: str) -> tuple[str, bool]:
        """The name of the innermost function there, demangled, and whether it was put in place of
        a call; ``symbol``: what the module calls the function around it."""
        lines = self.of(module)
        found = None if lines is None else lines.function(offset)
        name = demangle((found.name if found else "") or symbol)
        return name, found is not None and found.inlined
