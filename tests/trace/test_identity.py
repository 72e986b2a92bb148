"""Several runs in one log."""

from __future__ import annotations

import random

from tests.trace.records import Log
from whamm_cm.trace import identity
from whamm_cm.trace.session import Session
from whamm_cm.trace.identity import separate


def run(name: str) -> list[dict]:
    log = Log()
    for instance in (1, 2):
        for _ in range(3):
            number = log.enter("a:b/c#f", instance=instance, args={"run": name})
            log.leave("a:b/c#f", number, result=name)
    return log.records


def test_one_run_stays_as_it_is():
    assert list(separate(run("a"))) == run("a")


def test_runs_one_after_another():
    records = list(separate([*run("a"), *run("b")]))
    assert [r["instance"] for r in records] == [1] * 6 + [2] * 6 + [3] * 6 + [4] * 6
    second = [{**r, "instance": 0, "t_ns": r["t_ns"] - 11000} for r in records[12:]]
    assert second == [{**r, "instance": 0} for r in run("b")]


def test_mixed_runs_are_told_apart_by_their_numbering():
    rng = random.Random(3)
    left, right = run("a"), run("b")
    mixed = [left.pop(0), left.pop(0), left.pop(0)]
    # The second run stays behind, so that their numbers never meet.
    while left or right:
        ahead = len(left) < len(right) - 1 or not left
        mixed.append((right if right and ahead and rng.random() < 0.7 else left or right).pop(0))
    session = Session.build(separate(mixed))
    assert len(session.calls) == 12
    assert all(call.result == call.args["run"] for call in session.calls)
    assert len(session.instances) == 4


def test_lost_lines_do_not_start_a_run():
    records = run("a")
    del records[3:5]
    assert {r["instance"] for r in separate(records)} == {1, 2}


def test_a_log_that_begins_in_the_middle():
    assert {r["instance"] for r in separate(run("a")[5:])} == {1, 2}


def test_records_without_seq_pass():
    record = {"phase": "dropped", "instance": 1, "count": 1}
    assert list(separate([record, record])) == [record, record]


def test_silent_runs_are_forgotten(monkeypatch):
    monkeypatch.setattr(identity, "MAX_ALIKE", 2)
    starts = [{**run("a")[0], "n": n} for n in range(50)]
    assert [r["instance"] for r in separate(starts)] == list(range(1, 51))
