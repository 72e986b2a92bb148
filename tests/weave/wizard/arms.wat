;; Arms with and without else, empty ones, and values out of them.
(module
  (func $sign (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 0))
      (then (i32.const -1))
      (else (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 0))))))
  (func $maybe (param i32)
    (if (local.get 0) (then nop nop))
    (if (i32.eqz (local.get 0)) (then) (else nop))
    (if (local.get 0) (then) (else)))
  (func (export "_start") (local $i i32)
    (local.set $i (i32.const -2))
    (loop $next
      (drop (call $sign (local.get $i)))
      (call $maybe (local.get $i))
      (br_if $next (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))))
