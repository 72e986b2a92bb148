"""What line of the source each instruction is of, and in which copy of a function."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from whamm_cm.analysis.dwarf import SourceFile, SourceLines
from whamm_cm.wasm.function import first_group
from whamm_cm.wasm.module import CoreModule

#: What is no code of any line: it only runs where control comes from above.
_STRUCTURE = ("end", "else")


class Instruction(NamedTuple):  # of which there may be a million
    """``copy`` tells apart code of the same lines in one function that was put in place several
    times; -1: of no known function.  ``structure``: an ``end`` or ``else``."""

    pc: int
    file: str
    line: int
    copy: int
    structure: bool


class Entry(NamedTuple):
    """Where code of a function of the source begins: the pc that is executed first, the name as in
    the DWARF (empty: none), and where it is declared (line 0: unknown)."""

    pc: int
    name: str
    file: str
    line: int


class FunctionCode(NamedTuple):
    """A function of a core module: its instructions that have a line, and the functions of the
    source that begin in it, itself and those put in place.  Files are paths from the root, where it
    is known from where the compiler was given them."""

    instructions: list[Instruction]
    functions: list[Entry]


def function_codes(module: CoreModule, lines: SourceLines) -> Iterator[FunctionCode]:
    """One for each defined function of ``module``, in order.  Raises DecodeError."""
    functions = lines.functions()
    begins = sorted((one.entry, number) for number, one in enumerate(functions))
    for index in range(len(module.bodies)):
        body = module.bodies[index]
        to_pc = 1 - first_group(module, index)
        found, places = [], []
        for at, opcode, _ in module.instructions(index):
            places.append(at)
            copy = lines.number(at)
            line = lines.find(at)
            if line is not None:
                structure = opcode.mnemonic in _STRUCTURE
                found.append(Instruction(at + to_pc, _path(line[0]), line[1], copy, structure))
        entries = []
        for entry, number in begins[
            bisect_left(begins, (body.start,)) : bisect_left(begins, (body.end,))
        ]:
            at = bisect_left(places, entry)
            if at < len(places):
                one = functions[number]
                entries.append(Entry(places[at] + to_pc, one.name, _path(one.file), one.line))
        yield FunctionCode(found, entries)


def _path(file: str) -> str:
    return file.path if isinstance(file, SourceFile) else file
