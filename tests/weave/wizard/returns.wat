;; Every way back to the caller: return, a branch to the function, its last end.
(module
  (func $ways (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 0)) (then (return (i32.const 10))))
    (i32.const 20)
    (br_if 0 (i32.eq (local.get 0) (i32.const 1)))
    drop
    (block (loop (br_if 2 (i32.const 30) (i32.eq (local.get 0) (i32.const 2))) drop))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (br 1 (i32.const 40))))
    (i32.const 50))
  (func $nothing)
  (func $at_once (return))
  (func (export "_start") (local $i i32)
    (call $nothing) (call $at_once)
    (loop $next
      (drop (call $ways (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 6))))
    (return)))
