"""``module`` in rules on WIT boundaries: the core module that calls, or is called."""

from __future__ import annotations

from tests.weave.host import Functions, text
from tests.weave.scripted import scripted
from whamm_cm.wit.types import FuncT, Prim

#: ``one`` is called by ``a`` alone, ``two`` by both, ``three`` by ``a`` through a table that a
#: module without code fills, as those of wit-component do; ``b`` exports what ``a`` defines.
PROGRAM = """(component
  (import "one" (func $one (result u32)))
  (import "two" (func $two (result u32)))
  (import "three" (func $three (result u32)))
  (core func $one (canon lower (func $one)))
  (core func $two (canon lower (func $two)))
  (core func $three (canon lower (func $three)))
  (core module $Shim (type $t (func (result i32)))
    (table (export "table") 1 1 funcref)
    (func (export "0") (result i32) (call_indirect (type $t) (i32.const 0))))
  (core instance $shim (instantiate $Shim))
  (core module $A
    (import "" "one" (func $one (result i32)))
    (import "" "two" (func $two (result i32)))
    (import "" "three" (func $three (result i32)))
    (func (export "run") (result i32)
      (i32.add (call $one) (i32.add (call $two) (call $three)))))
  (core instance $a (instantiate $A (with "" (instance
    (export "one" (func $one)) (export "two" (func $two))
    (export "three" (func $shim "0"))))))
  (core module $B
    (import "" "two" (func $two (result i32)))
    (import "" "run" (func $run (result i32)))
    (export "again" (func $run))
    (func (export "run") (result i32) (call $two)))
  (core instance $bag (export "inner" (func $a "run")))
  (core instance $b (instantiate $B (with "" (instance
    (export "two" (func $two)) (export "run" (func $bag "inner"))
    (export "unused" (func $one))))))
  (core module $Fill
    (import "" "table" (table 1 1 funcref)) (import "" "three" (func $three (result i32)))
    (elem (i32.const 0) func $three))
  (core instance (instantiate $Fill (with "" (instance
    (export "table" (table $shim "table")) (export "three" (func $three))))))
  (core instance $made (export "f" (func $b "run")))
  (func (export "in-a") (result u32) (canon lift (core func $a "run")))
  (func (export "in-b") (result u32) (canon lift (core func $made "f")))
  (func (export "again") (result u32) (canon lift (core func $b "again"))))"""


def test_the_module_that_calls_or_is_called() -> None:
    number = FuncT((), Prim("u32"))
    functions = Functions(
        {("", name): (number, lambda k=k: k) for k, name in enumerate(("one", "two", "three"))}
    )
    script = """
        report var calls: map<(str, str), u32>;
        wit:*:*#*:before { calls[(func, module)]++; }
        wit:*:*#*:after / module == "A" / { print("{}", func); }"""
    run = scripted(text(PROGRAM), script, functions=functions)
    assert [run.call(name) for name in ("in-a", "in-b", "again")] == [3, 1, 3]
    assert run.reported["calls"] == {
        ("in-a", "A"): 1, ("in-b", "B"): 1, ("again", ""): 1,
        ("one", "A"): 2, ("two", ""): 3, ("three", ""): 2,
    }  # fmt: skip
    assert run.printed == ["one", "in-a", "one"]
