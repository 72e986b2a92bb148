"""``--engine``, and options that wasmtime has no words for; no guest runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import build
from tests.run.host.rig import echo
from whamm_cm.cli.main import main
from whamm_cm.cli.pairs import read_pairs
from whamm_cm.errors import InputError, UsageError


@pytest.fixture
def later(tmp_path: Path) -> str:
    path = tmp_path / "later.wasm"
    path.write_bytes(build.build("p3_echo"))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["trace", *words]) in (2, 64)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_what_cannot_be_said_to_wasmtime_is_said_to_the_user(
    later: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "--request", "GET /", later)
    assert "--request is answered by the embedded engine only" in text
    text = said(capsys, "--allow-host", "a.b", later)
    assert "wasmtime cannot be told where requests may go (--allow-host)" in text
    assert "cannot be given a traceparent (--propagate)" in said(capsys, "--propagate", later)
    assert "choose one of them" in said(capsys, "--http", "--invoke", "f()", later)


def test_options_for_handlers_are_for_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.wasm"
    path.write_bytes(build.build("p3_command"))
    assert "--addr is for HTTP handlers" in said(capsys, "--addr", "127.0.0.1:0", str(path))
    text = said(capsys, "--addr", "127.0.0.1:0", "--", "wasmtime", "serve", str(path))
    assert "--addr is for what we serve ourselves; give it to the command instead" in text
    text = said(capsys, "--engine", "wasmtime", "--", "wasmtime", "run", str(path))
    assert "--engine is for the embedded engine" in text


def test_the_embedded_engine_says_what_it_lacks(
    later: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "--engine", "embedded", "--http", later)
    assert "the embedded engine refuses the component" in text


def test_no_export_of_a_module_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "module.wasm"
    path.write_bytes(b"\0asm\1\0\0\0")
    text = said(capsys, "--engine", "wasmtime", "--invoke", "f()", "-e", "wasm:call { }", str(path))
    assert "whamm-cm trace -- wasmtime run --invoke NAME" in text


def test_what_serves_is_configured_by_files(tmp_path: Path) -> None:
    files = {
        "a.json": '{"level": 3, "rate": 1.50, "on": true, "name": "\\u00fc"}',
        "a.toml": 'level = 3\nrate = 1.50\non = true\nname = "ü"\n',
        "a.yaml": "level: 3\nrate: 1.50\non: true\nname: ü\n",
        "a.env": "# some\nlevel=3\nrate = '1.50'\nexport on=true\n\nname=\"ü\"\n",
    }
    expected = {"level": "3", "rate": "1.50", "on": "true", "name": "ü"}
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        found = read_pairs("--config", [f"@{path}", "more=a=b"])
        assert found == {**expected, "more": "a=b"}
    assert read_pairs("--config", ["level=9", f"@{path}"])["level"] == "3"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", b"[1]", "has no keys with values"),
        ("a.json", b"{", "is no JSON: "),
        ("a.toml", b"a", "is no TOML: "),
        ("a.yaml", b"a: [", "is no YAML: "),
        ("a.yaml", b"a: {b: c}", "the value of a is not one text or number"),
        ("a.env", b"a=1\nb\n", "line 2: expected KEY=VALUE"),
        ("a.env", b"a=\xff", "is not UTF-8, at byte 2"),
    ],
)
def test_files_that_say_nothing(name: str, text: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        read_pairs("--config", [f"@{path}"])
    assert str(path) in str(caught.value) and why in str(caught.value)


def test_a_pair_is_one() -> None:
    with pytest.raises(UsageError, match="--keyvalue x: expected KEY=VALUE or @FILE"):
        read_pairs("--keyvalue", ["x"])


def test_a_handler_of_0_2_is_served_here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "echo.wasm"
    path.write_bytes(echo())
    words = ["trace", "--engine", "embedded", "--request", "POST /", "-d", "hello", "-e"]
    assert main([*words, "trace=none", str(path)]) == 0
    assert capfd.readouterr().out == "hello"
