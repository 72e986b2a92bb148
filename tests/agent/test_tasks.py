"""Entries of tasks and of what is due: a dictionary as the model, and the buffer untouched."""

from __future__ import annotations

import random
import struct

import pytest

from tests.agent import encode
from tests.agent.harness import Agent, State
from whamm_cm.agent import layout
from whamm_cm.agent.layout import Entry

SIZE = Entry.KEPT + 8 * layout.KEPT_WORDS


def entry(agent: Agent, at: int) -> tuple[int, ...]:
    """call, began, value, word, task"""
    return struct.unpack("<QQQII", agent.read(at, Entry.TASK + 4))


def begin(agent: Agent, word: int = 0, export: int = 0) -> int:
    return int(agent.exports["task_new"](agent.store, word, export))


def due(agent: Agent, key: int, call: int, task: int) -> int:
    return int(agent.exports["due"](agent.store, key, call, call + 1, call + 2, call + 3, task))


def done(agent: Agent, key: int, over: bool = True) -> int:
    return int(agent.exports["done"](agent.store, key, int(over)))


def test_tasks_are_numbered_and_their_entries_used_again() -> None:
    agent = Agent()
    first, second = begin(agent, 0x500, 4), begin(agent)
    assert entry(agent, first) == (0, 0, 0, 0x500, 1)
    numbers = [agent.read(at + Entry.EXPORT, 4) for at in (first, second)]
    assert numbers == [struct.pack("<I", 4), bytes(4)]
    assert entry(agent, second) == (0, 0, 0, 0, 2)
    agent.write(first + Entry.VARS, b"\7" * (SIZE - Entry.VARS))
    agent.exports["task_end"](agent.store, first)
    assert entry(agent, first)[3:] == (0x500, 1)  # a post-return may still look
    assert begin(agent, 9) == first and entry(agent, first) == (0, 0, 0, 9, 3)
    assert agent.read(first + Entry.VARS, SIZE - Entry.VARS) == bytes(SIZE - Entry.VARS)


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
            model[key] = call
            at = due(agent, key, call, key & 0xFFFF)
            assert entry(agent, at)[0] == call
    for key, call in model.items():
        assert entry(agent, done(agent, key))[0] == call


def test_more_entries_than_there_is_room_for_move_the_buffer_up() -> None:
    agent, rng = Agent(), random.Random(1)
    records, tasks = [], []
    for call in range(1, 6000):
        tasks.append(begin(agent, call << 8))
        if call % 100 == 0:
            records.append(encode.record(call, 0, rng.randbytes(200), call=call))
            assert agent.append(records[-1])
    assert agent.get(layout.BUFFER_PTR) > layout.BUFFER
    assert agent.get(layout.POS) >= agent.get(layout.BUFFER_PTR) == layout.BUFFER + 8 * layout.PAGE
    assert [entry(agent, at)[3] >> 8 for at in tasks] == list(range(1, 6000))
    assert len(set(tasks)) == len(tasks)
    assert max(tasks) + SIZE <= agent.get(layout.BUFFER_PTR)
    assert agent.take(final=True) == encode.block(*records, final=True)


def test_variables_of_a_task_are_its_own_and_freed_with_it() -> None:
    state = State()
    first, size = layout.STATIC, 24
    state.write(first, b"\5" * size + b"\6" * size)
    state.state_init(first + 2 * size)
    state.task_init(first, size)
    outside = first + size
    assert (state.task_vars(), state.task_number()) == (outside, 0)
    entries = [begin(state.agent) for _ in range(2)]
    state.context = entries[0]
    assert state.task_vars() == outside, "no export is being called: there is no context to ask"
    state.agent.set(layout.DEPTH, 1)
    found = []
    for number, entry_ in enumerate(entries, 1):
        state.context = entry_
        found.append(state.task_vars())
        assert state.read(found[-1], size) == b"\5" * size
        state.write(found[-1], bytes([number]) * size)
        assert (state.task_vars(), state.task_number()) == (found[-1], number)
    state.context = entries[0]
    assert state.read(state.task_vars(), size) == b"\1" * size
    state.task_over(entries[0])
    state.agent.task_end(entries[0])
    state.context = begin(state.agent)
    assert (state.task_vars(), state.task_number()) == (found[0], 3)
    assert state.read(found[0], size) == b"\5" * size
    state.context = 0
    assert state.read(state.task_vars(), size) == b"\6" * size


def test_a_task_that_has_asked_for_no_variables_has_none_to_free() -> None:
    state = State()
    state.task_init(layout.STATIC, 8)
    state.task_over(begin(state.agent))
