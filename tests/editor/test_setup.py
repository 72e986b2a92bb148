"""What docs/editors.md tells editors, and the extension of VS Code."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.book import ROOT, blocks
from tests.editor.client import Client
from whamm_cm.cli.main import main

PAGE = ROOT / "docs" / "editors.md"
EXTENSION = ROOT / "editors" / "vscode"


def shown(language: str) -> str:
    (found,) = [block for block in blocks(PAGE) if block.language == language]
    return "\n".join(found.lines)


def test_without_pygls_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("whamm_cm.cli.lsp.find_spec", lambda name: None)
    assert main(["lsp"]) == 2
    assert "pip install 'whamm-cm[lsp]'" in capsys.readouterr().err


def test_no_other_command_pays_for_it() -> None:
    program = "import sys; from whamm_cm.cli import main; main.parser();"
    program += (
        "print([m for m in sys.modules if m.startswith(('pygls', 'lsprot', 'whamm_cm.editor'))])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def test_the_settings_of_helix_are_what_the_server_takes(tmp_path: Path) -> None:
    found = tomllib.loads(shown("toml"))
    (language,) = found["language"]
    server = found["language-server"][language["language-servers"][0]]
    assert [server["command"], *server["args"]] == ["whamm-cm", "lsp"]
    client = Client(tmp_path, server["config"])
    uri = client.open(tmp_path / "S.mm", "wasm:func:entry { }\n")
    (missing,) = client.diagnostics(uri)  # so the option was understood
    assert server["config"]["component"] in missing["message"]
    assert client.close() == 0


def test_the_settings_of_vs_code_are_those_of_the_extension() -> None:
    package = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    properties = package["contributes"]["configuration"]["properties"]
    assert set(json.loads(shown("json"))) == set(properties)
    program = (EXTENSION / package["main"]).read_text("utf-8")
    for name in properties:
        assert f'settings.get("{name.removeprefix("whamm-cm.")}"' in program
    json.loads((EXTENSION / "language-configuration.json").read_text("utf-8"))
    for word in ('component = "build/app.wasm"', '"whamm-cm", "lsp"', 'mm = "whamm"'):
        assert word in shown("lua")


@pytest.mark.oracle
def test_the_extension_is_javascript() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    subprocess.run([node, "--check", str(EXTENSION / "extension.js")], check=True)


def test_pygls_is_an_extra() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert not any("pygls" in one for one in found["dependencies"])
    assert any("pygls" in one for one in found["optional-dependencies"]["lsp"])
    assert importlib.util.find_spec("pygls") is not None
