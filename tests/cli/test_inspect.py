"""``inspect``: each component in data/ beside what is said about it in every form."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from tests.golden import check_golden
from whamm_cm.cli.main import main
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

DATA = Path(__file__).parent / "data"
SHOP = DATA / "shop.wat"
PREAMBLE = b"\0asm\x0d\0\x01\0"

#: ending of the expected file → arguments
FORMS = {
    "tree": ["inspect"],
    "full.tree": ["-v", "inspect"],
    "json": ["inspect", "--json"],
    "ir": ["inspect", "--ir"],
    "wit": ["inspect", "--wit"],
}


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """In an empty directory, with this command only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whamm_cm.cli.main.COMMANDS", ("inspect",))


def assembled(source: Path) -> bytes:
    return bytes(wasmtime.wat2wasm(source.read_text("utf-8")))


def custom(name: str, data: bytes) -> bytes:
    """A custom section of a component or module (both under 128 bytes)."""
    body = bytes((len(name.encode()),)) + name.encode() + data
    return bytes((0, len(body))) + body


def show(capsysbinary, data: bytes, *arguments: str) -> str:
    """What ``inspect`` prints about ``data``."""
    Path("app.wasm").write_bytes(data)
    assert main([*(arguments or ("inspect",)), "app.wasm"]) == 0
    captured = capsysbinary.readouterr()
    assert captured.err == b""
    return captured.out.decode()


def facts(capsysbinary, data: bytes):
    return json.loads(show(capsysbinary, data, "inspect", "--json"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", sorted(DATA.glob("*.wat")), ids=lambda path: path.stem)
def test_golden(source, form, capsysbinary):
    text = show(capsysbinary, assembled(source), *FORMS[form])
    check_golden(source.with_suffix(f".{form}"), text)


def test_every_site_of_the_json_is_counted_where_it_belongs(capsysbinary):
    found = facts(capsysbinary, assembled(SHOP))
    for side in ("import", "export"):
        listed = [site for site in found["sites"] if site["edge"] == side]
        functions = [f for extern in found[f"{side}s"] for f in extern["functions"]]
        assert sum(f["probes"] for f in functions) == sum(site["probe"] for site in listed)


def test_imports_are_followed_through_instantiations(capsysbinary):
    """The part calls `read` and `now`; what the root calls them is what counts."""
    found = facts(capsysbinary, assembled(DATA / "renamed.wat"))
    probes = {
        (extern["name"], function["name"]): function["probes"]
        for extern in found["imports"]
        for function in extern["functions"]
    }
    assert probes == {
        ("wasi:clocks/monotonic-clock@0.2.0", "now"): 1,
        ("wasi:clocks/monotonic-clock@0.2.0", "resolution"): 0,
        ("first", "first"): 1,
        ("second", "second"): 1,
        ("token", "token.drop"): 1,
        ("idle", "idle"): 0,
    }


def test_a_woven_component_says_so(capsysbinary):
    plan = Plan(trace=lambda edge, *_: edge == "import", sink="host")
    woven = weave(assembled(SHOP), plan).wasm
    stamp = facts(capsysbinary, woven)["instrumented"]
    assert stamp["tool"] == "whamm-cm" and stamp["sink"] == "host"
    assert re.search(r"^├─ instrumented  .*sink host$", show(capsysbinary, woven), re.M)


def test_a_woven_part_of_another_component_says_so(capsysbinary):
    inner = weave(assembled(SHOP), Plan(trace=lambda *_: True, sink="none")).wasm
    size = len(inner)
    leb = bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
    found = facts(capsysbinary, PREAMBLE + b"\x04" + leb + inner)
    assert found["instrumented"] is None
    assert found["components"][1]["instrumented"]["sink"] == "none"
    assert "component[0]" in show(capsysbinary, PREAMBLE + b"\x04" + leb + inner)


def test_malformed_parts_are_reported_and_the_rest_is_shown(capsysbinary):
    module = b"\0asm\x01\0\0\0" + b"\x02\x01\x09"
    data = PREAMBLE + bytes((1, len(module))) + module + custom("producers", b"\x05")
    found = facts(capsysbinary, data)
    assert found["faults"] == [
        "the producers section cannot be read: 5 fields announced, 0 bytes left (at offset 0x21)"
    ]
    (part,) = found["modules"]
    assert part["functions"] is None and "(at offset 0x14)" in part["fault"]
    text = show(capsysbinary, data)
    assert found["faults"][0] in text and part["fault"] in text


def test_nothing_of_the_component_reaches_the_terminal_as_a_command(capsysbinary):
    odd = "\x1b[31m\u202e\x07"
    data = PREAMBLE + custom(odd, b"")
    for form in FORMS.values():
        text = show(capsysbinary, data, *form)
        assert text.replace("\n", "").isprintable()


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colour_unless_told_otherwise(monkeypatch, no_color):
    Path("app.wasm").write_bytes(assembled(SHOP))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["inspect", "app.wasm"]) == 0
    terminal.flush()
    text = terminal.buffer.getvalue().decode()
    assert ("\x1b[" in text) is not no_color
    # The same words either way, folded or not.
    words = re.sub(r"\x1b\[[0-9;]*m|[│├└─ \n]", "", text)
    assert words == re.sub("[│├└─ \n]", "", SHOP.with_suffix(".tree").read_text("utf-8"))


def test_dash_reads_standard_input(monkeypatch, capsysbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PREAMBLE)))
    assert main(["inspect", "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"standard input  component, 8 bytes\n")


def test_output_file_gets_plain_text(capsysbinary):
    Path("app.wasm").write_bytes(assembled(SHOP))
    assert main(["inspect", "app.wasm", "-o", "out.txt"]) == 0
    assert capsysbinary.readouterr().out == b""
    assert Path("out.txt").read_text("utf-8") == SHOP.with_suffix(".tree").read_text("utf-8")


@pytest.mark.parametrize(
    "data, arguments, code, said",
    [
        (b"\0asm\x01\0\0\0\x01\x7f", [], 3, "(at offset 0x"),
        (b"", [], 3, "is empty"),
        (PREAMBLE + b"\x06\x7f", [], 3, "(at offset 0x"),
        (PREAMBLE, ["--wit", "--json"], 2, "not allowed with"),
        (PREAMBLE, ["-o", "no/such/place"], 2, "no/such/place"),
        (None, [], 3, "there is no such file"),
    ],
)
def test_an_error_is_one_sentence(data, arguments, code, said, capsysbinary):
    if data is not None:
        Path("app.wasm").write_bytes(data)
    assert main(["inspect", "app.wasm", *arguments]) == code
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    (line,) = captured.err.decode().splitlines()
    assert said in line and "Traceback" not in line


def test_heavy_imports_wait_for_the_command():
    """``--version`` is quick, and only a terminal is worth loading rich for."""
    Path("app.wasm").write_bytes(assembled(SHOP))
    script = (
        "import sys; from whamm_cm.cli import inspect, main; a = set(sys.modules);"
        "ours = {'whamm_cm.component.nodes', 'whamm_cm.analysis.facts'};"
        "heavy = {'rich', 'wasmtime', 'json'} | ours;"
        "assert not heavy & a, heavy & a;"
        "main.COMMANDS = ('inspect',);"
        "assert main.main(['inspect', 'app.wasm']) == 0; assert 'rich' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
