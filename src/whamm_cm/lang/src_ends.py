"""Values of the program's source where paths end: numbers, texts, lists and names of cases.

A path is a :class:`~whamm_cm.lang.tree.Src` until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import src_places as p
from whamm_cm.lang import src_types as st
from whamm_cm.lang.source import listed
from whamm_cm.lang.src_places import Surroundings
from whamm_cm.lang.tree import Binary, Builtin, Const, Expr, Src, Ternary, Unary
from whamm_cm.lang.types import NUMBERS
from whamm_cm.lang.valtypes import BOOL, STR, U32, U64, SrcT, Type

#: Texts are cut at so many bytes.
MOST = 16384
MOST_STEPS = 16
_MOST_LABELS = 1024


@dataclass(frozen=True, slots=True)
class BitField:
    """The place of some bits."""

    place: p.Place
    member: st.Member


_REFERENCES = ("&", "alloc::boxed::Box<", "Box<")
_ZERO_ENDED = ("[*:0]", "[*c]const u8")
_TEXTS = ("&str", "&mut str", "String", "string", "[]const u8", "[:0]const u8", "[]u8", "[:0]u8",
          "alloc::boxed::Box<str")  # fmt: skip


def target_of(around: Surroundings, found: Src) -> Src:
    type_ = source_type(found)
    assert isinstance(type_, st.Pointer)
    address = p.cast(around.address, number_of(found))
    return replace(found, type=SrcT(type_.target), place=p.AtAddress(address))


def source_type(found: Src) -> st.SourceType:
    assert isinstance(found.type, SrcT)
    return found.type.type


def flat(type_: st.Struct, depth: int = 0) -> Iterator[st.Member]:
    """Members that have a name, those of parents and of unnamed unions too."""
    for member in type_.members:
        if member.name:
            yield member
        elif isinstance(member.type, st.Struct) and depth < MOST_STEPS:
            yield from flat(member.type, depth + 1)


def find(whole: Src, name: str, depth: int = 0) -> Src | None:
    type_ = source_type(whole)
    if not isinstance(type_, st.Struct) or depth > MOST_STEPS:
        return None
    for member in type_.members:
        if member.name == name:
            return member_of(whole, member)
    for member in type_.members:
        if not member.name:
            found = find(member_of(whole, member), name, depth + 1)
            if found is not None:
                return found
    return None


def member_of(whole: Src, member: st.Member) -> Src:
    place: p.Place = whole.place  # type: ignore[assignment]
    if member.bits:
        count = (member.first + member.bits + 7) // 8
        size = 1 << max(0, count - 1).bit_length()
        whole = replace(whole, place=BitField(p.part(place, member.offset, size), member))
        return replace(whole, type=SrcT(member.type))
    part = p.part(place, member.offset, member.type.size)
    return replace(whole, type=SrcT(member.type), place=part)


def both(first: Expr | None, second: Expr) -> Expr:
    return second if first is None else Binary(BOOL, "&&", first, second)


def elements(around: Surroundings, whole: Src) -> tuple[Expr, Expr, st.SourceType] | None:
    """Where the elements are, how many, and their type, of slices, vectors and strings."""
    for _ in range(MOST_STEPS):
        type_ = source_type(whole)
        if not isinstance(type_, st.Pointer) or not isinstance(type_.target, st.Struct):
            break
        if not type_.name.startswith((*_REFERENCES, "*")):
            return None  # of C: an array, as far as anybody knows
        whole = target_of(around, whole)
    if not isinstance(type_, st.Struct):
        return None
    inner = find(whole, "vec") if type_.name == "String" else None
    if inner is not None:
        return elements(around, inner)
    pointer = first(whole, ("data_ptr", "ptr")) or _pointer_in(whole)
    length = first(whole, ("length", "len"))
    if pointer is None or length is None:
        return None
    counts, target = p.number_type(source_type(length)), source_type(pointer)
    if counts not in NUMBERS or not isinstance(target, st.Pointer):
        return None
    element = target.target
    if type_.name.startswith("Vec<"):
        element = type_.parameter or element
    return p.cast(around.address, number_of(pointer)), number_of(length), element


def first(whole: Src, labels: tuple[str, ...]) -> Src | None:
    return next((found for label in labels for found in [find(whole, label)] if found), None)


def _pointer_in(whole: Src) -> Src | None:
    """The pointer of a vector of Rust, which lies some structs deep."""
    found = find(whole, "buf")
    for _ in range(MOST_STEPS):
        if found is None or isinstance(source_type(found), st.Pointer):
            return found
        found = first(found, ("inner", "ptr", "pointer"))
    return None


def refers(type_: st.SourceType) -> bool:
    """Whether it is a reference or box, which is what it refers to."""
    return isinstance(type_, st.Pointer) and type_.name.startswith(_REFERENCES)


def _is_character(type_: st.SourceType) -> bool:
    return isinstance(type_, st.Base) and type_.size == 1 and type_.name == "char"


def text(around: Surroundings, whole: Src) -> Expr | None:
    """The text that a value is; None: it is none."""
    type_ = source_type(whole)
    most = Const(U32, MOST)
    if isinstance(type_, st.Pointer):
        if _is_character(type_.target) or type_.name.startswith(_ZERO_ENDED):
            address = number_of(whole)
            return only(whole, Builtin(STR, "src.text", (address, most)))
        inner = type_.target
        if not type_.name.startswith((*_REFERENCES, "*")) or not isinstance(
            inner, st.Pointer | st.Struct
        ):
            return None
        return text(around, target_of(around, whole)) if inner.name.startswith(_TEXTS) else None
    if isinstance(type_, st.Array) and _is_character(type_.element):
        if not isinstance(whole.place, p.AtAddress):
            raise p.NotThere("not in memory")
        most = Const(U32, MOST if type_.count is None else min(MOST, type_.count))
        return only(whole, Builtin(STR, "src.text", (whole.place.address, most)))
    if not isinstance(type_, st.Struct) or not type_.name.startswith(_TEXTS):
        return None
    found = elements(around, whole)
    if found is None or found[2].size != 1:
        return None
    length = p.cast(U32, found[1])
    return only(whole, Builtin(STR, "src.bytes", (found[0], length)))


def is_that(whole: Src, tag: st.Member | None, cases: tuple[st.Case, ...], number: int) -> Expr:
    """Whether the value is that case; one without a value of its own is what no other is."""
    if tag is None:
        return Const(BOOL, True)
    found = number_of(member_of(whole, tag))
    values = cases[number].values
    if values:
        return _any(found, values)
    others = [value for case in cases for value in case.values]
    return Unary(BOOL, "!", _any(found, tuple(others)))


def _any(found: Expr, values: tuple[int, ...]) -> Expr:
    tests = [Binary(BOOL, "==", found, p.cast(found.type, Const(U64, value))) for value in values]
    whole: Expr = Const(BOOL, False)
    for number, test in enumerate(tests):
        whole = Binary(BOOL, "||", whole, test) if number else test
    return whole


def label(whole: Src) -> Expr | None:
    """The name of the value of an enum, or of the case of what has cases; None: it is neither."""
    type_ = source_type(whole)
    if isinstance(type_, st.Enum):
        value = number_of(whole)
        args: list[Expr] = [value]
        for name, number in type_.labels[:_MOST_LABELS]:
            args += (p.cast(value.type, Const(U64, number)), Const(STR, name))
        return only(whole, Builtin(STR, "src.label", tuple(args)))
    tag, cases = type_.cases if isinstance(type_, st.Struct) else (None, ())
    found: Expr | None = None
    for number, case in enumerate(cases[:_MOST_LABELS]):
        test = is_that(whole, tag, cases, number)
        said = Const(STR, case.member.name)
        found = Ternary(STR, test, said, found or Const(STR, ""))
    return None if found is None else only(whole, found)


def end(around: Surroundings, found: Src, want: Type | None, shown: bool = False) -> Expr | None:
    """As a script's value: a text where it is one, or is wanted or ``shown``, else a number; None:
    it is none.  Raises NotThere."""
    written = text(around, found)
    if written is None and (want == STR or shown):
        written = label(found)
    if written is not None and not (want in NUMBERS and isinstance(source_type(found), st.Pointer)):
        return written
    whole = found
    if refers(source_type(whole)):
        whole = target_of(around, whole)  # a reference is what it refers to
        if not isinstance(source_type(whole), st.Opaque):
            return end(around, whole, want, shown)
    return None if p.number_type(source_type(found)) is None else only(found, number_of(found))


def number_of(found: Src) -> Expr:
    """A number; zero where there is none.  Raises NotThere."""
    if isinstance(found.place, BitField):
        return p.bits(found.place.place, found.place.member)
    type_ = source_type(found)
    kind = p.number_type(type_)
    if kind is None:
        raise p.NotThere("of a type that scripts have no numbers for")
    return p.number(found.place, kind, type_.size)  # type: ignore[arg-type]


def only(found: Src, value: Expr) -> Expr:
    """``value`` where the path leads somewhere, else zero."""
    if found.when is None:
        return value
    zero: object = "" if value.type == STR else False if value.type == BOOL else 0
    if str(value.type) in ("f32", "f64"):
        zero = 0.0
    return Ternary(value.type, found.when, value, Const(value.type, zero))


def ways(found: Src) -> str:
    """Which paths lead on."""
    type_ = source_type(found)
    if isinstance(type_, st.Pointer):
        type_ = type_.target
    if isinstance(type_, st.Struct):
        cases = type_.cases[1]
        if cases:
            return f"test its case: {listed(['is ' + case.member.name for case in cases])}"
        known = ["." + member.name.removeprefix("__") for member in flat(type_)]
        return f"take a member: {listed(known)}" if known else ""
    return "take an element, [i], or len(…)" if isinstance(type_, st.Array) else ""
