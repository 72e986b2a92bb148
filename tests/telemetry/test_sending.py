"""Queues and the thread that empties them, with sinks that do as they are told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from whamm_cm.telemetry.sending import OVERFLOW, Answer, Limits, Sender

DEADLINE = 30.0
AGAIN = Answer("it is busy", again=True)


class Sink:
    """``answers`` are used up, then all is well; with ``gate`` each send waits for it."""

    def __init__(self, *answers: Answer, gate: threading.Event | None = None) -> None:
        self.answers, self.gate = deque(answers), gate
        self.got: list[Any] = []
        self.changed = threading.Condition()
        self.tries = 0

    def send(self, batch: Sequence[Any]) -> Answer:
        with self.changed:
            self.tries += 1
            self.changed.notify_all()
        if self.gate is not None:
            assert self.gate.wait(DEADLINE)
        answer = self.answers.popleft() if self.answers else Answer()
        if not answer.why or answer.rejected:
            self.got += batch
        return answer

    def stop(self) -> None:
        if self.gate is not None:
            self.gate.set()

    def tried(self, times: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.tries >= times, DEADLINE)


def sender(sink: Sink, notes: list[str] | None = None, **limits: Any) -> Sender:
    found = [] if notes is None else notes
    return Sender({"span": sink}, Limits(**{"delay": 0.01, **limits}), found.append)


def test_all_arrives_in_order_and_in_batches() -> None:
    sink = Sink()
    one = sender(sink, batch=10)
    for number in range(0, 100, 5):
        one.put("span", range(number, number + 5))
    one.finish()
    assert sink.got == [*range(100)]
    assert (one.tallies["span"].sent, one.tallies["span"].lost) == (100, {})
    assert sink.tries >= 10


def test_what_cannot_be_taken_now_is_tried_again_and_said_once() -> None:
    sink, notes = Sink(AGAIN, AGAIN), list[str]()
    one = sender(sink, notes)
    one.put("span", [1, 2, 3])
    sink.tried(3)
    one.finish()
    assert sink.got == [1, 2, 3] and one.tallies["span"].lost == {}
    assert notes == ["it is busy; it is tried again", "the collector takes telemetry again"]


def test_what_has_no_room_is_lost_and_nobody_waits() -> None:
    gate = threading.Event()
    sink = Sink(gate=gate)
    one = sender(sink, capacity=10, batch=10)
    one.put("span", range(10))
    sink.tried(1)
    one.put("span", range(10, 17))  # the batch that is being sent is still there
    gate.set()
    one.finish()
    assert sink.got == [*range(10)]
    assert one.tallies["span"].lost == {OVERFLOW: 7}


def test_whoever_has_time_waits_for_room() -> None:
    sink = Sink()
    one = sender(sink, capacity=10, batch=5, patient=True)
    one.put("span", range(1000))
    one.finish()
    assert sink.got == [*range(1000)]


def test_whoever_has_time_does_not_wait_for_ever() -> None:
    sink = Sink(*[AGAIN] * 50)
    one = sender(sink, capacity=10, batch=5, patient=True)
    one.put("span", range(1000))
    one.finish()
    assert sink.got == [] and one.tallies["span"].lost == {"it is busy": 1000}
    assert sink.tries == 2


def test_a_batch_that_is_refused_is_not_tried_again() -> None:
    sink = Sink(Answer("bad"))
    one = sender(sink, batch=2)
    one.put("span", [1, 2])
    sink.tried(1)
    one.put("span", [3, 4])
    one.finish()
    assert sink.got == [3, 4] and one.tallies["span"].lost == {"bad": 2}


def test_what_nobody_takes_is_not_sent_any_more() -> None:
    sink = Sink(Answer("404", never=True))
    one = sender(sink, batch=2)
    one.put("span", [1, 2, 3])
    sink.tried(1)
    one.put("span", [4])
    one.finish()
    assert sink.tries == 1 and one.tallies["span"].lost == {"404": 4}


def test_what_arrives_and_is_not_wanted_is_counted() -> None:
    sink = Sink(Answer("too old", rejected=2))
    one = sender(sink, batch=5)
    one.put("span", range(5))
    one.finish()
    assert one.tallies["span"].sent == 3 and one.tallies["span"].lost == {"too old": 2}


def test_the_end_does_not_wait_for_who_does_not_answer() -> None:
    """A collector that takes a connection and says nothing."""
    gate = threading.Event()
    sink = Sink(AGAIN, gate=gate)
    one = sender(sink, batch=2, grace=0.05)
    one.put("span", [1, 2])
    sink.tried(1)
    one.put("span", [3])
    one.finish()  # its time is up; `stop` lets the sink go
    assert one.tallies["span"].sent == 0
    assert sum(one.tallies["span"].lost.values()) == 3


def test_a_kind_that_fails_does_not_take_the_others_along() -> None:
    spans, logs = Sink(Answer("404", never=True)), Sink()
    one = Sender({"span": spans, "log record": logs}, Limits(delay=0.01), lambda text: None)
    one.put("span", [1])
    one.put("log record", [2])
    one.finish()
    assert logs.got == [2] and one.tallies["span"].lost == {"404": 1}
