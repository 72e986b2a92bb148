"""When records leave, what happens when they cannot, and the counters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emit.records import Record
from tests.emit.rig import Rig
from whamm_cm.abi.flatten import core_signature
from whamm_cm.agent import layout
from whamm_cm.agent.layout import Flush
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.wit.types import FuncT, Prim

VOID = FuncT((), None)
TEXT = FuncT((("s", Prim("string")),), None)
SIG, TEXT_SIG = core_signature(VOID, "lower"), core_signature(TEXT, "lower")

modes = pytest.mark.parametrize("multi_memory", [True, False])


def void(kind: Any = "lower", action: Any = "record", site: int = 1, **more: Any) -> Wrapper:
    return Wrapper(site, kind, action, SIG, **more)


def phases(records: list[Record]) -> list[tuple[int, int]]:
    return [(r.site, r.phase) for r in records]


def nothing(*_: Any) -> None:
    return None


@modes
def test_outermost_export_flushes_as_final(multi_memory: bool) -> None:
    sent = 0

    def export() -> None:
        rig.call(k=1)
        if rig.state(layout.DEPTH) == 1:
            rig.call(k=0)  # reentered: not the outermost
        assert len(rig.blocks) == sent

    wrappers = [void("lift", site=1), void(site=2)]
    rig = Rig(wrappers, [export, nothing], ProbeOptions(multi_memory=multi_memory))
    rig.call(k=0)
    [block] = rig.blocks
    assert block.final and block.instance == 0 and block.dropped == 0
    outer, inner = [(1, 0), (2, 0), (2, 1)], [(1, 0), (2, 0), (2, 1), (1, 1)]
    assert phases(block.records) == [*outer, *inner, (1, 1)]
    assert rig.state(layout.DEPTH) == 0 and rig.state(layout.INSTANCE) == 77
    sent = 1
    rig.call(k=0)
    assert rig.blocks[1].instance == 77


def test_callback_counts_as_entry_and_flushes() -> None:
    rig = Rig([void("callback", "none"), void(site=2)], [lambda: rig.call(k=1), nothing])
    rig.call(k=0)
    assert [phases(b.records) for b in rig.blocks] == [[(2, 0), (2, 1)]]
    assert rig.blocks[0].final


def test_nothing_is_sent_when_there_is_nothing() -> None:
    rig = Rig([void("lift", "none")], [nothing])
    rig.call()
    assert rig.blocks == []


def test_exit_flushes_before_it_is_called() -> None:
    seen: list[int] = []
    wrappers = [void(flush_before=Flush.PUSH | Flush.REPORT, site=1), void(site=2)]
    rig = Rig(wrappers, [lambda: seen.append(len(rig.sent())), nothing])
    rig.call(k=1)
    rig.call(k=0)
    assert seen == [3] and rig.blocks[0].final
    assert phases(rig.blocks[0].records) == [(2, 0), (2, 1), (1, 0)]


@modes
def test_flush_outside_of_any_export(multi_memory: bool) -> None:
    """A start function or a destructor calls: no export's return will send that."""

    def export() -> None:
        rig.call()
        assert len(rig.blocks) == 1

    wrappers = [void(flush_outside=True), void("lift", "none")]
    rig = Rig(wrappers, [nothing, export], ProbeOptions(multi_memory=multi_memory))
    rig.call()
    assert [phases(b.records) for b in rig.blocks] == [[(1, 0), (1, 1)]] and rig.blocks[0].final
    rig.call(k=1)
    assert phases(rig.blocks[1].records) == [(1, 0), (1, 1)]


def test_flush_each_sends_the_call_before_the_callee_runs() -> None:
    """Crash forensics: what the callee takes down with it is already out."""
    seen: list[int] = []
    rig = Rig([void()], [lambda: seen.append(len(rig.sent()))], ProbeOptions(flush_each=True))
    rig.call()
    assert seen == [1] and len(rig.sent()) == 2


