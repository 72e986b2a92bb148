"""The types on the operand stack at instructions of a function: a validator's stack, kept.

Core specification, appendix "Validation Algorithm".  Types are not checked: what a valid function
has on its stack is found, and a function whose stack or control structure makes no sense is refused
with a DecodeError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import field
from typing import TypeAlias, cast
from weakref import WeakKeyDictionary

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.immediates import CastFlags, Immediate, immediates
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode
from whamm_cm.wasm.operands import RESOLVERS, Immediates, Scope, Types, heap_descriptor, resolve
from whamm_cm.wasm.signatures import signature
from whamm_cm.wasm.valtypes import heap_of, non_null, reference

#: A type on the stack; None where any type would do, which happens in unreachable code only.
Known: TypeAlias = str | None
#: Position, opcode, end of the immediates, as ``instructions.scan`` finds them.
Step: TypeAlias = tuple[int, Opcode, int]


@dataclass(frozen=True, slots=True)
class Typing:
    """What an instruction takes and leaves, top of the stack first.

    ``reachable`` is False where the specification's stack is polymorphic: that code never runs.
    What a block leaves is what its first instruction finds, and ``else`` and ``end`` take what the
    arm leaves.  A type of an operand is None if any would do, for ``drop`` in unreachable code.
    ``under``: the values of the same block that are under the operands.
    """

    reachable: bool
    operands: tuple[Known, ...]
    results: tuple[Known, ...]
    under: tuple[Known, ...] = ()


@dataclass(slots=True)
class _Frame:
    """An open block; ``start`` and ``end``: parameters and results, bottom first."""

    opened: str
    start: Types
    end: Types
    height: int
    unreachable: bool = False

    @property
    def label(self) -> Types:
        return self.start if self.opened == "loop" else self.end


@dataclass(slots=True)
class _Machine:
    scope: Scope
    stack: list[Known] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=list)
    pos: int = 0

    def pop(self, expected: Known) -> Known:
        frame = self.frames[-1]
        if len(self.stack) > frame.height:
            found = self.stack.pop()
            return expected if found is None else found
        if frame.unreachable:
            return expected
        raise self.scope.error("an operand is missing", self.pos)

    def pops(self, expected: Iterable[Known]) -> tuple[Known, ...]:
        """Pop types that are given bottom first; what was there, top first."""
        return tuple([self.pop(kind) for kind in reversed(tuple(expected))])

    def push(self, kinds: Iterable[Known]) -> tuple[Known, ...]:
        """Push types given bottom first; the same top first."""
        pushed = tuple(kinds)
        self.stack.extend(pushed)
        return pushed[::-1]

    def open(self, opened: str, start: Types, end: Types) -> None:
        self.frames.append(_Frame(opened, start, end, len(self.stack)))

    def close(self) -> tuple[_Frame, tuple[Known, ...]]:
        """End an arm of the innermost block: (the block, what the arm left, top first)."""
        frame = self.frames[-1]
        left = self.pops(frame.end)
        if len(self.stack) != frame.height:
            raise self.scope.error("values are left behind at the end of a block", self.pos)
        return self.frames.pop(), left

    def label(self, depth: int) -> Types:
        if depth >= len(self.frames):
            raise self.scope.error(f"there is no label {depth}", self.pos)
        return self.frames[-1 - depth].label

    def leave(self) -> None:
        """What follows cannot be reached."""
        frame = self.frames[-1]
        del self.stack[frame.height :]
        frame.unreachable = True


Effect: TypeAlias = tuple[tuple[Known, ...], tuple[Known, ...]]
_Special: TypeAlias = Callable[[_Machine, Immediates], Effect]


def block_type(module: CoreModule, kind: int | str | None) -> tuple[Types, Types]:
    """(parameters, results) of a block type as ``read_block_type`` gives it."""
    if isinstance(kind, int):
        func = module.type_func(kind)
        return func.params, func.results
    return (), () if kind is None else (kind,)


def _opening(opened: str, condition: Types = ()) -> _Special:
    def run(machine: _Machine, imms: Immediates) -> Effect:
        kind = cast("int | str | None", imms.of(Imm.BLOCKTYPE))
        start, end = block_type(machine.scope.module, kind)
        taken = machine.pops(start + condition)
        machine.open(opened, start, end)
        return taken, machine.push(start)

    return run


def _arm(opened: str, follows: tuple[str, ...]) -> _Special:
    """``else`` and the legacy catches: the end of an arm and the start of another."""

    def run(machine: _Machine, imms: Immediates) -> Effect:
        if machine.frames[-1].opened not in follows:
            raise machine.scope.error(f"{opened} outside of its block", machine.pos)
        frame, left = machine.close()
        start = frame.start if opened == "else" else ()
        if opened == "catch":
            start = machine.scope.module.tag_type(imms.index(Imm.TAG)).params
        machine.open(opened, frame.start, frame.end)
        return left, machine.push(start)

    return run


def _end(machine: _Machine, imms: Immediates) -> Effect:
    frame, left = machine.close()
    return left, machine.push(frame.end)


def _going(operands: Callable[[_Machine, Immediates], Types]) -> _Special:
    """Instructions that never go on to the next one."""

    def run(machine: _Machine, imms: Immediates) -> Effect:
        taken = machine.pops(operands(machine, imms))
        machine.leave()
        return taken, ()

    return run


def _label(machine: _Machine, imms: Immediates) -> Types:
    return machine.label(imms.index(Imm.LABEL))


def _table_labels(machine: _Machine, imms: Immediates) -> Types:
    labels = cast("tuple[int, ...]", imms.of(Imm.LABELS))
    return (*[machine.label(label) for label in labels][-1], "i32")


def _br_if(machine: _Machine, imms: Immediates) -> Effect:
    label = _label(machine, imms)
    return machine.pops((*label, "i32")), machine.push(label)


def _call(*more: str) -> Callable[[_Machine, Immediates], Types]:
    """The operands of a tail call; ``more``: words as in signatures, behind the arguments."""

    def operands(machine: _Machine, imms: Immediates) -> Types:
        words = ("params", *more)
        return tuple(kind for word in words for kind in RESOLVERS[word](machine.scope, imms))

    return operands


def _drop(machine: _Machine, imms: Immediates) -> Effect:
    return (machine.pop(None),), ()


def _select(machine: _Machine, imms: Immediates) -> Effect:
    condition, second = machine.pop("i32"), machine.pop(None)
    first = machine.pop(second)
    kind = first if second is None else second
    return (condition, kind, kind if first is None else first), machine.push((kind,))


def _is_null(machine: _Machine, imms: Immediates) -> Effect:
    return (machine.pop(None),), machine.push(("i32",))


def _as_non_null(machine: _Machine, imms: Immediates) -> Effect:
    found = machine.pop(None)
    return (found,), machine.push((found and non_null(found),))


def _br_on_null(machine: _Machine, imms: Immediates) -> Effect:
    found, label = machine.pop(None), _label(machine, imms)
    rest = machine.pops(label)
    return (found, *rest), machine.push((*label, found and non_null(found)))


def _br_on_non_null(machine: _Machine, imms: Immediates) -> Effect:
    found, label = machine.pop(None), _label(machine, imms)
    if not label:
        raise machine.scope.error("br_on_non_null to a label without values", machine.pos)
    rest = machine.pops(label[:-1])
    return (found, *rest), machine.push(label[:-1])


def _br_on_cast(fails: bool, described: bool) -> _Special:
    def run(machine: _Machine, imms: Immediates) -> Effect:
        flags, label, source, target = imms.values
        assert isinstance(flags, CastFlags) and isinstance(label, int)
        label_types = machine.label(label)
        if not label_types:
            raise machine.scope.error("a cast branches to a label without values", machine.pos)
        taken: tuple[Known, ...] = ()
        if described:
            taken = (machine.pop(heap_descriptor(machine.scope, str(target))),)
        taken += (machine.pop(reference(str(source), flags.source)),)
        taken += machine.pops(label_types[:-1])
        rest = reference(str(source), flags.source and not flags.target)
        kept = reference(str(target), flags.target) if fails else rest
        return taken, machine.push((*label_types[:-1], kept))

    return run


def _convert(heap: str, source: str) -> _Special:
    """Conversions keep nullability and sharedness."""

    def run(machine: _Machine, imms: Immediates) -> Effect:
        found = machine.pop(source)
        parts = heap_of(found) if found else None
        if parts is None:
            raise machine.scope.error("a reference is missing", machine.pos)
        to = f"(shared {heap})" if parts[0].startswith("(shared ") else heap
        return (found,), machine.push((reference(to, parts[1]),))

    return run


def _get_desc(machine: _Machine, imms: Immediates) -> Effect:
    index = imms.index(Imm.TYPE)
    found = machine.pop(reference(str(index)))
    parts = heap_of(found) if found else None
    exact = parts is not None and parts[0].startswith("(exact ")
    wanted = heap_descriptor(machine.scope, f"(exact {index})" if exact else str(index))
    return (found,), machine.push((non_null(wanted),))


#: Instructions that ``signature`` calls special.
_SPECIAL: dict[str, _Special] = {
    "block": _opening("block"),
    "loop": _opening("loop"),
    "if": _opening("if", ("i32",)),
    "try": _opening("try"),
    "try_table": _opening("try_table"),
    "else": _arm("else", ("if",)),
    "catch": _arm("catch", ("try", "catch")),
    "catch_all": _arm("catch_all", ("try", "catch")),
    "end": _end,
    "delegate": _end,
    "unreachable": _going(lambda m, i: ()),
    "throw": _going(lambda m, i: m.scope.module.tag_type(i.index(Imm.TAG)).params),
    "rethrow": _going(lambda m, i: ()),
    "throw_ref": _going(lambda m, i: ("exnref",)),
    "br": _going(_label),
    "br_table": _going(_table_labels),
    "return": _going(lambda m, i: m.scope.type.results),
    "return_call": _going(_call()),
    "return_call_indirect": _going(_call("tab")),
    "return_call_ref": _going(_call("null_type")),
    "br_if": _br_if,
    "drop": _drop,
    "select": _select,
    "ref.is_null": _is_null,
    "ref.as_non_null": _as_non_null,
    "br_on_null": _br_on_null,
    "br_on_non_null": _br_on_non_null,
    "br_on_cast": _br_on_cast(False, False),
    "br_on_cast_fail": _br_on_cast(True, False),
    "br_on_cast_desc_eq": _br_on_cast(False, True),
    "br_on_cast_desc_eq_fail": _br_on_cast(True, True),
    "any.convert_extern": _convert("any", "externref"),
    "extern.convert_any": _convert("extern", "anyref"),
    "ref.get_desc": _get_desc,
}


#: What instructions that look alike pop and push, for those that no local or stack decides.
_KNOWN: WeakKeyDictionary[CoreModule, dict[bytes, tuple[Types, Types]]] = WeakKeyDictionary()


def _signature(machine: _Machine, opcode: Opcode, end: int) -> tuple[Types, Types] | None:
    """What an instruction that is not special pops and pushes, bottom first."""
    scope = machine.scope
    quick = scope.quick.get(opcode)
    if quick is not None:
        return quick.pops, quick.pushes
    if signature(opcode).special:
        return None
    if Imm.LOCAL in opcode.immediates:
        return resolve(scope, opcode, immediates(scope.module, machine.pos, opcode))
    known = _KNOWN.setdefault(scope.module, {})
    raw = bytes(scope.module.data[machine.pos : end])
    if raw not in known:
        known[raw] = resolve(scope, opcode, immediates(scope.module, machine.pos, opcode))
    return known[raw]


def _step(machine: _Machine, opcode: Opcode, end: int) -> Effect:
    found = _signature(machine, opcode, end)
    if found is not None:
        return machine.pops(found[0]), machine.push(found[1])
    values: tuple[Immediate, ...] = ()
    if opcode.immediates:
        values = immediates(machine.scope.module, machine.pos, opcode)
    return _SPECIAL[opcode.mnemonic](machine, Immediates(opcode, values))


def _plain_step(machine: _Machine, opcode: Opcode, end: int) -> bool:
    """The same without a record, where that is quick: in reachable code, as nearly all is."""
    frame, stack, scope = machine.frames[-1], machine.stack, machine.scope
    if frame.unreachable:
        return False
    quick = scope.quick.get(opcode)
    if quick is None:
        index = scope.module.data[machine.pos + 1] if machine.pos + 1 < end else 0x80
        kind = scope.few_locals[index] if index < len(scope.few_locals) else None
        if kind is None or opcode.code not in _LOCAL_OPCODES or opcode.prefix:
            return False
        pops, pushes = _LOCAL_OPCODES[opcode.code]
        pushed: Types = (kind,) * pushes
    else:
        pops, pushed = len(quick.pops), quick.pushes
    if len(stack) - pops < frame.height:
        return False
    if pops:
        del stack[-pops:]
    stack += pushed
    return True


#: local.get, local.set and local.tee: how many values they pop and push.
_LOCAL_OPCODES = {0x20: (0, 1), 0x21: (1, 0), 0x22: (1, 1)}


def typings(
    module: CoreModule,
    index: int,
    wanted: Collection[int] | None = None,
    steps: Iterable[Step] | None = None,
) -> dict[int, Typing]:
    """The typing of instructions of the defined function ``index``, by their number (opidx).

    Of all of them, or of those in ``wanted``.  ``steps``: its instructions, where they have been
    scanned already.  DecodeError when the function cannot be understood.
    """
    scope = Scope(module, index)
    machine = _Machine(scope)
    machine.open("function", (), scope.type.results)
    found: dict[int, Typing] = {}
    for opidx, (pos, opcode, end) in enumerate(steps or module.instructions(index)):
        if not machine.frames:
            raise scope.error("instructions behind the end of the function", pos)
        machine.pos = pos
        asked = wanted is None or opidx in wanted
        if not asked and _plain_step(machine, opcode, end):
            continue
        frame = machine.frames[-1]
        reachable = not frame.unreachable
        before = machine.stack[: frame.height - 1 if frame.height else None : -1] if asked else ()
        operands, results = _step(machine, opcode, end)
        if asked:
            found[opidx] = Typing(reachable, operands, results, tuple(before[len(operands) :]))
    if machine.frames:
        raise scope.error("the function has no end", module.bodies[index].end)
    return found
