"""Commands see the same world on the host in Python as on the engine's own."""

from __future__ import annotations

from ctypes import byref
from pathlib import Path
from typing import Any

import pytest
from wasmtime import Store, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Linker

from fixtures.build import path_of
from fixtures.listener import greeter
from whamm_cm.run.embedded import run_component
from whamm_cm.run.engine import compile_component, run_engine
from whamm_cm.run.host.bridge import Exit, provide, running
from whamm_cm.run.host.offers import HOST
from whamm_cm.run.host.world import Settings, World
from whamm_cm.run.linking import imports_of
from whamm_cm.run.options import Dir, HostOptions
from whamm_cm.run.outcome import parse_trap


def run_here(wasm: bytes, **options: Any) -> tuple[int, str | None]:
    """Status and trap of a command on the host in Python."""
    engine = run_engine(cache=False, tasks=False)
    component = compile_component(engine, wasm)
    linker = Linker(engine)
    provide(linker, engine, imports_of(engine, component), HOST)
    store, world = Store(engine), World(Settings(HostOptions(**options)))
    store.set_epoch_deadline(1)
    try:
        with running(world):
            instance = linker.instantiate(store, component)
            name = next(n for n in component.type.exports(engine) if n.startswith("wasi:cli/run@"))
            parent = instance.get_export_index(store, name)
            index = instance.get_export_index(store, "run", parent)
            assert index is not None
            func = instance.get_func(store, index)
            assert func is not None
            slots = (ffi.wasmtime_component_val_t * 1)()
            error = ffi.wasmtime_component_func_call(
                byref(func._func), store._context(), None, 0, slots, 1
            )
            if error:
                raise WasmtimeError._from_ptr(error)
            good = slots[0].of.result.is_ok
    except WasmtimeError as error:
        if isinstance(world.error, Exit):
            return world.error.status, None
        return 134, parse_trap(str(error)).message
    finally:
        store.close()
        world.close()
    return int(not good), None


def both(wasm: bytes, capfd: pytest.CaptureFixture[str], **options: Any) -> tuple[object, object]:
    native = run_component(wasm, cache=False, **options)
    theirs = native.status, native.trap and native.trap.message, *capfd.readouterr()
    ours = *run_here(wasm, **options), *capfd.readouterr()
    return theirs, ours


@pytest.mark.parametrize("word", ["h", "o", "e", "f", "t", "d", "v", "i"])
def test_small_things(
    command: bytes, capfd: pytest.CaptureFixture[str], word: str, tmp_path: Path
) -> None:
    theirs, ours = both(
        command, capfd, args=("app", word), env=(("NAME", "value"), ("B", "")),
        dirs=(Dir(str(tmp_path), "/data"),), inherit_stdin=False,
    )  # fmt: skip
    assert ours == theirs


def test_it_does_something(command: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_here(command, args=("app", "h")) == (0, None)
    assert capfd.readouterr().out == "hello\n"


@pytest.mark.parametrize("read_only", [False, True])
def test_files(capfd: pytest.CaptureFixture[str], tmp_path: Path, read_only: bool) -> None:
    wasm, said, left = path_of("command").read_bytes(), [], []
    for name, run in (("native", run_component), ("python", run_here)):
        place = tmp_path / name
        place.mkdir()
        (place / "in.txt").write_text("some text\n")
        options: dict[str, Any] = {"args": ("app",), "dirs": (Dir(str(place), "/data", read_only),)}
        if run is run_component:
            run_component(wasm, cache=False, **options)
        else:
            run_here(wasm, **options)
        said.append(capfd.readouterr().out)
        left.append({path.name: path.read_bytes() for path in place.iterdir()})
    assert left[0] == left[1]
    assert said[0] == said[1]


def test_a_command_in_python(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    theirs, ours = both(
        path_of("py_command").read_bytes(), capfd, args=("app", "a"), env=(("A", "b"),),
        dirs=(Dir(str(tmp_path), "/data"),),
    )  # fmt: skip
    assert ours == theirs


def test_sockets(capfd: pytest.CaptureFixture[str]) -> None:
    wasm = path_of("command").read_bytes()
    with greeter() as address:
        theirs, ours = both(wasm, capfd, args=("app", address), inherit_network=True)
        assert ours == theirs
        assert "WELCOME" in str(ours)
        theirs, ours = both(wasm, capfd, args=("app", address))
        assert ours == theirs
        assert "WELCOME" not in str(ours)
