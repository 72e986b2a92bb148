;; Where a component may not call out, it may still use some built-ins: no probe may call out there,
;; not even for the time.

(component
  (canon context.get i32 0 (core func $get))
  (canon context.set i32 0 (core func $set))
  (canon backpressure.inc (core func $inc))
  (canon backpressure.dec (core func $dec))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (import "" "inc" (func $inc))
    (import "" "dec" (func $dec))
    (global $seen (mut i32) (i32.const 0))
    (func (export "f") (result i32) (call $set (i32.const 5)) (i32.const 1))
    (func (export "after") (param i32)
      (call $inc)
      (global.set $seen (call $get))
      (call $set (i32.const 6))
      (call $dec))
    (func (export "seen") (result i32) (global.get $seen)))
  (core instance $i (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "set" (func $set))
    (export "inc" (func $inc)) (export "dec" (func $dec))))))
  (func (export "f") (result u32)
    (canon lift (core func $i "f") (post-return (core func $i "after"))))
  (func (export "seen") (result u32) (canon lift (core func $i "seen"))))
(assert_return (invoke "f") (u32.const 1))
(assert_return (invoke "f") (u32.const 1))
(assert_return (invoke "seen") (u32.const 5))

;; The same in the allocator that takes a parameter, and with a representation.
(component
  (type $thing (resource (rep i32)))
  (canon resource.new $thing (core func $new))
  (canon resource.rep $thing (core func $rep))
  (canon context.get i32 0 (core func $get))
  (canon context.set i32 0 (core func $set))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (memory (export "memory") 1)
    (global $handle (mut i32) (i32.const 0))
    (global $seen (mut i32) (i32.const 0))
    (func (export "start") (global.set $handle (call $new (i32.const 77))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $set (call $rep (global.get $handle)))
      (global.set $seen (i32.add (global.get $seen) (call $get)))
      (i32.const 64))
    (func (export "take") (param i32 i32) (result i32) (global.get $seen)))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep))
    (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "start") (canon lift (core func $i "start")))
  (func (export "take") (param "s" string) (result u32)
    (canon lift (core func $i "take") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")))))
(invoke "start")
(assert_return (invoke "take" (str.const "abc")) (u32.const 77))
(assert_return (invoke "take" (str.const "abc")) (u32.const 154))

;; And in the allocator that takes what another component answers.
(component
  (component $inner
    (core module $m
      (memory (export "memory") 1)
      (data (i32.const 16) "hello")
      (func (export "say") (result i32)
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 5))
        (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "say") (result string)
      (canon lift (core func $i "say") (memory (core memory $i "memory")))))
  (component $outer
    (import "say" (func $say (result string)))
    (canon context.get i32 0 (core func $get))
    (canon context.set i32 0 (core func $set))
    (core module $alloc
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (memory (export "memory") 1)
      (global $times (export "times") (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (call $set (call $get))
        (global.set $times (i32.add (global.get $times) (i32.const 1)))
        (i32.const 64)))
    (core instance $alloc (instantiate $alloc (with "" (instance
      (export "get" (func $get)) (export "set" (func $set))))))
    (core func $low (canon lower (func $say) (memory (core memory $alloc "memory"))
      (realloc (core func $alloc "realloc"))))
    (core module $m
      (import "" "say" (func $say (param i32)))
      (import "a" "times" (global $times (mut i32)))
      (import "a" "memory" (memory 1))
      (func (export "run") (result i32)
        (call $say (i32.const 0))
        (call $say (i32.const 8))
        (i32.add (i32.mul (i32.load (i32.const 12)) (i32.const 100)) (global.get $times))))
    (core instance $i (instantiate $m
      (with "a" (instance $alloc))
      (with "" (instance (export "say" (func $low))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $inner (instantiate $inner))
  (instance $outer (instantiate $outer (with "say" (func $inner "say"))))
  (func (export "run") (alias export $outer "run")))
(assert_return (invoke "run") (u32.const 502))
