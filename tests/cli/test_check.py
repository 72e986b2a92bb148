"""`whamm-cm check`: scripts without and with what they are for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.build import path_of
from whamm_cm.cli.main import main

COMMAND = str(path_of("command"))


def check(tmp_path: Path, text: str, *words: str) -> int:
    path = tmp_path / "S.mm"
    path.write_text(text)
    return main(["check", str(path), *words])


def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "wasm:func:entry { a++; b++; }\n"
    assert check(tmp_path, text) == 2
    said = capsys.readouterr().err
    assert "S.mm:1:19" in said and "S.mm:1:24" in said
    assert check(tmp_path, text, "--json") == 2
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert [(one["line"], one["column"]) for one in errors] == [(1, 19), (1, 24)]


def test_names_are_looked_at_with_and_without_a_component(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((), (COMMAND,)):
        assert check(tmp_path, "wasi:random/randm#*:before { }", *words) == 2
        assert 'did you mean "wasi:random/random"?' in capsys.readouterr().err


def test_places_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "wasm:func:entry { }\nwasi:random/*#*:before { }\nwasm:opcode:call(arg0: f32):before { }"
    assert check(tmp_path, text, COMMAND, "--json") == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert [one["places"] for one in rules] == [26, 2, 0]
    assert check(tmp_path, text) == 0
    assert "place" not in capsys.readouterr().out
