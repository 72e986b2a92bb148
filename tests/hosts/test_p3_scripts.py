"""Scripts at asynchronous functions of WASI 0.3, on wasmtime."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.hosts.test_p3 import command, trace, wasmtime

__all__ = ["command", "wasmtime"]

OPEN = "wasi:filesystem/types#descriptor.open-at"
SEEN = f"""
    task var opened: u32;
    {OPEN}:after / !is_err / {{ opened++; print("open {{}} {{}}", task, elapsed > 0); }}
    wasm:stream:write / text.starts_with("app") / {{ print("write {{}} {{}}", outcome, count); }}
    wasm:future:read {{ print("future {{}} {{}}", outcome, elements[0] is ok); }}
    wasm:task:return {{ print("return {{}} {{}}", func, is_err); }}
    wasm:task:end {{ print("end {{}} {{}}", func, opened); }}
"""
FAILED = f"""
    {OPEN}:alt {{ fail("read-only"); }}
    {OPEN}:after {{ print("{{}} {{}}", result, result is error && result.error == "read-only"); }}
"""


@pytest.mark.parametrize("records", [(), ("-e", "trace=all")], ids=["alone", "traced"])
def test_results_come_when_the_host_has_them(
    wasmtime: str, command: Path, tmp_path: Path, records: tuple[str, ...]
) -> None:
    (tmp_path / "d").mkdir()
    options = ("-e", SEEN, *records, "--dir", "d::/data")
    done = trace("-q", *options, "app.wasm", "hello", "!open", cwd=tmp_path)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout.decode().splitlines()) == (0, ["app.wasm", "hello"])
    seen = [line for line in said if line.split(" ")[0] in ("open", "write", "return", "end")]
    assert seen == ["write completed 8", "open 1 true", "return run false", "end run 1"]
    assert said.count("future completed true") >= 1
    assert (tmp_path / "d" / "note.txt").exists()


def test_a_call_of_the_host_fails_at_once(wasmtime: str, command: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    done = trace("-q", "-e", FAILED, "--dir", "d::/data", "app.wasm", "!open", cwd=tmp_path)
    assert done.stderr.decode().splitlines() == ["error true"] and done.returncode == 0
    assert not (tmp_path / "d" / "note.txt").exists()


def test_the_wall_clock_is_the_system_clock(wasmtime: str, command: Path, tmp_path: Path) -> None:
    begun = time.time_ns()
    script = 'wasi:*#*:before { print("{}", wall()); }'
    done = trace("-q", "-e", script, "app.wasm", "hello", cwd=tmp_path)
    found = [int(line) for line in done.stderr.decode().splitlines() if line.isdecimal()]
    assert done.returncode == 0 and found == sorted(found)
    assert begun <= found[0] and found[-1] <= time.time_ns()
