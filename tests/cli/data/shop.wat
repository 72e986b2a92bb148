;; A composed component: calls between its parts, a function nobody calls, a built-in, a part that
;; is never instantiated and one that is exported and so cannot be given probes.
(component $shop
  (type $poll (instance
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (import "wasi:io/poll@0.2.3" (instance $poll (type $poll)))
  (import "wasi:config/types@0.2.0-draft" (instance (type $level' u8)
    (export "level" (type (eq $level')))))
  (import "ask" (func $ask (result u32)))
  (core module $guest
    (import "host" "ready" (func (param i32) (result i32)))
    (func (export "total") (result i32) (i32.const 7))
    (func (export "price") (result i32) (i32.const 7))
    (@custom ".debug_info" "about 25 bytes of names.."))
  (component $prices
    (core module $main
      (func (export "price") (result i32) (i32.const 7))
      (@producers (language "C11" "") (processed-by "clang" "20.1.8")))
    (core instance $main (instantiate $main))
    (func $price (result u32) (canon lift (core func $main "price")))
    (export "price" (func $price)))
  (component $spare
    (import "ask" (func $ask (result u32)))
    (core func $ask' (canon lower (func $ask))))
  (component $plugin
    (import "ask" (func $ask (result u32)))
    (core func $ask' (canon lower (func $ask)))
    (core func $yield (canon thread.yield)))
  (alias export $poll "pollable" (type $pollable))
  (alias export $poll "[method]pollable.ready" (func $ready))
  (core func $ready' (canon lower (func $ready)))
  (core func $drop (canon resource.drop $pollable))
  (core func $set (canon waitable-set.new))
  (instance $prices (instantiate $prices))
  (alias export $prices "price" (func $price))
  (core func $price' (canon lower (func $price)))
  (core instance $guest (instantiate $guest
    (with "host" (instance (export "ready" (func $ready'))))))
  (func $total (result u32) (canon lift (core func $guest "total")))
  (instance $totals (export "total" (func $total)))
  (export "shop:app/totals@1.0.0" (instance $totals))
  (export "price" (func $price))
  (export "asked" (func $ask))
  (export "plugin" (component $plugin))
  (@producers (language "Rust" "") (processed-by "rustc" "1.90.0 (stable)" ) (processed-by "wit-component" "0.240.0")))
