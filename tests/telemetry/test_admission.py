"""What is left out where more comes than can be passed on: whole requests, as far as possible."""

from __future__ import annotations

from typing import Any

from whamm_cm.telemetry.apart import Admission


def record(phase: str, req: int = 0) -> dict[str, Any]:
    return {"v": 2, "phase": phase, "instance": 1, **({"req": req} if req else {})}


def test_all_is_let_in_where_there_is_room() -> None:
    one = Admission(100)
    phases = ("request", "call", "return", "answer")
    assert all(one.admits(record(phase, 1), at) for at, phase in enumerate(phases))
    assert (one.requests, one.records, one.gap()) == (0, 0, None)


def test_requests_are_left_out_whole() -> None:
    one = Admission(100)
    assert one.admits(record("request", 1), 74)
    assert not one.admits(record("request", 2), 75)
    assert one.admits(record("call", 1), 80)  # it is under way
    assert not one.admits(record("call", 2), 10)  # there is room again, but not for half of one
    assert one.admits(record("request", 3), 10)
    assert not one.admits(record("answer", 2), 10)
    assert one.admits(record("answer", 1), 10)
    assert (one.requests, one.records, one.gap()) == (1, 0, None)


def test_a_number_that_comes_again_is_another_request() -> None:
    one = Admission(100)
    assert not one.admits(record("request", 1), 99)
    assert not one.admits(record("answer", 1), 99)
    assert one.admits(record("request", 1), 0)


def test_records_that_are_left_out_are_told_once() -> None:
    one = Admission(100)
    assert one.admits(record("call"), 99)
    assert not any(one.admits(record("call"), 100) for _ in range(7))
    assert one.admits(record("call"), 99)
    assert one.gap() == {"v": 2, "phase": "lost", "lost": 7, "why": "buffer"}
    assert one.gap() is None and one.records == 7
