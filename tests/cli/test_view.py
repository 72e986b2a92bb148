"""``view`` and ``diff --html``: which file is written, and what is refused."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.gate.making import component
from whamm_cm.cli.main import main

POLL = "wasi:io/poll@0.2.3"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("app.wasm").write_bytes(component({POLL: ("poll",)}))


def model(path: str) -> dict:
    text = Path(path).read_text("utf-8")
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def test_the_page_is_named_after_the_component(capsys) -> None:
    assert main(["view", "app.wasm"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("whamm-cm: app.html written, ")
    found = model("app.html")
    assert (found["kind"], found["title"]) == ("component", "app.wasm")
    assert found["component"]["size"] == Path("app.wasm").stat().st_size


def test_in_the_current_folder() -> None:
    Path("deep").mkdir()
    Path("app.wasm").rename("deep/other.wasm")
    assert main(["-q", "view", "deep/other.wasm"]) == 0
    assert [path.name for path in Path().iterdir()] != []
    assert Path("other.html").is_file()
    assert model("other.html")["component"]["file"] == "other.wasm"


def test_a_page_is_written_anew_but_no_other_file(capsys) -> None:
    Path("app.html").write_text("<title>mine</title>")
    assert main(["view", "app.wasm"]) == 2
    assert "app.html is there and no page of ours; name a file with -o" in capsys.readouterr().err
    assert Path("app.html").read_text() == "<title>mine</title>"
    assert main(["view", "app.wasm", "-o", "app.html"]) == 0
    Path("app.wasm").write_bytes(component({POLL: ("poll", "other")}))
    assert main(["view", "app.wasm"]) == 0
    assert "other: func()" in model("app.html")["component"]["wit"][0][1]


def test_standard_input_and_output(capsysbinary, monkeypatch) -> None:
    data = Path("app.wasm").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["view", "-"]) == 0
    assert model("component.html")["title"] == "standard input"
    assert main(["view", "app.wasm", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"<!DOCTYPE html>")


def test_a_browser_opens_the_file(monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["view", "--open", "app.wasm"]) == 0
    assert opened == [Path("app.html").absolute().as_uri()]


def test_without_a_browser_it_is_said(monkeypatch, capsys) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert main(["view", "--open", "app.wasm"]) == 0
    assert "there is no browser here" in capsys.readouterr().err
    assert Path("app.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["view", "missing.wasm"], 3, "missing.wasm: there is no such file"),
        (["view", "text.wasm"], 3, "text.wasm is not WebAssembly"),
        (["view", "--open", "-o", "-", "app.wasm"], 2, "leave out `-o -`"),
        (["view", "-o", "no/app.html", "app.wasm"], 2, "no/app.html cannot be written"),
        (["diff", "--html", "-", "app.wasm", "app.wasm"], 2, "--html needs the name of a file"),
        (["diff", "--html", "text.wasm", "app.wasm", "text.wasm"], 2, "is read by this command"),
    ],
)
def test_mistakes(arguments: list[str], code: int, said: str, capsys) -> None:
    Path("text.wasm").write_text("hello")
    assert main(arguments) == code
    assert said in capsys.readouterr().err
    assert not Path("app.html").exists()


def test_a_name_that_is_no_text(tmp_path) -> None:
    name = b"a\xff<b>.wasm".decode("utf-8", "surrogateescape")
    try:
        Path("app.wasm").rename(name)
    except OSError:
        pytest.skip("NOT run: this file system has no such names")
    assert main(["view", "-o", "page.html", name]) == 0
    assert model("page.html")["component"]["file"] == name
    assert "<title>a\\u{dcff}&lt;b&gt;.wasm</title>" in Path("page.html").read_text("utf-8")


def test_diff_says_and_shows(capsys) -> None:
    Path("new.wasm").write_bytes(component({POLL: ("poll", "other")}))
    assert main(["diff", "--fail-on-new", "--html", "page.html", "app.wasm", "new.wasm"]) == 1
    assert capsys.readouterr().out.startswith("+ function-added       wasi:io/poll@0.2.3#other")
    found = model("page.html")
    assert (found["kind"], found["title"]) == ("diff", "app.wasm → new.wasm")
    assert [one["kind"] for one in found["diff"]["changes"]] == ["function-added", "size"]
    assert found["component"]["file"] == "new.wasm"


def test_the_same_input_makes_the_same_page() -> None:
    assert main(["-q", "view", "app.wasm", "-o", "one.html"]) == 0
    assert main(["-q", "view", "app.wasm", "-o", "two.html"]) == 0
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()


BROKEN = {
    # a memory that the instance it is taken of has not
    """(component (import "a" (func $f (param "x" string)))
      (core module $m (memory (export "mem") 1)) (core instance $c (instantiate $m))
      (alias core export $c "mem" (core memory $mem))
      (core instance $i (export "mum" (memory $mem)))
      (core func (canon lower (func $f) (memory (core memory $i "mum")))))""": (
        b"\x03mum",
        b"\x03mom",
        0,
    ),
    # a function that the module has not
    '(module (func (export "f")))': (b"\x01f\x00\x00", b"\x01f\x00\x09", 3),
}


@pytest.mark.parametrize("command", ["view", "inspect", "gate", "diff"])
@pytest.mark.parametrize("text", BROKEN)
def test_what_leads_nowhere_is_no_fault_of_ours(text: str, command: str, capsys) -> None:
    """Names and numbers of what is not there, in files that no tool would write."""
    old, new, status = BROKEN[text]
    data = bytes(wat2wasm(text))
    assert old in data
    Path("broken.wasm").write_bytes(data.replace(old, new, 1))
    found = main([command, *(["app.wasm"] * (command == "diff")), "broken.wasm"])
    assert found != 4, capsys.readouterr().err
    if command in ("view", "inspect"):
        assert found == status
