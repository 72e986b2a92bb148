"""Texts of whole WIT values, as ``render/wave.py`` shows them.

There is one function for each type and way to have its values (in locals, in memory), shared by
all places of a probe module; what is the same for all types is in ``agent/wave.h``.  A text that is
full takes no more, so long lists are left early.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from whamm_cm.abi.flatten import flatten
from whamm_cm.abi.layout import Layouts, variant_cases
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.spans import out_of_bounds, take_tag
from whamm_cm.emit.texts import State, Texts
from whamm_cm.emit.wit_values import Flat, Image, Place, Values, element_of, is_text, push_slot
from whamm_cm.errors import InternalError
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
    ListT,
    MapT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

#: What of the runtime they are made with.
NEEDS = (
    "text_begin", "text_end", "print_str", "print_u64", "print_i64", "print_full", "print_bad",
    "print_redacted", "print_truth", "print_quoted", "print_bytes", "print_letter", "print_wit64",
    "print_wit32", "print_label", "print_flags", "print_ip6",
)  # fmt: skip
_PTR, _LEN = 0, 1
_ADDRESSES = {"ipv4": (4, "u8"), "ipv6": (8, "u16")}


@dataclass(frozen=True, slots=True)
class How:
    """``hidden``: only the lengths of strings and bytes are told, but for names in pairs; ``reps``:
    resources that a borrow gives the representation of."""

    hidden: bool = False
    reps: frozenset[Resource] = frozenset()


class WitTexts:
    """Those of values in one guest memory (None: none lies in any) with one string encoding."""

    def __init__(
        self,
        module: Module,
        guest: Guest | None,
        layouts: Layouts,
        texts: Callable[[], Texts],
        state: State,
        runtime: Callable[[str], int],
        string: Callable[[str], tuple[int, int]],
    ) -> None:
        """``runtime``: the index of a function of ``NEEDS``; ``string``: where a text lies."""
        self._module, self._guest, self._layouts = module, guest, layouts
        self._texts, self._state, self._runtime, self._string = texts, state, runtime, string
        self._values = Values(guest, layouts, texts, _no_index, {})
        self._made: dict[Hashable, int] = {}
        self._entries: dict[ValType, ValType] = {}
        #: Functions that are asked for and have no body yet; types may be nested deeply.
        self._todo: list[Callable[[], None]] = []

    def push(self, f: Func, t: ValType, place: Place, how: How) -> None:
        """Push the text of a value: address and bytes.  What is a text itself has no quotes."""
        self._run(f, "text_begin")
        node = strip(t)
        if isinstance(node, EnumT):
            self._values.push_case(f, t, place)
            self._label(f, node.labels, quoted=False)
        elif isinstance(node, Prim) and node.name == "char":
            self._values.push_scalar(f, t, place, False)
            f.i32(0)
            self._run(f, "print_letter")
        else:
            self.put(f, t, place, how)
        self._run(f, "text_end")
        span = f.local("i64")
        f.tee(span)
        f.op("i32.wrap_i64")
        f.get(span)
        f.i64(32)
        f.op("i64.shr_u", "i32.wrap_i64")
        while self._todo:
            self._todo.pop()()

    # --- parts -----------------------------------------------------------------------------------

    def _run(self, f: Func, name: str) -> None:
        f.call(self._runtime(name))

    def _say(self, f: Func, text: str) -> None:
        if text:
            for number in self._string(text):
                f.i32(number)
            self._run(f, "print_str")

    def _label(self, f: Func, labels: Sequence[str], quoted: bool) -> None:
        """The label whose number is on the stack."""
        for number in self._string(",".join(labels)):
            f.i32(number)
        f.i32(int(quoted))
        self._run(f, "print_label")

    def put(self, f: Func, t: ValType, place: Place, how: How) -> None:
        """Append a value that is part of another."""
        node = strip(t)
        match node:
            case Prim("string"):
                self._span(f, place, self._string_of(how.hidden))
            case Prim():
                self._scalar(f, node, place)
            case EnumT(labels):
                self._values.push_case(f, node, place)
                self._label(f, labels, quoted=True)
            case Own() | Borrow() | StreamT() | FutureT():
                self._handle(f, node, place, how)
            case ListT(length=None) | MapT():
                self._span(f, place, self._list_of(node, how))
            case _:
                self._call(f, node, place, how)

    def _span(self, f: Func, place: Place, function: int) -> None:
        for local in self._values.span(f, place):
            f.get(local)
        f.call(function)

    def _scalar(self, f: Func, t: Prim, place: Place) -> None:
        if t.name == "bool" and isinstance(place, Image):
            self._values.load(f, "i32.load8_u", place)
            self._run(f, "print_truth")
            return
        self._values.push_scalar(f, t, place, False)
        match t.name:
            case "f32" | "f64":
                self._run(f, f"print_wit{t.name[1:]}")
            case "char":
                f.i32(1)
                self._run(f, "print_letter")
            case "bool":
                self._run(f, "print_truth")
            case name:
                signed = name[0] == "s"
                f.op(*(() if name[1:] == "64" else (f"i64.extend_i32_{'s' if signed else 'u'}",)))
                self._run(f, "print_i64" if signed else "print_u64")

    def _handle(self, f: Func, t: ValType, place: Place, how: How) -> None:
        match t:
            case Own(resource) | Borrow(resource):
                rep = isinstance(t, Borrow) and resource in how.reps
                self._say(f, f"{resource.name or 'resource'}{'@' if rep else '#'}")
            case _:
                self._say(f, "stream#" if isinstance(t, StreamT) else "future#")
        self._values.push_scalar(f, t, place, False)
        f.op("i64.extend_i32_u")
        self._run(f, "print_u64")

    # --- functions by type -----------------------------------------------------------------------

    def _call(self, f: Func, t: ValType, place: Place, how: How) -> None:
        """Append a value by the function of its type."""
        if isinstance(place, Flat):
            kinds = flatten(t, self._layouts.ptr)
            for slot, kind in zip(place.slots, kinds, strict=False):
                push_slot(f, slot, kind)
            f.call(self._of(t, kinds, how))
            return
        self._values.push_address(f, place)
        f.call(self._of(t, None, how))

    def _of(self, t: ValType, kinds: tuple[str, ...] | None, how: How) -> int:
        """The function for values of type ``t`` (stripped) in these locals, or at an address."""
        key = (t, kinds is None, how)
        if key not in self._made:
            f = self._module.func(kinds if kinds is not None else (self._address,))
            self._made[key] = f.index
            place = Image(0, 0) if kinds is None else Flat(tuple(enumerate(kinds)))
            self._todo.append(partial(self._body, f, t, place, how))
        return self._made[key]

    @property
    def _address(self) -> str:
        return self._values.memory.address

    def _body(self, f: Func, t: ValType, place: Place, how: How) -> None:
        match t:
            case RecordT(fields):
                self._record(f, t, fields, place, how)
            case TupleT(types):
                self._tuple(f, t, types, place, how)
            case FlagsT(labels):
                self._flags(f, t, labels, place)
            case VariantT() | ResultT() | OptionT():
                self._variant(f, t, place, how)
            case ListT(element, int(length)):
                self._fixed(f, element, length, place, how)
            case _:
                raise InternalError(f"a WIT {type(t).__name__} has no text")

    def _record(
        self, f: Func, t: RecordT, fields: tuple[tuple[str, ValType], ...], place: Place, how: How
    ) -> None:
        parts = [self._values.field_at(t, i, place) for i in range(len(fields))]
        if len(fields) == 1:  # as a case with a payload
            ((name, of),) = fields
            self._case(f, name, of, parts[0], how)
            return
        for i, ((name, of), part) in enumerate(zip(fields, parts, strict=True)):
            self._say(f, f"{', ' if i else '{'}{name}: ")
            self.put(f, of, part, how)
        self._say(f, "}")

    def _tuple(
        self, f: Func, t: TupleT, types: tuple[ValType, ...], place: Place, how: How
    ) -> None:
        named = len(types) == 2 and is_text(types[0])
        self._say(f, "[")
        for i, of in enumerate(types):
            self._say(f, ", " if i else "")
            plain = How(False, how.reps) if named and not i else how
            self.put(f, of, self._values.field_at(t, i, place), plain)
        self._say(f, "]")

    def _fixed(self, f: Func, element: ValType, length: int, place: Place, how: How) -> None:
        info = self._layouts.info(element)
        self._say(f, "[")
        if isinstance(place, Flat):
            for i in range(length):
                self._say(f, ", " if i else "")
                self.put(f, element, Flat(place.slots[i * info.flat :][: info.flat]), how)
        else:
            end = f.local(self._address)
            f.get(place.base)
            f.const(self._address, info.size * length)
            f.op(f"{self._address}.add")
            f.set(end)
            self._elements(f, element, end, how)
        self._say(f, "]")

    def _elements(self, f: Func, element: ValType, end: int, how: How) -> None:
        """Those from the address in local 0 to that in ``end``; there is one at least."""
        size = max(self._layouts.info(element).size, 1)
        with f.block() as done, f.loop() as again:
            self.put(f, element, Image(0, 0), how)
            f.get(0)
            f.const(self._address, size)
            f.op(f"{self._address}.add")
            f.tee(0)
            f.get(end)
            f.op(f"{self._address}.eq")
            f.br_if(done)
            self._run(f, "print_full")
            f.br_if(done)
            self._say(f, ", ")
            f.br(again)

    def _flags(self, f: Func, t: ValType, labels: tuple[str, ...], place: Place) -> None:
        where = self._string(",".join(labels))
        self._say(f, "[")
        for word in range(-(-len(labels) // 32)):
            self._values.push_flags(f, t, word, place)
            f.i32(32 * word)
            for number in where:
                f.i32(number)
            self._run(f, "print_flags")
        self._say(f, "]")

    # --- variants --------------------------------------------------------------------------------

    def _variant(self, f: Func, t: ValType, place: Place, how: How) -> None:
        cases = variant_cases(t)
        bare = isinstance(t, OptionT) and not isinstance(strip(t.inner), OptionT)
        disc = f.local("i32")
        self._values.push_case(f, t, place)
        f.set(disc)
        with f.block() as done:
            for i, (name, payload) in enumerate(cases):
                if payload is None:
                    continue
                f.get(disc)
                f.i32(i)
                f.op("i32.eq")
                with f.if_():
                    part = self._values.payload_at(t, payload, place)
                    if bare:
                        self.put(f, payload, part, how)
                    else:
                        self._case(f, name, payload, part, how)
                    f.br(done)
            f.get(disc)
            self._label(f, [name for name, _ in cases], quoted=False)

    def _case(self, f: Func, name: str, payload: ValType, place: Place, how: How) -> None:
        """A case with its payload, or the one field of a record; an option that is none is left
        out, and addresses stand for themselves."""
        if name in _ADDRESSES and self._ip(f, name, payload, place):
            return
        inner = strip(payload)
        if not isinstance(inner, OptionT):
            self._say(f, f"{name}(")
            self.put(f, payload, place, how)
            self._say(f, ")")
            return
        self._say(f, name)
        self._values.push_case(f, inner, place)
        with f.if_():
            self._say(f, "(")
            self.put(f, payload, place, how)
            self._say(f, ")")

    def _ip(self, f: Func, name: str, payload: ValType, place: Place) -> bool:
        """An address as ``trace.address`` has it, if it is one."""
        node = strip(payload)
        if _is_ip(name, payload):
            self._numbers(f, name, node, place)
            return True
        if not isinstance(node, RecordT):
            return False
        labels = [label for label, _ in node.fields]
        if not {"address", "port"} <= set(labels):
            return False
        address, port = (labels.index(label) for label in ("address", "port"))
        at, of = node.fields[port][1], node.fields[address][1]
        number = strip(at)
        if not _is_ip(name, of) or not (isinstance(number, Prim) and number.name[1:].isdigit()):
            return False
        if number.name[0] == "f":
            return False
        self._say(f, "" if name == "ipv4" else "[")
        self._numbers(f, name, strip(of), self._values.field_at(node, address, place))
        self._say(f, ":" if name == "ipv4" else "]:")
        self.put(f, at, self._values.field_at(node, port, place), How())
        return True

    def _numbers(self, f: Func, name: str, t: ValType, place: Place) -> None:
        assert isinstance(t, TupleT)
        for i, of in enumerate(t.types):
            part = self._values.field_at(t, i, place)
            if name == "ipv6":
                self._values.push_scalar(f, of, part, False)
                continue
            self._say(f, "." if i else "")
            self.put(f, of, part, How())
        if name == "ipv6":
            self._run(f, "print_ip6")

    # --- what has a length -----------------------------------------------------------------------

    def _spanned(self) -> Func:
        return self._module.func((self._address,) * 2)

    def _string_of(self, hidden: bool) -> int:
        """A function (ptr, length word)."""
        key = ("string", hidden)
        if key in self._made:
            return self._made[key]
        encoding = self._texts().encoding
        f = self._spanned()
        self._made[key] = f.index
        ptr, word = f.local(self._address), f.local(self._address)
        for source, copy in ((_PTR, ptr), (_LEN, word)):
            f.get(source)
            f.set(copy)
        units = (1, 2) if encoding == "latin1+utf16" else (2,) if encoding == "utf16" else (1,)
        if len(units) == 2:
            take_tag(f, self._values.memory)
            with f.if_():
                self._checked(f, 2)
                f.else_()
                self._checked(f, 1)
        else:
            self._checked(f, units[0])
        if hidden:
            self._redacted(f)
        else:
            f.get(ptr)
            f.get(word)
            f.call(self._texts().copy())
            self._run(f, "print_quoted")
        return f.index

    def _checked(self, f: Func, size: int) -> None:
        """Say that a pointer is bad, and return."""
        out_of_bounds(f, self._values.memory, _PTR, _LEN, size)
        with f.if_():
            f.get(_PTR)
            self._values.memory.widen(f)
            self._run(f, "print_bad")
            f.op("return")

    def _redacted(self, f: Func) -> None:
        f.get(_LEN)
        self._values.memory.widen(f)
        self._run(f, "print_redacted")

    def _list_of(self, t: ValType, how: How) -> int:
        """A function (ptr, length) of a list or map."""
        of = self._entries.setdefault(t, element_of(t))
        inner = strip(of)
        as_bytes = isinstance(t, ListT) and isinstance(inner, Prim) and inner.name == "u8"
        key = ("bytes", how.hidden) if as_bytes else ("list", t, how)
        if key in self._made:
            return self._made[key]
        f = self._spanned()
        self._made[key] = f.index
        if as_bytes:
            self._checked(f, 1)
            self._redacted(f) if how.hidden else self._bytes(f)
        else:
            self._todo.append(partial(self._list, f, of, how))
        return f.index

    def _bytes(self, f: Func) -> None:
        to, count = f.local("i32"), self._texts().cut(f)
        f.get(count)
        f.call(self._state.tmp)
        f.tee(to)
        f.get(_PTR)
        f.get(count)
        self._state.access.copy(f, self._values.memory)
        f.get(to)
        f.get(count)
        self._run(f, "print_bytes")

    def _list(self, f: Func, element: ValType, how: How) -> None:
        size = max(self._layouts.info(element).size, 1)
        self._checked(f, size)
        self._say(f, "[")
        end = f.local(self._address)
        f.get(_LEN)
        f.const(self._address, size)
        f.op(f"{self._address}.mul")
        f.get(_PTR)
        f.op(f"{self._address}.add")
        f.tee(end)
        f.get(_PTR)
        f.op(f"{self._address}.ne")
        with f.if_():
            self._elements(f, element, end, how)
        self._say(f, "]")


def _is_ip(family: str, t: ValType) -> bool:
    """Whether it is a tuple of as many numbers as an address has."""
    node, (count, kind) = strip(t), _ADDRESSES[family]
    parts = list(map(strip, node.types)) if isinstance(node, TupleT) else []
    return len(parts) == count and all(isinstance(p, Prim) and p.name == kind for p in parts)


def _no_index(f: Func, expr: object) -> None:
    raise InternalError("a text needs no index")
