"""Several runs in one log: whose record it is, and when."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Iterator

import pytest

from tests.trace.records import Log
from whamm_cm.trace import identity as identity_module
from whamm_cm.trace.clock import FRESH
from whamm_cm.trace.identity import Identity
from whamm_cm.trace.reader import Arrival, RecordReader
from whamm_cm.trace.records import fault_of
from whamm_cm.trace.session import Session


def separate(records: Iterable[dict]) -> Iterator[dict]:
    """The records with ``instance`` unique over all runs."""
    return map(Identity().feed, map(Arrival, records))


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
    monkeypatch.setattr(identity_module, "MAX_ALIKE", 2)
    starts = [{**run("a")[0], "n": n} for n in range(50)]
    assert [r["instance"] for r in separate(starts)] == list(range(1, 51))


# --- keys that hosts put before lines ------------------------------------------------------------


def host_log(rng: random.Random, requests: int, at_once: int) -> tuple[str, list[int]]:
    """A log as ``wasmtime serve`` writes it, key and line separately: its text, and for every
    record in order the request that it is truly from."""
    waiting: dict[int, list[str]] = {}
    for n in range(requests):
        at = rng.randrange(10**6, 10**9)  # what its own clock says when it is served
        waiting[n] = [json.dumps({**r, "t_ns": at + r["t_ns"]}) for r in run(str(n))]
    said_key: dict[int, bool] = {}
    text, truth = "", []
    while waiting:
        number = rng.choice(list(waiting)[:at_once])
        if not said_key.pop(number, False):
            text += f"stderr [{number}] :: "
            # Another thread gets between.  (Two first lines so torn nobody could tell apart.)
            if rng.random() < 0.3 and len(waiting[number]) < 12:
                said_key[number] = True
                continue
        text += f"WCM1 {waiting[number].pop(0)}\n"
        truth.append(number)
        if not waiting[number]:
            del waiting[number]
    return text, truth


@pytest.mark.parametrize("at_once", [1, 2, 8, 32])
def test_no_record_is_given_to_another_request(at_once: int) -> None:
    for seed in range(10):
        text, truth = host_log(random.Random(seed), 60, at_once)
        feed = Identity().feed
        records = [feed(a) for a in RecordReader(io.StringIO(text)).arrivals()]
        assert len(records) == len(truth) == 60 * 12
        owners: dict[int, set[int]] = {}
        for record, number in zip(records, truth, strict=True):
            owners.setdefault(record["instance"], set()).add(number)
        assert all(len(numbers) == 1 for numbers in owners.values()), (seed, owners)


def test_torn_keys_are_put_right() -> None:
    left, right = (f"WCM1 {json.dumps(run(name)[0])}\n" for name in "ab")
    text = f"stderr [79] :: stderr [81] :: {right}{left}stderr [81] :: guest text\n"
    keys = [a.key for a in RecordReader(io.StringIO(text)).arrivals()]
    assert keys == ["81", "79"]
    # The number of the record says that it is not the nearest key's.
    records = run("a")
    text = f"stderr [5] :: WCM1 {json.dumps(records[0])}\n"
    text += f"stderr [5] :: stderr [6] :: WCM1 {json.dumps(records[1])}\n"
    text += f"WCM1 {json.dumps(records[0])}\n"
    assert [a.key for a in RecordReader(io.StringIO(text)).arrivals()] == ["5", "5", "6"]


def test_an_instance_that_serves_the_next_request_stays_the_same() -> None:
    text = "".join(f"stderr [{n // 4}] :: WCM1 {json.dumps(r)}\n" for n, r in enumerate(run("a")))
    feed = Identity().feed
    records = [feed(a) for a in RecordReader(io.StringIO(text)).arrivals()]
    assert [r["instance"] for r in records] == [r["instance"] for r in run("a")]


def test_what_is_guessed_is_said() -> None:
    identity = Identity()
    for record in [*run("a"), *run("b")]:
        identity.feed(Arrival(record))
    assert any("numbering of their records only" in note for note in identity.notes())
    identity = Identity()
    for name in "ab":
        for record in run(name):
            identity.feed(Arrival(record, key=name))
    assert not any("numbering" in note for note in identity.notes())


def test_runs_of_version_2_are_never_guessed() -> None:
    rng = random.Random(1)
    queues = [[{**r, "v": 2, "run": f"{n:016x}"} for r in run(str(n))] for n in range(20)]
    mixed = []
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    identity = Identity()
    records = [identity.feed(Arrival(record, source="pod")) for record in mixed]
    runs: dict[int, set[str]] = {}
    for record in records:
        runs.setdefault(record["instance"], set()).add(record["run"])
        assert record["source"] == "pod"
    assert len(runs) == 40 and all(len(found) == 1 for found in runs.values())
    assert identity.guessed == 0
    again = [Identity().feed(Arrival(r)) for r in records[:1]]
    assert again == records[:1]


# --- one time base -------------------------------------------------------------------------------


def started(name: str, wall: int | None, at: int = 0) -> list[dict]:
    start = {"v": 2, "run": name, "seq": 0, "t_ns": at, "phase": "start"}
    if wall is not None:
        start["wall_ns"] = wall
    rest = [{**r, "v": 2, "run": name, "t_ns": r["t_ns"] + at} for r in run(name)]
    return [start, *rest]


def times(arrivals: Iterable[Arrival]) -> tuple[list[int], Identity]:
    identity = Identity()
    return [identity.feed(a)["t_ns"] for a in arrivals], identity


def test_the_wall_clock_places_runs() -> None:
    base = 10**18
    first, second = started("a", base, 5_000), started("b", base + 2_000_000)
    found, identity = times(map(Arrival, [*first, *second]))
    assert found[0] == 5_000 and found[len(first)] == 2_005_000
    assert "wall clock" in identity.notes()[0]
    # One that was seen later and began before.
    found, _ = times(map(Arrival, [*first, *started("b", base - 7_000)]))
    assert found[len(first)] == -2_000
    assert fault_of({**first[0], "t_ns": -2_000}) == ""


def test_the_log_s_time_stamps_place_runs() -> None:
    lines = [Arrival(r, "a", "", 10**18) for r in run("a")]
    lines += [Arrival(r, "b", "", 10**18 + 5_000_000) for r in run("b")]
    found, identity = times(lines)
    assert found[0] == 1_000 and found[12] == 5_001_000
    assert "time stamps of the log" in identity.notes()[0]


def test_the_order_of_arrival_places_runs() -> None:
    found, identity = times(map(Arrival, [*run("a"), *run("b"), *run("c")]))
    assert found == sorted(found) and found[12] == found[11]
    assert "order in which they arrived" in identity.notes()[0]
    late = [{**r, "t_ns": r["t_ns"] + FRESH} for r in run("b")]
    found, _ = times(map(Arrival, [*run("a"), *late]))
    assert found[12:] == [r["t_ns"] for r in late]  # a clock that all share


def test_one_run_needs_no_word() -> None:
    _, identity = times(map(Arrival, started("a", 10**18)))
    assert identity.notes() == []
    assert list(separate([{"v": 2, "phase": "lost", "lost": 3}])) == [
        {"v": 2, "phase": "lost", "lost": 3}
    ]


def test_requests_of_a_second_source_get_other_numbers() -> None:
    identity = Identity()

    def number(req: int, source: str) -> int:
        record = {"v": 2, "run": source, "phase": "request", "req": req}
        found: int = identity.feed(Arrival(record, source))["req"]
        return found

    assert [number(1, "a"), number(2, "a"), number(1, "b"), number(1, "c")] == [1, 2, 10001, 20001]
    assert [number(3, "a"), number(2, "b")] == [3, 10002]


def test_runs_in_one_log_do_not_share_requests() -> None:
    """Two servers' logs, one line of each in turn; one began long before the other."""
    identity = Identity()

    def number(run: str, req: int) -> int:
        found: int = identity.feed(Arrival({"v": 2, "run": run, "phase": "answer", "req": req}))[
            "req"
        ]
        return found

    assert [number("a", 5), number("b", 1), number("b", 2)] == [5, 1, 2]
    assert [number("a", 6), number("b", 3), number("b", 4)] == [6, 3, 4]
    moved = number("b", 5)
    assert moved not in (1, 2, 3, 4, 5, 6)
    assert [number("a", 5), number("b", 4), number("b", 5), number("a", 7)] == [5, 4, moved, 7]
    assert number("b", 6) == moved + 1


def test_numbers_that_were_given_before_stay() -> None:
    """A log that ``report`` has written of several runs is read again."""
    identity = Identity()
    given = [("a", 1), ("b", 2), ("a", 3), ("c", 10_001), ("b", 2), ("c", 10_002)]
    records = [{"v": 2, "run": run, "phase": "answer", "req": req} for run, req in given]
    assert [identity.feed(Arrival(record))["req"] for record in records] == [n for _, n in given]
