"""Runs that end in the middle of calls: what may have been waiting in the guest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from whamm_cm.trace.losses import Ends
from whamm_cm.trace.records import Record

RUN, OTHER = "a" * 16, "b" * 16
LOST = {"v": 2, "run": RUN, "phase": "lost", "lost": "unknown", "why": "killed"}


def record(phase: str, func: str = "f", run: str = RUN, **more: object) -> Record:
    return {"v": 2, "run": run, "instance": 1, "phase": phase, "func": func, **more}


def missing(records: Sequence[Record]) -> list[Record]:
    ends = Ends()
    for each in records:
        ends.feed((each,))
    return list(ends.finish())


def test_only_the_end_says_that_there_is_no_more() -> None:
    log = [record("start"), record("call", "run"), record("call"), record("return")]
    assert missing(log) == [LOST]
    assert missing([*log, record("end")]) == []
    assert missing([*log, record("end"), record("call")]) == [LOST]


def test_without_an_end_and_with_all_returned() -> None:
    assert missing([record("start"), record("call")]) == [LOST]
    assert missing([record("start"), record("call"), record("return")]) == []


EXPORT = {"edge": "export", "call": 1}


def asynchronous(*, returned: bool, late: bool) -> list[Record]:
    """An async export that calls ten imports, the last of which is pending when it waits."""
    log = [record("start"), record("call", "handle", **EXPORT)]
    for number in range(2, 12):
        log.append(record("call", "get", edge="import", call=number))
        more = {"pending": True, "status": 1} if number == 11 else {}
        log.append(record("return", "get", edge="import", call=number, **more))
    result = [record("call", "task.return", edge="builtin", call=20)] if returned else []
    waits = record("return", "handle", **EXPORT, pending=True, status=2 if late else 0)
    return [*log, *([waits, *result] if late else [*result, waits])]


@pytest.mark.parametrize("late", [False, True])
def test_an_async_export_is_over_when_its_task_has_returned(late: bool) -> None:
    assert missing(asynchronous(returned=True, late=late)) == []
    # Where tasks are not recorded, nothing can be said.
    assert missing(asynchronous(returned=False, late=late)) == []
    other = [record("call", "task.return", run=OTHER, edge="builtin")]
    assert missing([*other, *asynchronous(returned=False, late=late)]) == [LOST]


def test_a_loss_of_another_run_says_nothing() -> None:
    elsewhere = {"v": 2, "phase": "lost", "lost": 3, "why": "line"}
    opened = [record("start"), record("call")]
    assert missing([elsewhere, *opened, elsewhere]) == [LOST]
    other = record("lost", run=OTHER, lost="unknown", why="killed")
    assert missing([*opened, record("start", run=OTHER), other]) == [LOST]


def test_records_without_room_are_not_the_end_of_a_run_and_a_trap_is() -> None:
    opened = [record("start"), record("call")]
    assert missing([*opened, record("lost", lost=2, why="buffer")]) == [LOST]
    for why in ("trap", "killed", "interrupted"):
        assert missing([*opened, record("lost", lost="unknown", why=why)]) == []
