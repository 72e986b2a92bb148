"""``fname`` is the symbol: what only a name as in the source could be equal to is told of."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import wasmtime

import whamm_cm
from whamm_cm.cli.main import main

SYMBOL = "_ZN3std2io5stdio6_print17h0123456789abcdefE"
MODULE = f"""(module (func ${SYMBOL} nop) (func $plain nop)
  (func (export "_start") call 0 call 0 call 1))"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("app") / "app.wasm"
    path.write_bytes(wasmtime.wat2wasm(MODULE))
    return path


def remarks(app: Path, condition: str, form: str = "wasm:func:entry / {} / {{ }}") -> list[str]:
    woven = whamm_cm.load(app).weave(scripts=[("S.mm", "\n" + form.format(condition))])
    return [one for one in woven.warnings if "fname" in one]


@pytest.mark.parametrize(
    "condition",
    [
        'fname.contains("std::io")',
        'fname.starts_with("std::")',
        '!fname.ends_with("::_print")',
        'fname == "std::io::stdio::_print"',
        '"std::io::stdio::_print" != fname',
    ],
)
def test_what_only_a_demangled_name_fulfils_is_told(
    app: Path, condition: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = (
        f": this holds for no function: fname is the symbol, such as {SYMBOL};"
        " func is the name as in the source\n"
    )
    for form in ("wasm:func:entry / {} / {{ }}", "wasm:func:entry {{ if ({}) {{ }} }}"):
        (said,) = remarks(app, condition, form)
        assert said.startswith("S.mm:2:") and wanted in said and "^^" in said
        assert remarks(app, condition.replace("fname", "func"), form) == []
        script = tmp_path / "S.mm"
        script.write_text("\n" + form.format(condition))
        assert main(["check", str(script), str(app)]) == 0
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "condition", ['fname.contains("stdio")', 'fname == "plain"', 'fname.contains("nowhere")']
)
def test_what_symbols_fulfil_or_nothing_does_is_not(app: Path, condition: str) -> None:
    assert remarks(app, condition) == []


def test_csv_has_both_forms_and_func_the_one_of_the_source(
    app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'wasm:func:entry / func == "std::io::stdio::_print" / { report var n: u32; n++; }'
    assert main(["trace", "-q", "-f", "csv", "-e", script, str(app)]) == 0
    (row,) = csv.DictReader(capsys.readouterr().err.splitlines())
    assert (row["function"], row["symbol"]) == ("std::io::stdio::_print", SYMBOL)
    assert row["value"] == "2"
