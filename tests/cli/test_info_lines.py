"""`whamm-cm info APP.wasm --lines`: the lines of the source that probes can be at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.test_dwarf import content, edited
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


@pytest.fixture(scope="module")
def scopes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scopes")
    return {flag: compiled(folder, "scope.c", flag) for flag in ("-O0", "-O2")}


def test_a_line_is_listed_with_the_variables_in_scope(
    scopes: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, str(scopes["-O0"]), "--lines", "scope.c:6")
    assert [row.strip() for row in text.splitlines()[2:]] == [
        "src.i       int",
        "src.unused  int",
        "src.total   int",
        "src.row     unsigned int *, parameter",
        "src.with    pair *, parameter",
        "src.text    char *, parameter",
    ]
    text = said(capsys, str(scopes["-O0"]), "--lines", "*.c:11-12|40")
    assert [row.split()[0] for row in text.splitlines()[1:]] == [
        *("11", "src.row", "src.one", "12", "src.row", "src.one"),
    ]
    assert "src.row  unsigned int[3]\n" in text


def test_what_is_optimised_out_says_so_as_the_probe_does(
    scopes: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    app = str(scopes["-O2"])
    (line,) = json.loads(said(capsys, "--json", app, "--lines", "scope.c:6"))["lines"]
    known = {one["name"]: one for one in line["variables"]}
    assert known["unused"] == {
        "name": "unused", "type": "int", "parameter": False, "places": line["places"],
        "gone": line["places"], "why": "optimised out",
    }  # fmt: skip
    assert known["text"]["parameter"] and known.keys() >= {"total", "i", "with", "row"}
    assert "src.unused  int; optimised out\n" in said(capsys, app, "--lines", "scope.c:6")
    for name, one in known.items():
        script = (
            f"wasm:line:scope.c:6 {{ report var n: u32; if (src.{name} as u64 > 0) {{ n++; }} }}"
        )
        assert main(["trace", "--no-time", "--invoke", "run()", "-e", script, app]) == 0
        said_so = f"src.{name} is {one['why']}" in capsys.readouterr().err
        assert said_so == (one["gone"] > 0), name


def test_a_line_without_code_is_said(
    scopes: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, str(scopes["-O0"]), "--lines", "scope.c:1") == (
        "line 1 has no code; line 2 has\n"
    )
    assert main(["info", str(scopes["-O0"]), "--lines", "scope.c:x"]) == 2
    assert '"x" is no line' in capsys.readouterr().err


def test_malformed_variables_say_why(
    scopes: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Their lines are there nevertheless."""
    data, app = scopes["-O2"].read_bytes(), tmp_path / "torn.wasm"
    lists = content(data, ".debug_loc")
    app.write_bytes(edited(data, {".debug_loc": lists[:4]}))
    head, *rows = said(capsys, str(app), "--lines", "scope.c:6").splitlines()
    assert head == "src/scope.c  1 line  core module scope.c-O2.wasm"
    assert rows[-1].startswith("no source variables: the module's DWARF is malformed (")
    script = 'wasm:line:scope.c:6 { print("{}", src.total); }'
    assert main(["trace", "--invoke", "run()", "-e", script, str(app)]) == 2
    told = capsys.readouterr().err
    assert f'the source variable "total" is not known: {rows[-1]}' in told


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_split_dwarf_is_named(
    version: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    app = str(compiled(tmp_path, "scope.c", "-O0", version, "-gsplit-dwarf"))
    head, row, note = said(capsys, app, "--lines", "scope.c:6").splitlines()
    assert row.split()[0] == "6"
    assert note.startswith("functions and variables of the source are in split DWARF (")
    assert note.endswith(".dwo), which is not read: build without -gsplit-dwarf")
    assert said(capsys, app, "--lines").splitlines()[-1] == note
    for script, wrong in (
        ('wasm:line:scope.c:6 { print("{}", src.total); }', True),
        ("wasm:source:scope.c:sum { }", True),
        ("wasm:line:scope.c:6 { report var n: u32; n++; }", False),
    ):
        assert main(["trace", "--invoke", "run()", "-e", script, app]) == (2 if wrong else 0)
        assert note in capsys.readouterr().err, script
    assert main(["trace", "--invoke", "run()", "-m", "icount", app]) == 0
    assert "split DWARF" not in capsys.readouterr().err  # nothing of it was asked for


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
