"""``trace --record``: what is in a recording."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.run.host.rig import post
from whamm_cm.cli.main import main

Record = dict[str, Any]
ROOT = Path(__file__).parents[2]


def recorded(path: Path) -> list[Record]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def run(
    folder: Path, name: str, *words: str, status: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """``trace --record run.wcr`` of a fixture, in a folder with an empty ``data``."""
    shutil.copy(path_of(name), folder / f"{name}.wasm")
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "data").mkdir()
    ran = command(folder, "trace", "--record", "run.wcr", *words)
    assert status is None or ran.returncode == status, ran.stderr
    return ran


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-m", "whamm_cm", *words], cwd=folder, env=environment,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip


def test_a_command(tmp_path: Path) -> None:
    ran = run(tmp_path, "c_command", "--dir", "data::/data", "c_command.wasm")
    records = recorded(tmp_path / "run.wcr")
    head, start, *middle, end = records
    assert (head["phase"], head["recording"], head["argv"]) == (
        "recording", 1, ["c_command.wasm"],
    )  # fmt: skip
    assert head["app"]["bytes"] == path_of("c_command").stat().st_size
    assert (start["phase"], end["phase"], end["status"]) == ("start", "end", 0)
    assert [record["seq"] for record in records[1:]] == list(range(len(records) - 1))
    calls = [record["call"] for record in middle if record["phase"] == "call"]
    assert sorted(calls) == sorted(r["call"] for r in middle if r["phase"] == "return")
    assert f"{len(middle)} records written to run.wcr" in ran.stderr
    shown = command(tmp_path, "report", "run.wcr")
    assert shown.returncode == 0 and not shown.stderr
    assert shown.stdout.startswith("export wasi:cli/run#run()\n")
    assert "descriptor#2.open-at(" in shown.stdout and "lost" not in shown.stdout


def test_values_are_whole(tmp_path: Path) -> None:
    """The largest write of the page is more than a record of a probe has room for."""
    run(tmp_path, "http_echo", "--request", "/", "-d", "0123456789" * 5000, "http_echo.wasm")
    text = json.dumps(recorded(tmp_path / "run.wcr"))
    assert "~cut" not in text and "big" not in text


@pytest.mark.parametrize("keeping", ["mask", "keep", "fail"])
def test_secrets(keeping: str, tmp_path: Path) -> None:
    words = ("--secrets", keeping, "--env", "GREETING=Geheimnis-17b", "--dir", "data::/data")
    status = {"fail": 2}.get(keeping, 0)
    ran = run(tmp_path, "c_command", *words, "c_command.wasm", status=status)
    if keeping == "fail":
        assert "wasi:cli/environment@0.2.0#get-environment passes a secret" in ran.stderr
        return
    found = json.dumps(recorded(tmp_path / "run.wcr"))
    assert ("Geheimnis-17b" in found) == (keeping == "keep")
    assert ("1 secret masked" in ran.stderr) == (keeping == "mask")
    if keeping == "mask":
        (answer,) = (r for r in recorded(tmp_path / "run.wcr") if r.get("masked"))
        assert answer["result"] == [["GREETING", "*" * 13]]


def test_secrets_that_are_known_before_the_guest_asks(tmp_path: Path) -> None:
    words = ("c_command.wasm", "postgres://u:pw-12345678@h/db", "Geheimnis-17b")
    run(tmp_path, "c_command", "--env", "GREETING=Geheimnis-17b", *words, status=1)
    head, *rest = recorded(tmp_path / "run.wcr")
    given = ["c_command.wasm", "postgres://u:***********@h/db", "*" * 13]
    (asked,) = (r for r in rest if r.get("func") == "get-arguments" and r["phase"] == "return")
    assert head["argv"] == asked["result"] == given
    failing = ("--secrets", "fail", *words[:2])
    ran = command(tmp_path, "trace", "--record", "other.wcr", *failing)
    assert ran.returncode == 2 and "the words for the guest pass a secret" in ran.stderr
    assert not (tmp_path / "other.wcr").exists()


@pytest.mark.parametrize("words", [("c.wasm", "\udcff"), ("--env", "A=\udcff", "c.wasm")])
def test_text_that_no_guest_can_have(words: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copy(path_of("c_command"), tmp_path / "c.wasm")
    ran = command(tmp_path, "trace", "--record", "run.wcr", *words)
    assert ran.returncode == 2 and "WASI cannot pass it to a guest" in ran.stderr
    assert not (tmp_path / "run.wcr").exists()


def test_traps_and_exits(tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm", "fail", status=1)
    *_, call, end = recorded(tmp_path / "run.wcr")
    assert (call["phase"], call["func"], end["status"]) == ("call", "exit", 1)
    ran = run(tmp_path, "trap", "--invoke", "unreachable()", "trap.wasm", status=134)
    *_, call, end = recorded(tmp_path / "run.wcr")
    assert (call["phase"], call["func"]) == ("call", "unreachable")
    assert "unreachable" in end["trap"] and end["status"] == 134
    assert "the guest trapped: wasm trap" in ran.stderr


def test_a_server(tmp_path: Path) -> None:
    app = tmp_path / "echo.wasm"
    shutil.copy(path_of("http_echo"), app)
    into = tmp_path / "run.wcr"
    with serving("--record", str(into), str(app)) as server:
        for text in (b"one", b"two"):
            assert text in server.ask(post(text))
        assert server.end() == 0
    calls = [r for r in recorded(into) if r["phase"] == "call" and r["edge"] == "export"]
    assert [(call["instance"], call["func"]) for call in calls] == [(1, "handle"), (2, "handle")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-e", "trace=%net"), "leave out -e"),
        (("-c",), "leave out -c"),
        (("--engine", "wizard"), "--engine wizard for core modules"),
        (("--engine", "wasmtime", "--secrets", "fail"), "--secrets fail is for the embedded"),
        (("--live",), "leave out --live"),
        (("-m", "chaos", "--shrink"), "leave out -m"),
    ],
)
def test_what_does_not_go_together(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "run.wcr"
    app = str(path_of("c_command"))
    assert main(["trace", "--record", str(into), *words, app]) == 2
    assert said in capsys.readouterr().err
    assert not into.exists()


def test_what_cannot_be_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "run.wcr"
    there = ["--engine", "embedded", str(path_of("p3_command"))]
    assert main(["trace", "--record", str(into), *there]) == 2
    assert "is made for WASI 0.3" in capsys.readouterr().err
    assert main(["trace", "--record", str(into), "--", "true"]) == 2
    assert "--record runs a component itself" in capsys.readouterr().err
    assert main(["trace", "--secrets", "keep", str(path_of("c_command"))]) == 2
    assert "--secrets keep is for --record FILE" in capsys.readouterr().err


def test_what_cannot_be_run_leaves_no_recording_and_an_earlier_one_as_it_was(tmp_path):
    file = tmp_path / "run.wcr"
    there = ["--engine", "embedded"]
    for app, more in (("p3_command", there), ("c_command", ["--invoke", "nothing()"])):
        assert main(["trace", "--record", str(file), *more, str(path_of(app))]) != 0
        assert not file.exists()
    file.write_bytes(b"earlier")
    assert main(["trace", "--record", str(file), *there, str(path_of("p3_command"))]) != 0
    assert file.read_bytes() == b"earlier"
