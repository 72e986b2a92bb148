"""The sample guests do what their sources say they do, on wasmtime, before anything is woven."""

from __future__ import annotations

import importlib.util
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wc

from fixtures import build, c_command
from fixtures.listener import greeter
from fixtures.relay import every_type, flat, size_align
from fixtures.running import Ended, run_command
from tests.wast_driver import engine as wt
from tests.wast_driver import run_script
from tests.wast_driver.runner import PASSED
from whamm_cm.wit import types as w

WAT = Path(build.__file__).parent / "wat"
#: Fixtures in component text whose ``;;!`` lines say what they must do.
SCRIPTED = [path for path in sorted(WAT.glob("*.wat")) if ";;!" in path.read_text()]


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("path", SCRIPTED, ids=lambda path: path.stem)
def test_text_fixtures_do_what_their_comments_assert(path: Path) -> None:
    outcomes = run_script(path)
    assert len(outcomes) > 1
    assert [outcome for outcome in outcomes if outcome.status != PASSED] == []


def test_every_text_fixture_assembles() -> None:
    assert set(build.text_names()) >= {"async", "indirect", "memory64", "strings", "trap"}
    for name in build.text_names():
        assert build.build(name)[:8] == b"\0asm\x0d\0\x01\0"
    for name in build.core_names():
        assert build.build(name)[:8] == b"\0asm\x01\0\0\0"


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("wasm-tools") is None, reason="needs wasm-tools")
@pytest.mark.parametrize("name", [*build.text_names(), *build.core_names(), "relay", "command"])
def test_wasm_tools_accepts_the_fixtures(name: str) -> None:
    command = ["wasm-tools", "validate", "--features", "all", str(build.path_of(name))]
    subprocess.run(command, check=True)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no fixture 'nobody'; there are async, "):
        build.build("nobody")


def test_a_build_is_cached_and_remade_when_its_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wat").mkdir()
    source = tmp_path / "wat" / "one.wat"
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    source.write_text("(component)")
    first = build.path_of("one")
    stamp = first.stat().st_mtime_ns
    assert build.path_of("one") == first
    assert first.stat().st_mtime_ns == stamp
    source.write_text('(component (core module $m (func (export "f"))))')
    assert build.path_of("one") != first


# -- commands


@pytest.mark.parametrize(("args", "status"), [([], 0), (["x"], 1)])
def test_exit_never_returns(args: list[str], status: int) -> None:
    assert run_command(build.build("exit"), ["exit", *args]) == Ended(status, b"", b"")


def test_the_c_command(tmp_path: Path) -> None:
    with greeter() as address:
        ended = run_command(
            build.build("command"), ["command", address], {"GREETING": "grüezi"}, tmp_path
        )
    assert ended.stdout.decode().splitlines() == [
        "greeting: grüezi",
        "clocks: go forward",
        "random: 16 bytes",
        "directory: /data, 2 entries",
        "file: note.txt, 7 bytes: grüezi",
        "answer: WELCOME grüezi",
    ]
    assert (ended.status, ended.stderr) == (0, b"")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"note.txt": "grüezi"}


def test_the_c_command_leaves_through_exit_where_asked() -> None:
    ended = run_command(build.build("command"), ["command", "fail"])
    assert ended.status == 1
    assert ended.stdout.endswith(b"directory: none\nleaving through exit\n")


def test_the_c_command_reports_what_fails() -> None:
    ended = run_command(build.build("command"), ["command", "127.0.0.1:1", "nonsense"])
    assert ended.status == 1
    assert b"finish-connect failed with code 14\n" in ended.stdout
    assert ended.stdout.endswith(b"reading the address failed with code 0\n")


@pytest.mark.skipif(not has("ziglang"), reason="needs ziglang")
def test_the_checked_in_command_is_what_its_source_builds() -> None:
    assert c_command.build() == c_command.SAMPLE.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not has("componentize_py"), reason="needs componentize-py")
def test_the_python_command(tmp_path: Path) -> None:
    with greeter() as address:
        wasm = build.build("py_command")
        ended = run_command(wasm, ["command", address, "fail"], {"GREETING": "hi"}, tmp_path)
    assert ended.stdout.decode().splitlines() == [
        "clocks: True",
        "random: 16 True",
        "entries: ['folder', 'note.txt']",
        "size: 6",
        "file: hihihi",
        "missing: 44",
        "answer: WELCOME hi",
        "leaving through exit",
    ]
    assert ended.status == 1
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.slow
@pytest.mark.skipif(not has("componentize_py"), reason="needs componentize-py")
def test_the_python_http_handler_is_a_handler() -> None:
    engine = wasmtime.Engine(_cached())
    kind = wc.Component(engine, build.build("py_http")).type
    assert "wasi:http/incoming-handler@0.2.0" in kind.exports(engine)
    assert any(name.startswith("wasi:http/types@0.2.") for name in kind.imports(engine))


