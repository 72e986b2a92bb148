"""Source lines of places in core modules, from the DWARF of the input, for reports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import field

from whamm_cm.analysis.debug_files import DebugFile
from whamm_cm.analysis.dwarf import SourceFile, SourceLines
from whamm_cm.analysis.function_code import FunctionCode, function_codes
from whamm_cm.analysis.guests import find_guests
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.source import Sources
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.function import first_group
from whamm_cm.wasm.module import CoreModule

#: What is longer is hardly source.
_LONGEST_TEXT = 16 << 20


def source_text(file: str, folders: Sequence[str] = ()) -> list[str] | None:
    """The lines of a file that DWARF names, if it is below the current directory; else of the one
    in ``folders`` that most parts of its path lead to.

    The name comes with the component: it must not show what else is on this machine.
    """
    for top, name in _candidates(file, folders):
        here, path = os.path.realpath(top), os.path.realpath(name)
        if os.path.commonprefix((path, here + os.sep)) != here + os.sep:
            continue
        if os.path.isfile(path) and os.path.getsize(path) <= _LONGEST_TEXT:
            try:
                with open(path, encoding="utf-8", errors="replace") as opened:
                    return opened.read().split("\n")
            except OSError:  # as if it were not there
                continue
    return None


def _candidates(file: str, folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What a path may have to lie below, and the path."""
    whole = file.path if isinstance(file, SourceFile) else file
    for name in dict.fromkeys((whole, file)):
        yield os.curdir, name
    parts = [part for part in whole.replace("\\", "/").split("/") if part]
    for folder in folders:
        for first in range(len(parts)):
            yield folder, os.path.join(folder, *parts[first:])


@dataclass(slots=True)
class LineFinder:
    """The core modules of an input by the names that reports use; DWARF is read when first asked
    for, which may take a second per megabyte of it.  ``notes``: what could not be read."""

    modules: dict[str, CoreModule]
    sources: Sources = field(default_factory=Sources)
    notes: list[str] = field(default_factory=list)
    known: dict[str, SourceLines | None] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes, what: str, debug: Sequence[DebugFile] = ()) -> LineFinder:
        """Raises InputError and DecodeError for what is neither a module nor a component,
        UsageError for a file of ``debug`` that is for none of the modules."""
        sources = Sources(debug)
        sources.near(what)
        if data[:8] == MODULE_PREAMBLE:
            module = CoreModule(data)
            modules = {module.names.module or "": module, "": module}
        else:
            guests = find_guests(Program.of(decode(data, what)))
            modules = {guest.place: guest.module for guest in guests}
        sources.modules(modules.items())
        return cls(modules, sources)

    def __call__(self, module: str, fid: int, pc: int) -> str:
        """``file:line``, empty when nothing is known."""
        place = self.find(module, fid, pc)
        return "" if place is None else f"{place[0]}:{place[1]}"

    def find(self, module: str, fid: int, pc: int) -> tuple[str, int] | None:
        """The file, as the compiler was given it, and the line; None when nothing is known."""
        found = self.modules.get(module)
        if found is None:
            return None
        lines = self._lines(module)
        index = fid - len(found.imported("func"))
        if lines is None or not 0 <= index < len(found.bodies):
            return None
        return lines.find(first_group(found, index) + pc - 1)

    def code(self) -> Iterator[tuple[str, int, FunctionCode]]:
        """(core module, function, its code) of all modules that have DWARF.  Raises DecodeError for
        malformed code."""
        told = len(self.notes)
        seen: list[CoreModule] = []
        for name, module in self.modules.items():
            lines = self._lines(name)
            if lines is None or any(module is one for one in seen):
                continue
            seen.append(module)
            imported = len(module.imported("func"))
            for index, code in enumerate(function_codes(module, lines)):
                yield name, imported + index, code
        if not seen and len(self.notes) == told:
            self.notes.append("no source lines: no core module has DWARF (build with -g)")

    def gaps(self) -> Iterator[str]:
        """What is not known of modules that have lines, as far as it was asked for."""
        for name, lines in self.known.items():
            for why in () if lines is None else (lines.split, lines.fault):
                if why:
                    yield f"{name}: {why}" if name else why

    def _lines(self, name: str) -> SourceLines | None:
        if name not in self.known:
            self.known[name] = self._read(name, self.modules[name])
        return self.known[name]

    def _read(self, name: str, module: CoreModule) -> SourceLines | None:
        told = len(self.sources.notes)
        try:
            lines = self.sources.of(module)
        except DecodeError as error:
            self.notes.append(str(error))
            return None
        self.notes += (f"{name}: {note}" if name else note for note in self.sources.notes[told:])
        return lines
