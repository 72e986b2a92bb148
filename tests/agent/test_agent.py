"""agent.wasm against agent/layout.py: what probes and flushes rely on."""

from __future__ import annotations

import random
import struct

import pytest

from tests.agent import encode
from tests.agent.harness import Agent
from whamm_cm.agent import layout


def filled(count: int, size: int = 100, seed: int = 1) -> tuple[Agent, list[bytes]]:
    agent, rng = Agent(), random.Random(seed)
    records = [encode.record(i, 0, rng.randbytes(size - 16), call=i) for i in range(count)]
    for record in records:
        assert agent.append(record)
    return agent, records


def test_state_is_right_without_any_call() -> None:
    agent = Agent(early=True)
    state = struct.unpack("<IIQIIIIIIII", agent.read(layout.STATE, 48))
    limit = layout.BUFFER + layout.BUFFER_SIZE - layout.MAX_RECORD
    high = layout.BUFFER  # early on every record is enough
    assert state == (layout.BUFFER, limit, 1, 0, 0, 0, 0, 0, layout.BUFFER, layout.NAME, high)
    assert agent.get(layout.POS) == layout.BUFFER
    assert agent.get(layout.LIMIT) == limit
    assert agent.get(layout.NEXT_CALL, 8) == 1
    assert agent.get(layout.BUFFER_PTR) == layout.BUFFER
    assert agent.get(layout.NAME_PTR) == layout.NAME
    assert agent.get(layout.HIGH) == high
    assert agent.memory.size(agent.store) == layout.AGENT_PAGES
    assert layout.BUFFER + layout.BUFFER_SIZE == layout.AGENT_PAGES * layout.PAGE


def test_areas_do_not_overlap() -> None:
    areas = [
        (layout.STATE, 48),
        (layout.NAME, layout.NAME_SIZE),
        (layout.COUNTERS, 8 * layout.N_COUNTERS),
        (layout.SCRATCH, layout.MAX_RECORD + 64),
        (layout.OUT, layout.BLOCK_HEADER + layout.MAX_PAYLOAD),
        (layout.BUFFER, layout.BUFFER_SIZE),
    ]
    for (at, size), (following, _) in zip(areas, areas[1:], strict=False):
        assert at + size <= following
    assert layout.COUNTERS % 8 == 0 and layout.OUT % 2 == 0


def test_exports_and_no_imports() -> None:
    agent = Agent()
    names = "memory room more take sent asked said report secret put8 put16 put32 put64 get32 get64"
    names += " task_new task_end due done slot_new thread_new thread spawned"
    assert {name for name in names.split() if name in agent.exports} == set(names.split())
    assert len(list(agent.exports)) == len(names.split())


@pytest.mark.parametrize("sizes", [(16,), (17,), (18,), (16, 16384, 333), (100,) * 300])
def test_a_block_holds_header_and_records(sizes: tuple[int, ...]) -> None:
    agent, rng = Agent(), random.Random(len(sizes))
    records = [encode.record(1, 0, rng.randbytes(size - 16)) for size in sizes]
    for record in records:
        agent.append(record)
    agent.set(layout.INSTANCE, 5)
    agent.set(layout.DROPPED, 3)
    block = agent.take(final=True)
    assert block == encode.block(*records, instance=5, dropped=3, final=True)
    assert agent.get(layout.POS) == layout.BUFFER
    assert agent.get(layout.DROPPED) == 0


def test_a_large_buffer_leaves_in_blocks_of_whole_records() -> None:
    agent, records = filled(3000, 99)
    payload, finals = b"", []
    while block := agent.take(final=True):
        assert 0 < len(block) - layout.BLOCK_HEADER <= layout.MAX_PAYLOAD
        assert (len(block) - layout.BLOCK_HEADER) % 99 == 0
        payload += block[layout.BLOCK_HEADER :]
        finals.append(block[4])
        agent.exports["sent"](agent.store, 1)
    assert payload == b"".join(records)
    assert finals == [0] * (len(finals) - 1) + [1] and len(finals) == 7


def test_a_long_record_leaves_in_pieces_and_grows_the_memory() -> None:
    agent, rng = Agent(), random.Random(5)
    short, size = encode.record(1, 0, b"short"), 300_000
    assert agent.append(short)
    start = agent.get(layout.POS)
    end = agent.more(start + 100, size)
    assert end >= start + 100 + size and end % layout.PAGE == 0
    long = struct.pack("<IIQ", size, 2 << 8, 7) + rng.randbytes(size - 16)
    agent.write(start, long)
    agent.set(layout.POS, start + size)
    whole, first = b"", True
    while block := agent.take(final=True):
        records = block[layout.BLOCK_HEADER :]
        agent.sent(1)
        if first:
            assert (records, block[4]) == (short, 0)
            first = False
            continue
        own, word, all_, before = struct.unpack_from("<IIII", records)
        assert own == len(records) <= layout.MAX_RECORD and word == layout.Phase.PIECE
        assert (all_, before) == (size, len(whole))
        whole += records[16:]
        assert bool(block[4] & layout.FINAL) == (len(whole) == size)
    assert whole == long and agent.get(layout.POS) == layout.BUFFER
    assert agent.append(short) and agent.take() == encode.block(short, instance=1)


def test_more_than_there_is_for_a_record_is_refused() -> None:
    agent = Agent()
    at = agent.get(layout.POS)
    assert agent.more(at, (64 << 20) + 1) == layout.BUFFER + layout.BUFFER_SIZE
    assert agent.more(layout.SCRATCH + 8, 1 << 20) == layout.SCRATCH + layout.MAX_RECORD


