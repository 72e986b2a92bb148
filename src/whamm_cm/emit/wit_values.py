"""WIT path expressions inside a wrapper: ``remote-address.ipv4.port``, ``headers[0].1``.

A *place* is where a WIT value is: in locals (flat parameters and results, with the joined slots of
variants) or as an image in guest memory.  Resolving a path emits the checks that make it total:
another case, an index past the end or an address outside of memory leaves through ``wrong``, and
the value is zero, false or empty.  CanonicalABI.md, "Loading" and "Flat Lifting".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from whamm_cm.abi.layout import Layouts, children, variant_cases
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.flats import Slot
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.model import Wrapper
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.texts import Texts
from whamm_cm.errors import InternalError
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)  # fmt: skip

Path: TypeAlias = (
    tree.Field | tree.Payload | tree.IsCase | tree.HasFlag | tree.Element | tree.Length
    | tree.Scalar | tree.Text
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flat:
    """A value in locals, one slot for each of its core values."""

    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A value in guest memory, at the address in local ``base`` plus ``offset``; that it is inside
    of memory has been checked."""

    base: int
    offset: int


Place: TypeAlias = Flat | Image
Whole: TypeAlias = Callable[[Func, ValType, Place, bool], None]
"""Pushes the text of a value of a type at a place; whether it is a secret."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a bound variable stands for.  An image is part of one of ``whole`` bytes at its base,
    which is checked as one.  While the local ``guard`` is 0 there is no value yet.  ``secret``: a
    script sees stars in place of its strings, names in pairs excepted."""

    type: ValType
    place: Place
    whole: int = 0
    guard: int | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How a scalar is had: ``load`` its image, or take its flat ``core`` and apply ``flat``;
    ``both`` apply to either.  ``store`` is the other way round."""

    core: str
    load: str
    store: str
    flat: tuple[str, ...] = ()
    mask: int | None = None


_WORD = Reading("i32", "i32.load", "i32.store")
READINGS: Final[Mapping[str, Reading]] = {
    "bool": Reading("i32", "i32.load8_u", "i32.store8"),
    "s8": Reading("i32", "i32.load8_s", "i32.store8", ("i32.extend8_s",)),
    "u8": Reading("i32", "i32.load8_u", "i32.store8", mask=0xFF),
    "s16": Reading("i32", "i32.load16_s", "i32.store16", ("i32.extend16_s",)),
    "u16": Reading("i32", "i32.load16_u", "i32.store16", mask=0xFFFF),
    "s32": _WORD,
    "u32": _WORD,
    "char": _WORD,
    "error-context": _WORD,
    "s64": Reading("i64", "i64.load", "i64.store"),
    "u64": Reading("i64", "i64.load", "i64.store"),
    "f32": Reading("f32", "f32.load", "f32.store"),
    "f64": Reading("f64", "f64.load", "f64.store"),
}
_BY_SIZE = {
    1: Reading("i32", "i32.load8_u", "i32.store8"),
    2: Reading("i32", "i32.load16_u", "i32.store16"),
    4: _WORD,
}
#: From a slot's core type to the value's: its bits are the low ones of the slot.
UNJOIN: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("i32", "f32"): ("f32.reinterpret_i32",),
    ("i64", "i32"): ("i32.wrap_i64",),
    ("i64", "f32"): ("i32.wrap_i64", "f32.reinterpret_i32"),
    ("i64", "f64"): ("f64.reinterpret_i64",),
}
JOIN: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("i32", "f32"): ("i32.reinterpret_f32",),
    ("i64", "i32"): ("i64.extend_i32_u",),
    ("i64", "f32"): ("i32.reinterpret_f32", "i64.extend_i32_u"),
    ("i64", "f64"): ("i64.reinterpret_f64",),
}
_SIGNED = {"i8", "i16", "i32"}


def reading(t: ValType, layouts: Layouts) -> Reading:
    """How the scalar ``t`` (no string) is had.  Raises InternalError for what is no scalar."""
    match strip(t):
        case Prim(name) if name in READINGS:
            return READINGS[name]
        case EnumT() as node:
            return _BY_SIZE[layouts.variant(node).disc_size]
        case FlagsT(labels) as node:
            found = _BY_SIZE[min(max(layouts.info(node).size, 1), 4)]
            mask = (1 << min(len(labels), 32)) - 1
            return Reading(found.core, found.load, found.store, mask=mask)
        case Prim() | ListT() | MapT() | RecordT() | TupleT() | VariantT() | OptionT() | ResultT():
            raise InternalError(f"a WIT {type(strip(t)).__name__} is no scalar")
    return _WORD


def is_text(t: ValType) -> bool:
    node = strip(t)
    return isinstance(node, Prim) and node.name == "string"


def element_of(t: ValType) -> ValType:
    """What a list or a map (of ``tuple<key, value>``) consists of."""
    match strip(t):
        case ListT(element):
            return element
        case MapT(key, value):
            return TupleT((key, value))
    raise InternalError(f"a WIT {type(strip(t)).__name__} has no elements")


def wit_type(expr: tree.Expr) -> ValType:
    """The WIT type a path stands at."""
    if not isinstance(expr.type, vt.WitT):
        raise InternalError(f"{type(expr).__name__} of type {expr.type} is no WIT value")
    return expr.type.type


def parameters(w: Wrapper, layouts: Layouts) -> dict[str, Binding]:
    """The parameters of a wrapper, by position and by name (with ``_`` for ``-``)."""
    record = layouts.record(t for _, t in w.params)
    found: dict[str, Binding] = {}
    names: dict[str, Binding] = {}
    start = 0
    for i, (name, t) in enumerate(w.params):
        count = layouts.info(t).flat
        place: Place = Image(0, record.offsets[i])
        if not w.signature.params_spilled:
            slots = enumerate(w.signature.params[start : start + count], start)
            place = Flat(tuple(slots))
        start += count
        secret = w.redact is not None and w.redact.hides_param(i)
        binding = Binding(t, place, record.size, secret=secret)
        found[f"arg{i}"] = names[name.replace("-", "_")] = binding
    return found | names


def _is_name(expr: tree.Expr) -> bool:
    """Whether this is the string of a ``tuple<string, X>``, which says what X is."""
    if not isinstance(expr, tree.Field) or expr.index:
        return False
    pair = strip(wit_type(expr.operand))
    return isinstance(pair, TupleT) and len(pair.types) == 2


class Values:
    """Evaluates paths over the bound variables of one wrapper."""

    def __init__(
        self,
        guest: Guest | None,
        layouts: Layouts,
        texts: Callable[[], Texts],
        evaluate: Callable[[Func, tree.Expr], None],
        bindings: Mapping[str, Binding],
        whole: Whole | None = None,
    ) -> None:
        """``texts`` is asked for when a string is used, ``evaluate`` pushes an index, ``whole`` the
        text of a value."""
        self._guest, self._layouts, self._whole = guest, layouts, whole
        self._texts, self._evaluate, self._bindings = texts, evaluate, bindings
        self._entries: dict[ValType, ValType] = {}

    def push(self, f: Func, expr: Path) -> None:
        """Push the core values of an expression that leads out of WIT: IsCase, HasFlag, Length or
        Scalar.  A string is an address and a length in state memory."""
        kinds = self._kinds(expr)
        if self._sure(expr):
            with f.block(kinds[0]) as whole:
                self._leaf(f, expr, self.place(f, expr.operand, whole), whole)
            return
        out = [f.local(kind) for kind in kinds]
        for local, kind in zip(out, kinds, strict=True):
            f.const(kind, 0)
            f.set(local)
        with f.block() as wrong:
            self._leaf(f, expr, self.place(f, expr.operand, wrong), wrong)
            for local in reversed(out):
                f.set(local)
        for local in out:
            f.get(local)

    def _kinds(self, expr: Path) -> tuple[str, ...]:
        if isinstance(expr, tree.Text):
            return ("i32", "i32")
        if not isinstance(expr, tree.Scalar):
            return ("i32",)
        t = wit_type(expr.operand)
        return ("i32", "i32") if is_text(t) else (reading(t, self._layouts).core,)

    def _sure(self, expr: Path) -> bool:
        """Whether nothing can be wrong: a scalar of flat records."""
        if isinstance(expr, tree.Length | tree.Text) or is_text(wit_type(expr.operand)):
            return False
        node: tree.Expr = expr.operand
        while isinstance(node, tree.Field):
            node = node.operand
        if not isinstance(node, tree.Bound):
            return False
        binding = self._binding(node.name)
        return isinstance(binding.place, Flat) and binding.guard is None

    def _binding(self, name: str) -> Binding:
        found = self._bindings.get(name)
        if found is None:
            raise InternalError(f"'{name}' is not bound here")
        return found

    # --- places ----------------------------------------------------------------------------------

    def place(self, f: Func, expr: tree.Expr, wrong: Label) -> Place:
        """Emit what leads to the WIT value ``expr``, leaving to ``wrong`` when it is not there."""
        match expr:
            case tree.Bound(name=name):
                return self._root(f, self._binding(name), wrong)
            case tree.Field(operand=operand, index=index):
                return self.field_at(wit_type(operand), index, self.place(f, operand, wrong))
            case tree.Payload(operand=operand, case=case):
                place = self.place(f, operand, wrong)
                return self._payload(f, wit_type(operand), case, place, wrong)
            case tree.Element(operand=operand, index=at):
                place = self.place(f, operand, wrong)
                return self._element(f, strip(wit_type(operand)), at, place, wrong)
        raise InternalError(f"{type(expr).__name__} does not lead to a WIT value")

    def _root(self, f: Func, binding: Binding, wrong: Label) -> Place:
        if binding.guard is not None:
            f.get(binding.guard)
            f.op("i32.eqz")
            f.br_if(wrong)
        if isinstance(binding.place, Image):
            out_of_bounds(f, self.memory, binding.place.base, None, max(binding.whole, 1))
            f.br_if(wrong)
        return binding.place

    @property
    def memory(self) -> Guest:
        if self._guest is None:
            raise InternalError("a value in memory, but no memory to read it from")
        return self._guest

    def field_at(self, t: ValType, index: int, place: Place) -> Place:
        """Where a field of a record or member of a tuple is."""
        parts = children(strip(t))
        if isinstance(place, Image):
            return Image(place.base, place.offset + self._layouts.record(parts).offsets[index])
        counts = [self._layouts.info(t).flat for t in parts]
        start = sum(counts[:index])
        return Flat(place.slots[start : start + counts[index]])

    def _payload(self, f: Func, t: ValType, case: int, place: Place, wrong: Label) -> Place:
        payload = variant_cases(t)[case][1]
        if payload is None:
            raise InternalError(f"case {case} has no payload")
        self.push_case(f, t, place)
        f.i32(case)
        f.op("i32.ne")
        f.br_if(wrong)
        return self.payload_at(t, payload, place)

    def payload_at(self, t: ValType, payload: ValType, place: Place) -> Place:
        """Where the payload of a variant is."""
        if isinstance(place, Image):
            return Image(place.base, place.offset + self._layouts.variant(t).payload_offset)
        return Flat(place.slots[1 : 1 + self._layouts.info(payload).flat])

    def push_case(self, f: Func, t: ValType, place: Place) -> None:
        if isinstance(place, Flat):
            push_slot(f, place.slots[0], "i32")
        else:
            size = self._layouts.variant(t).disc_size
            self.load(f, _BY_SIZE[size].load, place)

    def load(self, f: Func, name: str, place: Image, offset: int = 0) -> None:
        self.push_base(f, place, offset)
        f.memory_op(name, self._short(place.offset + offset), self.memory.memory)

    def push_base(self, f: Func, place: Image, offset: int = 0) -> None:
        """Push the address for an access with ``place``'s offset."""
        f.get(place.base)
        far = place.offset + offset - self._short(place.offset + offset)
        if far:
            f.const(self.memory.address, far)
            f.op(f"{self.memory.address}.add")

    def push_address(self, f: Func, place: Image) -> None:
        """Push where it is."""
        self.push_base(f, place)
        if self._short(place.offset):
            f.const(self.memory.address, self._short(place.offset))
            f.op(f"{self.memory.address}.add")

    @staticmethod
    def _short(offset: int) -> int:
        """The part of an offset that an instruction on a 32-bit memory can carry."""
        return offset & 0x7FFFFFFF

    # --- elements --------------------------------------------------------------------------------

    def span(self, f: Func, place: Place) -> tuple[int, int]:
        """Locals with the pointer and the length word of a string, list or map."""
        address = self.memory.address
        found = []
        for i in range(2):
            if isinstance(place, Flat):
                if place.slots[i][1] == address:
                    found.append(place.slots[i][0])
                    continue
                push_slot(f, place.slots[i], address)
            else:
                self.load(f, self.memory.load_address(), place, i * self.memory.width)
            found.append(f.local(address))
            f.set(found[-1])
        return found[0], found[1]

    def _element(self, f: Func, t: ValType, at: tree.Expr, place: Place, wrong: Label) -> Place:
        length = t.length if isinstance(t, ListT) else None
        element = self._entries.setdefault(t, element_of(t))
        if length is not None:
            return self._of_fixed(f, (element, length), at, place, wrong)
        size = max(self._layouts.info(element).size, 1)
        pointer, count = self.span(f, place)
        index = self._index(f, at)
        f.get(index)
        f.get(count)
        self.memory.widen(f)
        f.op("i64.ge_u")
        f.br_if(wrong)
        upto, base = (f.local(self.memory.address) for _ in range(2))
        f.get(index)
        f.i64(1)
        f.op("i64.add")
        self._as_address(f)
        f.set(upto)
        out_of_bounds(f, self.memory, pointer, upto, size)
        f.br_if(wrong)
        f.get(pointer)
        self._push_scaled(f, index, size)
        f.op(f"{self.memory.address}.add")
        f.set(base)
        return Image(base, 0)

    def _push_scaled(self, f: Func, index: int, size: int) -> None:
        f.get(index)
        f.i64(size)
        f.op("i64.mul")
        self._as_address(f)

    def _as_address(self, f: Func) -> None:
        if not self.memory.is64:
            f.op("i32.wrap_i64")

    def _index(self, f: Func, at: tree.Expr) -> int:
        """A local with the index as an i64; a negative one is larger than any length."""
        index = f.local("i64")
        self._evaluate(f, at)
        name = str(at.type)
        if name not in ("u64", "i64"):
            f.op("i64.extend_i32_s" if name in _SIGNED else "i64.extend_i32_u")
        f.set(index)
        return index

    def _of_fixed(
        self, f: Func, shape: tuple[ValType, int], at: tree.Expr, place: Place, wrong: Label
    ) -> Place:
        element, length = shape
        index = self._index(f, at)
        f.get(index)
        f.i64(length)
        f.op("i64.ge_u")
        f.br_if(wrong)
        info = self._layouts.info(element)
        if isinstance(place, Image):
            base = f.local(self.memory.address)
            f.get(place.base)
            self._push_scaled(f, index, info.size)
            f.op(f"{self.memory.address}.add")
            f.set(base)
            return Image(base, place.offset)
        if isinstance(at, tree.Const) and isinstance(at.value, int) and 0 <= at.value < length:
            return Flat(place.slots[at.value * info.flat :][: info.flat])
        return self._choose(f, place.slots, (info.flat, length), index)

    @staticmethod
    def _choose(f: Func, slots: Sequence[Slot], shape: tuple[int, int], index: int) -> Flat:
        """Copy the chosen element into locals of one type each: its slots may differ in type from
        those of its neighbours where they are joined, so the widest carries them."""
        flat, length = shape
        columns = [[slots[i * flat + k] for i in range(length)] for k in range(flat)]
        chosen = []
        for column in columns:
            kinds = {kind for _, kind in column}
            kind = kinds.pop() if len(kinds) == 1 else "i64"
            local = f.local(kind)
            for i, slot in enumerate(column):
                f.get(index)
                f.i64(i)
                f.op("i64.eq")
                with f.if_():
                    f.get(slot[0])
                    f.op(*JOIN.get((kind, slot[1]), ()))
                    f.set(local)
            chosen.append((local, kind))
        return Flat(tuple(chosen))

    # --- what is read there ----------------------------------------------------------------------

    def _leaf(self, f: Func, expr: Path, place: Place, wrong: Label) -> None:
        t = wit_type(expr.operand)
        match expr:
            case tree.IsCase(case=case):
                self.push_case(f, t, place)
                f.i32(case)
                f.op("i32.eq")
            case tree.HasFlag(index=index):
                self._flag(f, t, index, place)
            case tree.Length():
                self._length(f, strip(t), place, wrong)
            case tree.Scalar():
                self.push_scalar(f, t, place, self._is_hidden(expr.operand))
            case tree.Text():
                assert self._whole is not None, "said where there are texts"
                self._whole(f, t, place, self._is_hidden(expr.operand))
            case _:
                raise InternalError(f"{type(expr).__name__} is a WIT value, not a script's")

    def _flag(self, f: Func, t: ValType, index: int, place: Place) -> None:
        if isinstance(place, Flat):
            push_slot(f, place.slots[index // 32], "i32")
            bit = index % 32
        else:
            self.load(f, "i32.load8_u", place, index // 8)
            bit = index % 8
        f.i32(bit)
        f.op("i32.shr_u")
        f.i32(1)
        f.op("i32.and")

    def push_flags(self, f: Func, t: ValType, word: int, place: Place) -> None:
        """Push a word of the bits of a set of flags; what is no flag may be anything."""
        if isinstance(place, Flat):
            push_slot(f, place.slots[word], "i32")
        else:
            size = min(self._layouts.info(t).size, 4)
            self.load(f, _BY_SIZE[size].load, place, 4 * word)

    def _length(self, f: Func, t: ValType, place: Place, wrong: Label) -> None:
        if isinstance(t, ListT) and t.length is not None:
            f.i32(t.length)
            return
        pointer, count = self.span(f, place)
        if is_text(t):
            f.get(pointer)
            f.get(count)
            f.call(self._texts().measure())
            return
        size = max(self._layouts.info(self._entries.setdefault(t, element_of(t))).size, 1)
        out_of_bounds(f, self.memory, pointer, count, size)
        f.br_if(wrong)
        f.get(count)
        self.memory.narrow(f)

    def _is_hidden(self, expr: tree.Expr) -> bool:
        """Whether a string at this path is a secret."""
        if _is_name(expr):
            return False
        while isinstance(expr, (tree.Field, tree.Payload, tree.Element)):
            expr = expr.operand
        return isinstance(expr, tree.Bound) and self._binding(expr.name).secret

    def push_scalar(self, f: Func, t: ValType, place: Place, hidden: bool) -> None:
        if is_text(t):
            for local in self.span(f, place):
                f.get(local)
            f.call(self._texts().copy())
            if hidden:
                f.call(self._texts().hide())
            return
        how = reading(t, self._layouts)
        node = strip(t)
        if isinstance(node, FlagsT) and not node.labels:
            f.i32(0)
            return
        if isinstance(place, Flat):
            push_slot(f, place.slots[0], how.core)
            f.op(*how.flat)
        else:
            self.load(f, how.load, place)
        if isinstance(node, Prim) and node.name == "bool":
            f.i32(0)
            f.op("i32.ne")
        elif how.mask not in (None, 0xFFFFFFFF) and (isinstance(place, Flat) or _partial(node)):
            assert how.mask is not None
            f.i32(how.mask)
            f.op("i32.and")


def _partial(t: ValType) -> bool:
    """Whether an image may have bits that mean nothing."""
    return isinstance(t, FlagsT)


def push_slot(f: Func, slot: Slot, want: str) -> None:
    """Push a slot as the core type it stands for in its case."""
    local, have = slot
    f.get(local)
    if have != want:
        f.op(*UNJOIN[have, want])
