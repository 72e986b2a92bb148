"""``whamm-cm replay``: what was recorded runs again, and what differs is named."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.cli.test_record import Record, command, recorded, run
from tests.run.host.rig import post

DATA = ("--dir", "data::/data")


def rewrite(path: Path, change: Callable[[list[Record]], list[Record]]) -> None:
    records = change(recorded(path))
    path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))


@pytest.mark.parametrize(
    ("name", "words", "status"),
    [
        ("c_command", (*DATA, "c_command.wasm"), 0),
        ("c_command", ("c_command.wasm", "fail"), 1),
        ("py_command", (*DATA, "py_command.wasm"), 0),
        ("trap", ("--invoke", "unreachable()", "trap.wasm"), 134),
        ("exit", ("exit.wasm",), None),
        ("http_echo", ("--request", "/", "-d", "0123456789" * 3000, "http_echo.wasm"), None),
        ("py_http", ("--request", "POST /x", "-d", "hello", "py_http.wasm"), None),
    ],
)
def test_the_same_twice(
    name: str, words: tuple[str, ...], status: int | None, tmp_path: Path
) -> None:
    ran = run(tmp_path, name, *words, status=status)
    handler = "--request" in words
    # Nothing that it asked for is there any more.
    shutil.rmtree(tmp_path / "data")
    calls = sum(record["phase"] == "call" for record in recorded(tmp_path / "run.wcr"))
    for _ in range(2):
        again = command(tmp_path, "replay", "run.wcr")
        assert again.returncode == 0, again.stderr
        assert again.stdout == ("" if handler else ran.stdout)
        assert f"{calls} call{'s' * (calls != 1)} replayed, all as recorded" in again.stderr
        assert ("the guest trapped, as it did then" in again.stderr) == (ran.returncode == 134)
    assert not (tmp_path / "data").exists()


def test_a_server(tmp_path: Path) -> None:
    app, into = tmp_path / "echo.wasm", tmp_path / "run.wcr"
    shutil.copy(path_of("http_echo"), app)
    with serving("--record", str(into), "--reuse", "2", str(app)) as server:
        for text in (b"one", b"two", b"three"):
            assert text in server.ask(post(text))
        assert server.end() == 0
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 0 and "all as recorded" in again.stderr


def test_another_argument_is_named(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "descriptor.open-at" and record["phase"] == "call":
                record["args"]["path"] = "elsewhere.txt"
                break
        return records

    before = recorded(tmp_path / "run.wcr")
    rewrite(tmp_path / "run.wcr", change)
    call = next(r["call"] for r in before if r.get("func") == "descriptor.open-at")
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 1
    first, expected, actual, *_ = again.stderr.splitlines()
    assert first == f"whamm-cm: call {call}: another call than was recorded"
    assert expected.startswith("    recorded: wasi:filesystem/types#descriptor.open-at(self=2,")
    assert '"elsewhere.txt"' in expected and '"elsewhere.txt"' not in actual
    assert actual.startswith("    now:      wasi:filesystem/types#descriptor.open-at(self=2,")
    assert "    at command.core.wasm!" in again.stderr


def test_another_answer_leads_elsewhere(tmp_path: Path) -> None:
    """With an argument more, it leaves early."""
    run(tmp_path, "c_command", *DATA, "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "get-arguments" and record["phase"] == "return":
                record["result"].append("fail")
        return records

    rewrite(tmp_path / "run.wcr", change)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 1 and "another call than was recorded" in again.stderr


@pytest.mark.parametrize(
    ("result", "said"), [({"error": None}, "another result"), (None, "another end")]
)
def test_another_result(result: object, said: str, tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        last = records[-2]
        assert (last["phase"], last["func"]) == ("return", "run")
        if result is None:
            return [*records[:-2], records[-1]]
        last["result"] = result
        return records

    rewrite(tmp_path / "run.wcr", change)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 1 and said in again.stderr


def test_fewer_calls(tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        pair = [{**r, "seq": r["seq"] + 2, "call": r["call"] + 1} for r in records[-4:-2]]
        return [*records[:-2], *pair, *records[-2:]]

    rewrite(tmp_path / "run.wcr", change)
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 1 and "fewer calls than were recorded" in again.stderr


def test_a_recording_that_is_cut_off(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    rewrite(tmp_path / "run.wcr", lambda records: records[:20])
    calls = sum(record["phase"] == "call" for record in recorded(tmp_path / "run.wcr"))
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 1
    assert f"the recording is cut off: it has no call {calls + 1};" in again.stderr


def test_torn_gzip(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    path = tmp_path / "run.wcr"
    path.write_bytes(path.read_bytes()[:-200])
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode in (1, 3) and "whamm-cm: " in again.stderr
    assert "internal error" not in again.stderr


def test_until(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    made = [r for r in recorded(tmp_path / "run.wcr") if r["phase"] == "call"]
    (number,) = (r["call"] for r in made if r["func"] == "get-environment")
    again = command(tmp_path, "replay", "--until", str(number), "run.wcr")
    assert again.returncode == 0
    first, *_ = again.stderr.splitlines()
    name = "wasi:cli/environment#get-environment()"
    assert first == f"whamm-cm: stopped before call {number}: {name}"
    assert "    at command.core.wasm!" in again.stderr
    again = command(tmp_path, "replay", "--until", "4000", "run.wcr")
    assert again.returncode == 0 and "whamm-cm: call 4000 was not reached\n" in again.stderr


@pytest.mark.parametrize("options", [(), ("--relaxed",)], ids=["exact", "relaxed"])
def test_output_that_nobody_takes(options: tuple[str, ...], tmp_path: Path) -> None:
    """It was told as a difference of the guest."""
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "whamm_cm", "replay", *options, "run.wcr"]
    again = subprocess.run(words, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=300)
    os.close(writer)
    assert (again.returncode, again.stderr) == (141, b"")


def test_another_build_of_the_same_calls(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    rebuilt = (tmp_path / "c_command.wasm").read_bytes() + b"\0\x05\x01xabc"
    (tmp_path / "rebuilt.wasm").write_bytes(rebuilt)
    again = command(tmp_path, "replay", "run.wcr", "rebuilt.wasm")
    assert again.returncode == 0, again.stderr
    assert "rebuilt.wasm is another build than was recorded" in again.stderr


def test_masked_secrets(tmp_path: Path) -> None:
    """The guest is shown stars, prints stars, and that is what the recording has."""
    ran = run(tmp_path, "c_command", "--env", "GREETING=Geheimnis-17b", "c_command.wasm")
    assert "Geheimnis-17b" in ran.stdout
    again = command(tmp_path, "replay", "run.wcr")
    assert again.returncode == 0, again.stderr
    assert again.stdout == ran.stdout.replace("Geheimnis-17b", "*" * 13)
    assert "was answered with stars in the place of a secret" in again.stderr


@pytest.mark.parametrize("which", ["log", "newer", "missing"])
def test_what_is_no_recording(which: str, tmp_path: Path) -> None:
    path = tmp_path / "run.wcr"
    if which == "log":
        path.write_text('{"v":2,"phase":"start"}\n')
    elif which == "newer":
        path.write_text('{"v":2,"phase":"recording","recording":2}\n')
    again = command(tmp_path, "replay", "run.wcr", str(path_of("c_command")))
    said = {"log": "is no recording", "newer": "by a newer whamm-cm", "missing": "no such file"}
    assert again.returncode == 3 and said[which] in again.stderr
