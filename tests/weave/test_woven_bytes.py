"""What weaving writes, byte for byte: the same input gives the same bytes, on every machine.

A change that moves code about must leave these alone; one that means to change them says why and
rewrites them with ``BLESS=1``.  A line is: the settings, the size, the digest, or the refusal.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build, text_names
from tests.golden import check_golden
from whamm_cm.cli.main import main

GOLDENS = Path(__file__).parent / "goldens" / "woven"
#: ``cache-sim`` needs a library.
MONITORS = sorted(
    path.stem
    for path in (Path(main.__code__.co_filename).parents[1] / "monitors").glob("*.mm")
    if path.stem != "cache-sim"
)
_ALL = ["--trace", "*"]
_BOUNDARY = {
    "trace": _ALL,
    "trace time": [*_ALL, "--time"],
    "trace json": [*_ALL, "--lines", "json"],
    "trace each": [*_ALL, "--flush", "each"],
    "trace full": [*_ALL, "--flush", "full"],
    "trace short": [*_ALL, "--max-string", "8", "--max-list", "2"],
    "trace secrets": [*_ALL, "--show-secrets"],
    "trace one memory": [*_ALL, "--no-multi-memory"],
    "count": ["--count", "*"],
    "trace and count": ["--trace", "%clock", "--count", "*"],
}
_OTHERS = ("logging", "host", "none")
_SHORT = ("trace", "trace time", "count")
_MODULE = """(module (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $f $f)
  (type $t (func (param i32) (result i32)))
  (func $f (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.load (local.get 0))) (else (i32.const 7))))
  (func $g (export "g") (param i32) (result i32) (local i32)
    (loop $l (local.set 1 (i32.add (local.get 1)
      (call_indirect (type $t) (local.get 0) (i32.const 1))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (call $f (local.get 1)))
  (func (export "_start") (drop (call $g (i32.const 9)))))"""


def _is_woven(monitor: str, name: str) -> bool:
    """All monitors into the command and the module, into the others each has a third of them: what
    they differ by is in ``all monitors``, too."""
    everything = name in ("command", "a core module")
    return everything or zlib.crc32(f"{monitor} {name}".encode()) % 3 == 0


def settings(name: str) -> dict[str, list[str]]:
    """What is woven into an input, by the name of its line."""
    found = {f"stderr, {name}": flags for name, flags in _BOUNDARY.items()}
    for sink in _OTHERS:
        found |= {f"{sink}, {name}": ["--sink", sink, *_BOUNDARY[name]] for name in _SHORT}
    found |= {f"monitor {one}": ["-m", one] for one in MONITORS if _is_woven(one, name)}
    found["host, all monitors"] = ["--sink", "host", *(w for m in MONITORS for w in ("-m", m))]
    found["stderr, calls every 100 ms"] = ["-m", "calls", "--interval", "100ms", *_ALL]
    return found


def _line(source: Path, flags: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    status = main(["instrument", *flags, "--nonce", "abcdefghijkl", str(source), "-o", str(out)])
    said = capsys.readouterr().err
    if status:
        last = said.strip().splitlines()[-1].replace(str(source), "APP")
        return f"status {status}: {last}"
    woven = out.read_bytes()
    out.unlink()
    return f"{len(woven):8} {hashlib.sha256(woven).hexdigest()[:24]}"


@pytest.mark.parametrize("name", [*text_names(), "command", "a core module"])
def test_the_same_bytes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "app.wasm"
    source.write_bytes(wasmtime.wat2wasm(_MODULE) if name == "a core module" else build(name))
    lines = [
        f"{what:32} {_line(source, flags, tmp_path / 'out.wasm', capsys)}\n"
        for what, flags in settings(name).items()
    ]
    check_golden(GOLDENS / f"{name.replace(' ', '_')}.txt", "".join(lines))
