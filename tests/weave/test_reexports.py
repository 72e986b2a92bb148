"""A component that passes on an instance it imports, which the sink or the clock needs more of.

wasmtime compiles no exports of imported functions, so what is added for us must not be passed on.
"""

from __future__ import annotations

import pytest
from wasmtime import component as wc
from wasmtime import wat2wasm

from tests.agent.harness import NONCE
from tests.wast_driver.engine import call, instantiate, new_engine
from tests.wast_driver.host import Sink, new_linker
from tests.weave.host import everything
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, SinkName
from whamm_cm.wit.resolve import resolve

BEFORE = """(component
  (import "wasi:io/error@0.2.0" (instance $err (export "error" (type (sub resource)))))
  (alias export $err "error" (type $e))
  (import "wasi:io/streams@0.2.0" (instance $st
    (alias outer 1 $e (type $e1)) (export "error" (type $e2 (eq $e1)))
    (export "output-stream" (type $o (sub resource)))
    (type $se (variant (case "last-operation-failed" (own $e2)) (case "closed")))
    (export "stream-error" (type $se1 (eq $se)))))
  (alias export $st "output-stream" (type $os))"""
AFTER = """
  (core module $m (func (export "go") (result i32) (i32.const 3)))
  (core instance $i (instantiate $m))
  (func (export "go") (result u32) (canon lift (core func $i "go"))))"""
_INSIDE = """(component $c
    (import "s" (instance $s (export "output-stream" (type (sub resource)))))
    (export "t" (instance $s)))
  (instance $ci (instantiate $c (with "s" (instance $st))))"""
CASES = {
    "as it is": '(export "wasi:io/streams@0.2.0" (instance $st))',
    "renamed": '(export "my:own/streams" (instance $st))',
    "what it speaks of": '(export "wasi:io/error@0.2.0" (instance $err))',
    "in an instance": '(instance $b (export "s" (instance $st))) (export "b" (instance $b))',
    "its type": '(export "os" (type $os))',
    "twice": '(export $x "a" (instance $st)) (export "b" (instance $x))',
    "through a component": f'{_INSIDE} (export "x" (instance $ci))',
    "taken out of one": f"""{_INSIDE}
      (alias export $ci "t" (instance $t)) (export "x" (instance $t))""",
    "stderr": """(import "wasi:cli/stderr@0.2.0" (instance $se
        (alias outer 1 $os (type $o)) (export "output-stream" (type $o2 (eq $o)))))
      (export "wasi:cli/stderr@0.2.0" (instance $se))""",
    "the clock": """(import "wasi:clocks/monotonic-clock@0.2.0" (instance $mc
        (type $i u64) (export "instant" (type (eq $i)))))
      (export "wasi:clocks/monotonic-clock@0.2.0" (instance $mc))""",
}


def exports(component: Component) -> list[str]:
    return [extern.name.name for extern in resolve(component).world.exports]


@pytest.mark.parametrize("timed", [False, True], ids=["untimed", "timed"])
@pytest.mark.parametrize("sink", ["stderr", "logging", "host", "none"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_passed_on_is_what_was_declared(name: str, sink: SinkName, timed: bool) -> None:
    original = wat2wasm(BEFORE + CASES[name] + AFTER)
    woven = weave(original, Plan(trace=everything, sink=sink, nonce=NONCE, timed=timed))
    assert check(decode(woven.wasm)) == []
    assert exports(decode(woven.wasm)) == exports(decode(original))
    engine, seen = new_engine(), Sink()
    component = wc.Component(engine, woven.wasm)
    live = instantiate(new_linker(engine, seen), component, seen.wasi())
    assert call(live, "go", []) == ("u32", 3)
    assert bool(seen.blocks) == (sink != "none")
