"""Profiles for pprof say what the log does (what pprof itself says: ``tests/viewers``)."""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings

from fixtures.build import build
from tests.render.make_logs import SCENARIOS
from tests.render.pprof_read import Read
from tests.render.random_tasks import Program
from tests.render.shown import shown
from tests.render.test_hostile import SLOW
from tests.render.test_hostile import records as odd_records
from tests.render.test_tasks import torn
from tests.trace.records import Log
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.render import pprof
from whamm_cm.render.calltree import SHAPE
from whamm_cm.render.jsonl import line
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record, fault_of
from whamm_cm.trace.session import Session

PLAIN = RenderOptions()
KINDS = ["calls/count", "errors/count", "time/nanoseconds", "wait/nanoseconds"]


def profile(records: list[Record] | Log, options: RenderOptions = PLAIN) -> bytes:
    return b"".join(pprof.render(records, options))


def expected(session: Session) -> Counter[tuple[tuple[str, ...], str]]:
    """(stack, type) → value, from the calls one by one."""
    found = Counter[tuple[tuple[str, ...], str]]()
    for call in session.calls:
        frames, at = [], call
        while True:
            kind = f"{at.site.edge} " if at.site.edge in ("export", "inner") else ""
            frames.append(printable(kind + at.site.shown))
            if at.parent is None:
                break
            at = session.calls[at.parent]
        waited = sum(end - start for start, end in call.waits)
        values = (1, int(call.failed), call.self_ns or 0, max(waited, 0))
        for kind, value in zip(KINDS if session.timed else KINDS[:2], values, strict=False):
            found[tuple(reversed(frames)), kind] += value
    for site, count in session.counts.items():
        kind = f"{site.edge} " if site.edge in ("export", "inner") else ""
        found[(printable(kind + site.shown),), KINDS[0]] += count
    return +found


def read_as(read: Read) -> Counter[tuple[tuple[str, ...], str]]:
    found = Counter[tuple[tuple[str, ...], str]]()
    for (stack, _), row in read.samples.items():
        for kind, value in row.items():
            found[stack, kind] += value
    return +found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_call_is_in_a_sample(scenario: str) -> None:
    log = SCENARIOS[scenario]()
    session, read = Session.build(log), Read(profile(log))
    assert read_as(read) == expected(session)
    assert read.types == (KINDS if session.timed else KINDS[:2])
    assert read.default == ("time" if session.timed else "calls")
    for call in session.calls:
        files = {name for each in read.files.values() for name in each}
        assert (printable(call.site.component) or "component") in files


@given(torn)
@settings(max_examples=40)
def test_random_tasks_keep_their_times(program: Program) -> None:
    session, read = Session.build(program.records), Read(profile(program.records))
    assert read_as(read) == expected(session)
    whole = "".join(shown("folded", program.records)).splitlines()
    folded = sum(int(text.rpartition(" ")[2]) for text in whole)
    assert folded == read.total(KINDS[2]) + read.total(KINDS[3])


def test_instances_apart_and_together() -> None:
    log = Log()
    for log.instance in (1, 2, 3):
        log.call("a:b/c#f", 1)
    (together,) = Read(profile(log)).samples.items()
    assert together[0] == (("a:b/c#f",), ()) and together[1]["calls/count"] == 3
    apart = Read(profile(log, RenderOptions(per_instance=True))).samples
    assert list(apart) == [(("a:b/c#f",), (("instance", n),)) for n in (1, 2, 3)]


def test_bytes_are_the_same_again_and_times_are_said() -> None:
    log = SCENARIOS["http"]()
    start = {"v": 2, "phase": "start", "instance": 1, "wall_ns": 5_000, "t_ns": 1_000}
    lost = {"v": 2, "phase": "lost", "lost": 4, "why": "line", "instance": 1}
    records = [start, *log, lost]
    assert profile(records) == profile(records)
    read = Read(profile(records))
    assert read.message.time_nanos == 4_000
    starts = [r["t_ns"] for r in log if r["phase"] in ("call", "return")]
    assert read.message.duration_nanos == max(starts) - min(starts)
    (comment,) = read.comments
    assert comment.startswith("4 records were lost")


def tree(var: str, nodes: list[list[object]], instance: int = 1) -> Record:
    head = {"v": 2, "run": "0" * 16, "instance": instance, "phase": "report", "script": "flame"}
    return {**head, "var": var, "type": SHAPE, "value": nodes}


def test_reported_trees_are_shown_instead_of_calls() -> None:
    log = Log()
    log.call("a:b/c#f", 1)
    big = str((1 << 64) - 1)
    records = [
        *log.records,
        tree("stacks", [[1, [0, "main", 1, 5]], [2, [1, "work", 2, big]]]),
        tree("stacks", [[1, [0, "main", 1, 7]]], 2),
        tree("allocated", [[1, [0, "main", 1, 3]]]),
    ]
    read = Read(profile(records))
    assert read.types == ["flame:stacks/count", "flame:allocated/count"]
    assert read.samples == {
        (("main",), ()): {"flame:stacks/count": 12, "flame:allocated/count": 3},
        (("main", "work"), ()): {"flame:stacks/count": (1 << 63) - 1, "flame:allocated/count": 0},
    }
    apart = Read(profile(records, RenderOptions(per_instance=True)))
    assert {labels for _, labels in apart.samples} == {(("instance", 1),), (("instance", 2),)}


def test_a_monitor_makes_a_profile(tmp_path: Path) -> None:
    """The type of values goes by the name that the documentation has."""
    app = tmp_path / "app.wasm"
    app.write_bytes(build("command"))
    assert main(("trace", "-m", "flame", "-o", str(tmp_path / "run.pprof"), str(app))) == 0
    read = Read((tmp_path / "run.pprof").read_bytes())
    assert read.types == ["flame.mm:instructions/count"]
    assert read.total(read.types[0]) > 1000 and any("run" in stack for stack, _ in read.samples)


@SLOW
@given(odd_records().filter(lambda record: not fault_of(record)))
def test_any_record_makes_a_profile(record: Record) -> None:
    read = Read(profile([record]))
    assert read.texts[0] == "" and len(set(read.texts)) == len(read.texts)
    assert all(text.isprintable() for text in read.texts)


def test_a_terminal_gets_no_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    saved = tmp_path / "run.jsonl"
    saved.write_text("".join(map(line, SCENARIOS["http"]())))
    assert main(("report", "-f", "pprof", str(saved))) == 0
    assert Read(capfdbinary.readouterr().out).total("calls/count") == 17
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(("report", "-f", "pprof", str(saved))) == 2
    assert b"-f pprof is not for reading; name a file with -o" in capfdbinary.readouterr().err
    (tmp_path / "app.wasm").write_bytes(build("command"))
    assert main(("trace", "-f", "pprof", str(tmp_path / "app.wasm"))) == 2
    assert b"-f pprof is not for reading; name a file with -o" in capfdbinary.readouterr().err


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf.descriptor_pb2", None)
    with pytest.raises(UsageError, match=r"pip install 'whamm-cm\[pprof\]'"):
        profile([])
