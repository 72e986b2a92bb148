"""What reads and writes of streams and futures have copied, once they are over.

Until then the buffer is lent to the other end, and nobody may look at it.  What a copy returns, be
it at once, with an event or when it is cancelled, says how many elements are in it: only these are
read, before the guest is told and has its buffer back.  So with what was written: a buffer
that was only half taken has not been sent.

CanonicalABI.md: ``canon_stream_read`` ff., ``pack_copy_result``.
"""

from __future__ import annotations

from typing import Final

from whamm_cm.agent.layout import Phase
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import Wrapper
from whamm_cm.emit.recorder import Recorder
from whamm_cm.emit.sampling import where_recorded
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wit.types import ListT

#: What a read, write or cancellation returns that will be over later.
BLOCKED: Final = 0xFFFFFFFF
#: The parameter that says where the buffer is.
POINTER: Final = 1
#: Low bits of what is returned, and the value of them that says all is well.
_RESULT_BITS, _RESULT_MASK = 4, 0xF
#: Parameters of a copy of a future: it is not told how many.
_OF_FUTURE = 2


@dataclass(frozen=True, slots=True)
class Copied:
    """What lies in a buffer: locals with its address and with how many elements there are, both of
    the core type of addresses; ``elements`` is their type as a list."""

    ptr: int
    count: int
    elements: ListT


def copied(f: Func, w: Wrapper, value: int, ptr: int) -> Copied | None:
    """What a copy of ``w`` that is over has left in the buffer at the address in local ``ptr``,
    given what it returned in local ``value``; None where elements have no values."""
    if w.elements is None:
        return None
    return Copied(ptr, how_many(f, w, value), w.elements)


def how_many(f: Func, w: Wrapper, value: int) -> int:
    """A local, of the core type of addresses, with how many elements a copy has copied that has
    returned local ``value``."""
    address = "i64" if w.ptr == 8 else "i32"
    returned = w.signature.results[0]
    count = f.local(address)
    f.get(value)
    if returned != address:
        f.op("i64.extend_i32_u")
    if len(w.signature.params) == _OF_FUTURE:  # one value or none, and no number
        f.const(address, _RESULT_MASK)
        f.op(f"{address}.and")
        f.op(f"{address}.eqz")
        if address == "i64":
            f.op("i64.extend_i32_u")
    else:
        f.const(address, _RESULT_BITS)
        f.op(f"{address}.shr_u")
    f.set(count)
    return count


def is_over(f: Func, w: Wrapper, value: int) -> Label:
    """A block for where a copy of ``w`` that has returned local ``value`` is over."""
    f.get(value)
    if w.signature.results[0] == "i64":
        f.op("i32.wrap_i64")
    f.i32(BLOCKED)
    f.op("i32.ne")
    return f.if_()


def write_returned(body: Recorder, value: int) -> None:
    """Write the record of what a copy has returned in local ``value``."""
    with is_over(body.f, body.w, value):
        write_copy(body, value, POINTER)
        body.f.else_()
        body.pending(value)


def write_copy(body: Recorder, value: int, ptr: int) -> None:
    """Write the return record of a copy that is over, with the elements it copied."""
    w, f = body.w, body.f
    found = copied(f, w, value, ptr)
    if found is None:
        body.returned((body.slot(value),))
        return
    address = "i64" if w.ptr == 8 else "i32"
    assert w.result is not None, "a copy returns what became of it"
    types = (w.result, found.elements)
    slots = (body.slot(value), (found.ptr, address), (found.count, address))
    mode = "none" if w.redact is None else w.redact.result
    body.write_image(body.image(types, slots, mode, False))


def write_note(body: Recorder) -> None:
    """Write the record of ends that a built-in has made, its result on the stack, or of one that it
    has dropped."""
    w, f = body.w, body.f
    slots, value = tuple(enumerate(w.signature.params)), None
    types = tuple(t for _, t in w.params)
    if w.result is not None:
        value = f.local(w.signature.results[0])
        f.set(value)
        types, slots = (w.result,), (body.slot(value),)
    with where_recorded(body.sampled):
        body.write_image(body.image(types, slots, "none", False), Phase.HANDLE)
    if value is not None:
        f.get(value)
