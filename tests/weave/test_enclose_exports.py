"""Components that export types of their own: the enclosing root exports the same."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from whamm_cm.component.decode import decode
from whamm_cm.run.engine import validate_component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.printer import world_text
from whamm_cm.wit.resolve import resolve

_CODE = """
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))"""
_LIFT = '(canon lift (core func $i "f"))'
TEXTS = {
    "a record": f"""(component {_CODE} (type $t (record (field "n" u32)))
      (export $x "thing" (type $t)) (func $f (result $x) {_LIFT}) (export "make" (func $f)))""",
    "by ascription": f"""(component {_CODE} (type $t (enum "a" "b")) (func $f (result $t) {_LIFT})
      (export $x "thing" (type $t)) (export "make" (func $f) (func (result $x))))""",
    "a type of a type": f"""(component {_CODE} (core module $h (func (export "g")
      (param i32 i32 i32) (result i32) (i32.const 0))) (core instance $j (instantiate $h))
      (type $a (record (field "n" u32)))
      (export $ax "a" (type $a)) (type $b (record (field "a" $ax) (field "m" (option $ax))))
      (export $bx "b" (type $b)) (func $f (param "b" $bx) (result $ax)
      (canon lift (core func $j "g"))) (export "make" (func $f)))""",
    "a resource": f"""(component {_CODE} (type $r (resource (rep i32))) (export $x "r" (type $r))
      (func $f (result (own $x)) {_LIFT}) (export "make" (func $f)))""",
    "a resource, called by its own name": f"""(component {_CODE} (type $r (resource (rep i32)))
      (func $f (result (own $r)) {_LIFT}) (export $x "r" (type $r))
      (export "make" (func $f) (func (result (own $x)))))""",
    "a resource in a record": f"""(component {_CODE} (type $r (resource (rep i32)))
      (export $x "r" (type $r)) (type $t (record (field "r" (own $x)))) (export $y "t" (type $t))
      (func $f (result $y) {_LIFT}) (export "make" (func $f)))""",
    "an import's type": f"""(component {_CODE} (import "i" (instance $n (export "r" (type (sub
      resource))))) (alias export $n "r" (type $r)) (export $x "r" (type $r))
      (func $f (result (own $x)) {_LIFT}) (export "make" (func $f)))""",
    "the same type twice": f"""(component {_CODE} (type $t (flags "a")) (export $x "t" (type $t))
      (export $y "u" (type $x)) (func $f (result $y) {_LIFT}) (export "make" (func $f)))""",
    "of a nested component": f"""(component (component $c {_CODE} (type $t (flags "a"))
      (export $x "t" (type $t)) (func $f (result $x) {_LIFT}) (export "make" (func $f)))
      (instance $n (instantiate $c)) (alias export $n "t" (type $t)) (export $x "t" (type $t))
      (alias export $n "make" (func $f)) (export "make" (func $f) (func (result $x))))""",
    "a resource of a nested component": f"""(component (component $c {_CODE}
      (type $r (resource (rep i32))) (export $x "r" (type $r)) (func $f (result (own $x)) {_LIFT})
      (export "make" (func $f))) (instance $n (instantiate $c)) (alias export $n "r" (type $r))
      (export $x "r" (type $r)) (alias export $n "make" (func $f))
      (export "make" (func $f) (func (result (own $x)))))""",
    "in an instance": f"""(component {_CODE} (type $t (record (field "n" u32)))
      (export $x "thing" (type $t)) (func $f (result $x) {_LIFT})
      (instance $b (export "make" (func $f))) (export "api" (instance $b)))""",
    "in an instance that has the type": f"""(component {_CODE} (type $t (record (field "n" u32)))
      (export $x "thing" (type $t)) (func $f (result $x) {_LIFT})
      (instance $b (export "thing" (type $x)) (export "make" (func $f)))
      (export "api" (instance $b)))""",
    "nothing else": f"""(component {_CODE} (func $f (result u32) {_LIFT}) (export "make" (func $f))
      (type $t (record (field "n" u32))) (export "thing" (type $t)))""",
}


def exports(data: bytes) -> list[str]:
    """What the world exports and defines, as WIT; without ours."""
    lines = world_text(resolve(decode(data)).world).splitlines()
    world = lines[lines.index("world root {") :]
    world = [line.strip() for line in world[: world.index("}")]]
    ours = "import ", "use ", "export whamm:cm/report"
    return [line for line in world if line and not line.startswith(ours)]


@pytest.mark.parametrize("sink", ["stderr", "logging", "host", "none"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_types_are_exported_once_more(text: str, sink: str) -> None:
    data = bytes(wat2wasm(text))
    assert validate_component(data) is None
    wasm = weave(data, Plan(trace=lambda *_: True, sink=sink)).wasm
    assert validate_component(wasm) is None
    assert exports(wasm) == exports(data)
