;; A division by zero, some calls deep, in the middle of a block.
(module
  (func $divides (param i32) (result i32)
    nop
    (i32.div_u (i32.const 12) (local.get 0))
    (i32.add (i32.const 1))
    nop)
  (func $down (param i32)
    (drop (call $divides (local.get 0)))
    (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "_start") (call $down (i32.const 3)) nop))
