;; An async lift with a callback, one without, and an async lower of a sibling's function.

(component $tasks
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "return" (func $return (param i32)))
    ;; async(callback): returns at once, exit code 0
    (func (export "now") (param i32) (result i32)
      (call $return (i32.add (local.get 0) (i32.const 1)))
      (i32.const 0))
    ;; yields once (code 1), then returns from the callback
    (func (export "later") (param i32) (result i32)
      (global.set $kept (local.get 0))
      (i32.const 1))
    (global $kept (mut i32) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (call $return (i32.mul (global.get $kept) (i32.const 10)))
      (i32.const 0))
    ;; stackful
    (func (export "plain") (param i32)
      (call $return (i32.sub (local.get 0) (i32.const 1)))))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "now") async (param "v" u32) (result u32)
    (canon lift (core func $i "now") async (callback (func $i "callback"))))
  (func (export "later") async (param "v" u32) (result u32)
    (canon lift (core func $i "later") async (callback (func $i "callback"))))
  (func (export "plain") async (param "v" u32) (result u32)
    (canon lift (core func $i "plain") async)))
(assert_return (invoke "now" (u32.const 41)) (u32.const 42))
(assert_return (invoke "later" (u32.const 4)) (u32.const 40))
(assert_return (invoke "plain" (u32.const 43)) (u32.const 42))
