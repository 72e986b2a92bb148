;; Code that nothing reaches: behind branches and returns, and whole arms.
(module
  (func $dead (param i32) (result i32)
    (block (br 0) nop (block (br_if 1 (local.get 0)) nop) nop)
    (if (i32.const 0) (then (loop (br 0))))
    (block $b (result i32) (br $b (i32.const 1)) (i32.add (i32.const 2) (i32.const 3)))
    return
    nop
    (if (then nop) (else nop))
    (i32.const 4))
  (func $never nop)
  (func (export "_start")
    (drop (call $dead (i32.const 0)))
    (drop (call $dead (i32.const 1)))
    (br 0)
    (call $never)))
