"""Source lines of a core module's code, from the DWARF in its custom sections.

"DWARF for WebAssembly": addresses are offsets into the content of the code section.  The sections
are read by pyelftools (the extra ``dwarf``), which is asked for only when there are any.
"""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath, PureWindowsPath
from posixpath import normpath
from typing import Any, NamedTuple

from whamm_cm.analysis.debug_files import sections_of
from whamm_cm.analysis.frames import Frames
from whamm_cm.analysis.inlined import InlinedCall, InlinedCalls, SourceFunction, innermost
from whamm_cm.analysis.source_map import SourceMap
from whamm_cm.analysis.variables import SourceVariables
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.module import CoreModule, SectionId

#: Keyword of pyelftools' ``DWARFInfo`` → custom section.
_SECTIONS = {
    f"{name}_sec": f".{name}"
    for name in (
        "debug_info", "debug_aranges", "debug_abbrev", "debug_frame", "debug_str", "debug_loc",
        "debug_ranges", "debug_line", "debug_pubtypes", "debug_pubnames", "debug_addr",
        "debug_str_offsets", "debug_line_str", "debug_loclists", "debug_rnglists", "debug_types",
    )
}  # fmt: skip
_NEVER = ("eh_frame_sec", "debug_sup_sec", "gnu_debugaltlink_sec")
_LONGEST_NAME = 4096
#: Attributes of a unit that is the skeleton of one in another file: that of DWARF 5, that before.
_SPLIT = {"DW_AT_dwo_name", "DW_AT_GNU_dwo_name"}
_NEEDED = (".debug_line", ".debug_info", ".debug_abbrev")


class Row(NamedTuple):
    """From ``address`` on it is that line (0: code that no line stands for) and column (0: not
    known).  ``begins``: False where a sequence ends; ``statement``: a debugger would stop there."""

    address: int
    begins: bool
    file: str
    line: int
    column: int = 0
    statement: bool = True


class SourceFile(str):
    """A file as the compiler was given it; ``path`` is from the root, if it is known where the
    compiler ran."""

    __slots__ = ("path",)
    path: str

    def __new__(cls, name: str, folder: str) -> SourceFile:
        made = super().__new__(cls, name)
        known = folder and not _is_absolute(name)
        made.path = normpath(f"{folder.rstrip('/')}/{name}") if known else name
        return made


