"""``trace -- wasmtime serve``: many requests at once, each in an instance of its own."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.hosts import reading
from tests.hosts.rig import each, in_step, tag
from tests.hosts.starting import serving

ALL, AT_ONCE = 300, 32


def live(log: Path, *options: str) -> tuple[str, ...]:
    return ("--flush", "live", "-f", "jsonl", "-o", str(log), *options)


@pytest.fixture
def one_request(echo: Path, tmp_path: Path) -> Counter[tuple[str, str]]:
    """What a request with one tag records when it is alone."""
    log = tmp_path / "one.jsonl"
    with serving(tmp_path, echo, trace=live(log)) as (server, program):
        assert server.post(tag(0)) == (200, tag(0))
        assert program.stop() == 0
    (run,) = reading.runs(reading.load(log)).values()
    assert reading.unpaired(run) == []
    return reading.shape(run)


@pytest.mark.parametrize("reuse", [1, 64], ids=["fresh", "reused"])
def test_every_record_once_in_order_in_its_own_run(
    echo: Path, tmp_path: Path, one_request: Counter[tuple[str, str]], reuse: int
) -> None:
    log = tmp_path / "log.jsonl"
    options = ("--max-instance-reuse-count", str(reuse))
    with serving(tmp_path, echo, *options, trace=live(log)) as (server, program):
        answers = each(ALL, lambda n: server.post(tag(n)) == (200, tag(n)), AT_ONCE)
        assert program.stop() == 0
    assert answers == [True] * ALL
    records = reading.load(log)
    runs = reading.runs(records)
    assert reading.mixed(records) == []
    assert len(runs) == ALL if reuse == 1 else len(runs) < ALL
    assert [fault for run in runs.values() for fault in reading.unpaired(run)] == []
    parts = [part for run in runs.values() for part in reading.requests(run)]
    assert [part for part in parts if reading.shape(part) != one_request] == []
    seen = Counter(number for part in parts for number in set().union(*map(reading.tags, part)))
    assert seen == {f"{number:04}": 1 for number in range(ALL)}


@pytest.mark.parametrize("reuse", [1, 64], ids=["fresh", "reused"])
def test_one_request_in_four_is_recorded_whole(
    echo: Path, tmp_path: Path, one_request: Counter[tuple[str, str]], reuse: int
) -> None:
    """The host's random bits tell fresh instances apart."""
    log = tmp_path / "log.jsonl"
    options = ("--max-instance-reuse-count", str(reuse))
    sampled = live(log, "--sample", "1/4")
    with serving(tmp_path, echo, *options, trace=sampled) as (server, program):
        answers = each(ALL, lambda n: server.post(tag(n)) == (200, tag(n)), AT_ONCE)
        assert program.stop() == 0
    assert answers == [True] * ALL
    runs = reading.runs(reading.load(log))
    parts = [part for run in runs.values() for part in reading.requests(run)]
    assert [part for part in parts if reading.shape(part) != one_request] == []
    assert 35 < len(parts) < 130  # 75 ± 5 standard deviations


def test_requests_that_trap_are_counted(echo: Path, tmp_path: Path) -> None:
    with serving(tmp_path, echo, trace=("-c",)) as (server, program):
        assert server.post(b"first") == (200, b"first")
        for _ in range(2):
            assert server.post(b"!trap")[1] == b""
        assert program.stop() == 0
    (line,) = (one for one in program.text.splitlines() if "incoming-handler" in one)
    assert line.split()[3] == "3"


def test_requests_in_flight_together_do_not_mix(echo: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving(tmp_path, echo, trace=live(log)) as (server, program):
        assert in_step(server, 16, 8) == {"200 echo": 16}
        assert program.stop() == 0
    runs = reading.runs(reading.load(log))
    assert reading.mixed(reading.load(log)) == []
    assert len(runs) == 16
    assert [reading.unpaired(run) for run in runs.values()] == [[]] * 16
    assert len({frozenset(reading.shape(run).items()) for run in runs.values()}) == 1


def test_the_hosts_log_has_no_litter_of_ours(echo: Path, tmp_path: Path) -> None:
    """wasmtime writes a prefix and a line in two pieces, so those of requests get torn."""
    log = tmp_path / "log.jsonl"
    with serving(tmp_path, echo, trace=live(log)) as (server, program):
        each(100, lambda n: server.post(tag(n)), AT_ONCE)
        assert program.stop() == 0
    assert "stderr [" not in program.text and "WCM2" not in program.text


LOST = "an unknown number of records may be lost"


@pytest.mark.parametrize("flush", [("--flush", "live"), ()], ids=["live", "default"])
def test_a_service_that_is_stopped_has_lost_nothing(
    echo: Path, tmp_path: Path, flush: tuple[str, ...]
) -> None:
    """Nothing says that it ends, but each request has said that it did."""
    trace = (*flush, "-e", "trace=wasi:http/*,wasi:io/*")
    with serving(tmp_path, echo, trace=trace) as (server, program):
        assert [server.post(tag(n)) for n in range(3)] == [(200, tag(n)) for n in range(3)]
        assert program.stop() == 0
    assert "response-outparam.set(" in program.text
    assert LOST not in program.text


@pytest.mark.parametrize("flush", [("--flush", "live"), ()], ids=["live", "default"])
def test_a_service_killed_in_a_request_may_have_lost_something(
    echo: Path, tmp_path: Path, flush: tuple[str, ...]
) -> None:
    with serving(tmp_path, echo, trace=(*flush, "-e", "trace=*")) as (server, program):
        connection = server.open(2 * len(tag(0)))
        connection.send(tag(0))
        response = connection.getresponse()
        assert response.read1(len(tag(0))) == tag(0)
        (host,) = children(program.process.pid)
        os.kill(host, signal.SIGKILL)
        assert program.process.wait(60) == 128 + signal.SIGKILL
        connection.close()
    assert LOST in program.text


def children(process: int) -> list[int]:
    """The processes it has started."""
    found = [*Path(f"/proc/{process}/task").glob("*/children")]
    if not found:
        pytest.skip("this system does not say whose child a process is")
    return [int(word) for thread in found for word in thread.read_text().split()]
