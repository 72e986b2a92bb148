"""Codec of variants, enums, options and results.  CanonicalABI.md, "lift_flat_variant"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from whamm_cm.abi.codecs import Codec, Core, cast_lift, cast_lower, core_int
from whamm_cm.abi.faults import AbiError, show
from whamm_cm.abi.flatten import SlotCast, case_flat, flatten
from whamm_cm.abi.heap import Heap
from whamm_cm.abi.layout import VariantLayout
from whamm_cm.abi.strings import Memory
from whamm_cm.wit.types import ValType

Shape = Literal["cases", "label", "bare", "boxed"]
"""How a case is written in Python: ``{label: payload}``; an enum's label; an option's ``None`` or
payload; the same with ``{"some": payload}``, for an option of an option."""


class VariantCodec:
    """Core types are worked out at the first lift or lower only: a variant behind a pointer may
    have more core values than can be spelled out."""

    __slots__ = ("_casts", "_type", "codecs", "index", "labels", "layout", "ptr", "shape")

    def __init__(
        self,
        t: ValType,
        ptr: int,
        layout: VariantLayout,
        shape: Shape,
        cases: Sequence[tuple[str, Codec | None]],
    ) -> None:
        self._type, self.ptr, self.layout, self.shape = t, ptr, layout, shape
        self.labels = tuple(label for label, _ in cases)
        self.codecs = tuple(codec for _, codec in cases)
        self.index = {label: i for i, label in enumerate(self.labels)}
        self._casts: dict[int, tuple[SlotCast, ...]] = {}

    def load(self, mem: Memory, off: int) -> Any:
        case = int.from_bytes(mem[off : off + self.layout.disc_size], "little")
        codec = self._codec(case)
        payload = None if codec is None else codec.load(mem, off + self.layout.payload_offset)
        return self._wrap(case, payload)

    def store(self, heap: Heap, value: object, off: int) -> None:
        case, payload = self._unwrap(value)
        heap.write(off, case.to_bytes(self.layout.disc_size, "little"))
        codec = self.codecs[case]
        if codec is not None:
            codec.store(heap, payload, off + self.layout.payload_offset)

    def lift(self, mem: Memory, flat: Sequence[Core], at: int) -> Any:
        case = core_int(flat[at], 32)
        codec = self._codec(case)
        if codec is None:
            return self._wrap(case, None)
        slots = enumerate(self._slots(case), at + 1)
        own = [cast_lift(slot, flat[position]) for position, slot in slots]
        return self._wrap(case, codec.lift(mem, own, 0))

    def lower(self, heap: Heap, value: object) -> list[Core]:
        case, payload = self._unwrap(value)
        codec = self.codecs[case]
        own = [] if codec is None else codec.lower(heap, payload)
        slots = self._slots(case)
        joined = [cast_lower(slot, core) for slot, core in zip(slots, own, strict=True)]
        unused = flatten(self._type, self.ptr)[1 + len(joined) :]
        return [case, *joined, *(0.0 if core[0] == "f" else 0 for core in unused)]

    def _slots(self, case: int) -> tuple[SlotCast, ...]:
        found = self._casts.get(case)
        if found is None:
            found = self._casts[case] = case_flat(self._type, case, self.ptr)
        return found

    def _codec(self, case: int) -> Codec | None:
        if case >= len(self.codecs):
            raise AbiError(f"0x{case:x} is not a case of a variant with {len(self.codecs)} cases")
        return self.codecs[case]

    def _wrap(self, case: int, payload: Any) -> Any:
        match self.shape:
            case "cases":
                return {self.labels[case]: payload}
            case "label":
                return self.labels[case]
            case "bare":
                return payload
        return {"some": payload} if case else None

    def _unwrap(self, value: object) -> tuple[int, object]:
        match self.shape:
            case "label":
                if not isinstance(value, str):
                    raise AbiError(f"an enum takes a label, not {show(value)}")
                return self._find(value), None
            case "bare":
                return (0, None) if value is None else (1, value)
            case "boxed" if value is None:
                return 0, None
        if not isinstance(value, dict) or len(value) != 1:
            raise AbiError(f"a variant takes a dict of one case, not {show(value)}")
        ((label, payload),) = value.items()
        case = self._find(label)
        if self.codecs[case] is None and payload is not None:
            raise AbiError(f"case {show(label)} carries no value, but {show(payload)} was given")
        return case, payload

    def _find(self, label: object) -> int:
        case = self.index.get(label) if isinstance(label, str) else None
        if case is None:
            raise AbiError(f"{show(label)} is not one of the cases {', '.join(self.labels[:8])}")
        return case
