"""Entries of tasks and of what is due: a dictionary as the model, and the buffer untouched."""

from __future__ import annotations

import random
import struct

import pytest

from tests.agent import encode
from tests.agent.harness import Agent
from whamm_cm.agent import layout
from whamm_cm.agent.layout import Entry


def entry(agent: Agent, at: int) -> tuple[int, ...]:
    """call, began, value, word, task"""
    return struct.unpack("<QQQII", agent.read(at, Entry.TASK + 4))


def begin(agent: Agent, call: int, word: int = 0) -> int:
    return int(agent.exports["task_new"](agent.store, call, call * 2, word))


def due(agent: Agent, key: int, call: int, task: int) -> None:
    agent.exports["due"](agent.store, key, call, call + 1, call + 2, call + 3, task)


def done(agent: Agent, key: int, over: bool = True) -> int:
    return int(agent.exports["done"](agent.store, key, int(over)))


def test_tasks_are_numbered_and_their_entries_used_again() -> None:
    agent = Agent()
    first, second = begin(agent, 7, 0x500), begin(agent, 8)
    assert entry(agent, first) == (7, 14, 0, 0x500, 1)
    assert entry(agent, second) == (8, 16, 0, 0, 2)
    agent.exports["task_end"](agent.store, first)
    assert entry(agent, first)[:2] == (7, 14)  # a post-return may still look
    assert begin(agent, 9) == first and entry(agent, first) == (9, 18, 0, 0, 3)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_due_is_found_by_its_handle(seed: int) -> None:
    agent, rng, model = Agent(), random.Random(seed), dict[int, int]()
    for call in range(1, 4000):
        key = rng.choice([rng.randrange(1, 40), rng.randrange(1, 2000), 1 << 28])
        looked = done(agent, key, over=False)
        assert (entry(agent, looked)[0] if looked else None) == model.get(key)
        if key in model:
            found = done(agent, key)
            known = model.pop(key)
            assert entry(agent, found) == (known, known + 1, known + 2, known + 3, key & 0xFFFF)
        else:
            assert done(agent, key) == 0
            due(agent, key, call, key & 0xFFFF)
            model[key] = call
    for key, call in model.items():
        assert entry(agent, done(agent, key))[0] == call


def test_more_entries_than_there_is_room_for_move_the_buffer_up() -> None:
    agent, rng = Agent(), random.Random(1)
    records, tasks = [], []
    for call in range(1, 6000):
        tasks.append(begin(agent, call))
        if call % 100 == 0:
            records.append(encode.record(call, 0, rng.randbytes(200), call=call))
            assert agent.append(records[-1])
    assert agent.get(layout.BUFFER_PTR) > layout.BUFFER
    assert agent.get(layout.POS) >= agent.get(layout.BUFFER_PTR) == layout.BUFFER + 4 * layout.PAGE
    assert [entry(agent, at)[0] for at in tasks] == list(range(1, 6000))
    assert len(set(tasks)) == len(tasks)
    assert max(tasks) + 40 <= agent.get(layout.BUFFER_PTR)
    assert agent.take(final=True) == encode.block(*records, final=True)
