;; Host resources through the driver's host, and a guest resource with a destructor.

(component $borrower
  (import "host" (instance $host
    (export "resource1" (type $r (sub resource)))
    (export "[constructor]resource1" (func (param "rep" u32) (result (own $r))))
    (export "[method]resource1.simple" (func (param "self" (borrow $r)) (param "rep" u32)))
    (export "[static]resource1.drops" (func (result u32)))
    (export "[static]resource1.last-drop" (func (result u32)))))
  (alias export $host "resource1" (type $r))
  (core func $new (canon lower (func $host "[constructor]resource1")))
  (core func $simple (canon lower (func $host "[method]resource1.simple")))
  (core func $drops (canon lower (func $host "[static]resource1.drops")))
  (core func $last (canon lower (func $host "[static]resource1.last-drop")))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "simple" (func $simple (param i32 i32)))
    (import "" "drops" (func $drops (result i32)))
    (import "" "last" (func $last (result i32)))
    (import "" "drop" (func $drop (param i32)))
    ;; 1000 * drops + rep of the last one dropped
    (func (export "run") (result i32) (local $a i32) (local $b i32)
      (local.set $a (call $new (i32.const 70)))
      (local.set $b (call $new (i32.const 71)))
      (call $simple (local.get $a) (i32.const 70))
      (call $drop (local.get $a))
      (call $simple (local.get $b) (i32.const 71))
      (call $drop (local.get $b))
      (i32.add (i32.mul (call $drops) (i32.const 1000)) (call $last)))
    (func (export "wrong") (call $drop (i32.const 99))))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "simple" (func $simple)) (export "drop" (func $drop))
    (export "drops" (func $drops)) (export "last" (func $last))))))
  (func (export "run") (result u32) (canon lift (core func $i "run")))
  (func (export "wrong") (canon lift (core func $i "wrong"))))
(assert_return (invoke "run") (u32.const 2071))
(assert_trap (invoke "wrong") "unknown handle index 99")

(component $owner
  (component $inner
    (core module $dtor
      (global $gone (export "gone") (mut i32) (i32.const 0))
      (func (export "dtor") (param i32)
        (global.set $gone (i32.add (global.get $gone) (local.get 0))))
      (func (export "gone-sum") (result i32) (global.get $gone)))
    (core instance $d (instantiate $dtor))
    (type $thing' (resource (rep i32) (dtor (func $d "dtor"))))
    (core func $new (canon resource.new $thing'))
    (export $thing "thing" (type $thing'))
    (func (export "[constructor]thing") (param "rep" u32) (result (own $thing))
      (canon lift (core func $new)))
    (func (export "gone") (result u32) (canon lift (core func $d "gone-sum"))))
  ;; A sibling uses it: before wasmtime 50 a parent's core code cannot enter its own child.
  (component $user
    (import "i" (instance $inner
      (export "thing" (type $thing (sub resource)))
      (export "[constructor]thing" (func (param "rep" u32) (result (own $thing))))
      (export "gone" (func (result u32)))))
    (alias export $inner "thing" (type $thing))
    (core func $new (canon lower (func $inner "[constructor]thing")))
    (core func $gone (canon lower (func $inner "gone")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "gone" (func $gone (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (result i32)
        (call $drop (call $new (i32.const 40)))
        (call $drop (call $new (i32.const 2)))
        (call $gone)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "gone" (func $gone)) (export "drop" (func $drop))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $inner (instantiate $inner))
  (instance $user (instantiate $user (with "i" (instance $inner))))
  (func (export "run") (alias export $user "run")))
(assert_return (invoke "run") (u32.const 42))
