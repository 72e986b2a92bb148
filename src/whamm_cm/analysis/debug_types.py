"""Types of variables as DWARF has them, read when they are asked for: they may be endless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from functools import partial
from typing import Any, TypeVar

from whamm_cm.analysis.entries import attribute, children, short_name
from whamm_cm.dataclass import dataclass
from whamm_cm.lang.src_types import (
    Array,
    Base,
    Case,
    Enum,
    Member,
    Opaque,
    Pointer,
    SourceType,
    Struct,
)

T = TypeVar("T")
#: Typedefs and qualifiers around a type; more are no type.
_MOST_STEPS = 64
#: What is larger is a mistake.
_LARGEST = 1 << 32
_MOST_MEMBERS = 10_000
_MOST_CASES = 4096

#: What ``DW_AT_encoding`` says: what numbers a base type has.
_ENCODINGS = {
    0x01: "unsigned", 0x02: "bool", 0x04: "float", 0x05: "signed", 0x06: "signed char",
    0x07: "unsigned", 0x08: "unsigned char", 0x10: "unsigned char",
}  # fmt: skip
_STRUCTS = {
    "DW_TAG_structure_type": "struct", "DW_TAG_class_type": "class", "DW_TAG_union_type": "union",
    "DW_TAG_interface_type": "class",
}  # fmt: skip
_AROUND = frozenset(
    f"DW_TAG_{name}_type" for name in ("const", "volatile", "restrict", "atomic", "immutable",
                                       "packed", "shared")
) | {"DW_TAG_typedef"}  # fmt: skip
_POINTERS = frozenset(
    f"DW_TAG_{name}_type" for name in ("pointer", "reference", "rvalue_reference")
)


_UNKNOWN: SourceType = Opaque("?")
_NO_CASES: tuple[Member | None, tuple[Case, ...]] = (None, ())


@dataclass(frozen=True, slots=True)
class _Inside:
    """Of a struct."""

    types: Types
    entry: Any

    def members(self) -> tuple[Member, ...]:
        return self.types.asked(self.types.members, self.entry, ())

    def cases(self) -> tuple[Member | None, tuple[Case, ...]]:
        return self.types.asked(self.types.cases, self.entry, _NO_CASES)

    def parameter(self) -> SourceType | None:
        return self.types.asked(self.types.parameter, self.entry, None)


@dataclass(slots=True)
class Types:
    """Reads types of one module; ``pointer`` is the size of an address in bytes.  ``fault``: why
    something could not be read that a type was asked for.

    Methods but ``asked`` raise nearly anything for malformed sections.
    """

    pointer: int = 4
    fault: Exception | None = None
    known: dict[int, SourceType] = field(default_factory=dict)
    known_members: dict[int, tuple[Member, ...]] = field(default_factory=dict)

    def asked(self, read: Callable[[Any], T], entry: Any, otherwise: T) -> T:
        """What ``read`` makes of an entry, ``otherwise`` where that is malformed."""
        try:
            return read(entry)
        except Exception as fault:  # pyelftools raises nearly anything for malformed sections
            self.fault = fault
            return otherwise

    def of(self, entry: Any) -> SourceType:
        """The type of a variable or member, or what a pointer points to."""
        name = ""
        for _ in range(_MOST_STEPS):
            found = _typed(entry)
            if found is None:
                return Opaque(name or "void")
            entry = found
            if entry.tag not in _AROUND:
                return self.as_type(entry)
            name = name or short_name(entry)
        return Opaque(name or "?")

    def as_type(self, entry: Any) -> SourceType:
        """The type that an entry is."""
        if entry.offset not in self.known:
            self.known[entry.offset] = Opaque("?")  # what is part of itself
            self.known[entry.offset] = self._read(entry)
        return self.known[entry.offset]

    def _read(self, entry: Any) -> SourceType:
        tag, name = entry.tag, short_name(entry)
        size = _number(entry, "DW_AT_byte_size")
        if not 0 <= size <= _LARGEST:
            return Opaque(name)
        if tag == "DW_TAG_base_type":
            encoding = _ENCODINGS.get(_number(entry, "DW_AT_encoding"), "")
            return Base(name, encoding, size) if encoding else Opaque(name, size)
        if tag in _POINTERS:
            read = partial(self.asked, self.of, entry, _UNKNOWN)
            return Pointer(name, size or self.pointer, entry.offset, read)
        if tag in _STRUCTS:
            if "DW_AT_declaration" in entry.attributes:
                return Opaque(name)
            return Struct(name, _STRUCTS[tag], size, entry.offset, _Inside(self, entry))
        if tag == "DW_TAG_enumeration_type":
            return self._enum(entry, name, size)
        if tag == "DW_TAG_array_type":
            return self._array(entry)
        return Opaque(name or tag.removeprefix("DW_TAG_").replace("_", " "), size)

    def _enum(self, entry: Any, name: str, size: int) -> SourceType:
        labels = list[tuple[str, int]]()
        for one in children(entry):
            if one.tag == "DW_TAG_enumerator" and len(labels) < _MOST_CASES:
                labels.append((short_name(one), _number(one, "DW_AT_const_value")))
        under = self.of(entry) if "DW_AT_type" in entry.attributes else None
        if isinstance(under, Base):
            size = size or under.size
        signed = under.encoding.startswith("signed") if isinstance(under, Base) else False
        return Enum(name, size, signed or any(value < 0 for _, value in labels), tuple(labels))

    def _array(self, entry: Any) -> SourceType:
        made, counts = self.of(entry), []
        for one in children(entry):
            if one.tag == "DW_TAG_subrange_type":
                counts.append(_count(one))
        for count in reversed(counts[:16]):
            made = Array(made, count)
            if not 0 <= made.size <= _LARGEST:
                return Opaque(short_name(entry))
        return made if counts else Array(made, None)

    def members(self, entry: Any) -> tuple[Member, ...]:
        if entry.offset not in self.known_members:
            self.known_members[entry.offset] = tuple(self._members(entry))
        return self.known_members[entry.offset]

    def _members(self, entry: Any) -> Iterator[Member]:
        for count, one in enumerate(children(entry)):
            if count > _MOST_MEMBERS:
                return
            inherits = one.tag == "DW_TAG_inheritance"
            if one.tag != "DW_TAG_member" and not inherits or "DW_AT_external" in one.attributes:
                continue  # static members are variables
            yield self._member(one, "" if inherits else short_name(one))

    def _member(self, one: Any, name: str) -> Member:
        type_, offset = self.of(one), _number(one, "DW_AT_data_member_location")
        bits, at = _number(one, "DW_AT_bit_size"), one.attributes.get("DW_AT_data_bit_offset")
        if not bits:
            return Member(name, type_, offset)
        if at is None:  # as before DWARF 4: from the most significant bit of the unit
            unit = (_number(one, "DW_AT_byte_size") or type_.size) * 8
            start = offset * 8 + unit - _number(one, "DW_AT_bit_offset") - bits
        else:
            start = at.value
        return Member(name, type_, start // 8, bits, start % 8)

    def cases(self, entry: Any) -> tuple[Member | None, tuple[Case, ...]]:
        part = next((c for c in children(entry) if c.tag == "DW_TAG_variant_part"), None)
        if part is None:
            return None, ()
        tag, found = None, list[Case]()
        if "DW_AT_discr" in part.attributes:
            one = part.get_DIE_from_attribute("DW_AT_discr")
            tag = self._member(one, short_name(one))
        for variant in children(part):
            if variant.tag != "DW_TAG_variant" or len(found) > _MOST_CASES:
                continue
            value = variant.attributes.get("DW_AT_discr_value")
            for one in children(variant):
                if one.tag == "DW_TAG_member":
                    values = () if value is None else (_value(value),)
                    found.append(Case(self._member(one, short_name(one)), values))
        return tag, tuple(found)

    def parameter(self, entry: Any) -> SourceType | None:
        for one in children(entry):
            if one.tag == "DW_TAG_template_type_param":
                return self.of(one)
        return None


def _typed(entry: Any) -> Any:
    """The entry that ``DW_AT_type`` leads to; None for void."""
    return entry.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in entry.attributes else None


def _number(entry: Any, name: str) -> int:
    """A number that an attribute holds; 0 where there is none, or another thing."""
    found = attribute(entry, name)
    return found if isinstance(found, int) else 0


def _value(said: Any) -> int:
    """Of a tag: a constant of any form."""
    value = said.value
    return value if isinstance(value, int) else int.from_bytes(bytes(value), "little")


def _count(entry: Any) -> int | None:
    for name, more in (("DW_AT_count", 0), ("DW_AT_upper_bound", 1)):
        said = entry.attributes.get(name)
        if said is not None:
            fits = isinstance(said.value, int) and -1 <= said.value < _LARGEST
            return said.value + more if fits else None
    return None
