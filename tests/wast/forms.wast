;; Every form of definition and every kind of command the driver knows.

(component $adder
  (core module $m
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "boom") unreachable))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "boom") (canon lift (core func $i "boom"))))

(assert_return (invoke "add" (u32.const 40) (u32.const 2)) (u32.const 42))
(assert_return (invoke $adder "add" (u32.const 0xffff_ffff) (u32.const 1)) (u32.const 0))
(invoke "add" (u32.const 1) (u32.const 1))
(assert_trap (invoke "boom") "unreachable")
;; A trap poisons the instance, and only that one.
(assert_trap (invoke "add" (u32.const 1) (u32.const 1)) "cannot enter component instance")

(component definition $counter
  (core module $m
    (global $n (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
  (core instance $i (instantiate $m))
  (func (export "next") (result u32) (canon lift (core func $i "next"))))
(component instance $one $counter)
(component instance $two $counter)
(assert_return (invoke $one "next") (u32.const 1))
(assert_return (invoke $one "next") (u32.const 2))
(assert_return (invoke $two "next") (u32.const 1))

;; (component) in bytes, and in quotes
(component binary "\00asm" "\0d\00\01\00")
(component quote "(core module $m (func (export \"f\")))" "(core instance (instantiate $m))")

(assert_malformed (component quote "(core modul)") "expected valid component field")
(assert_malformed (component binary "\00asm" "\0d\00\01\00" "\63\01\00") "malformed section id")
(assert_invalid (component (export "a" (func 0))) "out of bounds")
(assert_unlinkable (component (import "nobody-has-this" (func))) "was not found")
(assert_trap
  (component
    (core module $m (func $start unreachable) (start $start))
    (core instance (instantiate $m)))
  "unreachable")

;; The host the driver provides.
(component
  (import "host-echo-u32" (func $echo (param "v" u32) (result u32)))
  (import "host" (instance $host
    (export "return-three" (func (result u32)))
    (export "nested" (instance (export "return-four" (func (result u32)))))))
  (core func $echo (canon lower (func $echo)))
  (core func $three (canon lower (func $host "return-three")))
  (core func $four (canon lower (func $host "nested" "return-four")))
  (core module $m
    (import "" "echo" (func $echo (param i32) (result i32)))
    (import "" "three" (func $three (result i32)))
    (import "" "four" (func $four (result i32)))
    (func (export "sum") (result i32)
      (i32.add (call $echo (i32.const 100)) (i32.add (call $three) (call $four)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "echo" (func $echo)) (export "three" (func $three)) (export "four" (func $four))))))
  (func (export "sum") (result u32) (canon lift (core func $i "sum"))))
(assert_return (invoke "sum") (u32.const 107))
