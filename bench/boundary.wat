;; One caller, one callee, and a hand-written wrapper that may stand between them.  `bench.boundary`
;; puts components together of these parts, and replaces $target by one of the two instances.  $loops
;; calls n times from inside wasm.

  ;; --- modules
  (core module $memory
    (memory (export "memory") 2)
    ;; Nothing outlives a call here, so every allocation may lie at the same place.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096))

  (core module $loops
    (import "memory" "memory" (memory 2))
    (import "callee" "number" (func $number (param i32) (result i32)))
    (import "callee" "text" (func $text (param i32 i32) (result i32)))
    (data (i32.const 64) "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
    (func (export "numbers") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $number (local.get $n))))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "texts") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum
          (i32.add (local.get $sum) (call $text (i32.const 64) (i32.const 64))))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))

  ;; --- instances
  (component $callee
    (alias outer 1 $memory (core module $memory))
    (core instance $memory (instantiate $memory))
    (core module $m
      (func (export "number") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "text") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $m))
    (func (export "number") (param "value" u32) (result u32) (canon lift (core func $m "number")))
    (func (export "text") (param "value" string) (result u32)
      (canon lift (core func $m "text") (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc")))))

  (component $middle
    (import "number" (func $number (param "value" u32) (result u32)))
    (import "text" (func $text (param "value" string) (result u32)))
    (alias outer 1 $memory (core module $memory))
    (core instance $memory (instantiate $memory))
    (core func $number (canon lower (func $number)))
    (core func $text (canon lower (func $text) (memory (core memory $memory "memory"))))
    (core module $m
      (import "memory" "memory" (memory 2))
      (import "callee" "number" (func $number (param i32) (result i32)))
      (import "callee" "text" (func $text (param i32 i32) (result i32)))
      (func $hit (param i32)
        (i64.store (local.get 0) (i64.add (i64.load (local.get 0)) (i64.const 1))))
      (func (export "number") (param i32) (result i32)
        (call $hit (i32.const 0)) (call $number (local.get 0)))
      (func (export "text") (param i32 i32) (result i32)
        (call $hit (i32.const 8)) (call $text (local.get 0) (local.get 1))))
    (core instance $m (instantiate $m
      (with "memory" (instance $memory))
      (with "callee" (instance
        (export "number" (func $number)) (export "text" (func $text))))))
    (func (export "number") (param "value" u32) (result u32) (canon lift (core func $m "number")))
    (func (export "text") (param "value" string) (result u32)
      (canon lift (core func $m "text") (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc")))))

  (instance $callee (instantiate $callee))
  (instance $middle (instantiate $middle
    (with "number" (func $callee "number")) (with "text" (func $callee "text"))))

  ;; --- beside
  (component $caller
    (import "called-number" (func $number (param "value" u32) (result u32)))
    (import "called-text" (func $text (param "value" string) (result u32)))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $loops (core module $loops))
    (core instance $memory (instantiate $memory))
    (core func $number (canon lower (func $number)))
    (core func $text (canon lower (func $text) (memory (core memory $memory "memory"))))
    (core instance $m (instantiate $loops
      (with "memory" (instance $memory))
      (with "callee" (instance
        (export "number" (func $number)) (export "text" (func $text))))))
    (func (export "numbers") (param "n" u32) (result u32) (canon lift (core func $m "numbers")))
    (func (export "texts") (param "n" u32) (result u32) (canon lift (core func $m "texts"))))
  (instance $caller (instantiate $caller
    (with "called-number" (func $target "number")) (with "called-text" (func $target "text"))))
  (func (export "numbers") (alias export $caller "numbers"))
  (func (export "texts") (alias export $caller "texts"))

  ;; --- root
  (import "called-number" (func $number (param "value" u32) (result u32)))
  (import "called-text" (func $text (param "value" string) (result u32)))
  (core instance $memory (instantiate $memory))
  (core func $number (canon lower (func $number)))
  (core func $text (canon lower (func $text) (memory (core memory $memory "memory"))))
  (core instance $m (instantiate $loops
    (with "memory" (instance $memory))
    (with "callee" (instance (export "number" (func $number)) (export "text" (func $text))))))
  (func (export "numbers") (param "n" u32) (result u32) (canon lift (core func $m "numbers")))
  (func (export "texts") (param "n" u32) (result u32) (canon lift (core func $m "texts")))

  ;; --- callee
  (export "called-number" (func $callee "number"))
  (export "called-text" (func $callee "text"))
