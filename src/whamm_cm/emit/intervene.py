"""What a script changes at a boundary: arguments, the answer, the time a call takes.

An argument is changed where it lies: in the wrapper's locals, or in the guest's memory, which is
the caller's (an import) or the callee's (an export).  A string written over one that the caller
keeps stays changed for the caller.

An answer given without a call to an import owns what the guest's ``realloc`` gave for it, as any
result does, and what the import was given for good is dropped (``given.py``).  An export's
arguments in memory and the area its answer lies in stay allocated: only the callee would have known
what becomes of them.  An asynchronous import that is answered has returned at once, so there is no
subtask; for an export that is, the probe calls its ``task.return`` and its task is over.  ``delay``
keeps the thread busy, for a blocking call may not be had everywhere; a clock is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from whamm_cm.abi.layout import Layouts
from whamm_cm.abi.layout import children as parts_of
from whamm_cm.abi.values import Options
from whamm_cm.emit import constants
from whamm_cm.emit.given import can_drop
from whamm_cm.emit.memory import Guest
from whamm_cm.emit.model import EventMode, Wrapper
from whamm_cm.emit.paths import acts, answers, mentions
from whamm_cm.emit.spans import out_of_bounds
from whamm_cm.emit.texts import Texts
from whamm_cm.emit.wit_values import JOIN, Flat, Image, Values, is_text, reading, wit_type
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FutureT,
    ListT,
    Own,
    Prim,
    StreamT,
    ValType,
    strip,
)  # fmt: skip

#: Readings in a row that show no progress, after which ``delay`` gives up on a clock.
_STANDSTILL: Final = 1_000_000
_NS_PER_MS: Final = 1_000_000
#: What a call returns that has its result, and a callback whose task is over.
RETURNED, _EXIT = 2, 0


def check_alt(w: Wrapper, body: Sequence[tree.Stmt]) -> None:
    """Raises WeaveError where an ``alt`` probe with that body cannot stand."""
    if w.kind not in ("lower", "lift"):
        raise WeaveError(f"an alt probe cannot stand at {w.kind}, only at a function")
    if not answers(body):
        return
    if w.kind == "lift" and w.is_async and w.answer is None:
        raise WeaveError(
            "an alt probe cannot answer for this async export: its component has no task.return"
            " with its result, memory and string encoding; call proceed() first"
        )
    types = [t for _, t in w.params]
    if _any(types, (Own, StreamT, FutureT)) and not can_drop(w):
        raise WeaveError(
            "an alt probe cannot answer for a function that is given own handles, streams or "
            "futures that it cannot drop; call proceed() first"
        )
    borrowed = _any(types, (Borrow,), w.resources)
    if w.kind == "lift" and borrowed:
        raise WeaveError(
            "an alt probe cannot answer for an export that borrows another component's resource: "
            "nobody would drop the handle; call proceed() first"
        )


def _any(
    types: Sequence[ValType], kinds: tuple[type, ...], but: frozenset[object] = frozenset()
) -> bool:
    """Whether values of ``types`` can hold one of ``kinds``."""
    stack, seen = list(types), set()
    while stack:
        node = strip(stack.pop())
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, kinds) and getattr(node, "resource", None) not in but:
            return True
        stack.extend(parts_of(node))
    return False


class Around(Protocol):
    """The wrapper around a probe, as far as interventions ask."""

    w: Wrapper
    layouts: Layouts
    values: Values
    #: The local of a result that comes as a core value.
    value: int | None
    mode: EventMode

    @property
    def clock(self) -> int: ...
    @property
    def realloc(self) -> int | None: ...
    @property
    def task_return(self) -> int: ...
    def texts(self) -> Texts: ...
    def evaluate(self, f: Func, expr: tree.Expr) -> None: ...


class Interventions:
    """Emits assignments, answers and delays of one wrapper's probes."""

    def __init__(self, events: Around) -> None:
        self.events, self.w = events, events.w
        self.options = Options(self.w.ptr, self.w.encoding)

    # --- arguments -------------------------------------------------------------------------------

    def assign(self, f: Func, target: tree.Scalar, value: tree.Expr) -> None:
        """Give a scalar argument a new value.  What is no value of its type, and a string longer
        than the old one, changes nothing."""
        t = wit_type(target.operand)
        self._check_target(target, t)
        if is_text(t):
            self._assign_text(f, target, value)
            return
        how = reading(t, self.events.layouts)
        new = f.local(how.core)
        self.events.evaluate(f, value)
        f.set(new)
        with f.block() as wrong:
            self._leave_if_invalid(f, t, new, wrong)
            place = self.events.values.place(f, target.operand, wrong)
            if isinstance(place, Flat):
                local, have = place.slots[0]
                f.get(new)
                f.op(*JOIN.get((have, how.core), ()))
                f.set(local)
            else:
                self._store(f, place, how.store, new)

    def _check_target(self, target: tree.Scalar, t: ValType) -> None:
        node: tree.Expr = target
        while not isinstance(node, tree.Bound):
            if isinstance(node, tree.Element):
                within = strip(wit_type(node.operand))
                fixed = isinstance(within, ListT) and within.length is not None
                if fixed and not isinstance(node.index, tree.Const):
                    raise WeaveError("assigning into a fixed-length list takes a constant index")
            assert isinstance(node, (tree.Scalar, tree.Field, tree.Payload, tree.Element))
            node = node.operand
        if self.events.mode == "after" or node.name == "result":
            raise WeaveError(f"'{node.name}' can only be assigned to before the call")
        if isinstance(strip(t), (Own, Borrow, StreamT, FutureT)):
            raise WeaveError(f"'{node.name}' is a handle, which cannot be assigned to")

    def _store(self, f: Func, place: Image, name: str, local: int, offset: int = 0) -> None:
        values = self.events.values
        values.push_base(f, place, offset)
        f.get(local)
        f.memory_op(name, (place.offset + offset) & 0x7FFFFFFF, values.memory.memory)

    def _leave_if_invalid(self, f: Func, t: ValType, local: int, wrong: Label) -> None:
        """An invalid case or character would trap in the callee's host."""
        match strip(t):
            case EnumT(labels):
                f.get(local)
                f.i32(len(labels))
                f.op("i32.ge_u")
                f.br_if(wrong)
            case FlagsT(labels) if len(labels) < 32:
                f.get(local)
                f.i32((1 << len(labels)) - 1)
                f.op("i32.and")
                f.set(local)
            case Prim("char"):
                f.get(local)
                f.i32(0x110000)
                f.op("i32.ge_u")
                f.get(local)
                f.i32(0xFFFFF800)
                f.op("i32.and")
                f.i32(0xD800)
                f.op("i32.eq", "i32.or")
                f.br_if(wrong)

    def _assign_text(self, f: Func, target: tree.Scalar, value: tree.Expr) -> None:
        values = self.events.values
        start, size = f.local("i32"), f.local("i32")
        self.events.evaluate(f, value)
        f.set(size)
        f.set(start)
        with f.block() as wrong:
            place = values.place(f, target.operand, wrong)
            pointer, count = values.span(f, place)
            for local in (pointer, count, start, size):
                f.get(local)
            f.call(self.events.texts().replace())
            if isinstance(place, Flat):
                local, have = place.slots[1]
                f.op(*JOIN.get((have, values.memory.address), ()))
                f.set(local)
            else:
                new = f.local(values.memory.address)
                f.set(new)
                name = "i64.store" if values.memory.is64 else "i32.store"
                self._store(f, place, name, new, values.memory.width)

    # --- the answer ------------------------------------------------------------------------------

    def answer(self, f: Func, value: tree.Expr | None) -> None:
        """Make ``value`` what the call returns."""
        result = self.w.result
        if result is None or value is None:
            if (result is None) != (value is None):
                raise WeaveError("return: a value exactly where the function has a result")
            if self.is_late:
                self._hand_over(f, ())
            self._answered(f)
            return
        if isinstance(value, tree.Const | tree.WitConst):
            self.answer_with(f, constants.constant(result, value))
            return
        self._answer_scalar(f, result, value)

    def _answer_scalar(self, f: Func, result: ValType, value: tree.Expr) -> None:
        into, w = self.events.value, self.w
        node = strip(result)
        simple = isinstance(node, (Prim, EnumT, FlagsT)) and not is_text(node)
        direct = w.is_async or into is not None
        if not direct or not simple or isinstance(value.type, vt.WitT):
            raise WeaveError("return: only a number can be computed, other answers are constants")
        how = reading(node, self.events.layouts)
        given, new = f.local(how.core), f.local(how.core)
        self.events.evaluate(f, value)
        f.set(given)
        f.const(how.core, 0)
        f.set(new)
        with f.block() as wrong:
            self._leave_if_invalid(f, node, given, wrong)
            f.get(given)
            f.set(new)
        if self.is_late:
            self._hand_over(f, (new,))
        elif w.is_async:
            self._store(f, Image(len(w.signature.params) - 1, 0), how.store, new)
        else:
            assert into is not None, "checked above"
            f.get(new)
            f.set(into)
        self._answered(f)

    def answer_with(self, f: Func, value: object) -> None:
        """Make a constant (in the shapes of ``abi.values``) what the call returns."""
        result = self.w.result
        assert result is not None, "answers are given to functions with a result"
        if self.is_late:
            self._answer_later(f, result, value)
            self._answered(f)
            return
        if self.w.is_async:
            self._answer_in_memory(f, result, value)
            self._answered(f)
            return
        if not self.w.signature.results_spilled:
            core = constants.flat(result, value, self.options)
            self._check_handles(result, value)
            if self.events.value is not None:
                f.const(self.w.signature.results[0], core)
                f.set(self.events.value)
            return
        self._answer_in_memory(f, result, value)

    def _answer_in_memory(self, f: Func, result: ValType, value: object) -> None:
        found = constants.blocks(result, value, self.options)
        self._check_handles(result, value)
        lift = self.w.kind == "lift"
        self._check_realloc(lift or len(found) > 1)
        bases = self._blocks(f, found, None if lift else len(self.w.signature.params) - 1)
        if lift:
            assert self.events.value is not None, "a pointer is returned"
            f.get(bases[0])
            f.set(self.events.value)

    def _check_realloc(self, needed: bool) -> None:
        if needed and not self.w.realloc:
            raise WeaveError(
                "an alt probe cannot answer with a value in memory: the function's canonical "
                "definition names no realloc"
            )

    # --- of asynchronous functions ---------------------------------------------------------------

    @property
    def is_late(self) -> bool:
        """Whether the answer goes to a ``task.return``."""
        return self.w.kind == "lift" and self.w.is_async

    def _answer_later(self, f: Func, result: ValType, value: object) -> None:
        """Hand a constant to the ``task.return`` of an export."""
        assert self.w.answer is not None, "checked before"
        if self.w.answer.params_spilled:
            found = constants.blocks(result, value, self.options)
            cores: tuple[int | float | constants.Address, ...] = (constants.Address(0),)
        else:
            cores, found = constants.flats(result, value, self.options)
        self._check_handles(result, value)
        self._check_realloc(bool(found))
        bases = self._blocks(f, found, None)
        given = []
        for core, kind in zip(cores, self.w.answer.params, strict=True):
            given.append(f.local(kind))
            if isinstance(core, constants.Address):
                f.get(bases[core.block])
            else:
                f.const(kind, core)
            f.set(given[-1])
        self._hand_over(f, given)

    def _hand_over(self, f: Func, given: Sequence[int]) -> None:
        for local in given:
            f.get(local)
        f.call(self.events.task_return)

    def _answered(self, f: Func) -> None:
        """What the wrapper of an asynchronous function returns when it has been answered."""
        if self.w.is_async and self.events.value is not None:
            f.const(self.w.signature.results[0], _EXIT if self.is_late else RETURNED)
            f.set(self.events.value)

    @staticmethod
    def _check_handles(result: ValType, value: object) -> None:
        if constants.has_handles(result, value):
            raise WeaveError("an alt probe cannot make up a handle, a stream or a future")

    def _blocks(
        self, f: Func, found: Sequence[constants.Block], first: int | None
    ) -> Sequence[int]:
        """Put them into guest memory: locals with their addresses.  The first has its place, the
        address in local ``first``, if that is one."""
        bases: list[int] = []
        if not found:
            return bases
        guest = self.events.values.memory
        with f.block() as out:
            for k, block in enumerate(found):
                placed = k == 0 and first is not None
                base = first if placed and first is not None else self._fresh(f, guest, block)
                bases.append(base)
                if block.data:
                    out_of_bounds(f, guest, base, None, len(block.data))
                    f.br_if(out)
            for base, block in zip(bases, found, strict=True):
                self._write(f, guest, base, block, bases)
        return bases

    def _fresh(self, f: Func, guest: Guest, block: constants.Block) -> int:
        """A local with the address of fresh guest memory for ``block``."""
        base = f.local(guest.address)
        for number in (0, 0, block.align, len(block.data)):
            f.const(guest.address, number)
        realloc = self.events.realloc
        assert realloc is not None, "checked before"
        f.call(realloc)
        f.set(base)
        return base

    def _write(
        self, f: Func, guest: Guest, base: int, block: constants.Block, bases: Sequence[int]
    ) -> None:
        pointers = dict(block.pointers)
        at, end = 0, len(block.data)
        while at < end:
            f.get(base)
            if at in pointers:
                f.get(bases[pointers[at]])
                f.memory_op(f"{guest.address}.store", at, guest.memory)
                at += guest.width
                continue
            wide = at + 8 <= end and not any(at + i in pointers for i in range(8))
            size = 8 if wide else 1
            number = int.from_bytes(block.data[at : at + size], "little")
            f.const("i64" if wide else "i32", number)
            f.memory_op("i64.store" if wide else "i32.store8", at, guest.memory)
            at += size

    # --- time ------------------------------------------------------------------------------------

    def delay(self, f: Func, ms: tree.Expr) -> None:
        """Read the clock until ``ms`` milliseconds have passed, or it stands still."""
        clock = self.events.clock
        began, last, still = f.local("i64"), f.local("i64"), f.local("i32")
        wait = f.local("i64")
        self.events.evaluate(f, ms)
        name = str(ms.type)
        if name not in ("u64", "i64"):
            f.op("i64.extend_i32_s" if name.startswith("i") else "i64.extend_i32_u")
        f.i64(_NS_PER_MS)
        f.op("i64.mul")
        f.set(wait)
        f.call(clock)
        f.tee(began)
        f.set(last)
        f.i32(_STANDSTILL)
        f.set(still)
        with f.block() as done, f.loop() as again:
            now = f.local("i64")
            f.call(clock)
            f.tee(now)
            f.get(began)
            f.op("i64.sub")
            f.get(wait)
            f.op("i64.ge_s")
            f.br_if(done)
            f.get(still)
            f.i32(1)
            f.op("i32.sub")
            f.i32(_STANDSTILL)
            f.get(now)
            f.get(last)
            f.op("i64.eq", "select")
            f.tee(still)
            f.op("i32.eqz")
            f.br_if(done)
            f.get(now)
            f.set(last)
            f.br(again)


def uses_clock(wrapper: Wrapper) -> bool:
    """Whether the probes of a wrapper read the clock, timed records or not."""
    return any(
        mentions((p.predicate, p.body), "elapsed") or acts(p.body, "delay")
        for p in (*wrapper.probes, *wrapper.later)
    )


def hands_over(wrapper: Wrapper) -> bool:
    """Whether its probes may call the ``task.return`` of an export, which can be had."""
    return wrapper.answer is not None and any(
        p.mode == "alt" and answers(p.body) for p in wrapper.probes
    )


def may_drop(wrapper: Wrapper) -> bool:
    """Whether an answer of its probes may have something to drop, which can be had."""
    return bool(wrapper.drops) and any(p.mode == "alt" and answers(p.body) for p in wrapper.probes)


def may_allocate(wrapper: Wrapper) -> bool:
    """Whether an answer of its probes may need fresh guest memory, which can be had."""
    return wrapper.realloc and any(p.mode == "alt" and answers(p.body) for p in wrapper.probes)
