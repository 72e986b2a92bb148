;; A part that knows its imports by other names than the root, instantiated twice.
(component $app
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))))
  (import "first" (func $first (result u32)))
  (import "second" (func $second (result u32)))
  (import "token" (type $token (sub resource)))
  (import "idle" (func (result u32)))
  (component $part
    (import "read" (func $read (result u32)))
    (import "time" (instance $time (export "current" (func (result u64)))))
    (import "thing" (type $thing (sub resource)))
    (alias export $time "current" (func $current))
    (core func (canon lower (func $read)))
    (core func (canon lower (func $current)))
    (core module $m (func (export "own") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func $own (result u32) (canon lift (core func $i "own")))
    (export "own" (func $own)))
  (alias export $clock "now" (func $now))
  (instance $time (export "current" (func $now)))
  (instance $one (instantiate $part
    (with "read" (func $first)) (with "time" (instance $time)) (with "thing" (type $token))))
  (alias export $one "own" (func $own))
  (instance $two (instantiate $part
    (with "read" (func $second)) (with "time" (instance $time)) (with "thing" (type $token))))
  (instance (instantiate $part
    (with "read" (func $own)) (with "time" (instance $time)) (with "thing" (type $token))))
  (core func (canon resource.drop $token)))
