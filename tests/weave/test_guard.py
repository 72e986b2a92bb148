"""What reports while the program runs is called inside of allocators, and must not send there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from whamm_cm.analysis.instances import core_instances
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode

#: The allocator is the first that runs, and loops: so it is in there that it is time to report.
GUEST = """(component
  (import "wasi:random/random@0.2.0" (instance $r
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (alias export $r "get-random-bytes" (func $bytes))
  (core module $libc
    (memory (export "memory") 1)
    (func $spin (local $n i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 100000)))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $spin) (i32.const 256))
    (func (export "done") (param i32) (call $spin)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $bytes)
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "r" "bytes" (func $bytes (param i64 i32)))
    (func (export "run") (result i32)
      (call $bytes (i64.const 3) (i32.const 8)) (i32.const 8)))
  (core instance $m (instantiate $main (with "libc" (instance $libc))
    (with "r" (instance (export "bytes" (func $get))))))
  (func (export "run") (result (list u8)) (canon lift (core func $m "run")
    (memory $libc "memory") (realloc (func $libc "realloc"))
    (post-return (func $libc "done")))))"""


def instrumented(tmp_path: Path, *options: str) -> Path:
    app, woven = tmp_path / "app.wasm", tmp_path / "woven.wasm"
    app.write_bytes(wat2wasm(GUEST))
    script = tmp_path / "count.mm"
    script.write_text("wasm:opcode:br_if:before { report var n: u64; n++; }")
    words = ["instrument", "-s", str(script), *options, "-o", str(woven), str(app)]
    assert main(words) == 0
    return woven


@pytest.mark.parametrize("interval", ["1ns", "1ms", "1s"])
def test_it_is_time_inside_of_an_allocator(tmp_path: Path, interval: str) -> None:
    woven = instrumented(tmp_path, "--interval", interval)
    command = [sys.executable, "-m", "whamm_cm", "trace", "--force", "-e", "trace=none"]
    done = subprocess.run(
        [*command, "--invoke", "run()", str(woven)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    log = tmp_path / "log"
    log.write_text(done.stderr)
    out = tmp_path / "out.json"
    words = ["report", "-f", "json", "-o", str(out), "--woven", str(woven), str(log)]
    assert main(words) == 0
    (cell,) = json.loads(out.read_text())["cells"]
    # What post-return counts has nobody to send it: the export has returned before.
    assert cell["value"] == 100_000


def test_that_costs_one_core_instance(tmp_path: Path) -> None:
    """Three functions of two kinds are wrapped, by one module."""
    counts = [
        core_instances(decode(instrumented(tmp_path, "--interval", text).read_bytes()))
        for text in ("0", "1s")
    ]
    assert counts[1] == counts[0] + 1
