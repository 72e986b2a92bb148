;; Loops in loops, continued from within, left early, and one that nothing goes back to.
(module
  (func $nested (param $n i32) (local $i i32) (local $j i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $inner (i32.lt_u (local.get $j) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $outer (i32.lt_u (local.get $i) (local.get $n)))))
    (loop nop))
  (func $left (param $n i32) (result i32)
    (block $done (result i32)
      (i32.const 100)
      (loop $more (param i32) (result i32)
        (i32.sub (i32.const 7))
        (local.tee $n)
        (br_if $done (i32.rem_u (local.get $n) (i32.const 5)))
        (br $more))))
  (func (export "_start")
    (call $nested (i32.const 4))
    (call $nested (i32.const 1))
    (drop (call $left (i32.const 0)))))
