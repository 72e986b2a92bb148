"""Recordings that somebody has edited, and files that would be lost: one clear sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_record import Record, run
from tests.cli.test_replay import rewrite
from whamm_cm.cli.main import main

Change = Callable[[list[Record]], list[Record]]


@pytest.fixture(scope="module")
def c_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    run(folder, "c_command", "c_command.wasm")
    return folder


@pytest.fixture
def folder(c_command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = Path(shutil.copytree(c_command, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    return copy


def _stopped(records: list[Record]) -> list[Record]:
    return [*records[:-1], {"v": 2, "run": records[-1]["run"], "instance": 1, "phase": "end",
                            "stopped": "interrupted"}]  # fmt: skip


def _no_words(records: list[Record]) -> list[Record]:
    return [{**records[0], "argv": 5}, *records[1:]]


def _no_result(records: list[Record]) -> list[Record]:
    return [*records[:-2], {k: v for k, v in records[-2].items() if k != "result"}, records[-1]]


@pytest.mark.parametrize(
    ("change", "words", "status", "said"),
    [
        (_stopped, (), 1, "the recording is cut off"),
        (_no_words, ("--relaxed",), 0, "all as recorded"),
        (_no_result, ("--compose", "out.wasm"), 3, "was recorded with other types"),
    ],
)
def test_edited_by_hand(
    change: Change, words: tuple[str, ...], status: int, said: str,
    folder: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rewrite(folder / "run.wcr", change)
    assert main(["replay", *words, "run.wcr"]) == status
    assert said in capfd.readouterr().err


def test_composed_with_another_component(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = str(path_of("p3_command"))
    assert main(["replay", "--compose", "out.wasm", "run.wcr", str(path_of("exit"))]) == 3
    said = capfd.readouterr().err
    assert "imports no wasi:cli/stdout#get-stdout, which was called then" in said
    assert main(["replay", "--compose", "out.wasm", "run.wcr", other]) in (2, 3)
    assert "internal error" not in capfd.readouterr().err
    assert not (folder / "out.wasm").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("trace", "--record", "c_command.wasm", "c_command.wasm"),
        ("replay", "--compose", "c_command.wasm", "run.wcr"),
        ("replay", "--compose", "run.wcr", "run.wcr"),
        ("replay", "-e", "trace=all", "-o", "c_command.wasm", "run.wcr"),
    ],
)
def test_what_is_read_is_not_written(
    words: tuple[str, ...], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.glob("*.w*")}
    assert main([*words]) == 2
    assert "is read by this command; name another file to write" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