def test_flush_each_respects_may_flush() -> None:
    rig = Rig([void(may_flush=False)], [nothing], ProbeOptions(flush_each=True))
    rig.call()
    assert rig.blocks == [] and len(rig.buffered()) == 2


@modes
def test_early_on_a_call_leaves_before_the_callee_runs(multi_memory: bool) -> None:
    """So that a host which traps in it has seen it."""
    seen: list[int] = []
    options = ProbeOptions(multi_memory=multi_memory)
    rig = Rig([void("lift"), void()], [lambda: rig.call(k=1), lambda: seen.append(len(rig.sent()))],
              options, early=True)  # fmt: skip
    rig.call()
    assert seen == [2]
    assert all(block.final for block in rig.blocks)


def test_a_late_call_leaves_before_the_callee_runs() -> None:
    """The clock of the rig goes by 10 ns a reading."""
    seen: list[int] = []
    options = ProbeOptions(timed=True, interval_ns=1000)
    rig = Rig([void()], [lambda: seen.append(len(rig.sent()))], options)
    for _ in range(100):
        rig.call()
    assert any(sent == 2 * n + 1 for n, sent in enumerate(seen))  # the record of this call, too
    assert len(rig.blocks) == 2000 // 1000


def test_the_time_of_a_brief_instance_counts_from_its_first_record() -> None:
    """Not from the beginning of the clock, which is long ago for all of them."""
    for brief, blocks in ((False, 1), (True, 0)):
        options = ProbeOptions(timed=True, interval_ns=500, brief=brief)
        rig = Rig([void()], [nothing], options)
        for _ in range(10):
            rig.call()
        assert len(rig.blocks) == blocks
    for _ in range(20):
        rig.call()
    assert len(rig.blocks) == 1


def test_a_drop_waits_for_less() -> None:
    def sent(kind: str) -> int:
        rig = Rig([void(kind)], [nothing], ProbeOptions(timed=True, interval_ns=1600))
        for _ in range(100):
            rig.call()
        return len(rig.blocks)

    assert sent("resource.drop") > 5 * sent("lower")


@modes
def test_threshold(multi_memory: bool) -> None:
    rig = Rig([void()], [nothing], ProbeOptions(multi_memory=multi_memory))
    calls = layout.HIGH_SIZE // 32
    for _ in range(calls):
        rig.call()
    assert rig.blocks == []
    rig.call()
    assert [len(b.records) for b in rig.blocks] == [2 * calls + 1]  # before the callee ran
    assert not rig.blocks[0].final and len(rig.buffered()) == 1


def fill(rig: Rig, calls: int, size: int = 12000) -> None:
    for _ in range(calls):
        rig.call(0, size)


@modes
def test_a_full_buffer_grows_then_drops_and_says_so(multi_memory: bool) -> None:
    wrapper = Wrapper(1, "resource.new", "record", TEXT_SIG, TEXT.params, memory=0, may_flush=False)
    options = ProbeOptions(max_string=12000, multi_memory=multi_memory)
    rig = Rig([wrapper, void("lift", "none")], [nothing, nothing], options)
    fill(rig, 120)
    kept, dropped = len(rig.buffered()), rig.state(layout.DROPPED)
    assert dropped > 0 and kept + dropped == 240
    assert rig.state(layout.POS) - layout.BUFFER > layout.MAX_BUFFER - layout.MAX_RECORD
    rig.call(k=1)
    assert sum(b.dropped for b in rig.blocks) == dropped and len(rig.sent()) == kept
    assert [b.final for b in rig.blocks] == [False] * (len(rig.blocks) - 1) + [True]
    fill(rig, 1)
    assert len(rig.buffered()) == 2 and rig.state(layout.DROPPED) == 0


def test_a_full_buffer_is_flushed_where_that_is_allowed() -> None:
    wrapper = Wrapper(1, "lower", "record", TEXT_SIG, TEXT.params, memory=0)
    rig = Rig([wrapper], [nothing], ProbeOptions(max_string=12000))
    rig.set_state(layout.HIGH, 0xFFFFFFFF)
    fill(rig, 40)
    assert rig.blocks and rig.state(layout.DROPPED) == 0
    assert len(rig.sent()) + len(rig.buffered()) == 80


