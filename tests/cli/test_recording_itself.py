"""``instrument --record``: a component whose log is a recording, whatever host it runs on."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_record import command, recorded
from whamm_cm.errors import RunError
from whamm_cm.run.wasmtime import find_wasmtime

DATA = ("--dir", "data::/data")


def woven(folder: Path, name: str, *options: str) -> Path:
    shutil.copy(path_of(name), folder / f"{name}.wasm")
    (folder / "data").mkdir()
    made = command(folder, "instrument", "--record", *options, "-o", "w.wasm", f"{name}.wasm")
    assert made.returncode == 0, made.stderr
    return folder / "w.wasm"


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """On the command wasmtime, its standard error in ``log``."""
    try:
        path = find_wasmtime((), "it").path
    except RunError as error:
        pytest.skip(str(error))
    found = subprocess.run(
        [path, "run", *words], cwd=folder, capture_output=True, text=True, timeout=300,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (folder / "log").write_text(found.stderr)
    return found


@pytest.mark.parametrize("name", ["c_command", "py_command"])
def test_its_log_is_replayed(name: str, tmp_path: Path) -> None:
    woven(tmp_path, name)
    first = ran(tmp_path, *DATA, "w.wasm")
    shutil.rmtree(tmp_path / "data")
    again = command(tmp_path, "replay", "--woven", "w.wasm", "log")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "replayed, all as recorded" in again.stderr


def test_values_of_any_size(tmp_path: Path) -> None:
    """A result of 3 MB is in the log in pieces, and the same in the replay."""
    woven(tmp_path, "random_sum")
    first = ran(tmp_path, "--invoke", "sum(3000000)", "w.wasm")
    assert first.returncode == 0, first.stderr
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 0 and "2 calls replayed, all as recorded" in again.stderr
    log = (tmp_path / "log").read_text()
    assert len(log) < 4.3e6
    cut = log.splitlines()
    (tmp_path / "log").write_text("\n".join((*cut[:500], *cut[501:])))
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 1 and "lost" in again.stderr


def test_secrets_are_stars_unless_kept(tmp_path: Path) -> None:
    words = ("--env", "GREETING=Geheimnis-17b", *DATA, "w.wasm")
    woven(tmp_path, "c_command")
    assert "Geheimnis-17b" in ran(tmp_path, *words).stdout
    found = command(tmp_path, "report", "-f", "jsonl", "log")
    assert "Geheimnis-17b" not in found.stdout
    again = command(tmp_path, "replay", "log")
    assert again.stdout.startswith("greeting: *************\n")
    assert again.returncode == 0 and "stars in the place of a secret" in again.stderr
    shutil.rmtree(tmp_path / "data")
    woven(tmp_path, "c_command", "--secrets", "keep")
    first = ran(tmp_path, *words)
    again = command(tmp_path, "replay", "log")
    assert (again.returncode, again.stdout) == (0, first.stdout)


def test_report_reads_it(tmp_path: Path) -> None:
    woven(tmp_path, "c_command")
    ran(tmp_path, *DATA, "w.wasm")
    found = command(tmp_path, "report", "-f", "jsonl", "log")
    head, *rest = map(json.loads, found.stdout.splitlines())
    assert (head["phase"], head["recording"], head["secrets"]) == ("recording", 1, "mask")
    assert head["app"]["file"] == "c_command.wasm"
    assert {r["edge"] for r in rest if "edge" in r} == {"export", "import"}


def test_a_log_that_is_none(tmp_path: Path) -> None:
    woven(tmp_path, "c_command")
    command(tmp_path, "instrument", "--trace", "*", "-o", "traced.wasm", "c_command.wasm")
    ran(tmp_path, *DATA, "traced.wasm")
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 3 and "is no recording" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--record", "--trace", "*"), "leave out --trace"),
        (("--record", "--sample", "1/2"), "leave out --sample"),
        (("--record", "--lines", "json"), "leave out --lines json"),
        (("--record", "--sink", "none"), "--sink none is none"),
        (("--trace", "*", "--secrets", "keep"), "is for --record"),
    ],
)
def test_what_does_not_go_together(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    shutil.copy(path_of("c_command"), tmp_path / "c.wasm")
    made = command(tmp_path, "instrument", *options, "-o", "w.wasm", "c.wasm")
    assert (made.returncode, (tmp_path / "w.wasm").exists()) == (2, False)
    assert said in made.stderr


@pytest.mark.parametrize(
    ("name", "words", "calls"),
    [
        ("c_command", ("--engine", "wasmtime", *DATA, "c_command.wasm"), 40),
        ("random_sum", ("--engine", "wasmtime", "--invoke", "sum(100000)", "random_sum.wasm"), 2),
        ("trap", ("--engine", "wasmtime", "--invoke", "unreachable()", "trap.wasm"), 1),
    ],
)
def test_on_wasmtime(name: str, words: tuple[str, ...], calls: int, tmp_path: Path) -> None:
    """``trace --record`` there makes the same recordings."""
    first = recorded_there(tmp_path, name, *words)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 0, again.stderr
    assert "replayed, all as recorded" in again.stderr
    assert ("the guest trapped, as it did then" in again.stderr) == (first.returncode == 134)
    assert sum(r["phase"] == "call" for r in recorded(tmp_path / "run.wcr")) >= calls


def test_what_is_asynchronous(tmp_path: Path) -> None:
    """What docs/records.md says of streams, futures and tasks, of a command for WASI 0.3."""
    assert recorded_there(tmp_path, "p3_command", "p3_command.wasm", "x").returncode == 0
    head, start, *rest, end = recorded(tmp_path / "run.wcr")
    assert (head["argv"], start["phase"]) == (["p3_command.wasm", "x"], "start")
    assert (end["phase"], end["status"]) == ("end", 0)
    run = [r["phase"] for r in rest if r.get("func") == "run"]
    assert [phase for phase in run if phase != "resumed"] == ["call", "return", "exit"]
    given = next(r for r in rest if r.get("func") == "write-via-stream")
    assert given["handles"] == {"args.data": "gone:stream"}
    wrote = [r for r in rest if r.get("func") == "stream.write" and "data" in r]
    assert base64.b64decode(wrote[0]["data"]["~b64"]).startswith(b"p3_command.wasm")
    assert {r["task"] for r in rest if "call" in r} == {1}
    shutil.rmtree(tmp_path / "data")
    again = command(tmp_path, "replay", "run.wcr")
    assert (again.returncode, again.stdout) == (0, "p3_command.wasm\nx\n"), again.stderr
    assert "7 calls replayed, all as recorded" in again.stderr
    probed = command(tmp_path, "replay", "-c", "run.wcr")
    assert probed.returncode == 2 and "is made for WASI 0.3" in probed.stderr
    stopped = command(tmp_path, "replay", "--until", "4", "run.wcr")
    assert stopped.returncode == 0
    said = "stopped before call 4: wasi:cli/stdout@0.3.0#write-via-stream\n    at main!print "
    assert said in stopped.stderr


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (
            lambda lines: [one.replace('"x"]', '"y"]') for one in lines], 1,
            "call 10: another call than was recorded\n    recorded: the contents of a stream or"
            " future\n    now:      something else was written than was recorded\n",
        ),
        (
            lambda lines: [one.replace("get-environment", "get-arguments") for one in lines], 1,
            "call 2: another call than was recorded\n    recorded: wasi:cli/environment@0.3.0"
            "#get-arguments\n    now:      wasi:cli/environment@0.3.0#get-environment\n    at ",
        ),
        (
            lambda lines: lines[:8], 1,
            "the recording is cut off: it has no call 3; all before are as recorded\n",
        ),
    ],
    ids=["written", "called", "cut"],
)  # fmt: skip
def test_where_the_asynchronous_differs(
    change: Callable[[list[str]], list[str]], status: int, said: str, tmp_path: Path
) -> None:
    assert recorded_there(tmp_path, "p3_command", "p3_command.wasm", "x").returncode == 0
    with gzip.open(tmp_path / "run.wcr", "rt") as file:
        lines = change(list(file))
    with gzip.open(tmp_path / "run.wcr", "wt") as file:
        file.writelines(lines)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == status and said in again.stderr, again.stderr


def recorded_there(folder: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        find_wasmtime(("0.3.0",), "it")
    except RunError as error:
        pytest.skip(str(error))
    shutil.copy(path_of(name), folder / f"{name}.wasm")
    (folder / "data").mkdir()
    return command(folder, "trace", "--record", "run.wcr", *words)


def test_a_password_among_the_words(tmp_path: Path) -> None:
    words = ("--engine", "wasmtime", "c_command.wasm", "x://u:Geheimnis17@h/db")
    recorded_there(tmp_path, "c_command", *words)
    first, *rest = recorded(tmp_path / "run.wcr")
    assert first["argv"] == ["c_command.wasm", "x://u:***********@h/db"]
    assert rest and "Geheimnis17" not in str(rest)
