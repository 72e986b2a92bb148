"""Tables by source line, of a program whose calls are known."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.render.test_coverage import LOOP, WASI, compiled
from whamm_cm.analysis.lines import source_text
from whamm_cm.cli.main import main

CALLS = "wasm:opcode:call:before { report var made: u32; made++; }"
LINE = re.compile(r" *(\d*) +(?:([\d.]+)%)? +(\d+) \|(?: (.*))?")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("by_line")
    (folder / "loop.c").write_text(LOOP)
    return compiled(folder, folder / "loop.c", *WASI, "-g", "-O0")


def shown(path: Path) -> tuple[str, dict[int, tuple[str, str, str]]]:
    """The head of loop.c's part, and (value, share, text) of its lines."""
    lines = path.read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if "loop.c" in line]
    found = {}
    for line in lines[at + 1 :]:
        match = LINE.fullmatch(line)
        if match is None:
            break
        found[int(match[3])] = (match[1], match[2] or "", match[4] or "")
    return lines[at], found


def traced(program: Path, *options: str) -> Path:
    output = program.with_name("out.table")
    assert main(["trace", *options, "--by", "line", "-o", str(output), str(program)]) == 0
    return output


def test_cells_of_a_line_add_up_beside_its_text(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(program.parent)
    _, lines = shown(traced(program, "-e", CALLS))
    source = LOOP.splitlines()
    assert lines[13][0] == "10" and lines[15][0] == "0"
    assert set(lines) == {13, 14, 15}  # of which the middle one calls nobody
    assert {line: text for line, (_, _, text) in lines.items()} == {
        line: source[line - 1] for line in lines
    }
    assert lines[14][:2] == ("", "")


def test_sums_are_those_of_single_instructions(
    program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # the source is not below
    head, lines = shown(traced(program, "-m", "hotness"))
    out = tmp_path / "out.csv"
    assert main(["trace", "-m", "hotness", "--lines", "-o", str(out), str(program)]) == 0
    sums: Counter[str] = Counter()
    with open(out, newline="") as file:
        for row in csv.DictReader(file):
            sums[row["source"]] += int(row["value"])
    mine = {f"loop.c:{line}": value for line, (value, _, _) in lines.items()}
    assert mine == {place: str(sums[place]) for place in sums if place.startswith("loop.c:")}
    assert {text for _, _, text in lines.values()} == {"twice", "never", "__original_main"}
    part = sum(sums[place] for place in mine)
    assert f" {100 * part / sum(sums.values()):.1f}%, 9 of 12 lines" in head
    for line, (value, share, _) in lines.items():
        assert share == f"{100 * int(value) / sum(sums.values()):.1f}", line


def test_what_was_covered_and_maps(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(program.parent)
    head, lines = shown(traced(program, "-m", "coverage"))
    assert head.endswith("loop.c  75.0%, 9 of 12 lines")
    assert [line for line, row in lines.items() if row[0] == "1"] == [
        1, 2, 3, 10, 11, 12, 13, 14, 16,
    ]  # fmt: skip
    script = "wasm:opcode:i32.store:before { report var at: map<u32, u32>; at[fid] = at[fid] + 1; }"
    text = traced(program, "-e", script).read_text()
    # The loop's counter is set once and stepped ten times.
    assert re.search(r"^  line loop\.c:12\n    \d+  11$", text, re.MULTILINE), text


def test_a_saved_log(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = program.with_name("run.jsonl")
    assert main(["trace", "-e", CALLS, "-o", str(log), str(program)]) == 0
    capsys.readouterr()
    assert main(["report", "--by", "line", "--lines", str(program), str(log)]) == 0
    assert re.search(r"\n +10 +[\d.]+%  13 \| __original_main\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "--by", "line", "LOG"], "--by line needs source lines; add --lines"),
        (["report", "--by", "line", "-c", "LOG"], "leave out -c, -C and -f"),
        (["report", "--by", "line", "-f", "csv", "LOG"], "leave out -c, -C and -f"),
        (["trace", "--by", "line", "--per-instance", "APP"], "adds up what instances count"),
        (["trace", "--by", "line", "APP"], "--by line: nothing counts instructions"),
    ],
)
def test_what_does_not_go_together(
    program: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    log = program.with_name("empty.jsonl")
    log.write_text("")
    names = {"LOG": str(log), "APP": str(program)}
    assert main([names.get(word, word) for word in words]) == 2
    assert said in capsys.readouterr().err


def test_only_files_below_the_current_directory_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, beside = tmp_path / "here", tmp_path / "here-not"
    for folder in (here, beside):
        folder.mkdir()
        (folder / "a.c").write_text("int a;\n")
    (here / "link.c").symlink_to(beside / "a.c")
    monkeypatch.chdir(here)
    assert source_text("a.c") == source_text(str(here / "a.c")) == ["int a;", ""]
    for name in (
        "../here-not/a.c",
        str(beside / "a.c"),
        "link.c",
        "none.c",
        ".",
        "",
        "/etc/passwd",
    ):
        assert source_text(name) is None, name
