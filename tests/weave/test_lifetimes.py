"""``frame`` and ``shared`` variables: one for each time a function runs, one for all places."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from whamm_cm.cli.main import main
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import weave

#: Recursion, a call in the place of a function, and two functions that an export runs.
MODULE = """(module
  (func $fac (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (i32.mul (local.get 0) (call $fac (i32.sub (local.get 0) (i32.const 1)))))))
  (func $down (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (return_call $down (i32.sub (local.get 0) (i32.const 1))))
  (func (export "_start")
    (drop (call $fac (i32.const 2))) (drop (call $down (i32.const 2)))
    (drop (call $fac (i32.const 1)))))"""


def printed(script: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    app = folder / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(MODULE))
    status = main(["trace", "-q", "-e", script, str(app)])
    captured = capfd.readouterr()
    assert status == 0, captured.err
    return captured.err.splitlines()


def test_each_activation_has_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = """var n: u32;
      wasm:func:entry / fname != "" / { frame var number: u32; n++; number = n; }
      wasm:opcode:call|return_call:before / fname != "" / {
        frame var number: u32; frame var calls: (u64, bool);
        calls.0++; calls.1 = !calls.1;
        print("{} calls {} {}", number, calls.0, calls.1);
      }
      wasm:func:exit / fname != "" / { frame var number: u32; print("{} {}", fname, number); }"""
    assert printed(script, tmp_path, capfd) == [
        "1 calls 1 true", "2 calls 1 true", "fac 3", "fac 2", "fac 1",
        "4 calls 1 true", "down 4", "5 calls 1 true", "down 5", "down 6",
        "7 calls 1 true", "fac 8", "fac 7",
    ]  # fmt: skip


def test_it_stays_while_its_function_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = """frame var calls: i32;
      wasm:opcode:call:before { calls++; }
      wasm:func:exit { print("{}", calls); }"""
    assert printed(script, tmp_path, capfd) == ["0", "1", "1", "0", "0", "0", "0", "1", "3"]


def test_all_places_of_a_probe_share_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = """wasm:opcode:call|return_call:before {
        shared var n: u32 = 10; n++; report shared var all: u32; all++; print("call {}", n);
      }
      wasm:opcode:i32.mul:before { shared var n: u32; n++; print("mul {}", n); }"""
    assert printed(script, tmp_path, capfd) == [
        "call 11", "call 12", "call 13", "mul 1", "mul 2",
        "call 14", "call 15", "call 16", "call 17", "call 18", "mul 3",
        "all  8",
    ]  # fmt: skip


def test_in_components_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = """wasm:func:entry { frame var here: u32; here = fid; }
      wasm:func:exit { frame var here: u32; report shared var wrong: u32;
        report shared var right: u32; if (here == fid) { right++; } else { wrong++; } }
      wasi:random/random*#*:before { shared var calls: u32; calls++; print("random {}", calls); }"""
    app = tmp_path / "app.wasm"
    app.write_bytes(build("command"))
    assert main(["trace", "-q", "-e", script, str(app)]) == 0
    said = capfd.readouterr().err.split()
    assert said[:2] == ["random", "1"]
    assert int(said[said.index("wrong") + 1]) == 0 < int(said[said.index("right") + 1])


def test_the_same_bytes_again() -> None:
    script = "wasm:func:entry { frame var x: u32; shared var y: u32; x++; y += x; }"
    settings = Settings(scripts=(("s", script),), nonce="abcdefghijkl")
    data = wasmtime.wat2wasm(MODULE)
    assert weave(data, settings, "m").bytes == weave(data, settings, "m").bytes
