;; An exception that nobody catches.
(module
  (tag $e (param i32)) (tag $other)
  (func $throws (param i32) (if (local.get 0) (then (throw $e (local.get 0)))) nop)
  (func $misses (param i32)
    (block $no (try_table (catch $other $no) (call $throws (local.get 0)) nop) nop))
  (func (export "_start")
    (call $misses (i32.const 0))
    (call $misses (i32.const 1))
    nop))
