"""Component text the tests of the weave share."""

from __future__ import annotations

from tests.weave.echo import LIBC
from tests.weave.host import text

#: ``go(n)`` calls the import ``tick(i)`` n times; ``crash(n)`` does and then traps; ``leave(n)``
#: calls the import ``last``, which is not expected to return.
TICKER = text(
    """(component
  (import "tick" (func $tick (param "i" u32) (result u32)))
  (import "last" (func $last (param "i" u32) (result u32)))
  (core func $tick (canon lower (func $tick)))
  (core func $last (canon lower (func $last)))
  (core module $m
    (import "" "tick" (func $tick (param i32) (result i32)))
    (import "" "last" (func $last (param i32) (result i32)))
    (func $go (export "go") (param $n i32) (result i32) (local $i i32) (local $sum i32)
      (loop $again
        (if (i32.lt_u (local.get $i) (local.get $n)) (then
          (local.set $sum (i32.add (local.get $sum) (call $tick (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $again))))
      (local.get $sum))
    (func (export "crash") (param $n i32) (result i32)
      (drop (call $go (local.get $n))) unreachable)
    (func (export "leave") (param $n i32) (result i32)
      (drop (call $go (local.get $n))) (call $last (local.get $n))))
  (core instance $m (instantiate $m (with "" (instance
    (export "tick" (func $tick)) (export "last" (func $last))))))
  (func (export "go") (param "n" u32) (result u32) (canon lift (core func $m "go")))
  (func (export "crash") (param "n" u32) (result u32) (canon lift (core func $m "crash")))
  (func (export "leave") (param "n" u32) (result u32) (canon lift (core func $m "leave"))))"""
)

#: Calls between components, in wasm alone: ``go(n)`` calls ``tick``, the sibling's ``tock``, n
#: times.
INNER_TICKER = text(
    """(component
  (component $callee
    (core module $m
      (global $n (mut i32) (i32.const 0))
      (func (export "tick") (param i32) (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (global.get $n)))
    (core instance $m (instantiate $m))
    (func (export "tock") (param "i" u32) (result u32) (canon lift (core func $m "tick"))))
  (component $caller
    (import "tick" (func $tick (param "i" u32) (result u32)))
    (core func $tick (canon lower (func $tick)))
    (core module $m
      (import "" "tick" (func $tick (param i32) (result i32)))
      (func (export "go") (param $n i32) (result i32) (local $i i32) (local $last i32)
        (loop $again
          (if (i32.lt_u (local.get $i) (local.get $n)) (then
            (local.set $last (call $tick (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $again))))
        (local.get $last)))
    (core instance $m (instantiate $m (with "" (instance (export "tick" (func $tick))))))
    (func (export "go") (param "n" u32) (result u32) (canon lift (core func $m "go"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "tick" (func $callee "tock"))))
  (func (export "go") (alias export $caller "go")))"""
)

#: ``go(n)`` asks n times for the representation of a handle: no probe may send anything there.
REPS = text(
    """(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $rep (canon resource.rep $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (global $handle (mut i32) (i32.const 0))
    (func (export "go") (param $n i32) (result i32) (local $i i32) (local $sum i32)
      (global.set $handle (call $new (i32.const 3)))
      (loop $again
        (if (i32.lt_u (local.get $i) (local.get $n)) (then
          (local.set $sum (i32.add (local.get $sum) (call $rep (global.get $handle))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $again))))
      (local.get $sum)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep))))))
  (func (export "go") (param "n" u32) (result u32) (canon lift (core func $m "go"))))"""
)

#: A guest whose ``realloc`` and post-return use the built-in that is allowed there, and whose
#: post-return runs after everything of the call has been sent.
POST_RETURN = text(
    """(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $rep (canon resource.rep $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (memory (export "memory") 1)
    (global $handle (mut i32) (i32.const 0))
    (func $check
      (if (i32.ne (call $rep (global.get $handle)) (i32.const 3)) (then (unreachable))))
    (func (export "init") (global.set $handle (call $new (i32.const 3))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $check) (i32.const 64))
    (func (export "f") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    (func (export "after") (param i32) (call $check)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep))))))
  (func (export "init") (canon lift (core func $m "init")))
  (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f")
    (memory $m "memory") (realloc (func $m "realloc")) (post-return (func $m "after")))))"""
)

#: Components four deep, each calling the one below: ``f(n)`` is n + 3.
DEEP = text(
    """(component
  (component $plus
    (import "f" (func $f (param "n" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "f") (param i32) (result i32)
        (i32.add (i32.const 1) (call $f (local.get 0)))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
  (component $one
    (component $two
      (component $three
        (component $same
          (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
          (core instance $m (instantiate $m))
          (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
        (alias outer 3 $plus (component $plus))
        (instance $same (instantiate $same))
        (instance $plus (instantiate $plus (with "f" (func $same "f"))))
        (func (export "f") (alias export $plus "f")))
      (alias outer 2 $plus (component $plus))
      (instance $three (instantiate $three))
      (instance $plus (instantiate $plus (with "f" (func $three "f"))))
      (func (export "f") (alias export $plus "f")))
    (instance $two (instantiate $two))
    (func (export "f") (alias export $two "f")))
  (instance $one (instantiate $one))
  (instance $plus (instantiate $plus (with "f" (func $one "f"))))
  (func (export "f") (alias export $plus "f")))"""
)

#: A core start function calls the import ``tick`` directly and ``say`` with a string.
START = f"""(component
  (import "tick" (func $tick (param "i" u32) (result u32)))
  (import "say" (func $say (param "s" string)))
  {LIBC}
  (core func $tick (canon lower (func $tick)))
  (core func $say (canon lower (func $say) (memory $libc "memory")))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "" "tick" (func $tick (param i32) (result i32)))
    (import "" "say" (func $say (param i32 i32)))
    (data (i32.const 16) "up and running")
    (func $start
      (drop (call $tick (i32.const 5)))
      (call $say (i32.const 16) (i32.const 14)) %s)
    (start $start)
    (func (export "f")))
  (core instance $m (instantiate $m (with "libc" (instance $libc)) (with "" (instance
    (export "tick" (func $tick)) (export "say" (func $say))))))
  %s)"""
