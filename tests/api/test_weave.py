"""``weave``: settings in, a copy out, and what there is to say about it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from wasmtime import wat2wasm

import whamm_cm
from fixtures.build import build
from tests.run.guests import assemble
from whamm_cm.cli.main import main
from whamm_cm.front.settings import Settings, Wishes

COMMAND = build("command")
NONCE = "abcdefghij23"
MODULE = bytes(wat2wasm('(module (func $f (export "f") (nop)))'))


@pytest.fixture
def command() -> whamm_cm.Component:
    app = whamm_cm.load(COMMAND, "command.wasm")
    assert isinstance(app, whamm_cm.Component)
    return app


def test_wishes_are_the_settings_by_name() -> None:
    names = {field.name for field in fields(Settings)}
    assert names == set(Wishes.__annotations__)


def test_the_command_line_weaves_the_same_bytes(
    command: whamm_cm.Component, tmp_path: Path
) -> None:
    (tmp_path / "in.wasm").write_bytes(COMMAND)
    (tmp_path / "s.mm").write_text("wasm:opcode:call:before { report var n: u32; n++; }")
    (tmp_path / "p.mm").write_text(
        "param step = 1; wasm:opcode:call:before / fname != $1 / { report var n: u32; n += step; }"
    )
    path, out = str(tmp_path / "in.wasm"), str(tmp_path / "out.wasm")
    options = ("--nonce", NONCE, "-o", out, path)
    for words, wishes in (
        (("--trace", "*"), {"trace": "*"}),
        (("--trace", "%fs", "--count", "all", "--time"),
         {"trace": "%fs", "count": "all", "timed": True}),
        (("-m", "calls", "--flush", "each"), {"monitor": "calls", "flush": "each"}),
        (("-s", str(tmp_path / "s.mm"), "--interval", "100ms"),
         {"scripts": tmp_path / "s.mm", "interval_ns": 100_000_000}),
        (("-s", str(tmp_path / "p.mm"), "-D", "step=3", "--arg", "run"),
         {"scripts": tmp_path / "p.mm", "define": {"step": 3}, "script_args": ["run"]}),
    ):  # fmt: skip
        assert main(("instrument", "-q", *words, *options)) == 0
        woven = command.weave(nonce=NONCE, **wishes)
        assert woven.bytes == Path(out).read_bytes()
        assert woven.size == len(woven.bytes) and woven.before == len(COMMAND)


def test_same_input_same_settings_same_bytes(command: whamm_cm.Component) -> None:
    one, two = (command.weave(trace="%fs", nonce=NONCE).bytes for _ in range(2))
    assert one == two
    assert command.weave(trace="%fs").nonce != command.weave(trace="%fs").nonce


def test_what_was_woven_and_what_was_not(command: whamm_cm.Component) -> None:
    woven = command.weave(trace="%fs")
    assert woven.report.sites == len(command.sites("%fs")) and woven.warnings == ()
    assert woven.describe().startswith("10 functions woven: ")
    idle = command.weave(trace="wasi:io/*", scripts="wasi:nothing/*#*:before { }")
    assert any(one.startswith("no match: wasi:nothing/*#*:before") for one in idle.warnings)


def test_writing_is_all_or_nothing(command: whamm_cm.Component, tmp_path: Path) -> None:
    woven = command.weave(trace="*")
    woven.write(tmp_path / "out.wasm")
    assert (tmp_path / "out.wasm").read_bytes() == woven.bytes
    with pytest.raises(whamm_cm.UsageError, match="cannot be written"):
        woven.write(tmp_path / "none" / "out.wasm")
    with pytest.raises(whamm_cm.UsageError, match="is a directory"):
        woven.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.wasm"]


def test_what_is_woven_can_be_loaded_and_is_not_woven_again(command: whamm_cm.Component) -> None:
    again = whamm_cm.load(command.weave(trace="*").bytes, "again.wasm")
    with pytest.raises(whamm_cm.WeaveError, match="already been instrumented"):
        again.weave(trace="*")
    assert again.weave(trace="*", force=True).report.sites


def test_settings_are_a_value_to_start_from(command: whamm_cm.Component) -> None:
    base = Settings(trace="%fs", nonce=NONCE)
    assert command.weave(base).bytes == command.weave(trace="%fs", nonce=NONCE).bytes
    assert command.weave(base, trace="all").report.sites > command.weave(base).report.sites
    assert base == Settings(trace="%fs", nonce=NONCE)


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"trace": "%nett"}, 'did you mean "%net"'),
        ({"sink": "file"}, "sink='file': expected one of stderr"),
        ({"flush": "often"}, "flush='often': expected one of full"),
        ({"lines": "xml"}, "lines='xml': expected one of packed"),
        ({"monitor": "hotnes"}, "did you mean hotness?"),
        ({"scripts": "wasm:opcode:call:before { x++; }"}, "script 1:1:"),
        ({"libraries": {"cache": b"\0asm\1\0\0\0"}}, "for scripts"),
    ],
)
def test_wrong_wishes_are_usage_errors(
    command: whamm_cm.Component, wishes: dict[str, object], text: str
) -> None:
    with pytest.raises(whamm_cm.UsageError) as caught:
        command.weave(**wishes)  # type: ignore[arg-type]
    assert text in str(caught.value)


def test_a_script_error_says_where(command: whamm_cm.Component) -> None:
    with pytest.raises(whamm_cm.ScriptError) as caught:
        command.weave(scripts=[("mine.mm", "wasm:opcode:call:before {\n  x++;\n}")])
    assert (caught.value.source.name, caught.value.line) == ("mine.mm", 2)


def test_two_texts_are_two_scripts(command: whamm_cm.Component) -> None:
    text = "wasm:opcode:call:before { report var n: u32; n++; }"
    both = command.weave(scripts=(text, text))
    assert both.report.core_sites == 2 * command.weave(scripts=text).report.core_sites


def test_a_core_module_gets_no_wasi_it_has_not() -> None:
    module = whamm_cm.load(MODULE, "m.wasm")
    woven = module.weave(scripts="wasm:func:entry { report var n: u32; n++; }")
    assert woven.plan.sink == "none" and woven.nonce == ""
    loaded = whamm_cm.load(woven.bytes)
    assert isinstance(loaded, whamm_cm.CoreModule) and loaded.imports == ()
    assert module.weave(trace="*").plan.sink == "none"


def test_libraries_by_bytes_and_by_path(tmp_path: Path) -> None:
    library = bytes(
        wat2wasm('(module (func (export "half") (param i32) (result i32)'
                 " (i32.shr_u (local.get 0) (i32.const 1))))")
    )  # fmt: skip
    (tmp_path / "half.wasm").write_bytes(library)
    script = "use half; wasm:func:entry { report var n: i32; n = half.half(n as i32 + 4); }"
    app = whamm_cm.load(assemble("trap"))
    settings = [{"half": library}, {"half": tmp_path / "half.wasm"}]
    one, two = (app.weave(scripts=script, libraries=x, nonce=NONCE).bytes for x in settings)
    assert one == two
