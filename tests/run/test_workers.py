"""Threads of which one has the turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from whamm_cm.run.workers import Workers

PATIENCE = 60


@pytest.fixture
def workers() -> Iterator[Workers]:
    found = Workers(8)
    yield found
    found.close()


def test_jobs_run_one_after_the_other(workers: Workers) -> None:
    at_once: list[int] = []
    running, done = set[int](), threading.Semaphore(0)

    def job(number: int) -> None:
        running.add(number)
        at_once.append(len(running))
        sum(range(10_000))  # time in which others could run
        running.discard(number)
        done.release()

    for number in range(200):
        workers.submit(lambda number=number: job(number))  # type: ignore[misc]
    assert all(done.acquire(timeout=PATIENCE) for _ in range(200))
    assert set(at_once) == {1}


def test_who_waits_lets_others_run_and_goes_on_before_new_ones(workers: Workers) -> None:
    order: list[str] = []
    come, over, asked = (threading.Event() for _ in range(3))

    class Told(deque[Any]):
        def append(self, worker: Any) -> None:
            super().append(worker)
            asked.set()

    workers._back = Told()

    def waiting() -> None:
        order.append("waits")
        with workers.away():
            come.wait(PATIENCE)
        order.append("goes on")

    def second() -> None:
        order.append("second")
        come.set()
        workers.submit(third)
        assert asked.wait(PATIENCE)

    def third() -> None:
        order.append("third")
        over.set()

    workers.submit(waiting)
    workers.submit(second)
    assert over.wait(PATIENCE)
    assert order == ["waits", "second", "goes on", "third"]


def test_who_keeps_its_turn_loses_it_and_is_told(workers: Workers) -> None:
    go, began, lost, other, over = (threading.Event() for _ in range(5))

    def keeps() -> None:
        began.set()
        go.wait(PATIENCE)
        with workers.away():  # which it has not: nobody else loses his
            pass
        over.set()

    workers.submit(keeps, lost.set)
    assert began.wait(PATIENCE)
    workers.submit(other.set)
    workers.look()
    assert not lost.is_set()
    workers.look()
    assert lost.is_set()
    assert other.wait(PATIENCE)
    go.set()
    assert over.wait(PATIENCE)


def test_more_jobs_than_threads_wait() -> None:
    workers = Workers(2)
    go, done = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        with workers.away():
            go.wait(PATIENCE)
        done.release()

    for _ in range(5):
        workers.submit(job)
    assert not done.acquire(timeout=0)
    assert workers._threads <= 2
    go.set()
    assert all(done.acquire(timeout=PATIENCE) for _ in range(5))
    assert workers._threads == 2
    workers.close()
