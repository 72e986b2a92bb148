;; br_table: to blocks, a loop, the function itself, twice the same, and the default.
(module
  (func $pick (param $i i32) (result i32) (local $rounds i32)
    (block $c
      (loop $again
        (block $b
          (block $a
            (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
            (br_if $c (i32.gt_u (local.get $rounds) (i32.const 2)))
            (br_table $a $b $again $a $c (local.get $i)))
          (return (i32.const 1)))
        nop))
    (local.get $rounds))
  (func $leaves (param $i i32) (result i32)
    (i32.const 5)
    (block (br_table 0 0 (i32.and (local.get $i) (i32.const 1))))
    (block $v (param i32) (result i32) (br_table $v 1 (local.get $i)))
    (i32.add (i32.const 1)))
  (func (export "_start") (local $i i32)
    (loop $next
      (drop (call $pick (local.get $i)))
      (drop (call $leaves (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 7))))))
