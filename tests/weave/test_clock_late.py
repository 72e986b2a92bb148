"""A component whose own import of the clock stands behind the first probes."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.run.engine import validate_component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, SinkName

LATE = """(component
  (import "wasi:random/random@0.2.0" (instance $r
    (export "get-random-u64" (func (result u64)))))
  (alias export $r "get-random-u64" (func $g))
  (core func $lg (canon lower (func $g)))
  (core module $m (import "r" "g" (func $g (result i64)))
    (func (export "run") (result i32) (drop (call $g)) (i32.const 0)))
  (core instance $i (instantiate $m (with "r" (instance (export "g" (func $lg))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c EXPORTS))
  USE
  (func (export "g") (result u32) (canon lift (core func $i "run"))))"""
NOW = """(alias export $c "now" (func $now)) (core func $ln (canon lower (func $now)))
  (core module $m2 (import "c" "now" (func $g (result i64)))
    (func (export "f") (result i64) (call $g)))
  (core instance $i2 (instantiate $m2 (with "c" (instance (export "now" (func $ln))))))
  (func (export "f") (result u64) (canon lift (core func $i2 "f")))"""
TEXTS = {
    "it uses now": LATE.replace("EXPORTS", '(export "now" (func (result u64)))').replace(
        "USE", NOW
    ),
    "it has no now": LATE.replace("EXPORTS", '(export "resolution" (func (result u64)))').replace(
        "USE", ""
    ),
}


@pytest.mark.parametrize("sink", ["stderr", "logging", "host", "none"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_import_is_brought_forward(text: str, sink: SinkName) -> None:
    data = bytes(wat2wasm(text))
    wasm = weave(data, Plan(trace=lambda *_: True, sink=sink, timed=True)).wasm
    assert validate_component(wasm) is None
    root = decode(wasm)
    names = [d.node.name.name for d in root.definitions if isinstance(d.node, n.Import)]
    assert names.count("wasi:clocks/monotonic-clock@0.2.0") == 1
