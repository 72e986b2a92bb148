"""``load`` and what a component or a core module says of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from wasmtime import wat2wasm

import whamm_cm
from fixtures.build import build
from tests.run.guests import assemble

COMMAND = build("command")
MODULE = bytes(
    wat2wasm(
        '(module $adder (import "env" "log" (func $log (param i32)))'
        ' (func (export "add") (param i32 i32) (result i32)'
        " (call $log (local.get 0)) (i32.add (local.get 0) (local.get 1))))"
    )
)


@pytest.fixture
def command() -> whamm_cm.Component:
    app = whamm_cm.load(COMMAND, "command.wasm")
    assert isinstance(app, whamm_cm.Component)
    return app


def test_by_path_and_by_bytes(tmp_path: Path) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(COMMAND)
    for source in (path, str(path), COMMAND):
        app = whamm_cm.load(source)
        assert isinstance(app, whamm_cm.Component)
        assert (app.data, app.size) == (COMMAND, len(COMMAND))
        assert app.sha256 == hashlib.sha256(COMMAND).hexdigest()
        assert app.name == ("input" if source is COMMAND else str(path))
    assert whamm_cm.load(COMMAND, "mine").name == "mine"
    assert COMMAND.hex()[:40] not in repr(app)


def test_imports_and_exports(command: whamm_cm.Component) -> None:
    names = [one.name for one in command.imports]
    assert "wasi:filesystem/types@0.2.0" in names
    (environment,) = (one for one in command.imports if one.interface == "wasi:cli/environment")
    assert environment.version == "0.2.0" and environment.kind == "instance"
    assert [one.name for one in environment.functions] == ["get-environment", "get-arguments"]
    assert [one.name for one in command.exports] == ["wasi:cli/run@0.2.0"]


def test_sites_by_set(command: whamm_cm.Component) -> None:
    every = command.sites()
    files = command.sites("%fs")
    assert 0 < len(files) < len(every)
    assert {site.interface.partition("/")[0] for site in files} == {"wasi:filesystem"}
    without = command.sites("all,!%fs")
    assert len(without) == len(every) - len(files)
    assert {site.edge for site in command.sites("wasi:cli/run")} == {"export"}
    assert command.sites("wasi:nothing/*") == ()


def test_a_set_that_is_none_is_refused(command: whamm_cm.Component) -> None:
    with pytest.raises(whamm_cm.UsageError, match='did you mean "%net"'):
        command.sites("%nett")


def test_modules(command: whamm_cm.Component) -> None:
    assert [module.name for module in command.modules] == ["shim", "main", "fixup"]
    assert all(module.functions >= 0 and not module.fault for module in command.modules)


def test_wit_is_the_world(command: whamm_cm.Component) -> None:
    text = command.wit()
    assert "export wasi:cli/run@0.2.0;" in text and text.startswith("package root:component;")


def test_capabilities_say_what_is_reachable(command: whamm_cm.Component) -> None:
    found = command.capabilities()
    rows = {row.interface: row for row in found.imports}
    assert any(f.reachable for f in rows["wasi:random/random"].functions)
    assert all(f.observed is None for row in found.imports for f in row.functions)


def test_a_core_module(tmp_path: Path) -> None:
    module = whamm_cm.load(MODULE, "adder.wasm")
    assert isinstance(module, whamm_cm.CoreModule)
    assert [(one.module, one.name) for one in module.imports] == [("env", "log")]
    assert [one.name for one in module.exports] == ["add"]
    (facts,) = module.modules
    assert (facts.name, facts.functions) == ("adder", 1)
    assert [(one.edge, one.interface, one.func) for one in module.sites()] == [
        ("import", "env", "log"),
        ("export", "", "add"),
    ]
    assert [one.func for one in module.sites("env#*")] == ["log"]


def test_where_a_rule_matches() -> None:
    found = whamm_cm.load(MODULE).matches("wasm:opcode:call:before")
    (site,) = found.opcodes
    assert (site.fid, site.instruction.split()[0]) == (1, "call")
    strings = whamm_cm.load(assemble("strings"))
    assert strings.matches("wasi:nothing/*#*:before").unmatched


@pytest.mark.parametrize("data", [b"", b"\0asm", b"\0asm\1\0\0\0\1\xff", b"#!/bin/sh\n"])
def test_what_is_neither_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(whamm_cm.InputError) as caught:
        whamm_cm.load(data, "odd.wasm")
    if data[4:5] == b"\1":  # malformed, not something else: the place is known
        assert isinstance(caught.value, whamm_cm.DecodeError)
        assert (caught.value.offset, caught.value.source) == (10, "odd.wasm")


def test_what_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(whamm_cm.InputError, match=r"none\.wasm: there is no such file"):
        whamm_cm.load(tmp_path / "none.wasm")
    with pytest.raises(whamm_cm.InputError, match="cannot be read"):
        whamm_cm.load(tmp_path)


def test_releases_are_compared() -> None:
    one, two = whamm_cm.load(assemble("strings")), whamm_cm.load(COMMAND)
    assert isinstance(one, whamm_cm.Component) and isinstance(two, whamm_cm.Component)
    assert one.diff(one) == ()
    changes = one.diff(two)
    assert any(c.kind == "import-added" and c.new for c in changes)
    assert {c.kind for c in two.diff(one)} >= {"import-removed"}


def test_every_error_is_of_one_tree() -> None:
    kinds = (
        whamm_cm.UsageError, whamm_cm.InputError, whamm_cm.DecodeError, whamm_cm.WeaveError,
        whamm_cm.RunError, whamm_cm.InternalError, whamm_cm.ScriptError,
    )  # fmt: skip
    assert all(issubclass(kind, whamm_cm.WhammError) for kind in kinds)
    assert issubclass(whamm_cm.ScriptError, whamm_cm.UsageError)
