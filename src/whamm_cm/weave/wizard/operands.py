"""What the engine passes of the running program to a probe that fires at a slot."""

from __future__ import annotations

import re

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.weave.opcodes.match import Firing, local_types
from whamm_cm.weave.wizard.slots import Rank, Slot, refused

_OPERAND = re.compile(r"(arg|res|local|param)(0|[1-9]\d{0,8})")
_NUMBERS = ("i32", "i64", "f32", "f64")
#: Instructions of which the engine knows less operands than there are.
_KNOWN = {
    **dict.fromkeys(("end", "else", "catch", "catch_all", "delegate", "rethrow", "br"), 0),
    "unreachable": 0, "br_if": 1, "br_table": 1, "throw_ref": 1,
    **dict.fromkeys(("br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail"), 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operands:
    """``names``: bound variables of the script; ``takes``: what the engine calls each of them, and
    its core type."""

    names: tuple[str, ...]
    takes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, firing: Firing, slot: Slot, info: FunctionInfo) -> Operands | None:
        """None where the code cannot run; WeaveError for what the engine does not pass."""
        takes: list[tuple[str, str]] = []
        for name in firing.left.bound:
            found = _taken(name, firing, slot, info)
            if found is None:
                return None
            takes.append(found)
        return cls(firing.left.bound, tuple(takes))


def _taken(name: str, firing: Firing, slot: Slot, info: FunctionInfo) -> tuple[str, str] | None:
    match = _OPERAND.fullmatch(name)
    if match is None:
        raise refused(firing, info, f"does not pass {name}")
    prefix, number = match[1], int(match[2])
    if prefix == "res" and firing.point.package != "opcode":
        raise refused(firing, info, "does not pass what a function returns")
    if prefix == "param" and slot.rank is not Rank.ENTRY:
        raise refused(firing, info, f"does not pass {name} when the function has begun")
    if prefix in ("local", "param"):
        kind = local_types(info)[number]
        if kind not in _NUMBERS:
            raise refused(firing, info, f"does not pass {name}, which is of type {kind}")
        return f"local{number}", kind
    opidx = firing.point.opidx
    typing = info.typing(opidx)
    kinds = typing.operands if prefix == "arg" else typing.results
    if number >= len(kinds) or kinds[number] is None or not typing.reachable:
        return None
    if kinds[number] not in _NUMBERS:
        raise refused(firing, info, f"does not pass {name}, which is of type {kinds[number]}")
    if prefix == "arg" and (slot.opidx, slot.rank) != (opidx, Rank.BEFORE):
        raise refused(firing, info, f"has no {name} any more when the instruction is done")
    at = slot.opidx
    if number >= _operands(info, at) or info.typing(at).operands[number] != kinds[number]:
        why = f"does not pass {name}"
        if prefix == "res":
            why += f": the instruction behind it, {info.mnemonic(at)}, takes no operand"
        raise refused(firing, info, why)
    return f"arg{number}", str(kinds[number])


def _operands(info: FunctionInfo, opidx: int) -> int:
    """How many the engine knows of, the top first."""
    count = len(info.typing(opidx).operands)
    return min(count, _KNOWN.get(info.mnemonic(opidx), count))
