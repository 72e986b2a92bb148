"""The facts of verdicts against what wasm-tools reads."""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from tests import corpus_readers
from tests.gate.binaries import FUNCTION, HEAD, INSTANCE, VALUE, extern, instance, section
from tests.gate.making import component
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError
from whamm_cm.gate.crosscheck import TOOL, ask, check, differences, known, told
from whamm_cm.gate.subject import analyse

FIXTURES = ("command", "strings", "resources", "nested", "cache_component", "relay", "indirect")


@pytest.mark.oracle
@pytest.mark.parametrize("name", FIXTURES)
def test_both_read_the_same(name: str) -> None:
    data = build(name)
    subject = analyse(data, name).subject
    document = ask(corpus_readers.tool(), data, name)
    assert told(document)
    assert list(differences(subject, document)) == []


@pytest.mark.oracle
def test_a_wit_package_is_no_component() -> None:
    text = """(component (type (component (type (component
      (export "a:b/c@1.0.0" (instance)))) (export "a:b/w" (component (type 0))))))"""
    data = bytes(wasmtime.wat2wasm(text))
    try:
        document = ask(corpus_readers.tool(), data, "x")
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


def test_labels_and_values() -> None:
    """An interface is one to wasm-tools behind however many labels; values are left out."""
    second = b"\x05\x01"
    label = extern("b", [("implements", "a:b/i@1.0.0")])
    imports = (extern("a") + INSTANCE, extern("a:b/i@1.0.0") + second, label + INSTANCE,
               extern("v") + VALUE)  # fmt: skip
    data = HEAD + section(7, instance("f"), instance("f", "g")) + section(10, *imports)
    found = analyse(data, "x").subject
    rows = {one.name: (one.kind, one.interface) for one in found.imports}
    assert rows["b"] == ("instance", "a:b/i")
    one = {"interface": {"id": 1}}
    document = {
        "worlds": [{"name": "root", "package": 1, "exports": {}, "imports": {
            "a": {"interface": {"id": 0}}, "b": one, "interface-1": one}}],
        "interfaces": [{"name": None, "package": 1, "functions": {"f": {}}},
                       {"name": "i", "package": 0, "functions": {"f": {}, "g": {}}}],
        "packages": [{"name": "a:b@1.0.0"}, {"name": "root:component"}],
    }  # fmt: skip
    assert list(differences(found, document)) == []
    document["interfaces"][1]["name"] = "other"
    assert {item for item, _ in differences(found, document)} >= {"b", "a:b/i@1.0.0"}
    document["worlds"] = []
    assert len(list(differences(found, document))) == 4


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


@pytest.mark.oracle
def test_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what is no WIT, and what is not valid; the same bytes count once."""
    texts = {
        "labels": '(component (import "b" (instance)) (import "a:b/c@1.0.0" (instance)))',
        "module": '(component (import "m" (core module $m)) (export "n" (core module $m)))',
        "package": '(component (type (component)) (export "a:b/w" (type 0)))',
        "twice": '(component (import "b" (instance)) (import "a:b/c@1.0.0" (instance)))',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
    (tmp_path / "invalid.wasm").write_bytes(HEAD + section(10, extern("A B") + FUNCTION))
    assert corpus_readers.main([str(tmp_path)]) == 0
    *counts, last = capsys.readouterr().out.splitlines()
    assert {tuple(line.split()) for line in counts} == {
        ("same", "as", "text", "2"),
        ("same", "1"),
        ("invalid", "1"),
    }
    assert last == "4 components, 0 unexplained"


def test_printed() -> None:
    text = """(component (type (;0;) (instance))
      (import "a" (implements "x:y/z") (instance (;0;) (type 0))) (import "m" (core module (;0;)))
      (component (import "inner" (func))) (export $"#n x" (@name "x") (;5;) "n" (func 0)))"""
    rows = [("import", "a", "instance"), ("import", "m", "module"), ("export", "n", "func")]
    assert corpus_readers.printed(text) == Counter(rows)
