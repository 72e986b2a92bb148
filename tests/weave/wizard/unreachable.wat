;; A program that ends at unreachable, some calls deep.
(module
  (func $down (param i32)
    (if (i32.eqz (local.get 0)) (then nop unreachable))
    (call $down (i32.sub (local.get 0) (i32.const 1)))
    nop)
  (func (export "_start") (call $down (i32.const 3)) nop))
