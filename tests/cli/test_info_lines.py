"""`whamm-cm info APP.wasm --lines`: the lines of the source that probes can be at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.weave.sources import HERE, compiled, counts
from whamm_cm.cli.main import main

TEXT = (HERE / "count.c").read_text().splitlines()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(compiled(tmp_path_factory.mktemp("c"), "count.c", "-O0"))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["info", *words]) == 0
    return capsys.readouterr().out


def test_files_and_their_lines_are_listed(
    app: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(app).parent)
    known = sorted(counts("count.c"))
    assert (
        said(capsys, app, "--lines")
        == said(capsys, "--lines", app)
        == (
            "1 source file with lines that probes can be at\n"
            f"  src/count.c  {len(known)} lines, 4 functions  core module {Path(app).name}\n"
        )
    )
    head, *rows = said(capsys, app, "--lines", "*.c").splitlines()
    assert head == f"src/count.c  {len(known)} lines  core module {Path(app).name}"
    assert [int(row.split()[0]) for row in rows] == known
    assert rows[0].split(maxsplit=2) == ["1", "twice", f"| {TEXT[0]}"]
    assert said(capsys, app, "--lines", "count.c", "-n", "2").splitlines()[-1] == (
        f"  … {len(known) - 2} more (-v shows all)"
    )


def test_the_text_is_looked_for_below_the_folders_that_are_given(
    app: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "|" not in said(capsys, app, "--lines", "count.c")
    (tmp_path / "old" / "src").mkdir(parents=True)
    (tmp_path / "old" / "src" / "count.c").symlink_to(Path(app).parent / "src" / "count.c")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "count.c").write_text("first\nsecond\n")
    words = ("--source", "old", "--source", "new")  # what leads out of a folder is not in it
    rows = json.loads(said(capsys, "--json", app, "--lines", "count.c", *words))["lines"]
    assert [row["text"] for row in rows][:3] == ["first", "second", ""]
    assert rows[0] == {
        "file": "src/count.c", "module": Path(app).name, "line": 1, "places": 1,
        "functions": ["twice"], "text": "first",
    }  # fmt: skip


def test_what_there_is_none_of_is_said(
    app: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["info", app, "--lines", "cuont.c"]) == 2
    assert 'no source file is called "cuont.c"; did you mean "count.c"?' in capsys.readouterr().err
    bare = str(compiled(tmp_path, "count.c", "-g0"))
    assert said(capsys, bare, "--lines") == (
        "0 source files with lines that probes can be at\n"
        "the core modules have no debug information (build with -g)\n"
    )
    for words in (["--lines"], [app, app, "--lines"], [app, "--lines", "x.c", "-e", "x"]):
        assert main(["info", *words]) == 2
        assert "--lines lists the source lines of one APP.wasm" in capsys.readouterr().err
    assert main(["info", "wasm:begin", app, "--source", "."]) == 2


def test_a_rule_on_the_source_is_described(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "wasm:line:src/count.c:7 / line > 3 /", app)
    assert text.startswith("wasm:line:src/count.c:7  modes before  (not in whamm 1.0)\n")
    assert "  inlined " in text and "1 place in 1 function" in text
    text = said(capsys, "wasm:source:count.c:fn twice:exit", app)
    assert text.startswith("wasm:source:count.c:fn twice  modes exit")