def _is_absolute(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


class SourceLines:
    """Which source line each place in a module's code comes from.

    ``note``: one sentence when there are DWARF sections that could not be read (there are no lines
    then), else empty.  ``fault``: one when there are lines, but the part about functions could not
    be read, which is only known once they are asked for.
    """

    __slots__ = (
        "_addresses", "_base", "_functions", "_inlined", "_innermost", "_module", "_rows", "_whole",
        "fault", "note",
    )  # fmt: skip

    def __init__(
        self,
        rows: Iterable[Row],
        base: int,
        note: str = "",
        inlined: InlinedCalls | None = None,
        module: CoreModule | None = None,
    ) -> None:
        self._rows = sorted(rows, key=lambda row: row[:2])  # where one ends another may begin
        self._addresses = [row.address for row in self._rows]
        self._base, self._inlined, self.note = base, inlined, note
        self._module, self.fault = module, ""
        self._functions: tuple[SourceFunction, ...] | None = None
        self._innermost: tuple[list[int], list[int]] | None = None
        self._whole: list[tuple[int, int]] | None = None

    @classmethod
    def of(
        cls, module: CoreModule, sections: Mapping[str, bytes] | None = None
    ) -> SourceLines | None:
        """The lines of ``module``; None when it has no code or no ``.debug_line`` section.
        ``sections``: those of another file, by name, in the place of the module's own.

        Malformed and incomplete sections are no error: see ``note``.  Raises DecodeError when the
        module's sections cannot be told apart.
        """
        found = sections_of(module) if sections is None else sections
        code = module.section(SectionId.CODE)
        if code is None or ".debug_line" not in found:
            return None
        missing = [name for name in _NEEDED if name not in found]
        if missing:
            note = f"no source lines: the module has a .debug_line but no {missing[0]} section"
            return cls((), code.start, note)
        if find_spec("elftools") is None:
            note = "no source lines: install pyelftools (the extra `dwarf`) to read the DWARF"
            return cls((), code.start, note)
        try:
            inlined = InlinedCalls(_info(found), [])
            rows = list(_rows(found[".debug_line"], inlined, code.end - code.start))
            return cls(rows, code.start, inlined=inlined, module=module)
        except Exception as fault:  # pyelftools raises nearly anything for malformed sections
            note = f"no source lines: the module's DWARF is malformed ({_why(fault)})"
            return cls((), code.start, note)

    @classmethod
    def mapped(cls, module: CoreModule, known: SourceMap) -> SourceLines | None:
        """Those of a source map; None for a module without code."""
        code = module.section(SectionId.CODE)
        if code is None:
            return None
        rows = [
            Row(
                one.offset - code.start,
                one.line > 0,
                SourceFile(one.file, ""),
                one.line,
                one.column,
            )
            for one in known.segments
            if code.start <= one.offset < code.end
        ]
        return cls([*rows, Row(code.end - code.start, False, "", 0)], code.start)

    def find(self, offset: int) -> tuple[str, int] | None:
        """(file, line) of the instruction at ``offset`` of the module's bytes.

        The file (a :class:`SourceFile`) is as the compiler was given it, with its directory unless
        that is the one the compiler ran in.
        """
        row = self.row(offset)
        return row and (row.file, row.line)

    def row(self, offset: int) -> Row | None:
        """The same with all that is known; its address is an offset into the code section."""
        at = bisect_right(self._addresses, offset - self._base)
        row = self._rows[at - 1] if at else None
        return row if row is not None and row.begins and row.line else None

    def rows(self, start: int, end: int) -> list[Row]:
        """All that begin from one offset of the module's bytes to another, in order."""
        first = bisect_left(self._addresses, start - self._base)
        return self._rows[first : bisect_left(self._addresses, end - self._base)]

    def begins(self) -> Iterator[tuple[int, Row]]:
        """Where lines begin, as offsets of the module's bytes."""
        for row in self._rows:
            if row.begins and row.line:
                yield row.address + self._base, row

    @property
    def files(self) -> tuple[str, ...]:
        """Those that have lines with code, each once."""
        return tuple(dict.fromkeys(row.file for row in self._rows if row.begins and row.line))

    def inlined(self, offset: int) -> tuple[InlinedCall, ...]:
        """The calls put in place around the instruction at ``offset``, innermost first; none
        where that part of the DWARF is malformed."""
        if self._inlined is None:
            return ()
        try:
            return self._inlined.at(offset - self._base)
        except Exception as fault:  # as above; the lines remain
            self._missing(fault)
            return ()

    def functions(self) -> tuple[SourceFunction, ...]:
        """All code of functions of the source, an outer one before those in it; addresses are
        offsets into the module's bytes.  None where that part of the DWARF is malformed."""
        if self._functions is None:
            self._functions = self._read_functions()
        return self._functions

    def function(self, offset: int) -> SourceFunction | None:
        """The innermost function of the source that the code at an offset is of."""
        number = self.number(offset)
        return None if number < 0 else self.functions()[number]

    def whole(self, start: int, end: int) -> SourceFunction | None:
        """The function, put in place of no call, that has code from one offset to another."""
        functions = self.functions()
        if self._whole is None:
            self._whole = sorted(
                (first, number)
                for number, one in enumerate(functions) if not one.inlined
                for first, _ in one.ranges
            )  # fmt: skip
        at = bisect_left(self._whole, (start,))
        there = at < len(self._whole) and self._whole[at][0] < end
        return functions[self._whole[at][1]] if there else None

    def chain(self, number: int) -> tuple[SourceFunction, ...]:
        """Of a function put in place of a call: it and those it was put into that were, too, the
        outermost first; of others nothing."""
        functions, found = self.functions(), list[SourceFunction]()
        while number >= 0 and functions[number].inlined:
            inner = functions[number]
            found.append(inner)
            number -= 1  # an outer one stands before those in it
            while number >= 0 and not functions[number].around(inner.entry):
                number -= 1
        return tuple(reversed(found))

    def number(self, offset: int) -> int:
        """Its number among :meth:`functions`; -1: none."""
        if self._innermost is None:
            self._innermost = innermost(self.functions())
        starts, numbers = self._innermost
        at = bisect_right(starts, offset)
        return numbers[at - 1] if at else -1

    def _read_functions(self) -> tuple[SourceFunction, ...]:
        if self._inlined is None:
            return ()
        try:
            found = tuple(self._inlined.functions())
        except Exception as fault:  # as above
            self._missing(fault)
            return ()
        base = self._base
        return tuple(
            replace(
                one,
                entry=one.entry + base,
                ranges=tuple((first + base, end + base) for first, end in one.ranges),
            )
            for one in found
        )

    def _missing(self, fault: Exception) -> None:
        self.fault = (
            "functions of the source are not known: that part of the module's DWARF is malformed"
            f" ({_why(fault)})"
        )

    @property
    def split(self) -> str:
        """One sentence where units have left functions and variables to other files, else empty."""
        files = [] if self._inlined is None else self._inlined.split
        if not files:
            return ""
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return (
            f"functions and variables of the source are in split DWARF ({files[0][:200]}{more}),"
            " which is not read: build without -gsplit-dwarf"
        )

    def variables(self) -> SourceVariables | None:
        """The variables of the source; None where there are no lines, either."""
        if self._inlined is None or self._module is None:
            return None
        return SourceVariables(self._inlined, self._base, Frames(self._module))

    def __len__(self) -> int:
        """How many places are told apart."""
        return len(self._addresses)


def _why(fault: Exception) -> str:
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return lines[0][:80]


def _info(sections: Mapping[str, bytes]) -> Any:
    dwarfinfo = import_module("elftools.dwarf.dwarfinfo")

    def described(name: str) -> Any:
        data = sections.get(name)
        if data is None:
            return None
        return dwarfinfo.DebugSectionDescriptor(io.BytesIO(data), name, 0, len(data), 0)

    config = dwarfinfo.DwarfConfig(little_endian=True, machine_arch="wasm", default_address_size=4)
    given = {keyword: described(name) for keyword, name in _SECTIONS.items()}
    info = dwarfinfo.DWARFInfo(config=config, **given, **dict.fromkeys(_NEVER))
    # Any number of entries may name a string of any length.
    info.get_string_from_table = _strings(sections.get(".debug_str", b""))
    info.get_string_from_linetable = _strings(sections.get(".debug_line_str", b""))
    return info


def _strings(section: bytes) -> Callable[[int], bytes]:
    def string(offset: int) -> bytes:
        if offset >= len(section):
            raise ValueError("a string outside of its section")
        return section[offset : offset + _LONGEST_NAME].partition(b"\0")[0]

    return string


def _rows(lines: bytes, inlined: InlinedCalls, size: int) -> Iterator[Row]:
    """The units go to ``inlined``."""
    for unit in inlined.info.iter_CUs():
        said = unit.get_top_DIE().attributes
        for name in _SPLIT & said.keys():
            inlined.split.append(str(said[name].value, "utf-8", "replace"))
        start, folder = said.get("DW_AT_stmt_list"), said.get("DW_AT_comp_dir")
        if start is None:
            continue
        _check_header(lines, start.value)
        program = inlined.info.line_program_for_CU(unit)
        if program is None:
            continue
        files = _Files(program, b"" if folder is None else folder.value)
        inlined.units.append((unit, files))
        sequence: list[Row] = []
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            begins, file = not state.end_sequence, files[state.file]
            said_there = state.line, state.column, bool(state.is_stmt)
            sequence.append(Row(state.address, begins, file, *said_there))
            if state.end_sequence:
                # Linkers let what they drop begin at 0 (where no function is) or at the far end.
                if sequence[0].address > 0 and sequence[-1].address <= size:
                    yield from sequence
                sequence = []


#: Sizes of the forms that entries of a version 5 file table may have; 0 is a LEB128.
_FORM_SIZES = {
    0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0E: 4, 0x0F: 0, 0x1A: 0, 0x1E: 16, 0x1F: 4, 0x25: 1,
    0x26: 2, 0x27: 3, 0x28: 4,
}  # fmt: skip
_STRING, _BLOCK = 0x08, 0x09


def _check_header(lines: bytes, offset: int) -> None:
    """Raise DecodeError for a version 5 header that announces more entries than it has bytes.

    pyelftools would read them all, also those of no fields, of which there may be any number.
    """
    cur = Cursor(lines, min(offset, len(lines)), len(lines))
    size = 4
    if lines[offset : offset + 4] == b"\xff" * 4:
        size = 8
        cur.skip(4, "a length")
    cur.skip(size, "a length")
    if cur.u8("a version") + 256 * cur.u8("a version") < 5:
        return
    cur.skip(2 + size + 5, "a header")
    cur.skip(max(0, cur.u8("an opcode base") - 1), "lengths of opcodes")
    for _ in range(2):  # directories, then files
        forms = []
        for _ in range(cur.u8("a count of fields")):
            cur.u32("a content type")
            forms.append(cur.u32("a form"))
        count = cur.count("entry")
        if count and not forms:
            raise cur.error("entries without fields")
        for _ in range(count):
            for form in forms:
                _skip_form(cur, form, size)


def _skip_form(cur: Cursor, form: int, size: int) -> None:
    if form == _STRING:
        while cur.u8("a string"):
            pass
    elif form == _BLOCK:
        cur.skip(cur.u32("a size"), "a block")
    elif form not in _FORM_SIZES:
        raise cur.error(f"unknown form 0x{form:02x}")
    elif form in (0x0E, 0x1F):
        cur.skip(size, "an offset")
    elif _FORM_SIZES[form]:
        cur.skip(_FORM_SIZES[form], "a field")
    else:
        cur.u64("a field")


class _Files:
    """The files of one line program, by their number."""

    def __init__(self, program: Any, folder: bytes) -> None:
        self._folder = str(folder, "utf-8", "replace")
        header = program.header
        self._first = 0 if header["version"] >= 5 else 1
        self._files, self._folders = header["file_entry"], header["include_directory"]
        self._known: dict[int, str] = {}

    def __getitem__(self, number: int) -> str:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = SourceFile(self._path(number - self._first), self._folder)
        return known

    def _path(self, index: int) -> str:
        if not 0 <= index < len(self._files):
            return "?"
        entry = self._files[index]
        name = str(entry.name, "utf-8", "replace")
        folder = entry.dir_index - self._first  # 0 is the compiler's directory
        if _is_absolute(name) or entry.dir_index == 0 or not 0 <= folder < len(self._folders):
            return name
        return f"{str(self._folders[folder], 'utf-8', 'replace').rstrip('/')}/{name}"