def test_a_full_buffer_grows_while_it_cannot_be_flushed() -> None:
    """In the middle of an emit a flush does nothing; the buffer takes what comes."""
    wrapper = Wrapper(1, "lower", "record", TEXT_SIG, TEXT.params, memory=0)
    rig = Rig([wrapper, void("lift", "none")], [nothing] * 2, ProbeOptions(max_string=12000))
    during: list[int] = []

    def burst() -> None:
        if len(rig.blocks) == 1:
            fill(rig, 20)
            during.append(len(rig.buffered()))
            assert rig.state(layout.POS) <= rig.agent["memory"].data_len(rig.store)

    rig.on_emit = burst
    fill(rig, 1)
    rig.call(k=1)
    assert during == [40] and len(rig.sent()) == 42 and rig.state(layout.DROPPED) == 0


def test_records_made_during_an_emit_are_kept() -> None:
    rig = Rig([void("lift"), void(site=2)], [nothing, nothing])

    def emit_calls_a_probe() -> None:
        if len(rig.blocks) == 1:
            rig.call(k=1)

    rig.on_emit = emit_calls_a_probe
    rig.call(k=0)
    assert [phases(b.records) for b in rig.blocks] == [[(1, 0), (1, 1)], [(2, 0), (2, 1)]]


@modes
def test_counters_are_reported_by_the_final_flush(multi_memory: bool) -> None:
    options = ProbeOptions(count_base=40, count_n=3, multi_memory=multi_memory)
    wrappers = [
        void("lift", "none"),
        void(action="count", slot=0),
        void(action="count", slot=2, may_flush=False),
    ]
    rig = Rig(wrappers, [nothing] * 3, options)
    for _ in range(5):
        rig.call(k=1)
    rig.call(k=2)
    assert [rig.counter(i) for i in range(3)] == [5, 0, 1] and rig.blocks == []
    rig.call(k=0)
    assert [(r.site, r.phase, r.body[0]) for r in rig.sent()] == [(40, 2, 5), (42, 2, 1)]
    rig.call(k=0)
    assert len(rig.blocks) == 1 and [rig.counter(i) for i in range(3)] == [0] * 3


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_a_block_can_be_sized_in_chunks(n: int) -> None:
    """A record of ``void`` has 16 bytes, so blocks end within a chunk or with one."""

    def export() -> None:
        for _ in range(n):
            rig.call(k=1)

    wrappers = [void("lift", "none"), void("task.return")]
    rig = Rig(wrappers, [export, nothing], ProbeOptions(chunked=True))
    rig.call(k=0)
    assert phases(rig.sent()) == [(1, 0)] * n


def test_without_emit_nothing_leaves() -> None:
    rig = Rig([void("lift", "count", slot=1)], [nothing], ProbeOptions(emit=False, count_n=4))
    rig.call()
    assert rig.counter(1) == 1 and rig.state(layout.DEPTH) == 0
    assert not {name for _, name in rig.imports} & {"emit", "take", "sent", "report"}


def test_a_trap_in_the_callee_passes_through() -> None:
    class Boom(Exception):
        pass

    def callee() -> None:
        raise Boom

    rig = Rig([void()], [callee])
    with pytest.raises(Boom):
        rig.call()
    assert phases(rig.buffered()) == [(1, 0)]


def test_imports_are_as_few_as_needed() -> None:
    rig = Rig([void(action="none")], [nothing])
    names = {f"{module}.{name}" for module, name in rig.imports}
    assert names == {
        "agent.memory", "agent.take", "agent.sent", "probe.m0", "probe.emit", "probe.f0"
    }  # fmt: skip
    rig = Rig([void()], [nothing], ProbeOptions(multi_memory=False, timed=True))
    names = {name for _, name in rig.imports}
    assert "memory" not in names and {"put64", "get32", "room", "now"} <= names
