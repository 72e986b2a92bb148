"""What a call is given for good and nobody takes: an answer without the call drops it.

The handles stay in the table of the caller until the callee has them, so it is the caller's
``resource.drop`` that is called.  It traps where the call would have: at what is no handle of its
type, or lent out.
"""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.abi.layout import children, variant_cases
from whamm_cm.abi.owned import owned
from whamm_cm.emit.model import Wrapper
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.wit_values import Binding, Image, Place, Values, push_slot
from whamm_cm.wasm.asm import Func
from whamm_cm.wit.types import (
    OptionT,
    Own,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)  # fmt: skip


def can_drop(w: Wrapper) -> bool:
    """Whether all that is given away can be dropped."""
    found = owned(t for _, t in w.params)
    return found is not None and w.kind == "lower" and set(found) <= set(w.drops)


def drop_all(
    f: Func,
    values: Values,
    w: Wrapper,
    bindings: Mapping[str, Binding],
    drops: Mapping[Resource, int],
) -> None:
    """Emit the drops of what parameters hold.  ``drops``: the function for each resource."""
    for number, (_, t) in enumerate(w.params):
        if not owned((t,)):
            continue
        binding = bindings[f"arg{number}"]
        with f.block() as nowhere:
            if isinstance(binding.place, Image):  # the call itself would trap there
                out_of_bounds(f, values.memory, binding.place.base, None, max(binding.whole, 1))
                f.br_if(nowhere)
            _drop(f, values, t, binding.place, drops)


def _drop(f: Func, values: Values, t: ValType, place: Place, drops: Mapping[Resource, int]) -> None:
    """Types nest no deeper than their values do on any host, and handles in few of them."""
    if not owned((t,)):
        return
    match strip(t):
        case Own(resource):
            if isinstance(place, Image):
                values.load(f, "i32.load", place)
            else:
                push_slot(f, place.slots[0], "i32")
            f.call(drops[resource])
        case RecordT() | TupleT():
            for index, part in enumerate(children(strip(t))):
                _drop(f, values, part, values.field_at(t, index, place), drops)
        case VariantT() | OptionT() | ResultT():
            for case, (_, payload) in enumerate(variant_cases(t)):
                if payload is None or not owned((payload,)):
                    continue
                values.push_case(f, t, place)
                f.i32(case)
                f.op("i32.eq")
                with f.if_():
                    _drop(f, values, payload, values.payload_at(t, payload, place), drops)