def test_nothing_to_take_and_nothing_while_emitting() -> None:
    agent = Agent()
    assert agent.take() is None and agent.get(layout.IN_EMIT) == 0
    agent.append(encode.record(0, 0, b""))
    assert agent.take() and agent.get(layout.IN_EMIT) == 1
    agent.append(encode.record(1, 0, b""))
    assert agent.take() is None
    agent.sent(9)
    assert (agent.get(layout.INSTANCE), agent.get(layout.IN_EMIT)) == (9, 0)
    assert agent.take() == encode.block(encode.record(1, 0, b""), instance=9)


def test_dropped_records_alone_are_something_to_send() -> None:
    agent = Agent()
    agent.set(layout.DROPPED, 2)
    assert agent.take() == encode.block(dropped=2)


def test_the_buffer_grows_to_a_megabyte_and_then_counts_what_it_drops() -> None:
    agent = Agent()
    record = encode.record(0, 0, bytes(layout.MAX_RECORD - 16))
    kept = 0
    while agent.append(record):
        kept += 1
    assert kept == layout.MAX_BUFFER // layout.MAX_RECORD
    assert not agent.append(record) and agent.get(layout.DROPPED) == 2
    assert agent.memory.data_len(agent.store) == layout.BUFFER + layout.MAX_BUFFER
    block = agent.take()
    assert block is not None and block[16] == 2 and agent.append(record)


def test_a_broken_record_does_not_block_the_queue() -> None:
    agent, _ = filled(600)
    agent.write(layout.BUFFER, bytes(4))
    assert agent.take() == encode.block(dropped=1)
    agent.exports["sent"](agent.store, 1)
    assert agent.take() is None


def test_report_writes_and_clears_what_counted() -> None:
    agent = Agent()
    for slot, count in ((0, 7), (3, 1 << 40), (4095, 1)):
        agent.write(layout.COUNTERS + 8 * slot, struct.pack("<Q", count))
    agent.report(10, 4095)
    agent.report(10, 4095)
    expected = [
        encode.record(10, 2, struct.pack("<Q", 7), call=0),
        encode.record(13, 2, struct.pack("<Q", 1 << 40), call=0),
    ]
    assert agent.take() == encode.block(*expected)
    agent.exports["sent"](agent.store, 1)
    agent.report(10, 1 << 20)
    last = encode.record(4105, 2, struct.pack("<Q", 1), call=0)
    assert agent.take() == encode.block(last, instance=1)


def test_counts_without_room_wait() -> None:
    agent = Agent()
    while agent.append(encode.record(0, 0, bytes(layout.MAX_RECORD - 16))):
        pass
    agent.write(layout.COUNTERS, struct.pack("<Q", 7))
    agent.report(0, 1)
    assert agent.read(layout.COUNTERS, 8) == struct.pack("<Q", 7)
    assert agent.get(layout.DROPPED) == 1


@pytest.mark.parametrize("name", [*layout.SECRET_NAMES, "AUTHORIZATION", "Set-Cookie", "X-API-Key"])
def test_secret_names(name: str) -> None:
    agent = Agent()
    agent.write(layout.NAME, name.encode())
    assert agent.secret(len(name)) == 1
    assert agent.secret(len(name) - 1) == 0
    agent.write(layout.NAME, (name + "s").encode())
    assert agent.secret(len(name) + 1) == 0


@pytest.mark.parametrize("name", ["", "accept", "set\rcookie", "@uthorization", "x" * 64, "[ookie"])
def test_other_names(name: str) -> None:
    agent = Agent()
    agent.write(layout.NAME, name.encode())
    assert agent.secret(len(name)) == 0


def test_put_and_get() -> None:
    agent, at = Agent(), layout.SCRATCH + 1
    agent.put64(at, 0x1122334455667788)
    agent.put32(at + 8, 0x99AABBCC - (1 << 32))
    agent.put16(at + 12, 0x1DDEE)
    agent.put8(at + 14, 0x1FF)
    assert agent.read(at, 15).hex() == "8877665544332211ccbbaa99eeddff"
    assert agent.get64(at) == 0x1122334455667788
    assert agent.get32(at + 8) == 0x99AABBCC - (1 << 32)


def test_the_end_is_said_once_when_all_has_left_early() -> None:
    agent, record = Agent(early=True), encode.record(1, 0, b"x" * 16)
    assert agent.take(final=True) is None  # nothing has begun
    agent.append(record)
    assert agent.take() == encode.block(record, final=True, goes_on=True)
    agent.exports["sent"](agent.store, 1)
    assert agent.take() is None
    assert agent.take(final=True) == encode.block(final=True, instance=1)
    agent.exports["sent"](agent.store, 1)
    assert agent.take(final=True) is None
    agent.append(record)
    assert agent.take(final=True) == encode.block(record, final=True, instance=1)
    agent.exports["sent"](agent.store, 1)
    assert agent.take(final=True) is None


def test_early_on_blocks_leave_at_once_and_then_ever_more_seldom() -> None:
    """Each is pushed; after a few dozen kilobytes the buffer is as patient as ever."""
    agent, record, taken = Agent(early=True), encode.record(1, 0, b"x" * 16), list[int]()
    while agent.get(layout.HIGH) < layout.BUFFER + layout.HIGH_SIZE:
        agent.append(record)
        if agent.get(layout.POS) > agent.get(layout.HIGH):
            block = agent.take()
            assert block is not None and block[4] == layout.FINAL | layout.GOES_ON
            agent.exports["sent"](agent.store, 1)
            taken.append(len(block) - layout.BLOCK_HEADER)
    assert taken[:8] == [32] * 8
    assert taken[8:] == sorted(taken[8:]) and len(taken) < 20
    agent.append(record)
    block = agent.take()
    assert block is not None and block[4] == 0
