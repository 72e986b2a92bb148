"""The code section of a module in the kernel: looked over, drafted in bulk, and written anew."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.kernel import layout
from whamm_cm.kernel.layout import Do
from whamm_cm.wasm.code import NUMBERS, Found, Loaded, flags_of
from whamm_cm.wasm.module import Bodies, CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Opcode, by_mnemonic
from whamm_cm.wasm.rewrite import Draft, Maps, Templates, Written, put_maps, put_templates

#: Where last words go.
(UNREACHABLE,) = by_mnemonic("unreachable")
#: New code is taken from the kernel in pieces of so many bytes and a function.
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Survey:
    """Groups of alike instructions: one of each, and how many there are.  ``seen``: by function,
    the flags of what it holds."""

    groups: Sequence[tuple[Found, int]]
    seen: bytes


class Target(NamedTuple):
    """A function to be drafted: ``function`` among the defined ones, and what its code may ask for.
    ``pc_base`` taken from a position is its pc; ``first_local`` the first new local's index."""

    function: int
    fid: int
    pc_base: int
    first_local: int


@dataclass(frozen=True, slots=True)
class Plans:
    """What to put at instructions: words of ``layout.Step``, the END not among them, by group.

    ``needs``: how many locals of each of ``types`` (encoded) a group's code takes.  ``variables``
    and ``classes``: templates that add an amount (two words) to a variable, and that count at a
    spot.  ``step``: the distance of spots.  ``outer``: lists of addresses, in the order in which
    they are taken.  ``pulse`` and ``last``: templates at the entry and in the loops of functions
    where something fires, and in front of ``unreachable``.
    """

    steps: Sequence[Sequence[int] | None]
    needs: Sequence[Sequence[int]]
    types: Sequence[bytes] = ()
    variables: Sequence[int] = ()
    classes: Sequence[int] = ()
    step: int = 1
    outer: Sequence[Sequence[int]] = ()
    pulse: int | None = None
    last: int | None = None
    cells: int = 0


@dataclass(frozen=True, slots=True)
class Drafted:
    """What was counted for where.  By target: how many counters; by counter: how many cells, and
    its class; by cell: row, and step of its pc (``agent/counted.py``); by outer address: the
    number of the target, pc, which list."""

    sizes: array[int]
    counts: array[int]
    kinds: array[int]
    rows: array[int]
    steps: array[int]
    outs: Sequence[tuple[int, int, int]]


