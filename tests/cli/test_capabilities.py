"""``inspect --capabilities`` and ``--why``, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from tests.gate.test_capabilities import SHOP
from tests.golden import check_golden
from whamm_cm.cli.main import main

DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whamm_cm.cli.main.COMMANDS", ("inspect", "trace"))
    Path("app.wasm").write_bytes(wasmtime.wat2wasm(SHOP))
    record = {
        "v": 1, "phase": "call", "instance": 0, "call": 1, "edge": "import", "component": "cart",
        "interface": "my:dice/dice", "version": "1.0.0", "func": "get-random-u64",
    }  # fmt: skip
    Path("run.jsonl").write_text(json.dumps(record) + "\n")


def said(capsysbinary, *arguments):
    """(exit code, standard output, standard error)"""
    code = main(["inspect", *arguments])
    captured = capsysbinary.readouterr()
    return code, captured.out.decode(), captured.err.decode()


FORMS = {
    "table": ["--capabilities"],
    "observed.table": ["--capabilities", "--trace-log", "run.jsonl"],
    "full.table": ["-v", "--capabilities"],
    "json": ["--capabilities", "--json", "--trace-log", "run.jsonl"],
    "why": ["--why", "*#*random*"],
    "why.json": ["--why", "*#*random*", "--json"],
}


@pytest.mark.parametrize("form", FORMS)
def test_golden(form, capsysbinary):
    code, out, err = said(capsysbinary, *FORMS[form], "app.wasm")
    assert (code, err) == (0, "")
    check_golden(DATA / f"capabilities.{form}", out)


@pytest.mark.parametrize(
    "item",
    ["wasi:random/random#get-random-u64", "wasi:random/random@^0.2.0#get-*", "*#get-random-u64"],
)
def test_items_are_patterns(item, capsysbinary):
    code, out, _ = said(capsysbinary, "--why", item, "app.wasm")
    assert code == 0
    assert out.startswith("wasi:random/random@0.2.3#get-random-u64: reachable\n  export  run\n")


def test_raw_names(capsysbinary):
    for item in ("wasi:io/poll#[resource-drop]pollable", "wasi:io/poll#pollable.drop"):
        code, out, _ = said(capsysbinary, "--why", item, "app.wasm")
        assert (code, out) == (0, "wasi:io/poll@0.2.3#pollable.drop: cannot be reached\n")


def test_imports_of_a_part(capsysbinary):
    code, out, _ = said(capsysbinary, "--why", "my:dice/*", "app.wasm")
    assert code == 0
    assert "my:dice/dice@1.0.0#get-random-u64, as component[0] imports it: reachable" in out


def test_a_log_of_another_component_is_noticed(capsysbinary):
    text = Path("run.jsonl").read_text().replace("my:dice", "my:cards")
    Path("run.jsonl").write_text(text)
    code, _, err = said(capsysbinary, "--capabilities", "--trace-log", "run.jsonl", "app.wasm")
    assert code == 0
    assert "my:cards/dice#get-random-u64" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--why", "wasi:sockets/*"], 2, "imports nothing that 'wasi:sockets/*' matches"),
        (["--why", "a#b#c"], 2, 'more than one "#"'),
        (["--trace-log", "run.jsonl"], 2, "goes with --capabilities"),
        (["--capabilities", "--wit"], 2, "not allowed with"),
        (["--capabilities", "--trace-log", "no.jsonl"], 3, "no.jsonl"),
    ],
)
def test_an_error_is_one_sentence(arguments, code, words, capsysbinary):
    found, out, err = said(capsysbinary, *arguments, "app.wasm")
    assert (found, out) == (code, "")
    (line,) = err.splitlines()
    assert words in line


def test_what_a_run_shows_was_called_reachable(capsysbinary):
    """The whole way: a traced run of a C command, and its three columns."""
    Path("command.wasm").write_bytes(build("command"))
    assert main(["-q", "trace", "-o", "real.jsonl", "command.wasm", "env"]) in (0, 1)
    capsysbinary.readouterr()
    code, out, err = said(
        capsysbinary, "--capabilities", "--json", "--trace-log", "real.jsonl", "command.wasm"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert 0 < found["observed"] <= found["reachable"] <= found["declared"] == 27
