"""``docs/api.md`` and README.md: examples are run, tables are what the code has, programs work."""

from __future__ import annotations

import doctest
import inspect
import runpy
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import whamm_cm
from fixtures.build import build, path_of
from fixtures.listener import greeter
from tests.docs.book import ROOT, blocks, code, rows
from whamm_cm.front.settings import Settings

PAGE = ROOT / "docs" / "api.md"
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("command", "pipe", "strings", "trap"):
        (tmp_path / f"{name}.wasm").write_bytes(build(name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "least"), [(PAGE, 40), (ROOT / "README.md", 4)])
def test_the_examples_of_the_page(samples: Path, page: Path, least: int) -> None:
    """All of them in one session, as a reader would type them."""
    lines = page.read_text("utf-8").splitlines()
    text = [""] * len(lines)  # so that a failure names the line of the page
    for block in blocks(page):
        if block.language == "python":
            text[block.line : block.line + len(block.lines)] = block.lines
    test = doctest.DocTestParser().get_doctest("\n".join(text), {}, page.name, str(page), 0)
    assert len(test.examples) > least
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed, _ = runner.run(test, out=told.append)
    assert not failed, "".join(told)


def test_every_example_of_the_page_is_run() -> None:
    shown = [block for block in blocks(PAGE) if block.language == "python"]
    assert shown and all(block.lines[0].startswith(">>> ") for block in shown)


def test_settings() -> None:
    told = {code(row[0])[0]: code(row[1])[0] for row in rows("api.md", "setting")}
    have = {
        field.name: field.default if field.default is not MISSING else {}
        for field in fields(Settings)
    }
    assert told == {name: repr(value).replace("'", '"') for name, value in have.items()}


def test_parameters_of_a_run() -> None:
    told = {code(row[0])[0]: code(row[1])[0] for row in rows("api.md", "parameter")}
    signature = inspect.signature(whamm_cm.Component.trace)
    kinds = {p.name: p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert told == {n: repr(p.default).replace("'", '"') for n, p in kinds.items()}


def test_names() -> None:
    """Every name in the first column is there, and every public one is in the tables."""
    spans = [span for row in rows("api.md", "name") for span in code(row[0])]
    told = {span.partition("(")[0] for span in spans}
    verbs = {"weave", "trace", "gate"}  # which have sections of their own
    have = {
        name
        for kind in (whamm_cm.Component, whamm_cm.CoreModule, whamm_cm.Run)
        for name in (*dir(kind), *(field.name for field in fields(kind)))
        if not name.startswith("_")
    }
    assert told | verbs | {"outcome", "declared"} == have


def test_errors() -> None:
    told = {code(row[0])[0]: code(row[2])[0] for row in rows("api.md", "error")}
    errors = {name: getattr(whamm_cm, name) for name in whamm_cm.__all__ if name.endswith("Error")}
    assert told == {name: kind.__bases__[0].__name__ for name, kind in errors.items()}


# The programs


def run(program: str, *words: str) -> int:
    main = runpy.run_path(str(EXAMPLES / program))["main"]
    status: int = main(list(words))
    return status


def test_bytes_per_address(capsys: pytest.CaptureFixture[str]) -> None:
    with greeter() as address:
        assert run("bytes_per_address.py", str(path_of("command")), address) == 0
    assert capsys.readouterr().out.splitlines() == [
        "address                         in       out",
        f"{address:<24}        14        12",
    ]


def test_bytes_of_a_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = (EXAMPLES / "visit.jsonl").read_text()
    assert run("bytes_per_address.py", str(EXAMPLES / "visit.jsonl")) == 0
    assert "127.0.0.1:4000" in capsys.readouterr().out
    (tmp_path / "cut.jsonl").write_text(
        whole.replace('"~b64":"R1JFRVQgaGVsbG8K"', '"~cut":99,"~b64":""')
    )
    assert run("bytes_per_address.py", str(tmp_path / "cut.jsonl")) == 0
    assert capsys.readouterr().out.split()[-1] == "99"
    assert run("bytes_per_address.py", str(tmp_path / "none.jsonl")) == 3
    assert capsys.readouterr().err.endswith("none.jsonl: there is no such file\n")


def test_compare_releases(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare_releases.py", "command.wasm", "command.wasm", "--run") == 0
    assert (
        capsys.readouterr().out
        == f"{len(build('command'))} -> {len(build('command'))} bytes\ncalls:\n"
    )
    assert run("compare_releases.py", "strings.wasm", "command.wasm") == 1
    told = capsys.readouterr().out
    assert "! import-added         wasi:io/streams@0.2.0" in told and "  export-removed" in told
    assert run("compare_releases.py", "none.wasm", "command.wasm") == 3
