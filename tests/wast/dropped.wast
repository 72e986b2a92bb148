;; A subtask that is dropped before it has returned: that is a trap, and its call stays pending.

(component
  (component $C
    (core func $new (canon waitable-set.new))
    (core func $return (canon task.return (result u32)))
    (core module $CM
      (import "" "new" (func $new (result i32)))
      (func (export "never") (result i32)
        (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
      (func (export "never-cb") (param i32 i32 i32) (result i32) unreachable))
    (core instance $cm (instantiate $CM (with "" (instance (export "new" (func $new))))))
    (func (export "never") async (result u32)
      (canon lift (core func $cm "never") async (callback (func $cm "never-cb")))))
  (component $D
    (import "never" (func $never async (result u32)))
    (core module $Memory (memory (export "mem") 1))
    (core instance $memory (instantiate $Memory))
    (core func $never' (canon lower (func $never) async (memory $memory "mem")))
    (core func $drop (canon subtask.drop))
    (core module $DM
      (import "" "never" (func $never (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (result i32)
        (call $drop (i32.shr_u (call $never (i32.const 16)) (i32.const 4)))
        (i32.const 1)))
    (core instance $dm (instantiate $DM (with "" (instance
      (export "never" (func $never')) (export "drop" (func $drop))))))
    (func (export "run") async (result u32) (canon lift (core func $dm "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "never" (func $c "never"))))
  (func (export "run") (alias export $d "run")))
(assert_trap (invoke "run") "cannot drop a subtask which has not yet resolved")
