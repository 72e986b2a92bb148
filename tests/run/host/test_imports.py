"""Versions of WASI that a handler may be made for, and imports that nobody has."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.run.guests import ROOT
from tests.run.host.rig import post, served
from whamm_cm.cli.main import main
from whamm_cm.errors import RunError

ECHO = (ROOT / "fixtures" / "wat" / "http_echo.wat").read_text()
MORE = """(component
  (import "acme:orders/store@1.2.3" (instance (export "put" (func (param "id" u32)))))
  (import "wasmcloud:messaging/consumer@0.2.0" (instance
    (export "publish" (func (param "subject" string)))))
  (import "wasi:cli/environment@0.2.99" (instance
    (export "get-arguments" (func (result (list string))))
    (export "get-weather" (func (result string)))))
"""


@pytest.mark.parametrize("version", ["0.2.0", "0.2.12", "0.2.99"])
def test_versions_with_the_same_functions_are_all_one(version: str) -> None:
    with served(bytes(wat2wasm(ECHO.replace("@0.2.0", f"@{version}")))) as found:
        assert found.ask(post(b"hello")).endswith(b"5\r\nhello\r\n0\r\n\r\n")


def test_all_that_is_missing_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wasm = bytes(wat2wasm(ECHO.replace("(component\n", MORE, 1)))
    with pytest.raises(RunError) as caught, served(wasm):
        pass
    assert str(caught.value) == (
        "the component imports acme:orders/store@1.2.3 (put), wasmcloud:messaging/consumer@0.2.0"
        " (publish), wasi:cli/environment@0.2.99 (get-weather), which the embedded host does not"
        " have; --stub-imports runs it with stubs that trap when called"
    )
    path = tmp_path / "app.wasm"
    path.write_bytes(wasm)
    words = ["trace", "-e", "trace=none", "--request", "POST /", "-d", "hello"]
    assert main([*words, str(path)]) == 2
    assert str(caught.value) in capfd.readouterr().err
    assert main([*words, "--stub-imports", str(path)]) == 0
    assert capfd.readouterr().out == "hello"