def _cached() -> wasmtime.Config:
    config = wasmtime.Config()
    config.cache = True
    return config


# -- relays


def sample(t: w.ValType, rng: random.Random) -> tuple[Any, ...]:
    """A value of ``t`` in the driver's plain form."""
    match t:
        case w.Prim(name="string"):
            return ("string", "".join(rng.choices("aé☃🍰\0", k=rng.randrange(6))))
        case w.Prim(name="char"):
            return ("char", rng.choice([0, 0xD7FF, 0xE000, 0x10FFFF]))
        case w.Prim(name="bool"):
            return ("bool", rng.random() < 0.5)
        case w.Prim(name="f32"):
            return ("f32", struct.unpack("<I", struct.pack("<f", rng.uniform(-1, 1)))[0])
        case w.Prim(name="f64"):
            return ("f64", struct.unpack("<Q", struct.pack("<d", rng.uniform(-1, 1)))[0])
        case w.Prim(name=name):
            bits = int(name[1:])
            low = -(1 << bits - 1) if name[0] == "s" else 0
            return (name, rng.choice([low, low + (1 << bits) - 1, rng.randrange(100)]))
        case w.ListT(element=element):
            return ("list", tuple(sample(element, rng) for _ in range(rng.randrange(4))))
        case w.RecordT(fields=fields):
            return ("record", tuple((label, sample(kind, rng)) for label, kind in fields))
        case w.TupleT(types=types):
            return ("tuple", tuple(sample(kind, rng) for kind in types))
        case w.EnumT(labels=labels):
            return ("enum", rng.choice(labels))
        case w.FlagsT(labels=labels):
            return ("flags", frozenset(rng.sample(labels, rng.randrange(len(labels) + 1))))
    return sample_case(t, rng)


def sample_case(t: w.ValType, rng: random.Random) -> tuple[Any, ...]:
    cases: tuple[tuple[str, w.ValType | None], ...]
    match t:
        case w.OptionT(inner=inner):
            kind, cases = "option", (("none", None), ("some", inner))
        case w.ResultT(ok=ok, err=err):
            kind, cases = "result", (("ok", ok), ("err", err))
        case w.VariantT(cases=found):
            kind, cases = "variant", found
        case _:
            raise AssertionError(t)
    label, payload = rng.choice(cases)
    return (kind, label, None if payload is None else sample(payload, rng))


@pytest.mark.parametrize("name", ["relay", "relay_utf16", "relay_latin1"])
def test_relays_pass_every_type_on(name: str) -> None:
    """The host echoes; what went in comes out, and the host saw every call."""
    rng = random.Random(name)
    calls: list[str] = []

    def echo(label: str) -> Any:
        def answer(_store: Any, value: Any) -> Any:
            calls.append(label)
            return value

        return answer

    engine = wt.new_engine()
    linker = wc.Linker(engine)
    with linker.root() as root, root.add_instance("echo") as host:
        for label in every_type():
            host.add_func(label, echo(label))
    live = wt.instantiate(linker, wc.Component(engine, build.build(name)))
    for label, func in every_type().items():
        assert func.result is not None
        for _ in range(5):
            value = sample(func.result, rng)
            assert wt.call(live, label, [value]) == value
    assert calls == [label for label in every_type() for _ in range(5)]


def test_relay_layout_rules() -> None:
    """Spot checks against sizes and slots worked out by hand."""
    kinds = {name: func.params[0][1] for name, func in every_type().items()}
    assert size_align(kinds["record"]) == (24, 8)
    assert size_align(kinds["variant"]) == (16, 8)
    assert size_align(kinds["large-enum"]) == (2, 2)
    assert size_align(kinds["flags9"]) == (2, 2)
    assert size_align(kinds["option2"]) == (12, 4)
    assert flat(kinds["variant"]) == ["i32", "i64", "i32"]
    assert flat(kinds["result"]) == ["i32", "i32", "i32"]
    assert len(flat(kinds["flat17"])) == 17
