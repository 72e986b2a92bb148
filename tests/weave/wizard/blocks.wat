;; Branches out of blocks, to ends that code also runs into, one behind the other.
(module
  (func $out (param i32) (result i32)
    (block $a
      (block $b
        (block $c
          (br_if $a (i32.eq (local.get 0) (i32.const 0)))
          (br_if $b (i32.eq (local.get 0) (i32.const 1)))
          (br_if $c (i32.eq (local.get 0) (i32.const 2)))
          nop nop)
        nop)
      (br_if $a (i32.eq (local.get 0) (i32.const 3)))
      nop)
    (local.get 0))
  (func $values (param i32) (result i32 i64)
    (block $two (result i32 i64)
      (i32.const 1) (i64.const 2)
      (br_if $two (local.get 0))
      drop drop
      (i32.const 3) (i64.const 4)))
  (func (export "_start") (local $i i32)
    (loop $next
      (drop (call $out (local.get $i)))
      (call $values (local.get $i)) drop drop
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 6))))))
