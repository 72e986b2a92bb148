"""Variables of the source: which are in scope at a place of the code, their types, and where they
are then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from importlib import import_module
from typing import Any

from whamm_cm.analysis.debug_types import Types
from whamm_cm.analysis.entries import attribute, below, entries, short_name, with_origins
from whamm_cm.analysis.frames import LATER, Frame, Frames
from whamm_cm.analysis.inlined import InlinedCalls, Range
from whamm_cm.analysis.locations import OUT, Expressions, plus
from whamm_cm.dataclass import dataclass
from whamm_cm.lang.src_types import (
    Base,
    Bits,
    Gone,
    Held,
    InMemory,
    Opaque,
    Pieces,
    SourceType,
    SourceVariable,
    Term,
    Where,
)

_FUNCTIONS = ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine")
_BLOCKS = (*_FUNCTIONS, "DW_TAG_lexical_block", "DW_TAG_try_block", "DW_TAG_catch_block")
_VARIABLES = ("DW_TAG_variable", "DW_TAG_formal_parameter")
#: Where variables lie that there is one of.
_OUTER = ("DW_TAG_namespace", "DW_TAG_module")
_EVERYWHERE = (0, 1 << 64)
_MOST_PLACES = 100_000
#: Addresses of what the linker has left out.
_DROPPED = frozenset((0, 0xFFFFFFFF, 0xFFFFFFFE, (1 << 64) - 1, (1 << 64) - 2))


@dataclass(slots=True)
class _Block:
    """``ranges``: addresses, empty where it has none of its own; ``function``: it is one."""

    ranges: tuple[Range, ...]
    function: bool
    variables: list[Any] = field(default_factory=list)
    inner: list[_Block] = field(default_factory=list)
    frame: Any = None

    def holds(self, address: int) -> bool:
        return any(first <= address < end for first, end in self.ranges)


@dataclass(slots=True)
class _Unit:
    """``functions``: with the entries they are read from; ``globals`` by name."""

    unit: Any
    functions: list[tuple[tuple[Range, ...], Any]]
    globals: dict[str, list[Any]]


@dataclass(slots=True)
class SourceVariables:
    """``base``: where addresses count from, as offset into the module's bytes.  ``note``: one
    sentence where some of the DWARF is malformed."""

    calls: InlinedCalls
    base: int
    frames: Frames
    told: str = ""
    types: Types = field(default_factory=Types)
    units: dict[int, _Unit] = field(default_factory=dict)
    blocks: dict[int, _Block] = field(default_factory=dict)
    lists: dict[int, list[tuple[Range, list[int]]]] = field(default_factory=dict)
    parsers: dict[int, Expressions] = field(default_factory=dict)

    def at(self, offset: int) -> tuple[SourceVariable, ...]:
        """What is in scope at the instruction at ``offset`` of the module's bytes, inner ones
        first; of several of one name the one that is meant.  Variables that there is one of come
        last, and only those of the same unit."""
        found: dict[str, SourceVariable] = {}
        try:
            for entry, frame in self._in_scope(offset - self.base):
                name = short_name(entry)
                if name and name not in found:
                    found[name] = self._variable(entry, name, frame, offset - self.base)
        except Exception as fault:  # pyelftools raises nearly anything for malformed sections
            self._malformed(fault)
        return tuple(found.values())

    def find(self, offset: int, name: str) -> SourceVariable | None:
        """The variable of that name at an instruction; None: there is none in scope."""
        address = offset - self.base
        try:
            for entry, frame in self._in_scope(address):
                if short_name(entry) == name:
                    return self._variable(entry, name, frame, address)
            for unit in self._all():
                for entry in unit.globals.get(name, ()):
                    if attribute(entry, "DW_AT_external"):
                        return self._variable(entry, name, None, address)
        except Exception as fault:  # as above
            self._malformed(fault)
        return None

    @property
    def note(self) -> str:
        if not self.told and self.types.fault is not None:
            self._malformed(self.types.fault)
        return self.told

    def _malformed(self, fault: Exception) -> None:
        why = str(fault).strip().splitlines() or [type(fault).__name__]
        self.told = f"no source variables: the module's DWARF is malformed ({why[0][:80]})"

    # --- scopes ---

    def _in_scope(self, address: int) -> Iterator[tuple[Any, Any]]:
        """Entries of variables with the entry of the function whose frame they may lie in."""
        unit = self._unit_at(address)
        if unit is None:
            return
        outermost = next((e for r, e in unit.functions if _holds(r, address)), None)
        if outermost is not None:
            way = self._way(outermost, address)
            frame = way[0].frame
            for block in reversed(way):
                # The one that is declared last hides others.
                for entry in reversed(block.variables):
                    yield entry, frame
                if block.function:
                    break
        for found in unit.globals.values():
            for entry in found:
                yield entry, None

    def _way(self, entry: Any, address: int) -> list[_Block]:
        """The blocks around an address, outermost first."""
        if entry.offset not in self.blocks:
            self.blocks[entry.offset] = self._tree(entry)
        block: _Block | None = self.blocks[entry.offset]
        way = []
        while block is not None:
            way.append(block)
            block = next((one for one in block.inner if one.holds(address)), None)
        return way

    def _tree(self, entry: Any) -> _Block:
        top = _Block(tuple(self.calls.spans(entry)), True, frame=entry)
        around: list[tuple[int, _Block | None]] = [(0, top)]
        for depth, one in below(entry):
            while around[-1][0] >= depth:
                around.pop()
            block = around[-1][1]
            if one.tag in _BLOCKS:
                made = None
                if block is not None:
                    made = _Block(tuple(self.calls.spans(one)), one.tag in _FUNCTIONS)
                    # A block without code of its own is as large as what it is in.
                    block.inner.append(made)
                around.append((depth, made))
            elif block is not None and depth == around[-1][0] + 1 and one.tag in _VARIABLES:
                block.variables.append(one)
            elif one.has_children:
                around.append((depth, None))
        return top

    def _unit_at(self, address: int) -> _Unit | None:
        calls = self.calls
        if not calls.ranges:
            calls.ranges = [tuple(calls.spans(unit.get_top_DIE())) for unit, _ in calls.units]
        for number, ranges in enumerate(calls.ranges):
            if _holds(ranges, address):
                return self._unit(number)
        return None

    def _all(self) -> Iterator[_Unit]:
        yield from (self._unit(number) for number in range(len(self.calls.units)))

    def _unit(self, number: int) -> _Unit:
        if number not in self.units:
            self.units[number] = self._read(self.calls.units[number][0])
        return self.units[number]

    def _read(self, unit: Any) -> _Unit:
        made = _Unit(unit, [], {})
        outer = [False]  # whether variables there are global, by depth
        for entry in entries(unit):
            if entry.is_null():
                if len(outer) > 1:
                    outer.pop()
                continue
            if entry.tag == "DW_TAG_subprogram":
                ranges = tuple(self.calls.spans(entry))
                # Linkers let what they drop begin at 0, where no function is.
                if ranges and ranges[0][0] > 0:
                    made.functions.append((ranges, entry))
            elif entry.tag == "DW_TAG_variable" and outer[-1]:
                name = short_name(entry)  # there are tables of methods that nobody can name
                if name.isidentifier() and "DW_AT_location" in entry.attributes:
                    made.globals.setdefault(name, []).append(entry)
            if entry.has_children:
                is_unit = len(outer) == 1 and entry.tag.endswith("_unit")
                outer.append(is_unit or (outer[-1] and entry.tag in _OUTER))
        return made

    # --- one variable ---

    def _variable(self, entry: Any, name: str, frame: Any, address: int) -> SourceVariable:
        owner = next((one for one in with_origins(entry) if "DW_AT_type" in one.attributes), entry)
        type_ = self.types.of(owner)
        where = self._where(entry, frame, address, type_)
        return SourceVariable(name, type_, where, entry.tag == "DW_TAG_formal_parameter")

    def _where(self, entry: Any, frame: Any, address: int, type_: SourceType) -> Where:
        said = entry.attributes.get("DW_AT_location")
        if said is None:
            return _constant(entry, type_)
        expression = self._expression(entry, said, address)
        if expression is None:
            return OUT
        base = None
        if frame is not None and "DW_AT_frame_base" in frame.attributes:
            lies = self._expression(frame, frame.attributes["DW_AT_frame_base"], address)
            base = None if lies is None else self._parser(frame.cu).where(lies, None)
        where = self._parser(entry.cu).where(expression, base)
        if isinstance(where, InMemory):
            return self._at_begin(where, entry, address, type_)
        return _joined(where)

    def _at_begin(self, where: InMemory, entry: Any, address: int, type_: SourceType) -> Where:
        """Before its frame is there a parameter is where the caller put it, and others nowhere."""
        term = where.address
        if term.op == "const" and term.args[0] in _DROPPED:
            return Gone("dropped by the linker")
        base, more = term.args if term.op == "+" else (term, Term("const", (0,)))
        if not isinstance(base, Term) or base.op != "local" or more.op != "const":
            return where
        frame = self.frames.at(address + self.base, base.args[0])
        if frame is None:
            return where
        at, parameter = more.args[0], entry.tag == "DW_TAG_formal_parameter"
        if parameter and any(at <= place < at + type_.size for place in frame.stores):
            return _joined(
                Pieces(tuple(_stored(frame, where, at, type_.size, address + self.base)))
            )
        return LATER if address + self.base < frame.ready else where

    def _parser(self, unit: Any) -> Expressions:
        if unit.cu_offset not in self.parsers:
            parser = import_module("elftools.dwarf.dwarf_expr").DWARFExprParser(unit.structs)

            def base(offset: int) -> tuple[str, int]:
                entry = unit.get_DIE_from_refaddr(unit.cu_offset + offset)
                found = self.types.as_type(entry)
                if not isinstance(found, Base):
                    raise ValueError("a conversion to no number")
                return found.encoding, found.size

            addressed = lambda number: self.calls.info.get_addr(unit, number)  # noqa: E731
            self.parsers[unit.cu_offset] = Expressions(parser.parse_expr, addressed, base)
        return self.parsers[unit.cu_offset]

    def _expression(self, entry: Any, said: Any, address: int) -> list[int] | None:
        """What says where something is at an address."""
        if said.form == "DW_FORM_exprloc" or said.form.startswith("DW_FORM_block"):
            return list(said.value)
        for (first, end), expression in self._list(entry, said.value):
            if first <= address < end:
                return expression
        return None

    def _list(self, entry: Any, offset: int) -> list[tuple[Range, list[int]]]:
        key = entry.offset  # several units may number their lists alike
        if key not in self.lists:
            found = self.calls.info.location_lists()
            told = [] if found is None else found.get_location_list_at_offset(offset, entry)
            self.lists[key] = list(_ranged(told, entry.cu))
        return self.lists[key]


def _ranged(told: Iterable[Any], unit: Any) -> Iterator[tuple[Range, list[int]]]:
    """Entries of a location list with the addresses they are for."""
    start = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = 0 if start is None else start.value
    others = []
    for count, one in enumerate(told):
        if count > _MOST_PLACES:
            raise ValueError("an endless list of locations")
        if hasattr(one, "base_address"):
            base = one.base_address
        elif one.begin_offset < 0:  # what is so where nothing else is said
            others.append((_EVERYWHERE, one.loc_expr))
        else:
            more = 0 if one.is_absolute else base
            yield (one.begin_offset + more, one.end_offset + more), one.loc_expr
    yield from others


def _holds(ranges: Iterable[Range], address: int) -> bool:
    return any(first <= address < end for first, end in ranges)


def _stored(
    frame: Frame, where: InMemory, start: int, size: int, offset: int
) -> Iterator[tuple[InMemory | Held | Gone, int]]:
    """A parameter that the code writes to its frame, at an instruction: what has not been written
    is where the caller has put it."""

    def there(at: int) -> InMemory | Gone:
        return LATER if offset < frame.ready else InMemory(plus(where.address, at))

    at = 0
    for place in sorted(frame.stores):
        stored = frame.stores[place]
        if not start + at <= place < start + size:
            continue
        if place > start + at:
            yield there(at), place - start - at
        at = place - start
        yield stored.value if offset <= stored.at else there(at), stored.size
        at += stored.size
    if at < size:
        yield there(at), size - at


def _joined(where: Where) -> Where:
    """Without pieces where they all lie in memory one behind the other."""
    if not isinstance(where, Pieces):
        return where
    first = where.parts[0][0]
    if len(where.parts) == 1:
        return first
    at = 0
    for part, size in where.parts:
        if not isinstance(first, InMemory) or part != InMemory(plus(first.address, at)):
            return where
        at += size
    return first


def _constant(entry: Any, type_: SourceType) -> Where:
    for one in with_origins(entry):
        said = one.attributes.get("DW_AT_const_value")
        if said is None:
            continue
        if isinstance(said.value, int):
            return Held(Term("const", (said.value,)))
        return Bits(bytes(said.value))
    return OUT if not isinstance(type_, Opaque) else Gone("of a type without values")
