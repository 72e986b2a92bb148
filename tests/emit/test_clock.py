"""What the times of records say of calls whose true times are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st
from tests.codegen.records import Record
from tests.codegen.rig import Rig
from tests.codegen.test_flush import nothing, void
from whamm_cm.codegen import ProbeOptions

from whamm_cm.agent.layout import QUICK_CALLS, QUICK_NS, UNREAD, Phase, RecordFlag

#: What lies before a call, and how long it takes.
spans = st.sampled_from((0, 1, 10, QUICK_NS // 2, QUICK_NS - 1, QUICK_NS, 100 * QUICK_NS))
KINDS = ("lower", "resource.drop", "task.return", "lift")


@dataclass
class World:
    """A guest that calls, and the time as it is.  ``inside``: the calls of each export."""

    multi_memory: bool = True
    now: int = 0
    readings: int = 0
    inside: list[tuple[str, int, int]] = field(default_factory=list)
    truth: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        wrappers = [void(kind, site=site) for site, kind in enumerate(KINDS)]
        callees: list[Callable[[], None]] = [self._outside] * 3 + [self._export]
        options = ProbeOptions(timed=True, multi_memory=self.multi_memory)
        self.rig = Rig(wrappers, callees, options)
        self.rig.clock = iter(self._read, None)  # type: ignore[assignment]
        self._length = 0

    def _read(self) -> int:
        self.readings += 1
        return self.now

    def _outside(self) -> None:
        self.now += self._length

    def _export(self) -> None:
        inside, self.inside = self.inside, []
        for call in inside:
            self.call(*call)

    def call(self, kind: str, before: int, length: int) -> None:
        """What a call is recorded as: its site, when it began, when it was over."""
        self.now += before
        self._length = length
        site, began, at = KINDS.index(kind), self.now, len(self.truth)
        self.truth.append((site, began, 0))
        self.rig.call(k=site)
        self.truth[at] = site, began, self.now

    def records(self) -> list[Record]:
        return self.rig.sent() + self.rig.buffered()


calls = st.tuples(st.sampled_from(KINDS[:3]), spans, spans)
programs = st.lists(st.tuples(spans, st.lists(calls, max_size=40)), max_size=5)


@given(programs, st.booleans())
@example([(0, [("lower", 1, 1)] * 40)], True)
@example([(0, [("lower", 1, 1)] * 8 + [("lower", 10**9, 10**9)])], True)
def test_times_are_those_that_were_or_say_that_they_are_not(
    program: list[tuple[int, list[tuple[str, int, int]]]], multi_memory: bool
) -> None:
    world = World(multi_memory)
    for before, inside in program:
        world.inside = inside
        world.call("lift", before, 0)
    found = world.records()
    assert [r.t_ns for r in found] == sorted(r.t_ns or 0 for r in found)
    opened = {r.call: r for r in found if r.phase == Phase.CALL}
    closed = {r.call: r for r in found if r.phase == Phase.RETURN}
    assert len(opened) == len(world.truth)
    for number, (site, began, ended) in enumerate(world.truth, 1):
        first, last = opened[number], closed.get(number)
        assert first.site == site and first.t_ns is not None
        coarse = bool(first.flags & RecordFlag.COARSE)
        assert first.t_ns <= began if coarse else first.t_ns == began
        assert not coarse or KINDS[site] == "lower"
        if last is not None:
            assert last.t_ns == ended and last.dur_ns == ended - first.t_ns
            assert last.flags == first.flags


def test_calls_in_quick_succession_are_read_once() -> None:
    world = World(now=QUICK_NS)
    for _ in range(10 * (QUICK_CALLS + 1) + 2):
        world.call("lower", 1, 1)
    read = [r for r in world.records() if not r.flags & RecordFlag.COARSE]
    assert len(read) == 2 * (2 + 10)  # of the first nobody knows what was before
    assert world.readings == len(world.truth) + 2 + 10


def test_calls_that_come_seldom_are_read_twice() -> None:
    """Also where they are short: the guest's own time is not theirs."""
    world = World()
    for _ in range(50):
        world.call("lower", QUICK_NS, 1)
    assert not any(r.flags & RecordFlag.COARSE for r in world.records())


def test_the_time_of_a_block_that_is_sent_is_nobodys() -> None:
    world = World()
    for _ in range(3):
        world.call("lower", 1, 1)
    assert world.rig.state(UNREAD)
    world.call("lift", 0, 0)  # sends what there is when it returns
    assert world.rig.blocks and not world.rig.state(UNREAD)
    world.call("lower", 5 * QUICK_NS, 1)
    assert not world.records()[-1].flags & RecordFlag.COARSE


def test_what_has_no_clock_is_not_coarse() -> None:
    rig = Rig([void()], [nothing], ProbeOptions())
    for _ in range(50):
        rig.call()
    assert {r.flags for r in rig.buffered()} == {0}
