"""What a page is told of source lines, of programs whose right counts are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.render.test_coverage import BARE, INLINED, LOOP, LOOP_LINES, WASI, compiled
from whamm_cm.analysis.lines import LineFinder
from whamm_cm.cli.main import main
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page import sources as page
from whamm_cm.render.page.sources import sources
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

CALLS = "wasm:opcode:call:before { report var made: u32; made++; }"


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loop")
    (folder / "loop.c").write_text(LOOP)
    return compiled(folder, folder / "loop.c", *WASI, "-g", "-O0")


@pytest.fixture(scope="module")
def inlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inlined")
    (folder / "inlined.cpp").write_text(INLINED)
    return compiled(folder, folder / "inlined.cpp", *BARE, "-g", "-O2")


def model(program: Path, *options: str, more: list[Record] | None = None) -> dict[str, Any]:
    log = program.with_suffix(".jsonl")
    assert main(["trace", *options, "-o", str(log), str(program)]) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()] + (more or [])
    lines = LineFinder.of(program.read_bytes(), str(program))
    found = sources(Session.build(records), RenderOptions(lines=lines))
    assert found is not None
    again: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return again


def file(found: dict[str, Any], name: str) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {Path(one["path"]).name: one for one in found["files"]}
    return known[name]


def values(one: dict[str, Any], metric: int) -> dict[int, Any]:
    return dict(zip(one["lines"], one["values"][metric], strict=True))


def test_lines_have_how_often_they_were_executed(
    loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(loop.parent)
    found = model(loop, "-m", "hotness")
    assert [one["what"] for one in found["metrics"]] == ["executed", "sum"]
    one = file(found, "loop.c")
    assert values(one, 0) == LOOP_LINES
    assert one["text"] == LOOP.split("\n")
    assert one["functions"] == [[1, "twice", 10], [6, "never", 0], [10, "main", 1]]
    assert all((sum_ or 0) >= times for times, sum_ in zip(*one["values"], strict=True))
    assert found["others"] > 0 and one["copies"] == []


def test_texts_are_those_below_the_current_directory(
    loop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    one = file(model(loop, "-m", "hotness"), "loop.c")
    assert "text" not in one and values(one, 0) == LOOP_LINES


def test_what_was_covered_has_one_metric(loop: Path) -> None:
    found = model(loop, "-m", "coverage")
    assert [one["what"] for one in found["metrics"]] == ["covered"]
    assert values(file(found, "loop.c"), 0) == {
        line: min(count, 1) for line, count in LOOP_LINES.items()
    }


def test_what_counts_few_instructions_adds_up(loop: Path) -> None:
    found = model(loop, "-e", CALLS)
    assert [one["what"] for one in found["metrics"]] == ["sum"]
    assert values(file(found, "loop.c"), 0) == {13: 10}


def test_what_is_lost_is_not_nothing(loop: Path) -> None:
    lost = {"v": 1, "instance": 1, "phase": "lost", "lost": "unknown", "why": "line"}
    one = file(model(loop, "-m", "hotness", more=[lost]), "loop.c")
    assert values(one, 0)[7] == "?" and values(one, 0)[13] == 10


def test_copies_say_where_they_were_put(inlined: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inlined.parent)
    found = model(inlined, "-m", "hotness")
    one = file(found, "inlined.cpp")
    places = found["places"]
    line = 1 + next(at for at, text in enumerate(one["text"]) if "sink = x" in text)
    copies = {
        places[place]["frames"][0][0]: (places[place], count)
        for at, place, count in one["copies"]
        if at == line
    }
    # Of ten rounds four have a number above 5, and 9 always is.
    assert {name: count for name, (_, count) in copies.items()} == {
        "int shop::clamp<int, int>(int, int)": 4,
        "int shop::clamp<int, long>(int, long)": 10,
    }  # fmt: skip
    assert values(one, 0)[line] == 14
    for place, _ in copies.values():
        assert place["in"] == "both(int)" and place["frames"][0][1:] == [one["path"], 11]


def test_a_page_has_no_more_text_than_it_can_bear(
    loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(loop.parent)
    monkeypatch.setattr(page, "MOST_TEXT", 10)
    found = model(loop, "-m", "hotness")
    assert "text" not in file(found, "loop.c")
    assert any("loop.c: its text is left out" in note for note in found["notes"])


def test_there_is_nothing_without_lines_or_counts(loop: Path) -> None:
    nothing = Session.build([])
    assert sources(nothing, RenderOptions()) is None
    lines = LineFinder.of(loop.read_bytes(), str(loop))
    assert sources(nothing, RenderOptions(lines=lines)) is None