@dataclass(slots=True)
class CodeEdit:
    """The code of a module in a kernel of its own."""

    module: CoreModule
    bodies: Bodies = field(init=False)
    loaded: Loaded = field(init=False)
    #: The functions with drafts made here, and those drafts that are kept.
    drafted: set[int] = field(default_factory=set)
    kept: dict[int, Draft] = field(default_factory=dict)
    _functions: int = field(init=False)
    _flags: int = 0

    def __post_init__(self) -> None:
        self.bodies, known = self.module.read_bodies()
        if known is None:
            loaded = Loaded.of(self.bodies.data, self.bodies.first, self.bodies.end)
            known = loaded, loaded.kernel.put_words(self.bodies.words)
        self.loaded, self._functions = known

    @property
    def path(self) -> str:
        return self.module.path

    def _fault(self) -> int:
        return self.module.offset - self.loaded.moved

    def close(self) -> None:
        """Give the kernel's memory back; nothing more can be asked."""
        self.loaded.kernel.close()

    def survey(
        self,
        indices: Sequence[int],
        wanted: Iterable[Opcode],
        by_immediates: Iterable[Opcode] = (),
        marks: Mapping[Opcode, int] | None = None,
    ) -> Survey:
        """The groups of the wanted instructions of some functions.  ``marks``: more flags of rows,
        for ``seen``.  To be called once, before :meth:`draft`."""
        inside, moved = self.loaded.kernel, self.loaded.moved
        flags = bytearray(flags_of(wanted, by_immediates))
        for row, mark in (marks or {}).items():
            flags[NUMBERS[row]] |= mark
        self._flags = inside.put(bytes(flags))
        codes, ends = self.bodies.column(layout.CODE), self.bodies.column(layout.END)
        flat = array("I", [at[n] + moved for n in indices for at in (codes, ends)])
        if not inside.run("scan", inside.put_words(flat), len(indices), self._flags, moved, 0):
            paths = [f"{self.path}.code[{index}]".lstrip(".") for index in indices]
            raise inside.error(self._fault(), paths)
        _, _, at, count, seen = inside.struct("result", 5)
        raw = inside.get_words(at, count * layout.ALIKE_WORDS)
        groups = [
            ((raw[n + 1] - moved, OPCODES[raw[n]], raw[n + 2] - moved), raw[n + 3])
            for n in range(0, len(raw), layout.ALIKE_WORDS)
        ]
        return Survey(groups, inside.get(seen, len(indices)))

    def draft(self, plans: Plans, targets: Sequence[Target], keep: bool = True) -> Drafted:
        """Make the drafts of some of the functions that were surveyed; DecodeError where the
        control structure of one is malformed.  ``keep``: to be read when somebody asks where code
        has come from."""
        inside = self.loaded.kernel
        given = self._put_plans(plans)
        words = array("I")
        for target in targets:
            words.extend((*target, 0))
        targets_at = inside.put_words(words)
        codes, ends = self.bodies.column(layout.CODE), self.bodies.column(layout.END)
        inside.fuel(20 * sum(ends[to.function] - codes[to.function] for to in targets))
        done = inside.run(
            "draft", given, targets_at, len(targets), self._functions, self.loaded.moved,
            self._flags,
        )  # fmt: skip
        if not done:
            index, pos, message = inside.failure()
            path = f"{self.path}.code[{index}]".lstrip(".")
            raise inside.fault(message, pos + self._fault(), path)
        self._note(targets, keep)
        return self._drafted(plans, given, targets_at, len(targets))

    def _put_plans(self, plans: Plans) -> int:
        inside = self.loaded.kernel
        steps, places = array("I"), list[int | None]()
        for one in plans.steps:
            places.append(None if one is None else len(steps))
            if one is not None:
                steps.extend(one)
                steps.append(layout.Step.END)
        steps_at = inside.put_words(steps)
        needs = array("I")
        for need in plans.needs:
            needs.extend([*need, *[0] * (layout.MAX_KINDS - len(need))])
        needs_at = inside.put_words(needs)
        stride = 4 * layout.MAX_KINDS
        types = b"".join(bytes((len(kind),)) + kind.ljust(3, b"\0") for kind in plans.types)
        outs = inside.put(bytes(12 * sum(map(len, plans.outer))))
        lists = [inside.put_words(one) for one in plans.outer]
        words = [
            inside.put_words([0 if at is None else steps_at + 4 * at for at in places]),
            inside.put_words([needs_at + stride * n for n in range(len(plans.needs))]),
            inside.put(types), len(plans.types),
            inside.put_words(plans.variables),
            inside.put_words(plans.classes), len(plans.classes),
            plans.step, inside.put_words(lists),
            0 if plans.pulse is None else plans.pulse + 1,
            0 if plans.last is None else plans.last + 1,
            NUMBERS[UNREACHABLE], plans.cells,
            0, 0, 0, 0, 0, 0, outs, 0,
        ]  # fmt: skip
        return inside.put_words(words)

    def _drafted(self, plans: Plans, given: int, targets_at: int, count: int) -> Drafted:
        inside = self.loaded.kernel
        found = inside.get_words(given + 4 * 13, 8)
        counts, kinds, counters, rows, steps, cells, outs, n_outs = found
        flat = inside.get_words(outs, 3 * n_outs)
        return Drafted(
            inside.get_words(targets_at, count * layout.TARGET_WORDS)[4 :: layout.TARGET_WORDS],
            inside.get_narrow(counts, counters), inside.get_narrow(kinds, counters),
            inside.get_narrow(rows, cells), inside.get_narrow(steps, cells),
            list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)),
        )  # fmt: skip

    def _note(self, targets: Iterable[Target], keep: bool) -> None:
        """What was drafted."""
        inside = self.loaded.kernel
        raw = inside.get_words(self._functions, len(self.bodies) * layout.FUNCTION_WORDS)
        places = raw[layout.FUNCTION_DRAFT :: layout.FUNCTION_WORDS]
        drafts = {to.function: places[to.function] for to in targets if places[to.function]}
        self.drafted.update(drafts)
        if not (drafts and keep):
            return
        start = min(drafts.values())
        view = memoryview(inside.get_words(start, (inside.take(0) - start) // 4))
        self.kept |= {n: Draft(view[(at - start) // 4 :]) for n, at in drafts.items()}

    def write(
        self,
        drafts: Mapping[int, Draft],
        templates: Templates,
        maps: Maps,
        spots: int = 0,
        last: int | None = None,
    ) -> Written:
        """All bodies with new indices, and new code in those that have a draft, given here or made
        by :meth:`draft`.  What does not change is as it was, byte for byte.  ``spots``: the first.
        ``last``: a template in front of each ``unreachable``.  To be called at the end.

        DecodeError where the code is malformed, and for an index that a map does not have.
        """
        loaded, inside = self.loaded, self.loaded.kernel
        todo = array("I")
        starts = dict[int, int]()
        for index, draft in drafts.items():
            starts[index] = 4 * len(todo)
            todo.extend(draft.words)
            todo.append(Do.END)
        base = inside.put_words(todo)
        for index, draft in drafts.items():
            own = draft.locals
            where = 0 if own is None else inside.put(own)
            words = (base + starts[index], where, 0 if own is None else len(own))
            place = layout.FUNCTION_WORDS * index + layout.FUNCTION_DRAFT
            inside.poke(self._functions + 4 * place, words)
        made, maps_at = put_templates(loaded, templates), put_maps(loaded, maps)
        count, upto, pieces = len(self.bodies), -1, list[bytes]()
        ending = 0 if last is None else last + 1, NUMBERS[UNREACHABLE]
        given = maps_at, self._functions, count, made, loaded.moved, spots, _PIECE, *ending
        while upto != count:
            if not inside.run("rewrite", *given):
                raise inside.error(self._fault(), self.path)
            start, size, changed, at, upto, endings = inside.struct("output", 6)
            pieces.append(inside.get(start, size))
        places = inside.get_words(at, count + 1)
        return Written(pieces, changed, places, endings)
