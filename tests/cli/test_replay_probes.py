"""Probes and scripts in what is replayed: they tell what they tell of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.cli.test_record import recorded
from whamm_cm.cli.main import main

Record = dict[str, Any]
#: Of records: what differs from run to run.
_TIMES = ("t_ns", "dur_ns", "wall_ns", "run")
#: What these answer, they answer anew each time.
_CHANCE = ("random", "clock", "stat")


def log(path: Path) -> list[Record]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in _TIMES} for record in found]


def steady(records: list[Record]) -> list[Record]:
    """Without results of clocks and chance."""
    return [
        {k: v for k, v in record.items() if k != "result"}
        if any(word in f"{record.get('interface')}#{record.get('func')}" for word in _CHANCE)
        else record
        for record in records
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take(name: str, *words: str, status: int = 0) -> None:
    """A recording of a fixture."""
    shutil.copy(path_of(name), f"{name}.wasm")
    assert main(["trace", "-q", "--record", "run.wcr", *words]) == status
    shutil.rmtree("data")
    Path("data").mkdir()


@pytest.mark.parametrize(
    ("name", "words", "status"),
    [
        ("c_command", ("--dir", "data::/data", "c_command.wasm"), 0),
        ("c_command", ("c_command.wasm", "fail"), 1),
        ("trap", ("--invoke", "unreachable()", "trap.wasm"), 134),
        ("http_echo", ("--request", "/", "-d", "0123456789" * 900, "http_echo.wasm"), 0),
    ],
)
def test_the_trace_of_a_replay_is_that_of_the_run(
    name: str, words: tuple[str, ...], status: int, folder: Path
) -> None:
    take(name, *words, status=status)
    wide = ("-q", "--max-string", "10000", "--max-list", "1000", "-e", "trace=*")
    assert main(["trace", *wide, "-o", "run.jsonl", *words]) == status
    assert main(["replay", *wide, "-o", "again.jsonl", "run.wcr"]) == 0
    ran, again = log(folder / "run.jsonl"), log(folder / "again.jsonl")
    if name == "http_echo":  # who serves says of requests what no guest is asked for
        ran = [record for record in ran if record["phase"] not in ("request", "answer")]
        numbers = ("seq", "req")
        ran, again = (
            [{k: r[k] for k in r if k not in numbers} for r in log] for log in (ran, again)
        )
    assert [r["phase"] for r in ran] == [r["phase"] for r in again]
    assert steady(ran) == steady(again)
    # Results of clocks and chance are those of the recording.
    told = [r["result"] for r in again if r["phase"] == "return" and "result" in r]
    kept = [
        r["result"]
        for r in recorded(folder / "run.wcr")
        if r["phase"] == "return" and not _gives_a_handle(r)
    ]
    assert [one for one in kept if one in told] == kept


def _gives_a_handle(record: Record) -> bool:
    return "result" not in record or "handles" in record


def test_what_scripts_count_is_the_same(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--dir", "data::/data", "c_command.wasm")
    take("c_command", *words)
    capfd.readouterr()
    counts = []
    for run in (
        ["trace", "-q", "-m", "icount", "-f", "json", "-o"],
        ["replay", "-q", "-m", "icount", "-f", "json", "-o"],
    ):
        file = f"{run[0]}.json"
        assert main([*run, file, *(words if run[0] == "trace" else ("run.wcr",))]) == 0
        counts.append(json.loads(Path(file).read_text()))
    assert counts[0] == counts[1] != []


def test_several_instances(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a handler: each is told apart."""
    take("http_echo", "--request", "/", "-d", "one", "http_echo.wasm")
    records = recorded(folder / "run.wcr")
    _twice(records, folder / "run.wcr")
    assert main(["replay", "-e", "trace=%http", "run.wcr"]) == 0
    err = capfd.readouterr().err
    for number in (1, 2):
        assert f"[{number}] export wasi:http/incoming-handler#handle(" in err


def _twice(records: list[Record], path: Path) -> None:
    """The recording of two instances that did the same."""
    head, *middle, end = records
    again = [{**r, "instance": 2} for r in middle if "instance" in r]
    whole = [head, *middle, *again, end]
    for seq, record in enumerate(whole[1:]):
        record["seq"] = seq
    path.write_text("".join(json.dumps(record) + "\n" for record in whole))


def test_clocks_of_probes_are_not_those_of_the_recording(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    take("c_command", "c_command.wasm")
    script = (
        'wit:import:wasi:cli/*#*:after { print("{} {}", now() > 0, wall() > 1600000000000000000); }'
    )
    assert main(["replay", "-e", script, "run.wcr"]) == 0
    out, err = capfd.readouterr()
    assert "true true" in err and "all as recorded" in err


def test_until_shows_what_came_before(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", "c_command.wasm")
    assert main(["replay", "--until", "5", "-o", "again.jsonl", "run.wcr"]) == 0
    assert "stopped before call 5: " in capfd.readouterr().err
    made = [r["call"] for r in log(folder / "again.jsonl") if r["phase"] == "call"]
    assert made == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("does", "status", "said"),
    [
        ("exit(7);", 7, "ended the program with status 7, after "),
        ('abort("enough");', 134, "aborted the program: enough, after "),
        ('return [("A", "B")];', 1, "another call than was recorded"),
    ],
)
def test_scripts_that_change_what_happens(
    does: str, status: int, said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    take("c_command", "--env", "GREETING=hi", "c_command.wasm")
    script = f"wit:import:wasi:cli/environment#get-environment:alt {{ {does} }}"
    assert main(["replay", "-e", script, "run.wcr"]) == status
    assert said in capfd.readouterr().err


def test_what_does_not_go_together(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", "c_command.wasm")
    assert main(["replay", "-c", "-f", "jsonl", "run.wcr"]) == 2
    assert "-c shows the summary instead of the log" in capfd.readouterr().err
    assert main(["replay", "-e", "net", "run.wcr"]) == 2
    assert "expected -e trace=SET" in capfd.readouterr().err
